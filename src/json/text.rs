//! Strings and payloads as JSON.

use base64ct::{Base64, Encoding};

use crate::frame::Kind;

/// Appends a string with its quotes.
pub(super) fn append_string(buffer: &mut Vec<u8>, text: &str) {
    buffer.push(b'"');
    append_inside(buffer, text.as_bytes());
    buffer.push(b'"');
}

/// Appends a payload as fields: `"text"`, or `"base64"` and for text `"kind"`.
pub(super) fn append_payload(buffer: &mut Vec<u8>, kind: Kind, payload: &[u8]) {
    // No form of a payload is longer than base64: so a message that fits an outbox fits it as an object.
    if kind == Kind::Text
        && (is_clean(payload) || escaped_len(payload) <= base64_len(payload.len()))
    {
        buffer.extend_from_slice(br#","text":""#);
        append_inside(buffer, payload);
        buffer.push(b'"');
        return;
    }
    buffer.extend_from_slice(br#","base64":""#);
    append_base64(buffer, payload);
    buffer.push(b'"');
    if kind == Kind::Text {
        buffer.extend_from_slice(br#","kind":"text""#);
    }
}

/// Returns the length of the padded base64 of `len` bytes.
pub(super) fn base64_len(len: usize) -> usize {
    len.div_ceil(3) * 4
}

/// Appends the padded base64 of bytes.
pub(crate) fn append_base64(buffer: &mut Vec<u8>, payload: &[u8]) {
    let start = buffer.len();
    buffer.resize(start + base64_len(payload.len()), 0);
    let encoded = Base64::encode(payload, &mut buffer[start..]).map(str::len);
    debug_assert_eq!(encoded, Ok(base64_len(payload.len())));
}

/// Appends what is between the quotes of a string.
fn append_inside(buffer: &mut Vec<u8>, text: &[u8]) {
    if is_clean(text) {
        buffer.extend_from_slice(text);
    } else {
        append_escaped(buffer, text);
    }
}

/// What is behind the backslash of each byte's escape, 0 where JSON requires none: `u` stands for `u00` and two digits.
const ESCAPES: [u8; 256] = {
    let mut escapes = [0; 256];
    let mut control = 0;
    while control < 0x20 {
        escapes[control] = b'u';
        control += 1;
    }
    escapes[0x08] = b'b';
    escapes[b'\t' as usize] = b't';
    escapes[b'\n' as usize] = b'n';
    escapes[0x0C] = b'f';
    escapes[b'\r' as usize] = b'r';
    escapes[b'"' as usize] = b'"';
    escapes[b'\\' as usize] = b'\\';
    escapes
};

/// Whether a text needs no escapes. It looks at all bytes, so that the compiler makes vector code of the loop.
fn is_clean(text: &[u8]) -> bool {
    let is_special = |byte: u8| (byte < 0x20) | (byte == b'"') | (byte == b'\\');
    !text.iter().fold(false, |found, &byte| found | is_special(byte))
}

/// Returns the length of a text with escapes, without quotes.
fn escaped_len(text: &[u8]) -> usize {
    // Comparisons of bytes and sums of bytes, so that the compiler makes vector code of it.
    let further = |byte: u8| {
        let is_control = byte < 0x20;
        let is_short = matches!(byte, 0x08 | b'\t' | b'\n' | 0x0C | b'\r');
        let is_quoted = matches!(byte, b'"' | b'\\');
        u8::from(is_quoted) + 5 * u8::from(is_control) - 4 * u8::from(is_short)
    };
    // 32 times 5 fits in a byte.
    let sums = text.chunks(32).map(|chunk| chunk.iter().fold(0, |sum, byte| sum + further(*byte)));
    text.len() + sums.map(usize::from).sum::<usize>()
}

fn append_escaped(buffer: &mut Vec<u8>, text: &[u8]) {
    let mut start = 0;
    for (at, &byte) in text.iter().enumerate() {
        let escape = ESCAPES[usize::from(byte)];
        if escape == 0 {
            continue;
        }
        buffer.extend_from_slice(&text[start..at]);
        start = at + 1;
        buffer.extend_from_slice(&[b'\\', escape]);
        if escape == b'u' {
            let digit = |value: u8| b"0123456789abcdef"[usize::from(value)];
            buffer.extend_from_slice(&[b'0', b'0', digit(byte >> 4), digit(byte & 0xF)]);
        }
    }
    buffer.extend_from_slice(&text[start..]);
}

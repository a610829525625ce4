//! Strings and payloads as JSON.

use base64ct::{Base64, Encoding};

use crate::frame::Kind;

/// Appends a string with its quotes.
pub(super) fn append_string(buffer: &mut Vec<u8>, text: &str) {
    buffer.reserve(text.len() + 2);
    buffer.push(b'"');
    append_escaped(buffer, text.as_bytes());
    buffer.push(b'"');
}

/// Appends a payload as fields: `"text"`, or `"base64"` and for text `"kind"`.
pub(super) fn append_payload(buffer: &mut Vec<u8>, kind: Kind, payload: &[u8]) {
    // No form of a payload is longer than base64, so that an outbox that holds a message holds its object.
    let is_plain = kind == Kind::Text && {
        let len = escaped_len(payload);
        len == payload.len() || len <= base64_len(payload.len())
    };
    if is_plain {
        buffer.reserve(payload.len() + 16);
        buffer.extend_from_slice(br#","text":""#);
        append_escaped(buffer, payload);
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

/// Returns the length of so many bytes in padded base64.
pub(super) fn base64_len(len: usize) -> usize {
    len.div_ceil(3) * 4
}

fn append_base64(buffer: &mut Vec<u8>, payload: &[u8]) {
    let start = buffer.len();
    buffer.resize(start + base64_len(payload.len()), 0);
    let encoded = Base64::encode(payload, &mut buffer[start..]).map(str::len);
    debug_assert_eq!(encoded, Ok(base64_len(payload.len())));
}

/// Whether JSON requires that a byte is escaped.
fn is_special(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

/// The letter behind the backslash of a short escape; `None` if there is none for this control character.
fn short_escape(byte: u8) -> Option<u8> {
    Some(match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0C => b'f',
        _ => return None,
    })
}

/// Whether nothing is to be escaped. There is no early end, so that the compiler makes vector code of it.
fn is_clean(text: &[u8]) -> bool {
    !text.iter().fold(false, |found, &byte| found | is_special(byte))
}

/// Returns the length of a text with escapes, without quotes.
fn escaped_len(text: &[u8]) -> usize {
    if is_clean(text) {
        return text.len();
    }
    let specials = text.iter().filter(|byte| is_special(**byte));
    let further = specials.map(|byte| if short_escape(*byte).is_some() { 1 } else { 5 });
    text.len() + further.sum::<usize>()
}

fn append_escaped(buffer: &mut Vec<u8>, mut text: &[u8]) {
    if is_clean(text) {
        buffer.extend_from_slice(text);
        return;
    }
    while let Some(at) = text.iter().position(|byte| is_special(*byte)) {
        buffer.extend_from_slice(&text[..at]);
        let byte = text[at];
        match short_escape(byte) {
            Some(letter) => buffer.extend_from_slice(&[b'\\', letter]),
            None => {
                let digit = |value: u8| b"0123456789abcdef"[usize::from(value & 0xF)];
                buffer.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte)]);
            }
        }
        text = &text[at + 1..];
    }
    buffer.extend_from_slice(text);
}

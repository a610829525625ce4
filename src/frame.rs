//! Server frames as bytes (RFC 6455, 5.2), and the fast path of reading: one whole data frame.
//!
//! Pure functions of bytes. Everything that is not the common case is left to the parser of
//! tungstenite (`connection/parser.rs`).

use bytes::Bytes;

/// The kind of a message: text, which is UTF-8, or binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// UTF-8 text.
    Text,
    /// Bytes of any value.
    Binary,
}

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;
const OPCODE_TEXT: u8 = 0x1;
const OPCODE_BINARY: u8 = 0x2;
const OPCODE_CLOSE: u8 = 0x8;
const OPCODE_PING: u8 = 0x9;
const OPCODE_PONG: u8 = 0xA;

/// The longest payload of a control frame (RFC 6455, 5.5).
pub(crate) const MAX_CONTROL_PAYLOAD: usize = 125;

/// The longest reason that fits in a close frame beside its code.
pub(crate) const MAX_CLOSE_REASON: usize = MAX_CONTROL_PAYLOAD - 2;

/// A ping without payload.
pub(crate) const PING: &[u8] = &[FIN | OPCODE_PING, 0];

/// Returns the length of an unmasked frame's header for a payload of `payload` bytes.
pub(crate) fn header_len(payload: usize) -> usize {
    match payload {
        0..=125 => 2,
        126..=0xFFFF => 4,
        _ => 10,
    }
}

/// Appends one whole, unmasked data frame.
pub(crate) fn append_data(buffer: &mut Vec<u8>, kind: Kind, payload: &[u8]) {
    let opcode = match kind {
        Kind::Text => OPCODE_TEXT,
        Kind::Binary => OPCODE_BINARY,
    };
    buffer.reserve(header_len(payload.len()) + payload.len());
    buffer.push(FIN | opcode);
    match payload.len() {
        len @ 0..=125 => buffer.push(len as u8),
        len @ 126..=0xFFFF => {
            buffer.push(126);
            buffer.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            buffer.push(127);
            buffer.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    buffer.extend_from_slice(payload);
}

/// Appends one whole, unmasked text frame, whose payload the closure appends.
///
/// The closure must not touch what is in the buffer already.
pub(crate) fn append_text_with(buffer: &mut Vec<u8>, append: impl FnOnce(&mut Vec<u8>)) {
    let start = buffer.len();
    // Most objects need this header: the payload of any other is moved.
    buffer.extend_from_slice(&[FIN | OPCODE_TEXT, 126, 0, 0]);
    append(buffer);
    match buffer.len() - start - 4 {
        len @ 0..=125 => {
            buffer[start + 1] = len as u8;
            buffer.drain(start + 2..start + 4);
        }
        len @ 126..=0xFFFF => {
            buffer[start + 2..start + 4].copy_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            buffer[start + 1] = 127;
            buffer.extend_from_slice(&[0; 6]);
            buffer.copy_within(start + 4..start + 4 + len, start + 10);
            buffer[start + 2..start + 10].copy_from_slice(&(len as u64).to_be_bytes());
        }
    }
}

/// Returns the payload of a whole, unmasked text frame; `None` for other frames, and for a part of one.
pub(crate) fn text_payload(frame: &[u8]) -> Option<&[u8]> {
    let header = Header::parse(frame)?;
    let is_text = header.first == FIN | OPCODE_TEXT && !header.masked;
    let len = usize::try_from(header.payload).ok().filter(|_| is_text)?;
    frame.get(header.len..)?.get(..len)
}

/// Makes a whole, unmasked data frame.
#[cfg(test)]
pub(crate) fn data_frame(kind: Kind, payload: &[u8]) -> Vec<u8> {
    let mut buffer = Vec::with_capacity(header_len(payload.len()) + payload.len());
    append_data(&mut buffer, kind, payload);
    buffer
}

/// Returns the length of the first of several whole frames of the server's own.
pub(crate) fn first_len(frames: &[u8]) -> usize {
    Header::parse(frames).map_or(frames.len(), |header| header.len + header.payload as usize)
}

/// Returns the payload of a whole, unmasked frame.
pub(crate) fn payload(frame: &[u8]) -> &[u8] {
    let header = Header::parse(frame).map_or(0, |header| header.len);
    &frame[header..]
}

/// Whether bytes are UTF-8. Most text is ASCII, which is cheaper to check.
pub(crate) fn is_utf8(bytes: &[u8]) -> bool {
    bytes.is_ascii() || std::str::from_utf8(bytes).is_ok()
}

/// Makes a close frame. A reason that does not fit is cut between characters.
pub(crate) fn close_frame(code: u16, reason: &str) -> Bytes {
    let mut end = reason.len().min(MAX_CLOSE_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let mut buffer = Vec::with_capacity(4 + end);
    buffer.extend_from_slice(&[FIN | OPCODE_CLOSE, 2 + end as u8]);
    buffer.extend_from_slice(&code.to_be_bytes());
    buffer.extend_from_slice(&reason.as_bytes()[..end]);
    buffer.into()
}

/// Whether an endpoint may send this code in a close frame (RFC 6455, 7.4).
pub(crate) fn may_send_close_code(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1013 | 3000..=4999)
}

/// The parsed header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    first: u8,
    masked: bool,
    /// Bytes of the header itself, masking key included.
    pub(crate) len: usize,
    /// Bytes of the payload, as the header claims.
    pub(crate) payload: u64,
}

impl Header {
    /// Parses a header. Returns `None` if `input` does not hold the whole of it.
    pub(crate) fn parse(input: &[u8]) -> Option<Self> {
        let (&first, rest) = input.split_first()?;
        let (&second, rest) = rest.split_first()?;
        let masked = second & MASKED != 0;
        let (extended, payload) = match second & !MASKED {
            126 => (2, u64::from(u16::from_be_bytes(*rest.first_chunk()?))),
            127 => (8, u64::from_be_bytes(*rest.first_chunk()?)),
            short => (0, u64::from(short)),
        };
        let len = 2 + extended + if masked { 4 } else { 0 };
        (input.len() >= len).then_some(Self { first, masked, len, payload })
    }

    /// Whether this is the last frame of its message.
    pub(crate) fn is_final(self) -> bool {
        self.first & FIN != 0
    }

    /// Whether this is a frame of a data message (text, binary or a continuation).
    pub(crate) fn is_data(self) -> bool {
        self.first & 0x08 == 0
    }

    /// Whether the payload is masked, as a client's must be (RFC 6455, 5.1).
    pub(crate) fn is_masked(self) -> bool {
        self.masked
    }

    /// Returns the masking key in the bytes that the header was parsed from; zeros if there is none.
    pub(crate) fn key(self, input: &[u8]) -> [u8; 4] {
        match input.get(..self.len).and_then(|header| header.last_chunk()) {
            Some(key) if self.masked => *key,
            _ => [0; 4],
        }
    }

    /// Returns the kind of the message, if all of it is in this frame and the header breaks no rule.
    pub(crate) fn whole_message(self) -> Option<Kind> {
        // One comparison checks the final bit, the reserved bits and the opcode.
        match (self.masked, self.first) {
            (true, first) if first == FIN | OPCODE_TEXT => Some(Kind::Text),
            (true, first) if first == FIN | OPCODE_BINARY => Some(Kind::Binary),
            _ => None,
        }
    }

    /// Whether this is the header of a pong, and breaks no rule.
    pub(crate) fn is_pong(self) -> bool {
        self.is_control(OPCODE_PONG)
    }

    /// Whether this is the header of a close frame, and breaks no rule.
    pub(crate) fn is_close(self) -> bool {
        self.is_control(OPCODE_CLOSE)
    }

    fn is_control(self, opcode: u8) -> bool {
        let is_short = self.payload <= MAX_CONTROL_PAYLOAD as u64;
        self.masked && self.first == FIN | opcode && is_short
    }
}

/// Unmasks a payload in place (RFC 6455, 5.3).
pub(crate) fn unmask(key: [u8; 4], payload: &mut [u8]) {
    // Eight bytes at a time: payloads may be long.
    let [a, b, c, d] = key;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (chunks, rest) = payload.as_chunks_mut();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.into_iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_frame_is_two_header_bytes_and_the_payload() {
        let frame = data_frame(Kind::Text, b"[client2] salut");
        assert_eq!(&frame[..2], &[0x81, 0x0f]);
        assert_eq!(&frame[2..], b"[client2] salut");
    }

    #[test]
    fn headers_grow_with_the_payload() {
        for (len, header) in [(0, 2), (125, 2), (126, 4), (0xFFFF, 4), (0x1_0000, 10)] {
            let frame = data_frame(Kind::Binary, &vec![7; len]);
            assert_eq!(frame.len(), header + len);
            let parsed = Header::parse(&frame).unwrap();
            assert_eq!((parsed.len, parsed.payload), (header, len as u64));
        }
    }

    #[test]
    fn a_frame_that_is_appended_to_is_the_same_at_every_length() {
        for len in [0, 1, 124, 125, 126, 127, 128, 0xFFFE, 0xFFFF, 0x1_0000, 0x1_0001] {
            let payload: Vec<u8> = (0..len).map(|index| b'a' + (index % 23) as u8).collect();
            let mut buffer = b"before".to_vec();
            append_text_with(&mut buffer, |buffer| buffer.extend_from_slice(&payload));
            let frame = buffer.strip_prefix(b"before").unwrap();
            assert!(frame == data_frame(Kind::Text, &payload), "{len}");
            assert!(text_payload(frame) == Some(&payload[..]), "{len}");
            assert_eq!(text_payload(&frame[..frame.len() - 1]), None);
            assert!(text_payload(&[frame, PING].concat()) == Some(&payload[..]), "{len}");
        }
        for other in [
            PING,
            &data_frame(Kind::Binary, b"a"),
            &[0x81, 0x80, 0, 0, 0, 0],
            &[0x01, 0],
            b"",
            &[0x81],
        ] {
            assert_eq!(text_payload(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_header_is_read_only_when_whole() {
        let header = [0x81, 0xFE, 0x01, 0x00, 1, 2, 3, 4];
        for end in 0..header.len() {
            assert_eq!(Header::parse(&header[..end]), None);
        }
        let parsed = Header::parse(&header).unwrap();
        assert_eq!((parsed.len, parsed.payload), (8, 256));
        assert_eq!(parsed.whole_message(), Some(Kind::Text));
    }

    #[test]
    fn unmasking_undoes_masking_at_every_length() {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        for len in 0..70 {
            let clear: Vec<u8> = (0..len).collect();
            let mut masked: Vec<u8> =
                clear.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]).collect();
            unmask(key, &mut masked);
            assert_eq!(masked, clear);
        }
    }

    #[test]
    fn a_long_close_reason_is_cut_at_a_character() {
        let frame = close_frame(1013, &"é".repeat(100));
        assert_eq!(frame.len(), 2 + 2 + 122);
        assert!(std::str::from_utf8(&frame[4..]).is_ok());
    }
}

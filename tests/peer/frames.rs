//! Frames as bytes (RFC 6455, 5.2): clients' masked, servers' in clear.

/// First bytes of frames: FIN and the opcode.
pub(crate) const TEXT: u8 = 0x81;
pub(crate) const BINARY: u8 = 0x82;
pub(crate) const CLOSE: u8 = 0x88;
pub(crate) const PING: u8 = 0x89;
pub(crate) const PONG: u8 = 0x8a;
/// The first frame of a text message in fragments, those between, and the last.
pub(crate) const TEXT_START: u8 = 0x01;
pub(crate) const BINARY_START: u8 = 0x02;
pub(crate) const MORE: u8 = 0x00;
pub(crate) const LAST: u8 = 0x80;

/// The masking key of RFC 6455's examples (5.7).
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A frame that the server sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// FIN, reserved bits, opcode.
    pub(crate) head: u8,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// Parses the first whole frame, and says how many bytes it took.
    pub(crate) fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let (&[head, second], rest) = bytes.split_first_chunk()?;
        assert_eq!(second & 0x80, 0, "RFC 6455, 5.1: a server must not mask any frames");
        assert_eq!(head & 0x70, 0, "reserved bits were set, and no extension agreed: {head:#x}");
        let (length, start) = match second {
            126 => (u64::from(u16::from_be_bytes(*rest.first_chunk()?)), 4),
            127 => (u64::from_be_bytes(*rest.first_chunk()?), 10),
            short => (u64::from(short), 2),
        };
        let least = [0, 126, 0x1_0000][usize::from(start > 2) + usize::from(start > 4)];
        assert!(length >= least, "RFC 6455, 5.2: the shortest form of a length, not {length}");
        let end = start + usize::try_from(length).expect("a length that fits in memory");
        let payload = bytes.get(start..end)?.to_vec();
        Some((Self { head, payload }, end))
    }

    /// The code and reason of a close frame; 1005 if there is none.
    pub(crate) fn close(&self) -> (u16, String) {
        match self.payload.split_first_chunk() {
            Some((code, reason)) => {
                let reason = String::from_utf8(reason.to_vec());
                (u16::from_be_bytes(*code), reason.expect("RFC 6455, 5.5.1: a reason is UTF-8"))
            }
            None => (1005, String::new()),
        }
    }

    /// The payload as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.payload).expect("UTF-8")
    }
}

/// The header of a client's frame that claims a length, up to the masking key.
pub(crate) fn header(head: u8, length: u64) -> Vec<u8> {
    let mut bytes = vec![head];
    match length {
        0..=125 => bytes.push(0x80 | length as u8),
        126..=0xffff => {
            bytes.push(0x80 | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        _ => {
            bytes.push(0x80 | 127);
            bytes.extend(length.to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes
}

/// One masked frame.
pub(crate) fn masked(head: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(head, payload.len() as u64);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// One frame in clear, which only a server may send.
pub(crate) fn unmasked(head: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("a short one");
    [&[head, length], payload].concat()
}

/// The payload of a close frame.
pub(crate) fn close_payload(code: u16, reason: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes(), reason].concat()
}

//! From bytes of a socket to messages: whole frames of the common kinds here, the rest through the parser.

use super::{
    incoming::{Incoming, Violation},
    parser::Parser,
};
use crate::frame::{self, Header, Kind};

/// Reads one client's frames.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    // Four bytes, since there are very many readers: a message has at most 1 GiB, and its object twice that.
    limit: u32,
    // Present while half a frame or half a message is there. Boxed, since that is rare.
    parser: Option<Box<Parser>>,
    /// Whether a close frame came.
    is_closed: bool,
    /// Whether nothing came behind the close frame.
    is_at_end: bool,
}

impl Reader {
    /// Makes a reader for messages of at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        Self { limit, parser: None, is_closed: false, is_at_end: false }
    }

    /// Whether the client has sent its close frame, and nothing behind it.
    pub(crate) fn is_at_end(&self) -> bool {
        self.is_at_end
    }

    /// Counts bytes of a client that may send nothing against its limit. Returns whether they are within it.
    pub(crate) fn ignore(&mut self, len: usize) -> bool {
        let left = u32::try_from(len).ok().and_then(|len| self.limit.checked_sub(len));
        self.limit = left.unwrap_or(0);
        left.is_some()
    }

    /// Reads bytes as they came, and calls `emit` with what needs an action, in order. Unmasks payloads in
    /// place.
    ///
    /// # Errors
    /// The rule that the client broke, after all that came before was emitted.
    pub(crate) fn feed(
        &mut self,
        mut input: &mut [u8],
        emit: &mut impl FnMut(Incoming<'_>),
    ) -> Result<(), Violation> {
        while !input.is_empty() && !self.is_closed {
            let used = match self.read_common(input, emit)? {
                Some(used) => used,
                None => self.parse(input, emit)?,
            };
            input = &mut input[used..];
        }
        self.is_at_end = self.is_closed && input.is_empty();
        Ok(())
    }

    /// Acts on the frame at the front of the input without the parser, if it is whole and of a common kind: a
    /// message in one frame, a pong, a close frame with a code only. Returns its length.
    fn read_common(
        &mut self,
        input: &mut [u8],
        emit: &mut impl FnMut(Incoming<'_>),
    ) -> Result<Option<usize>, Violation> {
        if self.parser.is_some() {
            return Ok(None);
        }
        let Some(header) = Header::parse(input) else { return Ok(None) };
        if header.payload > (input.len() - header.len) as u64 {
            return Ok(None);
        }
        let len = header.len + header.payload as usize;
        let key = header.key(input);
        let payload = &mut input[header.len..len];
        if let Some(kind) = header.whole_message() {
            if payload.len() > self.limit as usize {
                return Err(Violation::TooLarge);
            }
            frame::unmask(key, payload);
            if kind == Kind::Text && !frame::is_utf8(payload) {
                return Err(Violation::Utf8);
            }
            emit(Incoming::Message(kind, payload));
            return Ok(Some(len));
        }
        if header.is_pong() {
            // The only frames of an idle client. They need no action: any byte answers a ping.
            return Ok(Some(len));
        }
        if header.is_close()
            && let Some(code) = only_code(key, payload)
        {
            self.is_closed = true;
            let answer = frame::close_frame(code, "");
            emit(Incoming::Close { code, reason: "".into(), answer });
            return Ok(Some(len));
        }
        Ok(None)
    }

    /// Feeds the front of the input to the parser. Returns how many bytes it took.
    fn parse(
        &mut self,
        input: &[u8],
        emit: &mut impl FnMut(Incoming<'_>),
    ) -> Result<usize, Violation> {
        let parser = self.parser.get_or_insert_with(|| Box::new(Parser::new(self.limit as usize)));
        let used = parser.feed(input, &mut |incoming| {
            // RFC 6455, 5.5.1: data behind a close frame is ignored.
            self.is_closed |= matches!(incoming, Incoming::Close { .. });
            emit(incoming);
        })?;
        if parser.is_idle() {
            self.parser = None;
        }
        Ok(used)
    }
}

/// Returns the code of a close frame that has no reason and breaks no rule. Nearly every client ends with one,
/// so it is worth avoiding the parser.
fn only_code(key: [u8; 4], masked: &[u8]) -> Option<u16> {
    let [high, low]: [u8; 2] = masked.try_into().ok()?;
    let code = u16::from_be_bytes([high ^ key[0], low ^ key[1]]);
    frame::may_send_close_code(code).then_some(code)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    /// Makes a masked frame with any first byte.
    fn client_frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let key = [1, 2, 3, 4];
        let mut frame = frame::data_frame(Kind::Text, payload);
        let header = frame.len() - payload.len();
        frame[0] = first;
        frame[1] |= 0x80;
        let masked = payload.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]);
        frame.truncate(header);
        frame.extend_from_slice(&key);
        frame.extend(masked);
        frame
    }

    /// Feeds input in pieces of `piece` bytes. Returns what was emitted, the outcome, and whether no parser is
    /// kept.
    fn read(input: &[u8], piece: usize) -> (Vec<String>, Result<(), Violation>, bool) {
        let mut reader = Reader::new(300);
        let mut seen = Vec::new();
        let mut outcome = Ok(());
        for piece in input.chunks(piece) {
            outcome = reader.feed(&mut piece.to_vec(), &mut |incoming| {
                seen.push(match incoming {
                    Incoming::Message(kind, payload) => {
                        format!("{kind:?} {:?}", Bytes::copy_from_slice(payload))
                    }
                    Incoming::Ping(answer) => format!("ping {answer:?}"),
                    Incoming::Close { code, answer, .. } => format!("close {code} {answer:?}"),
                });
            });
            if outcome.is_err() {
                break;
            }
        }
        (seen, outcome, reader.parser.is_none())
    }

    #[test]
    fn frames_may_be_cut_anywhere() {
        let mut input = Vec::new();
        input.extend(client_frame(0x81, "héllo".as_bytes()));
        input.extend(client_frame(0x82, &[0xFF; 200]));
        input.extend(client_frame(0x01, &"é".as_bytes()[..1]));
        input.extend(client_frame(0x89, b"ping"));
        input.extend(client_frame(0x8A, b"pong between fragments"));
        input.extend(client_frame(0x80, &"é".as_bytes()[1..]));
        input.extend(client_frame(0x81, b""));
        input.extend(client_frame(0x8A, &[b'a'; 125]));
        input.extend(client_frame(0x88, &[0x03, 0xE8]));
        input.extend(client_frame(0x81, b"after the close"));
        let (whole, outcome, _) = read(&input, input.len());
        assert_eq!(outcome, Ok(()));
        assert_eq!(whole.len(), 6, "{whole:?}");
        assert_eq!(whole[2], r#"ping b"\x8a\x04ping""#);
        assert_eq!(whole[3], r#"Text b"\xc3\xa9""#);
        assert_eq!(whole[5], r#"close 1000 b"\x88\x02\x03\xe8""#);
        for piece in 1..input.len() {
            assert_eq!(read(&input, piece).0, whole, "in pieces of {piece}");
        }
    }

    #[test]
    fn a_close_frame_is_answered_with_its_code_or_1002() {
        let violated = r#"b"\x88\x14\x03\xeaProtocol violation""#;
        for (payload, code, answer) in [
            (&[0x03, 0xE8][..], 1000, r#"b"\x88\x02\x03\xe8""#),
            (&[0x13, 0x87], 4999, r#"b"\x88\x02\x13\x87""#),
            (&[0x03, 0xED], 1002, violated),
            (&[0x03, 0xE7], 1002, violated),
            (&[], 1005, r#"b"\x88\0""#),
            (&[0x03, 0xE9, b'x'], 1001, r#"b"\x88\x03\x03\xe9x""#),
        ] {
            let input = client_frame(0x88, payload);
            for piece in 1..=input.len() {
                let (seen, outcome, _) = read(&input, piece);
                assert_eq!((seen, outcome), (vec![format!("close {code} {answer}")], Ok(())));
            }
        }
    }

    #[test]
    fn nothing_is_kept_between_messages() {
        let mut input = client_frame(0x01, b"two ");
        assert!(!read(&input, 1).2);
        input.extend(client_frame(0x80, b"fragments"));
        assert!(read(&input, 1).2);
        assert!(!read(&input[..input.len() - 1], 7).2);
    }

    #[test]
    fn each_rule_has_its_close_code() {
        let mut unmasked = client_frame(0x81, b"hello");
        unmasked[1] &= 0x7F;
        let mut claims = vec![0x82, 0xFF];
        claims.extend((1_u64 << 62).to_be_bytes());
        claims.extend([0; 4]);
        let endless = client_frame(0x00, b"").repeat(2000);
        let mut empty_fragments = client_frame(0x01, b"");
        empty_fragments.extend(endless);
        for (input, code) in [
            (unmasked, 1002),
            (client_frame(0xC1, b"reserved bit"), 1002),
            (client_frame(0x83, b"reserved opcode"), 1002),
            (client_frame(0x80, b"nothing to continue"), 1002),
            (client_frame(0x09, b"fragmented ping"), 1002),
            (client_frame(0x89, &[0; 126]), 1002),
            (client_frame(0x8A, &[0; 126]), 1002),
            (client_frame(0x88, &[3]), 1002),
            (client_frame(0xC8, &[3, 232]), 1002),
            (client_frame(0x08, &[3, 232]), 1002),
            (client_frame(0x81, b"\xFF"), 1007),
            (client_frame(0x82, &[0; 301]), 1009),
            (claims, 1009),
            (empty_fragments, 1009),
            ([client_frame(0x01, &[b'a'; 200]), client_frame(0x80, &[b'a'; 101])].concat(), 1009),
            ([client_frame(0x01, b"a"), client_frame(0x81, b"b")].concat(), 1002),
        ] {
            for piece in [1, 3, input.len()] {
                let violation = read(&input, piece).1.unwrap_err();
                assert_eq!(violation.code(), code, "{input:?} in pieces of {piece}");
            }
        }
        let at_the_limit = client_frame(0x82, &[0; 300]);
        for piece in [100, at_the_limit.len()] {
            assert_eq!(read(&at_the_limit, piece).0.len(), 1);
        }
    }
}

//! What one client is promised, and whether what it received is that.

use crate::frame::{Header, payload};

/// How a client's connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Nothing ends it.
    Open,
    /// A close frame with this code, behind everything that was promised before.
    Closed(u16),
    /// The socket broke: what was received is the beginning of what was promised.
    Broken,
}

/// Everything that a client is promised, in the order in which one thread made it so.
#[derive(Debug)]
pub(super) struct Expected {
    /// The numbers of the messages.
    messages: Vec<u64>,
    pub(super) end: End,
}

/// What a client received.
#[derive(Debug, Default)]
struct Received {
    messages: Vec<u64>,
    close: Option<u16>,
    /// Whether the last frame is not whole.
    is_cut: bool,
}

impl Expected {
    pub(super) fn new() -> Self {
        Self { messages: Vec::new(), end: End::Open }
    }

    /// Promises a message.
    pub(super) fn push(&mut self, number: u64) {
        // The server does not know of a broken socket until it writes.
        if !matches!(self.end, End::Closed(_)) {
            self.messages.push(number);
        }
    }

    /// Ends the connection behind what was promised.
    pub(super) fn end(&mut self, end: End) {
        if self.end == End::Open {
            self.end = end;
        }
    }

    /// Insists that the bytes are what was promised. `dropped` is how many messages the host was told were
    /// dropped; `is_slow` is whether the server may have closed the client as a slow consumer.
    pub(super) fn check(&self, bytes: &[u8], dropped: u64, is_slow: bool, who: &str) {
        let received = Received::parse(bytes, who);
        let all = &self.messages;
        let is_beginning = all.starts_with(&received.messages);
        if is_slow && received.close == Some(1013) {
            assert!(is_beginning, "{who}: {:?} is no beginning of {all:?}", received.messages);
            return;
        }
        match self.end {
            End::Broken => {
                let missing = missing(all, &received.messages, who);
                // What the socket did not take is neither dropped nor received.
                assert!(
                    is_beginning || missing >= dropped,
                    "{who}: {dropped} of {missing} dropped"
                );
            }
            End::Open | End::Closed(_) => {
                let missing = missing(all, &received.messages, who);
                assert_eq!(missing, dropped, "{who}: missing, and told: {received:?} of {all:?}");
                assert!(!received.is_cut, "{who}: a frame is cut");
                let close = if let End::Closed(code) = self.end { Some(code) } else { None };
                assert_eq!(received.close, close, "{who}: the close frame");
            }
        }
    }
}

/// How many of the promised messages are missing. Insists that the others are in order, and that nothing
/// else is there.
fn missing(promised: &[u64], received: &[u64], who: &str) -> u64 {
    let mut rest = promised.iter();
    for number in received {
        let is_there = rest.any(|promised| promised == number);
        assert!(
            is_there,
            "{who}: {number} is doubled, out of order or not for it: {received:?} of {promised:?}"
        );
    }
    (promised.len() - received.len()) as u64
}

impl Received {
    fn parse(mut bytes: &[u8], who: &str) -> Self {
        let mut received = Self::default();
        while !bytes.is_empty() {
            let header = Header::parse(bytes);
            let Some(header) = header.filter(|it| it.len + it.payload as usize <= bytes.len())
            else {
                received.is_cut = true;
                break;
            };
            let (frame, rest) = bytes.split_at(header.len + header.payload as usize);
            assert_eq!(received.close, None, "{who}: something follows the close frame");
            let payload = payload(frame);
            match frame[0] & 0x0F {
                8 => received.close = Some(u16::from_be_bytes([payload[0], payload[1]])),
                9 | 10 => {}
                _ => received.messages.push(number_of(payload)),
            }
            bytes = rest;
        }
        received
    }
}

/// A message of a length, which says its number.
pub(super) fn text(number: u64, len: usize) -> String {
    format!("{number} {}", "x".repeat(len))
}

fn number_of(payload: &[u8]) -> u64 {
    let text = std::str::from_utf8(payload).expect("it was sent as text");
    // The second wire form names room and offset first.
    let text =
        text.split_once('/').map_or(text, |(_, rest)| rest.split_once(' ').expect("a text").1);
    text.split(' ').next().and_then(|number| number.parse().ok()).expect("a number")
}

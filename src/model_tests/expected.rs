//! What one client is promised, and whether what it received is that.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use crate::{
    event::ClientId,
    frame::{Header, payload},
    position::Position,
};

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

/// Where a message belongs: in each of these, messages come in the order of their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Line {
    /// What the one thread of the host does, in all rooms and to single clients.
    Host,
    Room(&'static str),
    /// What one client publishes.
    Sender(ClientId),
}

/// Everything that a client is promised.
#[derive(Debug)]
pub(super) struct Expected {
    /// The numbers of the messages, and the lines that they belong to.
    messages: BTreeMap<u64, Vec<Line>>,
    /// Those that may come before a close frame that was asked for earlier: of other clients.
    allowed: BTreeMap<u64, Vec<Line>>,
    /// The signals that it may get.
    signals: BTreeMap<u64, Vec<Line>>,
    /// The answers in their order: the number of the message, and whether the client receives that.
    answers: Vec<(u64, bool)>,
    pub(super) end: End,
}

/// What a client received.
#[derive(Debug, Default)]
struct Received {
    messages: Vec<u64>,
    /// The messages and the signals among them.
    all: Vec<u64>,
    /// The numbers of the messages that were answered, and how many messages came before the answer.
    answers: Vec<(u64, usize)>,
    /// The last position in each room.
    positions: HashMap<String, Position>,
    /// Whether it received an object.
    is_json: bool,
    /// What the last object `closing` says.
    closing: Option<u16>,
    close: Option<u16>,
    /// Whether the last frame is not whole.
    is_cut: bool,
}

impl Expected {
    pub(super) fn new() -> Self {
        let (messages, allowed, signals) = Default::default();
        Self { messages, allowed, signals, answers: Vec::new(), end: End::Open }
    }

    /// Promises the answer to a message, behind the message itself if the client receives that.
    pub(super) fn push_answer(&mut self, number: u64, is_received: bool) {
        self.answers.push((number, is_received));
    }

    /// Promises a message.
    pub(super) fn push(&mut self, number: u64, lines: &[Line]) {
        // The server does not know of a broken socket until it writes.
        if !matches!(self.end, End::Closed(_)) {
            self.messages.insert(number, lines.to_vec());
        } else if !lines.contains(&Line::Host) {
            self.allowed.insert(number, lines.to_vec());
        }
    }

    /// Notes that a signal may come.
    pub(super) fn permit(&mut self, number: u64, lines: &[Line]) {
        if !matches!(self.end, End::Closed(_)) || !lines.contains(&Line::Host) {
            self.signals.insert(number, lines.to_vec());
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
        let missing = self.missing(&received.all, who);
        self.check_answers(&received, is_slow, who);
        if is_slow && received.close == Some(1013) {
            return self.check_beginning(&received.messages, who);
        }
        match self.end {
            End::Broken if dropped == 0 => self.check_beginning(&received.messages, who),
            // What the socket did not take is neither dropped nor received.
            End::Broken => assert!(missing >= dropped, "{who}: {dropped} of {missing} dropped"),
            End::Open | End::Closed(_) => {
                // The host is told of each, also of those that were only allowed.
                let allowed = self.allowed.keys().filter(|it| !received.messages.contains(it));
                let told = missing..=missing + allowed.count() as u64;
                assert!(
                    told.contains(&dropped),
                    "{who}: {missing} missing, {dropped} told: {received:?} of {self:?}"
                );
                assert!(!received.is_cut, "{who}: a frame is cut");
                let close = if let End::Closed(code) = self.end { Some(code) } else { None };
                assert_eq!(received.close, close, "{who}: the close frame");
            }
        }
    }

    /// Insists that each message was answered, in order, and behind the message itself.
    fn check_answers(&self, received: &Received, is_slow: bool, who: &str) {
        let is_whole = self.end != End::Broken && !(is_slow && received.close == Some(1013));
        let count = received.answers.len();
        assert!(count == self.answers.len() || (!is_whole && count < self.answers.len()), "{who}");
        for ((number, is_received), (answered, before)) in
            self.answers.iter().zip(&received.answers)
        {
            assert_eq!(number, answered, "{who}: answers in the order of the messages");
            let is_behind = received.messages[..*before].contains(number);
            assert_eq!(is_behind, *is_received, "{who}: {number} and its answer");
        }
    }

    /// How many of the promised messages are missing. Insists that the others are in the order of their
    /// lines, and that nothing else is there.
    fn missing(&self, received: &[u64], who: &str) -> u64 {
        let mut last = HashMap::new();
        let mut seen = HashSet::new();
        for number in received {
            assert!(seen.insert(number), "{who}: {number} is doubled: {received:?}");
            let lines = self.messages.get(number).or_else(|| self.allowed.get(number));
            let lines = lines.or_else(|| self.signals.get(number));
            let lines =
                lines.unwrap_or_else(|| panic!("{who}: {number} is not for it: {received:?}"));
            for line in lines {
                let before = last.insert(*line, *number);
                let is_in_order = before.is_none_or(|before| before < *number);
                assert!(is_in_order, "{who}: {number} is out of order in {line:?}: {received:?}");
            }
        }
        self.messages.keys().filter(|number| !seen.contains(number)).count() as u64
    }

    /// Insists that in each line nothing is missing in front of something that was received.
    fn check_beginning(&self, received: &[u64], who: &str) {
        let mut ends = HashMap::new();
        for (number, lines) in &self.messages {
            let is_received = received.contains(number);
            for line in lines {
                let has_ended = ends.entry(*line).or_insert(false);
                assert!(!(is_received && *has_ended), "{who}: a gap in {line:?} before {number}");
                *has_ended |= !is_received;
            }
        }
    }
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
                8 => {
                    let code = u16::from_be_bytes([payload[0], payload[1]]);
                    let may_return = received.is_json && matches!(code, 1001 | 1012 | 1013);
                    assert_eq!(received.closing, may_return.then_some(code), "{who}");
                    received.close = Some(code);
                }
                9 | 10 => {}
                _ if payload.starts_with(b"{") => received.add_object(payload, who),
                _ => received.add_message(number_of(payload)),
            }
            bytes = rest;
        }
        received
    }
}

impl Received {
    fn add_message(&mut self, number: u64) {
        self.messages.push(number);
        self.all.push(number);
    }

    fn add_object(&mut self, object: &[u8], who: &str) {
        let object: Value = serde_json::from_slice(object).expect("JSON");
        self.is_json = true;
        assert_eq!(self.closing, None, "{who}: something follows: {object}");
        let room = object["room"].as_str().unwrap_or_default();
        match object["type"].as_str().expect("a type") {
            "message" => {
                self.add_message(number_of(object["text"].as_str().expect("text").as_bytes()));
            }
            "signal" => {
                assert!(object["position"].is_null() && object["time"].is_null(), "{object}");
                self.all.push(number_of(object["text"].as_str().expect("text").as_bytes()));
            }
            "broadcast" | "direct" => {
                assert!(object["position"].is_null() && room.is_empty(), "{who}: {object}");
                self.add_message(number_of(object["text"].as_str().expect("text").as_bytes()));
            }
            "sent" => {
                let number = object["id"].as_u64().expect("its id");
                self.answers.push((number, self.messages.len()));
            }
            "closing" => self.closing = object["code"].as_u64().map(|code| code as u16),
            "welcome" | "entered" | "live" | "removed" | "ping" => {}
            _ => panic!("{who}: {object}"),
        }
        if let Some(position) = object["position"].as_str() {
            let position: Position = position.parse().expect("a position");
            let before = self.positions.insert(room.into(), position);
            let is_next = before.is_none_or(|before| {
                before.epoch == position.epoch && before.offset <= position.offset
            });
            assert!(is_next, "{who}: {object} behind {before:?}");
        }
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

//! A client of an event stream that remembers its last id and nothing else, is cut at any byte, and comes back with it:
//! in the header, as a browser does by itself, or in the address, as a page does that connects anew.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
};

use chat::Position;
use serde_json::Value;

use super::{
    event_source::{Block, Parser, request},
    peer::{PATIENCE, objects::field},
    recovery::{PAUSE, chance::Chance, told::Received},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Json,
}

/// How often something happened to readers.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) entered: usize,
    pub(crate) recovered: usize,
    pub(crate) lost: usize,
    pub(crate) restarts: usize,
    pub(crate) unpositioned: usize,
}

#[derive(Debug)]
pub(crate) struct EventReader {
    pub(crate) room: &'static str,
    form: Form,
    /// The last id of its last connection.
    stored: Option<Position>,
    /// That of the connection before: what the page's address still says.
    stale: Option<Position>,
    pub(crate) received: Vec<Received>,
    pub(crate) counts: Counts,
}

/// One connection of a reader.
struct Visit<'a> {
    reader: &'a mut EventReader,
    parser: Parser,
    since: Option<Position>,
    /// Where it has everything up to.
    at: Option<Position>,
    /// Whether it was told of a loss.
    is_gap: bool,
    blocks: usize,
    is_live: bool,
}

impl EventReader {
    pub(crate) fn new(room: &'static str, form: Form) -> Self {
        let (received, counts) = Default::default();
        Self { room, form, stored: None, stale: None, received, counts }
    }

    pub(crate) fn top(&self) -> Option<Position> {
        self.stored
    }

    /// Comes, reads this many bytes or until nothing comes for a while, and is cut.
    pub(crate) fn come(&mut self, addr: SocketAddr, bytes: usize, chance: &mut Chance) {
        let mut socket = self.connect(addr, chance);
        let mut visit = Visit::of(self);
        let (mut left, mut head) = (bytes, Vec::new());
        while left > 0 {
            let mut bytes = vec![0; left.min(1 + chance.below(4_000))];
            match socket.read(&mut bytes) {
                Ok(0) => panic!("the server has ended the stream"),
                Ok(count) => {
                    left -= count;
                    visit.take(&mut head, &bytes[..count]);
                    // The socket takes no second pause: it has everything that there is.
                    socket.set_read_timeout(Some(PAUSE)).unwrap();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        visit.leave();
    }

    /// Comes, and reads until it has everything that was published before.
    pub(crate) fn catch_up(&mut self, addr: SocketAddr, top: Option<Position>) {
        let mut socket = self.connect(addr, &mut Chance::new(0));
        let mut visit = Visit::of(self);
        let mut head = Vec::new();
        while visit.parser.last_id != top.map(|top| top.to_string()) {
            let mut bytes = vec![0; 65_536];
            let count = socket.read(&mut bytes).expect("more in time");
            assert_ne!(count, 0, "ended too early");
            visit.take(&mut head, &bytes[..count]);
        }
        visit.leave();
    }

    fn connect(&self, addr: SocketAddr, chance: &mut Chance) -> TcpStream {
        let mut socket = TcpStream::connect(addr).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let format = if self.form == Form::Json { "&format=json" } else { "" };
        let path = format!("/rooms/{}?history=1000000{format}", self.room);
        let of = |position: Option<Position>| position.map(|it| it.to_string()).unwrap_or_default();
        let request = match (self.stored, chance.below(3)) {
            (None, _) => request(&path, &[]),
            (stored, 0) => request(&format!("{path}&since={}", of(stored)), &[]),
            (stored, how) => {
                // The address is that of an earlier time: the header has the last word.
                let since = self.stale.map(|stale| format!("&since={stale}")).filter(|_| how == 1);
                let path = path + &since.unwrap_or_default();
                request(&path, &[&format!("Last-Event-ID: {}", of(stored))])
            }
        };
        socket.write_all(request.as_bytes()).unwrap();
        socket
    }
}

impl<'a> Visit<'a> {
    fn of(reader: &'a mut EventReader) -> Self {
        let (since, parser) = (reader.stored, Parser::default());
        Self { reader, parser, since, at: None, is_gap: false, blocks: 0, is_live: false }
    }

    /// Takes bytes: of the head as long as that is not whole, and then of the stream.
    fn take(&mut self, head: &mut Vec<u8>, bytes: &[u8]) {
        head.extend_from_slice(bytes);
        let Some(end) = head.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return };
        assert!(head.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(head));
        let bytes = head.split_off(end + 4);
        for block in self.parser.feed(&bytes) {
            match self.reader.form {
                Form::Text => self.text_block(&block),
                Form::Json => self.json_block(&block),
            }
            self.blocks += 1;
        }
    }

    fn leave(self) {
        if let Some(last) = &self.parser.last_id {
            self.reader.stale = self.reader.stored;
            self.reader.stored = Some(last.parse().expect("a position"));
        }
    }

    fn text_block(&mut self, block: &Block) {
        let position = block.id.as_deref().map(|id| id.parse().expect("a position"));
        if self.blocks == 0 {
            let retry = block.retry.expect("when to come back");
            assert!((1_000..=3_000).contains(&retry) && block.data.is_none(), "{block:?}");
            if let Some(position) = position {
                self.entered(position, None);
            }
        } else if let Some(data) = block.of("gap") {
            let data: Value = serde_json::from_str(data).unwrap();
            let requested = self.since.expect("it has said where it was").to_string();
            assert_eq!(field(&data, "requested"), requested);
            self.entered(position.expect("where it stands"), Some(field(&data, "reason")));
        } else if block.is_message() {
            let text = block.data.clone().expect("a message has data");
            self.message(position, text);
        } else {
            panic!("{block:?}");
        }
    }

    fn json_block(&mut self, block: &Block) {
        let position = block.id.as_deref().map(|id| id.parse::<Position>().expect("a position"));
        assert_eq!(block.name, None);
        let object: Value = serde_json::from_str(block.data.as_deref().expect("data")).unwrap();
        let kind = field(&object, "type");
        assert_eq!(kind == "welcome", self.blocks == 0, "{object}");
        if let Some(position) = object["position"].as_str() {
            assert_eq!(block.id.as_deref(), Some(position), "{object}");
        }
        match kind {
            "welcome" => {
                assert!((1_000..=3_000).contains(&block.retry.expect("when to come back")))
            }
            "entered" => {
                let is_recovered = object["recovered"].as_bool();
                assert_eq!(is_recovered.is_some(), self.since.is_some(), "{object}");
                let reason = (is_recovered == Some(false)).then(|| field(&object, "reason"));
                self.entered(position.expect("it has history"), reason);
            }
            "live" => self.is_live = true,
            "message" | "broadcast" => self.message(position, field(&object, "text").to_owned()),
            _ => panic!("{object}"),
        }
    }

    fn entered(&mut self, position: Position, reason: Option<&str>) {
        assert!(self.at.is_none() && !self.is_gap, "twice: {position}");
        self.reader.counts.entered += 1;
        self.at = Some(position);
        self.is_gap = reason.is_some();
        match (reason, self.since) {
            (None, None) => {}
            (None, Some(since)) => {
                assert_eq!(position, since, "a loss that is not told");
                self.reader.counts.recovered += 1;
            }
            (Some("trimmed"), Some(since)) => {
                assert_eq!(position.epoch, since.epoch);
                assert!(position.offset > since.offset, "nothing is lost: {position}, {since}");
                self.reader.counts.lost += 1;
            }
            (Some("epoch"), Some(since)) => {
                assert_ne!(position.epoch, since.epoch);
                self.reader.counts.restarts += 1;
            }
            _ => panic!("{reason:?}, {position}"),
        }
    }

    fn message(&mut self, position: Option<Position>, text: String) {
        let at = self.at.expect("it knows where it is");
        let Some(position) = position else {
            assert!(text.starts_with("to everyone"), "without a position: {text}");
            self.reader.counts.unpositioned += 1;
            return;
        };
        assert_eq!(position, Position { offset: at.offset + 1, ..at }, "{text}");
        self.at = Some(position);
        self.reader.received.push((self.reader.room.to_owned(), position, text));
    }
}

//! The client of an event stream: a strict parser after the HTML standard, 9.2.6, over a raw connection.

use std::{
    io::{self, ErrorKind, Read},
    net::SocketAddr,
};

use super::{End, Peer, Response, is_reset};

/// What an `EventSource` dispatches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// `message` if the stream names none.
    pub(crate) name: String,
    pub(crate) data: String,
    /// The last event id of the source when it was dispatched.
    pub(crate) id: String,
}

/// The state of an `EventSource`.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// The bytes of the line that is not complete.
    line: Vec<u8>,
    /// Whether the last byte was a CR: then an LF is part of the line's end.
    is_behind_cr: bool,
    has_begun: bool,
    data: String,
    name: String,
    id_buffer: String,
    /// The first id of the stream.
    first_id: Option<String>,
    /// What it sends as `Last-Event-ID` when it comes back.
    pub(crate) last_id: String,
    /// After how many milliseconds it comes back.
    pub(crate) retry: Option<u64>,
}

impl Source {
    /// Reads some bytes of the stream, cut anywhere. Returns what is dispatched.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for &byte in bytes {
            let was_behind_cr = std::mem::replace(&mut self.is_behind_cr, byte == b'\r');
            match byte {
                b'\n' if was_behind_cr => {}
                b'\r' | b'\n' => {
                    let line = std::mem::take(&mut self.line);
                    let line = String::from_utf8(line).expect("a stream of UTF-8");
                    let first = !std::mem::replace(&mut self.has_begun, true);
                    let line = line.strip_prefix('\u{FEFF}').filter(|_| first).unwrap_or(&line);
                    events.extend(self.line(line));
                }
                _ => self.line.push(byte),
            }
        }
        events
    }

    fn line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            return self.dispatch();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" => {}
            "event" => value.clone_into(&mut self.name),
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            "id" if !value.contains('\0') => {
                assert!(!value.is_empty(), "an empty id makes the client forget where it is");
                value.clone_into(&mut self.id_buffer);
                self.first_id.get_or_insert_with(|| value.to_owned());
            }
            "retry" if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.retry = value.parse().ok();
            }
            other => panic!("no field of ours: {other:?}: {value:?}"),
        }
        None
    }

    fn dispatch(&mut self) -> Option<Event> {
        self.last_id.clone_from(&self.id_buffer);
        let (name, data) = (std::mem::take(&mut self.name), std::mem::take(&mut self.data));
        let data = data.strip_suffix('\n')?;
        let name = if name.is_empty() { "message".to_owned() } else { name };
        Some(Event { name, data: data.to_owned(), id: self.last_id.clone() })
    }
}

/// One client of an event stream.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) peer: Peer,
    pub(crate) source: Source,
    pub(crate) head: Response,
    waiting: std::collections::VecDeque<Event>,
}

/// The head of a request for events, with further lines.
pub(crate) fn request(method: &str, path: &str, lines: &[&str]) -> String {
    let lines: String = lines.iter().flat_map(|line| [line, "\r\n"]).collect();
    format!("{method} {path} HTTP/1.1\r\nHost: a.test\r\nAccept: text/event-stream\r\n{lines}\r\n")
}

impl Stream {
    /// Connects, and insists on a stream.
    pub(crate) fn open(addr: SocketAddr, path: &str) -> Self {
        Self::open_with(Peer::connect(addr), path, &[])
    }

    pub(crate) fn open_with(mut peer: Peer, path: &str, lines: &[&str]) -> Self {
        peer.write(request("GET", path, lines).as_bytes());
        let head = peer.response();
        assert_eq!(head.status, 200, "{head:?}");
        assert_eq!(head.header("Content-Type"), Some("text/event-stream"));
        let mut source = Source::default();
        let waiting = source.feed(peer.rest()).into();
        peer.skip_rest();
        Self { peer, source, head, waiting }
    }

    /// Comes back as a browser does: to the same address, with the id of the last event.
    pub(crate) fn reopen(addr: SocketAddr, path: &str, last_id: &str) -> Self {
        let line = format!("Last-Event-ID: {last_id}");
        let lines: &[&str] = if last_id.is_empty() { &[] } else { &[&line] };
        Self::open_with(Peer::connect(addr), path, lines)
    }

    /// The next event, or the end of the stream.
    pub(crate) fn next_or_end(&mut self) -> Result<Event, End> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Ok(event);
            }
            let mut buffer = [0; 16 * 1024];
            match self.peer.stream.read(&mut buffer) {
                Ok(0) => return Err(End::Fin),
                Ok(len) => self.waiting.extend(self.source.feed(&buffer[..len])),
                Err(error) if is_reset(&error) => return Err(End::Reset),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("no event, and no end: {error}"),
            }
        }
    }

    /// The next event; heartbeats are passed over.
    pub(crate) fn next(&mut self) -> Event {
        loop {
            let event = self.next_or_end().unwrap_or_else(|end| panic!("{end:?} and no event"));
            if event.name != "ping" {
                return event;
            }
        }
    }

    /// The next message, which is text.
    pub(crate) fn text(&mut self) -> String {
        let event = self.next();
        assert_eq!(event.name, "message", "{event:?}");
        event.data
    }

    /// The first id of the stream: where the client is before what comes. Reads up to the retry behind it too.
    pub(crate) fn until_id(&mut self) -> String {
        loop {
            if let (Some(id), Some(_)) = (&self.source.first_id, self.source.retry) {
                return id.clone();
            }
            let mut byte = [0];
            assert_eq!(self.peer.stream.read(&mut byte).expect("the id"), 1);
            self.waiting.extend(self.source.feed(&byte));
        }
    }

    /// Everything up to the end of the stream.
    pub(crate) fn until_end(&mut self) -> (Vec<Event>, End) {
        let mut events = Vec::new();
        loop {
            match self.next_or_end() {
                Ok(event) => events.push(event),
                Err(end) => return (events, end),
            }
        }
    }
}

/// Reads all that comes up to the end of a connection.
pub(crate) fn read_all(peer: &mut Peer) -> io::Result<String> {
    let mut text = String::from_utf8(peer.rest().to_vec()).expect("text");
    peer.stream.read_to_string(&mut text)?;
    Ok(text)
}

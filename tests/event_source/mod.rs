//! A client of event streams, as strict as the wire is promised to be, and after HTML, 9.2.6, in what it remembers.

#![allow(dead_code, reason = "each test program uses its own part")]
#![allow(clippy::unwrap_used)] // A test reports by panicking.

use std::{
    collections::VecDeque,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
};

use crate::peer::{PATIENCE, is_reset};

/// What stands between two empty lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) id: Option<String>,
    pub(crate) retry: Option<u64>,
    pub(crate) name: Option<String>,
    /// Without it nothing is dispatched to the page.
    pub(crate) data: Option<String>,
}

/// Takes bytes, gives blocks. It refuses what an event stream may contain and a server of ours does not send: comments,
/// CR as the end of a line, a field without a space behind its colon, a field that is given twice.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    rest: Vec<u8>,
    block: Block,
    /// What the client comes back with.
    pub(crate) last_id: Option<String>,
}

impl Parser {
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Vec<Block> {
        self.rest.extend_from_slice(bytes);
        let mut blocks = Vec::new();
        while let Some(end) = self.rest.iter().position(|&byte| byte == b'\n') {
            let line: Vec<_> = self.rest.drain(..=end).collect();
            let line = std::str::from_utf8(&line[..end]).expect("an event stream is UTF-8");
            assert!(!line.contains('\r'), "CR ends a line, too: {line:?}");
            if !line.is_empty() {
                self.block.take(line);
                continue;
            }
            assert_ne!(self.block, Block::default(), "an empty line too many");
            let block = std::mem::take(&mut self.block);
            if let Some(id) = &block.id {
                self.last_id = Some(id.clone());
            }
            blocks.push(block);
        }
        blocks
    }

    /// Whether the stream ended at the end of a block.
    pub(crate) fn is_between(&self) -> bool {
        self.rest.is_empty() && self.block == Block::default()
    }
}

impl Block {
    fn take(&mut self, line: &str) {
        let (field, value) = line.split_once(": ").unwrap_or_else(|| panic!("no field: {line:?}"));
        let value = value.to_owned();
        let before = match field {
            "id" => {
                assert!(!value.is_empty() && !value.contains('\0'), "an id that is none");
                self.id.replace(value)
            }
            "retry" => {
                self.retry.replace(value.parse().expect("a number")).map(|it| it.to_string())
            }
            "event" => self.name.replace(value),
            "data" => {
                match &mut self.data {
                    Some(data) => *data = format!("{data}\n{value}"),
                    None => self.data = Some(value),
                }
                None
            }
            _ => panic!("a field of another name: {line:?}"),
        };
        assert_eq!(before, None, "twice: {line:?}");
    }

    /// Whether it is a message, and none of the events that have a name.
    pub(crate) fn is_message(&self) -> bool {
        self.data.is_some() && self.name.is_none()
    }

    /// The data of an event of this name.
    pub(crate) fn of(&self, name: &str) -> Option<&str> {
        self.data.as_deref().filter(|_| self.name.as_deref() == Some(name))
    }
}

/// One connection of a client.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) socket: TcpStream,
    pub(crate) head: String,
    pub(crate) parser: Parser,
    blocks: VecDeque<Block>,
    chunks: Option<Chunks>,
}

impl Stream {
    /// Connects, asks for events with further lines of the head, and reads the head of the answer, which has this status.
    pub(crate) fn open(addr: SocketAddr, path: &str, lines: &[&str]) -> Self {
        let stream = Self::ask(TcpStream::connect(addr).expect("somebody listens"), path, lines);
        assert!(stream.head.starts_with("HTTP/1.1 200 "), "{path}: {}", stream.head);
        assert_eq!(stream.header("Content-Type"), Some("text/event-stream"), "{}", stream.head);
        stream
    }

    /// The same on a socket, with whatever status.
    pub(crate) fn ask(mut socket: TcpStream, path: &str, lines: &[&str]) -> Self {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.write_all(request(path, lines).as_bytes()).expect("the request is taken");
        let mut arrived = Vec::new();
        let end = loop {
            if let Some(end) = arrived.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end + 4;
            }
            let mut bytes = [0; 4096];
            let count = socket.read(&mut bytes).expect("a head in time");
            assert_ne!(count, 0, "no head: {}", String::from_utf8_lossy(&arrived));
            arrived.extend_from_slice(&bytes[..count]);
        };
        let rest = arrived.split_off(end);
        let head = String::from_utf8(arrived).expect("a head in ASCII");
        let mut stream =
            Self { socket, head, parser: Parser::default(), blocks: VecDeque::new(), chunks: None };
        let is_chunked = stream.header("Transfer-Encoding") == Some("chunked");
        stream.chunks = is_chunked.then(Chunks::default);
        stream.take(&rest);
        stream
    }

    /// The value of a header of the answer.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        let (_, value) = lines.find(|(it, _)| it.eq_ignore_ascii_case(name))?;
        Some(value.trim())
    }

    fn take(&mut self, bytes: &[u8]) {
        let bytes = match &mut self.chunks {
            Some(chunks) => chunks.feed(bytes),
            None => bytes.to_vec(),
        };
        self.blocks.extend(self.parser.feed(&bytes));
    }

    /// Reads the next block; `None` at the end of the stream, which is between two blocks.
    pub(crate) fn next(&mut self) -> Option<Block> {
        self.try_next().expect("an event or the end in time")
    }

    /// The same of a socket that does not block; `None` also if nothing is there.
    pub(crate) fn try_next(&mut self) -> Option<Option<Block>> {
        loop {
            if let Some(block) = self.blocks.pop_front() {
                return Some(Some(block));
            }
            // The proxy keeps the connection for another request.
            if self.chunks.as_ref().is_some_and(|chunks| chunks.is_over) {
                assert!(self.parser.is_between(), "it ends inside: {:?}", self.parser);
                return Some(None);
            }
            let mut bytes = [0; 64 * 1024];
            match self.socket.read(&mut bytes) {
                Ok(0) => {
                    assert!(self.parser.is_between(), "it ends inside: {:?}", self.parser);
                    return Some(None);
                }
                Ok(count) => self.take(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(error) if is_reset(&error) => return Some(None),
                Err(error) => panic!("no event, and no end: {error}"),
            }
        }
    }

    /// Reads up to the next message: its data.
    pub(crate) fn message(&mut self) -> String {
        loop {
            let block = self.next().expect("a message before the end");
            if block.is_message() {
                return block.data.expect("a message has data");
            }
        }
    }

    /// Reads up to the next event of a name: its data.
    pub(crate) fn find(&mut self, name: &str) -> String {
        loop {
            let block = self.next().unwrap_or_else(|| panic!("the end before {name}"));
            if let Some(data) = block.of(name) {
                return data.to_owned();
            }
        }
    }
}

/// A browser's request for events.
pub(crate) fn request(path: &str, lines: &[&str]) -> String {
    let mut request = format!(
        "GET {path} HTTP/1.1\r\nHost: chat.test\r\nAccept: text/event-stream\r\nCache-Control: no-cache\r\n"
    );
    for line in lines {
        request.push_str(line);
        request.push_str("\r\n");
    }
    request + "\r\n"
}

/// The body of an answer that a proxy sends in chunks (RFC 9112, 7.1).
#[derive(Debug, Default)]
struct Chunks {
    rest: Vec<u8>,
    /// What is missing of the chunk, with the CRLF behind it.
    left: usize,
    is_over: bool,
}

impl Chunks {
    fn feed(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.rest.extend_from_slice(bytes);
        let mut body = Vec::new();
        loop {
            if self.left > 2 {
                let count = self.rest.len().min(self.left - 2);
                body.extend(self.rest.drain(..count));
                self.left -= count;
            }
            if self.left > 2 || self.rest.len() < self.left {
                return body;
            }
            let end = self.rest.drain(..self.left).collect::<Vec<_>>();
            assert!(end.is_empty() || end == b"\r\n", "no end of a chunk: {end:?}");
            self.left = 0;
            let Some(line) = self.rest.windows(2).position(|pair| pair == b"\r\n") else {
                return body;
            };
            let line: Vec<_> = self.rest.drain(..line + 2).collect();
            let size = std::str::from_utf8(&line).unwrap().trim_end();
            let size = usize::from_str_radix(size, 16).expect("the size of a chunk");
            if size == 0 {
                self.is_over = true;
                return body;
            }
            self.left = size + 2;
        }
    }
}

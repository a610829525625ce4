//! A small blocking WebSocket client with a hand on every byte, and what the tests share.
//!
//! Every wait has a deadline: what does not come in time is a panic that says what was awaited.

#![allow(dead_code, reason = "each test program uses its own part")]

pub(crate) mod events;
pub(crate) mod frames;
pub(crate) mod host;
pub(crate) mod objects;

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use socket2::{Domain, Socket, Type};

use self::frames::{CLOSE, Frame, PING, PONG, TEXT, masked};

/// How long anything may take before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The key of RFC 6455's example, and what a server answers to it (RFC 6455, 1.3).
pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The server shut its side down: nothing was lost.
    Fin,
    /// The server, or its kernel, threw the connection away.
    Reset,
}

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Response {
    /// The value of a header, if it is there.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(value)
    }
}

/// Whether a server that has no room refuses a client: with 503 or, if the request comes later than the client, by closing
/// the connection.
pub(crate) fn is_refused_at_once(addr: SocketAddr) -> bool {
    let mut stream = TcpStream::connect(addr).expect("the server listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a TCP socket");
    let mut answer = Vec::new();
    // It may be reset.
    let _ = stream.write_all(upgrade_head(addr, "/", &[]).as_bytes());
    let ended = stream.read_to_end(&mut answer);
    let is_late = ended.is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
    !is_late && (answer.is_empty() || answer.starts_with(b"HTTP/1.1 503 "))
}

/// The head of an upgrade request that is right in every way, with further header lines.
pub(crate) fn upgrade_head(host: SocketAddr, path: &str, lines: &[&str]) -> String {
    let mut head = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n"
    );
    for line in lines {
        head.push_str(line);
        head.push_str("\r\n");
    }
    head + "\r\n"
}

/// One client's TCP connection.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    host: SocketAddr,
    /// What has arrived, from `read` on not yet looked at.
    arrived: Vec<u8>,
    read: usize,
}

impl Peer {
    /// Connects, and says nothing yet.
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        Self::over(TcpStream::connect(addr).expect("the server listens"))
    }

    /// Takes a connection that was made with options of its own.
    pub(crate) fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("a TCP socket");
        stream.set_read_timeout(Some(PATIENCE)).expect("a TCP socket");
        stream.set_write_timeout(Some(PATIENCE)).expect("a TCP socket");
        let host = stream.peer_addr().expect("connected");
        Self { stream, host, arrived: Vec::new(), read: 0 }
    }

    /// Connects and upgrades: a client in the path's room.
    pub(crate) fn join(addr: SocketAddr, path: &str) -> Self {
        let mut peer = Self::connect(addr);
        peer.become_client(path);
        peer
    }

    /// The same with a small receive buffer, so that the server's socket is full soon.
    pub(crate) fn join_small(addr: SocketAddr, path: &str) -> Self {
        let mut peer = Self::connect_small(addr);
        peer.become_client(path);
        peer
    }

    /// Connects with a small receive buffer, and says nothing yet.
    pub(crate) fn connect_small(addr: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None);
        let socket = socket.expect("a socket");
        socket.set_recv_buffer_size(64 * 1024).expect("a size");
        socket.connect(&addr.into()).expect("the server listens");
        Self::over(TcpStream::from(socket))
    }

    /// Upgrades, and insists on the right answer.
    pub(crate) fn become_client(&mut self, path: &str) {
        let response = self.upgrade(path, &[]);
        assert_eq!(response.status, 101, "{path}: {response:?}");
        assert_eq!(response.header("Sec-WebSocket-Accept"), Some(ACCEPT));
        for (name, value) in [("Upgrade", "websocket"), ("Connection", "upgrade")] {
            let is_right = response.header(name).is_some_and(|it| it.eq_ignore_ascii_case(value));
            assert!(is_right, "RFC 6455, 4.2.2: {response:?}");
        }
        assert_eq!(response.header("Sec-WebSocket-Extensions"), None, "none was offered");
        assert_eq!(response.header("Sec-WebSocket-Protocol"), None, "none was offered");
    }

    /// Asks for an upgrade with further header lines.
    pub(crate) fn upgrade(&mut self, path: &str, lines: &[&str]) -> Response {
        let head = upgrade_head(self.host, path, lines);
        self.write(head.as_bytes());
        self.response()
    }

    /// Sends bytes as they are.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the server takes what is sent");
    }

    /// Sends one masked frame; `head` is its first byte: FIN, reserved bits, opcode.
    pub(crate) fn send(&mut self, head: u8, payload: &[u8]) {
        self.write(&masked(head, payload));
    }

    /// Sends a text message in one frame.
    pub(crate) fn say(&mut self, text: &str) {
        self.send(TEXT, text.as_bytes());
    }

    /// Reads what the socket has into `arrived`: how many bytes, 0 at the end.
    pub(crate) fn fill(&mut self) -> io::Result<usize> {
        if self.read == self.arrived.len() {
            self.arrived.clear();
            self.read = 0;
        }
        let old = self.arrived.len();
        self.arrived.resize(old + 64 * 1024, 0);
        let result = loop {
            match self.stream.read(&mut self.arrived[old..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        self.arrived.truncate(old + *result.as_ref().unwrap_or(&0));
        result
    }

    /// What has arrived and was not read.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.arrived[self.read..]
    }

    pub(crate) fn skip_rest(&mut self) {
        self.read = self.arrived.len();
    }

    /// Reads one HTTP answer.
    pub(crate) fn response(&mut self) -> Response {
        let end = loop {
            if let Some(end) = self.rest().windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end + 4;
            }
            let count = self.fill().expect("an HTTP answer");
            assert_ne!(count, 0, "closed without an HTTP answer: {:?}", self.rest());
        };
        let head = String::from_utf8(self.rest()[..end].to_vec()).expect("a head in ASCII");
        self.read += end;
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().expect("a status line");
        assert!(status.starts_with("HTTP/1."), "{status}");
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(':').expect("a header");
            (name.to_owned(), value.trim().to_owned())
        });
        let mut response = Response {
            status: status[9..12].parse().expect("a status"),
            headers: headers.collect(),
            body: String::new(),
        };
        let length =
            response.header("Content-Length").map_or(0, |it| it.parse().expect("a number"));
        while self.rest().len() < length {
            assert_ne!(self.fill().expect("the body"), 0, "closed inside the body");
        }
        response.body = String::from_utf8(self.rest()[..length].to_vec()).expect("text");
        self.read += length;
        response
    }

    /// Reads one frame, of any kind.
    pub(crate) fn frame(&mut self) -> Frame {
        self.frame_or_end().unwrap_or_else(|end| panic!("{end:?} instead of a frame"))
    }

    /// Reads one frame, or the end of the connection between two frames.
    pub(crate) fn frame_or_end(&mut self) -> Result<Frame, End> {
        loop {
            if let Some((frame, length)) = Frame::parse(self.rest()) {
                self.read += length;
                return Ok(frame);
            }
            match self.fill() {
                Ok(0) => {
                    assert!(self.rest().is_empty(), "ended inside a frame: {:?}", self.rest());
                    return Err(End::Fin);
                }
                Ok(_) => {}
                Err(error) if is_reset(&error) => return Err(End::Reset),
                Err(error) => panic!("no frame, and no end: {error}"),
            }
        }
    }

    /// The next frame, or the end, if one is there: of a socket that does not block.
    pub(crate) fn try_frame(&mut self) -> Option<Result<Frame, End>> {
        loop {
            if let Some((frame, length)) = Frame::parse(self.rest()) {
                self.read += length;
                return Some(Ok(frame));
            }
            match self.fill() {
                Ok(0) => return Some(Err(End::Fin)),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(error) if is_reset(&error) => return Some(Err(End::Reset)),
                Err(error) => panic!("no frame, and no end: {error}"),
            }
        }
    }

    /// Whether a part of a frame has arrived, and its end has not.
    pub(crate) fn has_half_a_frame(&self) -> bool {
        !self.rest().is_empty()
    }

    /// Reads the next text or binary message; pings on the way are answered.
    pub(crate) fn message(&mut self) -> Frame {
        loop {
            let frame = self.frame();
            match frame.head {
                PING => self.send(PONG, &frame.payload),
                PONG => {}
                CLOSE => panic!("closed instead of a message: {:?}", frame.close()),
                _ => return frame,
            }
        }
    }

    /// Reads the next message, which is text.
    pub(crate) fn text(&mut self) -> String {
        let frame = self.message();
        assert_eq!(frame.head, TEXT, "{frame:?}");
        String::from_utf8(frame.payload).expect("text is UTF-8")
    }

    /// Reads a close frame: its code and reason.
    pub(crate) fn closed(&mut self) -> (u16, String) {
        let frame = self.frame();
        assert_eq!(frame.head, CLOSE, "{frame:?}");
        frame.close()
    }

    /// Reads messages up to the close frame: them, and its code.
    pub(crate) fn until_closed(&mut self) -> (Vec<Frame>, u16) {
        let mut messages = Vec::new();
        loop {
            let frame = self.frame();
            match frame.head {
                CLOSE => return (messages, frame.close().0),
                PING | PONG => {}
                _ => messages.push(frame),
            }
        }
    }

    /// Reads up to the end of the connection, before which nothing may come.
    pub(crate) fn end(&mut self) -> End {
        match self.frame_or_end() {
            Ok(frame) => panic!("{frame:?} instead of the end"),
            Err(end) => end,
        }
    }

    /// Reads whatever comes up to the end of the connection.
    pub(crate) fn drain(&mut self) -> End {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            match self.fill() {
                Ok(0) => return End::Fin,
                Ok(_) => self.read = self.arrived.len(),
                Err(error) if is_reset(&error) => return End::Reset,
                Err(error) => panic!("still open: {error}"),
            }
        }
        panic!("bytes without an end");
    }

    /// Closes with 1000, reads the server's answer and its FIN.
    pub(crate) fn leave(mut self) {
        self.send(CLOSE, &1000_u16.to_be_bytes());
        let (_, code) = self.until_closed();
        assert_eq!(code, 1000);
        assert_eq!(self.end(), End::Fin);
    }

    /// Answers the server's close frame as the protocol wants it, reads its FIN and sends one.
    pub(crate) fn answer_close(mut self, code: u16) {
        self.send(CLOSE, &code.to_be_bytes());
        assert_eq!(self.end(), End::Fin);
    }

    /// Sends a FIN; the other direction stays open.
    pub(crate) fn finish(&mut self) {
        self.stream.shutdown(Shutdown::Write).expect("still open");
    }

    /// Proves that the client is served: its own message comes back, and nothing before it.
    pub(crate) fn is_served(&mut self) {
        self.say("are you there?");
        assert_eq!(self.text(), "are you there?");
    }
}

pub(crate) fn is_reset(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

/// Waits until a condition holds that no event tells of, such as a counter: it is asked again and again.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

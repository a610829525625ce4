//! The parser for all but the common case: tungstenite's, fed from the shard's read buffer.
//!
//! Invariant: it exists only while it holds half a frame or half a message, so an idle connection keeps no
//! buffer. It is fed frame by frame, so that it knows when it holds nothing. The frames that tungstenite
//! writes itself (answers to pings and close frames) go to the caller, which sends them as it sends all
//! others.

use std::io::{self, Read, Write};

use tokio_tungstenite::tungstenite::{
    self, Message,
    protocol::{Role, WebSocketConfig, WebSocketContext},
};

use super::incoming::{Incoming, Violation};
use crate::frame::{Header, Kind, MAX_CONTROL_PAYLOAD};

/// The longest header of a frame (RFC 6455, 5.2).
const MAX_HEADER: usize = 14;

/// How much tungstenite takes from the read buffer at once, in bytes. It holds any control frame. A larger one
/// would make every parser slower to create: tungstenite allocates it and fills it with zeros.
const PARSE_BUFFER: usize = 512;

/// The parser of a connection that has half a frame or half a message.
#[derive(Debug)]
pub(crate) struct Parser {
    context: WebSocketContext,
    limit: usize,
    /// The start of a frame's header, while the rest of it is missing.
    header: Vec<u8>,
    /// Bytes of the current frame's payload that are still to come.
    missing: u64,
    /// Whether the frame is the last of its message.
    is_final: bool,
    /// The message of which at least one fragment has begun.
    fragments: Option<Fragments>,
}

/// What the fragments of a message add up to.
#[derive(Debug, Default)]
struct Fragments {
    bytes: u64,
    count: u64,
    /// Up to how many bytes it was tried whether there is memory.
    tried: u64,
}

impl Parser {
    /// Makes a parser for messages of at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(PARSE_BUFFER)
            .write_buffer_size(0)
            .max_message_size(Some(limit))
            .max_frame_size(Some(limit.max(MAX_CONTROL_PAYLOAD)));
        Self {
            context: WebSocketContext::new(Role::Server, Some(config)),
            limit,
            header: Vec::new(),
            missing: 0,
            is_final: true,
            fragments: None,
        }
    }

    /// Whether the parser holds nothing: neither half a frame nor half a message.
    pub(crate) fn is_idle(&self) -> bool {
        self.header.is_empty() && self.missing == 0 && self.fragments.is_none()
    }

    /// Takes bytes up to the end of the current frame, and returns how many.
    pub(crate) fn feed(
        &mut self,
        input: &[u8],
        emit: &mut impl FnMut(Incoming<'_>),
    ) -> Result<usize, Violation> {
        if self.missing > 0 {
            return self.feed_payload(input, emit);
        }
        let held = self.header.len();
        let wanted = (MAX_HEADER - held).min(input.len());
        self.header.extend_from_slice(&input[..wanted]);
        let Some(header) = Header::parse(&self.header) else { return Ok(wanted) };
        let bytes = std::mem::take(&mut self.header);
        self.begin(header)?;
        self.read(&bytes[..header.len], emit)?;
        let used = header.len - held;
        // After a close frame without payload tungstenite must not be asked to read again.
        let payload = if self.missing > 0 { self.feed_payload(&input[used..], emit)? } else { 0 };
        Ok(used + payload)
    }

    /// Refuses frames that must not be buffered, and notes where the frame ends. Tungstenite checks the other
    /// rules of RFC 6455.
    fn begin(&mut self, header: Header) -> Result<(), Violation> {
        if !header.is_masked() {
            // RFC 6455, 5.1: a server closes the connection when a frame is not masked.
            return Err(Violation::Protocol("the frame is not masked"));
        }
        if !header.is_data() {
            if header.payload > MAX_CONTROL_PAYLOAD as u64 {
                // RFC 6455, 5.5.
                return Err(Violation::Protocol("the control frame is longer than 125 bytes"));
            }
        } else {
            let limit = self.limit as u64;
            let so_far = self.fragments.get_or_insert_default();
            so_far.bytes = so_far.bytes.saturating_add(header.payload);
            so_far.count += 1;
            // Empty fragments cost no memory, but a message of nothing else would never end.
            if so_far.bytes > limit || so_far.count > limit.max(1024) {
                return Err(Violation::TooLarge);
            }
            if !so_far.has_memory(header.is_final()) {
                return Err(Violation::NoMemory);
            }
            self.is_final = header.is_final();
        }
        self.missing = header.payload;
        self.end_frame();
        Ok(())
    }

    fn feed_payload(
        &mut self,
        input: &[u8],
        emit: &mut impl FnMut(Incoming<'_>),
    ) -> Result<usize, Violation> {
        let used = self.missing.min(input.len() as u64) as usize;
        self.missing -= used as u64;
        self.end_frame();
        self.read(&input[..used], emit)?;
        Ok(used)
    }

    fn end_frame(&mut self) {
        if self.missing == 0 && self.is_final {
            self.fragments = None;
        }
    }

    /// Feeds bytes to tungstenite, and emits what it made of them.
    fn read(&mut self, input: &[u8], emit: &mut impl FnMut(Incoming<'_>)) -> Result<(), Violation> {
        let mut stream = Stream { input, output: Vec::new() };
        loop {
            let message = match self.context.read(&mut stream) {
                Ok(message) => message,
                Err(tungstenite::Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(());
                }
                Err(error) => return Err(violation(&error)),
            };
            match message {
                Message::Text(text) => emit(Incoming::Message(Kind::Text, text.as_bytes())),
                Message::Binary(data) => emit(Incoming::Message(Kind::Binary, &data)),
                Message::Ping(_) => {
                    // Makes tungstenite write its answer now. It never fails: the stream is memory.
                    let _ = self.context.flush(&mut stream);
                    emit(Incoming::Ping(std::mem::take(&mut stream.output).into()));
                }
                Message::Close(close) => {
                    // It answers, and then reports that the connection is closed.
                    let _ = self.context.flush(&mut stream);
                    let (code, reason) = match close {
                        Some(close) => (close.code.into(), close.reason.as_str().into()),
                        // RFC 6455, 7.1.5: no status code was present.
                        None => (1005, "".into()),
                    };
                    let answer = std::mem::take(&mut stream.output).into();
                    emit(Incoming::Close { code, reason, answer });
                    return Ok(());
                }
                Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }
}

/// From this length on, in bytes, it is tried whether there is memory for a message before it is buffered: tungstenite
/// would end the process.
const LARGE: u64 = 128 * 1024;

impl Fragments {
    /// Whether there is memory for the message with its latest fragment, which is the last if `is_final`.
    fn has_memory(&mut self, is_final: bool) -> bool {
        if self.bytes <= self.tried.max(LARGE) {
            return true;
        }
        let wanted = if is_final && self.count == 1 {
            self.bytes
        } else {
            // The buffer of the whole grows by doubling: tried for all fragments up to twice as many bytes.
            self.tried = self.bytes.saturating_mul(2);
            self.bytes.saturating_mul(4)
        };
        usize::try_from(wanted).is_ok_and(|bytes| Vec::<u8>::new().try_reserve_exact(bytes).is_ok())
    }
}

/// What tungstenite reads from and writes to.
struct Stream<'a> {
    input: &'a [u8],
    output: Vec<u8>,
}

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.input.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.input.read(buffer)
    }
}

impl Write for Stream<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the rule that was broken: tungstenite sends no close frame of its own for it.
fn violation(error: &tungstenite::Error) -> Violation {
    match error {
        tungstenite::Error::Utf8(_) => Violation::Utf8,
        tungstenite::Error::Capacity(_) => Violation::TooLarge,
        _ => Violation::Protocol("the frames break RFC 6455"),
    }
}

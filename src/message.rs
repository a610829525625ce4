//! A message and its wire forms, each made at most once.
//!
//! Server frames are not masked (RFC 6455, 5.1), so the bytes of a message on the wire are the same
//! for every subscriber. A message is stored once and counted by reference; cloning it is cheap.

use std::fmt;

use bytes::Bytes;
use once_cell::sync::OnceCell;
use triomphe::ThinArc;

use crate::{
    error::{Error, Result},
    frame::{self, Kind},
};

/// From this length on, in bytes, a message's own frame is written, and not copied into a buffer that
/// it shares with others.
const LONG: usize = 32 * 1024;

/// A text or binary message. Cloning it does not copy its bytes.
#[derive(Clone)]
pub struct Message {
    // The payload lies behind the header: one allocation a message.
    shared: ThinArc<Header, u8>,
}

#[derive(Debug)]
struct Header {
    kind: Kind,
    /// A long message is kept as its frame from the start, and nothing lies behind the header: so it
    /// is in memory once.
    is_long: bool,
    /// The message's frame, if it was asked for.
    frame: OnceCell<Bytes>,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let data = self.data().escape_ascii();
        write!(f, "Message({:?}, \"{data}\")", self.kind())
    }
}

impl Message {
    /// Makes a message of bytes that are known to be of their kind.
    pub(crate) fn new(kind: Kind, data: &[u8]) -> Self {
        if data.len() >= LONG {
            let frame = OnceCell::with_value(frame::data_frame(kind, data).freeze());
            let header = Header { kind, is_long: true, frame };
            return Self { shared: ThinArc::from_header_and_slice(header, &[]) };
        }
        let header = Header { kind, is_long: false, frame: OnceCell::new() };
        Self { shared: ThinArc::from_header_and_slice(header, data) }
    }

    /// Makes a message of what a host passed: text must be UTF-8, and neither may be over `limit`.
    pub(crate) fn checked(kind: Kind, data: &[u8], limit: usize) -> Result<Self> {
        if data.len() > limit {
            return Err(Error::TooLarge { size: data.len(), limit });
        }
        if kind == Kind::Text && std::str::from_utf8(data).is_err() {
            return Err(Error::InvalidUtf8);
        }
        Ok(Self::new(kind, data))
    }

    /// Text or binary.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.header().kind
    }

    /// The payload; UTF-8 if the message is text.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        match self.header().frame.get() {
            Some(frame) if self.is_long() => frame::payload(frame),
            _ => &self.shared.slice,
        }
    }

    /// The payload as text, or `None` if the message is binary.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self.kind() {
            Kind::Text => std::str::from_utf8(self.data()).ok(),
            Kind::Binary => None,
        }
    }

    /// Whether the message is so long that its own frame is written.
    pub(crate) fn is_long(&self) -> bool {
        self.header().is_long
    }

    /// The length of the message's frame on the wire, in bytes.
    pub(crate) fn frame_len(&self) -> usize {
        frame::header_len(self.data().len()) + self.data().len()
    }

    /// The message's frame, made at the first call for all subscribers on all shards.
    pub(crate) fn frame(&self) -> &Bytes {
        self.header().frame.get_or_init(|| frame::data_frame(self.kind(), self.data()).freeze())
    }

    /// Appends the message's frame to a buffer that many messages share.
    pub(crate) fn append_frame(&self, buffer: &mut bytes::BytesMut) {
        frame::append_data(buffer, self.kind(), self.data());
    }

    fn header(&self) -> &Header {
        &self.shared.header.header
    }
}

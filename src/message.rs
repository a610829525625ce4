//! A message and its wire forms, each made at most once.
//!
//! Server frames are not masked (RFC 6455, 5.1), so the bytes of a message on the wire are the same
//! for every subscriber. A message is stored once and counted by reference; cloning it is cheap.

use std::sync::Arc;

use bytes::Bytes;
use once_cell::sync::OnceCell;

use crate::{
    error::{Error, Result},
    frame::{self, Kind},
};

/// A text or binary message. Cloning it does not copy its bytes.
#[derive(Debug, Clone)]
pub struct Message {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    kind: Kind,
    data: Bytes,
    /// The wire form of a message that is too long to be worth copying into a lane's buffer.
    frame: OnceCell<Bytes>,
}

impl Message {
    /// Makes a message of bytes that are known to be of their kind.
    pub(crate) fn new(kind: Kind, data: Bytes) -> Self {
        Self { shared: Arc::new(Shared { kind, data, frame: OnceCell::new() }) }
    }

    /// Makes a message of what a host passed: text must be UTF-8, and neither may be over `limit`.
    pub(crate) fn checked(kind: Kind, data: &[u8], limit: usize) -> Result<Self> {
        if data.len() > limit {
            return Err(Error::TooLarge { size: data.len(), limit });
        }
        if kind == Kind::Text && std::str::from_utf8(data).is_err() {
            return Err(Error::InvalidUtf8);
        }
        Ok(Self::new(kind, Bytes::copy_from_slice(data)))
    }

    /// Text or binary.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.shared.kind
    }

    /// The payload; UTF-8 if the message is text.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.shared.data
    }

    /// The payload as text, or `None` if the message is binary.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self.shared.kind {
            Kind::Text => std::str::from_utf8(&self.shared.data).ok(),
            Kind::Binary => None,
        }
    }

    /// The length of the message's frame on the wire, in bytes.
    pub(crate) fn frame_len(&self) -> usize {
        frame::header_len(self.shared.data.len()) + self.shared.data.len()
    }

    /// The message's frame, made at the first call for all subscribers on all shards.
    pub(crate) fn frame(&self) -> &Bytes {
        self.shared
            .frame
            .get_or_init(|| frame::data_frame(self.shared.kind, &self.shared.data).freeze())
    }

    /// Appends the message's frame to a buffer that many messages share.
    pub(crate) fn append_frame(&self, buffer: &mut bytes::BytesMut) {
        frame::append_data(buffer, self.shared.kind, &self.shared.data);
    }
}

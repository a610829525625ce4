//! A message, and its frame on the wire.
//!
//! Server frames are not masked (RFC 6455, 5.1), so the bytes of a message on the wire are the same
//! for every subscriber. A message is stored once and counted by reference; cloning it is cheap.

use std::fmt;

use bytes::Bytes;
use triomphe::ThinArc;

use crate::{
    error::{Error, Result},
    frame::{self, Kind},
};

/// From this length on, in bytes, a message is written from its own frame, not copied into a buffer that many
/// messages share.
const MIN_OWN_FRAME: usize = 32 * 1024;

/// A text or binary message. Cloning it does not copy its bytes.
#[derive(Clone)]
pub struct Message {
    // The payload is behind the header, so that a message needs at most one allocation.
    shared: ThinArc<Header, u8>,
    /// Where the payload begins: messages that were made together share one allocation.
    start: u32,
    len: u32,
}

#[derive(Debug)]
struct Header {
    kind: Kind,
    /// The plain frame of a long message. Nothing is behind the header then, so that the payload is in memory
    /// once.
    long: Option<Bytes>,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let data = self.data().escape_ascii();
        write!(f, "Message({:?}, \"{data}\")", self.kind())
    }
}

impl Message {
    /// Makes a message of bytes that are known to be valid for their kind.
    ///
    /// # Errors
    /// `Resources` if there is no memory for a long one.
    pub(crate) fn new(kind: Kind, data: &[u8]) -> Result<Self> {
        if data.len() >= MIN_OWN_FRAME {
            let mut frame = Vec::new();
            let len = frame::header_len(data.len()) + data.len();
            frame.try_reserve_exact(len).map_err(|_| Error::no_memory())?;
            frame::append_data(&mut frame, kind, data);
            let long = Some(Bytes::from(frame));
            let shared = ThinArc::from_header_and_slice(Header { kind, long }, &[]);
            return Ok(Self { shared, start: 0, len: 0 });
        }
        let shared = ThinArc::from_header_and_slice(Header { kind, long: None }, data);
        // The cast cannot truncate: the payload is shorter than `MIN_OWN_FRAME`.
        Ok(Self { shared, start: 0, len: data.len() as u32 })
    }

    /// Makes messages of payloads that are known to be valid for their kind, in one allocation, which is freed
    /// when the last of them is dropped. All together must be shorter than `MIN_OWN_FRAME`, and the last must not be
    /// empty.
    pub(crate) fn together<'a>(
        kind: Kind,
        payloads: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> impl Iterator<Item = Self> {
        let mut bytes = Vec::with_capacity(payloads.clone().map(<[u8]>::len).sum());
        payloads.clone().for_each(|payload| bytes.extend_from_slice(payload));
        debug_assert!(bytes.len() < MIN_OWN_FRAME, "what is long is alone");
        let shared = ThinArc::from_header_and_slice(Header { kind, long: None }, &bytes);
        let mut end = 0;
        payloads.map(move |payload| {
            let start = end;
            end += payload.len() as u32;
            Self { shared: shared.clone(), start, len: payload.len() as u32 }
        })
    }

    /// Makes a message of what a host passed.
    ///
    /// # Errors
    /// As `check` and `new`.
    pub(crate) fn checked(kind: Kind, data: &[u8], limit: usize) -> Result<Self> {
        Self::check(kind, data, limit)?;
        Self::new(kind, data)
    }

    /// Checks what a host passed as a message.
    ///
    /// # Errors
    /// `TooLarge`, and `InvalidUtf8` for text.
    pub(crate) fn check(kind: Kind, data: &[u8], limit: usize) -> Result<()> {
        if data.len() > limit {
            return Err(Error::TooLarge { what: "data", size: data.len(), limit });
        }
        if kind == Kind::Text && !frame::is_utf8(data) {
            return Err(Error::InvalidUtf8);
        }
        Ok(())
    }

    /// Returns whether the message is text or binary.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.header().kind
    }

    /// Returns the payload, which is UTF-8 if the message is text.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        match &self.header().long {
            Some(frame) => frame::payload(frame),
            None => &self.shared.slice[self.start as usize..][..self.len as usize],
        }
    }

    /// Returns how many bytes are freed when this message is dropped, provided that messages that were made
    /// together are dropped in order.
    pub(crate) fn kept(&self) -> usize {
        let end = (self.start + self.len) as usize;
        match &self.header().long {
            Some(frame) => frame.len(),
            None if end == self.shared.slice.len() => end,
            None => 0,
        }
    }

    /// Returns the payload as text, or `None` if the message is binary.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self.kind() {
            Kind::Text => std::str::from_utf8(self.data()).ok(),
            Kind::Binary => None,
        }
    }

    /// Returns the frame of a long message, which is written from there and never copied.
    pub(crate) fn long_frame(&self) -> Option<&Bytes> {
        self.header().long.as_ref()
    }

    /// Returns the length of the message's plain frame, in bytes.
    pub(crate) fn frame_len(&self) -> usize {
        frame::header_len(self.data().len()) + self.data().len()
    }

    /// Appends the message's plain frame to a buffer that many messages share.
    pub(crate) fn append_frame(&self, buffer: &mut Vec<u8>) {
        frame::append_data(buffer, self.kind(), self.data());
    }

    fn header(&self) -> &Header {
        &self.shared.header.header
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_that_are_made_together_are_each_their_own() {
        let payloads = [&b"one"[..], b"", b"three"];
        let messages: Vec<_> = Message::together(Kind::Text, payloads.into_iter()).collect();
        for (message, payload) in messages.iter().zip(payloads) {
            assert_eq!(message.data(), payload);
            let mut frame = Vec::new();
            message.append_frame(&mut frame);
            assert_eq!(frame, frame::data_frame(Kind::Text, payload));
            assert_eq!(message.frame_len(), frame.len());
        }
        // The memory is shared until the last is dropped.
        assert_eq!(messages.iter().map(Message::kept).collect::<Vec<_>>(), [0, 0, 8]);
    }

    #[test]
    fn a_long_message_is_its_frame() {
        for len in [0, 1, MIN_OWN_FRAME - 1, MIN_OWN_FRAME, MIN_OWN_FRAME + 1] {
            let message = Message::new(Kind::Binary, &vec![7; len]).unwrap();
            assert_eq!(message.long_frame().is_some(), len >= MIN_OWN_FRAME);
            assert_eq!(message.data(), vec![7; len]);
            let frame = frame::data_frame(Kind::Binary, &vec![7; len]);
            assert_eq!(message.frame_len(), frame.len());
            assert!(message.long_frame().is_none_or(|long| *long == frame));
            assert!((len..len + 16).contains(&message.kept()));
        }
    }
}

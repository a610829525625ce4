//! Wire forms: how a message is encoded for one kind of subscriber.

use bytes::Bytes;

use super::command::RoomId;
use crate::{event::ClientId, message::Message};

/// A message, and what its room adds: what a wire form may encode.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RoomMessage<'a> {
    #[allow(dead_code, reason = "the plain form is the message alone")]
    pub(crate) room: RoomId,
    #[allow(dead_code, reason = "the plain form is the message alone")]
    pub(crate) offset: u64,
    #[allow(dead_code, reason = "the plain form is the message alone")]
    pub(crate) sender: Option<ClientId>,
    pub(crate) message: &'a Message,
}

impl<'a> RoomMessage<'a> {
    /// Makes it of a message to one client, which no room published.
    pub(crate) fn direct(message: &'a Message) -> Self {
        Self { room: RoomId::EVERYONE, offset: 0, sender: None, message }
    }
}

/// How the messages of a lane are encoded: once for all its subscribers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Form {
    /// A WebSocket frame with the message as its payload.
    Plain,
    /// A WebSocket frame with the room, the offset and the payload.
    #[cfg(test)]
    Numbered,
}

/// Where the encoded message is.
#[derive(Debug)]
pub(crate) enum Encoded {
    /// At the end of the buffer.
    Appended,
    /// In its own buffer: it is long, and is written by itself.
    Whole(Bytes),
}

impl Form {
    /// All forms that a room's subscribers may have.
    pub(super) const ALL: &[Self] = &[
        Self::Plain,
        #[cfg(test)]
        Self::Numbered,
    ];

    /// Encodes a message, at the end of a buffer unless it is long.
    pub(crate) fn encode(self, publication: &RoomMessage<'_>, buffer: &mut Vec<u8>) -> Encoded {
        let RoomMessage { message, .. } = publication;
        match self {
            Self::Plain => match message.long_frame() {
                Some(frame) => return Encoded::Whole(frame.clone()),
                None => message.append_frame(buffer),
            },
            #[cfg(test)]
            Self::Numbered => {
                let RoomMessage { room, offset, .. } = publication;
                let mut text = format!("{}/{offset} ", room.0).into_bytes();
                text.extend_from_slice(message.data());
                crate::frame::append_data(buffer, message.kind(), &text);
            }
        }
        Encoded::Appended
    }

    /// Encodes a message for one client.
    pub(crate) fn encode_one(self, publication: &RoomMessage<'_>) -> Bytes {
        let mut buffer = Vec::new();
        match self.encode(publication, &mut buffer) {
            Encoded::Appended => buffer.into(),
            Encoded::Whole(frame) => frame,
        }
    }
}

//! Wire forms: how a message is encoded for one kind of subscriber.

use bytes::Bytes;

use super::command::RoomHead;
use crate::{message::Message, published::Published};

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

    /// Encodes a message of a room, at the end of a buffer unless it is long.
    pub(crate) fn encode(
        self,
        room: &RoomHead,
        offset: u64,
        published: &Published,
        buffer: &mut Vec<u8>,
    ) -> Encoded {
        match self {
            Self::Plain => plain(&published.message, buffer),
            #[cfg(test)]
            Self::Numbered => {
                let Published { message, .. } = published;
                let mut text = format!("{}/{offset} ", room.id.0).into_bytes();
                text.extend_from_slice(message.data());
                crate::frame::append_data(buffer, message.kind(), &text);
                Encoded::Appended
            }
        }
    }

    /// Encodes a message that the host sends to one client.
    pub(crate) fn encode_direct(self, message: &Message) -> Bytes {
        let mut buffer = Vec::new();
        let encoded = match self {
            Self::Plain => plain(message, &mut buffer),
            #[cfg(test)]
            Self::Numbered => {
                let room = RoomHead { id: super::command::RoomId(0), name: "".into(), epoch: 0 };
                let published = Published { message: message.clone(), author: None, time: 0 };
                self.encode(&room, 0, &published, &mut buffer)
            }
        };
        match encoded {
            Encoded::Appended => buffer.into(),
            Encoded::Whole(frame) => frame,
        }
    }
}

fn plain(message: &Message, buffer: &mut Vec<u8>) -> Encoded {
    match message.long_frame() {
        Some(frame) => Encoded::Whole(frame.clone()),
        None => {
            message.append_frame(buffer);
            Encoded::Appended
        }
    }
}

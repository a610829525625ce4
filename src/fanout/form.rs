//! Wire forms: how messages, and what the server says beside them, are encoded for one kind of subscriber.

use bytes::Bytes;

use super::command::RoomHead;
use crate::{
    context::Context,
    event::ClientId,
    json::{self, MessageObject, Reason, Refusal},
    message::Message,
    past::PastGiven,
    position::Position,
    published::Published,
    sys,
};

/// From this length on, in bytes, an encoded message is in a buffer of its own.
const LONG: usize = 32 * 1024;

/// How the messages of a lane are encoded: once for all its subscribers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Form {
    /// A WebSocket frame with the message as its payload. Nothing is said beside messages.
    Plain,
    /// A text frame with a JSON object.
    Json,
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
        Self::Json,
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
        let Published { message, time, .. } = published;
        match self {
            Self::Plain => plain(message, buffer),
            Self::Json => json(message, buffer, |buffer| {
                if room.is_everyone() {
                    json::append_broadcast(buffer, *time, message.kind(), message.data());
                } else {
                    let offset = offset.wrapping_sub(room.base);
                    json::append_message(buffer, &message_object(room, offset, published));
                }
            }),
            #[cfg(test)]
            Self::Numbered => {
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
            Self::Json => json(message, &mut buffer, |buffer| {
                let time = sys::coarse_unix_ms();
                json::append_direct(buffer, time, message.kind(), message.data());
            }),
            #[cfg(test)]
            Self::Numbered => {
                let published = Published::of(message.clone());
                self.encode(&RoomHead::of(0), 0, &published, &mut buffer)
            }
        };
        match encoded {
            Encoded::Appended => buffer.into(),
            Encoded::Whole(frame) => frame,
        }
    }

    /// Whether it says more than messages.
    pub(crate) fn says_more(self) -> bool {
        self == Self::Json
    }

    /// Encodes the first thing that a client is told.
    pub(crate) fn welcome(self, client: ClientId, context: &Context) -> Option<Bytes> {
        let ping_ms = context.options.ping_interval.as_millis().try_into().unwrap_or(u64::MAX);
        self.say(|buffer| json::append_welcome(buffer, &context.tag(client), ping_ms))
    }

    /// Appends that a client is in a room, and what it gets of the past.
    pub(crate) fn append_entered(self, room: &RoomHead, past: &PastGiven, buffer: &mut Vec<u8>) {
        if self.says_more() {
            json::append_entered(buffer, &room.name, past.position, past.recovery);
        }
    }

    /// Encodes that a client has missed messages of a room, and where it stands now.
    pub(crate) fn entered_anew(
        self,
        room: &str,
        position: Position,
        reason: Reason,
    ) -> Option<Bytes> {
        self.say(|buffer| json::append_entered(buffer, room, position, Some(Err(reason))))
    }

    /// Appends that a room's past is over.
    pub(crate) fn append_live(self, room: &RoomHead, buffer: &mut Vec<u8>) {
        if self.says_more() {
            json::append_live(buffer, &room.name);
        }
    }

    /// Encodes that the host has taken a client out of a room.
    pub(crate) fn removed(self, room: &str) -> Option<Bytes> {
        self.say(|buffer| json::append_removed(buffer, room))
    }

    /// Encodes why what a client sent is refused.
    pub(crate) fn refused(self, id: Option<&str>, code: Refusal) -> Option<Bytes> {
        self.say(|buffer| json::append_refused(buffer, id, code, code.reason()))
    }

    /// Encodes an answer with earlier messages, and whether there are more.
    pub(crate) fn history(
        self,
        id: &str,
        room: &RoomHead,
        messages: &[(u64, Published)],
        has_more: bool,
    ) -> Option<Bytes> {
        let objects =
            messages.iter().map(|(offset, published)| message_object(room, *offset, published));
        self.say(|buffer| json::append_history(buffer, id, &room.name, objects, has_more))
    }

    /// Encodes a heartbeat.
    pub(crate) fn heartbeat(self) -> Option<Bytes> {
        self.say(json::append_ping)
    }

    /// Encodes that a close frame follows behind which the client may come back.
    pub(crate) fn closing(self, code: u16, reason: &str, retry_ms: u64) -> Option<Bytes> {
        self.say(|buffer| json::append_closing(buffer, code, reason, retry_ms))
    }

    fn say(self, append: impl FnOnce(&mut Vec<u8>)) -> Option<Bytes> {
        self.says_more().then(|| {
            let mut buffer = Vec::new();
            append(&mut buffer);
            buffer.into()
        })
    }
}

/// Returns what is said of a room's message.
fn message_object<'a>(
    room: &'a RoomHead,
    offset: u64,
    published: &'a Published,
) -> MessageObject<'a> {
    let Published { message, author, time } = published;
    let name = author.as_ref().and_then(|author| author.name.as_ref());
    MessageObject {
        room: &room.name,
        position: Position::of(room.epoch, offset),
        client: author.as_ref().map(|author| &*author.tag),
        name: name.map(|name| &*name.text),
        is_claimed: name.is_some_and(|name| name.is_claimed),
        time: *time,
        kind: message.kind(),
        payload: message.data(),
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

fn json(message: &Message, buffer: &mut Vec<u8>, append: impl FnOnce(&mut Vec<u8>)) -> Encoded {
    if message.data().len() < LONG {
        append(buffer);
        return Encoded::Appended;
    }
    let mut frame = Vec::with_capacity(json::max_len(message.data().len()));
    append(&mut frame);
    frame.shrink_to_fit();
    Encoded::Whole(frame.into())
}

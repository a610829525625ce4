//! What a client's message means. Nothing below this module knows a protocol: shards and rooms move messages.
//! A connection has one protocol for all of its life.

mod asked;
mod json;

use std::rc::Rc;

pub(crate) use self::asked::Asked;
use crate::{
    fanout::form::Form, frame::Kind, message::Message, rooms::client::Client, shard::Shard,
};

/// How many bytes that are ignored may come behind a request for an event stream.
const MAX_IGNORED: usize = 64 * 1024;

/// One connection's protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// A WebSocket message *is* the chat message, and is published to the client's room. It suits any WebSocket
    /// program: text stays text, binary stays binary, an empty message is a message.
    Plain,
    /// A text message is an object that asks for something (`docs/wire.md`).
    Json,
    /// A client of an event stream has nothing to say: what it sends is ignored.
    Events,
}

/// Why a connection cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// There is no memory for the message.
    NoMemory,
    /// The text is no JSON object.
    NotJson,
    /// The protocol has no binary messages.
    Binary,
}

impl Protocol {
    pub(crate) fn of(form: Form) -> Self {
        match form {
            Form::Json => Self::Json,
            Form::Events | Form::EventsJson => Self::Events,
            _ => Self::Plain,
        }
    }

    /// Returns how long a client's message may be, in bytes, if the longest payload is `payload` bytes long. Of an event
    /// stream, how much its client may send in all.
    pub(crate) fn max_message_len(self, payload: usize) -> usize {
        match self {
            Self::Plain => payload,
            Self::Json => json::max_message_len(payload),
            Self::Events => MAX_IGNORED,
        }
    }

    /// Acts on a whole message, whose text is UTF-8. Never waits: the connection reads only while the inboxes
    /// have space.
    ///
    /// # Errors
    /// Why the connection must be closed.
    pub(crate) fn message(
        self,
        shard: &Shard,
        client: &Rc<Client>,
        kind: Kind,
        payload: &[u8],
    ) -> Result<(), Fault> {
        match self {
            Self::Json => json::message(shard, client, kind, payload),
            Self::Events => Ok(()),
            Self::Plain => {
                let message = Message::new(kind, payload).map_err(|_| Fault::NoMemory)?;
                if shard.context.options.review_timeout.is_zero() {
                    client.publish(&shard.rooms, message);
                } else {
                    let room = client.room();
                    shard.reviews.ask(shard, client, room, message, None, None);
                }
                Ok(())
            }
        }
    }
}

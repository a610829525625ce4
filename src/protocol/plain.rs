//! Plain mode: a WebSocket message *is* the chat message, and is published to the client's room.
//!
//! It suits any WebSocket program: text stays text, binary stays binary, an empty message is a message.

use std::rc::Rc;

use super::Protocol;
use crate::{frame::Kind, message::Message, rooms::client::Client, shard::Shard};

/// What a client asks for with its request's path and query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlainOptions {
    pub(crate) room: String,
    /// Whether the client receives its own messages; `None` if the query does not say.
    pub(crate) echo: Option<bool>,
    /// How many of the room's last messages are sent first.
    pub(crate) history: usize,
}

/// A plain connection: a client that publishes to one room.
#[derive(Debug)]
pub(crate) struct Plain;

impl Protocol for Plain {
    fn message(&self, shard: &Shard, client: &Rc<Client>, kind: Kind, payload: &[u8]) -> bool {
        let Ok(message) = Message::new(kind, payload) else { return false };
        if shard.context.options.review_timeout.is_zero() {
            client.publish(&shard.rooms, message);
        } else {
            shard.reviews.ask(shard, client, message);
        }
        true
    }
}

//! Plain mode: a message *is* the chat message, and goes to everyone in the room.
//!
//! For any WebSocket program: text stays text, binary stays binary, an empty message is a message.

use std::rc::Rc;

use super::Protocol;
use crate::{
    frame::Kind,
    message::Message,
    shard::{Shard, client::Client},
};

/// What a plain connection asked for with its path and query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlainOptions {
    pub(crate) room: String,
    /// Whether the sender receives its own messages, if the query says.
    pub(crate) echo: Option<bool>,
    /// How many of the room's last messages to send first.
    pub(crate) history: usize,
}

/// A plain connection: a client that speaks to one room.
#[derive(Debug)]
pub(crate) struct Plain;

impl Protocol for Plain {
    fn message(&mut self, shard: &Shard, client: &Rc<Client>, kind: Kind, payload: &[u8]) {
        let message = Message::new(kind, payload);
        if shard.context.options.review_timeout.is_zero() {
            client.publish(message);
        } else {
            shard.reviews.ask(shard, client, message);
        }
    }
}

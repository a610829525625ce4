//! Plain mode: a message *is* the chat message, and goes to everyone in the room.
//!
//! For any WebSocket program: text stays text, binary stays binary, an empty message is a message.

use std::{rc::Rc, sync::Arc};

use bytes::Bytes;

use super::Protocol;
use crate::{error::Result, frame::Kind, message::Message, shard::client::Client};

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
    fn message(&mut self, client: &Rc<Client>, kind: Kind, payload: Bytes) -> Result<()> {
        let message = Message::new(kind, &payload);
        match client.seats().publish(client, message) {
            Ok(published) => published.map(drop),
            Err(message) => {
                // The host has taken it out of its room: it speaks to the host alone.
                client.report_message(&Arc::from(""), 0, &message);
                client.wake_host();
                Ok(())
            }
        }
    }
}

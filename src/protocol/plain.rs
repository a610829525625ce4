//! Plain mode: a message *is* the chat message, and goes to everyone in the room.
//!
//! For any WebSocket program: text stays text, binary stays binary, an empty message is a message.

use std::{rc::Rc, sync::Arc};

use bytes::Bytes;

use super::Protocol;
use crate::{
    error::Result,
    frame::Kind,
    message::Message,
    rooms::{Rooms, Subscription},
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

/// A plain connection: a client in one room.
#[derive(Debug)]
pub(crate) struct Plain {
    subscription: Subscription,
}

impl Plain {
    /// Puts a client into its room. The history that it asked for is on its way when this returns.
    ///
    /// # Errors
    /// `Stopped`.
    pub(crate) fn join(
        rooms: &Arc<Rooms>,
        shard: &Rc<Shard>,
        client: &Rc<Client>,
        options: &PlainOptions,
    ) -> Result<Self> {
        let subscription = rooms.subscribe(shard, client, &options.room, options.history)?;
        Ok(Self { subscription })
    }

    /// The name of the room.
    pub(crate) fn room(&self) -> &Arc<str> {
        self.subscription.room().name()
    }
}

impl Protocol for Plain {
    fn message(
        &mut self,
        rooms: &Arc<Rooms>,
        client: &Rc<Client>,
        kind: Kind,
        payload: Bytes,
    ) -> Result<()> {
        let message = Message::new(kind, &payload);
        rooms.publish_from(client, self.subscription.room(), message).map(drop)
    }
}

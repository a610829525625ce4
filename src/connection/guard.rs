//! A client and its memberships, which end together.

use std::rc::Rc;

use crate::{
    error::Result,
    fanout::{form::Form, outbound::Outbound},
    protocol::PlainOptions,
    rooms::client::Client,
    shard::Shard,
    transport::Transport,
};

/// A client that is in its rooms from before its handshake is answered: what is published meanwhile waits in
/// its outbox, so a client that has read the answer misses nothing. It leaves its rooms when the guard is
/// dropped.
#[derive(Debug)]
pub(crate) struct ClientGuard {
    pub(crate) shard: Rc<Shard>,
    pub(crate) client: Rc<Client>,
}

impl ClientGuard {
    /// Makes a client that is in no room.
    pub(crate) fn new(shard: &Rc<Shard>, transport: &Transport, options: &PlainOptions) -> Self {
        let shared = Rc::clone(&shard.shared);
        let echo = options.echo.unwrap_or(shard.context.options.echo);
        let out = Outbound::new(shard.next_client_id(), shared, transport.clone(), Form::Plain);
        Self { shard: Rc::clone(shard), client: Client::new(out, echo) }
    }

    /// Puts the client into the room that it asks for.
    ///
    /// # Errors
    /// `Stopped`.
    pub(crate) fn join(&self, options: &PlainOptions) -> Result<()> {
        self.shard.subscribe(&self.client, Some(&options.room), options.history)
    }

    /// Takes the client out of its rooms.
    pub(crate) fn leave(&self) {
        self.shard.leave_all_rooms(&self.client);
    }
}

impl Drop for ClientGuard {
    fn drop(&mut self) {
        self.leave();
    }
}

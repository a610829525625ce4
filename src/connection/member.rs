//! A client in its rooms, from before its handshake is answered until it leaves.

use std::{rc::Rc, sync::Arc};

use crate::{
    error::Result,
    protocol::PlainOptions,
    reactor::Stream,
    rooms::Rooms,
    shard::{Shard, client::Client},
};

/// A client whose handshake is not answered yet: what is published meanwhile waits for it. So a client
/// that has read the answer misses nothing. It leaves its rooms when this is dropped.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) shard: Rc<Shard>,
    pub(crate) rooms: Arc<Rooms>,
    pub(crate) client: Rc<Client>,
}

impl Member {
    /// Makes a client that is in no room.
    pub(crate) fn new(
        shard: &Rc<Shard>,
        rooms: &Arc<Rooms>,
        stream: &Rc<Stream>,
        options: &PlainOptions,
    ) -> Self {
        let context = Arc::clone(&shard.context);
        let echo = options.echo.unwrap_or(context.options.echo);
        let client = Client::new(shard.next_client_id(), context, Rc::clone(stream), echo);
        Self { shard: Rc::clone(shard), rooms: Arc::clone(rooms), client }
    }

    /// Puts the client into the room that it asked for.
    ///
    /// # Errors
    /// `Stopped`.
    pub(crate) fn join(&self, options: &PlainOptions) -> Result<()> {
        let Self { shard, rooms, client } = self;
        rooms.subscribe_to_everyone(shard, client)?;
        rooms.subscribe(shard, client, &options.room, options.history)
    }

    /// Takes the client out of its rooms.
    pub(crate) fn leave(&self) {
        self.rooms.leave_all(&self.shard, &self.client);
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.leave();
    }
}

//! A client and its memberships, which end together.

use std::rc::Rc;

use crate::{
    error::Result, fanout::outbound::Outbound, past::SinceIn, protocol::Asked,
    rooms::client::Client, shard::Shard, transport::Transport,
};

/// A client that is in its rooms from before its handshake is answered: what is published meanwhile waits in
/// its outbox, so a client that has read the answer misses nothing. It leaves its rooms when the guard is
/// dropped.
#[derive(Debug)]
pub(crate) struct ClientGuard {
    pub(crate) shard: Rc<Shard>,
    pub(crate) client: Rc<Client>,
    /// Where it was in rooms that it has not entered yet; taken when the host can reach it.
    pub(crate) since_in: Option<Box<SinceIn>>,
}

impl ClientGuard {
    /// Makes a client that is in no room.
    pub(crate) fn new(shard: &Rc<Shard>, transport: &Transport, asked: &Asked) -> Self {
        let (id, form) = (shard.next_client_id(), asked.form);
        let echo = asked.echo.unwrap_or(shard.context.options.echo);
        let out = Outbound::new(id, Rc::clone(&shard.shared), transport.clone(), form);
        out.say(form.welcome(id, &shard.context));
        let client = Client::new(out, echo);
        if asked.name.is_some() {
            client.set_name(asked.name.clone());
        }
        if asked.members {
            client.ask_members();
        }
        let since_in = asked.since_in(true);
        Self { shard: Rc::clone(shard), client, since_in }
    }

    /// Puts the client into the room that it asks for.
    ///
    /// # Errors
    /// `Stopped`.
    pub(crate) fn join(&self, asked: &Asked) -> Result<()> {
        self.shard.subscribe(&self.client, Some(&asked.room), &asked.past())
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

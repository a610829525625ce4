//! How clients are closed in their turn, and how a shard comes to its end with all of them.

use std::{pin::pin, rc::Rc, time::Instant};

use futures_util::future::{Either, select};
use tokio::sync::watch;

use super::{
    Shard,
    client::Client,
    inbox::{Closing, Item},
};

/// Close code of a server that ends.
const GOING_AWAY: u16 = 1001;

impl Shard {
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    /// Waits until the shard stops.
    pub(crate) async fn stopped(&self) {
        while !self.is_stopping() {
            self.stops.notified().await;
        }
    }

    /// Closes a client after what was published to it before: that waits in the inbox.
    pub(crate) fn close_in_turn(self: &Rc<Self>, client: &Rc<Client>, closing: Closing) {
        if self.link.inbox.push(Item::Close(client.id(), closing)).is_err() {
            // The inbox has been worked off, since the server stops.
            self.go_away(client);
        }
    }

    /// Closes a client because the server stops.
    pub(crate) fn go_away(self: &Rc<Self>, client: &Rc<Client>) {
        let closing = Closing::new(GOING_AWAY, "the server is stopping");
        self.drain_if(client, client.close(closing));
    }

    /// Closes every client, waits for their answers up to the deadline, which may be brought
    /// forward meanwhile, and cuts the rest.
    pub(super) async fn end(
        self: &Rc<Self>,
        deadline: &mut watch::Receiver<Option<Instant>>,
    ) -> bool {
        self.stopping.set(true);
        self.stops.notify_waiters();
        for client in self.all_clients() {
            self.go_away(&client);
        }
        loop {
            let at = deadline.borrow_and_update().unwrap_or_else(Instant::now);
            let gone = self.time_limits.by(at, self.everyone_gone());
            match select(pin!(gone), pin!(deadline.changed())).await {
                Either::Left((Some(()), _)) => return false,
                Either::Left((None, _)) => break,
                Either::Right(_) => {}
            }
        }
        let mut had_to_cut = false;
        for client in self.all_clients() {
            // One that has already been cut is on its way out.
            had_to_cut |= !client.is_cut();
            client.cut(1006, "cut when the server stopped");
        }
        // They end at once: what is cut waits for nothing.
        self.everyone_gone().await;
        had_to_cut
    }

    async fn everyone_gone(&self) {
        while !self.clients.borrow().is_empty() {
            self.left.notified().await;
        }
    }

    fn all_clients(&self) -> Vec<Rc<Client>> {
        self.clients.borrow().values().cloned().collect()
    }
}

//! How clients are closed in order, and how a shard drains when the server stops.

use std::{pin::pin, rc::Rc, time::Instant};

use futures_util::future::{Either, select};
use tokio::sync::watch;

use super::Shard;
use crate::{
    fanout::command::{CloseFrame, Command},
    rooms::client::Client,
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

    /// Closes a client through the inbox, so that the close frame comes behind what was published before.
    pub(crate) fn queue_close(&self, client: &Client, close: CloseFrame) {
        if self.handle.inbox.push(Command::Close(client.id(), close)).is_err() {
            // The inbox is closed: the server stops.
            self.go_away(client);
        }
    }

    /// Closes a client with code 1001, because the server stops.
    pub(crate) fn go_away(&self, client: &Client) {
        client.out().close(CloseFrame::new(GOING_AWAY, "the server is stopping"));
    }

    /// Closes every client, waits for their answers up to the deadline, which may become earlier meanwhile, and
    /// aborts the rest. Returns whether any had to be aborted.
    pub(super) async fn drain(
        self: &Rc<Self>,
        deadline: &mut watch::Receiver<Option<Instant>>,
    ) -> bool {
        self.stopping.set(true);
        self.shared.clock.count_all();
        self.stops.notify_waiters();
        for client in self.all_clients() {
            self.go_away(&client);
        }
        loop {
            let clock = &self.shared.clock;
            let at = deadline.borrow_and_update().map_or(clock.now(), |at| clock.of_system(at));
            let gone = self.deadlines.by(at, self.all_clients_gone());
            match select(pin!(gone), pin!(deadline.changed())).await {
                Either::Left((Some(()), _)) => return false,
                Either::Left((None, _)) => break,
                Either::Right(_) => {}
            }
        }
        let mut had_to_abort = false;
        for client in self.all_clients() {
            // A client that was aborted before is ending already.
            had_to_abort |= !client.out().is_aborted();
            client.out().abort(1006, "cut when the server stopped");
        }
        // They end at once: what is aborted waits for nothing.
        self.all_clients_gone().await;
        had_to_abort
    }

    async fn all_clients_gone(&self) {
        while !self.clients.borrow().is_empty() {
            self.left.notified().await;
        }
    }

    fn all_clients(&self) -> Vec<Rc<Client>> {
        self.clients.borrow().values().cloned().collect()
    }
}

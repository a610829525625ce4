//! How clients are closed in order, and how a shard drains when the server stops.

use std::{
    pin::pin,
    rc::Rc,
    time::{Duration, Instant},
};

use futures_util::future::{Either, select};
use tokio::sync::watch;

use super::Shard;
use crate::{
    event::ClientId,
    fanout::command::{CloseFrame, Command},
    rooms::client::Client,
};

/// The ends of a server's event streams take this long for each, so that a thousand come back to the next server over a
/// second.
const TIME_FOR_EACH: Duration = Duration::from_millis(1);

/// Close code of a server that ends.
const GOING_AWAY: u16 = 1001;

/// The event streams of a shard that end one after the other.
struct SpreadEnds {
    /// Those that are left, the next one last.
    left: Vec<ClientId>,
    count: u32,
    begun: Instant,
    /// Over how long their ends are spread at most.
    most: Duration,
}

impl SpreadEnds {
    fn new(streams: Vec<ClientId>, workers: usize, begun: Instant) -> Self {
        let count = u32::try_from(streams.len()).unwrap_or(u32::MAX);
        // The other shards have about as many.
        let of_all = count.saturating_mul(u32::try_from(workers).unwrap_or(u32::MAX));
        Self { left: streams, count, begun, most: TIME_FOR_EACH.saturating_mul(of_all) }
    }

    /// Returns when the next one ends, if the server ends at a deadline: half of the time is left to those that read
    /// slowly.
    fn next(&self, deadline: Instant) -> Option<Instant> {
        let left = u32::try_from(self.left.len()).ok().filter(|left| *left > 0)?;
        let span = self.most.min(deadline.saturating_duration_since(self.begun) / 2);
        Some(self.begun + span / self.count * (self.count - left))
    }

    /// Takes those whose time has come.
    fn take_due(&mut self, now: Instant, deadline: Instant) -> Vec<ClientId> {
        let mut due = Vec::new();
        while self.next(deadline).is_some_and(|at| at <= now) {
            due.extend(self.left.pop());
        }
        due
    }
}

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
    /// aborts the rest. The ends of event streams are spread: their clients come back by themselves, most of them after
    /// the same time. Returns whether any had to be aborted.
    pub(super) async fn drain(
        self: &Rc<Self>,
        deadline: &mut watch::Receiver<Option<Instant>>,
    ) -> bool {
        self.stopping.set(true);
        self.shared.clock.count_all();
        self.stops.notify_waiters();
        // Their ids: a client that is kept here would keep its socket open.
        let mut streams = Vec::new();
        for client in self.all_clients() {
            if client.out().form().is_event_stream() {
                streams.push(client.id());
            } else {
                self.go_away(&client);
            }
        }
        let workers = self.context.options.workers;
        let mut ends = SpreadEnds::new(streams, workers, self.shared.clock.now());
        loop {
            let clock = &self.shared.clock;
            let at = deadline.borrow_and_update().map_or(clock.now(), |at| clock.of_system(at));
            let due = ends.take_due(clock.now(), at);
            due.into_iter().filter_map(|id| self.client(id)).for_each(|it| self.go_away(&it));
            let next = ends.next(at).unwrap_or(at).min(at);
            let gone = self.deadlines.by(next, self.all_gone());
            match select(pin!(gone), pin!(deadline.changed())).await {
                Either::Left((Some(()), _)) => return false,
                Either::Left((None, _)) if next < at => {}
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

    /// Counts one more answer that is being written, or one less: a stop waits for them.
    #[cfg(feature = "http")]
    pub(crate) fn note_answer(&self, is_begun: bool) {
        let answers = self.answers.get();
        self.answers.set(if is_begun { answers + 1 } else { answers.saturating_sub(1) });
        if !is_begun && self.is_stopping() {
            self.left.notify_waiters();
        }
    }

    async fn all_clients_gone(&self) {
        while !self.clients.borrow().is_empty() {
            self.left.notified().await;
        }
    }

    /// Waits for the clients, and for the answers that are being written to others.
    async fn all_gone(&self) {
        while !self.clients.borrow().is_empty() || self.answers.get() > 0 {
            self.left.notified().await;
        }
    }

    fn all_clients(&self) -> Vec<Rc<Client>> {
        self.clients.borrow().values().cloned().collect()
    }
}

//! What sockets did not take: written when they take more, and subject to the slow-consumer policy when it is
//! too old.

use std::{cell::RefCell, collections::VecDeque, pin::pin, rc::Rc};

use futures_util::future::select;

use super::Shard;
use crate::{
    event::ClientId,
    fanout::{
        command::{Cost, WRITE, write_cost},
        outbound::Flushed,
    },
};

/// What an iteration may write while the shard drains.
const DRAIN_BUDGET: Cost = 256 * WRITE;

/// The clients whose sockets may take more, the next to be written first.
#[derive(Debug, Default)]
pub(super) struct Writable(RefCell<VecDeque<ClientId>>);

impl Shard {
    /// Writes the outboxes of clients whose sockets take more, up to a budget. Returns what it cost, and
    /// whether more can be written.
    pub(super) fn flush_writable(&self, budget: Cost) -> (Cost, bool) {
        let mut writable = self.writable.0.borrow_mut();
        let mut spent = 0;
        while spent < budget
            && let Some(id) = writable.pop_front()
        {
            let Some(client) = self.client(id) else { continue };
            spent += match client.out().flush() {
                Flushed::Part(len) => {
                    writable.push_back(id);
                    write_cost(len)
                }
                Flushed::All | Flushed::Blocked => WRITE,
            };
        }
        (spent, !writable.is_empty())
    }

    /// Checks the age of the outboxes that are due.
    pub(crate) fn check_due_outboxes(&self) {
        let now = self.shared.clock.update();
        let lagging = &self.shared.lagging;
        // Collected first: an outbox that is due again at once is checked after the next poll.
        let due: Vec<_> = std::iter::from_fn(|| lagging.pop_due(now)).collect();
        for client in due.into_iter().filter_map(|id| self.client(id)) {
            client.out().check_age(now);
        }
    }

    /// Notes that a client's socket may take more.
    pub(crate) fn note_writable(&self, client: ClientId) {
        self.writable.0.borrow_mut().push_back(client);
    }

    /// Writes outboxes while the shard drains. Returns whether more can be written, or clients are still
    /// leaving their rooms.
    pub(crate) fn tick_outboxes(&self) -> bool {
        self.shared.clock.update();
        let (_, has_writable) = self.flush_writable(DRAIN_BUDGET);
        has_writable | self.continue_departures()
    }
}

/// Checks the age of outboxes when they are due, while the shard runs.
pub(super) async fn run(shard: Rc<Shard>) {
    let lagging = &shard.shared.lagging;
    loop {
        let earlier = lagging.earlier();
        match lagging.first() {
            None => earlier.await,
            Some(at) => {
                // More often than outboxes are due: so the clock sees time that is lost in between, too.
                let next = at.min(shard.shared.now() + shard.context.options.outbox_age / 8);
                select(pin!(shard.deadlines.until(next)), pin!(earlier)).await;
            }
        }
        shard.check_due_outboxes();
    }
}

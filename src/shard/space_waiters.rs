//! The connections of a shard that wait until the inboxes have space. They are read before connections that
//! have not waited, so that none starves.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use tokio::task::spawn_local;

use super::Shard;
use crate::fanout::outbound::Outbound;

/// The connections that wait.
#[derive(Debug, Default)]
pub(crate) struct SpaceWaiters {
    /// Counts the tickets that exist, beside itself.
    tickets: Rc<()>,
    waiting: RefCell<Vec<Rc<Outbound>>>,
    /// Whether a task waits for space.
    is_awaited: Cell<bool>,
}

/// Marks a connection as waiting, from when it finds the inboxes full until it was read.
#[derive(Debug)]
pub(crate) struct Ticket(#[expect(dead_code, reason = "it counts")] Rc<()>);

impl SpaceWaiters {
    pub(crate) fn take_ticket(&self) -> Ticket {
        Ticket(Rc::clone(&self.tickets))
    }

    /// Whether no connection has a ticket.
    pub(crate) fn is_empty(&self) -> bool {
        Rc::strong_count(&self.tickets) == 1
    }
}

impl Shard {
    /// Reschedules a connection when the inboxes have space.
    pub(crate) fn await_space(self: &Rc<Self>, out: &Rc<Outbound>) {
        let waiters = &self.space_waiters;
        waiters.waiting.borrow_mut().push(Rc::clone(out));
        if waiters.is_awaited.replace(true) {
            return;
        }
        let shard = Rc::clone(self);
        drop(spawn_local(async move {
            shard.rooms.space().await;
            let waiters = &shard.space_waiters;
            waiters.is_awaited.set(false);
            for out in waiters.waiting.take() {
                out.transport().reschedule();
            }
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_wait_while_tickets_exist() {
        let waiters = SpaceWaiters::default();
        assert!(waiters.is_empty());
        let (first, second) = (waiters.take_ticket(), waiters.take_ticket());
        drop(first);
        assert!(!waiters.is_empty());
        drop(second);
        assert!(waiters.is_empty());
    }
}

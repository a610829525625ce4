//! The connections of a shard that wait until the inboxes have space. They are read before connections that
//! have not waited, so that none starves.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use super::Shard;
use crate::{
    fanout::{inbox::QueueKind, outbound::Outbound},
    reactor::Reactor,
};

/// The connections that wait, apart for each queue: one that can go on waits for none of the other.
#[derive(Debug, Default)]
pub(crate) struct SpaceWaiters {
    express: Line,
    commands: Line,
}

/// The connections that wait for one queue.
#[derive(Debug, Default)]
struct Line {
    /// Counts the tickets that exist, beside itself.
    tickets: Rc<()>,
    waiting: RefCell<Vec<Rc<Outbound>>>,
    /// Whether a task waits for space.
    is_awaited: Cell<bool>,
}

/// Marks a connection as waiting, from when it finds a queue full until it was read.
#[derive(Debug)]
pub(crate) struct Ticket(#[expect(dead_code, reason = "it counts")] Rc<()>);

impl SpaceWaiters {
    fn line(&self, queue: QueueKind) -> &Line {
        match queue {
            QueueKind::Express => &self.express,
            QueueKind::Commands => &self.commands,
        }
    }

    pub(crate) fn take_ticket(&self, queue: QueueKind) -> Ticket {
        Ticket(Rc::clone(&self.line(queue).tickets))
    }

    /// Whether no connection has a ticket for a queue.
    pub(crate) fn is_empty(&self, queue: QueueKind) -> bool {
        Rc::strong_count(&self.line(queue).tickets) == 1
    }
}

impl Shard {
    /// Reschedules a connection when a queue of the inboxes has space.
    pub(crate) fn await_space(self: &Rc<Self>, queue: QueueKind, out: &Rc<Outbound>) {
        let line = self.space_waiters.line(queue);
        line.waiting.borrow_mut().push(Rc::clone(out));
        if line.is_awaited.replace(true) {
            return;
        }
        let shard = Rc::clone(self);
        drop(Reactor::spawn(Box::pin(async move {
            shard.rooms.space(queue).await;
            let line = shard.space_waiters.line(queue);
            line.is_awaited.set(false);
            for out in line.waiting.take() {
                out.transport().reschedule();
            }
        })));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_wait_while_tickets_exist() {
        let waiters = SpaceWaiters::default();
        assert!(waiters.is_empty(QueueKind::Express));
        let (first, second) =
            (waiters.take_ticket(QueueKind::Express), waiters.take_ticket(QueueKind::Express));
        assert!(waiters.is_empty(QueueKind::Commands), "that is another line");
        drop(first);
        assert!(!waiters.is_empty(QueueKind::Express));
        drop(second);
        assert!(waiters.is_empty(QueueKind::Express));
    }
}

//! The clients of a shard whose outboxes are not empty, by the time at which the age of these is checked.

use std::{cell::RefCell, collections::VecDeque, time::Instant};

use tokio::sync::Notify;

use crate::event::ClientId;

/// When the outboxes are checked, earliest first. The age is the same for all, so most times are added in
/// order.
#[derive(Debug, Default)]
pub(crate) struct Lagging {
    due: RefCell<VecDeque<(Instant, ClientId)>>,
    /// Wakes the task that checks, when the first time has become earlier.
    earlier: Notify,
}

impl Lagging {
    /// Has a client's outbox checked at a time.
    pub(crate) fn add(&self, client: ClientId, at: Instant) {
        let mut due = self.due.borrow_mut();
        let index = due.partition_point(|(other, _)| *other <= at);
        due.insert(index, (at, client));
        if index == 0 {
            self.earlier.notify_one();
        }
    }

    /// Returns the earliest time.
    pub(crate) fn first(&self) -> Option<Instant> {
        self.due.borrow().front().map(|(at, _)| *at)
    }

    /// Removes a client whose time has come.
    pub(crate) fn pop_due(&self, now: Instant) -> Option<ClientId> {
        self.due.borrow_mut().pop_front_if(|(at, _)| *at <= now).map(|(_, client)| client)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.due.borrow().len()
    }

    /// Waits until the first time has become earlier.
    pub(crate) async fn earlier(&self) {
        self.earlier.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn clients_are_due_in_the_order_of_their_times() {
        let lagging = Lagging::default();
        let start = Instant::now();
        let second = Duration::from_secs(1);
        for (client, seconds) in [(1, 3), (2, 5), (3, 1), (4, 5)] {
            lagging.add(ClientId::new(client, 0), start + second * seconds);
        }
        assert_eq!(lagging.first(), Some(start + second));
        assert_eq!(lagging.pop_due(start), None);
        for client in [3, 1, 2, 4] {
            assert_eq!(lagging.pop_due(start + second * 5), Some(ClientId::new(client, 0)));
        }
    }
}

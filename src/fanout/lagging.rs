//! The clients of a shard whose outboxes are not empty, by the time at which these are judged.

use std::{cell::RefCell, collections::VecDeque, time::Instant};

use tokio::sync::Notify;

use crate::event::ClientId;

/// When outboxes are judged, first to last: all of them have the same age, so most times come in order.
#[derive(Debug, Default)]
pub(crate) struct Lagging {
    due: RefCell<VecDeque<(Instant, ClientId)>>,
    /// Wakes the task that judges, when the first time has become earlier.
    earlier: Notify,
}

impl Lagging {
    /// Judges a client's outbox at a time.
    pub(crate) fn add(&self, client: ClientId, at: Instant) {
        let mut due = self.due.borrow_mut();
        let index = due.partition_point(|(other, _)| *other <= at);
        due.insert(index, (at, client));
        if index == 0 {
            self.earlier.notify_one();
        }
    }

    /// The first time.
    pub(crate) fn first(&self) -> Option<Instant> {
        self.due.borrow().front().map(|(at, _)| *at)
    }

    /// Takes a client whose time has come.
    pub(crate) fn pop_due(&self, now: Instant) -> Option<ClientId> {
        self.due.borrow_mut().pop_front_if(|(at, _)| *at <= now).map(|(_, client)| client)
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
    fn clients_are_judged_in_the_order_of_their_times() {
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

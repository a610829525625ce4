//! Pings, and the end of clients that do not answer them.
//!
//! One task and one heap for all connections of a shard: a timer for each would cost memory and
//! wake-ups. A client is gone at most ping interval + ping timeout after its last byte.

use std::{
    cell::RefCell,
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    pin::pin,
    rc::Rc,
    time::{Duration, Instant},
};

use futures_util::future::{Either, select};
use tokio::sync::Notify;

use super::{Shard, client::Client};
use crate::event::ClientId;

/// When to look at which client next.
#[derive(Debug)]
pub(crate) struct Liveness {
    started: Instant,
    checks: RefCell<BinaryHeap<Reverse<Check>>>,
    /// Wakes the task when there is an earlier check than the one that it waits for.
    earlier: Notify,
}

/// One client's next check; in the order of their time.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Check {
    at: Instant,
    client: ClientId,
    next_ping: Instant,
    /// When the oldest ping was sent that has not been answered.
    unanswered: Option<Instant>,
}

impl Liveness {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), checks: RefCell::default(), earlier: Notify::new() }
    }

    /// Begins to ping a client. The first pings are spread, so that clients which came together
    /// are not pinged together.
    pub(crate) fn watch(
        &self,
        client: ClientId,
        interval: Duration,
        now: Instant,
        clients: &HashMap<ClientId, Rc<Client>>,
    ) {
        let mut checks = self.checks.borrow_mut();
        // The checks of those who have left are found when they are due; with long intervals that
        // is late.
        if checks.len() > 2 * clients.len() + 1024 {
            checks.retain(|Reverse(check)| clients.contains_key(&check.client));
        }
        drop(checks);
        // Fibonacci hashing spreads consecutive ids evenly.
        let spread = client.as_u64().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let share = spread as f64 / f64::from(u32::MAX);
        let delay = interval.mul_f64(0.5 + share / 2.0);
        let at = now + delay - self.past_tick(now + delay, interval);
        self.insert(Check { at, client, next_ping: at, unanswered: None });
    }

    /// How far a time is past the last tick. Clients are checked at ticks, many at a time: waking up
    /// for each by itself is most of what an idle server does.
    fn past_tick(&self, at: Instant, interval: Duration) -> Duration {
        let tick = (interval / 100).as_nanos().max(1);
        let past = at.saturating_duration_since(self.started).as_nanos() % tick;
        Duration::from_nanos(u64::try_from(past).unwrap_or_default())
    }

    fn insert(&self, check: Check) {
        let mut checks = self.checks.borrow_mut();
        if checks.peek().is_none_or(|Reverse(first)| check.at < first.at) {
            self.earlier.notify_one();
        }
        checks.push(Reverse(check));
    }

    fn next(&self) -> Option<Instant> {
        self.checks.borrow().peek().map(|Reverse(check)| check.at)
    }

    fn take_due(&self, now: Instant) -> Option<Check> {
        let mut checks = self.checks.borrow_mut();
        if checks.peek()?.0.at > now {
            return None;
        }
        checks.pop().map(|Reverse(check)| check)
    }
}

/// Pings the shard's clients for as long as the shard runs.
pub(crate) async fn run(shard: Rc<Shard>) {
    let liveness = &shard.liveness;
    loop {
        let Some(next) = liveness.next() else {
            liveness.earlier.notified().await;
            continue;
        };
        let is_due = tokio::time::sleep_until(next.into());
        if let Either::Right(_) = select(pin!(is_due), pin!(liveness.earlier.notified())).await {
            continue;
        }
        let now = Instant::now();
        while let Some(due) = liveness.take_due(now) {
            let Some(client) = shard.client(due.client) else { continue };
            if let Some(next) = check(&shard, &client, due, now) {
                liveness.insert(next);
            }
        }
    }
}

/// Looks at one client, and says when to do so again.
fn check(shard: &Rc<Shard>, client: &Rc<Client>, mut due: Check, now: Instant) -> Option<Check> {
    let options = &shard.context.options;
    if client.take_heard() {
        due.unanswered = None;
    }
    if due.unanswered.is_some_and(|sent| now >= sent + options.ping_timeout) {
        shard.context.counters.ping_timeouts.add(1);
        client.cut(1006, "it did not answer a ping");
        return None;
    }
    if now >= due.next_ping {
        shard.drain_if(client, client.ping());
        due.unanswered.get_or_insert(now);
        // From now, not from when it was due: after a long pause not all at once.
        due.next_ping = now + options.ping_interval;
    }
    due.at = match due.unanswered {
        Some(sent) => due.next_ping.min(sent + options.ping_timeout),
        None => due.next_ping,
    };
    Some(due)
}

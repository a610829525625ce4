//! Pings, and the end of clients that do not answer them.
//!
//! A timer wheel turns once in a ping interval, and the clients of a bucket are pinged together: a timer for
//! each client would cost memory and wake-ups.
//!
//! Invariant: a client that is not heard from is aborted at most ping interval + ping timeout after its last
//! byte.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    pin::pin,
    rc::Rc,
    time::{Duration, Instant},
};

use futures_util::future::select;
use rustc_hash::FxHashMap;
use tokio::sync::Notify;

use super::Shard;
use crate::{event::ClientId, rooms::client::Client};

/// How many buckets the wheel has.
const BUCKETS: usize = 100;

/// A shard's clients, by the time of their next ping. If the option is 0, only those of event streams are among them.
#[derive(Debug)]
pub(super) struct Pings {
    wheel: RefCell<Wheel>,
    /// When the task wakes, if a time is set.
    wakes_at: Cell<Option<Instant>>,
    /// Wakes the task when a client was added whose ping is due before that.
    earlier: Notify,
}

#[derive(Debug)]
struct Wheel {
    buckets: Vec<Vec<ClientId>>,
    /// The time between two buckets.
    step: Duration,
    /// The next bucket, and its time.
    next: usize,
    next_at: Instant,
    /// The clients that were pinged and whose answers are not due yet, oldest first.
    pinged: VecDeque<Round>,
    last_round: u32,
}

/// Clients that were pinged together.
#[derive(Debug)]
struct Round {
    number: u32,
    answer_due: Instant,
    clients: Vec<ClientId>,
}

impl Pings {
    pub(super) fn new(interval: Duration, now: Instant) -> Self {
        let wheel = Wheel {
            buckets: vec![Vec::new(); BUCKETS],
            step: interval / BUCKETS as u32,
            next: 0,
            next_at: now,
            pinged: VecDeque::new(),
            last_round: 0,
        };
        Self { wheel: RefCell::new(wheel), wakes_at: Cell::new(None), earlier: Notify::new() }
    }

    /// Returns how many entries the wheel has, with those whose answers are awaited.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let wheel = self.wheel.borrow();
        let pinged = wheel.pinged.iter().map(|round| round.clients.len());
        wheel.buckets.iter().map(Vec::len).sum::<usize>() + pinged.sum::<usize>()
    }

    /// Adds a client. Its first ping comes after half an interval or more. The pings of clients that came
    /// together are spread.
    pub(super) fn add(
        &self,
        client: ClientId,
        now: Instant,
        clients: &FxHashMap<ClientId, Rc<Client>>,
    ) {
        let mut wheel = self.wheel.borrow_mut();
        if wheel.step.is_zero() {
            return;
        }
        wheel.skip_empty(now);
        // Fibonacci hashing spreads consecutive ids evenly.
        let spread = client.as_u64().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let half = BUCKETS / 2;
        let ahead = half + spread as usize % half;
        let bucket = (wheel.next + ahead) % BUCKETS;
        let at = wheel.next_at + wheel.step * ahead as u32;
        let bucket = &mut wheel.buckets[bucket];
        // Clients that have left are removed when the bucket is due. With a long interval that is late.
        if bucket.len() > 2 * clients.len() / BUCKETS + 64 {
            bucket.retain(|client| clients.contains_key(client));
        }
        bucket.push(client);
        if self.wakes_at.get().is_none_or(|next| at < next) {
            self.earlier.notify_one();
        }
    }
}

impl Wheel {
    /// Skips empty buckets, up to a time.
    fn skip_empty(&mut self, now: Instant) {
        for _ in 0..BUCKETS {
            if self.next_at > now || !self.buckets[self.next].is_empty() {
                return;
            }
            self.advance();
        }
        // The wheel stands still while there are no clients.
        self.next_at = self.next_at.max(now);
    }

    fn advance(&mut self) {
        self.next = (self.next + 1) % BUCKETS;
        self.next_at += self.step;
    }

    /// Returns when the next ping or answer is due.
    fn next_due(&self) -> Option<Instant> {
        let from_next = self.buckets[self.next..].iter().chain(&self.buckets[..self.next]);
        let ping = from_next
            .enumerate()
            .find(|(_, bucket)| !bucket.is_empty())
            .map(|(ahead, _)| self.next_at + self.step * ahead as u32);
        let answer = self.pinged.front().map(|round| round.answer_due);
        ping.into_iter().chain(answer).min()
    }

    /// Removes a round whose answers are due.
    fn take_due(&mut self, now: Instant) -> Option<Round> {
        self.pinged.pop_front_if(|round| round.answer_due <= now)
    }

    /// Returns the clients of the next bucket, if it is due, and removes those that have left.
    fn take_bucket(
        &mut self,
        now: Instant,
        clients: &FxHashMap<ClientId, Rc<Client>>,
    ) -> Vec<ClientId> {
        self.skip_empty(now);
        if self.next_at > now {
            return Vec::new();
        }
        let bucket = &mut self.buckets[self.next];
        bucket.retain(|client| clients.contains_key(client));
        let taken = bucket.clone();
        self.advance();
        // After a long pause the buckets come one by one, not all at once.
        self.next_at = self.next_at.max(now);
        taken
    }

    /// Returns the number of the next round, which is never 0.
    fn next_round(&mut self) -> u32 {
        self.last_round = self.last_round.checked_add(1).unwrap_or(1);
        self.last_round
    }
}

/// Pings the shard's clients while the shard runs.
pub(super) async fn run(shard: Rc<Shard>) {
    let pings = &shard.pings;
    loop {
        let next = pings.wheel.borrow().next_due();
        pings.wakes_at.set(next);
        let earlier = pings.earlier.notified();
        match next {
            None => earlier.await,
            Some(at) => {
                select(pin!(shard.deadlines.until(at)), pin!(earlier)).await;
            }
        }
        let now = shard.shared.clock.update();
        abort_unanswered(&shard, now);
        ping_due(&shard, now);
    }
}

fn abort_unanswered(shard: &Rc<Shard>, now: Instant) {
    loop {
        let due = shard.pings.wheel.borrow_mut().take_due(now);
        let Some(Round { number, clients, .. }) = due else { return };
        for client in clients.into_iter().filter_map(|id| shard.client(id)) {
            let out = client.out();
            // A closing client has a deadline of its own.
            if !out.is_open() || out.unanswered_ping() != Some(number) {
                continue;
            }
            if shard.reviews.is_full(client.id()) {
                // It may have answered, but is not read until the host decides on its messages.
                out.note_activity();
            } else {
                shard.context.counters.ping_timeouts.add(1);
                out.abort(1006, "it did not answer a ping");
            }
        }
    }
}

fn ping_due(shard: &Rc<Shard>, now: Instant) {
    let mut wheel = shard.pings.wheel.borrow_mut();
    let clients = wheel.take_bucket(now, &shard.clients.borrow());
    if clients.is_empty() {
        return;
    }
    let number = wheel.next_round();
    for client in clients.iter().filter_map(|id| shard.client(*id)) {
        client.out().ping(number);
    }
    let answer_due = now + shard.context.options.ping_timeout;
    wheel.pinged.push_back(Round { number, answer_due, clients });
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(100);

    /// Advances the wheel until a time. Returns when each client was pinged.
    fn visits(pings: &Pings, from: Instant, to: Instant) -> Vec<(u64, Duration)> {
        let mut visits = Vec::new();
        let nobody = FxHashMap::default();
        let mut wheel = pings.wheel.borrow_mut();
        while let Some(at) = wheel.next_due().filter(|at| *at <= to) {
            let bucket = wheel.buckets[wheel.next].clone();
            // No client is in the map, so each is removed after one ping.
            wheel.take_bucket(at, &nobody);
            visits.extend(bucket.iter().map(|id| (id.as_u64(), at - from)));
        }
        visits
    }

    #[test]
    fn the_first_ping_comes_after_half_an_interval_and_those_of_many_are_spread() {
        let made = Instant::now();
        let pings = Pings::new(INTERVAL, made);
        // The wheel stood still before the first client came.
        let start = made + INTERVAL * 10;
        for number in 1..=1000 {
            pings.add(ClientId::new(number, 0), start, &FxHashMap::default());
        }
        let visits = visits(&pings, start, start + INTERVAL);
        let second = Duration::from_secs(1);
        assert!(visits.iter().all(|(_, at)| (INTERVAL / 2..INTERVAL + second).contains(at)));
        let mut seconds: Vec<_> = visits.iter().map(|(_, at)| at.as_secs()).collect();
        seconds.dedup();
        assert!(seconds.len() > 40, "{seconds:?}");
    }
}

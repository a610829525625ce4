//! Pings, and the end of clients that do not answer them.
//!
//! A wheel of buckets turns once in a ping interval, and the clients of a bucket are pinged together:
//! a timer for each would cost memory and wake-ups, and waking up for each by itself would be most of
//! what an idle server does. A client is gone at most ping interval + ping timeout after its last
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

use super::{Shard, client::Client};
use crate::event::ClientId;

/// How many buckets the wheel has.
const BUCKETS: usize = 100;

/// A shard's clients, by the time at which they are to be pinged.
#[derive(Debug)]
pub(crate) struct Liveness {
    wheel: RefCell<Wheel>,
    /// When the task wakes up, if it is to.
    wakes_at: Cell<Option<Instant>>,
    /// Wakes the task when there is something to do before that.
    earlier: Notify,
}

#[derive(Debug)]
struct Wheel {
    buckets: Vec<Vec<ClientId>>,
    /// How long each bucket has.
    tick: Duration,
    /// The bucket whose turn it is next, and when.
    next: usize,
    next_at: Instant,
    /// Those who were pinged and whose answers are not due yet, oldest first.
    asked: VecDeque<Round>,
    last_round: u32,
}

/// Clients that were pinged together.
#[derive(Debug)]
struct Round {
    number: u32,
    answer_due: Instant,
    clients: Vec<ClientId>,
}

impl Liveness {
    pub(crate) fn new(interval: Duration) -> Self {
        let wheel = Wheel {
            buckets: vec![Vec::new(); BUCKETS],
            tick: interval / BUCKETS as u32,
            next: 0,
            next_at: Instant::now(),
            asked: VecDeque::new(),
            last_round: 0,
        };
        Self { wheel: RefCell::new(wheel), wakes_at: Cell::new(None), earlier: Notify::new() }
    }

    /// Begins to ping a client. Its first ping comes after half an interval or more, and those of
    /// clients that came together are spread.
    pub(crate) fn watch(
        &self,
        client: ClientId,
        now: Instant,
        clients: &FxHashMap<ClientId, Rc<Client>>,
    ) {
        let mut wheel = self.wheel.borrow_mut();
        if wheel.tick.is_zero() {
            return;
        }
        wheel.pass_empty(now);
        // Fibonacci hashing spreads consecutive ids evenly.
        let spread = client.as_u64().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let half = BUCKETS / 2;
        let ahead = half + spread as usize % half;
        let bucket = (wheel.next + ahead) % BUCKETS;
        let at = wheel.next_at + wheel.tick * ahead as u32;
        let bucket = &mut wheel.buckets[bucket];
        // Those who have left are found when the bucket has its turn; with long intervals that is
        // late.
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
    /// Turns past the buckets that are empty, up to a time.
    fn pass_empty(&mut self, now: Instant) {
        for _ in 0..BUCKETS {
            if self.next_at > now || !self.buckets[self.next].is_empty() {
                return;
            }
            self.turn();
        }
        // It stood still while there was nobody.
        self.next_at = self.next_at.max(now);
    }

    fn turn(&mut self) {
        self.next = (self.next + 1) % BUCKETS;
        self.next_at += self.tick;
    }

    /// When there is something to do next.
    fn next_event(&self) -> Option<Instant> {
        let from_next = self.buckets[self.next..].iter().chain(&self.buckets[..self.next]);
        let ping = from_next
            .enumerate()
            .find(|(_, bucket)| !bucket.is_empty())
            .map(|(ahead, _)| self.next_at + self.tick * ahead as u32);
        let answer = self.asked.front().map(|round| round.answer_due);
        ping.into_iter().chain(answer).min()
    }

    /// The round whose answers are due.
    fn take_due(&mut self, now: Instant) -> Option<Round> {
        self.asked.pop_front_if(|round| round.answer_due <= now)
    }

    /// Those whose turn it is; who has left is forgotten.
    fn take_turn(
        &mut self,
        now: Instant,
        clients: &FxHashMap<ClientId, Rc<Client>>,
    ) -> Vec<ClientId> {
        self.pass_empty(now);
        if self.next_at > now {
            return Vec::new();
        }
        let bucket = &mut self.buckets[self.next];
        bucket.retain(|client| clients.contains_key(client));
        let taken = bucket.clone();
        self.turn();
        // After a long pause not all buckets at once.
        self.next_at = self.next_at.max(now);
        taken
    }

    /// The number of the next round: never 0.
    fn next_round(&mut self) -> u32 {
        self.last_round = self.last_round.checked_add(1).unwrap_or(1);
        self.last_round
    }
}

/// Pings the shard's clients for as long as the shard runs.
pub(super) async fn run(shard: Rc<Shard>) {
    let liveness = &shard.liveness;
    loop {
        let next = liveness.wheel.borrow().next_event();
        liveness.wakes_at.set(next);
        let earlier = liveness.earlier.notified();
        match next {
            None => earlier.await,
            Some(at) => {
                select(pin!(shard.time_limits.until(at)), pin!(earlier)).await;
            }
        }
        let now = Instant::now();
        cut_unanswered(&shard, now);
        ping_due(&shard, now);
    }
}

fn cut_unanswered(shard: &Rc<Shard>, now: Instant) {
    loop {
        let due = shard.liveness.wheel.borrow_mut().take_due(now);
        let Some(Round { number, clients, .. }) = due else { return };
        for client in clients.into_iter().filter_map(|id| shard.client(id)) {
            if !client.is_open() {
                // Asked before it closed: it has its own time to leave in.
                continue;
            }
            if client.unanswered() == Some(number) && shard.reviews.is_full(client.id()) {
                // It is not read, for the host has not decided on its messages.
                client.note_heard();
            } else if client.unanswered() == Some(number) {
                shard.context.counters.ping_timeouts.add(1);
                client.cut(1006, "it did not answer a ping");
            }
        }
    }
}

fn ping_due(shard: &Rc<Shard>, now: Instant) {
    let mut wheel = shard.liveness.wheel.borrow_mut();
    let clients = wheel.take_turn(now, &shard.clients.borrow());
    if clients.is_empty() {
        return;
    }
    let number = wheel.next_round();
    for client in clients.iter().filter_map(|id| shard.client(*id)) {
        shard.drain_if(&client, client.ping(number));
    }
    let answer_due = now + shard.context.options.ping_timeout;
    wheel.asked.push_back(Round { number, answer_due, clients });
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(100);

    /// Turns the wheel until a time, and tells when each client had its turn.
    fn turns(liveness: &Liveness, from: Instant, to: Instant) -> Vec<(u64, Duration)> {
        let mut turns = Vec::new();
        let everyone = FxHashMap::default();
        let mut wheel = liveness.wheel.borrow_mut();
        while let Some(at) = wheel.next_event().filter(|at| *at <= to) {
            let bucket = wheel.buckets[wheel.next].clone();
            // Nobody is in `everyone`, so each client has one turn.
            wheel.take_turn(at, &everyone);
            turns.extend(bucket.iter().map(|id| (id.as_u64(), at - from)));
        }
        turns
    }

    #[test]
    fn the_first_ping_comes_after_half_an_interval_and_those_of_many_are_spread() {
        let liveness = Liveness::new(INTERVAL);
        // It stood still for long before anybody came.
        let start = Instant::now() + INTERVAL * 10;
        for number in 1..=1000 {
            liveness.watch(ClientId::new(number, 0), start, &FxHashMap::default());
        }
        let turns = turns(&liveness, start, start + INTERVAL);
        let second = Duration::from_secs(1);
        assert!(turns.iter().all(|(_, at)| (INTERVAL / 2..INTERVAL + second).contains(at)));
        let mut seconds: Vec<_> = turns.iter().map(|(_, at)| at.as_secs()).collect();
        seconds.dedup();
        assert!(seconds.len() > 40, "{seconds:?}");
    }
}

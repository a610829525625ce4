//! When a place that is kept for a client is given up, and when a room that is empty counts as vacated.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use super::place::IdentityKey;
use crate::event::ClientId;

/// A time. The number distinguishes those at the same time.
pub(super) type TimerKey = (Instant, u64);

/// What is due at a time.
#[derive(Debug, Clone, Copy)]
pub(super) enum Due {
    /// The place of a client is given up.
    Place { client: ClientId, identity: IdentityKey },
    /// The room is vacated.
    Vacancy,
}

/// All times for which a table of members waits.
#[derive(Debug)]
pub(super) struct Timers {
    waiting: BTreeMap<TimerKey, (Arc<str>, Due)>,
    last_number: u64,
    /// How many there may be.
    most: usize,
}

impl Timers {
    pub(super) fn new(most: usize) -> Self {
        Self { waiting: BTreeMap::new(), last_number: 0, most }
    }

    pub(super) fn add(&mut self, at: Instant, room: &Arc<str>, due: Due) -> TimerKey {
        self.last_number += 1;
        let key = (at, self.last_number);
        self.waiting.insert(key, (Arc::clone(room), due));
        key
    }

    pub(super) fn remove(&mut self, key: TimerKey) {
        self.waiting.remove(&key);
    }

    pub(super) fn first(&self) -> Option<Instant> {
        self.waiting.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes the first, if its time has come, or if there are too many.
    pub(super) fn pop_due(&mut self, now: Option<Instant>) -> Option<(TimerKey, Arc<str>, Due)> {
        let (at, _) = *self.waiting.first_key_value()?.0;
        if now.is_some_and(|now| at <= now) || self.waiting.len() > self.most {
            return self.pop();
        }
        None
    }

    /// Takes the first.
    pub(super) fn pop(&mut self) -> Option<(TimerKey, Arc<str>, Due)> {
        self.waiting.pop_first().map(|(key, (room, due))| (key, room, due))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}

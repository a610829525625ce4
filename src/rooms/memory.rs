//! What a room keeps in memory: where it stands, and its history. Room alone uses it, under its lock.
//!
//! Invariant: `kept`, what all rooms keep, changes with each history.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use crate::{
    context::Context,
    fanout::command::RoomHead,
    history::History,
    past::{LastGiven, PastGiven, PastWanted},
    position::Position,
    published::Published,
};

#[derive(Debug)]
pub(super) struct Memory {
    /// The offset of the last message; 0 before the first. It counts without a history too.
    pub(super) offset: u64,
    /// The number of the last delivery: lanes count what is not stored too.
    pub(super) number: u64,
    history: History,
    last_given: LastGiven,
}

impl Memory {
    pub(super) fn new(offset: u64) -> Self {
        let (history, last_given) = Default::default();
        Self { offset, number: offset, history, last_given }
    }

    /// Stores messages that have their offsets.
    pub(super) fn store(
        &mut self,
        messages: impl Iterator<Item = Published>,
        context: &Context,
        kept: &AtomicUsize,
    ) {
        let before = self.history.bytes();
        let now = context.age_clock.coarse_now();
        self.history.append(messages, now, &context.options);
        note_kept(kept, before, self.history.bytes());
    }

    /// Returns what a client gets of the past.
    pub(super) fn past(&mut self, room: &RoomHead, wanted: &PastWanted) -> PastGiven {
        let (count, recovery) =
            wanted.of(Position::of(room.epoch, self.offset), self.history.len());
        let position = Position::of(room.epoch, self.offset - count as u64);
        let floor = self.offset.saturating_sub(wanted.most as u64);
        let messages = self.last_given.get(self.offset, count, || self.history.last(count));
        let since = wanted.since;
        PastGiven { messages, since, recovery, ..PastGiven::nothing(position, floor) }
    }

    /// Forgets messages that are too old, and notes that in what all rooms keep.
    pub(super) fn forget_old(&mut self, context: &Context, kept: &AtomicUsize) {
        let before = self.history.bytes();
        self.history.forget_older_than(context.options.history_age, context.age_clock.coarse_now());
        note_kept(kept, before, self.history.bytes());
    }

    /// Returns up to `count` messages, as [`Room::before`](super::room::Room::before) does.
    pub(super) fn before(
        &self,
        end: Option<u64>,
        floor: u64,
        (count, size): (usize, usize),
    ) -> (Vec<(u64, Published)>, bool) {
        let next = self.offset + 1;
        let end = end.unwrap_or(next).min(next);
        let mut offset = end;
        let mut left = size;
        let mut found = Vec::new();
        for published in self.history.newest_first().skip((next - end) as usize) {
            offset -= 1;
            let len = published.message.data().len();
            let is_enough = found.len() == count || (len > left && !found.is_empty());
            if offset <= floor || is_enough {
                let has_more = offset > floor;
                found.reverse();
                return (found, has_more);
            }
            left = left.saturating_sub(len);
            found.push((offset, published.clone()));
        }
        found.reverse();
        (found, false)
    }

    /// Returns after what time the last message is too old; `None` if there is none that is not.
    pub(super) fn left(&mut self, context: &Context, kept: &AtomicUsize) -> Option<Duration> {
        self.forget_old(context, kept);
        self.history.left(context.options.history_age, context.age_clock.coarse_now())
    }

    /// Drops the oldest messages, but the last `least`, while all histories together are over a bound.
    pub(super) fn shrink(&mut self, kept: &AtomicUsize, bound: usize, least: usize) {
        while kept.load(Ordering::Relaxed) > bound && self.history.len() > least {
            let before = self.history.bytes();
            self.history.forget_oldest();
            note_kept(kept, before, self.history.bytes());
        }
    }

    /// Drops all messages.
    pub(super) fn clear(&mut self, kept: &AtomicUsize) {
        note_kept(kept, self.history.bytes(), 0);
        self.history = History::default();
    }

    /// Returns what the history costs, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.history.bytes()
    }
}

/// Updates `kept`, the bytes of all histories, after one has changed.
fn note_kept(kept: &AtomicUsize, before: usize, after: usize) {
    if after == before {
        // The usual case: a full history of equal messages drops one for each new one.
    } else if after > before {
        kept.fetch_add(after - before, Ordering::Relaxed);
    } else {
        kept.fetch_sub(before - after, Ordering::Relaxed);
    }
}

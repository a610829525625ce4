//! What a room keeps in memory: where it stands, and its history. Room alone uses it, under its lock.
//!
//! Invariant: `kept`, what all rooms keep, changes with each history.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use super::part::{Part, gap_after};
use crate::{
    context::Context,
    fanout::command::RoomHead,
    history::History,
    past::{LastGiven, PastGiven, PastWanted},
    position::Position,
    published::Published,
    stored::{Gap, Range},
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

    /// Returns a part of what is kept, as [`Room::part`](super::room::Room::part) does.
    pub(super) fn part(&self, epoch: u64, range: Range, (count, size): (usize, usize)) -> Part {
        let top = Position::of(epoch, self.offset);
        // Everything after this offset is kept.
        let floor = self.offset - self.history.len() as u64;
        let position = match range {
            Range::Last => Position { offset: self.offset + 1, epoch },
            Range::After(position) | Range::Before(position) => position,
        };
        if let Range::After(position) = range {
            let gap = gap_after(position, top, floor);
            let after = if gap.is_some() || position.is_none() { floor } else { position.offset };
            return Part { gap, ..self.after(after - floor, (count, size)) };
        }
        let gap = match range {
            Range::Before(position) => gap_after(position, top, 0),
            _ => None,
        };
        if gap.is_some_and(|gap| gap != Gap::Ahead) || position.is_none() {
            return Part { gap, ..Part::default() };
        }
        let (messages, has_more) = self.before(Some(position.offset), floor, (count, size));
        Part { messages, has_more, gap }
    }

    /// Returns up to `count` of the messages behind the first `skipped`, of at most `size` bytes in all, but at least one.
    fn after(&self, skipped: u64, (count, size): (usize, usize)) -> Part {
        let first = self.offset - self.history.len() as u64 + skipped + 1;
        let mut left = size;
        let mut messages = Vec::new();
        for (offset, published) in (first..).zip(self.history.oldest_first(skipped as usize)) {
            let len = published.message.data().len();
            if messages.len() == count || (len > left && !messages.is_empty()) {
                return Part { messages, has_more: true, gap: None };
            }
            left = left.saturating_sub(len);
            messages.push((offset, published.clone()));
        }
        Part { messages, has_more: false, gap: None }
    }

    /// Drops the messages up to an offset.
    pub(super) fn trim(&mut self, up_to: u64, kept: &AtomicUsize) {
        let before = self.history.bytes();
        while self.history.len() as u64 > self.offset.saturating_sub(up_to) {
            self.history.forget_oldest();
        }
        note_kept(kept, before, self.history.bytes());
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

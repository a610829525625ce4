//! Which messages are dropped: all, or the oldest beyond a size or an age.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use bytes::Buf;

use super::{
    Outbox,
    chunk::{Chunk, ChunkKind},
};
use crate::frame;

impl Outbox {
    /// Drops everything of which the client has received nothing, but control frames. Returns how many messages that
    /// were.
    pub(crate) fn drop_all(&mut self) -> u64 {
        if self.form.says_more() {
            self.drop_objects()
        } else {
            self.drop_while(false, |_, _| true)
        }
    }

    /// Drops the oldest messages until the rest fits into `bound`, and returns how many. Replays stay, since they do
    /// not count. What is no message may be more than fits.
    pub(crate) fn trim(&mut self, bound: usize) -> u64 {
        self.drop_oldest(true, |_, size| size > bound)
    }

    /// Drops the messages that have waited for longer than `age`, and returns how many.
    pub(crate) fn drop_older_than(&mut self, age: Duration, now: Instant) -> u64 {
        self.restart_loading(now);
        self.drop_oldest(false, |since, _| now.saturating_duration_since(since) >= age)
    }

    /// Drops the oldest whole messages while `condition` holds of the age and the outbox's size; none of an event
    /// stream, whose client has to come back to learn what it lacks.
    fn drop_oldest(
        &mut self,
        keeps_replays: bool,
        condition: impl Fn(Instant, usize) -> bool,
    ) -> u64 {
        if self.form.is_event_stream() {
            0
        } else if self.form.tells_drops() {
            self.drop_told(keeps_replays, condition)
        } else {
            self.drop_while(keeps_replays, condition)
        }
    }

    /// Drops the oldest frames while `condition` holds: all are messages, but for control frames.
    fn drop_while(
        &mut self,
        keeps_replays: bool,
        condition: impl Fn(Instant, usize) -> bool,
    ) -> u64 {
        let mut dropped = 0;
        let mut kept = VecDeque::<Chunk>::new();
        while let Some(mut chunk) = self.chunks.pop_front() {
            if !condition(chunk.since, self.size) {
                self.chunks.push_front(chunk);
                break;
            }
            if chunk.kind.is_control() || (chunk.kind.is_replay() && keeps_replays) {
                kept.push_back(chunk);
                continue;
            }
            if chunk.kind == ChunkKind::Replay {
                dropped += self.replays.pop_front().map_or(0, |replay| replay.len() as u64);
                continue;
            }
            self.size -= chunk.size();
            if let Some(begun) = chunk.split_begun() {
                self.size += begun.size();
                kept.push_back(begun);
            }
            while !chunk.bytes.is_empty() && condition(chunk.since, self.size + chunk.size()) {
                chunk.bytes.advance(frame::first_len(&chunk.bytes));
                dropped += 1;
            }
            if !chunk.bytes.is_empty() {
                self.size += chunk.size();
                self.chunks.push_front(chunk);
                break;
            }
        }
        while let Some(chunk) = kept.pop_back() {
            self.chunks.push_front(chunk);
        }
        if let Some(since) = self.oldest() {
            self.fill(since);
        }
        dropped
    }
}

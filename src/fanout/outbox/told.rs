//! How messages are dropped in a wire form that says more than messages: nothing else is dropped, and in place of the
//! messages the client is told how many they were.

use std::{collections::VecDeque, time::Instant};

use super::{
    Outbox,
    chunk::{Chunk, ChunkKind},
    gaps::Gap,
};
use crate::{
    frame,
    json::{self, MessageHead},
    position::Position,
};

impl Outbox {
    /// Drops the oldest messages while `condition` holds of the age and the outbox's size.
    pub(super) fn drop_told(
        &mut self,
        keeps_replays: bool,
        condition: impl Fn(Instant, usize) -> bool,
    ) -> u64 {
        let mut dropped = 0;
        if !keeps_replays {
            // There are only replays to be dropped in it: every message was.
            for taken in self.kept.take() {
                if taken.chunk.kind.is_replay() && condition(taken.chunk.since, self.size()) {
                    dropped += self.drop_messages(taken.chunk, &condition);
                } else {
                    self.kept.put_back(taken);
                }
            }
        }
        while let Some(chunk) = self.chunks.pop_front() {
            if !condition(chunk.since, self.size()) {
                self.chunks.push_front(chunk);
                break;
            }
            self.size -= chunk.size();
            let stays = match chunk.kind {
                ChunkKind::Messages => false,
                ChunkKind::Page | ChunkKind::Replay => keeps_replays,
                _ => true,
            };
            if stays {
                self.kept.push(chunk);
            } else {
                dropped += self.drop_messages(chunk, &condition);
            }
        }
        if let Some(since) = self.oldest() {
            self.fill(since);
        }
        dropped
    }

    /// Drops the first messages of a chunk, which was taken out, while `condition` holds. What is left of it comes
    /// first again. Returns how many they were.
    fn drop_messages(
        &mut self,
        mut chunk: Chunk,
        condition: &impl Fn(Instant, usize) -> bool,
    ) -> u64 {
        if chunk.kind == ChunkKind::Replay {
            return self.drop_replay(chunk.since);
        }
        let since = chunk.since;
        if let Some(begun) = chunk.split_begun() {
            self.kept.push(begun);
        }
        let mut dropped = 0;
        while !chunk.bytes.is_empty() && condition(since, self.size() + chunk.size()) {
            let frame = chunk.bytes.split_to(frame::first_len(&chunk.bytes));
            match json::parse_message(&frame) {
                Some(head) => {
                    let (room, position) = match head {
                        MessageHead::Room { token, position } => (token, position),
                        MessageHead::Other => ("", Position::NONE),
                    };
                    self.kept.push_gap(room, Gap::of(position), since);
                    dropped += 1;
                }
                // Nobody is told of a signal that is late.
                None if json::is_signal(&frame) => {}
                None => {
                    // Positions before and behind it may be of two histories.
                    let is_entered = json::is_entered(&frame);
                    self.kept.push_object(frame, since);
                    if is_entered {
                        self.kept.close_gaps();
                    }
                }
            }
        }
        if !chunk.bytes.is_empty() {
            self.size += chunk.size();
            self.chunks.push_front(chunk);
        }
        dropped
    }

    /// Drops the messages that are left of the first replay: what encloses them is still said.
    fn drop_replay(&mut self, since: Instant) -> u64 {
        let Some(mut replay) = self.replays.pop_front() else { return 0 };
        if let Some(entered) = replay.take_entered() {
            self.kept.push_object(entered, since);
            self.kept.close_gaps();
        }
        let count = replay.len() as u64;
        if count > 0 {
            let (after, before) = replay.positions();
            self.kept.push_gap(&replay.room_token(), Gap { after, before, count }, since);
        }
        self.kept.push_object(replay.live(), since);
        count
    }

    /// Drops everything of which the client has received nothing, but control frames. Returns how many messages that
    /// were.
    pub(super) fn drop_objects(&mut self) -> u64 {
        let mut dropped: u64 = self.replays.drain(..).map(|replay| replay.len() as u64).sum();
        let kept: Vec<_> = self.kept.take().map(|taken| taken.chunk).collect();
        let mut left = VecDeque::new();
        for mut chunk in kept.into_iter().chain(std::mem::take(&mut self.chunks)) {
            if chunk.kind.is_control() {
                left.push_back(chunk);
                continue;
            }
            left.extend(chunk.split_begun());
            if matches!(chunk.kind, ChunkKind::Messages | ChunkKind::Page) {
                dropped += self.form.count_messages(&chunk.bytes);
            }
        }
        self.size = left.iter().map(Chunk::size).sum();
        self.chunks = left;
        dropped
    }
}

//! What a client's socket did not take yet.
//!
//! A delivery adds slices of one copy that all lagging clients share; the shard's tick writes them when the
//! socket takes more. Past its bounds the client is a slow consumer: a shard never waits for one client on
//! behalf of another.
//!
//! The replay of a history is a chunk that is filled when its turn comes. It does not count for the bounds: its
//! messages are shared with the history and with other clients, and a page of it is in memory at a time.
//!
//! Invariant: the first bytes continue exactly where the socket stopped, and only whole messages are dropped.

use std::{
    collections::VecDeque,
    io::IoSlice,
    ops::Deref,
    time::{Duration, Instant},
};

use bytes::{Buf, Bytes};

use super::replay::Replay;
use crate::frame;

/// What a chunk costs beside its bytes: itself, and what the allocator and the reference count need, since no
/// other client may share the bytes. Without it, many small chunks would pass the bound.
const CHUNK_OVERHEAD: usize = size_of::<Chunk>() + 64;

/// Frames that wait for one client, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    chunks: VecDeque<Chunk>,
    /// What is behind the chunks of the kind `Replay`, in their order. The first chunk is none of them.
    replays: VecDeque<Replay>,
    size: usize,
    /// How many of the chunks are control frames.
    controls: usize,
    /// How many of these are answers to pings.
    pongs: usize,
    /// The answer to the last ping, while the answer to an earlier one waits: it is queued when that is written,
    /// or before the next control frame, which may be the close frame. So a client that sends pings and reads
    /// nothing costs no memory.
    last_pong: Option<Bytes>,
}

/// How many chunks one call writes at most.
const MAX_SLICES: usize = 64;

/// The oldest chunks of an outbox.
pub(crate) struct Front<'a> {
    slices: [IoSlice<'a>; MAX_SLICES],
    count: usize,
}

impl<'a> Deref for Front<'a> {
    type Target = [IoSlice<'a>];

    fn deref(&self) -> &[IoSlice<'a>] {
        &self.slices[..self.count]
    }
}

#[derive(Debug)]
struct Chunk {
    /// Reference-counted: all clients whose sockets did not take the same bytes share them.
    bytes: Bytes,
    /// How many bytes at the start are the rest of a frame that the client has begun to receive. They are
    /// never dropped: the client could not read what follows.
    begun: usize,
    since: Instant,
    kind: ChunkKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChunkKind {
    Messages,
    /// A ping or a close frame, which is never dropped.
    Control,
    /// A pong, which is never dropped either.
    Pong,
    /// A page of a replay.
    Page,
    /// The place of the rest of a replay. It has no bytes.
    Replay,
}

impl ChunkKind {
    fn is_control(self) -> bool {
        matches!(self, Self::Control | Self::Pong)
    }

    fn is_replay(self) -> bool {
        matches!(self, Self::Page | Self::Replay)
    }
}

impl Chunk {
    /// Returns what it counts for the bound.
    fn size(&self) -> usize {
        if self.kind.is_replay() { 0 } else { self.bytes.len() + CHUNK_OVERHEAD }
    }
}

impl Outbox {
    /// Queues the rest of whole frames of which the socket took the first `taken` bytes.
    pub(crate) fn push(&mut self, frames: &Bytes, taken: usize, is_control: bool, now: Instant) {
        if is_control {
            self.push_last_pong(now);
        }
        let begun = frame_end(frames, taken) - taken;
        let bytes = frames.slice(taken..);
        let kind = if is_control { ChunkKind::Control } else { ChunkKind::Messages };
        self.push_chunk(Chunk { bytes, begun, since: now, kind });
    }

    /// Queues the last messages of a room.
    pub(crate) fn push_replay(&mut self, replay: Replay, now: Instant) {
        self.replays.push_back(replay);
        let (bytes, kind) = (Bytes::new(), ChunkKind::Replay);
        self.chunks.push_back(Chunk { bytes, begun: 0, since: now, kind });
        self.fill(now);
    }

    /// Encodes the next page, if it is a replay's turn.
    fn fill(&mut self, now: Instant) {
        while self.chunks.front().is_some_and(|chunk| chunk.kind == ChunkKind::Replay)
            && let Some(replay) = self.replays.front_mut()
        {
            let page = replay.next_page();
            if replay.is_over() {
                self.replays.pop_front();
                self.chunks.pop_front();
                // The client could not read what is behind before, so its age begins now.
                self.restart(now);
            }
            if let Some(bytes) = page {
                let kind = ChunkKind::Page;
                self.chunks.push_front(Chunk { bytes, begun: 0, since: now, kind });
            }
        }
    }

    /// Queues the answer to a ping. While one waits, only the last ping is answered behind it (RFC 6455,
    /// 5.5.3).
    pub(crate) fn push_pong(&mut self, frame: &Bytes, now: Instant) {
        self.last_pong = Some(frame.clone());
        if self.pongs == 0 {
            self.push_last_pong(now);
        }
    }

    fn push_last_pong(&mut self, now: Instant) {
        if let Some(bytes) = self.last_pong.take() {
            let kind = ChunkKind::Pong;
            self.push_chunk(Chunk { bytes, begun: 0, since: now, kind });
        }
    }

    fn push_chunk(&mut self, chunk: Chunk) {
        if !chunk.bytes.is_empty() {
            self.size += chunk.size();
            self.controls += usize::from(chunk.kind.is_control());
            self.pongs += usize::from(chunk.kind == ChunkKind::Pong);
            self.chunks.push_back(chunk);
        }
    }

    /// Resets the age of everything that waits.
    pub(crate) fn restart(&mut self, now: Instant) {
        for chunk in &mut self.chunks {
            chunk.since = now;
        }
    }

    /// Returns how many control frames wait.
    pub(crate) fn controls(&self) -> usize {
        self.controls
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Returns how many bytes wait, with the overhead of keeping them.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Returns since when the oldest byte waits.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.chunks.front().map(|chunk| chunk.since)
    }

    /// Returns the bytes that are written next, in one call: a client that lags in a busy room has a chunk for
    /// each write that its socket did not take.
    pub(crate) fn front(&self) -> Front<'_> {
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let mut count = 0;
        let filled = self.chunks.iter().take_while(|chunk| chunk.kind != ChunkKind::Replay);
        for (slice, chunk) in slices.iter_mut().zip(filled) {
            *slice = IoSlice::new(&chunk.bytes);
            count += 1;
        }
        Front { slices, count }
    }

    /// Notes that the socket took the first bytes of `front`.
    pub(crate) fn advance(&mut self, mut taken: usize, now: Instant) {
        while let Some(chunk) = self.chunks.front_mut() {
            if taken < chunk.bytes.len() || chunk.kind == ChunkKind::Replay {
                break;
            }
            taken -= chunk.bytes.len();
            self.size -= chunk.size();
            self.controls -= usize::from(chunk.kind.is_control());
            self.pongs -= usize::from(chunk.kind == ChunkKind::Pong);
            self.chunks.pop_front();
        }
        if taken > 0
            && let Some(chunk) = self.chunks.front_mut()
        {
            let begun = chunk.begun;
            chunk.begun = if taken <= begun {
                begun - taken
            } else {
                begun + frame_end(&chunk.bytes[begun..], taken - begun) - taken
            };
            let size = chunk.size();
            chunk.bytes.advance(taken);
            self.size -= size - chunk.size();
        }
        self.fill(now);
        if self.pongs == 0 && self.last_pong.is_some() {
            self.push_last_pong(now);
        }
    }

    /// Drops every message of which the client has received nothing, and returns how many.
    pub(crate) fn drop_all(&mut self) -> u64 {
        self.drop_while(false, |_, _| true)
    }

    /// Drops the oldest messages until the rest fits into `bound`, and returns how many. Replays stay, since they do
    /// not count.
    pub(crate) fn trim(&mut self, bound: usize) -> u64 {
        self.drop_while(true, |_, size| size > bound)
    }

    /// Drops the messages that have waited for longer than `age`, and returns how many.
    pub(crate) fn drop_older_than(&mut self, age: Duration, now: Instant) -> u64 {
        self.drop_while(false, |since, _| now.saturating_duration_since(since) >= age)
    }

    /// Drops the oldest whole messages while `condition` holds of the age and the outbox's size.
    fn drop_while(
        &mut self,
        keeps_replays: bool,
        condition: impl Fn(Instant, usize) -> bool,
    ) -> u64 {
        let mut dropped = 0;
        let mut kept = VecDeque::new();
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
            if chunk.begun > 0 {
                let mut bytes = chunk.bytes.split_to(chunk.begun);
                if !chunk.bytes.is_empty() {
                    // Copied: a slice would keep the dropped bytes in memory.
                    bytes = Bytes::copy_from_slice(&bytes);
                }
                let begun = Chunk { bytes, ..chunk };
                self.size += begun.size();
                kept.push_back(begun);
                chunk.begun = 0;
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

/// Returns the first end of a frame in `frames` at or after `position`.
fn frame_end(frames: &[u8], position: usize) -> usize {
    let mut end = 0;
    while end < position {
        end += frame::first_len(&frames[end..]);
    }
    end
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;

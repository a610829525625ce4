//! What a client's socket did not take yet.
//!
//! A delivery adds slices of one copy that all lagging clients share; the shard's tick writes them when the
//! socket takes more. Past its bounds the client is a slow consumer: a shard never waits for one client on
//! behalf of another.
//!
//! The replay of a history is a chunk that is filled when its turn comes. It does not count for the bounds: its
//! messages are shared with the history and with other clients, and a page of it is in memory at a time.
//!
//! Invariant: the first bytes continue exactly where the socket stopped, and only whole messages are dropped. In a
//! wire form that says more than messages, only messages are dropped, and the client is told of them.

mod chunk;
mod drop;
mod gaps;
mod kept;
mod told;

use std::{collections::VecDeque, io::IoSlice, ops::Deref, time::Instant};

use bytes::Bytes;

use self::{
    chunk::{Chunk, ChunkKind},
    kept::Kept,
};
use super::{form::Form, replay::Replay};

/// Frames that wait for one client, oldest first.
#[derive(Debug)]
pub(crate) struct Outbox {
    form: Form,
    /// What comes before `chunks` since messages between were dropped; empty if the client is not told of them.
    kept: Kept,
    chunks: VecDeque<Chunk>,
    /// What is behind the chunks of the kind `Replay`, in their order. The first chunk is none of them.
    replays: VecDeque<Replay>,
    /// What the chunks beside `kept` count for the bound.
    size: usize,
    /// How many bytes of replayed messages were encoded and are not counted yet.
    replayed: usize,
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

impl Outbox {
    pub(crate) fn new(form: Form) -> Self {
        Self {
            form,
            kept: Kept::default(),
            chunks: VecDeque::new(),
            replays: VecDeque::new(),
            size: 0,
            replayed: 0,
            controls: 0,
            pongs: 0,
            last_pong: None,
        }
    }

    /// Queues the rest of whole frames of which the socket took the first `taken` bytes.
    pub(crate) fn push(&mut self, frames: &Bytes, taken: usize, is_control: bool, now: Instant) {
        if is_control {
            self.push_last_pong(now);
        }
        let begun = self.form.end_at(frames, taken) - taken;
        let bytes = frames.slice(taken..);
        let kind = if is_control { ChunkKind::Control } else { ChunkKind::Messages };
        self.push_chunk(Chunk { bytes, begun, since: now, kind });
    }

    /// Queues the last messages of a room.
    pub(crate) fn push_replay(&mut self, replay: Replay, now: Instant) {
        self.replays.push_back(replay);
        self.chunks.push_back(Chunk::new(Bytes::new(), now, ChunkKind::Replay));
        self.fill(now);
    }

    /// Whether what waits must wait until a past is read.
    pub(crate) fn is_loading(&self) -> bool {
        let is_first = self.first().is_some_and(|chunk| chunk.kind == ChunkKind::Replay);
        is_first && self.replays.front().is_some_and(Replay::is_loading)
    }

    /// Whether a past waits that is being read under a number.
    pub(crate) fn awaits(&self, load: u64) -> bool {
        self.replays.iter().any(|replay| replay.awaits(load))
    }

    /// Puts a replay in the place of the one whose past was read under a number.
    pub(crate) fn load(&mut self, load: u64, replay: Replay, now: Instant) {
        if let Some(place) = self.replays.iter_mut().find(|it| it.awaits(load)) {
            place.replace(replay);
            self.fill(now);
        }
    }

    /// Ends the wait for pasts that are being read: they could not be.
    pub(crate) fn give_up_loading(&mut self, now: Instant) {
        self.replays.iter_mut().filter(|it| it.is_loading()).for_each(Replay::give_up);
        self.fill(now);
    }

    /// Resets the age of the places of pasts that are being read: the client can read neither them nor what is behind.
    fn restart_loading(&mut self, now: Instant) {
        let chunks = self.kept.chunks_mut().chain(&mut self.chunks);
        let places = chunks.filter(|chunk| chunk.kind == ChunkKind::Replay);
        for (place, replay) in places.zip(&self.replays) {
            if replay.is_loading() {
                place.since = now;
            }
        }
    }

    /// Encodes the next page, if it is a replay's turn.
    fn fill(&mut self, now: Instant) {
        while self.first().is_some_and(|chunk| chunk.kind == ChunkKind::Replay)
            && let Some(replay) = self.replays.front_mut()
        {
            if replay.is_loading() {
                break;
            }
            let page = replay.next_page();
            if replay.is_over() {
                self.replays.pop_front();
                self.pop_first();
                // The client could not read what is behind before, so its age begins now.
                self.restart(now);
            }
            self.replayed += page[1].len();
            for bytes in page.into_iter().rev().filter(|bytes| !bytes.is_empty()) {
                self.push_page(Chunk::new(bytes, now, ChunkKind::Page));
            }
        }
    }

    fn first(&self) -> Option<&Chunk> {
        self.kept.front().or(self.chunks.front())
    }

    fn push_page(&mut self, page: Chunk) {
        if self.kept.is_empty() {
            self.chunks.push_front(page);
        } else {
            self.kept.push_page(page);
        }
    }

    fn pop_first(&mut self) {
        let chunk = match self.kept.pop_front() {
            Some(chunk) => chunk,
            None => {
                let Some(chunk) = self.chunks.pop_front() else { return };
                self.size -= chunk.size();
                chunk
            }
        };
        self.controls -= usize::from(chunk.kind.is_control());
        self.pongs -= usize::from(chunk.kind == ChunkKind::Pong);
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
            self.push_chunk(Chunk::new(bytes, now, ChunkKind::Pong));
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
        for chunk in self.kept.chunks_mut().chain(&mut self.chunks) {
            chunk.since = now;
        }
    }

    /// Returns how many control frames wait.
    pub(crate) fn controls(&self) -> usize {
        self.controls
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.kept.is_empty() && self.chunks.is_empty()
    }

    /// Returns how many bytes wait, with the overhead of keeping them.
    pub(crate) fn size(&self) -> usize {
        self.size + self.kept.size()
    }

    /// Returns how many of the bytes that count belong to a frame of which the client has received a part.
    pub(crate) fn begun(&self) -> usize {
        self.first().filter(|first| first.size() > 0).map_or(0, |first| first.begun)
    }

    /// Takes how many bytes of replayed messages were encoded since this was last asked for.
    pub(crate) fn take_replayed(&mut self) -> usize {
        std::mem::take(&mut self.replayed)
    }

    /// Returns since when the oldest byte waits that the client could read.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.first().filter(|_| !self.is_loading()).map(|chunk| chunk.since)
    }

    /// Returns the bytes that are written next, in one call: a client that lags in a busy room has a chunk for
    /// each write that its socket did not take.
    pub(crate) fn front(&mut self) -> Front<'_> {
        self.kept.encode(MAX_SLICES);
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let mut count = 0;
        let made = self.kept.chunks().chain(&self.chunks).take_while(|chunk| !chunk.is_unmade());
        for (slice, chunk) in slices.iter_mut().zip(made) {
            *slice = IoSlice::new(&chunk.bytes);
            count += 1;
        }
        Front { slices, count }
    }

    /// Notes that the socket took the first bytes of `front`.
    pub(crate) fn advance(&mut self, mut taken: usize, now: Instant) {
        while let Some(chunk) = self.first() {
            if taken < chunk.bytes.len() || chunk.is_unmade() {
                break;
            }
            taken -= chunk.bytes.len();
            self.pop_first();
        }
        if taken > 0 {
            self.advance_first(taken);
        }
        self.fill(now);
        if self.pongs == 0 && self.last_pong.is_some() {
            self.push_last_pong(now);
        }
    }

    /// Notes that the socket took some bytes of the first chunk, but not all.
    fn advance_first(&mut self, taken: usize) {
        if !self.kept.is_empty() {
            self.kept.advance(taken);
        } else if let Some(chunk) = self.chunks.front_mut() {
            let size = chunk.size();
            chunk.advance(taken, self.form);
            self.size -= size - chunk.size();
        }
    }
}

#[cfg(test)]
mod size_tests;
#[cfg(test)]
mod tests;

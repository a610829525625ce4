//! What stays of an outbox when messages are dropped, for a client that is told of them: what is no message, and in
//! place of the messages how many they were. It comes before everything else that waits.
//!
//! Invariant: what is told of dropped messages comes behind what was before the first of them and before what was
//! behind the last. One place tells of all drops, until the client begins to receive that or a replay is behind it.

use std::{collections::VecDeque, time::Instant};

use bytes::Bytes;

use super::{
    super::form::Form,
    chunk::{CHUNK_OVERHEAD, Chunk, ChunkKind},
    gaps::{Gap, Gaps},
};

/// Up to this length, in bytes, objects that are kept share a chunk.
const MAX_SHARED: usize = 4 * 1024;

/// From this length on, in bytes, an object is not copied.
const MIN_UNCOPIED: usize = 64 * 1024;

#[derive(Debug, Default)]
pub(super) struct Kept {
    chunks: VecDeque<Chunk>,
    /// What the chunks of the kind `Gaps` tell, in their order.
    gaps: VecDeque<Gaps>,
    /// The index of the chunk that tells of the next drop.
    open: Option<usize>,
    size: usize,
}

impl Kept {
    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    pub(super) fn chunks(&self) -> impl Iterator<Item = &Chunk> {
        self.chunks.iter()
    }

    pub(super) fn chunks_mut(&mut self) -> impl Iterator<Item = &mut Chunk> {
        self.chunks.iter_mut()
    }

    pub(super) fn front(&self) -> Option<&Chunk> {
        self.chunks.front()
    }

    /// Returns what waits, in bytes, with the overhead of keeping it.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    fn size_of(chunk: &Chunk, gaps: Option<&Gaps>) -> usize {
        match (chunk.kind, gaps) {
            (ChunkKind::Gaps, Some(gaps)) => gaps.size() + CHUNK_OVERHEAD,
            _ => chunk.size(),
        }
    }

    /// Appends a chunk whole. Behind a replay, drops are told of in another place.
    pub(super) fn push(&mut self, chunk: Chunk) {
        if chunk.kind.is_replay() {
            self.open = None;
        }
        self.size += chunk.size();
        self.chunks.push_back(chunk);
    }

    /// Puts a page in front, which counts for nothing.
    pub(super) fn push_page(&mut self, page: Chunk) {
        self.open = self.open.map(|index| index + 1);
        self.chunks.push_front(page);
    }

    /// Tells of later drops in another place: a room is entered here.
    pub(super) fn close_gaps(&mut self) {
        self.open = None;
    }

    /// Appends an object.
    pub(super) fn push_object(&mut self, frame: Bytes, since: Instant) {
        if let Some(last) = self.chunks.back_mut()
            && last.kind == ChunkKind::Kept
            && last.bytes.len() + frame.len() <= MAX_SHARED
        {
            let bytes = std::mem::take(&mut last.bytes).try_into_mut();
            let mut bytes = bytes.unwrap_or_else(|shared| shared[..].into());
            bytes.extend_from_slice(&frame);
            last.bytes = bytes.freeze();
            self.size += frame.len();
        } else {
            // Copied: a slice would keep the dropped bytes in memory.
            let is_alone = frame.len() >= MIN_UNCOPIED && frame.is_unique();
            let bytes = if is_alone { frame } else { Bytes::copy_from_slice(&frame) };
            self.push(Chunk::new(bytes, since, ChunkKind::Kept));
        }
    }

    /// Appends that messages of a room were dropped; the room is raw JSON, empty for what belongs to none.
    pub(super) fn push_gap(&mut self, room: &str, gap: Gap, since: Instant) {
        let index = *self.open.get_or_insert_with(|| {
            self.chunks.push_back(Chunk::new(Bytes::new(), since, ChunkKind::Gaps));
            self.gaps.push_back(Gaps::default());
            self.size += CHUNK_OVERHEAD;
            self.chunks.len() - 1
        });
        // What was not begun yet is encoded again. No other place is behind the open one.
        self.chunks[index].bytes = Bytes::new();
        if let Some(gaps) = self.gaps.back_mut() {
            let before = gaps.size();
            gaps.add(room, gap);
            self.size += gaps.size() - before;
        }
    }

    /// Encodes what is told in the first chunks, if that is not done yet.
    pub(super) fn encode(&mut self, chunks: usize) {
        let mut gaps = self.gaps.iter();
        for chunk in self.chunks.iter_mut().take(chunks) {
            if chunk.kind == ChunkKind::Gaps
                && let Some(gaps) = gaps.next()
                && chunk.bytes.is_empty()
            {
                chunk.bytes = gaps.encode();
            }
        }
    }

    pub(super) fn pop_front(&mut self) -> Option<Chunk> {
        let chunk = self.chunks.pop_front()?;
        self.open = self.open.and_then(|index| index.checked_sub(1));
        self.size -= Self::size_of(&chunk, self.gaps.front());
        if chunk.kind == ChunkKind::Gaps {
            self.gaps.pop_front();
        }
        Some(chunk)
    }

    /// Notes that the socket took some bytes of the first chunk, but not all.
    pub(super) fn advance(&mut self, taken: usize) {
        let Some(first) = self.chunks.front_mut() else { return };
        let before = Self::size_of(first, self.gaps.front());
        if first.kind == ChunkKind::Gaps {
            // It stays as it is, since the client has begun to receive it.
            first.kind = ChunkKind::Kept;
            self.gaps.pop_front();
            self.open = self.open.filter(|index| *index > 0);
        }
        // Nothing is kept in a form of another kind of frames.
        first.advance(taken, Form::Json);
        self.size = self.size - before + first.size();
    }

    /// Takes everything, in order to keep less of it.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Taken> + use<> {
        let Self { chunks, mut gaps, open, .. } = std::mem::take(self);
        (0..).zip(chunks).map(move |(index, chunk)| {
            let gaps = (chunk.kind == ChunkKind::Gaps).then(|| gaps.pop_front()).flatten();
            Taken { chunk, gaps, is_open: open == Some(index) }
        })
    }

    /// Appends what was taken.
    pub(super) fn put_back(&mut self, taken: Taken) {
        let Some(gaps) = taken.gaps else { return self.push(taken.chunk) };
        self.open = taken.is_open.then_some(self.chunks.len());
        self.size += gaps.size() + CHUNK_OVERHEAD;
        self.chunks.push_back(taken.chunk);
        self.gaps.push_back(gaps);
    }
}

#[cfg(test)]
impl Kept {
    /// Insists on what holds between any two calls, and that the size is that of what waits.
    pub(super) fn check(&self) {
        let is_gaps = |chunk: &&Chunk| chunk.kind == ChunkKind::Gaps;
        assert_eq!(self.chunks.iter().filter(is_gaps).count(), self.gaps.len());
        let gaps: usize = self.gaps.iter().map(|gaps| gaps.size() + CHUNK_OVERHEAD).sum();
        let others = self.chunks.iter().filter(|chunk| !is_gaps(chunk));
        assert_eq!(self.size, gaps + others.map(Chunk::size).sum::<usize>());
        assert!(self.gaps.iter().all(|gaps| gaps.encode().len() <= gaps.size()));
        if let Some(open) = self.open {
            assert!(is_gaps(&&self.chunks[open]));
            let mut behind = self.chunks.range(open + 1..);
            assert!(behind.all(|chunk| !is_gaps(&chunk) && !chunk.kind.is_replay()));
        }
    }
}

/// A chunk that was taken.
pub(super) struct Taken {
    pub(super) chunk: Chunk,
    /// What it tells, if it is of the kind `Gaps`.
    gaps: Option<Gaps>,
    is_open: bool,
}

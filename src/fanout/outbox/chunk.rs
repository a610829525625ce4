//! The pieces of an outbox.

use std::time::Instant;

use bytes::{Buf, Bytes};

use crate::fanout::form::Form;

/// What a chunk costs beside its bytes: itself, and what the allocator and the reference count need, since no
/// other client may share the bytes. Without it, many small chunks would pass the bound.
pub(super) const CHUNK_OVERHEAD: usize = size_of::<Chunk>() + 64;

/// Some bytes that wait.
#[derive(Debug)]
pub(super) struct Chunk {
    /// Reference-counted: all clients whose sockets did not take the same bytes share them.
    pub(super) bytes: Bytes,
    /// How many bytes at the start are the rest of a frame or an event that the client has begun to receive. They are
    /// never dropped: the client could not read what follows.
    pub(super) begun: usize,
    pub(super) since: Instant,
    pub(super) kind: ChunkKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChunkKind {
    /// Messages, and what else is said in the client's wire form.
    Messages,
    /// A ping or a close frame, which is never dropped.
    Control,
    /// A pong, which is never dropped either.
    Pong,
    /// A page of a replay.
    Page,
    /// The place of the rest of a replay. It has no bytes.
    Replay,
    /// What was between messages that were dropped.
    Kept,
    /// What is told of dropped messages. It has no bytes before its turn comes.
    Gaps,
}

impl ChunkKind {
    pub(super) fn is_control(self) -> bool {
        matches!(self, Self::Control | Self::Pong)
    }

    pub(super) fn is_replay(self) -> bool {
        matches!(self, Self::Page | Self::Replay)
    }
}

impl Chunk {
    pub(super) fn new(bytes: Bytes, since: Instant, kind: ChunkKind) -> Self {
        Self { bytes, begun: 0, since, kind }
    }

    /// Returns what it counts for the bound.
    pub(super) fn size(&self) -> usize {
        if self.kind.is_replay() { 0 } else { self.bytes.len() + CHUNK_OVERHEAD }
    }

    /// Whether its bytes are not made yet.
    pub(super) fn is_unmade(&self) -> bool {
        match self.kind {
            ChunkKind::Replay => true,
            ChunkKind::Gaps => self.bytes.is_empty(),
            _ => false,
        }
    }

    /// Notes that the socket took some of its first bytes, but not all.
    pub(super) fn advance(&mut self, taken: usize, form: Form) {
        let begun = self.begun;
        self.begun = if taken <= begun {
            begun - taken
        } else {
            begun + form.end_at(&self.bytes[begun..], taken - begun) - taken
        };
        self.bytes.advance(taken);
    }

    /// Takes off the rest of a frame that the client has begun to receive, if there is one.
    pub(super) fn split_begun(&mut self) -> Option<Self> {
        if self.begun == 0 {
            return None;
        }
        let mut bytes = self.bytes.split_to(self.begun);
        if !self.bytes.is_empty() {
            // Copied: a slice would keep the dropped bytes in memory.
            bytes = Bytes::copy_from_slice(&bytes);
        }
        let begun = std::mem::take(&mut self.begun);
        Some(Self { bytes, begun, ..*self })
    }
}

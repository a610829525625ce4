//! What a client is told of messages that were dropped: for each room, between which positions how many are missing.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::{frame, json, position::Position};

/// How long the object of one room is at most beside the room's name, and what keeping it costs, in bytes.
const GAP_COST: usize = 256;

/// Dropped messages of several rooms, by the room's name as raw JSON; empty for what belongs to no room.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    by_room: BTreeMap<Box<str>, Gap>,
    size: usize,
}

/// Dropped messages that follow each other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gap {
    /// The position before the first that has one, and the one behind the last; none if none of them has.
    pub(super) after: Position,
    pub(super) before: Position,
    pub(super) count: u64,
}

impl Gap {
    /// Makes the gap of one message. One that is not stored has no position, and what is in no room.
    pub(super) fn of(position: Position) -> Self {
        if position.is_none() {
            return Self { after: position, before: position, count: 1 };
        }
        let Position { epoch, offset } = position;
        // The first message has the offset 1.
        let after = Position { epoch, offset: offset.saturating_sub(1) };
        Self { after, before: Position { epoch, offset: offset.saturating_add(1) }, count: 1 }
    }
}

impl Gaps {
    /// Adds a gap behind those that are there.
    pub(super) fn add(&mut self, room: &str, gap: Gap) {
        match self.by_room.get_mut(room) {
            Some(before) => {
                // A room's messages may be without positions, between others that have some.
                if before.after.is_none() {
                    before.after = gap.after;
                }
                if !gap.before.is_none() {
                    before.before = gap.before;
                }
                before.count += gap.count;
            }
            None => {
                self.size += room.len() + GAP_COST;
                self.by_room.insert(room.into(), gap);
            }
        }
    }

    /// Returns what it counts for the bound: at least the length of what is encoded.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    pub(super) fn encode(&self) -> Bytes {
        let mut buffer = Vec::with_capacity(self.size);
        for (room, gap) in &self.by_room {
            frame::append_text_with(&mut buffer, |buffer| {
                if room.is_empty() {
                    json::append_dropped_roomless(buffer, gap.count);
                } else {
                    json::append_dropped(buffer, room, gap.after, gap.before, gap.count);
                }
            });
        }
        buffer.into()
    }
}

//! The key of a subscriber in its lane.

use std::num::NonZero;

/// The number of a lane on its shard. It is reused when the lane is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
// One more than its index, so that `Option<LaneKey>` is no larger.
pub(crate) struct LaneKey(NonZero<u32>);

impl LaneKey {
    pub(super) fn new(index: usize) -> Self {
        Self(NonZero::<u32>::MIN.saturating_add(narrow(index)))
    }

    pub(super) fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// A lane, and the number of a subscriber in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(super) lane: LaneKey,
    /// One more than the subscriber's number, so that `Option<Slot>` is no larger.
    number: NonZero<u32>,
}

impl Slot {
    pub(super) fn new(lane: LaneKey, number: usize) -> Self {
        Self { lane, number: NonZero::<u32>::MIN.saturating_add(narrow(number)) }
    }

    /// Returns the subscriber's number.
    pub(super) fn number(self) -> usize {
        self.number.get() as usize - 1
    }
}

/// Converts a slab's index. It cannot saturate: a shard has fewer connections, and so lanes, than a u32 holds.
fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

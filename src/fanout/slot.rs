//! A subscriber's place in a lane.

/// The number of a lane on its shard. It is used again when the lane is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct LaneKey(pub(super) u32);

/// A subscriber's place in a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(super) lane: LaneKey,
    pub(super) number: u32,
}

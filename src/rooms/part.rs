//! A part of what a room keeps, as a host asks for it.

use crate::{position::Position, published::Published, stored::Gap};

/// A part of what a room keeps, with offsets.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) messages: Vec<(u64, Published)>,
    pub(super) has_more: bool,
    pub(super) gap: Option<Gap>,
}

/// Returns why what comes next behind a position is not there, in a room that stands at `top` and keeps everything after
/// the offset `floor`.
pub(super) fn gap_after(position: Position, top: Position, floor: u64) -> Option<Gap> {
    match position {
        Position::NONE => None,
        _ if top.is_none() => Some(Gap::NoHistory),
        _ if position.epoch != top.epoch => Some(Gap::Epoch),
        _ if position.offset > top.offset => Some(Gap::Ahead),
        _ if position.offset < floor => Some(Gap::Trimmed),
        _ => None,
    }
}

//! Many messages of the host's in one call.

use std::fmt;

use crate::{error::Error, frame::Kind};

/// One message of a batch, and the room that it is for.
#[derive(Debug, Clone, Copy)]
pub struct Publication<'a> {
    /// The room's name.
    pub room: &'a str,
    /// Text or binary.
    pub kind: Kind,
    /// The payload.
    pub data: &'a [u8],
}

impl Publication<'_> {
    /// Whether two messages are for one room.
    pub(crate) fn is_for_the_room_of(&self, other: &Self) -> bool {
        // Most hosts name it by the same bytes in memory.
        std::ptr::eq(self.room, other.room) || self.room == other.room
    }
}

/// Why a batch was not published, or not to its end.
#[derive(Debug)]
#[non_exhaustive]
pub struct BatchError {
    /// How many messages were published: the first so many of the batch.
    pub published: usize,
    /// Why those that follow were not.
    pub error: Error,
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} messages of the batch were published: {}", self.published, self.error)
    }
}

impl std::error::Error for BatchError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

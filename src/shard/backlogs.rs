//! The backlogs of all rooms on one shard: how much waits, and memory for those to come.

use super::{backlog::Backlog, inbox::Delivery};

/// From how many bytes on the inbox is not taken: what is there would have to wait with them.
const ENOUGH: usize = 128 * 1024;

/// From how many bytes on nothing is added to them.
const FULL: usize = 256 * 1024;

/// How many backlogs a shard keeps for rooms that will need one.
const MAX_SPARE: usize = 8;

/// The largest that is kept, in bytes.
const MAX_MEMORY: usize = 256 * 1024;

/// The backlogs of a shard: those that are in use by their size, and some for later.
#[derive(Debug, Default)]
pub(crate) struct Backlogs {
    // Boxed: a room that rests has a pointer.
    #[allow(clippy::vec_box)]
    spare: Vec<Box<Backlog>>,
    size: usize,
}

impl Backlogs {
    /// Appends a message to a room's backlog. Returns whether the room had none.
    pub(super) fn push(&mut self, slot: &mut Option<Box<Backlog>>, delivery: &Delivery) -> bool {
        let is_first = slot.is_none();
        let backlog = slot.get_or_insert_with(|| self.spare.pop().unwrap_or_default());
        let before = backlog.size();
        backlog.push(delivery);
        self.size += backlog.size() - before;
        is_first
    }

    /// Forgets the first batches of a room, and its backlog if there are no more.
    pub(super) fn forget(&mut self, slot: &mut Option<Box<Backlog>>, batches: usize) {
        let Some(backlog) = slot else { return };
        let before = backlog.size();
        backlog.forget(batches);
        self.size -= before - backlog.size();
        if backlog.is_empty()
            && let Some(backlog) = slot.take()
            && backlog.memory() <= MAX_MEMORY
            && self.spare.len() < MAX_SPARE
        {
            self.spare.push(backlog);
        }
    }

    /// Whether nothing waits.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// Whether so much waits that no more is to be taken.
    pub(super) fn are_enough(&self) -> bool {
        self.size >= ENOUGH
    }

    /// Whether so much waits that nothing more is to be added.
    pub(super) fn are_full(&self) -> bool {
        self.size >= FULL
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{frame::Kind, message::Message, shard::inbox::RoomId};

    fn delivery(offset: u64, len: usize) -> Delivery {
        let message = Message::new(Kind::Binary, &vec![0; len]);
        Delivery { room: RoomId(1), offset, message, exclude: None, speaker: None }
    }

    #[test]
    fn a_room_that_rests_has_no_backlog_and_those_of_others_are_used_again() {
        let mut backlogs = Backlogs::default();
        let (mut one, mut other) = (None, None);
        assert!(backlogs.push(&mut one, &delivery(1, 5)));
        assert!(!backlogs.push(&mut one, &delivery(2, 5)));
        let backlog = std::ptr::from_ref(&**one.as_ref().unwrap());
        backlogs.forget(&mut one, usize::MAX);
        assert!(one.is_none() && backlogs.size == 0);
        assert!(backlogs.push(&mut other, &delivery(1, ENOUGH)));
        assert!(std::ptr::eq(&**other.as_ref().unwrap(), backlog));
        assert!(backlogs.are_enough() && !backlogs.are_full());
    }
}

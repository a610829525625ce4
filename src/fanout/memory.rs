//! How much waits in all lanes of one shard, and the spare buffers of lanes in which nothing waits.

use super::{
    command::{Delivery, RoomHead},
    form::Form,
    segments::Segments,
};

/// While this many bytes wait, no commands are taken from the inbox: it fills, and publishers wait.
const BACKLOG: usize = 128 * 1024;

/// While this many bytes wait, no command is applied.
const FULL: usize = 256 * 1024;

/// Express deliveries are added beyond `FULL` while their own lane holds less than `EXPRESS_LANE` bytes and all
/// lanes hold less than `EXPRESS_ALL`.
const EXPRESS_LANE: usize = 32 * 1024;
const EXPRESS_ALL: usize = 1024 * 1024;

/// How many spare buffers a shard keeps.
const MAX_SPARE: usize = 8;

/// The largest buffer that is kept as a spare, in bytes.
const MAX_MEMORY: usize = 384 * 1024;

/// The size of what waits on a shard, in lanes and in sends, and some spare buffers.
#[derive(Debug, Default)]
pub(super) struct Memory {
    // Boxed as in the lanes, so that a buffer moves as a pointer.
    #[allow(clippy::vec_box)]
    spare: Vec<Box<Segments>>,
    size: usize,
    /// Bytes that were written since this was last asked for.
    drained: usize,
}

impl Memory {
    /// Appends a message to a lane's buffer. Returns whether the lane had no buffer: then nothing waited in it.
    pub(super) fn push(
        &mut self,
        slot: &mut Option<Box<Segments>>,
        (form, room): (Form, &RoomHead),
        delivery: &Delivery,
        sequence: u64,
    ) -> bool {
        let is_first = slot.is_none();
        let segments = slot.get_or_insert_with(|| self.spare.pop().unwrap_or_default());
        let before = segments.size();
        segments.push(form, room, delivery, sequence);
        self.size += segments.size() - before;
        is_first
    }

    /// Forgets the entries of a lane before one. Takes the lane's buffer if none are left.
    pub(super) fn forget(&mut self, slot: &mut Option<Box<Segments>>, before: u64) {
        let Some(segments) = slot else { return };
        let size = segments.size();
        segments.forget(before);
        let forgotten = size - segments.size();
        self.remove(forgotten);
        if segments.is_empty()
            && let Some(segments) = slot.take()
            && segments.memory() <= MAX_MEMORY
            && self.spare.len() < MAX_SPARE
        {
            self.spare.push(segments);
        }
    }

    /// Adds the size of a pending send.
    pub(super) fn add(&mut self, len: usize) {
        self.size += len;
    }

    /// Removes the size of a pending send.
    pub(super) fn remove(&mut self, len: usize) {
        self.size -= len;
        self.drained += len;
    }

    /// Takes how many bytes were written since this was last asked for.
    pub(super) fn take_drained(&mut self) -> usize {
        std::mem::take(&mut self.drained)
    }

    /// Returns how much waits, in bytes.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Whether nothing waits.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// Whether so much waits that no commands are taken from the inbox.
    pub(super) fn has_backlog(&self) -> bool {
        self.size >= BACKLOG
    }

    /// Whether so much waits that no command is applied.
    pub(super) fn is_full(&self) -> bool {
        self.size >= FULL
    }

    /// Whether so much waits that not even an express delivery is added to a lane.
    pub(super) fn is_full_for(&self, lane: Option<&Segments>) -> bool {
        let lane = lane.map_or(0, Segments::size);
        self.is_full() && (lane >= EXPRESS_LANE || self.size >= EXPRESS_ALL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fanout::command::RoomId, frame::Kind, message::Message, published::Published};

    fn delivery(offset: u64, len: usize) -> Delivery {
        let message = Message::new(Kind::Binary, &vec![0; len]).unwrap();
        let message = Published::of(message);
        Delivery {
            room: RoomId(1),
            number: offset,
            offset,
            message,
            exclude: None,
            answer: None,
            is_signal: false,
        }
    }

    #[test]
    fn a_lane_in_which_nothing_waits_gives_its_buffer_to_the_next() {
        let mut memory = Memory::default();
        let (mut one, mut other) = (None, None);
        assert!(memory.push(&mut one, (Form::Plain, &RoomHead::of(1)), &delivery(1, 5), 0));
        assert!(!memory.push(&mut one, (Form::Plain, &RoomHead::of(1)), &delivery(2, 5), 1));
        let segments = std::ptr::from_ref(&**one.as_ref().unwrap());
        memory.forget(&mut one, u64::MAX);
        assert!(one.is_none() && memory.is_empty());
        assert!(memory.push(&mut other, (Form::Plain, &RoomHead::of(1)), &delivery(1, BACKLOG), 2));
        assert!(std::ptr::eq(&**other.as_ref().unwrap(), segments));
        assert!(memory.has_backlog() && !memory.is_full());
    }

    #[test]
    fn few_and_small_buffers_are_kept_as_spares() {
        let mut memory = Memory::default();
        // 20 lanes in which something waited at once, then one in which much did.
        let mut lanes: Vec<_> = (0..20).map(|_| None).collect();
        for lane in &mut lanes {
            memory.push(lane, (Form::Plain, &RoomHead::of(1)), &delivery(1, 5), 0);
        }
        lanes.iter_mut().for_each(|lane| memory.forget(lane, u64::MAX));
        assert_eq!(memory.spare.len(), 8);
        memory.spare.clear();
        let mut large = None;
        for offset in 1..=60 {
            memory.push(
                &mut large,
                (Form::Plain, &RoomHead::of(1)),
                &delivery(offset, 10_000),
                offset,
            );
        }
        memory.forget(&mut large, u64::MAX);
        assert!(large.is_none() && memory.spare.is_empty());
    }

    #[test]
    fn the_bounds_are_what_they_say() {
        // As documented, in KiB.
        const KIB: usize = 1024;
        let (backlog, full, express_lane, express_all) =
            (128 * KIB, 256 * KIB, 32 * KIB, 1024 * KIB);
        let mut memory = Memory::default();
        for (len, has_backlog, is_full) in [
            (backlog - 1, false, false),
            (1, true, false),
            (full - backlog - 1, true, false),
            (1, true, true),
        ] {
            memory.add(len);
            assert_eq!((memory.has_backlog(), memory.is_full()), (has_backlog, is_full), "{len}");
        }
        // An express message fits while its lane has little, and all of them not too much.
        let mut lane = None;
        assert!(!memory.is_full_for(lane.as_deref()));
        memory.push(
            &mut lane,
            (Form::Plain, &RoomHead::of(1)),
            &delivery(1, express_lane - 100),
            0,
        );
        assert!(!memory.is_full_for(lane.as_deref()));
        memory.push(&mut lane, (Form::Plain, &RoomHead::of(1)), &delivery(2, 100), 1);
        assert!(memory.is_full_for(lane.as_deref()) && !memory.is_full_for(None));
        memory.add(express_all - memory.size);
        assert!(memory.is_full_for(None));
    }
}

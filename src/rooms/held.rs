//! Messages of a room that came before others that are missing.

use std::collections::BTreeMap;

use crate::{broker::Stored, position::Position};

/// How many messages, and bytes of payloads, are held. What does not fit is read later.
const MAX_MESSAGES: usize = 1024;
const MAX_BYTES: usize = 1024 * 1024;

/// Messages that came too early.
#[derive(Debug, Default)]
pub(super) struct Held {
    by_position: BTreeMap<(u64, u64), Stored>,
    bytes: usize,
}

impl Held {
    /// Holds a message, if it fits.
    pub(super) fn insert(&mut self, position: Position, stored: Stored) {
        let len = stored.published.message.data().len();
        if self.by_position.len() < MAX_MESSAGES && self.bytes + len <= MAX_BYTES {
            self.bytes += len;
            let before = self.by_position.insert((position.epoch, position.offset), stored);
            self.bytes -= before.map_or(0, |before| before.published.message.data().len());
        }
    }

    /// Takes the message at a position, if it is there.
    pub(super) fn take(&mut self, position: Position) -> Option<Stored> {
        let stored = self.by_position.remove(&(position.epoch, position.offset))?;
        self.bytes -= stored.published.message.data().len();
        Some(stored)
    }

    /// Returns the first offset that is held of an epoch.
    pub(super) fn first_of(&self, epoch: u64) -> Option<u64> {
        let mut of_epoch = self.by_position.range((epoch, 0)..=(epoch, u64::MAX));
        of_epoch.next().map(|((_, offset), _)| *offset)
    }

    /// Drops the messages for whose positions `condition` does not hold.
    pub(super) fn retain(&mut self, condition: impl Fn(Position) -> bool) {
        let bytes = &mut self.bytes;
        self.by_position.retain(|(epoch, offset), stored| {
            let is_kept = condition(Position { epoch: *epoch, offset: *offset });
            *bytes -= if is_kept { 0 } else { stored.published.message.data().len() };
            is_kept
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_position.is_empty()
    }

    /// Returns how many messages are held.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_position.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{broker::Origin, frame::Kind, message::Message, published::Published};

    fn stored(len: usize) -> Stored {
        let message = Message::new(Kind::Binary, &vec![0; len]).unwrap();
        let origin = Origin { node: 1, number: 1, client: None, is_excluded: false };
        Stored { published: Published::of(message), origin }
    }

    fn at(epoch: u64, offset: u64) -> Position {
        Position { epoch, offset }
    }

    #[test]
    fn so_many_messages_are_held_and_so_many_bytes() {
        let mut held = Held::default();
        (1..2000).for_each(|offset| held.insert(at(7, offset), stored(0)));
        assert_eq!(held.len(), 1024);
        held.retain(|_| false);
        // One that came twice counts once.
        (0..10).for_each(|_| held.insert(at(7, 1), stored(200 * 1024)));
        (2..10).for_each(|offset| held.insert(at(7, offset), stored(200 * 1024)));
        assert_eq!(held.len(), 5);
        held.insert(at(7, 20), stored(24 * 1024));
        held.insert(at(7, 21), stored(1));
        assert_eq!(held.len(), 6);
        assert!(held.take(at(7, 3)).is_some() && held.take(at(7, 3)).is_none());
        held.insert(at(7, 21), stored(200 * 1024));
        held.insert(at(7, 22), stored(1));
        assert_eq!(held.len(), 6);
        held.retain(|position| position.offset > 2);
        assert_eq!((held.len(), held.bytes), (4, 624 * 1024));
    }

    #[test]
    fn epochs_are_held_apart() {
        let mut held = Held::default();
        for position in [at(7, 5), at(7, 3), at(6, 1), at(8, 2)] {
            held.insert(position, stored(1));
        }
        assert_eq!(
            [6, 7, 8, 9].map(|epoch| held.first_of(epoch)),
            [Some(1), Some(3), Some(2), None]
        );
        assert!(held.take(at(6, 3)).is_none());
    }
}

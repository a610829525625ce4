//! Which rooms there are: by name, by id, and by how long they have been idle.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Instant,
};

use rustc_hash::FxHashMap;
use slab::Slab;

use super::room::Room;
use crate::fanout::command::RoomId;

/// How many rooms are compared to find one with a large history.
const SAMPLE: usize = 64;

/// The rooms without subscribers that have history.
#[derive(Debug, Default)]
pub(super) struct IdleRooms {
    /// The longest idle first, each with the time at which its history may have become too old.
    by_key: BTreeMap<u64, (Arc<Room>, Instant)>,
    by_time: BTreeSet<(Instant, u64)>,
}

impl IdleRooms {
    pub(super) fn insert(&mut self, key: u64, room: Arc<Room>, at: Instant) {
        self.by_key.insert(key, (room, at));
        self.by_time.insert((at, key));
    }

    /// Removes a room. Returns false if it is not there.
    pub(super) fn remove(&mut self, key: u64) -> bool {
        let removed = self.by_key.remove(&key);
        removed.is_some_and(|(_, at)| self.by_time.remove(&(at, key)))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        assert_eq!(self.by_key.len(), self.by_time.len());
        self.by_key.len()
    }

    /// Removes the room that has been idle for longest.
    pub(super) fn pop_longest(&mut self) -> Option<Arc<Room>> {
        let (key, (room, at)) = self.by_key.pop_first()?;
        self.by_time.remove(&(at, key));
        Some(room)
    }

    /// Returns the first time at which a history may have become too old.
    pub(super) fn first_time(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Removes a room whose time has come, and returns it with its key.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<(u64, Arc<Room>)> {
        let (at, key) = self.by_time.pop_first()?;
        if at > now {
            self.by_time.insert((at, key));
            return None;
        }
        self.by_key.remove(&key).map(|(room, _)| (key, room))
    }
}

/// The rooms of one server, by name.
#[derive(Debug, Default)]
pub(super) struct Directory {
    /// The index in `rooms`.
    by_name: HashMap<Arc<str>, usize>,
    by_id: FxHashMap<RoomId, usize>,
    pub(super) rooms: Slab<Arc<Room>>,
    /// The index in `rooms` of the last look-up: a host often publishes to one room for a while.
    recent: usize,
    /// The index in `rooms` where the next search for a large history begins.
    cursor: usize,
    pub(super) idle: IdleRooms,
    /// The last number given out, as a room's id or as a key of `idle`.
    last_number: u64,
    pub(super) stopped: bool,
}

impl Directory {
    pub(super) fn get(&mut self, name: &str) -> Option<&Arc<Room>> {
        let is_recent = self.rooms.get(self.recent).is_some_and(|room| **room.name() == *name);
        if !is_recent {
            self.recent = *self.by_name.get(name)?;
        }
        self.rooms.get(self.recent)
    }

    pub(super) fn get_by_id(&self, id: RoomId) -> Option<&Arc<Room>> {
        self.rooms.get(*self.by_id.get(&id)?)
    }

    pub(super) fn insert(&mut self, room: &Arc<Room>) {
        let index = self.rooms.insert(Arc::clone(room));
        self.by_name.insert(Arc::clone(room.name()), index);
        self.by_id.insert(room.id(), index);
    }

    pub(super) fn remove(&mut self, room: &Arc<Room>) {
        if let Some(index) = self.by_name.remove(room.name()) {
            self.by_id.remove(&room.id());
            self.rooms.try_remove(index);
        }
    }

    /// Returns the room with the largest history of the next few. Comparing all would take too long; repeated
    /// calls visit all.
    pub(super) fn next_large(&mut self) -> Option<Arc<Room>> {
        let indices = self.rooms.capacity().max(1);
        let from = self.cursor;
        self.cursor = (from + SAMPLE) % indices;
        let sample = (from..from + SAMPLE.min(indices))
            .filter_map(|index| self.rooms.get(index % indices))
            .max_by_key(|room| room.history_bytes());
        sample.cloned()
    }

    /// Returns how many rooms are listed, in each of the tables.
    #[cfg(test)]
    pub(super) fn sizes(&self) -> [usize; 4] {
        [self.rooms.len(), self.by_name.len(), self.by_id.len(), self.idle.len()]
    }

    pub(super) fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_is_found_by_its_name_and_by_no_other() {
        let mut directory = Directory::default();
        let rooms: Vec<_> = ["a", "b", "c"]
            .into_iter()
            .map(|name| Arc::new(Room::new(RoomId(directory.next_number()), name.into(), 1)))
            .collect();
        rooms.iter().for_each(|room| directory.insert(room));
        for name in ["a", "a", "b", "c", "c", "a"] {
            assert_eq!(&**directory.get(name).unwrap().name(), name);
        }
        assert!(directory.get("d").is_none());
        // Another room gets its index.
        directory.remove(&rooms[0]);
        assert!(directory.get("a").is_none());
        directory.insert(&Arc::new(Room::new(RoomId(9), "d".into(), 1)));
        assert!(directory.get("a").is_none());
        assert_eq!(directory.get("d").unwrap().id(), RoomId(9));
    }
}

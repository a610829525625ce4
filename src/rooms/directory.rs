//! Which rooms there are: by name, by id, and by how long they have been idle.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use rustc_hash::FxHashMap;
use slab::Slab;

use super::{forgotten::Forgotten, room::Room};
use crate::{fanout::command::RoomId, position::Position, unique::UniqueNumbers};

/// How many rooms are compared to find one with a large history.
const SAMPLE: usize = 64;

/// For how long after its last client has left a room counts as one whose people are just away.
const AWAY: Duration = Duration::from_secs(120);

/// The rooms without subscribers that have history.
#[derive(Debug, Default)]
pub(super) struct IdleRooms {
    by_key: FxHashMap<u64, IdleRoom>,
    by_time: BTreeSet<(Instant, u64)>,
    /// The keys of those that a client has left, and when. The longest idle is first, here and below.
    left: BTreeMap<u64, Instant>,
    /// The keys of those that no client has been in.
    unvisited: BTreeSet<u64>,
}

/// A room without subscribers.
#[derive(Debug)]
pub(super) struct IdleRoom {
    pub(super) room: Arc<Room>,
    /// When its history may have become too old.
    pub(super) at: Instant,
    /// When its last client has left it, if it had one.
    pub(super) left: Option<Instant>,
}

impl IdleRooms {
    pub(super) fn insert(&mut self, key: u64, idle: IdleRoom) {
        self.by_time.insert((idle.at, key));
        match idle.left {
            Some(left) => _ = self.left.insert(key, left),
            None => _ = self.unvisited.insert(key),
        }
        self.by_key.insert(key, idle);
    }

    /// Removes a room, if it is there.
    pub(super) fn remove(&mut self, key: u64) -> Option<IdleRoom> {
        let idle = self.by_key.remove(&key)?;
        self.by_time.remove(&(idle.at, key));
        self.left.remove(&key);
        self.unvisited.remove(&key);
        Some(idle)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        assert_eq!(self.by_key.len(), self.by_time.len());
        assert_eq!(self.by_key.len(), self.left.len() + self.unvisited.len());
        self.by_key.len()
    }

    /// Removes the room that has been idle for longest, of those whose people are not just away; of all if that
    /// `must` be. `except` is not removed.
    pub(super) fn pop_longest(
        &mut self,
        now: Instant,
        must: bool,
        except: Option<u64>,
    ) -> Option<Arc<Room>> {
        let unvisited = self.unvisited.iter().copied().find(|key| Some(*key) != except);
        let left = self.left.iter().find(|(key, _)| Some(**key) != except);
        let left = left.filter(|(_, left)| must || now.saturating_duration_since(**left) >= AWAY);
        let key = unvisited.into_iter().chain(left.map(|(key, _)| *key)).min()?;
        self.remove(key).map(|idle| idle.room)
    }

    /// Returns the first time at which a history may have become too old.
    pub(super) fn first_time(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Removes a room whose time has come, and returns it with its key.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<(u64, IdleRoom)> {
        let (_, key) = *self.by_time.first().filter(|(at, _)| *at <= now)?;
        self.remove(key).map(|idle| (key, idle))
    }
}

/// The rooms of one server, by name.
#[derive(Debug)]
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
    pub(super) forgotten: Forgotten,
    epochs: UniqueNumbers,
    /// The last number given out, as a room's id or as a key of `idle`.
    last_number: u64,
    pub(super) stopped: bool,
}

impl Directory {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            by_name: HashMap::default(),
            by_id: FxHashMap::default(),
            rooms: Slab::default(),
            recent: 0,
            cursor: 0,
            idle: IdleRooms::default(),
            forgotten: Forgotten::new(now),
            epochs: UniqueNumbers::default(),
            last_number: 0,
            stopped: false,
        }
    }

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

    /// Takes where a room stood when it was forgotten, or begins a new epoch.
    pub(super) fn first_position(&mut self, name: &str, now: Instant) -> Position {
        let forgotten = self.forgotten.take(name, now);
        forgotten.unwrap_or_else(|| Position { epoch: self.epochs.next(), offset: 0 })
    }

    /// Returns an epoch that no room has had.
    pub(super) fn next_epoch(&mut self) -> u64 {
        self.epochs.next()
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

    /// Returns how many calls of `next_large` visit all rooms.
    pub(super) fn samples(&self) -> usize {
        self.rooms.capacity().div_ceil(SAMPLE)
    }

    /// Returns the room with the largest history of the next few, but not `except`. Comparing all would take too
    /// long; repeated calls visit all.
    pub(super) fn next_large(&mut self, except: &Arc<Room>) -> Option<Arc<Room>> {
        let indices = self.rooms.capacity().max(1);
        let from = self.cursor;
        self.cursor = (from + SAMPLE) % indices;
        let sample = (from..from + SAMPLE.min(indices))
            .filter_map(|index| self.rooms.get(index % indices))
            .filter(|room| !Arc::ptr_eq(room, except))
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

    fn new_room(id: u64, name: &str) -> Arc<Room> {
        Arc::new(Room::new(RoomId(id), name.into(), 1, Position::NONE))
    }

    #[test]
    fn a_room_that_was_left_within_two_minutes_goes_last_and_else_the_longest_idle_first() {
        let start = Instant::now();
        let minute = Duration::from_secs(60);
        let filled = || {
            let mut idle = IdleRooms::default();
            let left = [Some(0), None, Some(1), None, Some(2)];
            for (key, left) in (1..).zip(left) {
                let left = left.map(|minutes| start + minutes * minute);
                let room = new_room(key, &key.to_string());
                idle.insert(key, IdleRoom { room, at: start + 10 * minute, left });
            }
            idle
        };
        let gone = |now, must, except| {
            let mut idle = filled();
            let rooms = std::iter::from_fn(|| idle.pop_longest(now, must, except));
            let gone: Vec<_> = rooms.map(|room| room.id().0).collect();
            assert_eq!(idle.len(), 5 - gone.len());
            gone
        };
        assert_eq!(gone(start + 2 * minute - Duration::from_nanos(1), false, None), [2, 4]);
        assert_eq!(gone(start + 2 * minute, false, None), [1, 2, 4]);
        assert_eq!(gone(start + 3 * minute, false, None), [1, 2, 3, 4]);
        assert_eq!(gone(start + 4 * minute, false, None), [1, 2, 3, 4, 5]);
        assert_eq!(gone(start, true, None), [1, 2, 3, 4, 5]);
        // The room that has grown stays.
        assert_eq!(gone(start + 4 * minute, false, Some(1)), [2, 3, 4, 5]);
        assert_eq!(gone(start, true, Some(2)), [1, 3, 4, 5]);
    }

    #[test]
    fn a_room_is_found_by_its_name_and_by_no_other() {
        let mut directory = Directory::new(Instant::now());
        let rooms: Vec<_> =
            ["a", "b", "c"].map(|name| new_room(directory.next_number(), name)).into();
        rooms.iter().for_each(|room| directory.insert(room));
        for name in ["a", "a", "b", "c", "c", "a"] {
            assert_eq!(&**directory.get(name).unwrap().name(), name);
        }
        assert!(directory.get("d").is_none());
        // Another room gets its index.
        directory.remove(&rooms[0]);
        assert!(directory.get("a").is_none());
        directory.insert(&new_room(9, "d"));
        assert!(directory.get("a").is_none());
        assert_eq!(directory.get("d").unwrap().id(), RoomId(9));
    }
}

//! When rooms without subscribers are forgotten, and how the histories of all rooms stay within their bound.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use super::{
    Rooms,
    directory::{Directory, IdleRoom},
    room::{ROOM_OVERHEAD, Room},
};
use crate::{fanout::command::RoomId, position::Position};

/// How many rooms are forgotten at once: the lock of the directory is held meanwhile.
const MAX_FORGOTTEN: usize = 64;

/// How much later than its history's end a room is checked: the clock of histories stands still for some
/// milliseconds at a time.
const MARGIN: Duration = Duration::from_millis(10);

impl Rooms {
    /// Counts one subscriber less of a room on a shard. The last one leaves the room idle, or forgotten if it
    /// has no history.
    pub(crate) fn remove_subscriber(&self, room: &Arc<Room>, shard: usize) {
        let mut directory = self.lock();
        if !room.unsubscribe(shard, self.reach()) || room.id() == RoomId::EVERYONE {
            return;
        }
        match room.retire_if_empty(&self.context, &self.kept) {
            Err(left) => {
                self.note_idle(&mut directory, room, left, Some(self.context.age_clock.now()))
            }
            Ok(position) => self.remove_retired(&mut directory, room, position),
        }
    }

    /// Lists a room without subscribers as idle, whose history is too old after a time. `left` is when its last
    /// client has left it, if it had one.
    pub(super) fn note_idle(
        &self,
        directory: &mut Directory,
        room: &Arc<Room>,
        lasts: Duration,
        left: Option<Instant>,
    ) {
        let key = directory.next_number();
        room.set_idle_key(key);
        self.kept.fetch_add(ROOM_OVERHEAD, Ordering::Relaxed);
        let at = self.context.age_clock.now() + lasts + MARGIN;
        self.insert_idle(directory, key, IdleRoom { room: Arc::clone(room), at, left });
    }

    fn insert_idle(&self, directory: &mut Directory, key: u64, idle: IdleRoom) {
        let is_earlier = directory.idle.first_time().is_none_or(|first| idle.at < first);
        directory.idle.insert(key, idle);
        if is_earlier {
            self.earlier_expiry.notify_one();
        }
    }

    /// Returns the earliest time at which an idle room is checked.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.lock().idle.first_time()
    }

    /// Waits until that time has become earlier.
    pub(crate) async fn earlier_expiry(&self) {
        self.earlier_expiry.notified().await;
    }

    /// Forgets some idle rooms whose last message is too old. Returns whether there may be more.
    pub(crate) fn forget_expired(&self) -> bool {
        let mut directory = self.lock();
        let now = self.context.age_clock.now();
        for _ in 0..MAX_FORGOTTEN {
            let Some((key, idle)) = directory.idle.pop_due(now) else { return false };
            // The host may have published to it since.
            match idle.room.retire_if_empty(&self.context, &self.kept) {
                Err(left) => {
                    let at = self.context.age_clock.now() + left + MARGIN;
                    self.insert_idle(&mut directory, key, IdleRoom { at, ..idle });
                }
                Ok(position) => {
                    self.kept.fetch_sub(ROOM_OVERHEAD, Ordering::Relaxed);
                    self.remove_retired(&mut directory, &idle.room, position);
                }
            }
        }
        true
    }

    pub(super) fn forget(&self, directory: &mut Directory, room: &Arc<Room>) {
        self.remove_retired(directory, room, room.retire(&self.kept));
    }

    /// Removes a room that is closed, and notes where it stood, if anybody may come back with that.
    pub(super) fn remove_retired(
        &self,
        directory: &mut Directory,
        room: &Arc<Room>,
        position: Option<Position>,
    ) {
        directory.remove(room);
        if let Some(position) = position {
            directory.forgotten.insert(room.name(), position, self.context.age_clock.now());
        }
        self.context.counters.rooms.sub(1);
    }

    /// Keeps all rooms' histories within their bound, after one has grown. These go, one after the other, until the rest
    /// fits:
    ///
    /// 1. rooms without subscribers, the longest idle first, but none that its last client has left within two
    ///    minutes: its people may be just away
    /// 2. the oldest messages of a large room, or else of the room that has grown, but not its last message
    /// 3. the other rooms without subscribers, the longest idle first
    /// 4. the oldest messages of the other rooms
    pub(super) fn bound_history(&self, grown: &Arc<Room>) {
        let bound = self.context.options.history_total;
        if self.fits(bound) {
            return;
        }
        // Somewhat below the bound, so that the next message does not search again.
        let slack = bound - bound / 64;
        self.evict_idle(bound, false, grown);
        if !self.fits(bound) {
            let large = self.lock().next_large(grown);
            // A room that keeps less than the one that has grown loses nothing.
            let large = large.filter(|large| large.history_bytes() > grown.history_bytes());
            match large {
                Some(large) => large.shrink(&self.kept, slack, 0),
                None => grown.shrink(&self.kept, slack, 1),
            }
            grown.shrink(&self.kept, bound, 1);
        }
        self.evict_idle(bound, true, grown);
        let mut fruitless = 0;
        while !self.fits(bound) {
            let mut directory = self.lock();
            let (large, samples) = (directory.next_large(grown), directory.samples());
            drop(directory);
            match large.filter(|large| large.history_bytes() > 0) {
                Some(large) => {
                    fruitless = 0;
                    large.shrink(&self.kept, slack, 0);
                }
                // What other threads publish meanwhile is theirs to bound.
                None if fruitless > samples => return,
                None => fruitless += 1,
            }
        }
    }

    /// Whether all histories are within a bound.
    fn fits(&self, bound: usize) -> bool {
        self.kept.load(Ordering::Relaxed) <= bound
    }

    /// Forgets rooms without subscribers until the rest fits, the longest idle first, but never the one that has grown.
    fn evict_idle(&self, bound: usize, must: bool, grown: &Arc<Room>) {
        if self.fits(bound) {
            return;
        }
        let mut directory = self.lock();
        let (now, except) = (self.context.age_clock.now(), grown.idle_key());
        while !self.fits(bound)
            && let Some(room) = directory.idle.pop_longest(now, must, except)
        {
            self.kept.fetch_sub(ROOM_OVERHEAD, Ordering::Relaxed);
            self.forget(&mut directory, &room);
        }
    }
}

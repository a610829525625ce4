//! When rooms without subscribers are forgotten, and how the histories of all rooms stay within their bound.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use super::{
    Rooms,
    directory::Directory,
    room::{ROOM_OVERHEAD, Room},
};
use crate::fanout::command::RoomId;

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
        if !room.unsubscribe(shard) || room.id() == RoomId::EVERYONE {
            return;
        }
        match room.history_left(&self.context, &self.kept) {
            Some(left) => self.note_idle(&mut directory, room, left),
            None => self.forget(&mut directory, room),
        }
    }

    /// Lists a room without subscribers as idle, whose history is too old after a time.
    pub(super) fn note_idle(&self, directory: &mut Directory, room: &Arc<Room>, left: Duration) {
        let key = directory.next_number();
        room.set_idle_key(key);
        self.kept.fetch_add(ROOM_OVERHEAD, Ordering::Relaxed);
        self.insert_idle(directory, key, room, left);
    }

    fn insert_idle(&self, directory: &mut Directory, key: u64, room: &Arc<Room>, left: Duration) {
        let at = Instant::now() + left + MARGIN;
        let is_earlier = directory.idle.first_time().is_none_or(|first| at < first);
        directory.idle.insert(key, Arc::clone(room), at);
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
        let now = Instant::now();
        for _ in 0..MAX_FORGOTTEN {
            let Some((key, room)) = directory.idle.pop_due(now) else { return false };
            // The host may have published to it since.
            match room.history_left(&self.context, &self.kept) {
                Some(left) => self.insert_idle(&mut directory, key, &room, left),
                None => {
                    self.kept.fetch_sub(ROOM_OVERHEAD, Ordering::Relaxed);
                    self.forget(&mut directory, &room);
                }
            }
        }
        true
    }

    /// Forgets a room that has neither subscribers nor history, because its last message was too long to be kept.
    pub(super) fn forget_bare(&self, room: &Arc<Room>) {
        let mut directory = self.lock();
        if directory.get_by_id(room.id()).is_none() {
            return;
        }
        if let Some(key) = room.take_idle_key_if_bare() {
            if directory.idle.remove(key) {
                self.kept.fetch_sub(ROOM_OVERHEAD, Ordering::Relaxed);
            }
            self.forget(&mut directory, room);
        }
    }

    fn forget(&self, directory: &mut Directory, room: &Arc<Room>) {
        room.retire(&self.kept);
        directory.remove(room);
        self.context.counters.rooms.sub(1);
    }

    /// Keeps all rooms' histories within their bound: idle rooms are forgotten first, then the rooms that
    /// keep most forget their oldest messages.
    pub(super) fn bound_history(&self, grown: &Arc<Room>) {
        let bound = self.context.options.history_total;
        if self.kept.load(Ordering::Relaxed) <= bound {
            return;
        }
        let mut directory = self.lock();
        while self.kept.load(Ordering::Relaxed) > bound
            && let Some(room) = directory.idle.pop_longest()
        {
            self.kept.fetch_sub(ROOM_OVERHEAD, Ordering::Relaxed);
            self.forget(&mut directory, &room);
        }
        if self.kept.load(Ordering::Relaxed) > bound {
            let large = directory.next_large();
            drop(directory);
            // A room that keeps less than the one that has grown loses nothing.
            let large = large.filter(|large| large.history_bytes() > grown.history_bytes());
            // Somewhat below the bound, so that the next message does not search again.
            let slack = bound - bound / 64;
            large.as_ref().unwrap_or(grown).shrink(&self.kept, slack);
            grown.shrink(&self.kept, bound);
        }
    }
}

//! When rooms without subscribers are forgotten, and how the histories of all rooms stay within their bound.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use super::{
    Rooms,
    directory::Directory,
    room::{ROOM_OVERHEAD, Room},
};
use crate::fanout::command::RoomId;

impl Rooms {
    /// Counts one subscriber less of a room on a shard. The last one leaves the room idle, or forgotten if it
    /// has no history.
    pub(crate) fn remove_subscriber(&self, room: &Arc<Room>, shard: usize) {
        let mut directory = self.lock();
        if !room.unsubscribe(shard) || room.id() == RoomId::EVERYONE {
            return;
        }
        if room.has_history(&self.context, &self.kept) {
            self.note_idle(&mut directory, room);
        } else {
            self.forget(&mut directory, room);
        }
        self.forget_expired(&mut directory);
    }

    /// Lists a room without subscribers as idle.
    pub(super) fn note_idle(&self, directory: &mut Directory, room: &Arc<Room>) {
        let idle = directory.next_number();
        room.set_idle_key(idle);
        directory.idle.insert(idle, (Arc::clone(room), Instant::now()));
        self.kept.fetch_add(ROOM_OVERHEAD, Ordering::Relaxed);
    }

    /// Forgets idle rooms whose last message is too old.
    pub(super) fn forget_expired(&self, directory: &mut Directory) {
        let age = self.context.options.history_age;
        while let Some(longest) = directory.idle.first_entry() {
            if longest.get().1.elapsed() <= age {
                return;
            }
            let (room, _) = longest.remove();
            self.kept.fetch_sub(ROOM_OVERHEAD, Ordering::Relaxed);
            // The host may have published to it since.
            if room.has_history(&self.context, &self.kept) {
                self.note_idle(directory, &room);
            } else {
                self.forget(directory, &room);
            }
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
            && let Some((_, (room, _))) = directory.idle.pop_first()
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

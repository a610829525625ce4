//! What the watchers of all rooms are told, and when.
//!
//! A room with news is in `dirty`, once, and in `telling` while the others of one tick are told.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rustc_hash::FxHashMap;

use super::{
    MemberTable, State, forget_if_over,
    room::RoomMembers,
    watch::{News, Told, Watch},
};
use crate::{
    event::ClientId,
    fanout::{
        command::RoomId,
        form::{Form, OBJECT_FORMS},
    },
};

/// Watchers are told of changes at most this often.
pub(super) const TICK: Duration = Duration::from_millis(250);

/// What the watchers of a room are told at one tick.
#[derive(Debug)]
pub(crate) struct Update {
    pub(crate) room: RoomId,
    pub(crate) name: Arc<str>,
    pub(crate) count: usize,
    /// For those that were told before, and for those that were not.
    pub(crate) to_old: Option<Told>,
    pub(crate) to_new: Option<Told>,
    /// Those that were not, and the numbers of their watches.
    pub(crate) new: FxHashMap<ClientId, u64>,
    /// How many watch, by shard and form.
    pub(crate) watchers: Box<[[u32; OBJECT_FORMS.len()]]>,
}

impl MemberTable {
    /// Has a client of a room watch its members. Returns the number of its watch.
    pub(crate) fn watch(&self, room: &Arc<str>, client: ClientId, form: Form) -> u64 {
        self.add_watch(&mut self.lock(), room, client, form)
    }

    /// Has a client of a room watch its members no more.
    pub(crate) fn unwatch(&self, room: &str, client: ClientId, form: Form) {
        if let Some(members) = self.lock().rooms.get_mut(room) {
            unwatch(members, client, form);
        }
    }

    /// Returns when something is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let state = self.lock();
        if state.is_stopping {
            return None;
        }
        let tick = (!state.dirty.is_empty()).then(|| match state.last_tick {
            Some(last) => last + TICK,
            None => self.now(),
        });
        tick.into_iter().chain(state.timers.first()).min()
    }

    /// Waits until something is due earlier.
    pub(crate) async fn earlier(&self) {
        self.earlier.notified().await;
    }

    /// Returns what the watchers of one room are told, if it is time; `None` if all are told.
    pub(crate) fn next_update(&self) -> Option<Update> {
        let now = self.now();
        let mut state = self.lock();
        if state.is_stopping {
            return None;
        }
        let is_due = state.last_tick.is_none_or(|last| last + TICK <= now);
        if state.telling.is_empty() && is_due && !state.dirty.is_empty() {
            state.telling = std::mem::take(&mut state.dirty);
            state.last_tick = Some(now);
        }
        loop {
            let name = state.telling.pop()?;
            let State { rooms, dirty, .. } = &mut *state;
            let Some(members) = rooms.get_mut(&name) else { continue };
            let Some(mut watch) = members.watch.take_if(|watch| watch.has_watchers()) else {
                members.watch = None;
                forget_if_over(&mut state, &name);
                continue;
            };
            let (News { to_old, to_new, new }, is_left) = watch.update(now, members.places());
            watch.is_dirty = is_left;
            if is_left {
                dirty.push(Arc::clone(&name));
            }
            let watchers = watch.watchers().into();
            members.watch = Some(watch);
            if to_old.is_some() || to_new.is_some() {
                let (room, count) = (members.id, members.places().len());
                return Some(Update { room, name, count, to_old, to_new, new, watchers });
            }
        }
    }

    pub(super) fn add_watch(
        &self,
        state: &mut State,
        room: &Arc<str>,
        client: ClientId,
        form: Form,
    ) -> u64 {
        state.last_watch += 1;
        if let Some(members) = state.rooms.get_mut(room) {
            let watch = members.watch.get_or_insert_with(|| Box::new(Watch::new(self.shards)));
            watch.add(client, form, state.last_watch);
            self.note_dirty(state, room);
        }
        state.last_watch
    }

    /// Has the watchers of a room told at the next tick, if there are any.
    pub(super) fn note_dirty(&self, state: &mut State, room: &Arc<str>) {
        let Some(members) = state.rooms.get_mut(room) else { return };
        if let Some(watch) = &mut members.watch
            && !state.is_stopping
            && !std::mem::replace(&mut watch.is_dirty, true)
        {
            state.dirty.push(Arc::clone(room));
            if state.dirty.len() == 1 {
                self.earlier.notify_one();
            }
        }
    }
}

pub(super) fn unwatch(members: &mut RoomMembers, client: ClientId, form: Form) {
    // A watch with news is removed at the next tick: so a room is listed for it once.
    members.watch.take_if(|watch| {
        watch.remove(client, form);
        !watch.has_watchers() && !watch.is_dirty
    });
}

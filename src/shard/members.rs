//! Clients of a shard as members of their rooms, and those of them that watch members.

use std::{cell::RefCell, pin::pin, rc::Rc};

use bytes::Bytes;
use futures_util::future::select;
use rustc_hash::FxHashMap;

use super::Shard;
use crate::{
    event::ClientId,
    fanout::{
        command::{Cost, MembersTold, RoomHead, RoomId, WRITE},
        inbox::QueueKind,
    },
    rooms::{client::Client, room::Room},
};

/// The cost of queueing what one watcher is told.
const TELL_COST: Cost = WRITE / 16;

/// How many rooms' watchers are told before the event loop goes on.
const MAX_ROOMS: usize = 16;

/// The clients of a shard that watch members, by room.
#[derive(Debug, Default)]
pub(super) struct Watchers(RefCell<FxHashMap<RoomId, FxHashMap<ClientId, Watcher>>>);

#[derive(Debug)]
struct Watcher {
    /// A client that has left the room and come again has another one.
    number: u64,
    /// Whether it was told who is there.
    is_told: bool,
}

impl Watchers {
    fn add(&self, room: RoomId, client: ClientId, number: u64) {
        let watcher = Watcher { number, is_told: false };
        self.0.borrow_mut().entry(room).or_default().insert(client, watcher);
    }

    fn remove(&self, room: RoomId, client: ClientId) -> bool {
        let mut rooms = self.0.borrow_mut();
        let Some(watchers) = rooms.get_mut(&room) else { return false };
        let was_there = watchers.remove(&client).is_some();
        if watchers.is_empty() {
            rooms.remove(&room);
        }
        was_there
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.borrow().values().map(FxHashMap::len).sum()
    }
}

impl Shard {
    /// Notes that a client has entered a room. `beside` is a room that it was in before.
    pub(super) fn note_entered(&self, client: &Client, room: &RoomHead, beside: Option<&str>) {
        let Some(members) = self.rooms.members() else { return };
        let (id, watch) = (client.id(), client.watches_in(&self.context));
        let number = members.enter(room, id, beside, watch, || client.known());
        if let Some(number) = number {
            self.watchers.add(room.id, id, number);
        }
    }

    /// Notes that a client has left a room.
    pub(super) fn note_left(&self, client: &Client, room: &Room) {
        if client.is_member() {
            self.leave_members(client, room);
        }
    }

    fn leave_members(&self, client: &Client, room: &Room) {
        let Some(members) = self.rooms.members() else { return };
        let is_watching = self.watchers.remove(room.id(), client.id());
        let watch = Some(client.out().form()).filter(|_| is_watching);
        members.leave(room.name(), client.id(), client.may_return(), watch);
    }

    /// Notes that a client is no member of its rooms any more, since its connection has ended. It may leave them later.
    pub(crate) fn note_gone(&self, client: &Client) {
        if self.rooms.members().is_some() {
            client.with_rooms(|rooms| rooms.for_each(|room| self.leave_members(client, room)));
            client.set_gone();
        }
    }

    /// Notes that a client is called something else. Returns what it costs.
    pub(super) fn note_profile(&self, client: &Client) -> Cost {
        let Some(members) = self.rooms.members() else { return 0 };
        let known = client.known();
        client.with_rooms(|rooms| members.change(rooms.map(|room| room.name()), &known));
        client.rooms() * (WRITE / 64)
    }

    /// Applies the host's `set_members`. Returns what it costs.
    pub(super) fn set_members(&self, id: ClientId, may: bool) -> Cost {
        let Some((client, members)) = self.client(id).zip(self.rooms.members()) else { return 0 };
        let before = client.watches_in(&self.context);
        client.set_may_watch(may);
        let after = client.watches_in(&self.context);
        if before == after || !client.is_member() {
            return 0;
        }
        client.with_rooms(|rooms| {
            for room in rooms {
                if let Some(form) = after {
                    let number = members.watch(room.name(), id, form);
                    self.watchers.add(room.id(), id, number);
                } else if let Some(form) = before
                    && self.watchers.remove(room.id(), id)
                {
                    members.unwatch(room.name(), id, form);
                }
            }
        });
        client.rooms() * (WRITE / 64)
    }

    /// Tells those who watch a room what has changed. Returns what it costs.
    pub(super) fn tell_watchers(&self, told: &MembersTold) -> Cost {
        let mut rooms = self.watchers.0.borrow_mut();
        let Some(watchers) = rooms.get_mut(&told.room) else { return 0 };
        let mut fanout = self.fanout.borrow_mut();
        for (id, watcher) in watchers.iter_mut() {
            let is_new = told.new.get(id) == Some(&watcher.number);
            if !is_new && !watcher.is_told {
                // Its list comes with the next tick.
                continue;
            }
            watcher.is_told = true;
            let Some(client) = self.client(*id) else { continue };
            let Some(index) = client.out().form().object_index() else { continue };
            let frames = &told.frames[index];
            let frame: &Option<Bytes> = if is_new { &frames.to_new } else { &frames.to_old };
            if let Some(frame) = frame {
                fanout.send(client.out(), frame.clone(), false);
            }
        }
        watchers.len() * TELL_COST
    }
}

/// Gathers what changes among the members of all rooms, and tells those who watch, while the shard runs. One shard of a
/// server does it.
pub(super) async fn gather(shard: Rc<Shard>) {
    let Some(members) = shard.rooms.members() else { return };
    loop {
        let earlier = members.earlier();
        match shard.rooms.next_members_due() {
            None => earlier.await,
            Some(at) => {
                let at = shard.shared.clock.of_system(at);
                select(pin!(shard.deadlines.until(at)), pin!(earlier)).await;
            }
        }
        let mut rooms = 0;
        while shard.rooms.tell_members() {
            rooms += 1;
            if rooms % MAX_ROOMS == 0 {
                shard.reactor.yield_now().await;
                shard.rooms.space(QueueKind::Commands).await;
            }
        }
    }
}

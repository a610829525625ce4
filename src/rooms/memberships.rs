//! The rooms that one client is in.

use std::{collections::VecDeque, sync::Arc};

use rustc_hash::FxHashMap;

use super::room::Room;
use crate::fanout::{Slot, command::RoomId};

/// A client's membership in one room.
#[derive(Debug)]
pub(crate) struct Membership {
    pub(crate) room: Arc<Room>,
    pub(crate) slot: Slot,
}

/// A client's memberships. Nearly all clients have one: further ones are behind a pointer, in a map, so
/// that joining and leaving cost the same however many there are.
#[derive(Debug, Default)]
pub(crate) struct Memberships {
    /// The room that the client publishes to: of those that it is in, the one that it joined first.
    first: Option<Membership>,
    more: Option<Box<More>>,
}

/// The memberships beside the first.
#[derive(Debug, Default)]
struct More {
    by_room: FxHashMap<RoomId, (u64, Membership)>,
    /// The rooms and their numbers in the order of joining. Rooms that the client has left are skipped.
    order: VecDeque<(u64, RoomId)>,
    last_number: u64,
}

/// How many rooms that the client has left may be in `order` before it is cleaned up.
const MAX_LEFT: usize = 16;

impl More {
    fn insert(&mut self, membership: Membership) {
        self.last_number += 1;
        let room = membership.room.id();
        self.order.push_back((self.last_number, room));
        self.by_room.insert(room, (self.last_number, membership));
        if self.order.len() > 2 * self.by_room.len() + MAX_LEFT {
            let is_there = |number: u64, room: &RoomId| {
                self.by_room.get(room).is_some_and(|(current, _)| *current == number)
            };
            self.order.retain(|(number, room)| is_there(*number, room));
        }
    }

    /// Removes the membership in the room that was joined first.
    fn pop_first(&mut self) -> Option<Membership> {
        while let Some((number, room)) = self.order.pop_front() {
            let is_current = self.by_room.get(&room).is_some_and(|(current, _)| *current == number);
            if is_current {
                return self.by_room.remove(&room).map(|(_, membership)| membership);
            }
        }
        None
    }
}

impl Memberships {
    /// Adds a room that the client is not in yet.
    pub(crate) fn add(&mut self, membership: Membership) {
        if self.first.is_none() {
            self.first = Some(membership);
        } else {
            self.more.get_or_insert_default().insert(membership);
        }
    }

    pub(crate) fn has(&self, room: RoomId) -> bool {
        self.get(room).is_some()
    }

    /// Returns the membership in a room.
    pub(crate) fn get(&self, room: RoomId) -> Option<&Membership> {
        if let Some(first) = self.first.as_ref().filter(|first| first.room.id() == room) {
            return Some(first);
        }
        self.more.as_ref()?.by_room.get(&room).map(|(_, membership)| membership)
    }

    /// Returns the membership in the room that the client publishes to.
    pub(crate) fn first(&self) -> Option<&Membership> {
        self.first.as_ref()
    }

    /// Removes the membership in a room.
    pub(crate) fn remove(&mut self, room: RoomId) -> Option<Membership> {
        if self.first.as_ref().is_some_and(|first| first.room.id() == room) {
            return self.pop();
        }
        let more = self.more.as_mut()?;
        let (_, membership) = more.by_room.remove(&room)?;
        self.more.take_if(|more| more.by_room.is_empty());
        Some(membership)
    }

    /// Removes the membership in the room that the client publishes to.
    pub(crate) fn pop(&mut self) -> Option<Membership> {
        let next = self.more.as_mut().and_then(|more| more.pop_first());
        self.more.take_if(|more| more.by_room.is_empty());
        std::mem::replace(&mut self.first, next)
    }

    /// Returns the rooms that the client is in, in any order but for the first.
    pub(crate) fn rooms(&self) -> impl Iterator<Item = &Arc<Room>> {
        let more = self.more.iter().flat_map(|more| more.by_room.values());
        let more = more.map(|(_, membership)| &membership.room);
        self.first.iter().map(|first| &first.room).chain(more)
    }

    /// Returns how many rooms the client is in.
    pub(crate) fn len(&self) -> usize {
        let more = self.more.as_ref().map_or(0, |more| more.by_room.len());
        usize::from(self.first.is_some()) + more
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::{
        context::Context,
        event::ClientId,
        fanout::{Fanout, form::Form, outbound},
        options::Options,
        position::Position,
        reactor::Clock,
        transport::{Transport, scripted::Scripted},
    };

    #[test]
    fn a_client_publishes_to_the_room_that_it_joined_first_of_those_that_it_is_in() {
        let context = Context::new(Options::default(), Vec::new());
        let mut fanout = Fanout::new(context.options.outbox_size);
        let shared = outbound::OutboundShared::new(context, Rc::new(Clock::scripted()));
        let transport = Transport::Scripted(Scripted::new(0));
        let out = outbound::Outbound::new(ClientId::new(1, 0), shared, transport, Form::Plain);
        let mut memberships = Memberships::default();
        let mut model: Vec<u64> = Vec::new();
        let mut state: u64 = 7;
        for _ in 0..10_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let id = (state >> 33) % 20 + 1;
            match model.iter().position(|other| *other == id) {
                None => {
                    let room =
                        Arc::new(Room::new(RoomId(id), id.to_string().into(), 1, Position::NONE));
                    let slot = fanout.subscribe(&room.head(), &out, 1);
                    memberships.add(Membership { room, slot });
                    model.push(id);
                }
                Some(index) => {
                    model.remove(index);
                    let left = memberships.remove(RoomId(id)).unwrap();
                    assert_eq!(left.room.id(), RoomId(id));
                    fanout.unsubscribe(&out, left.slot);
                    assert!(!memberships.has(RoomId(id)));
                }
            }
            assert_eq!(memberships.len(), model.len());
            let first = memberships.first().map(|first| first.room.id().0);
            assert_eq!(first, model.first().copied());
            let kept = memberships.more.as_ref().map_or(0, |more| more.order.len());
            assert!(kept <= 2 * 20 + MAX_LEFT + 1, "what was left is cleaned up");
        }
        assert_eq!(Rc::strong_count(&out), 1 + model.len(), "in as many lanes");
    }
}

//! Who is in which room, as it is promised.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use crate::event::{ClientId, Event};

/// A place in a room.
#[derive(Debug, Clone)]
struct Place {
    identity: String,
    name: Option<String>,
    /// Until when it is kept, and the number of its departure.
    away: Option<(Instant, u64)>,
}

#[derive(Debug, Default)]
struct Room {
    places: BTreeMap<ClientId, Place>,
    /// Until when it counts as occupied, if it is empty.
    vacates: Option<Instant>,
}

impl Room {
    fn is_occupied(&self) -> bool {
        self.vacates.is_some() || self.places.values().any(|place| place.away.is_none())
    }

    /// Removes the place of an identity that is away for longest.
    fn take_over(&mut self, identity: &str) {
        let same = self.places.iter().filter(|(_, it)| it.identity == identity);
        let away = same.filter_map(|(id, it)| Some((it.away?.1, *id))).min();
        if let Some((_, id)) = away.filter(|_| !identity.is_empty()) {
            self.places.remove(&id);
        }
    }
}

/// All rooms.
#[derive(Debug)]
pub(super) struct Truth {
    grace: Duration,
    rooms: BTreeMap<&'static str, Room>,
    departures: u64,
}

/// Somebody in a room, as the host is told: an identity, or a client without one.
type Somebody = (String, Result<String, ClientId>);

impl Truth {
    pub(super) fn new(grace: Duration) -> Self {
        Self { grace, rooms: BTreeMap::new(), departures: 0 }
    }

    pub(super) fn enter(
        &mut self,
        room: &'static str,
        id: ClientId,
        identity: &str,
        name: Option<String>,
    ) {
        let room = self.rooms.entry(room).or_default();
        room.take_over(identity);
        room.vacates = None;
        room.places.insert(id, Place { identity: identity.to_owned(), name, away: None });
    }

    pub(super) fn leave(
        &mut self,
        name: &'static str,
        id: ClientId,
        may_return: bool,
        now: Instant,
    ) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        let Some(place) = room.places.get_mut(&id) else { return };
        let due = now + self.grace;
        if may_return && !place.identity.is_empty() && !self.grace.is_zero() {
            self.departures += 1;
            place.away = Some((due, self.departures));
        } else {
            room.places.remove(&id);
        }
        if !room.is_occupied() && !self.grace.is_zero() {
            room.vacates = Some(due);
        }
    }

    pub(super) fn set_identity(&mut self, id: ClientId, identity: &str) {
        for room in self.rooms.values_mut() {
            let Some(place) = room.places.get(&id).filter(|it| it.away.is_none()) else { continue };
            if place.identity != identity {
                room.take_over(identity);
                room.places.entry(id).and_modify(|place| identity.clone_into(&mut place.identity));
            }
        }
    }

    pub(super) fn set_name(&mut self, id: ClientId, name: Option<&str>) {
        let places = self.rooms.values_mut().filter_map(|room| room.places.get_mut(&id));
        places.filter(|it| it.away.is_none()).for_each(|it| it.name = name.map(str::to_owned));
    }

    /// Gives up what is due.
    pub(super) fn expire(&mut self, now: Instant) {
        for room in self.rooms.values_mut() {
            room.places.retain(|_, place| place.away.is_none_or(|(due, _)| due > now));
            room.vacates = room.vacates.filter(|due| *due > now);
        }
    }

    pub(super) fn rooms_of(&self, id: ClientId) -> Vec<&'static str> {
        let of_client = self.rooms.iter().filter(|(_, room)| room.places.contains_key(&id));
        of_client.map(|(name, _)| *name).collect()
    }

    /// The members of a room and their names.
    pub(super) fn members(&self, room: &str) -> BTreeMap<ClientId, Option<String>> {
        let places = self.rooms.get(room).into_iter().flat_map(|room| &room.places);
        places.map(|(id, place)| (*id, place.name.clone())).collect()
    }

    pub(super) fn away(&self, room: &str) -> BTreeSet<ClientId> {
        let places = self.rooms.get(room).into_iter().flat_map(|room| &room.places);
        places.filter(|(_, place)| place.away.is_some()).map(|(id, _)| *id).collect()
    }

    fn somebodies(&self) -> BTreeSet<Somebody> {
        let places = self.rooms.iter().flat_map(|(name, room)| {
            room.places.iter().map(move |(id, place)| (*name, *id, &place.identity))
        });
        places.map(|(room, id, identity)| (room.to_owned(), who(identity, id))).collect()
    }
}

fn who(identity: &str, id: ClientId) -> Result<String, ClientId> {
    if identity.is_empty() { Err(id) } else { Ok(identity.to_owned()) }
}

/// What the host knows of events alone.
#[derive(Debug, Default)]
pub(super) struct Host {
    somebodies: BTreeSet<Somebody>,
    occupied: BTreeSet<String>,
    pub(super) events: usize,
}

impl Host {
    pub(super) fn take(&mut self, event: &Event) {
        self.events += 1;
        match event {
            Event::MemberEntered { client, identity, room } => {
                let somebody = (room.to_string(), who(identity.as_deref().unwrap_or(""), *client));
                assert!(self.somebodies.insert(somebody), "entered twice: {event:?}");
            }
            Event::MemberLeft { client, identity, room } => {
                let somebody = (room.to_string(), who(identity.as_deref().unwrap_or(""), *client));
                assert!(self.somebodies.remove(&somebody), "was not there: {event:?}");
            }
            Event::RoomOccupied { room } => {
                assert!(self.occupied.insert(room.to_string()), "occupied twice: {event:?}");
            }
            Event::RoomVacated { room } => {
                assert!(self.occupied.remove(&**room), "was not occupied: {event:?}");
                let is_empty = self.somebodies.iter().all(|(other, _)| *other != **room);
                assert!(is_empty, "somebody is in it: {event:?}");
            }
            _ => self.events -= 1,
        }
    }

    /// Compares what it knows with the truth.
    pub(super) fn check(&self, truth: &Truth) {
        assert_eq!(self.somebodies, truth.somebodies());
        let occupied = truth.rooms.iter().filter(|(_, room)| room.is_occupied());
        let occupied: BTreeSet<_> = occupied.map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(self.occupied, occupied);
    }

    pub(super) fn knows_nobody(&self) -> bool {
        self.somebodies.is_empty() && self.occupied.is_empty()
    }
}

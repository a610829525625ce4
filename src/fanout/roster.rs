//! The clients of a shard that the host can reach: by id, and by identity.
//!
//! Invariant: a client with an identity is listed under it, and an identity without clients is not listed.

use std::{collections::HashMap, sync::Arc};

use rustc_hash::FxHashMap;

use super::{
    command::{Command, RoomId},
    id_set::IdSet,
};
use crate::{
    error::{Error, Result},
    event::ClientId,
    past::SinceIn,
};

/// The clients of one shard.
#[derive(Debug, Default)]
pub(super) struct Roster {
    pub(super) clients: FxHashMap<ClientId, RosterEntry>,
    // Identities may be names that users choose: the hash withstands an attacker.
    identities: HashMap<Arc<str>, IdSet>,
}

/// One client, for the host's threads.
#[derive(Debug, Default)]
pub(super) struct RosterEntry {
    /// How many pending commands hold its input.
    pub(super) unapplied: u32,
    /// Whether it waits for admission to the room that it asks for, which counts as one of its rooms.
    pub(super) has_requested_room: bool,
    /// Whether it may be in one room alone.
    has_one_room: bool,
    /// Whether the host disconnects or rejects it: it is reached by no identity any more.
    is_leaving: bool,
    /// The rooms that it is in once all pending commands are applied.
    rooms: IdSet,
    rare: Option<Box<Rare>>,
}

/// What nearly no client has.
#[derive(Debug, Default)]
struct Rare {
    /// Where it was in rooms that it has not entered yet.
    since_in: Option<Box<SinceIn>>,
    /// What the host calls it once all pending commands are applied; `None` also if the host disconnects it.
    identity: Option<Arc<str>>,
}

/// How a command changes a client's rooms.
#[derive(Debug, Clone, Copy)]
pub(super) enum RoomChange {
    None,
    Enters(RoomId),
    Leaves(RoomId),
}

impl RosterEntry {
    pub(super) fn new(
        room: Option<RoomId>,
        has_one_room: bool,
        since_in: Option<Box<SinceIn>>,
    ) -> Self {
        let rare =
            since_in.map(|since_in| Box::new(Rare { since_in: Some(since_in), identity: None }));
        let mut entry = Self { has_one_room, rare, ..Self::default() };
        room.inspect(|room| entry.rooms.insert(room.0));
        entry
    }

    pub(super) fn is_in(&self, room: RoomId) -> bool {
        self.rooms.has(room.0)
    }

    /// Returns why the client may not enter a room that it is not in.
    ///
    /// # Errors
    /// `TooManyRooms`.
    pub(super) fn check_place(&self, max_rooms: usize) -> Result<()> {
        let limit = if self.has_one_room { 1 } else { max_rooms };
        let rooms = usize::from(self.has_requested_room) + self.rooms.len();
        if rooms >= limit { Err(Error::TooManyRooms { limit }) } else { Ok(()) }
    }

    /// Returns how a command of the host changes the client's rooms.
    ///
    /// # Errors
    /// `TooManyRooms`.
    pub(super) fn room_change(
        &mut self,
        command: &Command,
        max_rooms: usize,
    ) -> Result<RoomChange> {
        match command {
            Command::Join(_, reservation) if !self.is_in(reservation.room.id) => {
                self.check_place(max_rooms)?;
                Ok(RoomChange::Enters(reservation.room.id))
            }
            Command::Admit(_, reservation, ..) => {
                self.has_requested_room = false;
                let room = reservation.as_ref().map(|reservation| reservation.room.id);
                let entered = room.filter(|room| !self.is_in(*room));
                Ok(entered.map_or(RoomChange::None, RoomChange::Enters))
            }
            Command::Leave(_, room) => Ok(RoomChange::Leaves(*room)),
            _ => Ok(RoomChange::None),
        }
    }

    pub(super) fn apply(&mut self, change: RoomChange) {
        match change {
            RoomChange::None => {}
            RoomChange::Enters(room) => self.rooms.insert(room.0),
            RoomChange::Leaves(room) => self.rooms.remove(room.0),
        }
    }

    /// Whether it can be in no other room beside the one that it is in, or asks for.
    pub(super) fn has_its_one_room(&self) -> bool {
        self.has_one_room && self.check_place(1).is_err()
    }

    pub(super) fn since_in(&self) -> Option<&SinceIn> {
        self.rare.as_ref()?.since_in.as_deref()
    }

    /// Forgets where the client was in a room that it enters.
    pub(super) fn forget_since(&mut self, room: &str) {
        if let Some(since_in) = self.rare.as_mut().and_then(|rare| rare.since_in.as_mut()) {
            since_in.remove(room);
        }
    }
}

impl Roster {
    pub(super) fn remove(&mut self, client: ClientId) {
        self.set_identity(client, None);
        self.clients.remove(&client);
    }

    /// Notes that a client leaves, though that may take a while.
    pub(super) fn note_leaving(&mut self, client: ClientId) {
        self.set_identity(client, None);
        if let Some(entry) = self.clients.get_mut(&client) {
            entry.is_leaving = true;
        }
    }

    /// Lists a client under another identity, or under none.
    pub(super) fn set_identity(&mut self, client: ClientId, identity: Option<Arc<str>>) {
        let Some(entry) = self.clients.get_mut(&client) else { return };
        let identity = identity.filter(|_| !entry.is_leaving);
        if identity.is_none() && entry.rare.is_none() {
            return;
        }
        let rare = entry.rare.get_or_insert_default();
        if let Some(old) = rare.identity.take()
            && let Some(clients) = self.identities.get_mut(&*old)
        {
            clients.remove(client.as_u64());
            if clients.len() == 0 {
                self.identities.remove(&*old);
            }
        }
        if let Some(identity) = &identity {
            self.identities.entry(Arc::clone(identity)).or_default().insert(client.as_u64());
        }
        rare.identity = identity;
        entry.rare.take_if(|rare| rare.identity.is_none() && rare.since_in.is_none());
    }

    pub(super) fn has_identity(&self, identity: &str) -> bool {
        self.identities.contains_key(identity)
    }

    /// Returns the clients of an identity, in the order in which they connected.
    pub(super) fn clients_of(&self, identity: &str) -> Vec<ClientId> {
        let clients = self.identities.get(identity).into_iter().flat_map(IdSet::iter);
        let mut clients: Vec<_> = clients.map(ClientId::from_u64).collect();
        clients.sort_unstable();
        clients
    }

    /// Returns how many identities are listed, and how many clients under them.
    #[cfg(test)]
    pub(super) fn identity_sizes(&self) -> (usize, usize) {
        (self.identities.len(), self.identities.values().map(IdSet::len).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_without_an_identity_costs_no_more() {
        assert_eq!(size_of::<RosterEntry>(), 32);
        let (client, mut roster) = (ClientId::new(1, 0), Roster::default());
        roster.clients.insert(client, RosterEntry::new(Some(RoomId(1)), false, None));
        assert!(roster.clients[&client].rare.is_none() && roster.identities.capacity() == 0);
        // Nor does one whose identity was taken back.
        roster.set_identity(client, Some("ana".into()));
        assert!(roster.clients[&client].rare.is_some());
        roster.set_identity(client, None);
        assert!(roster.clients[&client].rare.is_none() && roster.identities.is_empty());
    }

    #[test]
    fn where_a_client_was_stays_when_its_identity_goes() {
        let (client, mut roster) = (ClientId::new(1, 0), Roster::default());
        let mut since_in = SinceIn::default();
        since_in.insert("tea", crate::past::Since::Unreadable);
        roster.clients.insert(client, RosterEntry::new(None, false, Some(Box::new(since_in))));
        roster.set_identity(client, Some("ana".into()));
        roster.set_identity(client, Some("bob".into()));
        assert_eq!((roster.clients_of("ana"), roster.clients_of("bob")), (vec![], vec![client]));
        roster.set_identity(client, None);
        assert!(roster.clients[&client].since_in().is_some_and(|since| since.get("tea").is_some()));
    }

    #[test]
    fn clients_that_leave_leave_no_identity_behind() {
        let mut roster = Roster::default();
        for number in 1..=10_000 {
            let client = ClientId::new(number, 0);
            roster.clients.insert(client, RosterEntry::new(None, false, None));
            roster.set_identity(client, Some(format!("user {}", number % 70).into()));
            if number % 3 == 0 {
                roster.set_identity(client, Some(format!("user {}", number % 50).into()));
            }
            if number > 100 {
                roster.remove(ClientId::new(number - 100, 0));
            }
            let (identities, clients) = roster.identity_sizes();
            assert!(identities <= 70 && clients == roster.clients.len(), "{identities} {clients}");
        }
        (9_901..=10_000).for_each(|number| roster.remove(ClientId::new(number, 0)));
        assert_eq!(roster.identity_sizes(), (0, 0));
    }
}

//! A shard as other threads see it: its inbox, its roster of clients, and its load.
//!
//! Invariant: a client's entry in the roster holds the rooms that it is in once all commands in the inbox are
//! applied.

use std::{
    num::NonZero,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    command::{Command, RoomId},
    inbox::Inbox,
    load::Load,
};
use crate::{
    decisions::Undecided,
    error::{Error, Result},
    event::ClientId,
    past::{Since, SinceIn},
};

/// One shard, for all threads.
#[derive(Debug, Default)]
pub(crate) struct ShardHandle {
    pub(crate) inbox: Inbox,
    /// The clients that the host can reach.
    // A std mutex: it is held for one look-up.
    roster: Mutex<FxHashMap<ClientId, RosterEntry>>,
    /// How many pending commands hold the input of a client.
    unapplied: AtomicUsize,
    pub(crate) undecided: Undecided,
    pub(crate) load: Arc<Load>,
}

/// One client, for the host's threads.
#[derive(Debug, Default)]
struct RosterEntry {
    /// How many pending commands hold its input.
    unapplied: u32,
    /// Whether it waits for admission to the room that it asks for, which counts as one of its rooms.
    has_requested_room: bool,
    /// Whether it may be in one room alone.
    has_one_room: bool,
    rooms: RoomSet,
    /// Where it was in rooms that it has not entered yet.
    since_in: Option<Box<SinceIn>>,
}

impl RosterEntry {
    fn rooms(&self) -> usize {
        usize::from(self.has_requested_room) + self.rooms.len()
    }
}

/// The rooms that a client is in once all pending commands are applied. Nearly all clients are in one: further
/// ones are behind a pointer.
#[derive(Debug, Default)]
struct RoomSet {
    first: Option<NonZero<u64>>,
    more: Option<Box<FxHashSet<RoomId>>>,
}

impl RoomSet {
    fn has(&self, room: RoomId) -> bool {
        self.first == NonZero::new(room.0)
            || self.more.as_ref().is_some_and(|more| more.contains(&room))
    }

    fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.more.as_ref().map_or(0, |more| more.len())
    }

    fn insert(&mut self, room: RoomId) {
        if self.first.is_none() {
            self.first = NonZero::new(room.0);
        } else {
            self.more.get_or_insert_default().insert(room);
        }
    }

    fn remove(&mut self, room: RoomId) {
        if self.first == NonZero::new(room.0) {
            self.first = None;
        } else if let Some(more) = &mut self.more {
            more.remove(&room);
            self.more.take_if(|more| more.is_empty());
        }
    }
}

impl ShardHandle {
    /// Whether there is such a client on the shard.
    pub(crate) fn has_client(&self, client: ClientId) -> bool {
        self.roster().contains_key(&client)
    }

    /// Returns how many clients the host can reach.
    #[cfg(test)]
    pub(crate) fn clients(&self) -> usize {
        self.roster().len()
    }

    /// Adds a client that is in a room to the roster; `has_one_room` bounds it to one room. An entry that is there
    /// already stays as it is.
    pub(crate) fn add_client(
        &self,
        client: ClientId,
        room: Option<RoomId>,
        has_one_room: bool,
        since_in: Option<Box<SinceIn>>,
    ) {
        let in_room = || {
            let mut entry = RosterEntry { has_one_room, since_in, ..RosterEntry::default() };
            room.inspect(|room| entry.rooms.insert(*room));
            entry
        };
        self.roster().entry(client).or_insert_with(in_room);
    }

    /// Adds a client that waits for admission to a room to the roster.
    pub(crate) fn add_applicant(
        &self,
        client: ClientId,
        has_one_room: bool,
        since_in: Option<Box<SinceIn>>,
    ) {
        let has_requested_room = true;
        let entry =
            RosterEntry { has_requested_room, has_one_room, since_in, ..RosterEntry::default() };
        self.roster().insert(client, entry);
    }

    /// Returns where a client was in a room, if it has said so and has not entered the room since.
    pub(crate) fn since_in(&self, client: ClientId, room: &str) -> Option<Since> {
        self.roster().get(&client)?.since_in.as_ref()?.get(room)
    }

    /// Removes a client from the roster: the host cannot reach it any more.
    pub(crate) fn remove_client(&self, client: ClientId) {
        self.roster().remove(&client);
    }

    /// Pushes a command of the host. If it holds a client's input, it does so from before this returns. Returns
    /// the command's number.
    ///
    /// # Errors
    /// `ClientNotFound`, `Stopped`; `TooManyRooms` if it puts a client into more than `max_rooms`.
    pub(crate) fn push(&self, command: Command, max_rooms: usize) -> Result<u64> {
        let Some(client) = command.holds_input_of() else {
            return self.inbox.push(command).map_err(|_| Error::Stopped);
        };
        // Locked until the command is in the inbox, so that the entry's rooms change in the order of the
        // commands.
        let mut roster = self.roster();
        let entry = roster.get_mut(&client).ok_or(Error::ClientNotFound)?;
        let max_rooms = if entry.has_one_room { 1 } else { max_rooms };
        let room = match &command {
            Command::Join(_, reservation) if entry.rooms.has(reservation.room.id) => None,
            Command::Join(..) if entry.rooms() >= max_rooms => {
                return Err(Error::TooManyRooms { limit: max_rooms });
            }
            Command::Join(_, reservation) => Some((reservation.room.id, true)),
            Command::Admit(_, reservation, _) => {
                entry.has_requested_room = false;
                let room = reservation.as_ref().map(|reservation| reservation.room.id);
                room.filter(|room| !entry.rooms.has(*room)).map(|room| (room, true))
            }
            Command::Leave(_, room) => Some((*room, false)),
            _ => None,
        };
        let entered = match &command {
            Command::Join(_, reservation) | Command::Admit(_, Some(reservation), _) => {
                Some(Arc::clone(&reservation.room))
            }
            _ => None,
        };
        let number = self.inbox.push(command).map_err(|_| Error::Stopped)?;
        if let (Some(since_in), Some(room)) = (&mut entry.since_in, entered) {
            since_in.remove(&room.name);
        }
        match room {
            Some((room, true)) => entry.rooms.insert(room),
            Some((room, false)) => entry.rooms.remove(room),
            None => {}
        }
        entry.unapplied += 1;
        self.unapplied.fetch_add(1, Ordering::SeqCst);
        Ok(number)
    }

    /// Notes that a client that waits for admission does not ask for its room any more: the host took it out.
    pub(crate) fn withdraw(&self, client: ClientId) {
        if let Some(entry) = self.roster().get_mut(&client) {
            entry.has_requested_room = false;
        }
    }

    /// Notes that a command that held a client's input is applied.
    pub(crate) fn note_applied(&self, client: ClientId) {
        if let Some(entry) = self.roster().get_mut(&client) {
            entry.unapplied = entry.unapplied.saturating_sub(1);
        }
        self.unapplied.fetch_sub(1, Ordering::SeqCst);
    }

    /// Whether any client's input is held.
    pub(crate) fn holds_any_input(&self) -> bool {
        self.unapplied.load(Ordering::SeqCst) > 0
    }

    /// Whether a client's input is held. Must be asked after the input was read: a client that reacts to a call
    /// of the host sends after the call was counted.
    pub(crate) fn holds_input_of(&self, client: ClientId) -> bool {
        self.holds_any_input()
            && self.roster().get(&client).is_some_and(|entry| entry.unapplied > 0)
    }

    fn roster(&self) -> MutexGuard<'_, FxHashMap<ClientId, RosterEntry>> {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fanout::command::{Reservation, RoomHead},
        past::PastGiven,
    };

    #[test]
    fn a_clients_input_is_held_until_each_of_its_commands_is_applied() {
        let handle = ShardHandle::default();
        let (client, other) = (ClientId::new(1, 0), ClientId::new(2, 0));
        let set_echo = || Command::SetEcho(client, true);
        assert!(matches!(handle.push(set_echo(), 1), Err(Error::ClientNotFound)));
        handle.add_client(client, None, false, None);
        handle.add_client(other, None, false, None);
        handle.push(set_echo(), 1).unwrap();
        handle.push(set_echo(), 1).unwrap();
        assert!(handle.holds_input_of(client) && !handle.holds_input_of(other));
        handle.note_applied(client);
        assert!(handle.holds_input_of(client));
        handle.note_applied(client);
        assert!(!handle.holds_input_of(client) && !handle.holds_any_input());
        handle.inbox.push(Command::Stop).unwrap();
        assert!(matches!(handle.push(set_echo(), 1), Err(Error::Stopped)));
        assert!(!handle.holds_any_input());
    }

    #[test]
    fn a_client_has_at_most_as_many_rooms_as_the_limit_while_commands_are_pending() {
        let handle = ShardHandle::default();
        let client = ClientId::new(1, 0);
        handle.add_client(client, Some(RoomId(1)), false, None);
        let join = |room| {
            let reservation =
                Reservation { room: RoomHead::of(room), from: 1, past: PastGiven::none() };
            handle.push(Command::Join(client, Box::new(reservation)), 2)
        };
        for round in 0..1000 {
            join(2).unwrap();
            join(1).unwrap();
            assert!(matches!(join(3), Err(Error::TooManyRooms { limit: 2 })), "{round}");
            handle.push(Command::Leave(client, RoomId(1 + round % 2)), 2).unwrap();
            join(3).unwrap();
            handle.push(Command::Leave(client, RoomId(3)), 2).unwrap();
            handle.push(Command::Leave(client, RoomId(3)), 2).unwrap();
            join(1 + round % 2).unwrap();
        }
    }

    #[test]
    fn the_room_that_an_applicant_asks_for_counts_once() {
        let handle = ShardHandle::default();
        let client = ClientId::new(1, 0);
        handle.add_applicant(client, false, None);
        let reservation = |room| {
            Box::new(Reservation { room: RoomHead::of(room), from: 1, past: PastGiven::none() })
        };
        let join = |room| handle.push(Command::Join(client, reservation(room)), 2);
        join(1).unwrap();
        assert!(join(2).is_err(), "it has asked for one");
        handle.push(Command::Admit(client, Some(reservation(1)), 1), 2).unwrap();
        join(2).unwrap();
        assert!(join(3).is_err());
    }

    #[test]
    fn the_client_of_an_event_stream_is_in_one_room_whatever_the_limit() {
        let handle = ShardHandle::default();
        let (client, applicant) = (ClientId::new(1, 0), ClientId::new(2, 0));
        let join_of = |client, room| {
            let reservation =
                Reservation { room: RoomHead::of(room), from: 1, past: PastGiven::none() };
            handle.push(Command::Join(client, Box::new(reservation)), 1000)
        };
        handle.add_applicant(applicant, true, None);
        assert!(matches!(join_of(applicant, 2), Err(Error::TooManyRooms { limit: 1 })));
        handle.add_client(client, Some(RoomId(1)), true, None);
        let join = |room| join_of(client, room);
        join(1).unwrap();
        assert!(matches!(join(2), Err(Error::TooManyRooms { limit: 1 })));
        handle.push(Command::Leave(client, RoomId(1)), 1000).unwrap();
        join(2).unwrap();
        assert!(join(1).is_err());
    }
}

//! A shard as other threads see it: its inbox, its roster of clients, and its load.
//!
//! Invariant: a client's entry in the roster holds the rooms that it is in, and the identity that it has, once all
//! commands in the inbox are applied.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use super::{
    command::{Command, RoomId},
    inbox::Inbox,
    load::Load,
    roster::{Roster, RosterEntry},
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
    // A std mutex: it is held for one look-up, or while a command is pushed for each client of an identity.
    roster: Mutex<Roster>,
    /// How many pending commands hold the input of a client.
    unapplied: AtomicUsize,
    pub(crate) undecided: Undecided,
    pub(crate) load: Arc<Load>,
}

impl ShardHandle {
    /// Whether there is such a client on the shard.
    pub(crate) fn has_client(&self, client: ClientId) -> bool {
        self.roster().clients.contains_key(&client)
    }

    /// Returns how many clients the host can reach.
    #[cfg(test)]
    pub(crate) fn clients(&self) -> usize {
        self.roster().clients.len()
    }

    /// Returns how many identities are listed, and how many clients under them.
    #[cfg(test)]
    pub(crate) fn identity_sizes(&self) -> (usize, usize) {
        self.roster().identity_sizes()
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
        let in_room = || RosterEntry::new(room, has_one_room, since_in);
        self.roster().clients.entry(client).or_insert_with(in_room);
    }

    /// Adds a client that waits for admission to a room to the roster.
    pub(crate) fn add_applicant(
        &self,
        client: ClientId,
        has_one_room: bool,
        since_in: Option<Box<SinceIn>>,
    ) {
        let mut entry = RosterEntry::new(None, has_one_room, since_in);
        entry.has_requested_room = true;
        self.roster().clients.insert(client, entry);
    }

    /// Returns where a client was in a room, if it has said so and has not entered the room since.
    pub(crate) fn since_in(&self, client: ClientId, room: &str) -> Option<Since> {
        self.lock().since_in(client, room)
    }

    /// Removes a client from the roster: the host cannot reach it any more.
    pub(crate) fn remove_client(&self, client: ClientId) {
        self.roster().remove(client);
    }

    /// Pushes a command of the host, as [`LockedRoster::push`] does.
    ///
    /// # Errors
    /// Those of [`LockedRoster::push`].
    pub(crate) fn push(&self, command: Command, max_rooms: usize) -> Result<u64> {
        if command.concerns_roster() {
            self.lock().push(command, max_rooms)
        } else {
            self.inbox.push(command).map_err(|_| Error::Stopped)
        }
    }

    /// Locks the roster. A thread that locks several does so in the order of the shards.
    pub(crate) fn lock(&self) -> LockedRoster<'_> {
        LockedRoster { handle: self, roster: self.roster() }
    }

    /// Notes that a client that waits for admission does not ask for its room any more: the host took it out.
    pub(crate) fn withdraw(&self, client: ClientId) {
        self.lock().withdraw(client);
    }

    /// Notes that a command that held a client's input is applied.
    pub(crate) fn note_applied(&self, client: ClientId) {
        if let Some(entry) = self.roster().clients.get_mut(&client) {
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
            && self.roster().clients.get(&client).is_some_and(|entry| entry.unapplied > 0)
    }

    fn roster(&self) -> MutexGuard<'_, Roster> {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The clients of a shard, which stay as they are meanwhile.
#[derive(Debug)]
pub(crate) struct LockedRoster<'a> {
    pub(crate) handle: &'a ShardHandle,
    roster: MutexGuard<'a, Roster>,
}

impl LockedRoster<'_> {
    /// Pushes a command of the host. If it holds a client's input, it does so from before this returns. Returns
    /// the command's number.
    ///
    /// # Errors
    /// `ClientNotFound`, `Stopped`; `TooManyRooms` if it puts a client into more than `max_rooms`.
    pub(crate) fn push(&mut self, command: Command, max_rooms: usize) -> Result<u64> {
        let Self { handle, roster } = self;
        let identity = match &command {
            Command::SetIdentity(client, identity) => Some((*client, identity.clone())),
            _ => None,
        };
        let leaving = match &command {
            Command::Disconnect(client, _) | Command::Reject(client, _) => Some(*client),
            _ => None,
        };
        let push = |command| handle.inbox.push(command).map_err(|_| Error::Stopped);
        let number = if let Some(client) = command.holds_input_of() {
            // Locked until the command is in the inbox, so that the entry's rooms change in the order of the
            // commands.
            let entry = roster.clients.get_mut(&client).ok_or(Error::ClientNotFound)?;
            let change = entry.room_change(&command, max_rooms)?;
            let entered = match &command {
                Command::Join(_, reservation) | Command::Admit(_, Some(reservation), ..) => {
                    Some(Arc::clone(&reservation.room))
                }
                _ => None,
            };
            let number = push(command)?;
            if let Some(room) = entered {
                entry.forget_since(&room.name);
            }
            entry.apply(change);
            entry.unapplied += 1;
            handle.unapplied.fetch_add(1, Ordering::SeqCst);
            number
        } else {
            push(command)?
        };
        if let Some((client, identity)) = identity {
            roster.set_identity(client, identity);
        }
        if let Some(client) = leaving {
            roster.note_leaving(client);
        }
        Ok(number)
    }

    pub(crate) fn has_identity(&self, identity: &str) -> bool {
        self.roster.has_identity(identity)
    }

    /// Returns the clients of an identity, in the order in which they connected.
    pub(crate) fn clients_of(&self, identity: &str) -> Vec<ClientId> {
        self.roster.clients_of(identity)
    }

    /// Whether a client is in a room once all pending commands are applied.
    pub(crate) fn is_in(&self, client: ClientId, room: RoomId) -> bool {
        self.roster.clients.get(&client).is_some_and(|entry| entry.is_in(room))
    }

    /// Whether a client can be in no other room beside the one that it is in, or asks for.
    pub(crate) fn has_its_one_room(&self, client: ClientId) -> bool {
        let entry = self.roster.clients.get(&client);
        entry.is_some_and(RosterEntry::has_its_one_room)
    }

    /// Returns why a client may not enter a room that it is not in.
    ///
    /// # Errors
    /// `ClientNotFound`, `TooManyRooms`.
    pub(crate) fn check_place(&self, client: ClientId, max_rooms: usize) -> Result<()> {
        let entry = self.roster.clients.get(&client).ok_or(Error::ClientNotFound)?;
        entry.check_place(max_rooms)
    }

    /// Returns where a client was in a room, if it has said so and has not entered the room since.
    pub(crate) fn since_in(&self, client: ClientId, room: &str) -> Option<Since> {
        self.roster.clients.get(&client)?.since_in()?.get(room)
    }

    /// Notes that a client that waits for admission does not ask for its room any more: the host took it out.
    pub(crate) fn withdraw(&mut self, client: ClientId) {
        if let Some(entry) = self.roster.clients.get_mut(&client) {
            entry.has_requested_room = false;
        }
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
        handle.push(Command::Admit(client, Some(reservation(1)), 1, None), 2).unwrap();
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

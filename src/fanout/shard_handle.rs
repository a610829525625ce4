//! A shard as other threads see it: its inbox, and what they know of its clients.

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
};

/// What other threads know of a shard.
#[derive(Debug, Default)]
pub(crate) struct ShardHandle {
    pub(crate) inbox: Inbox,
    /// The clients that the host can reach.
    // A std mutex: it is held for one look-up.
    roster: Mutex<FxHashMap<ClientId, Known>>,
    /// How many commands wait that hold a client's bytes back.
    unapplied: AtomicUsize,
    pub(crate) undecided: Undecided,
    pub(crate) load: Arc<Load>,
}

/// What the host's threads know of a client.
#[derive(Debug, Default)]
struct Known {
    /// How many commands wait that hold its bytes back.
    unapplied: u32,
    /// Whether it waits for admission to a room that it has asked for, which counts among its rooms.
    has_asked: bool,
    rooms: RoomSet,
}

impl Known {
    fn rooms(&self) -> usize {
        usize::from(self.has_asked) + self.rooms.len()
    }
}

/// The rooms that a client is in when all commands are carried out. Nearly all clients are in one: further
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

    /// Makes a client known to the host's threads that is in a room. One that is known stays as it is.
    pub(crate) fn add_client(&self, client: ClientId, room: Option<RoomId>) {
        let in_room = || {
            let mut known = Known::default();
            room.inspect(|room| known.rooms.insert(*room));
            known
        };
        self.roster().entry(client).or_insert_with(in_room);
    }

    /// Makes a client known to the host's threads that waits for admission to a room.
    pub(crate) fn add_applicant(&self, client: ClientId) {
        self.roster().insert(client, Known { has_asked: true, ..Known::default() });
    }

    /// Makes a client unknown to the host's threads.
    pub(crate) fn remove_client(&self, client: ClientId) {
        self.roster().remove(&client);
    }

    /// Pushes a command of the host. If it holds a client's bytes back, it does so before this returns.
    /// Returns the command's number.
    ///
    /// # Errors
    /// `ClientNotFound`, `Stopped`; `TooManyRooms` if it puts a client into more than `max_rooms`.
    pub(crate) fn push(&self, command: Command, max_rooms: usize) -> Result<u64> {
        let Some(client) = command.holds() else {
            return self.inbox.push(command).map_err(|_| Error::Stopped);
        };
        // Locked until the command is in the inbox: so what is known of the client's rooms is what the
        // commands make of them in their order.
        let mut roster = self.roster();
        let known = roster.get_mut(&client).ok_or(Error::ClientNotFound)?;
        let room = match &command {
            Command::Join(_, reservation) if known.rooms.has(reservation.room) => None,
            Command::Join(..) if known.rooms() >= max_rooms => {
                return Err(Error::TooManyRooms { limit: max_rooms });
            }
            Command::Join(_, reservation) => Some((reservation.room, true)),
            Command::Admit(_, reservation, _) => {
                known.has_asked = false;
                let room = reservation.as_ref().map(|reservation| reservation.room);
                room.filter(|room| !known.rooms.has(*room)).map(|room| (room, true))
            }
            Command::Leave(_, room) => Some((*room, false)),
            _ => None,
        };
        let number = self.inbox.push(command).map_err(|_| Error::Stopped)?;
        match room {
            Some((room, true)) => known.rooms.insert(room),
            Some((room, false)) => known.rooms.remove(room),
            None => {}
        }
        known.unapplied += 1;
        self.unapplied.fetch_add(1, Ordering::SeqCst);
        Ok(number)
    }

    /// Notes that a client that waits for admission does not ask for its room any more.
    pub(crate) fn withdraw(&self, client: ClientId) {
        if let Some(known) = self.roster().get_mut(&client) {
            known.has_asked = false;
        }
    }

    /// Notes that a client is in the room that it has asked for, since its admission was overdue.
    pub(crate) fn note_admitted(&self, client: ClientId, room: Option<RoomId>) {
        if let Some(known) = self.roster().get_mut(&client) {
            known.has_asked = false;
            if let Some(room) = room.filter(|room| !known.rooms.has(*room)) {
                known.rooms.insert(room);
            }
        }
    }

    /// Notes that a command was carried out that held a client's bytes back.
    pub(crate) fn note_applied(&self, client: ClientId) {
        if let Some(known) = self.roster().get_mut(&client) {
            known.unapplied = known.unapplied.saturating_sub(1);
        }
        self.unapplied.fetch_sub(1, Ordering::SeqCst);
    }

    /// Whether any command waits that holds a client's bytes back.
    pub(crate) fn holds_any(&self) -> bool {
        self.unapplied.load(Ordering::SeqCst) > 0
    }

    /// Whether a client's bytes wait for a command. Asked after they were read: a client that knows of a
    /// call has sent them after the call was counted.
    pub(crate) fn holds(&self, client: ClientId) -> bool {
        self.holds_any() && self.roster().get(&client).is_some_and(|known| known.unapplied > 0)
    }

    fn roster(&self) -> MutexGuard<'_, FxHashMap<ClientId, Known>> {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fanout::command::Reservation;

    #[test]
    fn a_client_is_held_until_each_of_its_commands_is_carried_out() {
        let handle = ShardHandle::default();
        let (client, other) = (ClientId::new(1, 0), ClientId::new(2, 0));
        let set_echo = || Command::SetEcho(client, true);
        assert!(matches!(handle.push(set_echo(), 1), Err(Error::ClientNotFound)));
        handle.add_client(client, None);
        handle.add_client(other, None);
        handle.push(set_echo(), 1).unwrap();
        handle.push(set_echo(), 1).unwrap();
        assert!(handle.holds(client) && !handle.holds(other));
        handle.note_applied(client);
        assert!(handle.holds(client));
        handle.note_applied(client);
        assert!(!handle.holds(client) && !handle.holds_any());
        handle.inbox.push(Command::Stop).unwrap();
        assert!(matches!(handle.push(set_echo(), 1), Err(Error::Stopped)));
        assert!(!handle.holds_any());
    }

    #[test]
    fn a_client_has_as_many_rooms_as_the_limit_whatever_is_carried_out_yet() {
        let handle = ShardHandle::default();
        let client = ClientId::new(1, 0);
        handle.add_client(client, Some(RoomId(1)));
        let join = |room| {
            let reservation = Reservation { room: RoomId(room), from: 1, history: Vec::new() };
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
        handle.add_applicant(client);
        let reservation =
            |room| Box::new(Reservation { room: RoomId(room), from: 1, history: Vec::new() });
        let join = |room| handle.push(Command::Join(client, reservation(room)), 2);
        join(1).unwrap();
        assert!(join(2).is_err(), "it has asked for one");
        handle.push(Command::Admit(client, Some(reservation(1)), 1), 2).unwrap();
        join(2).unwrap();
        assert!(join(3).is_err());
    }
}

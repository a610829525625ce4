//! A shard as other threads see it: its inbox, and what they know of its clients.

use std::{
    collections::hash_map::Entry,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use rustc_hash::FxHashMap;

use super::{command::Command, inbox::Inbox};
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
    load: AtomicUsize,
}

/// What the host's threads know of a client.
#[derive(Debug)]
struct Known {
    /// How many rooms it is in, or has a place in.
    rooms: u32,
    /// How many commands wait that hold its bytes back.
    unapplied: u32,
}

impl ShardHandle {
    /// Whether there is such a client on the shard.
    pub(crate) fn has_client(&self, client: ClientId) -> bool {
        self.roster().contains_key(&client)
    }

    /// Makes a client known to the host's threads, with the number of rooms that it has a place in. One that
    /// is known stays as it is.
    pub(crate) fn add_client(&self, client: ClientId, rooms: usize) {
        let rooms = u32::try_from(rooms).unwrap_or(u32::MAX);
        self.roster().entry(client).or_insert(Known { rooms, unapplied: 0 });
    }

    /// Makes a client unknown to the host's threads.
    pub(crate) fn remove_client(&self, client: ClientId) {
        self.roster().remove(&client);
    }

    /// Pushes a command of the host. If it holds a client's bytes back, it does so before this returns.
    ///
    /// # Errors
    /// `ClientNotFound`, `Stopped`.
    pub(crate) fn push(&self, command: Command) -> Result<()> {
        let held = command.holds();
        if let Some(client) = held {
            let mut roster = self.roster();
            let known = roster.get_mut(&client).ok_or(Error::ClientNotFound)?;
            known.unapplied += 1;
            drop(roster);
            self.unapplied.fetch_add(1, Ordering::SeqCst);
        }
        self.inbox.push(command).map_err(|_| {
            if let Some(client) = held {
                self.note_applied(client);
            }
            Error::Stopped
        })
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

    /// Counts one more room of a client.
    ///
    /// # Errors
    /// `ClientNotFound`; `TooManyRooms` if it has as many as it may.
    pub(crate) fn add_room(&self, client: ClientId, limit: usize) -> Result<()> {
        match self.roster().entry(client) {
            Entry::Vacant(_) => Err(Error::ClientNotFound),
            Entry::Occupied(known) if known.get().rooms as usize >= limit => {
                Err(Error::TooManyRooms { limit })
            }
            Entry::Occupied(mut known) => {
                known.get_mut().rooms += 1;
                Ok(())
            }
        }
    }

    /// Counts one room of a client less.
    pub(crate) fn remove_room(&self, client: ClientId) {
        if let Some(known) = self.roster().get_mut(&client) {
            known.rooms = known.rooms.saturating_sub(1);
        }
    }

    fn roster(&self) -> MutexGuard<'_, FxHashMap<ClientId, Known>> {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one more connection of the shard until the guard is dropped.
    pub(crate) fn take_load(self: &Arc<Self>) -> LoadGuard {
        self.load.fetch_add(1, Ordering::Relaxed);
        LoadGuard(Arc::clone(self))
    }

    /// How many connections the shard has, handshakes included.
    pub(crate) fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }
}

/// Counts a connection among those of its shard.
#[derive(Debug)]
pub(crate) struct LoadGuard(Arc<ShardHandle>);

impl Drop for LoadGuard {
    fn drop(&mut self) {
        self.0.load.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_held_until_each_of_its_commands_is_carried_out() {
        let handle = ShardHandle::default();
        let (client, other) = (ClientId::new(1, 0), ClientId::new(2, 0));
        let set_echo = || Command::SetEcho(client, true);
        assert!(matches!(handle.push(set_echo()), Err(Error::ClientNotFound)));
        handle.add_client(client, 0);
        handle.add_client(other, 0);
        handle.push(set_echo()).unwrap();
        handle.push(set_echo()).unwrap();
        assert!(handle.holds(client) && !handle.holds(other));
        handle.note_applied(client);
        assert!(handle.holds(client));
        handle.note_applied(client);
        assert!(!handle.holds(client) && !handle.holds_any());
        handle.inbox.push(Command::Stop).unwrap();
        assert!(matches!(handle.push(set_echo()), Err(Error::Stopped)));
        assert!(!handle.holds_any());
    }

    #[test]
    fn a_client_has_as_many_rooms_as_the_limit() {
        let handle = ShardHandle::default();
        let client = ClientId::new(1, 0);
        assert!(matches!(handle.add_room(client, 2), Err(Error::ClientNotFound)));
        handle.add_client(client, 0);
        handle.add_room(client, 2).unwrap();
        handle.add_room(client, 2).unwrap();
        assert!(matches!(handle.add_room(client, 2), Err(Error::TooManyRooms { limit: 2 })));
        handle.remove_room(client);
        handle.add_room(client, 2).unwrap();
    }
}

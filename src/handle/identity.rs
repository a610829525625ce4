//! The host's calls about all connections of one identity, on all shards.
//!
//! Each locks the rosters of all shards, in their order, until it has pushed its commands: so it reaches exactly the
//! connections that have the identity at one moment, and what other threads do with one of them comes before or behind.

use super::{
    Handle,
    client::{check_close, check_identity},
};
use crate::{
    error::{Error, Result},
    event::ClientId,
    fanout::{
        command::{CloseFrame, Command, Rejection},
        shard_handle::LockedRoster,
    },
    frame::Kind,
    past::{Past, PastWanted},
    rooms::{self, HostCall},
};

impl Handle {
    /// Sends a message to all connections of an identity ([`set_identity`](Self::set_identity)), whatever rooms they are
    /// in. Returns how many they are: 0 is no error. A connection counts from the `set_identity` that has given it the
    /// identity until that of another one, a [`disconnect`](Self::disconnect), or its end. One that waits for admission
    /// counts, and receives the message when it is accepted. An empty identity is nobody's.
    ///
    /// # Errors
    /// [`Error::InvalidUtf8`] for text, [`Error::TooLarge`] for the message and for an identity of more than 256 bytes;
    /// [`Error::QueueFull`] as for [`send`](Self::send), if too much waits for any of them: nothing was sent then, to no
    /// one. [`Error::Stopped`]: a part may have been sent.
    pub fn send_to_identity(&self, identity: &str, kind: Kind, data: &[u8]) -> Result<usize> {
        check_identity(identity)?;
        let message = self.message(kind, data)?;
        let mut rosters = self.rosters_with_space(identity, &HostCall::of(self))?;
        self.for_each(&mut rosters, identity, |roster, client| {
            roster.push(Command::Send(client, message.clone()), 0)?;
            Ok(true)
        })
    }

    /// Closes all connections of an identity, each as [`disconnect`](Self::disconnect) does. Returns how many they are.
    /// One that waits for admission is rejected with HTTP 403 and the reason.
    ///
    /// When this has returned, the identity has no connection: one that is closed with [`disconnect`](Self::disconnect) or
    /// with this does not count any more, though its event `Disconnected` may come later, and still carries the identity.
    ///
    /// # Errors
    /// [`Error::InvalidCloseCode`], [`Error::TooLarge`] for the reason and for an identity of more than 256 bytes,
    /// [`Error::Stopped`].
    pub fn disconnect_identity(&self, identity: &str, code: u16, reason: &str) -> Result<usize> {
        check_identity(identity)?;
        check_close(code, reason)?;
        let mut rosters = self.rosters()?;
        self.for_each(&mut rosters, identity, |roster, client| {
            let command = if roster.handle.undecided.admissions.take(client).is_some() {
                let (text, headers) = (reason.to_owned(), String::new());
                Command::Reject(client, Box::new(Rejection { status: 403, text, headers }))
            } else {
                Command::Disconnect(client, CloseFrame::new(code, reason))
            };
            roster.push(command, 0)?;
            Ok(true)
        })
    }

    /// Puts all connections of an identity into a room, each as [`join`](Self::join) does. Returns how many of them are in
    /// the room then; those that were there already are among them. All enter between the same messages, and get nothing
    /// of the room's past: to give it, call [`join_with_past`](Self::join_with_past) for each of
    /// [`identity_clients`](Self::identity_clients).
    ///
    /// A client of events is in one room: one that is in another stays there, and does not count.
    ///
    /// # Errors
    /// [`Error::TooManyRooms`] if any other connection of the identity is in as many rooms as it may be
    /// ([`Config::max_rooms_per_client`](crate::Config::max_rooms_per_client)). To put those into the room that have a
    /// place, call [`join`](Self::join) for each of [`identity_clients`](Self::identity_clients).
    /// [`Error::InvalidRoom`], [`Error::TooLarge`] for an identity of more than 256 bytes, [`Error::QueueFull`] as for
    /// [`join`](Self::join), [`Error::Stopped`]. In all cases nothing has changed for any of them.
    pub fn join_identity(&self, identity: &str, room: &str) -> Result<usize> {
        check_identity(identity)?;
        rooms::check_name(room)?;
        let call = HostCall::of(self);
        let rosters = self.rosters_with_space(identity, &call)?;
        if !rosters.iter().any(|roster| roster.has_identity(identity)) {
            return Ok(0);
        }
        // A room is locked before a roster.
        drop(rosters);
        self.wait_for_event_space(&call)?;
        let max_rooms = self.shared.context.options.max_rooms_per_client;
        self.shared.rooms.reserve_many(room, |joined, reserve| {
            let id = joined.id();
            let mut rosters = self.rosters()?;
            // First all are asked whether they may, so that either all enter or none.
            for roster in &rosters {
                let outside = |client: &ClientId| {
                    !roster.is_in(*client, id) && !roster.has_its_one_room(*client)
                };
                for client in roster.clients_of(identity).into_iter().filter(outside) {
                    roster.check_place(client, max_rooms)?;
                }
            }
            self.for_each(&mut rosters, identity, |roster, client| {
                if roster.is_in(client, id) {
                    return Ok(true);
                }
                if roster.has_its_one_room(client) {
                    return Ok(false);
                }
                let wanted = PastWanted::of_host(Past::None, roster.since_in(client, room));
                let reservation = Box::new(reserve(client, &wanted));
                // It cannot fail: no inbox closes before a room that is open.
                let number = roster.push(Command::Join(client, reservation), max_rooms)?;
                joined.note_command(client.shard(), number);
                Ok(true)
            })
        })
    }

    /// Takes all connections of an identity out of a room, each as [`leave`](Self::leave) does. Returns how many of them
    /// were in the room. One that waits for admission to the room does not ask for it any more, and counts.
    ///
    /// # Errors
    /// [`Error::InvalidRoom`], [`Error::TooLarge`] for an identity of more than 256 bytes, [`Error::QueueFull`] as for
    /// [`leave`](Self::leave): in these cases nothing has changed. [`Error::Stopped`]: a part may have left.
    pub fn leave_identity(&self, identity: &str, room: &str) -> Result<usize> {
        check_identity(identity)?;
        rooms::check_name(room)?;
        let call = HostCall::of(self);
        drop(self.rosters_with_space(identity, &call)?);
        self.wait_for_event_space(&call)?;
        // A room that any of them is in is not forgotten: so it would be found.
        let left = self.shared.rooms.by_name(room);
        let mut rosters = self.rosters()?;
        self.for_each(&mut rosters, identity, |roster, client| {
            let has_asked = roster.handle.undecided.admissions.leave(client, room);
            if has_asked {
                roster.withdraw(client);
            }
            let Some(left) = left.as_ref().filter(|left| roster.is_in(client, left.id())) else {
                return Ok(has_asked);
            };
            let number = roster.push(Command::Leave(client, left.id()), 0)?;
            left.note_command(client.shard(), number);
            Ok(true)
        })
    }

    /// Returns the clients that have an identity now: those whom [`send_to_identity`](Self::send_to_identity) would reach.
    /// Those that wait for admission are among them. They are in no particular order.
    ///
    /// # Errors
    /// [`Error::TooLarge`] for an identity of more than 256 bytes, [`Error::Stopped`].
    pub fn identity_clients(&self, identity: &str) -> Result<Vec<ClientId>> {
        check_identity(identity)?;
        Ok(self.rosters()?.iter().flat_map(|roster| roster.clients_of(identity)).collect())
    }

    /// Locks the rosters of all shards, in their order.
    fn rosters(&self) -> Result<Vec<LockedRoster<'_>>> {
        if self.is_stopping() {
            return Err(Error::Stopped);
        }
        Ok(self.shared.shards.iter().map(|shard| shard.lock()).collect())
    }

    /// Locks the rosters of all shards once the inboxes of those that have connections of an identity have space.
    fn rosters_with_space(&self, identity: &str, call: &HostCall) -> Result<Vec<LockedRoster<'_>>> {
        loop {
            let rosters = self.rosters()?;
            let is_full = |roster: &LockedRoster<'_>| {
                roster.handle.inbox.is_full() && roster.has_identity(identity)
            };
            let Some(full) = rosters.iter().find(|roster| is_full(roster)) else {
                return Ok(rosters);
            };
            let inbox = &full.handle.inbox;
            drop(rosters);
            let timeout = self.shared.context.options.publish_timeout;
            inbox.wait_for_space(call.get(timeout))?;
        }
    }

    /// Calls `act` for each client of an identity. Returns for how many it has said that they were reached.
    fn for_each<'a>(
        &self,
        rosters: &mut [LockedRoster<'a>],
        identity: &str,
        mut act: impl FnMut(&mut LockedRoster<'a>, ClientId) -> Result<bool>,
    ) -> Result<usize> {
        let mut reached = 0;
        for roster in rosters {
            for client in roster.clients_of(identity) {
                reached += usize::from(act(roster, client)?);
            }
        }
        Ok(reached)
    }
}

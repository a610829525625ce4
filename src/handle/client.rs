//! The host's calls about one client.

use std::{sync::Arc, time::Instant};

use super::Handle;
use crate::{
    error::{Error, Result},
    event::ClientId,
    fanout::{
        command::{CloseFrame, Command, Rejection},
        shard_handle::ShardHandle,
    },
    frame::{self, Kind},
    options::Members,
    past::{Past, PastWanted, Since},
    position::Position,
    published::{self, Name},
    rooms::{self, HostCall},
};

/// The longest identity of a client, in bytes.
pub(super) const MAX_IDENTITY: usize = 256;

/// Checks what a connection is closed with.
///
/// # Errors
/// `InvalidCloseCode`, `TooLarge`.
pub(super) fn check_close(code: u16, reason: &str) -> Result<()> {
    if !frame::may_send_close_code(code) {
        return Err(Error::InvalidCloseCode(code));
    }
    let (size, limit) = (reason.len(), frame::MAX_CLOSE_REASON);
    if size > limit {
        return Err(Error::TooLarge { what: "reason", size, limit });
    }
    Ok(())
}

/// Checks what a client is called by the host.
///
/// # Errors
/// `TooLarge`.
pub(super) fn check_identity(identity: &str) -> Result<()> {
    let (size, limit) = (identity.len(), MAX_IDENTITY);
    if size > limit {
        return Err(Error::TooLarge { what: "identity", size, limit });
    }
    Ok(())
}

impl Handle {
    /// Sends a message to one client.
    ///
    /// # Errors
    /// [`Error::ClientNotFound`], [`Error::InvalidUtf8`] for text, [`Error::TooLarge`],
    /// [`Error::QueueFull`] (see [`Config::publish_timeout`](crate::Config::publish_timeout)),
    /// [`Error::Stopped`]. In all cases nothing was sent.
    pub fn send(&self, client: ClientId, kind: Kind, data: &[u8]) -> Result<()> {
        let message = self.message(kind, data)?;
        self.push(
            self.shard_with_space(client, &HostCall::of(self))?,
            Command::Send(client, message),
        )
        .map(drop)
    }

    /// Sends a signal to one client: `{"type":"signal","text":…}` without a room. Plain WebSocket clients get none, nor does
    /// a client that lags or that waits for admission: then this succeeds, too. A signal is stored nowhere, has no
    /// position, and is never waited for: if the client's worker has too much to do, it is dropped and counted
    /// ([`Stats::signals_dropped`](crate::Stats::signals_dropped)). At most 4 KiB, or `max_message_size` if that is less.
    ///
    /// # Errors
    /// [`Error::ClientNotFound`], [`Error::InvalidUtf8`] for text, [`Error::TooLarge`], [`Error::Stopped`].
    pub fn signal_client(&self, client: ClientId, kind: Kind, data: &[u8]) -> Result<()> {
        let message = self.signal_of(kind, data)?;
        let shard = self.shard_of(client)?;
        if shard.inbox.is_full() {
            self.shared.context.counters.signals_dropped.add(1);
            return Ok(());
        }
        self.push(shard, Command::Signal(client, message)).map(drop)
    }

    /// Closes a client's connection, behind what was sent to it before. What the client sends after this has
    /// returned is ignored. A client that waits for admission is rejected with HTTP 403 and the reason. The
    /// code is 1000 to 1003, 1007 to 1013 or 3000 to 4999 (RFC 6455, 7.4); the reason is at most 123 bytes.
    ///
    /// A client of events ([`Form::Events`](crate::Form::Events)) gets the event `closing` with 1001, 1011, 1012 and
    /// 1013, and comes back; with every other code it gets `closed`.
    ///
    /// # Errors
    /// [`Error::ClientNotFound`], [`Error::InvalidCloseCode`], [`Error::TooLarge`],
    /// [`Error::Stopped`].
    pub fn disconnect(&self, client: ClientId, code: u16, reason: &str) -> Result<()> {
        check_close(code, reason)?;
        let shard = self.shard_of(client)?;
        if shard.undecided.admissions.take(client).is_some() {
            let (text, headers) = (reason.to_owned(), String::new());
            return self.push_rejection(shard, client, Rejection { status: 403, text, headers });
        }
        self.push(shard, Command::Disconnect(client, CloseFrame::new(code, reason))).map(drop)
    }

    /// Puts a client into a room, beside those that it is in: it receives what is published to the room from
    /// here on. Of the rooms that it is in, it publishes to the one that it joined first: what it sends after
    /// this has returned goes there. The host gets [`Event::Joined`](crate::Event::Joined), unless the client
    /// is in the room already.
    ///
    /// The client gets nothing of the room's past: [`join_with_past`](Self::join_with_past) gives it.
    ///
    /// # Errors
    /// [`Error::ClientNotFound`], [`Error::InvalidRoom`], [`Error::TooManyRooms`] if it is in as many as it may
    /// ([`Config::max_rooms_per_client`](crate::Config::max_rooms_per_client); a client of events in one: let it
    /// leave that first), [`Error::QueueFull`] as for
    /// [`send`](Self::send), and if 65,536 events more than [`Config::event_queue`](crate::Config::event_queue)
    /// wait for the host (in the event handler at once), [`Error::Stopped`]. In all cases nothing has changed.
    pub fn join(&self, client: ClientId, room: &str) -> Result<()> {
        self.join_with_past(client, room, Past::None, None)
    }

    /// Puts a client into a room as [`join`](Self::join) does, which is this with [`Past::None`], and gives it the last
    /// messages of the room, as many as `past` says. The client need not have asked for them.
    ///
    /// A client that comes back gets what it lacks, if that is all within `past`, and otherwise as much as `past` says.
    /// `since` is the position up to which it has everything, such as that of the room when a page was rendered
    /// ([`position`](Self::position)). If it is `None` or [`Position::NONE`], the server uses the position that the
    /// client sent for this room (`?since.ROOM=POSITION`; for the room of its path also `?since=`), once: when the
    /// client first enters it, whichever call puts it there. What a client of events sends as `Last-Event-ID` or
    /// `?since=` counts for the room that it enters first. A position of another room or of a history that is gone is
    /// no error: the client does not recover.
    ///
    /// A client that is in the room already gets nothing.
    ///
    /// # Errors
    /// Those of [`join`](Self::join).
    pub fn join_with_past(
        &self,
        client: ClientId,
        room: &str,
        past: Past,
        since: Option<Position>,
    ) -> Result<()> {
        rooms::check_name(room)?;
        let deadline = HostCall::of(self);
        let shard = self.shard_with_space(client, &deadline)?;
        self.wait_for_event_space(&deadline)?;
        let since = since.filter(|since| !since.is_none()).map(Since::Position);
        let since = since.or_else(|| shard.since_in(client, room));
        let wanted = PastWanted::of_host(past, since);
        self.shared.rooms.reserve(client, room, &wanted, |room, reservation| {
            let number = self.push(shard, Command::Join(client, Box::new(reservation)))?;
            room.note_command(client.shard(), number);
            Ok(())
        })
    }

    /// Takes a client out of a room: it receives nothing that is published to the room from here on, and what
    /// it sends after this has returned does not go there. A client that is in no room any more publishes to
    /// the host alone. The host gets [`Event::Left`](crate::Event::Left), unless the client is not in the
    /// room.
    ///
    /// # Errors
    /// [`Error::ClientNotFound`], [`Error::InvalidRoom`], [`Error::QueueFull`] as for
    /// [`join`](Self::join), [`Error::Stopped`].
    pub fn leave(&self, client: ClientId, room: &str) -> Result<()> {
        rooms::check_name(room)?;
        let deadline = HostCall::of(self);
        let shard = self.shard_with_space(client, &deadline)?;
        self.wait_for_event_space(&deadline)?;
        if shard.undecided.admissions.leave(client, room) {
            shard.withdraw(client);
        }
        // A room that the client is in, or has a reservation in, is not forgotten: so it would be found.
        let Some(room) = self.shared.rooms.by_name(room) else { return Ok(()) };
        let number = self.push(shard, Command::Leave(client, room.id()))?;
        room.note_command(client.shard(), number);
        Ok(())
    }

    /// Sets whether a client receives its own messages, whatever the option or its query said. It counts for
    /// everything that the client sends after this has returned, and as [`Config::echo`](crate::Config::echo) not for
    /// a room's past.
    ///
    /// # Errors
    /// [`Error::ClientNotFound`], [`Error::QueueFull`] as for [`send`](Self::send),
    /// [`Error::Stopped`].
    pub fn set_echo(&self, client: ClientId, echo: bool) -> Result<()> {
        self.push(
            self.shard_with_space(client, &HostCall::of(self))?,
            Command::SetEcho(client, echo),
        )
        .map(drop)
    }

    /// Sets what the host calls a client, such as the name of its user: all later events of the client carry
    /// it, those of everything that it sends after this has returned among them. At most 256 bytes; clients
    /// do not see it. What they see is the name ([`set_name`](Self::set_name)). Several clients may have one identity:
    /// [`send_to_identity`](Self::send_to_identity) and the calls like it reach them all, this client from when this
    /// has returned, unless the host has disconnected or rejected it. An empty identity takes the identity back: the
    /// client then has none.
    ///
    /// # Errors
    /// [`Error::ClientNotFound`], [`Error::TooLarge`], [`Error::QueueFull`] as for
    /// [`send`](Self::send), and as for [`join`](Self::join) while members are kept
    /// ([`Config::members`](crate::Config::members)), [`Error::Stopped`]. In all cases nothing has changed.
    pub fn set_identity(&self, client: ClientId, identity: &str) -> Result<()> {
        check_identity(identity)?;
        let identity = (!identity.is_empty()).then(|| identity.into());
        let command = Command::SetIdentity(client, identity);
        let call = HostCall::of(self);
        let shard = self.shard_with_space(client, &call)?;
        if self.shared.context.options.members != Members::Off {
            // It causes events of its own.
            self.wait_for_event_space(&call)?;
        }
        self.push(shard, command).map(drop)
    }

    /// Sets the name under which other clients see a client's messages: all that it sends after this has returned. At
    /// most 128 bytes of UTF-8 without control characters. By default a client has the name that it claims itself with
    /// `?name=`, or none. The host's name replaces a claimed one. An empty name takes the name back, the host's and
    /// the claimed one: the client then has none.
    ///
    /// Clients of the JSON form see names, and of claimed ones that they are claimed (`"claimed":true`); plain clients
    /// see none. A message that a room keeps keeps its name. The name need not be the only one of its kind:
    /// what the host knows the client by is the identity ([`set_identity`](Self::set_identity)), which is private.
    ///
    /// # Errors
    /// [`Error::InvalidName`] for a longer name or one with control characters, [`Error::ClientNotFound`],
    /// [`Error::QueueFull`] as for [`send`](Self::send), [`Error::Stopped`]. In all cases nothing has changed.
    pub fn set_name(&self, client: ClientId, name: &str) -> Result<()> {
        let name = if name.is_empty() {
            None
        } else {
            published::check_name(name).map_err(Error::InvalidName)?;
            Some(Name { text: name.into(), is_claimed: false })
        };
        let command = Command::SetName(client, name);
        self.push(self.shard_with_space(client, &HostCall::of(self))?, command).map(drop)
    }

    /// Returns the shard of a client, once its inbox has space: a host can push commands faster than the shard
    /// applies them.
    pub(super) fn shard_with_space(
        &self,
        client: ClientId,
        deadline: &HostCall,
    ) -> Result<&Arc<ShardHandle>> {
        let shard = self.shard_of(client)?;
        if shard.inbox.is_full() {
            let timeout = self.shared.context.options.publish_timeout;
            shard.inbox.wait_for_space(deadline.get(timeout))?;
        }
        Ok(shard)
    }

    /// Waits while far too many events wait for the host. In its event handler, which takes them, it does not wait.
    pub(super) fn wait_for_event_space(&self, deadline: &HostCall) -> Result<()> {
        let timeout = self.shared.context.options.publish_timeout;
        let at = if self.is_in_handler() { Instant::now() } else { deadline.get(timeout) };
        self.shared.context.events.wait_for_space(at)
    }
}

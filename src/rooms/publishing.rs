//! How clients and the host publish to rooms, and what becomes of keys.

use std::sync::Arc;

use super::{
    HostCall, Rooms, check_name,
    room::{Messages, NotPublished, Room, RoomClosed},
    sender::{PublishAs, Sender},
};
use crate::{
    error::{Error, Result},
    event::{ClientId, DecisionId},
    fanout::command::{Command, RoomId, Verdict},
    json::{Refusal, Refused},
    keys::{Keyed, Known, Repeat, Reservation as KeyReservation, Scope},
    message::Message,
    position::Position,
    published::{Author, Key},
};

/// What the host asks for with a message.
#[derive(Debug)]
pub(crate) struct Particulars<'a> {
    pub(crate) author: Option<Arc<Author>>,
    pub(crate) key: Option<Key>,
    /// Whose the key is.
    pub(crate) scope: Scope<'a>,
    pub(crate) is_unstored: bool,
}

/// Where a message of the host is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HostPublished {
    pub(crate) position: Position,
    /// Whether it was published before.
    pub(crate) is_duplicate: bool,
}

/// What becomes of a client's message.
#[derive(Debug)]
pub(crate) enum Publishing {
    /// It has this position, and is in every inbox.
    Now(Position),
    /// Its key is known.
    Known(Known),
    /// A broker stores it: the outcome comes to the client's shard under this number.
    Later(u64),
}

impl Rooms {
    /// Publishes a client's message to a room that it is in. Returns its position, or the number under which its outcome
    /// comes to the client's shard.
    ///
    /// # Errors
    /// `Stopped`.
    pub(crate) fn publish_from(
        &self,
        sender: &Sender<'_>,
        room: &Arc<Room>,
        message: Message,
    ) -> Result<Publishing> {
        if let Some(link) = &self.link {
            return self.append_from(link, sender, room, message).map(Publishing::Later);
        }
        let (context, shards) = (&self.context, &self.shards);
        let publisher = PublishAs::client(sender);
        let published = room.publish(context, shards, [message], &publisher, &self.kept);
        self.bound_history(room);
        match published {
            Ok(position) => Ok(Publishing::Now(position)),
            Err(NotPublished::Known(known)) => Ok(Publishing::Known(known)),
            // A room with a subscriber is not retired.
            Err(NotPublished::Closed(..)) => Err(Error::Stopped),
        }
    }

    /// Publishes messages of the host to a room, which need not have subscribers. Waits while an inbox is
    /// full. Returns the position of the last.
    ///
    /// # Errors
    /// `InvalidRoom`, `QueueFull`, `Stopped`; then none of them was published. `TimedOut` if a broker does not say in time
    /// whether they were.
    pub(crate) fn publish(
        &self,
        name: &str,
        messages: impl Messages,
        call: &HostCall,
    ) -> Result<Position> {
        let published = self.publish_as(&PublishAs::default(), name, messages, call);
        published.map(|published| published.position)
    }

    /// Publishes a message of the host as it asks for.
    ///
    /// # Errors
    /// Those of `publish`, `KeyReused`.
    pub(crate) fn publish_with(
        &self,
        name: &str,
        message: Message,
        particulars: &Particulars<'_>,
        call: &HostCall,
    ) -> Result<HostPublished> {
        let Particulars { author, key, scope, is_unstored } = particulars;
        let keys = &self.context.keys;
        let key = key.as_ref().map(|key| (key, keys.known_by(name, *scope, key, &message)));
        let (author, is_unstored) = (author.as_ref(), *is_unstored);
        let publisher = PublishAs { sender: None, author, key, is_unstored };
        let published = self.publish_as(&publisher, name, [message], call)?;
        if published.is_duplicate {
            self.context.counters.duplicates.add(1);
        }
        Ok(published)
    }

    fn publish_as(
        &self,
        publisher: &PublishAs<'_>,
        name: &str,
        mut messages: impl Messages,
        call: &HostCall,
    ) -> Result<HostPublished> {
        if self.is_full() {
            check_name(name)?;
            self.wait_for_space(call)?;
        }
        if let Some(link) = &self.link {
            let position = self.publish_to_broker(link, publisher, name, messages, call)?;
            return Ok(HostPublished { position, is_duplicate: false });
        }
        loop {
            let room = self.room_for_host(name)?;
            match room.publish(&self.context, &self.shards, messages, publisher, &self.kept) {
                Ok(position) => {
                    self.bound_history(&room);
                    return Ok(HostPublished { position, is_duplicate: false });
                }
                Err(NotPublished::Known(Known::Same(position))) => {
                    return Ok(HostPublished { position, is_duplicate: true });
                }
                Err(NotPublished::Known(Known::Reused)) => return Err(Error::KeyReused),
                Err(NotPublished::Closed(RoomClosed::Stopped, _)) => return Err(Error::Stopped),
                // The directory forgot it after the look-up: another room may have the name now.
                Err(NotPublished::Closed(RoomClosed::Retired, unpublished)) => {
                    messages = unpublished;
                }
            }
        }
    }

    /// Publishes a message of the host to every client.
    ///
    /// # Errors
    /// `QueueFull`, `Stopped`.
    pub(crate) fn broadcast(&self, message: Message, call: &HostCall) -> Result<()> {
        self.wait_for_space(call)?;
        let (everyone, host) = (&self.everyone, PublishAs::default());
        let published = everyone.publish(&self.context, &self.shards, [message], &host, &self.kept);
        published.map(drop).map_err(|_| Error::Stopped)
    }

    /// Returns the room for a message of the host. A new one is idle, since it has no subscribers.
    fn room_for_host(&self, name: &str) -> Result<Arc<Room>> {
        let mut directory = self.lock();
        if directory.stopped {
            return Err(Error::Stopped);
        }
        if let Some(room) = directory.get(name) {
            return Ok(Arc::clone(room));
        }
        // The name of a room that exists was checked when it was made.
        check_name(name)?;
        if !self.context.options.has_history() {
            // No client receives the message, now or later: the directory need not keep the room.
            let id = RoomId(directory.next_number());
            return Ok(Arc::new(Room::new(id, name.into(), self.shards.len(), Position::NONE)));
        }
        let room = self.look_up(&mut directory, name)?;
        self.note_idle(&mut directory, &room, self.context.options.history_age, None);
        Ok(room)
    }

    /// Reserves the key of a client's message that waits for review.
    pub(crate) fn reserve_key(
        &self,
        keyed: &Keyed,
        client: ClientId,
        decision: DecisionId,
    ) -> KeyReservation {
        if self.has_broker() {
            // The broker checks keys, where all servers see them.
            return KeyReservation::First;
        }
        let now = self.context.age_clock.coarse_now();
        self.context.keys.reserve(keyed.known_by, client, decision, now)
    }

    /// Gives back the key of a client's message that was reviewed, and tells the repeats what has become of it: where it is
    /// (there is no position if a broker stores it), or why it is not published.
    pub(crate) fn settle_key(
        &self,
        keyed: &Keyed,
        decision: DecisionId,
        outcome: &Result<Position, Refused>,
    ) {
        for Repeat { client, decision } in self.context.keys.settle(keyed.known_by, decision) {
            let verdict = match outcome {
                Ok(position) => Verdict::Duplicate(*position),
                // That says nothing of the repeat's client, which may be in the room.
                Err(refused) if refused.code == Refusal::NotInRoom => {
                    let reason = "the same message of a client that has left the room was first: send it again";
                    Verdict::Refuse(Refused { code: Refusal::Busy, reason: Some(reason.into()) })
                }
                Err(refused) => Verdict::Refuse(refused.clone()),
            };
            // Fails if the shard ends: then the client is closed.
            let _ =
                self.shards[client.shard()].inbox.push(Command::Decide(client, decision, verdict));
        }
    }
}

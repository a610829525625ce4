//! What a room that a broker keeps reaches from under its lock: the shards that have subscribers, the broker, and what is
//! pending there.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::pending::{Link, Publisher, Reader, Sent, Taken};
use crate::{
    broker::{Page, Progress, Range, Read, Stored, Unavailable},
    context::Context,
    event::{ClientId, Event},
    fanout::{
        command::{Command, Delivery, Reentry, RoomHead, Settled},
        shard_handle::ShardHandle,
    },
    json::Refusal,
    position::Position,
};

/// How many bytes of payloads one read answers at most.
const MAX_PAGE: usize = 1024 * 1024;

/// What all rooms of a server reach.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reach<'a> {
    pub(super) context: &'a Context,
    pub(super) shards: &'a [Arc<ShardHandle>],
}

/// What one room reaches.
#[derive(Debug, Clone, Copy)]
pub(super) struct RoomReach<'a> {
    pub(super) all: Reach<'a>,
    pub(super) link: &'a Link,
    /// The room, without an epoch.
    pub(super) room: &'a RoomHead,
    /// How many subscribers each shard has.
    pub(super) subscribers: &'a [usize],
    pub(super) last_commands: &'a [AtomicU64],
}

impl Reach<'_> {
    /// Pushes a command to a client's shard.
    pub(super) fn push(&self, client: ClientId, command: Command) {
        // Fails if the shard ends: then the client is closed.
        if let Some(shard) = self.shards.get(client.shard()) {
            let _ = shard.inbox.push(command);
        }
    }

    /// Tells a client what has become of its message, and the host if it is stored. The client is told where only if
    /// `is_last`, so that it was told of nothing behind that: it comes back with the last position that it was told of.
    pub(super) fn settle(
        &self,
        taken: &Taken<'_>,
        outcome: Result<Position, Refusal>,
        is_last: bool,
    ) {
        let Publisher::Client(sent) = &taken.append.publisher else { return };
        if let Ok(position) = outcome {
            self.context.counters.messages_published.add(1);
            self.report(sent, &taken.append.room, position);
        }
        if sent.is_answered {
            let told = |position| Settled::Sent(if is_last { position } else { Position::NONE });
            let settled = outcome.map_or_else(Settled::Refused, told);
            let command = Command::Settle(sent.client, taken.number, Box::new(settled));
            self.push(sent.client, command);
        }
    }

    fn report(&self, sent: &Sent, room: &Arc<str>, position: Position) {
        let Some(message) = sent.message.clone() else { return };
        let (client, identity, room) = (sent.client, sent.identity.clone(), Arc::clone(room));
        let event = Event::Message { client, identity, room, position, message };
        self.context.events.push_message(event, &self.context.counters);
    }
}

impl RoomReach<'_> {
    /// Delivers a message to the room's subscribers, under a number of their lanes. If a client of this server sent it,
    /// the host and the client are told.
    pub(super) fn deliver(&self, number: u64, position: Position, stored: &Stored) {
        let origin = &stored.origin;
        let is_own = origin.node == self.all.context.instance;
        let exclude = origin.client.filter(|_| is_own && origin.is_excluded);
        for shard in self.shards() {
            let message = stored.published.clone();
            let room = self.room.id;
            let (offset, answer, is_signal) = (position.offset, None, false);
            let delivery = Delivery { room, number, offset, message, exclude, answer, is_signal };
            self.push(shard, Command::Deliver(delivery));
        }
        if is_own && let Some(taken) = self.link.pending.take_delivered(origin.number, position) {
            self.all.settle(&taken, Ok(position), true);
        }
    }

    /// Has the room's subscribers stand somewhere else.
    pub(super) fn reenter(&self, reentry: &Reentry) {
        for shard in self.shards() {
            self.push(shard, Command::Reenter(Box::new(reentry.clone())));
        }
    }

    /// Tells clients of the room what has become of messages that are stored and were not delivered one by one.
    pub(super) fn settle_stored(
        &self,
        outcome: impl Fn(Position) -> Option<Result<Position, Refusal>>,
    ) {
        let pending = &self.link.pending;
        for (position, taken) in
            pending.take_stored(&self.room.name, |position| outcome(position).is_some())
        {
            if let Some(outcome) = outcome(position) {
                self.all.settle(&taken, outcome, false);
            }
        }
    }

    /// Asks the broker for a part of what the room keeps. Returns the number, and the answer if it is there.
    pub(super) fn read(
        &self,
        range: Range,
        max_count: usize,
    ) -> (u64, Progress<Result<Page, Unavailable>>) {
        let Link { broker, pending } = self.link;
        let number = pending.begin_read(Reader::Room(self.room.id));
        let room = Arc::clone(&self.room.name);
        let progress = broker.read(Read { number, room, range, max_count, max_bytes: MAX_PAGE });
        if matches!(progress, Progress::Done(_)) {
            pending.take_read(number);
        }
        (number, progress)
    }

    pub(super) fn set_interest(&self, is_on: bool) {
        self.link.broker.interest(&self.room.name, is_on);
    }

    fn shards(&self) -> impl Iterator<Item = usize> {
        let with_subscribers = self.subscribers.iter().enumerate().filter(|(_, count)| **count > 0);
        with_subscribers.map(|(shard, _)| shard)
    }

    /// Pushes a command about the room, which later messages of clients stay behind.
    fn push(&self, shard: usize, command: Command) {
        // Fails if the server stops.
        if let Ok(number) = self.all.shards[shard].inbox.push(command) {
            self.last_commands[shard].fetch_max(number, Ordering::Relaxed);
        }
    }
}

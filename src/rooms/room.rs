//! One room: gives its messages their order.
//!
//! Invariant: under the room's lock a message gets the next position, goes into the inbox of every shard that
//! has subscribers, and into the history, all or nothing. One that is not to be stored has no position, and its place in
//! the same order. So all subscribers see one order, and a new
//! subscriber gets the history up to an offset and every message after it.
//!
//! Where a broker gives the order and keeps the history, what it delivers goes through `remote.rs`, under the same lock.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::{
    memory::Memory,
    part::{Part, gap_after},
    pending::{Link, Linked},
    reach::{Reach, RoomReach},
    remote::Remote,
    sender::{PublishAs, Sender, report_message},
};
use crate::{
    context::Context,
    error::{Error, Result},
    event::ClientId,
    fanout::{
        command::{Answer, Command, Delivery, Reentry, Reservation, RoomHead, RoomId},
        shard_handle::ShardHandle,
    },
    json::Reason,
    keys::Known,
    message::Message,
    past::PastWanted,
    position::Position,
    published::Published,
    stored::{Gap, Range},
    sys,
};

/// What keeping a room costs beside its messages, in bytes. Without it, many rooms with little history would
/// pass the bound on all histories.
pub(crate) const ROOM_OVERHEAD: usize = 512;

/// Messages that are published together. The history comes last and takes them by value, which saves cloning
/// each.
pub(crate) trait Messages: AsRef<[Message]> + IntoIterator<Item = Message> {}

impl<M: AsRef<[Message]> + IntoIterator<Item = Message>> Messages for M {}

/// One room.
#[derive(Debug)]
pub(crate) struct Room {
    id: RoomId,
    name: Arc<str>,
    state: Mutex<State>,
    /// For each shard, the number of the last command that concerns the room. A client's message must not pass
    /// it.
    last_commands: Box<[AtomicU64]>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// The room as its subscribers know it; without an epoch if a broker keeps it.
    head: Arc<RoomHead>,
    order: Order,
    /// Whether somebody outside may know a position of the room.
    is_known: bool,
    /// How many subscribers each shard has.
    subscribers: Box<[usize]>,
    /// The room's key among the directory's idle rooms, while it has no subscribers.
    idle_key: Option<u64>,
}

/// Where a room's messages get their order, and are stored.
#[derive(Debug)]
enum Order {
    /// Here, under the room's lock.
    Memory(Memory),
    /// By a broker.
    Remote { remote: Box<Remote>, link: Linked },
}

impl Order {
    /// Returns the order in memory. A room with a broker keeps nothing here.
    fn memory(&mut self) -> Option<&mut Memory> {
        match self {
            Self::Memory(memory) => Some(memory),
            Self::Remote { .. } => None,
        }
    }
}

impl State {
    fn has_subscribers(&self) -> bool {
        self.subscribers.iter().any(|count| *count > 0)
    }

    fn position(&self) -> Position {
        match &self.order {
            Order::Memory(memory) => Position::of(self.head.epoch, memory.offset),
            Order::Remote { remote, .. } => remote.position(),
        }
    }

    /// Does what [`Room::retire`] does.
    fn retire(&mut self, kept: &AtomicUsize) -> Option<Position> {
        if self.phase == Phase::Open {
            self.phase = Phase::Retired;
        }
        let (is_known, epoch) = (self.is_known, self.head.epoch);
        let memory = self.order.memory()?;
        memory.clear(kept);
        let position = Position::of(epoch, memory.offset);
        Some(position).filter(|position| (is_known || position.offset > 0) && !position.is_none())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// The directory has forgotten the room: a caller that holds it must look up the name again.
    Retired,
    /// The server stops.
    Stopped,
}

/// Why messages are not published.
#[derive(Debug)]
pub(super) enum NotPublished<M> {
    /// The room does not take them. They come back.
    Closed(RoomClosed, M),
    /// Their key is known.
    Known(Known),
}

/// Why a room does not take messages any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RoomClosed {
    Retired,
    Stopped,
}

impl Room {
    /// Makes a room that stands at a position: 0 of a new epoch, or where it stood when it was forgotten.
    pub(crate) fn new(id: RoomId, name: Arc<str>, shards: usize, position: Position) -> Self {
        let memory = Memory::new(position.offset);
        Self::with(id, name, shards, position, Order::Memory(memory))
    }

    /// Makes a room that a broker keeps.
    pub(super) fn remote(id: RoomId, name: Arc<str>, shards: usize, link: Linked) -> Self {
        let order = Order::Remote { remote: Box::default(), link };
        Self::with(id, name, shards, Position::NONE, order)
    }

    fn with(id: RoomId, name: Arc<str>, shards: usize, position: Position, order: Order) -> Self {
        let head = Arc::new(RoomHead { id, name: Arc::clone(&name), epoch: position.epoch });
        let state = State {
            phase: Phase::Open,
            head,
            order,
            is_known: position.offset > 0,
            subscribers: vec![0; shards].into(),
            idle_key: None,
        };
        let last_commands = (0..shards).map(|_| AtomicU64::new(0)).collect();
        Self { id, name, state: Mutex::new(state), last_commands }
    }

    pub(crate) fn id(&self) -> RoomId {
        self.id
    }

    /// Returns the room as its subscribers know it.
    #[cfg(test)]
    pub(crate) fn head(&self) -> Arc<RoomHead> {
        Arc::clone(&self.lock().head)
    }

    /// Returns which history the room has: 0 if it has none, or that is not known yet.
    pub(crate) fn epoch(&self) -> u64 {
        self.lock().position().epoch
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Gives messages consecutive offsets and pushes them to the shards. Returns the position of the last.
    /// Message events are queued here, under the lock, so that the host sees the room's order.
    ///
    /// # Errors
    /// Why none of the messages was published.
    pub(super) fn publish<M: Messages>(
        &self,
        context: &Context,
        shards: &[Arc<ShardHandle>],
        messages: M,
        publisher: &PublishAs<'_>,
        kept: &AtomicUsize,
    ) -> Result<Position, NotPublished<M>> {
        let mut state = self.lock();
        let State { phase, head, order, subscribers, .. } = &mut *state;
        match phase {
            Phase::Open => {}
            Phase::Retired => return Err(NotPublished::Closed(RoomClosed::Retired, messages)),
            Phase::Stopped => return Err(NotPublished::Closed(RoomClosed::Stopped, messages)),
        }
        let Some(memory) = order.memory() else {
            debug_assert!(false, "what a broker keeps is appended there");
            return Err(NotPublished::Closed(RoomClosed::Stopped, messages));
        };
        let &PublishAs { sender, author, key, is_unstored } = publisher;
        let (number, offset) = (memory.number + 1, memory.offset + 1);
        // What is not stored has the offset 0.
        let offset_of = |index: u64| if is_unstored { 0 } else { offset + index };
        let numbered = || (0..).zip(messages.as_ref());
        let count = messages.as_ref().len() as u64;
        let last = match is_unstored {
            true => Position::NONE,
            false => Position::of(head.epoch, memory.offset + count),
        };
        if let Some((_, known_by)) = key {
            let (keys, now) = (&context.keys, context.age_clock.coarse_now());
            let published = keys.publish(known_by, last, now, &context.counters);
            published.map_err(NotPublished::Known)?;
        }
        memory.number += count;
        memory.offset += if is_unstored { 0 } else { count };
        let time = sys::coarse_unix_ms();
        let key = key.map(|(key, _)| key);
        let publish = |message| {
            let (author, key) = (author.cloned(), key.cloned());
            Published { message, author, key, time }
        };
        // A client publishes one message at a time.
        let mut answer = sender.and_then(|sender| {
            let frame = sender.ack?.encode(Some(&self.name), last);
            Some(Box::new(Answer { client: sender.id, frame }))
        });
        let exclude = sender.filter(|sender| sender.is_excluded).map(|sender| sender.id);
        for (shard, handle) in shards.iter().enumerate() {
            if subscribers[shard] == 0 {
                continue;
            }
            let deliveries = numbered().map(|(index, message)| Delivery {
                room: self.id,
                number: number + index,
                offset: offset_of(index),
                message: publish(message.clone()),
                exclude,
                answer: answer.take_if(|answer| answer.client.shard() == shard),
                is_signal: false,
            });
            let is_express = self.is_express(sender, shard, handle);
            self.push(shard, handle, sender, is_express, deliveries);
        }
        context.counters.messages_published.add(count);
        if let Some(sender) = sender
            && context.events.is_enabled()
        {
            for (index, message) in numbered() {
                let position = Position::of(head.epoch, offset_of(index));
                report_message(context, sender, &self.name, position, message);
            }
        }
        if head.epoch != 0 && !is_unstored {
            memory.store(messages.into_iter().map(publish), context, kept);
        }
        Ok(last)
    }

    /// Calls `act` with the number of the room's next delivery and how many subscribers each shard has, under the room's
    /// lock, unless the room is closed.
    pub(super) fn with_next_number(&self, act: impl FnOnce(u64, &[usize])) {
        let state = self.lock();
        let last = match &state.order {
            _ if state.phase != Phase::Open => return,
            Order::Memory(memory) => memory.number,
            Order::Remote { remote, .. } => remote.last_number(),
        };
        act(last + 1, &state.subscribers);
    }

    /// Whether what a client publishes passes a shard's pending commands, since none of them concerns the room or is a
    /// message of the same client.
    pub(super) fn is_express(
        &self,
        sender: Option<&Sender<'_>>,
        shard: usize,
        handle: &ShardHandle,
    ) -> bool {
        sender.is_some_and(|sender| {
            let has_pending = sender.commands.has_pending(sender.id, shard, handle);
            !has_pending && !self.has_pending_command(shard, handle)
        })
    }

    /// Pushes deliveries of the room to a shard, under the room's lock.
    pub(super) fn push(
        &self,
        shard: usize,
        handle: &ShardHandle,
        sender: Option<&Sender<'_>>,
        is_express: bool,
        deliveries: impl Iterator<Item = Delivery>,
    ) {
        let pushed = if is_express {
            handle.inbox.deliver_express(deliveries)
        } else {
            handle.inbox.deliver(deliveries).map(|number| {
                self.note_command(shard, number);
                if let Some(sender) = sender {
                    sender.commands.note(sender.id, shard, number);
                }
            })
        };
        // Inboxes close after all rooms.
        debug_assert!(pushed.is_ok(), "an inbox closed before a room");
    }

    /// Counts a client among the subscribers. Calls `then` under the room's lock, with the client's reservation.
    /// Returns what `then` returned, and the room's key among the directory's idle rooms, if it was idle.
    ///
    /// # Errors
    /// `Stopped`.
    pub(super) fn subscribe<T>(
        &self,
        client: ClientId,
        wanted: &PastWanted,
        reach: Reach<'_>,
        kept: &AtomicUsize,
        then: impl FnOnce(Reservation) -> T,
    ) -> Result<(T, Option<u64>)> {
        let mut state = self.lock();
        if state.phase != Phase::Open {
            return Err(Error::Stopped);
        }
        state.subscribers[client.shard()] += 1;
        state.is_known |= wanted.is_told;
        let State { head, order, subscribers, .. } = &mut *state;
        let outcome = match order {
            Order::Memory(memory) => {
                memory.forget_old(reach.context, kept);
                let past = memory.past(head, wanted);
                let room = Arc::clone(head);
                then(Reservation { room, from: memory.number + 1, past })
            }
            Order::Remote { remote, link } => {
                let reach = self.reach(reach, link, head, subscribers);
                let outcome = then(remote.enter(reach, client, wanted));
                // What is pushed to its shard now comes behind what `then` has pushed.
                remote.proceed(reach);
                outcome
            }
        };
        Ok((outcome, state.idle_key.take()))
    }

    /// Calls `then` under the room's lock, with what counts a client among the subscribers and returns its reservation. The
    /// room has one subscriber more on the first shard, whom the caller counts off: so it is not forgotten meanwhile, though
    /// `then` may count nobody. Returns what [`subscribe`](Self::subscribe) returns.
    ///
    /// # Errors
    /// `Stopped`.
    pub(super) fn subscribe_many<T>(
        &self,
        reach: Reach<'_>,
        kept: &AtomicUsize,
        then: impl FnOnce(&mut dyn FnMut(ClientId, &PastWanted) -> Reservation) -> T,
    ) -> Result<(T, Option<u64>)> {
        let mut state = self.lock();
        if state.phase != Phase::Open {
            return Err(Error::Stopped);
        }
        state.subscribers[0] += 1;
        let State { head, order, subscribers, is_known, .. } = &mut *state;
        let outcome = match order {
            Order::Memory(memory) => {
                memory.forget_old(reach.context, kept);
                then(&mut |client, wanted| {
                    subscribers[client.shard()] += 1;
                    *is_known |= wanted.is_told;
                    let past = memory.past(head, wanted);
                    Reservation { room: Arc::clone(head), from: memory.number + 1, past }
                })
            }
            Order::Remote { remote, link } => {
                let outcome = then(&mut |client, wanted| {
                    subscribers[client.shard()] += 1;
                    *is_known |= wanted.is_told;
                    remote.enter(self.reach(reach, link, head, subscribers), client, wanted)
                });
                remote.proceed(self.reach(reach, link, head, subscribers));
                outcome
            }
        };
        Ok((outcome, state.idle_key.take()))
    }

    /// Does something with the order of a room that a broker keeps.
    pub(super) fn with_remote<T>(
        &self,
        reach: Reach<'_>,
        act: impl FnOnce(&mut Remote, RoomReach<'_>) -> T,
    ) -> Option<T> {
        let mut state = self.lock();
        let State { head, order, subscribers, .. } = &mut *state;
        match order {
            Order::Memory(_) => None,
            Order::Remote { remote, link } => {
                Some(act(remote, self.reach(reach, link, head, subscribers)))
            }
        }
    }

    fn reach<'a>(
        &'a self,
        all: Reach<'a>,
        link: &'a Link,
        room: &'a RoomHead,
        subscribers: &'a [usize],
    ) -> RoomReach<'a> {
        RoomReach { all, link, room, subscribers, last_commands: &self.last_commands }
    }

    /// Returns up to `count` of the messages after the offset `floor` and before another one, with their offsets, and
    /// whether there are more: the latest of them, oldest first, of at most `size` bytes in all, but at least one. Also
    /// returns the room as it was then.
    pub(crate) fn before(
        &self,
        end: Option<u64>,
        floor: u64,
        (count, size): (usize, usize),
        context: &Context,
        kept: &AtomicUsize,
    ) -> (Arc<RoomHead>, Vec<(u64, Published)>, bool) {
        let mut state = self.lock();
        let head = Arc::clone(&state.head);
        let Some(memory) = state.order.memory() else { return (head, Vec::new(), false) };
        memory.forget_old(context, kept);
        let (messages, has_more) = memory.before(end, floor, (count, size));
        (head, messages, has_more)
    }

    /// Returns the room, where it stands, and up to `count` of the messages that it keeps in a range, of at most `size`
    /// bytes in all, but at least one.
    pub(super) fn part(
        &self,
        range: Range,
        (count, size): (usize, usize),
        context: &Context,
        kept: &AtomicUsize,
    ) -> (Arc<RoomHead>, Position, Part) {
        let mut state = self.lock();
        // The host may come back with the position.
        state.is_known = true;
        let (head, position) = (Arc::clone(&state.head), state.position());
        let Some(memory) = state.order.memory() else { return (head, position, Part::default()) };
        memory.forget_old(context, kept);
        let part = memory.part(head.epoch, range, (count, size));
        (head, position, part)
    }

    /// Drops the messages up to a position.
    ///
    /// # Errors
    /// Why the position is none of the room's.
    pub(super) fn trim(
        &self,
        up_to: Position,
        context: &Context,
        kept: &AtomicUsize,
    ) -> Result<(), Gap> {
        let mut state = self.lock();
        let top = state.position();
        gap_after(up_to, top, 0).map_or(Ok(()), Err)?;
        let Some(memory) = state.order.memory() else { return Ok(()) };
        memory.forget_old(context, kept);
        memory.trim(up_to.offset, kept);
        Ok(())
    }

    /// Drops the history, and begins another one. Tells the subscribers, behind what was published before.
    pub(super) fn begin_epoch(&self, epoch: u64, shards: &[Arc<ShardHandle>], kept: &AtomicUsize) {
        let mut state = self.lock();
        let State { phase: Phase::Open, head, order, subscribers, .. } = &mut *state else {
            return;
        };
        let Some(memory) = order.memory() else { return };
        memory.clear(kept);
        // What is told has a number: a client that enters behind it is not told.
        memory.number += 1;
        let (number, position) = (memory.number, Position::of(epoch, memory.offset));
        *head = Arc::new(RoomHead { epoch, ..RoomHead::clone(head) });
        for (shard, handle) in
            shards.iter().enumerate().filter(|(shard, _)| subscribers[*shard] > 0)
        {
            let (room, reason) = (Arc::clone(head), Some(Reason::Epoch));
            let reentry = Reentry { room, number, position, reason };
            // Fails if the server stops.
            if let Ok(command) = handle.inbox.push(Command::Reenter(Box::new(reentry))) {
                self.note_command(shard, command);
            }
        }
    }

    /// Counts one subscriber less on a shard. Returns whether it was the room's last.
    pub(super) fn unsubscribe(&self, shard: usize, reach: Reach<'_>) -> bool {
        let mut state = self.lock();
        state.subscribers[shard] -= 1;
        let is_last = !state.has_subscribers();
        let State { head, order, subscribers, .. } = &mut *state;
        if let Order::Remote { remote, link } = order
            && is_last
        {
            remote.leave(self.reach(reach, link, head, subscribers));
        }
        is_last
    }

    /// Notes the number of a command on a shard that concerns the room: later messages of clients stay behind
    /// it.
    pub(crate) fn note_command(&self, shard: usize, number: u64) {
        self.last_commands[shard].fetch_max(number, Ordering::Relaxed);
    }

    /// Whether a command that concerns the room is not applied yet on a shard.
    pub(crate) fn has_pending_command(&self, shard: usize, handle: &ShardHandle) -> bool {
        !handle.inbox.is_applied(self.last_commands[shard].load(Ordering::Relaxed))
    }

    /// Notes the room's key among the directory's idle rooms.
    pub(crate) fn set_idle_key(&self, key: u64) {
        self.lock().idle_key = Some(key);
    }

    /// Returns the room's key among the directory's idle rooms, if it is one.
    pub(crate) fn idle_key(&self) -> Option<u64> {
        self.lock().idle_key
    }

    /// Returns where the room stands, for somebody who may come back with it.
    pub(crate) fn position(&self) -> Position {
        let mut state = self.lock();
        state.is_known = true;
        state.position()
    }

    /// Returns what the room's history costs, in bytes.
    pub(crate) fn history_bytes(&self) -> usize {
        self.lock().order.memory().map_or(0, |memory| memory.bytes())
    }

    /// Closes the room to messages if it keeps none, as `retire` does: what is published meanwhile is kept, or goes to the
    /// room that has the name next.
    ///
    /// # Errors
    /// After what time the room's last message is too old.
    pub(super) fn retire_if_empty(
        &self,
        context: &Context,
        kept: &AtomicUsize,
    ) -> Result<Option<Position>, Duration> {
        let mut state = self.lock();
        if let Some(left) = state.order.memory().and_then(|memory| memory.left(context, kept)) {
            return Err(left);
        }
        Ok(state.retire(kept))
    }

    /// Closes the room to messages and drops its history: the directory forgets it. Returns where it stood, if
    /// anybody may come back with a position of it.
    pub(crate) fn retire(&self, kept: &AtomicUsize) -> Option<Position> {
        self.lock().retire(kept)
    }

    /// Closes the room to messages: the server stops.
    pub(crate) fn stop(&self) {
        self.lock().phase = Phase::Stopped;
    }

    /// Drops the room's oldest messages, but the last `least`, while all histories together, `kept`, are over a
    /// bound.
    pub(crate) fn shrink(&self, kept: &AtomicUsize, bound: usize, least: usize) {
        let mut state = self.lock();
        let Some(memory) = state.order.memory() else { return };
        memory.shrink(kept, bound, least);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is consistent at every point where a panic could be thrown.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

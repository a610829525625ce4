//! One room: the one place that orders its messages.
//!
//! Invariant: under the room's lock a message gets the next offset, goes into the history and into the
//! inbox of every shard that has subscribers, all or nothing. So all subscribers see one order, and a new
//! subscriber gets the history up to an offset and every message after it.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use crate::{
    context::Context,
    error::{Error, Result},
    event::{ClientId, Event},
    fanout::{
        command::{Delivery, RoomId},
        shard_handle::ShardHandle,
    },
    history::History,
    message::Message,
    sys,
};

/// What keeping a room costs beside its messages, in bytes, so that many rooms with little history
/// are counted for what they are.
pub(crate) const ROOM_OVERHEAD: usize = 512;

/// Messages that are published together. They are moved into the history, which comes last: that saves a
/// clone of each.
pub(crate) trait Messages: AsRef<[Message]> + IntoIterator<Item = Message> {}

impl<M: AsRef<[Message]> + IntoIterator<Item = Message>> Messages for M {}

/// One room.
#[derive(Debug)]
pub(crate) struct Room {
    id: RoomId,
    name: Arc<str>,
    state: Mutex<State>,
    /// The numbers of the last commands on each shard that concern the room. While they wait, a client's
    /// message waits behind them.
    queued: Box<[AtomicU64]>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// The offset of the last message; 0 before the first.
    offset: u64,
    history: History,
    /// How many subscribers each shard has.
    subscribers: Box<[usize]>,
    /// What the directory knows the room by while it has no subscribers.
    idle: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// Forgotten by the directory: a caller that looked it up earlier must look again.
    Retired,
    /// The server stops.
    Stopped,
}

/// A client that publishes to a room that it is in.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    pub(crate) id: ClientId,
    /// Whether it does not receive its own message.
    pub(crate) is_excluded: bool,
    /// What the host calls it; not needed if the host wants no events.
    pub(crate) identity: Option<Arc<str>>,
}

/// Why a room did not take a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Retired,
    Stopped,
}

impl Room {
    pub(crate) fn new(id: RoomId, name: Arc<str>, shards: usize) -> Self {
        let state = State {
            phase: Phase::Open,
            offset: 0,
            history: History::default(),
            subscribers: vec![0; shards].into(),
            idle: None,
        };
        let queued = (0..shards).map(|_| AtomicU64::new(0)).collect();
        Self { id, name, state: Mutex::new(state), queued }
    }

    pub(crate) fn id(&self) -> RoomId {
        self.id
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Gives messages their offsets, one behind the other, and pushes them to the shards: all of them or
    /// none, which are then given back. Returns the offset of the last. `sender` is the client that
    /// published them: the host is told of a client's messages in the room's order.
    pub(crate) fn publish<M: Messages>(
        &self,
        context: &Context,
        shards: &[Arc<ShardHandle>],
        messages: M,
        sender: Option<&Sender>,
        kept: &AtomicUsize,
    ) -> Result<u64, (Refused, M)> {
        let mut state = self.lock();
        match state.phase {
            Phase::Open => {}
            Phase::Retired => return Err((Refused::Retired, messages)),
            Phase::Stopped => return Err((Refused::Stopped, messages)),
        }
        let first = state.offset + 1;
        let numbered = || (first..).zip(messages.as_ref());
        let count = messages.as_ref().len() as u64;
        state.offset += count;
        let last = state.offset;
        let exclude = sender.filter(|sender| sender.is_excluded).map(|sender| sender.id);
        for (shard, handle) in shards.iter().enumerate() {
            if state.subscribers[shard] == 0 {
                continue;
            }
            let deliveries = numbered().map(|(offset, message)| Delivery {
                room: self.id,
                offset,
                message: message.clone(),
                exclude,
            });
            // Inboxes close after all rooms, so this does not fail.
            let pushed = if sender.is_some() && !self.is_queued(shard, handle) {
                handle.inbox.deliver_express(deliveries)
            } else {
                handle.inbox.deliver(deliveries).map(|number| self.note_queued(shard, number))
            };
            debug_assert!(pushed.is_ok(), "an inbox closed before a room");
        }
        context.counters.messages_published.add(count);
        if let Some(sender) = sender
            && context.events.is_enabled()
        {
            for (offset, message) in numbered() {
                report_message(context, sender, &self.name, offset, message);
            }
        }
        if self.id != RoomId::EVERYONE && context.options.history_messages > 0 {
            let before = state.history.bytes();
            let now = sys::coarse_now();
            state.history.append(messages, now, &context.options);
            note_kept(kept, before, state.history.bytes());
        }
        Ok(last)
    }

    /// Adds a subscriber on a shard. Calls `then`, while nobody can publish, with the offset of the first
    /// message that it receives and up to `count` messages from before it. Returns what that returned, and
    /// what the directory knew the room by if it was idle.
    pub(crate) fn subscribe<T>(
        &self,
        shard: usize,
        count: usize,
        context: &Context,
        kept: &AtomicUsize,
        then: impl FnOnce(u64, Vec<Message>) -> T,
    ) -> Result<(T, Option<u64>)> {
        let mut state = self.lock();
        if state.phase != Phase::Open {
            return Err(Error::Stopped);
        }
        state.subscribers[shard] += 1;
        let before = state.history.bytes();
        let history = state.history.last(count, sys::coarse_now(), context.options.history_age);
        note_kept(kept, before, state.history.bytes());
        let then = then(state.offset + 1, history);
        Ok((then, state.idle.take()))
    }

    /// Removes a subscriber. Returns whether it was the last.
    pub(crate) fn unsubscribe(&self, shard: usize) -> bool {
        let mut state = self.lock();
        state.subscribers[shard] -= 1;
        state.subscribers.iter().all(|count| *count == 0)
    }

    /// Notes the number of a command on a shard that concerns the room.
    pub(crate) fn note_queued(&self, shard: usize, number: u64) {
        self.queued[shard].fetch_max(number, Ordering::Relaxed);
    }

    /// Whether a command waits on a shard that concerns the room.
    pub(crate) fn is_queued(&self, shard: usize, handle: &ShardHandle) -> bool {
        !handle.inbox.is_carried_out(self.queued[shard].load(Ordering::Relaxed))
    }

    /// Notes what the directory knows the room by while it has no subscribers.
    pub(crate) fn set_idle(&self, idle: u64) {
        self.lock().idle = Some(idle);
    }

    /// Whether the room has messages that are not too old.
    pub(crate) fn has_history(&self, context: &Context, kept: &AtomicUsize) -> bool {
        let mut state = self.lock();
        let before = state.history.bytes();
        state.history.forget_older_than(context.options.history_age, sys::coarse_now());
        note_kept(kept, before, state.history.bytes());
        !state.history.is_empty()
    }

    /// What the room's messages cost, in bytes.
    pub(crate) fn history_bytes(&self) -> usize {
        self.lock().history.bytes()
    }

    /// Closes the room to messages, since the directory has forgotten it.
    pub(crate) fn retire(&self, kept: &AtomicUsize) {
        let mut state = self.lock();
        if state.phase == Phase::Open {
            state.phase = Phase::Retired;
        }
        let before = state.history.bytes();
        state.history = History::default();
        note_kept(kept, before, 0);
    }

    /// Closes the room to messages, since the server stops.
    pub(crate) fn stop(&self) {
        self.lock().phase = Phase::Stopped;
    }

    /// Forgets the room's oldest messages while `kept` is over a bound.
    pub(crate) fn shrink(&self, kept: &AtomicUsize, bound: usize) {
        let mut state = self.lock();
        while kept.load(Ordering::Relaxed) > bound {
            let before = state.history.bytes();
            if !state.history.forget_oldest() {
                return;
            }
            note_kept(kept, before, state.history.bytes());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is consistent at every point where a panic could be thrown.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the host of a client's message, in the room of that name; empty if the client is in none.
pub(crate) fn report_message(
    context: &Context,
    sender: &Sender,
    room: &Arc<str>,
    offset: u64,
    message: &Message,
) {
    let (client, room, identity) = (sender.id, Arc::clone(room), sender.identity.clone());
    let event = Event::Message { client, identity, room, offset, message: message.clone() };
    context.events.push_message(event, message.data().len(), &context.counters);
}

/// Updates the sum of what all rooms keep.
fn note_kept(kept: &AtomicUsize, before: usize, after: usize) {
    if after == before {
        // As a rule: a room that keeps as many as it may forgets one for each.
    } else if after > before {
        kept.fetch_add(after - before, Ordering::Relaxed);
    } else {
        kept.fetch_sub(before - after, Ordering::Relaxed);
    }
}

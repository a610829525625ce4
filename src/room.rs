//! One room: the one place that orders its messages.
//!
//! Invariant: under its lock a message gets the next offset, goes into the history and into the
//! inbox of every shard that has subscribers, all or nothing. So all subscribers see one order, and
//! whoever subscribes gets the history up to an offset and every message after it.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use crate::{
    context::Context,
    error::{Error, Result},
    history::History,
    message::Message,
    shard::{
        Link,
        client::Client,
        inbox::{Delivery, RoomId},
    },
    sys,
};

/// What keeping a room costs beside its messages, in bytes, so that many rooms with little history
/// are counted for what they are.
pub(crate) const ROOM_OVERHEAD: usize = 512;

/// Messages that are published together. They are moved into the history, which comes last: a clone
/// more would be a sixth of what publishing takes in batches.
pub(crate) trait Messages: AsRef<[Message]> + IntoIterator<Item = Message> {}

impl<M: AsRef<[Message]> + IntoIterator<Item = Message>> Messages for M {}

/// One room.
#[derive(Debug)]
pub(crate) struct Room {
    id: RoomId,
    name: Arc<str>,
    state: Mutex<State>,
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
    /// Forgotten by the directory: whoever looked it up earlier must look again.
    Retired,
    /// The server stops.
    Stopped,
}

/// A client that publishes to a room that it is in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Speaker<'a> {
    pub(crate) client: &'a Client,
    /// Its number among the room's subscribers on its shard.
    pub(crate) number: usize,
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
        Self { id, name, state: Mutex::new(state) }
    }

    pub(crate) fn id(&self) -> RoomId {
        self.id
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Gives messages their places, one behind the other, and sends them on their way: all of them or
    /// none, which are then given back. Returns the offset of the last. `speaker` is the client that
    /// published them: the host is told of a client's messages in the room's order.
    pub(crate) fn publish<M: Messages>(
        &self,
        context: &Context,
        shards: &[Arc<Link>],
        messages: M,
        speaker: Option<Speaker<'_>>,
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
        let hearing = speaker.filter(|speaker| speaker.client.has_echo());
        let exclude = speaker.map(|speaker| speaker.client.id()).filter(|_| hearing.is_none());
        for (shard, link) in shards.iter().enumerate() {
            if state.subscribers[shard] == 0 {
                continue;
            }
            let hearing = hearing.filter(|speaker| speaker.client.id().shard() == shard);
            let speaker = hearing.and_then(|speaker| u32::try_from(speaker.number).ok());
            let deliveries = numbered().map(|(offset, message)| Delivery {
                room: self.id,
                offset,
                message: message.clone(),
                exclude,
                speaker,
            });
            // Inboxes close after all rooms, so this does not fail.
            let pushed = link.inbox.deliver(deliveries);
            debug_assert!(pushed.is_ok(), "an inbox closed before a room");
        }
        context.counters.messages_published.add(count);
        if let Some(speaker) = speaker
            && context.events.is_enabled()
        {
            for (offset, message) in numbered() {
                speaker.client.report_message(&self.name, offset, message);
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

    /// Adds a subscriber on a shard. Calls `then`, while nobody can publish, with the offset of the
    /// first message that it is to see and up to `count` messages from before it. Returns what the
    /// directory knew the room by if it was idle.
    pub(crate) fn subscribe(
        &self,
        shard: usize,
        count: usize,
        context: &Context,
        kept: &AtomicUsize,
        then: impl FnOnce(u64, Vec<Message>),
    ) -> Result<Option<u64>> {
        let mut state = self.lock();
        if state.phase != Phase::Open {
            return Err(Error::Stopped);
        }
        state.subscribers[shard] += 1;
        let before = state.history.bytes();
        let history = state.history.last(count, sys::coarse_now(), context.options.history_age);
        note_kept(kept, before, state.history.bytes());
        then(state.offset + 1, history);
        Ok(state.idle.take())
    }

    /// Removes a subscriber. Returns whether it was the last.
    pub(crate) fn unsubscribe(&self, shard: usize) -> bool {
        let mut state = self.lock();
        state.subscribers[shard] -= 1;
        state.subscribers.iter().all(|count| *count == 0)
    }

    /// Notes what the directory knows the room by while it has no subscribers.
    pub(crate) fn rest(&self, idle: u64) {
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

    /// Lets the room take no more messages, since the directory has forgotten it.
    pub(crate) fn retire(&self, kept: &AtomicUsize) {
        let mut state = self.lock();
        if state.phase == Phase::Open {
            state.phase = Phase::Retired;
        }
        let before = state.history.bytes();
        state.history = History::default();
        note_kept(kept, before, 0);
    }

    /// Lets the room take no more messages, since the server stops.
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

/// Corrects the sum of what all rooms keep.
fn note_kept(kept: &AtomicUsize, before: usize, after: usize) {
    if after == before {
        // As a rule: a room that keeps as many as it may forgets one for each.
    } else if after > before {
        kept.fetch_add(after - before, Ordering::Relaxed);
    } else {
        kept.fetch_sub(before - after, Ordering::Relaxed);
    }
}

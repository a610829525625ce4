//! A room's subscribers on one shard, and the messages that wait to be written to them.
//!
//! A flush joins the frames of all messages that came since the last one in one buffer, and does one
//! write of it for each subscriber. The number of writes is nearly the whole cost of a fan-out.

use std::rc::Rc;

use slab::Slab;

use super::{
    client::{Client, Delivered},
    frames::Frames,
    inbox::Delivery,
};
use crate::{context::Context, event::ClientId, sys};

/// How many bytes of frames are joined at the most before they are written.
const MAX_JOINED: usize = 256 * 1024;

/// One room on one shard.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    subscribers: Slab<Subscriber>,
    pending: Vec<Delivery>,
}

#[derive(Debug)]
struct Subscriber {
    client: Rc<Client>,
    /// The first message that the subscriber is to see: those before it were published earlier,
    /// and are in the history that it was given.
    from: u64,
}

/// What all lanes of a shard join their frames in.
#[derive(Debug)]
pub(crate) struct Joiner {
    /// Never grows: what of it is not used costs no memory.
    buffer: Vec<u8>,
    excluded: Vec<ClientId>,
}

impl Default for Joiner {
    fn default() -> Self {
        Self { buffer: Vec::with_capacity(MAX_JOINED), excluded: Vec::new() }
    }
}

impl Lane {
    /// Adds a subscriber that sees the messages from an offset on. Returns the number under which
    /// it is removed.
    pub(crate) fn subscribe(&mut self, client: Rc<Client>, from: u64) -> usize {
        self.subscribers.insert(Subscriber { client, from })
    }

    pub(crate) fn unsubscribe(&mut self, number: usize) {
        self.subscribers.try_remove(number);
        if self.subscribers.is_empty() {
            self.pending.clear();
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.subscribers.is_empty()
    }

    /// Queues a message until the flush. Returns whether it is the first.
    pub(crate) fn push(&mut self, delivery: Delivery) -> bool {
        self.pending.push(delivery);
        self.pending.len() == 1
    }

    /// Writes all that waits to every subscriber. Calls `lagging` with each whose outbox has become
    /// non-empty.
    pub(crate) fn flush(
        &mut self,
        joiner: &mut Joiner,
        context: &Context,
        mut lagging: impl FnMut(&Rc<Client>),
    ) {
        let mut delivered = Delivered::default();
        let mut pending = &self.pending[..];
        while let Some(first) = pending.first() {
            let joined;
            (joined, pending) = pending.split_at(joiner.join(pending));
            let frames = first.message.long_frame().map_or_else(|| joiner.frames(), Frames::from);
            let mut subscribers = self.subscribers.iter().peekable();
            while let Some((_, subscriber)) = subscribers.next() {
                // While this one is written to: the kernel leaves little in the cache, and a fiftieth of
                // what a write takes was waiting for the client that it is for.
                if let Some((_, next)) = subscribers.peek() {
                    sys::prefetch(&*next.client);
                }
                let client = &subscriber.client;
                let is_lagging = if subscriber.from <= first.offset && !joiner.excludes(client) {
                    client.deliver_some(&frames, joined.len() as u64, &mut delivered)
                } else {
                    let (frames, messages) = subscriber.select(&frames, joined);
                    let frames = Frames::from(&frames[..]);
                    messages > 0 && client.deliver_some(&frames, messages, &mut delivered)
                };
                if is_lagging {
                    lagging(client);
                }
            }
        }
        delivered.count(context);
        // Not kept until the next flush, which may be long after.
        self.pending.clear();
    }
}

impl Joiner {
    /// Joins the frames of the first messages until they are long enough; a first one that is long itself
    /// is alone, and not copied. Returns how many they are.
    fn join(&mut self, pending: &[Delivery]) -> usize {
        self.buffer.clear();
        self.excluded.clear();
        let mut count = 0;
        for Delivery { message, exclude, .. } in pending {
            if count > 0 && self.buffer.len() + message.frame_len() > MAX_JOINED {
                break;
            }
            count += 1;
            self.excluded.extend(exclude);
            if count == 1 && message.long_frame().is_some() {
                break;
            }
            message.append_frame(&mut self.buffer);
        }
        self.excluded.sort_unstable();
        count
    }

    /// What was joined.
    fn frames(&self) -> Frames<'_> {
        self.buffer[..].into()
    }

    /// Whether a client is not to see all that is joined.
    fn excludes(&self, client: &Client) -> bool {
        !self.excluded.is_empty() && self.excluded.binary_search(&client.id()).is_ok()
    }
}

impl Subscriber {
    /// The frames of those joined messages that the subscriber is to see: not those from before it
    /// subscribed, nor its own if it wants no echo.
    fn select(&self, frames: &[u8], joined: &[Delivery]) -> (Vec<u8>, u64) {
        let id = self.client.id();
        let mut selected = Vec::new();
        let mut messages = 0;
        let mut start = 0;
        for delivery in joined {
            let end = start + delivery.message.frame_len();
            if delivery.offset >= self.from && delivery.exclude != Some(id) {
                selected.extend_from_slice(&frames[start..end]);
                messages += 1;
            }
            start = end;
        }
        (selected, messages)
    }
}

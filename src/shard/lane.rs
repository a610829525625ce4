//! A room's subscribers on one shard, and the messages that wait to be written to them.
//!
//! A flush joins the frames of all messages that came since the last one into one shared buffer,
//! and does one write of it for each subscriber. The number of writes is nearly the whole cost of
//! a fan-out.

use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use slab::Slab;

use super::{
    client::{Client, Delivered},
    inbox::Delivery,
};
use crate::{context::Context, event::ClientId, sys};

/// How many bytes of frames are joined at the most before they are written.
const MAX_JOINED: usize = 256 * 1024;

/// The size of the buffers in which frames are joined. One is reused for as long as nobody lags;
/// clients that lag keep it alive, and the next one is allocated.
const SEGMENT: usize = 64 * 1024;

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

/// The buffer that all lanes of a shard join their frames in.
#[derive(Debug, Default)]
pub(crate) struct Joiner {
    buffer: BytesMut,
    joined: Vec<Delivery>,
    excluded: Vec<ClientId>,
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
        let mut pending = self.pending.drain(..).peekable();
        while let Some(first) = pending.next() {
            let frames = joiner.join(first, &mut pending);
            let from = joiner.joined[0].offset;
            let mut subscribers = self.subscribers.iter().peekable();
            while let Some((_, subscriber)) = subscribers.next() {
                // While this one is written to: the kernel leaves little in the cache. Of the 1,850 ns
                // that a write takes, 45 were waiting for the client that it is for.
                if let Some((_, next)) = subscribers.peek() {
                    sys::prefetch(&*next.client);
                }
                let client = &subscriber.client;
                let is_lagging = if subscriber.from <= from && !joiner.excludes(client) {
                    client.deliver_some(&frames, joiner.joined.len() as u64, &mut delivered)
                } else {
                    let (frames, messages) = joiner.select(&frames, subscriber);
                    messages > 0 && client.deliver_some(&frames, messages, &mut delivered)
                };
                if is_lagging {
                    lagging(client);
                }
            }
        }
        delivered.count(context);
        // Not kept until the next flush, which may be long after.
        joiner.joined.clear();
    }
}

impl Joiner {
    /// Joins the frames of messages until they are long enough, and remembers which they are.
    fn join(
        &mut self,
        first: Delivery,
        rest: &mut std::iter::Peekable<std::vec::Drain<'_, Delivery>>,
    ) -> Bytes {
        self.joined.clear();
        self.excluded.clear();
        let mut len = first.message.frame_len();
        let long = first.message.long_frame().cloned();
        self.note(first);
        if let Some(frame) = long {
            return frame;
        }
        while let Some(next) = rest.next_if(|next| len + next.message.frame_len() <= MAX_JOINED) {
            len += next.message.frame_len();
            self.note(next);
        }
        self.excluded.sort_unstable();
        if self.buffer.capacity() < len {
            // Takes the old segment again if no client lags behind in it.
            self.buffer.reserve(len.max(SEGMENT));
        }
        for delivery in &self.joined {
            delivery.message.append_frame(&mut self.buffer);
        }
        self.buffer.split().freeze()
    }

    /// Whether a client is not to see all that is joined.
    fn excludes(&self, client: &Client) -> bool {
        !self.excluded.is_empty() && self.excluded.binary_search(&client.id()).is_ok()
    }

    fn note(&mut self, delivery: Delivery) {
        self.excluded.extend(delivery.exclude);
        self.joined.push(delivery);
    }

    /// The frames of the messages that one subscriber is to see: not those from before it
    /// subscribed, nor its own if it wants no echo.
    fn select(&self, frames: &Bytes, subscriber: &Subscriber) -> (Bytes, u64) {
        let id = subscriber.client.id();
        let mut selected = BytesMut::new();
        let mut messages = 0;
        let mut start = 0;
        for delivery in &self.joined {
            let end = start + delivery.message.frame_len();
            if delivery.offset >= subscriber.from && delivery.exclude != Some(id) {
                selected.extend_from_slice(&frames[start..end]);
                messages += 1;
            }
            start = end;
        }
        (selected.freeze(), messages)
    }
}

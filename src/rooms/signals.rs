//! Signals: what the subscribers of a room or the host are told that is stored nowhere and has no position, such as that
//! somebody types.
//!
//! Invariant: nothing waits for a signal. Where there is no space for it, it is dropped and counted.

use std::sync::Arc;

use super::{Rooms, check_name, room::Room, sender::Sender};
use crate::{
    context::Context,
    error::{Error, Result},
    event::Event,
    fanout::{command::Delivery, shard_handle::ShardHandle},
    message::Message,
    published::Published,
};

/// The longest payload of a signal, in bytes. One that is no longer than a message may be fits every outbox.
const MAX_SIGNAL: usize = 4 * 1024;

/// Returns how long the payload of a signal may be, in bytes.
pub(crate) fn max_len(context: &Context) -> usize {
    MAX_SIGNAL.min(context.options.max_message_size)
}

impl Room {
    /// Pushes a signal to the shards that have subscribers and space, behind the messages that have positions, and tells
    /// the host of a client's. `sender` is absent if the signal is the host's. Does nothing if the room is closed.
    fn signal(
        &self,
        context: &Context,
        shards: &[Arc<ShardHandle>],
        message: &Message,
        sender: Option<&Sender<'_>>,
    ) {
        let author = sender.and_then(|sender| sender.author.as_ref());
        let mut has_space = true;
        self.with_next_number(|number, subscribers| {
            for (shard, handle) in shards.iter().enumerate().filter(|it| subscribers[it.0] > 0) {
                let is_express = self.is_express(sender, shard, handle);
                let inbox = &handle.inbox;
                if if is_express { inbox.is_express_full() } else { inbox.is_full() } {
                    has_space = false;
                    continue;
                }
                // Its time is not told.
                let message = Published {
                    message: message.clone(),
                    author: author.cloned(),
                    key: None,
                    time: 0,
                };
                let exclude = sender.map(|sender| sender.id);
                let (room, offset, answer, is_signal) = (self.id(), 0, None, true);
                let delivery =
                    Delivery { room, number, offset, message, exclude, answer, is_signal };
                self.push(shard, handle, sender, is_express, std::iter::once(delivery));
            }
            if let Some(sender) = sender {
                report(context, sender, self.name(), message);
            }
        });
        context.counters.signals_dropped.add(u64::from(!has_space));
    }
}

impl Rooms {
    /// Tells a room's other subscribers something of a client that is in the room.
    pub(super) fn signal_from(&self, sender: &Sender<'_>, room: &Room, message: &Message) {
        room.signal(&self.context, &self.shards, message, Some(sender));
    }

    /// Tells a room's subscribers something of the host. Does nothing if there are none.
    ///
    /// # Errors
    /// `InvalidRoom`, `Stopped`.
    pub(crate) fn signal(&self, name: &str, message: &Message) -> Result<()> {
        check_name(name)?;
        let mut directory = self.lock();
        if directory.stopped {
            return Err(Error::Stopped);
        }
        let room = directory.get(name).cloned();
        drop(directory);
        if let Some(room) = room {
            room.signal(&self.context, &self.shards, message, None);
        }
        Ok(())
    }
}

/// Queues the event of a client's signal, or counts the signal as dropped. `room` is empty if the client is in none.
pub(super) fn report(context: &Context, sender: &Sender<'_>, room: &Arc<str>, message: &Message) {
    let (client, room, identity) = (sender.id, Arc::clone(room), sender.identity.clone());
    let event = Event::Signal { client, identity, room, message: message.clone() };
    context.events.push_signal(event, &context.counters);
}

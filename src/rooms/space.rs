//! Where what is published waits for space in the inboxes, and at a broker.

use super::{HostCall, Rooms, room::Room, sender::Sender};
use crate::{
    error::{Error, Result},
    fanout::inbox::QueueKind,
};

impl Rooms {
    /// Whether an inbox is so full that the host must wait.
    pub(crate) fn is_full(&self) -> bool {
        self.has_too_much_pending() || self.shards.iter().any(|shard| shard.inbox.is_full())
    }

    /// Whether a broker has so much to store that nobody may publish.
    pub(super) fn has_too_much_pending(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.pending.is_full())
    }

    /// Whether a queue of an inbox is full, so that clients whose messages go there are not read.
    pub(crate) fn is_queue_full(&self, queue: QueueKind) -> bool {
        self.has_too_much_pending()
            || self.shards.iter().any(|shard| {
                let inbox = &shard.inbox;
                inbox.is_express_full() || (queue == QueueKind::Commands && inbox.is_full())
            })
    }

    /// The queue that a client's messages to a room go to: that of the commands, if one is pending on a shard
    /// that concerns the room, or that is a message of the same client.
    pub(crate) fn queue_of(&self, sender: &Sender<'_>, room: Option<&Room>) -> QueueKind {
        if self.has_broker() {
            return QueueKind::Commands;
        }
        let is_behind = self.shards.iter().enumerate().any(|(index, shard)| {
            room.is_some_and(|room| room.has_pending_command(index, shard))
                || sender.commands.has_pending(sender.id, index, shard)
        });
        if is_behind { QueueKind::Commands } else { QueueKind::Express }
    }

    /// Waits on a thread of the host until every inbox has space.
    pub(super) fn wait_for_space(&self, call: &HostCall) -> Result<()> {
        if !self.is_full() {
            return Ok(());
        }
        let at = call.get(self.context.options.publish_timeout);
        if self.link.as_ref().is_some_and(|link| !link.pending.wait_for_space(at)) {
            return Err(Error::QueueFull);
        }
        self.shards.iter().try_for_each(|shard| shard.inbox.wait_for_space(at))
    }

    /// Waits in a task of a shard until a queue of every inbox has space.
    pub(crate) async fn space(&self, queue: QueueKind) {
        for shard in self.shards.iter() {
            shard.inbox.space(queue).await;
        }
        if let Some(link) = &self.link {
            link.pending.space().await;
        }
    }
}

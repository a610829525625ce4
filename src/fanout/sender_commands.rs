//! What clients have published behind the host's commands, on any shard.

use std::cell::RefCell;

use rustc_hash::FxHashMap;

use super::shard_handle::ShardHandle;
use crate::event::ClientId;

/// The numbers of the last commands of a shard's clients on each shard. While one is pending, what the same
/// client publishes to another room does not pass it: one client's messages keep their order.
#[derive(Debug, Default)]
pub(crate) struct SenderCommands(RefCell<FxHashMap<(ClientId, usize), u64>>);

impl SenderCommands {
    /// Notes the number of a command on a shard that a client's message has become.
    pub(crate) fn note(&self, client: ClientId, shard: usize, number: u64) {
        self.0.borrow_mut().insert((client, shard), number);
    }

    /// Whether a message of a client is a pending command on a shard.
    pub(crate) fn has_pending(&self, client: ClientId, shard: usize, handle: &ShardHandle) -> bool {
        let mut numbers = self.0.borrow_mut();
        // As a rule there are none, and then the client is not looked up.
        if numbers.is_empty() {
            return false;
        }
        let number = numbers.get(&(client, shard));
        let is_pending = number.is_some_and(|number| !handle.inbox.is_applied(*number));
        if !is_pending {
            numbers.remove(&(client, shard));
        }
        is_pending
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// Forgets a client that has left.
    pub(crate) fn remove(&self, client: ClientId) {
        let mut numbers = self.0.borrow_mut();
        if !numbers.is_empty() {
            numbers.retain(|(other, _), _| *other != client);
        }
    }
}

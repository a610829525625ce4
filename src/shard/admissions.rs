//! The handshakes of a shard that wait for the host's decisions.

use std::cell::RefCell;

use rustc_hash::FxHashMap;
use tokio::sync::oneshot;

use crate::{event::ClientId, fanout::command::Rejection};

/// The decision on a client: admitted, under which subprotocol if the host has chosen one, or why not.
pub(crate) type Decision = Result<Option<Box<str>>, Rejection>;

/// The waiting handshakes, by client.
#[derive(Debug, Default)]
pub(crate) struct AdmissionWaiters(RefCell<FxHashMap<ClientId, oneshot::Sender<Decision>>>);

impl AdmissionWaiters {
    /// Adds a handshake. Returns where its decision arrives.
    pub(crate) fn add(&self, client: ClientId) -> oneshot::Receiver<Decision> {
        let (sender, receiver) = oneshot::channel();
        self.0.borrow_mut().insert(client, sender);
        receiver
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// Removes a handshake, and returns the sender of its decision; `None` if it does not wait any more.
    pub(crate) fn take(&self, client: ClientId) -> Option<oneshot::Sender<Decision>> {
        self.0.borrow_mut().remove(&client)
    }
}

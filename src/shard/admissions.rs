//! Where the handshakes of a shard wait for the host's decisions.

use std::cell::RefCell;

use rustc_hash::FxHashMap;
use tokio::sync::oneshot;

use crate::{event::ClientId, fanout::command::Rejection};

/// The outcome of a client's request.
pub(crate) type Decision = Result<(), Rejection>;

/// The handshakes that wait, by their clients.
#[derive(Debug, Default)]
pub(crate) struct AdmissionWaiters(RefCell<FxHashMap<ClientId, oneshot::Sender<Decision>>>);

impl AdmissionWaiters {
    pub(crate) fn add(&self, client: ClientId) -> oneshot::Receiver<Decision> {
        let (sender, receiver) = oneshot::channel();
        self.0.borrow_mut().insert(client, sender);
        receiver
    }

    /// Takes the sender for a client's decision; `None` if nothing waits for it any more.
    pub(crate) fn take(&self, client: ClientId) -> Option<oneshot::Sender<Decision>> {
        self.0.borrow_mut().remove(&client)
    }
}

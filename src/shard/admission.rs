//! Clients that the host has not decided on yet.
//!
//! Invariant: whoever takes an applicant out of [`Applicants`] decides on it, and nobody else does:
//! the host's call, the deadline, or the end of the connection.

use std::{
    cell::RefCell,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustc_hash::FxHashMap;
use tokio::sync::oneshot;

use crate::event::ClientId;

/// What a client asked for that is to be decided on.
#[derive(Debug)]
pub(crate) struct Applicant {
    /// The room that it is to be in, unless the host has taken it out of that.
    pub(crate) room: Option<String>,
    /// How many of the room's last messages it is to get.
    pub(crate) history: usize,
}

/// The clients of a shard that wait, for all threads.
#[derive(Debug, Default)]
pub(crate) struct Applicants(Mutex<FxHashMap<ClientId, Applicant>>);

impl Applicants {
    pub(crate) fn add(&self, client: ClientId, applicant: Applicant) {
        self.lock().insert(client, applicant);
    }

    /// Takes a client out to decide on it; `None` if that is done, or there is none.
    pub(crate) fn take(&self, client: ClientId) -> Option<Applicant> {
        self.lock().remove(&client)
    }

    /// Lets a client that waits not be in the room that it asked for.
    pub(crate) fn leave(&self, client: ClientId, room: &str) {
        if let Some(applicant) = self.lock().get_mut(&client) {
            applicant.room.take_if(|name| name == room);
        }
    }

    fn lock(&self) -> MutexGuard<'_, FxHashMap<ClientId, Applicant>> {
        // A std mutex, held for one look-up.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a client is not admitted: what its request is answered with.
#[derive(Debug)]
pub(crate) struct Rejection {
    pub(crate) status: u16,
    pub(crate) text: String,
}

/// What became of a client's request.
pub(crate) type Decision = Result<(), Rejection>;

/// Where the handshakes of a shard wait for their decisions.
#[derive(Debug, Default)]
pub(crate) struct Answers(RefCell<FxHashMap<ClientId, oneshot::Sender<Decision>>>);

impl Answers {
    pub(crate) fn await_for(&self, client: ClientId) -> oneshot::Receiver<Decision> {
        let (sender, receiver) = oneshot::channel();
        self.0.borrow_mut().insert(client, sender);
        receiver
    }

    /// Where the decision on a client is awaited; `None` if it is not any more.
    pub(crate) fn take(&self, client: ClientId) -> Option<oneshot::Sender<Decision>> {
        self.0.borrow_mut().remove(&client)
    }
}

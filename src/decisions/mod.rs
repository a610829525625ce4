//! The clients and messages that wait for the host's decision, for all threads.
//!
//! Invariant: only the code that takes an entry out of its table decides: the host's call, the deadline, or the
//! end of the connection. So there is one outcome.

pub(crate) mod subprotocols;

use std::sync::{Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashMap;

use self::subprotocols::Subprotocols;
use crate::{
    error::{Error, Result},
    event::{ClientId, DecisionId},
    past::PastWanted,
};

/// The undecided clients and messages of one shard.
#[derive(Debug, Default)]
pub(crate) struct Undecided {
    pub(crate) admissions: Admissions,
    pub(crate) reviews: Reviews,
}

/// What a client that waits for admission asks for.
#[derive(Debug)]
pub(crate) struct Applicant {
    /// The room that it asks for, unless the host has taken it out of that.
    pub(crate) room: Option<String>,
    /// What it wants of the room's past.
    pub(crate) past: PastWanted,
    pub(crate) subprotocols: Subprotocols,
}

/// The clients that wait for admission.
#[derive(Debug, Default)]
pub(crate) struct Admissions(Mutex<FxHashMap<ClientId, Applicant>>);

impl Admissions {
    pub(crate) fn add(&self, client: ClientId, applicant: Applicant) {
        self.lock().insert(client, applicant);
    }

    /// Removes a client in order to decide on it; `None` if it is decided, or there is none.
    pub(crate) fn take(&self, client: ClientId) -> Option<Applicant> {
        self.lock().remove(&client)
    }

    /// Takes a waiting client out of the room that it asked for. Returns whether it was that room.
    pub(crate) fn leave(&self, client: ClientId, room: &str) -> bool {
        let mut admissions = self.lock();
        let applicant = admissions.get_mut(&client);
        applicant.is_some_and(|applicant| applicant.room.take_if(|name| name == room).is_some())
    }

    /// Chooses the subprotocol that the answer to a waiting client names.
    ///
    /// # Errors
    /// `ClientNotFound`; `InvalidArgument` if the client cannot have it.
    pub(crate) fn set_subprotocol(&self, client: ClientId, name: &str) -> Result<()> {
        let mut admissions = self.lock();
        let applicant = admissions.get_mut(&client).ok_or(Error::ClientNotFound)?;
        applicant.subprotocols.choose(name)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, FxHashMap<ClientId, Applicant>> {
        // A std mutex, held for one look-up.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The messages that wait for review, and their senders.
#[derive(Debug, Default)]
pub(crate) struct Reviews(Mutex<FxHashMap<DecisionId, ClientId>>);

impl Reviews {
    pub(crate) fn add(&self, decision: DecisionId, client: ClientId) {
        self.lock().insert(decision, client);
    }

    /// Removes a message in order to decide on it. Returns its sender; `None` if it is decided, or there is
    /// none.
    pub(crate) fn take(&self, decision: DecisionId) -> Option<ClientId> {
        self.lock().remove(&decision)
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    pub(crate) fn has(&self, decision: DecisionId) -> bool {
        self.lock().contains_key(&decision)
    }

    fn lock(&self) -> MutexGuard<'_, FxHashMap<DecisionId, ClientId>> {
        // A std mutex, held for one look-up.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! A shard as other threads see it.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use rustc_hash::FxHashSet;

use super::{admission::Applicants, inbox::Inbox, reviews::Undecided};
use crate::event::ClientId;

/// What other threads know of a shard.
#[derive(Debug, Default)]
pub(crate) struct Link {
    pub(crate) inbox: Inbox,
    /// The clients that can be sent to.
    // A std mutex: it is held for one look-up.
    roster: Mutex<FxHashSet<ClientId>>,
    pub(crate) applicants: Applicants,
    pub(crate) undecided: Undecided,
    load: AtomicUsize,
}

impl Link {
    /// Whether there is such a client on the shard.
    pub(crate) fn has_client(&self, client: ClientId) -> bool {
        self.roster().contains(&client)
    }

    /// The clients that can be sent to.
    pub(super) fn roster(&self) -> MutexGuard<'_, FxHashSet<ClientId>> {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one more connection of the shard, for as long as what this returns lives.
    pub(crate) fn take_load(self: &Arc<Self>) -> Load {
        self.load.fetch_add(1, Ordering::Relaxed);
        Load(Arc::clone(self))
    }

    /// How many connections the shard has, handshakes included.
    pub(crate) fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }
}

/// A connection's place on a shard.
#[derive(Debug)]
pub(crate) struct Load(Arc<Link>);

impl Drop for Load {
    fn drop(&mut self) {
        self.0.load.fetch_sub(1, Ordering::Relaxed);
    }
}

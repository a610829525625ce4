//! How many connections a shard has: the listener chooses the shard with the fewest.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// The number of a shard's connections, handshakes included.
#[derive(Debug, Default)]
pub(crate) struct Load(AtomicUsize);

impl Load {
    /// Counts one more connection until the guard is dropped.
    pub(crate) fn take(self: &Arc<Self>) -> LoadGuard {
        self.0.fetch_add(1, Ordering::Relaxed);
        LoadGuard(Arc::clone(self))
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts a connection among those of its shard.
#[derive(Debug)]
pub(crate) struct LoadGuard(Arc<Load>);

impl Drop for LoadGuard {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

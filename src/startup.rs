//! Waits until the threads of a server have started.
//!
//! A channel of std would do it too, but would make every program that links libchat larger.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::error::{Error, Result};

/// The threads of a server that are starting.
#[derive(Debug, Default)]
pub(crate) struct Startup {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// How many have neither started nor failed yet.
    left: usize,
    failure: Option<Error>,
}

/// Counts a thread as starting until it is dropped. So the wait ends also for a thread that was never created
/// or panicked.
#[derive(Debug)]
pub(crate) struct StartupGuard(Arc<Startup>);

impl Startup {
    /// Counts one more thread that is starting.
    pub(crate) fn guard(self: &Arc<Self>) -> StartupGuard {
        self.update(|state| state.left += 1);
        StartupGuard(Arc::clone(self))
    }

    /// Waits until all have started.
    ///
    /// # Errors
    /// The error of the first thread that failed.
    pub(crate) fn wait(&self) -> Result<()> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = self.changed.wait_while(state, |state| state.left > 0);
        let failure = state.unwrap_or_else(PoisonError::into_inner).failure.take();
        failure.map_or(Ok(()), Err)
    }

    fn update(&self, update: impl FnOnce(&mut State)) {
        update(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }
}

impl StartupGuard {
    /// Notes that the thread could not start.
    pub(crate) fn fail(self, error: Error) {
        self.0.update(|state| _ = state.failure.get_or_insert(error));
    }
}

impl Drop for StartupGuard {
    fn drop(&mut self) {
        self.0.update(|state| state.left -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_ends_when_each_has_started_failed_or_vanished() {
        let startup = Arc::new(Startup::default());
        let (started, failed, vanished) = (startup.guard(), startup.guard(), startup.guard());
        let panicking = std::thread::spawn(move || {
            let _guard = vanished;
            panic!("as it may");
        });
        failed.fail(Error::Stopped);
        drop(started);
        assert!(matches!(startup.wait(), Err(Error::Stopped)));
        assert!(panicking.join().is_err());
    }
}

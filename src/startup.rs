//! Waits until the threads of a server have started.
//!
//! A channel of std would do, and would make every program that links libchat larger.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::error::{Error, Result};

/// How the threads that are to start are doing.
#[derive(Debug, Default)]
pub(crate) struct Startup {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// How many have not said yet how they are.
    left: usize,
    failure: Option<Error>,
}

/// One thread's word, which counts as given when this is dropped: the wait ends also for a thread that
/// never came to be or panicked.
#[derive(Debug)]
pub(crate) struct Word(Arc<Startup>);

impl Startup {
    /// One more thread is to start.
    pub(crate) fn expect(self: &Arc<Self>) -> Word {
        self.update(|state| state.left += 1);
        Word(Arc::clone(self))
    }

    /// Waits until all have started.
    ///
    /// # Errors
    /// That of the first that could not.
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

impl Word {
    /// The thread could not start.
    pub(crate) fn failed(self, error: Error) {
        self.0.update(|state| _ = state.failure.get_or_insert(error));
    }
}

impl Drop for Word {
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
        let (started, failed, vanished) = (startup.expect(), startup.expect(), startup.expect());
        let panicking = std::thread::spawn(move || {
            let _word = vanished;
            panic!("as it may");
        });
        failed.failed(Error::Stopped);
        drop(started);
        assert!(matches!(startup.wait(), Err(Error::Stopped)));
        assert!(panicking.join().is_err());
    }
}

//! How a server ends: what its threads note, and what waits for it.

use std::{
    any::Any,
    panic::catch_unwind,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::error::{Error, Result};

/// The end of one server.
#[derive(Debug, Default)]
pub(crate) struct End {
    // A std mutex: it is never held across an await or a call of the host.
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Whether all shards have ended.
    is_over: bool,
    /// Why the server ended by itself, if it did: the first failure.
    failure: Option<Arc<str>>,
    /// Whether clients were aborted at the deadline. `take_outcome` clears it.
    had_to_abort: bool,
}

impl State {
    fn outcome(&self) -> Result<()> {
        self.failure.clone().map_or(Ok(()), |why| Err(Error::Failed { why }))
    }
}

/// Returns what a panic says, if it says it as text.
pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> &str {
    let said = payload.downcast_ref::<&str>().copied();
    said.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a text")
}

impl End {
    /// Notes that a shard could not go on, and why.
    pub(crate) fn note_failed(&self, why: &str) {
        self.lock().failure.get_or_insert_with(|| why.into());
    }

    /// Notes that clients were aborted at the deadline.
    pub(crate) fn note_aborted(&self) {
        self.lock().had_to_abort = true;
    }

    /// Notes that all shards have ended, logs how, and wakes what waits.
    pub(crate) fn note_over(&self, connections_accepted: u64) {
        let mut state = self.lock();
        state.is_over = true;
        let (failure, had_to_abort) = (state.failure.clone(), state.had_to_abort);
        drop(state);
        // Not under the lock: a log subscriber may block, or panic.
        let log = || {
            if let Some(why) = failure {
                tracing::error!(
                    connections_accepted,
                    %why,
                    "stopped, because a part of the server could not go on"
                );
            } else if had_to_abort {
                tracing::warn!(
                    connections_accepted,
                    "stopped; some clients did not leave in time and were cut"
                );
            } else {
                tracing::info!(connections_accepted, "stopped");
            }
        };
        _ = catch_unwind(log);
        self.ended.notify_all();
    }

    /// Waits until all shards have ended.
    ///
    /// # Errors
    /// `TimedOut`; `Failed` if a shard could not go on.
    pub(crate) fn wait(&self, timeout: Duration) -> Result<()> {
        // A time that the clock cannot represent is no deadline.
        let deadline = Instant::now().checked_add(timeout);
        let mut state = self.lock();
        while !state.is_over {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            state = match left {
                Some(left) if left.is_zero() => return Err(Error::TimedOut),
                Some(left) => {
                    let woken = self.ended.wait_timeout(state, left);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.ended.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
        state.outcome()
    }

    /// Returns how a server ended whose threads were joined.
    ///
    /// # Errors
    /// `Failed` if a shard could not go on; `TimedOut`, once, if clients were aborted.
    pub(crate) fn take_outcome(&self) -> Result<()> {
        let mut state = self.lock();
        let had_to_abort = std::mem::take(&mut state.had_to_abort);
        state.outcome()?;
        if had_to_abort { Err(Error::TimedOut) } else { Ok(()) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is consistent at every point where a panic could be thrown.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_abort_is_told_once_and_a_failure_always() {
        let end = End::default();
        end.note_aborted();
        end.note_over(0);
        assert!(matches!(end.take_outcome(), Err(Error::TimedOut)));
        assert!(end.take_outcome().is_ok());
        end.note_aborted();
        end.note_failed("the first");
        end.note_failed("the second");
        for _ in 0..2 {
            let outcome = end.take_outcome();
            assert!(matches!(outcome, Err(Error::Failed { why }) if &*why == "the first"));
        }
    }

    #[test]
    fn a_wait_ends_at_its_time_and_at_the_end_and_not_before() {
        let end = End::default();
        assert!(matches!(end.wait(Duration::from_millis(1)), Err(Error::TimedOut)));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| end.wait(Duration::MAX));
            end.note_over(0);
            assert!(waiting.join().unwrap().is_ok());
        });
    }
}

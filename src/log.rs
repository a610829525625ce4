//! Where a server's log lines go, and how often they may.
//!
//! Lines are events of `tracing`. Nothing global is set for them: a server uses the subscriber that
//! was the default where it was started, on all of its threads and in the calls that log.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tracing::{Dispatch, dispatcher, subscriber::NoSubscriber};

/// How often a line passes that clients can cause.
const PAUSE: Duration = Duration::from_secs(1);

/// The subscriber of the thread that started a server; none, if there was none. Then lines go to the
/// one that the host may set for the whole process later, and cost nothing until then.
#[derive(Debug, Clone)]
pub(crate) struct Log(Option<Dispatch>);

impl Log {
    pub(crate) fn of_this_thread() -> Self {
        dispatcher::get_default(|dispatch| {
            Self((!dispatch.is::<NoSubscriber>()).then(|| dispatch.clone()))
        })
    }

    /// Calls a function whose lines go there.
    pub(crate) fn within<T>(&self, body: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(dispatch) => dispatcher::with_default(dispatch, body),
            None => body(),
        }
    }
}

/// Lets a line pass once a second: whatever clients do, the log does not fill.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    // A std mutex: it is held for a look at the clock.
    state: Mutex<Withheld>,
}

#[derive(Debug, Default)]
struct Withheld {
    passed: Option<Instant>,
    count: u64,
}

impl Throttle {
    /// How many lines were withheld since the last one, if the next one may pass; otherwise counts
    /// it among them.
    pub(crate) fn pass(&self) -> Option<u64> {
        self.pass_at(Instant::now())
    }

    fn pass_at(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.passed.is_some_and(|passed| now.saturating_duration_since(passed) < PAUSE) {
            state.count += 1;
            return None;
        }
        state.passed = Some(now);
        Some(std::mem::take(&mut state.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_passes_in_a_second_and_says_how_many_did_not() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        assert_eq!(throttle.pass_at(start), Some(0));
        for _ in 0..5 {
            assert_eq!(throttle.pass_at(start), None);
        }
        assert_eq!(throttle.pass_at(start + PAUSE), Some(5));
        assert_eq!(throttle.pass_at(start + PAUSE * 2), Some(0));
    }
}

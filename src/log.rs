//! Where a server's log lines go, and how often those are written that clients can cause.
//!
//! Lines are events of `tracing`. Nothing global is set for them: a server uses the subscriber that
//! was the default of the thread that started it, on all of its threads and in the calls that log.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tracing::{Dispatch, dispatcher, subscriber::NoSubscriber};

/// The least time between two lines of one kind that clients can cause.
const PAUSE: Duration = Duration::from_secs(1);

/// The subscriber of the thread that started a server, if it had one. Without it, lines go to the
/// subscriber that the host may set for the whole process later, and cost nothing until then.
#[derive(Debug, Clone)]
pub(crate) struct Log(Option<Dispatch>);

impl Log {
    pub(crate) fn of_this_thread() -> Self {
        dispatcher::get_default(|dispatch| {
            Self((!dispatch.is::<NoSubscriber>()).then(|| dispatch.clone()))
        })
    }

    /// Calls a function whose lines go to the subscriber.
    pub(crate) fn within<T>(&self, body: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(dispatch) => dispatcher::with_default(dispatch, body),
            None => body(),
        }
    }
}

/// The same for what is so until somebody corrects it.
const LONG_PAUSE: Duration = Duration::from_secs(60);

/// Allows one line a second, or a minute, so that clients cannot fill the log.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    // A std mutex: it is held for one read of the clock.
    state: Mutex<Withheld>,
}

#[derive(Debug, Default)]
struct Withheld {
    passed: Option<Instant>,
    count: u64,
}

impl Throttle {
    /// Returns how many lines were withheld since the last one, if the next line may pass.
    /// Otherwise counts it as withheld.
    pub(crate) fn pass(&self) -> Option<u64> {
        self.pass_at(Instant::now(), PAUSE)
    }

    /// The same for a line a minute.
    pub(crate) fn pass_seldom(&self) -> Option<u64> {
        self.pass_at(Instant::now(), LONG_PAUSE)
    }

    fn pass_at(&self, now: Instant, pause: Duration) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.passed.is_some_and(|passed| now.saturating_duration_since(passed) < pause) {
            state.count += 1;
            return None;
        }
        state.passed = Some(now);
        Some(std::mem::take(&mut state.count))
    }
}

/// Allows one line in a server's life, for what is so until somebody changes it.
#[derive(Debug, Default)]
pub(crate) struct Once {
    has_passed: AtomicBool,
}

impl Once {
    /// Whether the line has not passed yet.
    pub(crate) fn is_left(&self) -> bool {
        !self.has_passed.load(Ordering::Relaxed)
    }

    /// Whether the line may pass: the first call is told so.
    pub(crate) fn pass(&self) -> bool {
        self.is_left() && !self.has_passed.swap(true, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_passes_in_a_second_and_says_how_many_did_not() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        assert_eq!(throttle.pass_at(start, PAUSE), Some(0));
        for _ in 0..5 {
            assert_eq!(throttle.pass_at(start, PAUSE), None);
        }
        assert_eq!(throttle.pass_at(start + PAUSE, PAUSE), Some(5));
        assert_eq!(throttle.pass_at(start + PAUSE * 2, PAUSE), Some(0));
        assert_eq!(throttle.pass_at(start + PAUSE * 3, LONG_PAUSE), None);
        assert_eq!(throttle.pass_at(start + PAUSE * 2 + LONG_PAUSE, LONG_PAUSE), Some(1));
    }

    #[test]
    fn what_is_logged_seldom_passes_once_in_a_minute() {
        assert_eq!((PAUSE.as_secs(), LONG_PAUSE.as_secs()), (1, 60), "as documented");
        let throttle = Throttle::default();
        let before = Instant::now().checked_sub(PAUSE * 2).unwrap();
        assert_eq!(throttle.pass_at(before, PAUSE), Some(0));
        assert_eq!(throttle.pass_seldom(), None);
        assert_eq!(throttle.pass(), Some(1));
    }

    #[test]
    fn one_line_passes_in_a_servers_life() {
        let once = Once::default();
        assert!(once.is_left());
        assert!(once.pass());
        assert!(!once.is_left());
        assert!(!once.pass());
    }
}

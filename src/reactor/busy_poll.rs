//! Polls for a short time before a loop parks, where that pays off.

use std::{
    cell::Cell,
    hint, io,
    time::{Duration, Instant},
};

/// How many parks come between two tries at most.
const MAX_SKIPPED: u32 = 1024;

/// Decides when to busy poll. A try that finds nothing doubles the number of parks that come without one, and
/// a success halves it. So a loop that succeeds less than every second time, for instance because its
/// clients need the core that it spins on, soon parks at once.
#[derive(Debug)]
pub(super) struct BusyPoll {
    duration: Duration,
    /// How many parks come before the next try.
    to_skip: Cell<u32>,
    /// How many parks follow the next try if it finds nothing.
    penalty: Cell<u32>,
}

impl BusyPoll {
    pub(super) fn new(duration: Duration) -> Self {
        Self { duration, to_skip: Cell::new(0), penalty: Cell::new(1) }
    }

    /// Skips at least the next `parks` tries.
    pub(super) fn skip(&self, parks: u32) {
        self.to_skip.set(self.to_skip.get().max(parks));
    }

    /// Polls until something is found or the duration is over; does not poll if this try is skipped. Returns
    /// whether something was found; if not, the loop parks.
    pub(super) fn run(&self, mut poll: impl FnMut() -> io::Result<bool>) -> io::Result<bool> {
        if let Some(left) = self.to_skip.get().checked_sub(1) {
            self.to_skip.set(left);
            return Ok(false);
        }
        if self.duration.is_zero() {
            return Ok(false);
        }
        // An event that is there already says nothing about how long the next one takes.
        if poll()? {
            return Ok(true);
        }
        let penalty = self.penalty.get();
        let begun = Instant::now();
        while begun.elapsed() < self.duration {
            hint::spin_loop();
            if poll()? {
                self.penalty.set((penalty / 2).max(1));
                return Ok(true);
            }
        }
        self.to_skip.set(penalty);
        self.penalty.set((penalty * 2).min(MAX_SKIPPED));
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_nanos(1);
    const HOUR: Duration = Duration::from_secs(3600);

    /// Returns which of the next `parks` parks follow a try that finds nothing.
    fn tries(busy_poll: &BusyPoll, parks: u32) -> Vec<u32> {
        let mut tries = Vec::new();
        for park in 0..parks {
            let poll = || {
                tries.push(park);
                Ok(false)
            };
            assert!(!busy_poll.run(poll).unwrap());
        }
        tries.dedup();
        tries
    }

    /// Returns a poll that finds something the `nth` time.
    fn found_at(nth: u32) -> impl FnMut() -> io::Result<bool> {
        let mut polls = 0;
        move || {
            polls += 1;
            Ok(polls == nth)
        }
    }

    #[test]
    fn tries_that_find_nothing_become_rarer_up_to_one_in_a_thousand_parks() {
        let poll = BusyPoll::new(SHORT);
        assert_eq!(tries(&poll, 64), [0, 2, 5, 10, 19, 36]);
        assert!(tries(&poll, 10_000).len() < 20);
        assert_eq!(tries(&poll, 1025 * 10).len(), 10);
    }

    #[test]
    fn tries_that_find_something_become_more_frequent() {
        let mut poll = BusyPoll::new(SHORT);
        tries(&poll, 37);
        assert_eq!((poll.to_skip.get(), poll.penalty.get()), (32, 64));
        poll.to_skip.set(0);
        poll.duration = HOUR;
        for penalty in [32, 16, 8, 4, 2, 1, 1] {
            assert!(poll.run(found_at(3)).unwrap());
            assert_eq!((poll.to_skip.get(), poll.penalty.get()), (0, penalty));
        }
    }

    #[test]
    fn an_event_that_is_there_already_counts_neither_way() {
        let poll = BusyPoll::new(SHORT);
        tries(&poll, 2);
        let before = poll.penalty.get();
        poll.to_skip.set(0);
        assert!(poll.run(found_at(1)).unwrap());
        assert_eq!((poll.to_skip.get(), poll.penalty.get()), (0, before));
    }

    #[test]
    fn a_skipped_park_comes_without_a_try() {
        let poll = BusyPoll::new(SHORT);
        poll.skip(3);
        poll.skip(1);
        assert_eq!(tries(&poll, 6), [3, 5]);
        poll.skip(1);
        assert_eq!(poll.to_skip.get(), 2, "those after a try that found nothing");
    }

    #[test]
    fn a_duration_of_zero_never_polls() {
        assert!(tries(&BusyPoll::new(Duration::ZERO), 1000).is_empty());
    }

    #[test]
    fn a_poll_that_fails_ends_the_try() {
        let error = BusyPoll::new(HOUR).run(|| Err(io::ErrorKind::Other.into())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Other);
    }
}

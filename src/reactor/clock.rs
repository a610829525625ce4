//! The time of one loop.
//!
//! Time in which the loop should have run and did not (the process was stopped, or its core was taken away) is no
//! fault of a client, so it does not count: all deadlines move by it. They move by as much again, at most
//! `MAX_GRACE`, so that what came or could have been written meanwhile is seen before anyone is judged.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

/// How late a timer may be before the time counts as lost.
const TOLERANCE: Duration = Duration::from_millis(20);

/// How much time clients get at most beyond that which was lost.
const MAX_GRACE: Duration = Duration::from_secs(5);

/// The clock of one loop.
#[derive(Debug)]
pub(crate) struct Clock {
    source: Source,
    /// How far this clock is behind its source.
    behind: Cell<Duration>,
    /// The time of the current tick: the source is read once for all that happens in it.
    now: Cell<Instant>,
    /// Lost time counts again from this time of the source on: each deadline moves once for it, so that a loop that
    /// is always late still judges. `None` if it never counts again.
    counts_from: Cell<Option<Instant>>,
}

/// Where the time comes from.
#[derive(Debug)]
enum Source {
    System,
    /// A test's clock, which stands still between its steps.
    #[cfg(test)]
    Scripted(Cell<Instant>),
}

impl Clock {
    pub(crate) fn system() -> Self {
        Self::of(Source::System)
    }

    /// Makes a test's clock.
    #[cfg(test)]
    pub(crate) fn scripted() -> Self {
        Self::of(Source::Scripted(Cell::new(Instant::now())))
    }

    fn of(source: Source) -> Self {
        let now = source.read();
        Self {
            source,
            behind: Cell::default(),
            now: Cell::new(now),
            counts_from: Cell::new(Some(now)),
        }
    }

    /// Returns the time of the current tick.
    pub(crate) fn now(&self) -> Instant {
        self.now.get()
    }

    /// Reads the clock: `now` returns this time from here on.
    pub(crate) fn update(&self) -> Instant {
        let now = self.source.read();
        self.now.set(now.checked_sub(self.behind.get()).unwrap_or(now));
        self.now.get()
    }

    /// Returns a time of the system as a time of this clock.
    pub(crate) fn of_system(&self, time: Instant) -> Instant {
        time.checked_sub(self.behind.get()).unwrap_or(time)
    }

    /// Returns a time of this clock as a time of the system.
    pub(crate) fn to_system(&self, time: Instant) -> Instant {
        time + self.behind.get()
    }

    /// Notes that the timer fired that was set to a time. If it is late, the clock goes back.
    pub(crate) fn note_fired(&self, due: Instant) {
        let late = self.update().saturating_duration_since(due);
        let source_now = self.to_system(self.now());
        let counts = self.counts_from.get().is_some_and(|from| source_now >= from);
        if late <= TOLERANCE || !counts {
            return;
        }
        let moved = late + late.min(MAX_GRACE);
        // So the clock runs at half the speed at least.
        self.counts_from.set(Some(source_now + moved * 2));
        self.behind.set(self.behind.get() + moved);
        self.update();
    }

    /// Counts all time from now on, lost or not: the server stops, by a deadline of the host.
    pub(crate) fn count_all(&self) {
        self.counts_from.set(None);
    }

    /// Advances a test's clock.
    #[cfg(test)]
    pub(crate) fn advance(&self, time: Duration) {
        match &self.source {
            Source::System => panic!("the system's clock advances by itself"),
            Source::Scripted(now) => now.set(now.get() + time),
        }
    }
}

impl Source {
    fn read(&self) -> Instant {
        match self {
            Self::System => Instant::now(),
            #[cfg(test)]
            Self::Scripted(now) => now.get(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn lost_time_does_not_count_and_clients_get_as_much_again() {
        let clock = Clock::scripted();
        let start = clock.now();
        let due = start + SECOND;
        clock.advance(SECOND * 4);
        clock.note_fired(due);
        // It was late by 3 s: the deadline comes in 3 s.
        assert_eq!(due - clock.now(), SECOND * 3);
        clock.advance(SECOND * 3);
        assert_eq!(clock.update(), due);
        assert_eq!(clock.to_system(due), start + SECOND * 7);
        assert_eq!(clock.of_system(start + SECOND * 7), due);
    }

    #[test]
    fn the_grace_is_bounded() {
        let clock = Clock::scripted();
        let due = clock.now();
        clock.advance(SECOND * 3600);
        clock.note_fired(due);
        assert_eq!(due - clock.now(), MAX_GRACE);
    }

    #[test]
    fn a_timer_that_is_a_little_late_is_as_good_as_one_in_time() {
        let clock = Clock::scripted();
        let due = clock.now();
        clock.advance(TOLERANCE);
        clock.note_fired(due);
        assert_eq!(clock.update(), due + TOLERANCE);
    }

    #[test]
    fn a_loop_that_is_always_late_still_judges() {
        let clock = Clock::scripted();
        let (start, late) = (clock.now(), TOLERANCE * 2);
        for step in 1..=1000 {
            let due = clock.now();
            clock.advance(late);
            clock.note_fired(due);
            // It goes back once before it advances.
            assert!(clock.update() + late * 2 >= start + late * step / 2, "{step}");
        }
    }

    #[test]
    fn while_the_server_stops_all_time_counts() {
        let clock = Clock::scripted();
        let due = clock.now();
        clock.count_all();
        clock.advance(SECOND);
        clock.note_fired(due);
        assert_eq!(clock.update(), due + SECOND);
    }
}

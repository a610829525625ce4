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

/// From which lateness on the process was stopped, and did not just have too much to do.
const STOPPED: Duration = Duration::from_secs(1);

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
    /// The time that the loop's timer is set to.
    due: Cell<Option<Instant>>,
    /// A little time that is lost counts again from this time of the clock on: each deadline moves once for it, so
    /// that a loop that is always late still judges. `None` if no lost time counts again.
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
            due: Cell::default(),
            counts_from: Cell::new(Some(now)),
        }
    }

    /// Returns the time of the current tick.
    pub(crate) fn now(&self) -> Instant {
        self.now.get()
    }

    /// Reads the clock: `now` returns this time from here on. If the timer should have fired before, the clock goes
    /// back: nothing that begins from here on, as the timer's task does, reads a time that is taken back.
    pub(crate) fn update(&self) -> Instant {
        self.now.set(self.of_system(self.source.read()));
        if let Some(due) = self.due.get() {
            self.go_back_if_late(due);
        }
        self.now.get()
    }

    /// Notes the time that the timer is set to. It is late if the clock is read later.
    pub(crate) fn set_due(&self, due: Option<Instant>) {
        self.due.set(due);
    }

    /// Returns a time of the system as a time of this clock.
    pub(crate) fn of_system(&self, time: Instant) -> Instant {
        time.checked_sub(self.behind.get()).unwrap_or(time)
    }

    /// Returns a time of this clock as a time of the system.
    pub(crate) fn to_system(&self, time: Instant) -> Instant {
        time + self.behind.get()
    }

    fn go_back_if_late(&self, due: Instant) {
        let late = self.now.get().saturating_duration_since(due);
        if late <= TOLERANCE {
            return;
        }
        let source_now = self.to_system(self.now.get());
        let Some(counts_from) = self.counts_from.get() else { return };
        let moved = if due >= counts_from {
            let moved = late + late.min(MAX_GRACE);
            // So the clock runs at half the speed at least: it gets there in twice the time.
            self.counts_from.set(Some(self.now.get() + moved));
            moved
        } else if late >= STOPPED {
            // Stopped again, soon: the clients have what they were given before, and the clock stands still.
            late
        } else {
            return;
        };
        self.behind.set(self.behind.get() + moved);
        self.now.set(self.of_system(source_now));
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
        clock.set_due(Some(due));
        clock.advance(SECOND * 4);
        // It was late by 3 s: the deadline comes in 3 s.
        assert_eq!(due - clock.update(), SECOND * 3);
        clock.advance(SECOND * 3);
        assert_eq!(clock.update(), due);
        assert_eq!(clock.to_system(due), start + SECOND * 7);
        assert_eq!(clock.of_system(start + SECOND * 7), due);
    }

    #[test]
    fn the_grace_is_bounded() {
        let clock = Clock::scripted();
        let due = clock.now();
        clock.set_due(Some(due));
        clock.advance(SECOND * 3600);
        assert_eq!(due - clock.update(), MAX_GRACE);
    }

    #[test]
    fn a_timer_that_is_a_little_late_is_as_good_as_one_in_time() {
        let clock = Clock::scripted();
        let due = clock.now();
        clock.set_due(Some(due));
        clock.advance(TOLERANCE);
        assert_eq!(clock.update(), due + TOLERANCE);
    }

    #[test]
    fn a_loop_that_is_always_late_still_judges() {
        let clock = Clock::scripted();
        let (start, late) = (clock.now(), TOLERANCE * 2);
        for step in 1..=1000 {
            clock.set_due(Some(clock.now()));
            clock.advance(late);
            // It goes back once before it advances.
            assert!(clock.update() + late * 2 >= start + late * step / 2, "{step}");
        }
    }

    #[test]
    fn a_process_that_is_stopped_again_soon_loses_no_time_and_still_judges() {
        let clock = Clock::scripted();
        let step = TOLERANCE;
        for _ in 0..100 {
            let begun = clock.update();
            clock.set_due(Some(begun + step));
            clock.advance(STOPPED * 10 + step);
            // Once it goes back, and after that it advances by the time in which it ran.
            let passed = clock.update().saturating_duration_since(begun);
            assert!(passed <= step, "{passed:?}");
        }
        assert_eq!(clock.to_system(clock.now()) - clock.now(), STOPPED * 1000 + MAX_GRACE);
    }

    #[test]
    fn while_the_server_stops_all_time_counts() {
        let clock = Clock::scripted();
        let due = clock.now();
        clock.set_due(Some(due));
        clock.count_all();
        clock.advance(SECOND);
        assert_eq!(clock.update(), due + SECOND);
    }
}

//! The clock by which messages age and rooms without subscribers are forgotten.
//!
//! It is the system's, and reading it costs no more. A test's clock stands still until the test advances it: a day of an
//! idle room passes at once.

use std::time::Instant;
#[cfg(test)]
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::sys::{self, CoarseInstant};

/// The clock of what rooms keep.
#[derive(Debug, Default)]
pub(crate) struct AgeClock {
    #[cfg(test)]
    script: Option<Script>,
}

/// A test's clock.
#[cfg(test)]
#[derive(Debug)]
struct Script {
    begun: (Instant, CoarseInstant),
    /// Nanoseconds since it began.
    passed: AtomicU64,
}

impl AgeClock {
    /// Reads the clock.
    pub(crate) fn now(&self) -> Instant {
        #[cfg(test)]
        if let Some(script) = &self.script {
            return script.begun.0 + Duration::from_nanos(script.passed.load(Ordering::Relaxed));
        }
        Instant::now()
    }

    /// Reads the clock as it is read for each message: see [`sys::coarse_now`].
    pub(crate) fn coarse_now(&self) -> CoarseInstant {
        #[cfg(test)]
        if let Some(script) = &self.script {
            return CoarseInstant(script.begun.1.0 + script.passed.load(Ordering::Relaxed));
        }
        sys::coarse_now()
    }

    /// Makes a test's clock.
    #[cfg(test)]
    pub(crate) fn scripted() -> Self {
        let begun = (Instant::now(), sys::coarse_now());
        Self { script: Some(Script { begun, passed: AtomicU64::new(0) }) }
    }

    /// Advances a test's clock.
    #[cfg(test)]
    pub(crate) fn advance(&self, time: Duration) {
        let script = self.script.as_ref().expect("the system's clock advances by itself");
        script.passed.fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
    }
}

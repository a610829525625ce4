//! What a thread of the host waits for, and another thread tells.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Instant,
};

/// What has come of something, once that is known.
#[derive(Debug)]
pub(super) struct Outcome<T> {
    value: Mutex<Option<T>>,
    arrived: Condvar,
}

impl<T> Outcome<T> {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { value: Mutex::new(None), arrived: Condvar::new() })
    }

    /// Tells the outcome. The first one counts.
    pub(super) fn set(&self, value: T) {
        self.value.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(value);
        self.arrived.notify_all();
    }

    /// Takes the outcome, if it has come.
    #[cfg(test)]
    pub(super) fn take(&self) -> Option<T> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Waits for the outcome on a thread of the host. Returns `None` after the deadline.
    pub(super) fn wait(&self, deadline: Instant) -> Option<T> {
        let mut value = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        while value.is_none() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            let waited = self.arrived.wait_timeout(value, left);
            value = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        value.take()
    }
}

//! The edge to C: no panic crosses it, and no thread is cancelled behind it.

use std::{
    mem,
    panic::{self, AssertUnwindSafe},
    ptr,
};

use super::{failure::note_panic, uncancelled::Uncancelled};

/// What a function returns if it panics. Implemented beside each type that is returned.
pub(super) trait Fallback {
    fn on_panic() -> Self;
}

impl Fallback for () {
    fn on_panic() -> Self {}
}

impl Fallback for u32 {
    fn on_panic() -> Self {
        0
    }
}

impl Fallback for i32 {
    fn on_panic() -> Self {
        0
    }
}

impl Fallback for usize {
    fn on_panic() -> Self {
        0
    }
}

impl<T> Fallback for *const T {
    fn on_panic() -> Self {
        ptr::null()
    }
}

impl<T> Fallback for Option<Box<T>> {
    fn on_panic() -> Self {
        None
    }
}

/// Runs the body of an exported function. A panic in it ends here, and the thread cannot be cancelled in it.
pub(super) fn guard<T: Fallback>(body: impl FnOnce() -> T) -> T {
    let _uncancelled = Uncancelled::begin();
    // AssertUnwindSafe: state that a panic left half done is behind locks that the engine repairs.
    panic::catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| {
        note_panic(&*payload);
        // Dropping the payload could panic again, outside of every guard.
        mem::forget(payload);
        T::on_panic()
    })
}

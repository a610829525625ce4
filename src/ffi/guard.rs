//! Panics stop here: none crosses to C.

use std::{
    mem,
    panic::{self, AssertUnwindSafe},
    ptr,
};

/// What a function returns instead of panicking. Implemented beside each type that is returned.
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

/// The body of every exported function: a panic in it ends here.
pub(super) fn guard<T: Fallback>(body: impl FnOnce() -> T) -> T {
    // Whatever a panic left half done is behind locks that the engine takes care of.
    panic::catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| {
        // Dropping the payload could panic again, outside of every guard.
        mem::forget(payload);
        T::on_panic()
    })
}

//! The edge to C: no panic crosses it, and no thread is cancelled behind it.

use std::{
    mem,
    panic::{self, AssertUnwindSafe},
    ptr,
};

use super::uncancelled::Uncancelled;

/// What a function returns if it panics.
pub(super) trait Fallback {
    /// `said` is the text of the panic.
    fn on_panic(said: &str) -> Self;
}

impl Fallback for () {
    fn on_panic(_: &str) -> Self {}
}

impl Fallback for u32 {
    fn on_panic(_: &str) -> Self {
        0
    }
}

impl Fallback for i32 {
    fn on_panic(_: &str) -> Self {
        0
    }
}

impl Fallback for usize {
    fn on_panic(_: &str) -> Self {
        0
    }
}

impl<T> Fallback for *const T {
    fn on_panic(_: &str) -> Self {
        ptr::null()
    }
}

impl<T> Fallback for Option<Box<T>> {
    fn on_panic(_: &str) -> Self {
        None
    }
}

/// Runs the body of an exported function. A panic in it ends here, and the thread cannot be cancelled in it.
pub(super) fn guard<T: Fallback>(body: impl FnOnce() -> T) -> T {
    let _uncancelled = Uncancelled::begin();
    // AssertUnwindSafe: state that a panic left half done is behind locks that the engine repairs.
    panic::catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| {
        let said = payload.downcast_ref::<&str>().copied();
        let said = said.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let result = T::on_panic(said.unwrap_or("it panicked"));
        // Dropping the payload may panic again; the payload of that is kept for ever.
        mem::forget(panic::catch_unwind(AssertUnwindSafe(|| drop(payload))));
        result
    })
}

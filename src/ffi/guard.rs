//! The edge to C: no panic crosses it, and no thread is cancelled behind it.

use std::{
    ffi::c_int,
    mem,
    panic::{self, AssertUnwindSafe},
    ptr,
};

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

/// Keeps `pthread_cancel` from ending the calling thread until it is dropped: the thread would be unwound, which
/// Rust's frames do not allow, and what it holds would be held for ever.
struct Uncancelled(c_int);

#[cfg(target_os = "linux")]
const PTHREAD_CANCEL_DISABLE: c_int = 1;
#[cfg(target_vendor = "apple")]
const PTHREAD_CANCEL_DISABLE: c_int = 0;

#[cfg(any(target_os = "linux", target_vendor = "apple"))]
impl Uncancelled {
    fn begin() -> Self {
        let mut before = 0;
        // SAFETY: it changes the state of this thread alone, and writes the state before to `before`.
        unsafe { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &raw mut before) };
        Self(before)
    }
}

#[cfg(any(target_os = "linux", target_vendor = "apple"))]
impl Drop for Uncancelled {
    fn drop(&mut self) {
        let mut disabled = 0;
        // SAFETY: as above. The thread may be cancelled from here on, but this function is no cancellation point.
        unsafe { pthread_setcancelstate(self.0, &raw mut disabled) };
    }
}

#[cfg(any(target_os = "linux", target_vendor = "apple"))]
unsafe extern "C" {
    fn pthread_setcancelstate(state: c_int, before: *mut c_int) -> c_int;
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
impl Uncancelled {
    fn begin() -> Self {
        Self(0)
    }
}

/// Runs the body of an exported function. A panic in it ends here, and the thread cannot be cancelled in it.
pub(super) fn guard<T: Fallback>(body: impl FnOnce() -> T) -> T {
    let _uncancelled = Uncancelled::begin();
    // AssertUnwindSafe: state that a panic left half done is behind locks that the engine repairs.
    panic::catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| {
        // Dropping the payload could panic again, outside of every guard.
        mem::forget(payload);
        T::on_panic()
    })
}

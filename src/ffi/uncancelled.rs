//! Keeps `pthread_cancel` from ending a thread of the host inside a call: the thread would be unwound, which Rust's
//! frames do not allow, and what it holds would be held for ever.

#[cfg(all(any(target_os = "linux", target_vendor = "apple"), not(miri)))]
pub(super) use self::posix::Uncancelled;
// Miri does not know the function.
#[cfg(not(all(any(target_os = "linux", target_vendor = "apple"), not(miri))))]
pub(super) use self::other::Uncancelled;

#[cfg(all(any(target_os = "linux", target_vendor = "apple"), not(miri)))]
mod posix {
    use std::ffi::c_int;

    #[cfg(target_os = "linux")]
    const PTHREAD_CANCEL_DISABLE: c_int = 1;
    #[cfg(target_vendor = "apple")]
    const PTHREAD_CANCEL_DISABLE: c_int = 0;

    unsafe extern "C" {
        fn pthread_setcancelstate(state: c_int, before: *mut c_int) -> c_int;
    }

    /// The calling thread cannot be cancelled until this is dropped. It holds the thread's state before.
    pub(crate) struct Uncancelled(c_int);

    impl Uncancelled {
        pub(crate) fn begin() -> Self {
            let mut before = 0;
            // SAFETY: it changes the state of this thread alone, and writes the state before to `before`.
            unsafe { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &raw mut before) };
            Self(before)
        }
    }

    impl Drop for Uncancelled {
        fn drop(&mut self) {
            let mut disabled = 0;
            // SAFETY: as above. The thread may be cancelled from here on, but this function is no cancellation
            // point.
            unsafe { pthread_setcancelstate(self.0, &raw mut disabled) };
        }
    }
}

#[cfg(not(all(any(target_os = "linux", target_vendor = "apple"), not(miri))))]
mod other {
    /// The calling thread cannot be cancelled: there is no such thing here.
    pub(crate) struct Uncancelled;

    impl Uncancelled {
        pub(crate) fn begin() -> Self {
            Self
        }
    }
}

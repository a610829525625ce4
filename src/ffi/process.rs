//! Which process this is. Every call of a server asks, so the answer must not cost a system call.
//!
//! The count of forks, and the function that counts them, are what `ffi` keeps for the whole process: a call of
//! `getpid` for each broadcast would cost too much.

use std::{
    io,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

/// The number of forks between the process that first started a server and this one.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// A process, identified by the number of forks that lead to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process(u32);

impl Process {
    /// Returns the current process, and counts forks from now on.
    pub(super) fn watched() -> io::Result<Self> {
        static WATCHED: OnceLock<i32> = OnceLock::new();
        // SAFETY: `count` is async-signal-safe, as what runs in the child of a fork must be, and it
        // lives as long as the process: the library is never unloaded.
        match *WATCHED.get_or_init(|| unsafe { libc::pthread_atfork(None, None, Some(count)) }) {
            0 => Ok(Self::current()),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }

    /// Returns the current process.
    pub(super) fn current() -> Self {
        Self(FORKS.load(Ordering::Relaxed))
    }
}

/// Runs in the child of every fork.
unsafe extern "C" fn count() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

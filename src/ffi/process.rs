//! Which process this is: asked at every call about a server, so it must not cost a system call.
//!
//! The one thing that is global here: how often this process has been forked off. Measured from C,
//! asking the kernel for the process's number was half of a broadcast.

use std::{
    io,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

/// Forks between the process that first started a server and this one.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// A process, as far as it can be told from its forks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process(u32);

impl Process {
    /// The process that this runs in, from now on told from its forks.
    pub(super) fn watched() -> io::Result<Self> {
        static WATCHED: OnceLock<i32> = OnceLock::new();
        // SAFETY: `count` is async-signal-safe, as what runs in the child of a fork must be, and it
        // lives as long as the process: the library is never unloaded.
        match *WATCHED.get_or_init(|| unsafe { libc::pthread_atfork(None, None, Some(count)) }) {
            0 => Ok(Self::current()),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }

    /// The process that this runs in.
    pub(super) fn current() -> Self {
        Self(FORKS.load(Ordering::Relaxed))
    }
}

/// Runs in the child of every fork.
unsafe extern "C" fn count() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

//! The calls that no safe library has. Beside `ffi`, the only unsafe code.

use std::{
    io,
    os::fd::{AsRawFd, RawFd},
    time::Duration,
};
#[cfg(target_os = "linux")]
use std::{
    os::fd::{FromRawFd, OwnedFd},
    time::Instant,
};

/// Makes a timer of the kernel's, which can be watched as a socket is.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
pub(crate) fn timer() -> io::Result<OwnedFd> {
    let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
    // SAFETY: the call reads no memory.
    let fd = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is a descriptor of ours, which nobody else closes.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Lets a timer become readable at a time, or up to a millisecond later, and not before.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
pub(crate) fn set_timer(timer: &OwnedFd, at: Instant) -> io::Result<()> {
    // Never zero, which would mean never.
    let left = at.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
    let spec = libc::itimerspec {
        it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 },
        it_value: libc::timespec {
            tv_sec: libc::time_t::try_from(left.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: libc::c_long::from(left.subsec_millis()) * 1_000_000,
        },
    };
    let fd = timer.as_raw_fd();
    // SAFETY: the descriptor is open, and the structs are there for the call.
    if unsafe { libc::timerfd_settime(fd, 0, &raw const spec, std::ptr::null_mut()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// A connection's socket, for writes that need not wait. It does not own it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Socket(RawFd);

impl Socket {
    /// The socket of a stream. It must not be used once the stream is gone: its number may then be
    /// another file's.
    pub(crate) fn of(stream: &impl AsRawFd) -> Self {
        Self(stream.as_raw_fd())
    }

    /// Writes as many bytes as the socket takes now.
    #[allow(unsafe_code)]
    pub(crate) fn send(self, bytes: &[u8]) -> io::Result<usize> {
        // SAFETY: the bytes are readable for as long as the call takes.
        let taken = unsafe { libc::send(self.0, bytes.as_ptr().cast(), bytes.len(), SEND_FLAGS) };
        usize::try_from(taken).map_err(|_| io::Error::last_os_error())
    }
}

/// Lets the processor fetch the beginning of a value that is soon looked at.
pub(crate) fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    #[allow(unsafe_code)]
    // SAFETY: it is a hint, which reads nothing that the program could tell.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}

/// What to write to a socket with. The sockets do not block anyhow, and SIGPIPE is blocked where the
/// system has no such flag.
#[cfg(target_os = "linux")]
pub(crate) const SEND_FLAGS: libc::c_int = libc::MSG_NOSIGNAL;
#[cfg(not(target_os = "linux"))]
pub(crate) const SEND_FLAGS: libc::c_int = 0;

/// Calls a function with every signal blocked on the calling thread, so that the threads which it
/// spawns have them blocked from their first instruction on. Signals that come meanwhile are
/// delivered afterwards.
///
/// It keeps the host's signal handlers off libchat's threads, and saves a host that leaves SIGPIPE
/// at its default from being killed by a write to a socket that a client has reset: with the signal
/// blocked the write fails with EPIPE.
#[allow(unsafe_code)]
pub(crate) fn with_signals_blocked<T>(call: impl FnOnce() -> T) -> T {
    // SAFETY: both sets are plain C structs, filled by sigfillset and pthread_sigmask before they
    // are read, and pthread_sigmask changes nothing but the mask of this thread. Neither call can
    // fail with these arguments.
    let before = unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, &raw mut before);
        before
    };
    let result = call();
    // SAFETY: as above; the mask is the one that the thread had.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut()) };
    result
}

/// A moment, in nanoseconds since some moment before the program began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CoarseInstant(pub(crate) u64);

impl CoarseInstant {
    /// The moment that was a time ago; `None` if it was before the clock began.
    pub(crate) fn ago(self, time: Duration) -> Option<Self> {
        let time = time.as_secs().saturating_mul(NANOS).saturating_add(time.subsec_nanos().into());
        self.0.checked_sub(time).map(Self)
    }
}

const NANOS: u64 = 1_000_000_000;

/// The time, to about 4 ms: reading it takes 5 ns, an `Instant` 30 ns, a fifth of what publishing a
/// message takes.
#[allow(unsafe_code)]
pub(crate) fn coarse_now() -> CoarseInstant {
    #[cfg(target_os = "linux")]
    const CLOCK: libc::clockid_t = libc::CLOCK_MONOTONIC_COARSE;
    #[cfg(not(target_os = "linux"))]
    const CLOCK: libc::clockid_t = libc::CLOCK_MONOTONIC;
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a timespec that can be written to. The call cannot fail for this clock.
    unsafe { libc::clock_gettime(CLOCK, &raw mut now) };
    CoarseInstant(now.tv_sec as u64 * NANOS + now.tv_nsec as u64)
}

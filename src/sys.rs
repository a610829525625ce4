//! System calls that no safe library offers. The only unsafe code beside `ffi`.

use std::{
    fs::File,
    io,
    os::fd::{AsRawFd, RawFd},
    time::Duration,
};
#[cfg(target_os = "linux")]
use std::{
    os::fd::{FromRawFd, OwnedFd},
    time::Instant,
};

/// Makes a timerfd, which can be polled like a socket.
///
/// # Errors
/// No descriptor is left.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
pub(crate) fn timer() -> io::Result<OwnedFd> {
    let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
    // SAFETY: the call reads no memory.
    let fd = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call above has made the descriptor, and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Makes a timer readable at a time, or up to a millisecond later, but not before.
///
/// # Errors
/// Those of the system call; none is expected.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
pub(crate) fn set_timer(timer: &OwnedFd, at: Instant) -> io::Result<()> {
    // At least a millisecond: zero would disarm the timer.
    let left = at.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
    let spec = libc::itimerspec {
        it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 },
        it_value: libc::timespec {
            tv_sec: libc::time_t::try_from(left.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: libc::c_long::from(left.subsec_millis()) * 1_000_000,
        },
    };
    let fd = timer.as_raw_fd();
    // SAFETY: the descriptor is open, `spec` is valid for the call, and a null pointer is allowed as the last
    // argument.
    if unsafe { libc::timerfd_settime(fd, 0, &raw const spec, std::ptr::null_mut()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The descriptor of a connection's socket, for non-blocking writes. It does not own the socket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Socket(RawFd);

impl Socket {
    /// Makes it of a stream. It must not be used once the stream is closed: the descriptor may then belong to
    /// another file.
    pub(crate) fn of(stream: &impl AsRawFd) -> Self {
        Self(stream.as_raw_fd())
    }

    /// Writes as many bytes as the socket takes now.
    ///
    /// # Errors
    /// `WouldBlock` if it takes none; others if the connection is broken.
    #[allow(unsafe_code)]
    pub(crate) fn send(self, bytes: &[u8]) -> io::Result<usize> {
        // SAFETY: the pointer and the length are those of a slice that is borrowed for the call.
        let taken = unsafe { libc::send(self.0, bytes.as_ptr().cast(), bytes.len(), SEND_FLAGS) };
        usize::try_from(taken).map_err(|_| io::Error::last_os_error())
    }
}

/// Makes the processor fetch the first cache line of a value that is soon read.
pub(crate) fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    #[allow(unsafe_code)]
    // SAFETY: a prefetch is a hint: it has no effect that the program could observe.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}

/// The flags of writes to sockets. Where the system has no flag against SIGPIPE, the threads block the signal.
#[cfg(target_os = "linux")]
pub(crate) const SEND_FLAGS: libc::c_int = libc::MSG_NOSIGNAL;
#[cfg(not(target_os = "linux"))]
pub(crate) const SEND_FLAGS: libc::c_int = 0;

/// The signals that a fault raises on the thread that has it. They are not blocked: the kernel would end the process
/// without the host's handler, which may be a crash reporter or a sanitizer.
const FAULTS: [libc::c_int; 6] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS];

/// Calls a function with every signal but `FAULTS` blocked on the calling thread, so that the threads that the
/// function spawns have them blocked from their first instruction on. Signals that come meanwhile are delivered
/// afterwards.
///
/// It keeps the host's signal handlers off libchat's threads, and saves a host that leaves SIGPIPE
/// at its default from being killed by a write to a socket that a client has reset: with the signal
/// blocked the write fails with EPIPE.
#[allow(unsafe_code)]
pub(crate) fn with_signals_blocked<T>(call: impl FnOnce() -> T) -> T {
    // SAFETY: both sets are plain C structs, filled by sigfillset and pthread_sigmask before they
    // are changed or read, and pthread_sigmask changes nothing but the mask of this thread. Neither call can
    // fail with these arguments.
    let before = unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        FAULTS.iter().for_each(|fault| _ = libc::sigdelset(&raw mut all, *fault));
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, &raw mut before);
        before
    };
    let result = call();
    // SAFETY: as above; the mask is the one that the thread had.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut()) };
    result
}

/// Occupies the numbers of the standard streams, 0 to 2, while it lives, if a host has closed them: a host that opens
/// its streams again would close what has their numbers.
#[derive(Debug)]
pub(crate) struct StandardStreams(
    #[expect(dead_code, reason = "it keeps the descriptors open")] Vec<File>,
);

impl StandardStreams {
    pub(crate) fn occupy() -> Self {
        let mut occupied = Vec::new();
        // The kernel gives the lowest number that is free.
        while let Ok(file) = File::open("/dev/null")
            && is_standard_stream(&file)
        {
            occupied.push(file);
        }
        Self(occupied)
    }
}

/// Whether a descriptor has the number of a standard stream.
pub(crate) fn is_standard_stream(file: &impl AsRawFd) -> bool {
    file.as_raw_fd() <= libc::STDERR_FILENO
}

/// A point in time of the coarse clock, in nanoseconds since some time before the program began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CoarseInstant(pub(crate) u64);

impl CoarseInstant {
    /// Returns the point in time that was `time` before; `None` if that was before the clock began.
    pub(crate) fn ago(self, time: Duration) -> Option<Self> {
        let time = time.as_secs().saturating_mul(NANOS).saturating_add(time.subsec_nanos().into());
        self.0.checked_sub(time).map(Self)
    }
}

impl CoarseInstant {
    /// Returns the time that has passed since an earlier point in time.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

const NANOS: u64 = 1_000_000_000;

/// Reads the coarse clock, which stands still for some milliseconds at a time. It is much cheaper to read than
/// an `Instant`, which would be a notable part of publishing a message.
pub(crate) fn coarse_now() -> CoarseInstant {
    #[cfg(target_os = "linux")]
    const CLOCK: libc::clockid_t = libc::CLOCK_MONOTONIC_COARSE;
    #[cfg(not(target_os = "linux"))]
    const CLOCK: libc::clockid_t = libc::CLOCK_MONOTONIC;
    CoarseInstant(nanos(CLOCK))
}

/// Returns the milliseconds since 1970 by a clock that the kernel updates every few milliseconds, which is cheap to
/// read.
pub(crate) fn coarse_unix_ms() -> u64 {
    #[cfg(target_os = "linux")]
    const CLOCK: libc::clockid_t = libc::CLOCK_REALTIME_COARSE;
    #[cfg(not(target_os = "linux"))]
    const CLOCK: libc::clockid_t = libc::CLOCK_REALTIME;
    nanos(CLOCK) / 1_000_000
}

/// Reads a clock, in nanoseconds.
#[allow(unsafe_code)]
fn nanos(clock: libc::clockid_t) -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a timespec that can be written to. The call cannot fail for these clocks.
    unsafe { libc::clock_gettime(clock, &raw mut now) };
    now.tv_sec as u64 * NANOS + now.tv_nsec as u64
}

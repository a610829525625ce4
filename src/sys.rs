//! The calls that no safe library has. Beside `ffi`, the only unsafe code.

use std::io;

use mio::net::TcpListener;
use tokio::io::unix::AsyncFd;

/// Lets the runtime of the calling task tell when a listener has connections to accept.
#[allow(unsafe_code)]
pub(crate) fn watch(listener: TcpListener) -> io::Result<AsyncFd<TcpListener>> {
    // SAFETY: a TcpListener owns its descriptor, always names the same one, and keeps it open until
    // it is dropped, which the AsyncFd does after it has deregistered it.
    unsafe { AsyncFd::register(listener) }.map_err(io::Error::from)
}

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

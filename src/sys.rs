//! The calls that no safe library has. Beside `ffi`, the only unsafe code.

use std::{io, net::TcpListener};

use tokio::io::unix::AsyncFd;

/// Lets the runtime of the calling task tell when a listener has connections to accept.
#[allow(unsafe_code)]
pub(crate) fn watch(listener: TcpListener) -> io::Result<AsyncFd<TcpListener>> {
    // SAFETY: a TcpListener owns its descriptor, always names the same one, and keeps it open until
    // it is dropped, which the AsyncFd does after it has deregistered it.
    unsafe { AsyncFd::register(listener) }.map_err(io::Error::from)
}

/// Blocks every signal on the calling thread, which must be libchat's own.
///
/// It keeps the host's signal handlers off libchat's threads, and saves a host that leaves SIGPIPE
/// at its default from being killed by a write to a socket that a client has reset: with the signal
/// blocked the write fails with EPIPE.
#[allow(unsafe_code)]
pub(crate) fn block_signals() {
    // SAFETY: `set` is a plain C struct that sigfillset fills before it is read, and
    // pthread_sigmask changes nothing but the mask of this thread. Neither can fail with these
    // arguments.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigfillset(&raw mut set);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
    }
}

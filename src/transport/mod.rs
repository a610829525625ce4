//! One client's socket: bytes in, bytes out, never waits.
//!
//! Invariant: the caller never offers bytes again that `send` has taken, even if the transport still owes
//! them to the socket, as one that encrypts would. A handle is cheap to clone: the handshake and the outbound
//! half share it.

#[cfg(test)]
pub(crate) mod scripted;

#[cfg(target_os = "linux")]
use std::time::Duration;
use std::{
    io::{self, IoSlice},
    net::Shutdown,
    rc::Rc,
    task::Context,
};

use socket2::SockRef;

#[cfg(test)]
use self::scripted::Scripted;
use crate::{
    reactor::{Handler, Stream},
    sys::{self, Socket},
};

/// How a client's bytes reach the kernel.
#[derive(Debug, Clone)]
pub(crate) enum Transport {
    /// A TCP socket. The descriptor is beside the stream, so that a write touches no further memory.
    Plain(Socket, Rc<Stream>),
    /// A test's socket.
    #[cfg(test)]
    Scripted(Rc<Scripted>),
}

impl Transport {
    pub(crate) fn plain(stream: Stream) -> Self {
        Self::Plain(Socket::of(&stream), Rc::new(stream))
    }

    /// Writes as many bytes as are taken now. While `owed` is above 0, it flushes first and takes nothing.
    ///
    /// # Errors
    /// `WouldBlock` if none are taken; others if the connection is broken.
    pub(crate) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket, _) => socket.send(bytes),
            #[cfg(test)]
            Self::Scripted(script) => script.send(bytes),
        }
    }

    /// Writes many pieces in one call, as `send` does. Skips the call while the socket is known to be full.
    ///
    /// # Errors
    /// As `send`.
    pub(crate) fn send_slices(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Plain(_, stream) => stream.try_write_with(|stream| {
                SockRef::from(stream).send_vectored_with_flags(slices, sys::SEND_FLAGS)
            }),
            #[cfg(test)]
            Self::Scripted(script) => script.send_slices(slices),
        }
    }

    /// Returns how many of the bytes that `send` has taken are not in the socket yet. They count as part of
    /// the outbox.
    pub(crate) fn owed(&self) -> usize {
        match self {
            Self::Plain(..) => 0,
            #[cfg(test)]
            Self::Scripted(script) => script.owed(),
        }
    }

    /// Writes what is owed.
    ///
    /// # Errors
    /// `WouldBlock` if something is still owed; others if the connection is broken.
    pub(crate) fn flush(&self) -> io::Result<()> {
        match self {
            Self::Plain(..) => Ok(()),
            #[cfg(test)]
            Self::Scripted(script) => script.flush(),
        }
    }

    /// Reads what there is; 0 at the end of the stream. `is_readable` tells whether there may be more.
    ///
    /// # Errors
    /// `WouldBlock` if there is nothing; others if the connection is broken.
    pub(crate) fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(_, stream) => stream.try_read(buffer),
            #[cfg(test)]
            Self::Scripted(_) => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Returns the cached readiness to read.
    pub(crate) fn is_readable(&self) -> bool {
        match self {
            Self::Plain(_, stream) => stream.is_readable(),
            #[cfg(test)]
            Self::Scripted(_) => false,
        }
    }

    /// Sets how long sent data may stay unacknowledged before the kernel ends the connection.
    ///
    /// # Errors
    /// The connection is broken.
    #[cfg(target_os = "linux")]
    pub(crate) fn set_user_timeout(&self, timeout: Duration) -> io::Result<()> {
        match self {
            Self::Plain(_, stream) => {
                SockRef::from(stream.io()).set_tcp_user_timeout(Some(timeout))
            }
            #[cfg(test)]
            Self::Scripted(_) => Ok(()),
        }
    }

    /// Sends FIN: the client reads to the end of the stream.
    ///
    /// # Errors
    /// The connection is broken.
    pub(crate) fn shutdown_write(&self) -> io::Result<()> {
        match self {
            Self::Plain(_, stream) => SockRef::from(stream.io()).shutdown(Shutdown::Write),
            #[cfg(test)]
            Self::Scripted(script) => script.shutdown_write(),
        }
    }

    /// Ends the connection in both directions. What was not sent is lost.
    pub(crate) fn abort(&self) {
        match self {
            Self::Plain(_, stream) => {
                // It fails if the client has ended it already.
                let _ = SockRef::from(stream.io()).shutdown(Shutdown::Both);
            }
            #[cfg(test)]
            Self::Scripted(script) => script.abort(),
        }
    }

    /// Calls the handler's `on_writable` after the next poll: after a short write, the next one finds out
    /// whether the socket is full.
    pub(crate) fn try_writable(&self) {
        match self {
            Self::Plain(_, stream) => stream.try_writable(),
            #[cfg(test)]
            Self::Scripted(script) => script.wants_write.set(true),
        }
    }

    /// Calls the handler's `on_writable` when the socket, which is full, takes more.
    pub(crate) fn await_writable(&self) {
        match self {
            Self::Plain(_, stream) => stream.await_writable(),
            #[cfg(test)]
            Self::Scripted(script) => script.wants_write.set(true),
        }
    }

    /// Calls the handler's `on_readable` after the next poll.
    pub(crate) fn reschedule(&self) {
        if let Some(stream) = self.stream() {
            stream.reschedule();
        }
    }

    /// Sets the handler of the socket's readiness.
    pub(crate) fn set_handler(&self, handler: Rc<dyn Handler>) {
        if let Some(stream) = self.stream() {
            stream.set_handler(handler);
        }
    }

    /// Removes the handler.
    pub(crate) fn clear_handler(&self) {
        if let Some(stream) = self.stream() {
            stream.clear_handler();
        }
    }

    /// Wakes a task when something can be read.
    pub(crate) fn register_reader(&self, cx: &Context<'_>) {
        if let Some(stream) = self.stream() {
            stream.register_reader(cx);
        }
    }

    /// Wakes a task when something can be written.
    #[cfg(feature = "http")]
    pub(crate) fn register_writer(&self, cx: &Context<'_>) {
        if let Some(stream) = self.stream() {
            stream.register_writer(cx);
        }
    }

    /// Waits until something can be read.
    pub(crate) async fn readable(&self) {
        if let Some(stream) = self.stream() {
            stream.readable().await;
        }
    }

    /// Waits until something can be written.
    pub(crate) async fn writable(&self) {
        if let Some(stream) = self.stream() {
            stream.writable().await;
        }
    }

    fn stream(&self) -> Option<&Stream> {
        match self {
            Self::Plain(_, stream) => Some(stream),
            #[cfg(test)]
            Self::Scripted(_) => None,
        }
    }
}

//! A socket as hyper reads and writes it, of which libchat keeps a share.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::net::TcpStream;

use crate::connection::note_empty;

/// How much is read at once. A handshake is about 200 bytes long.
const READ_SIZE: usize = 1024;

/// The socket of a handshake.
#[derive(Debug)]
pub(crate) struct Io {
    stream: Arc<TcpStream>,
    /// Whether anything was written.
    is_answered: Arc<AtomicBool>,
}

impl Io {
    pub(crate) fn new(stream: Arc<TcpStream>, is_answered: Arc<AtomicBool>) -> Self {
        Self { stream, is_answered }
    }
}

impl Read for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // Through a buffer of our own: filling hyper's directly would take unsafe code.
        let mut buffer = [0; READ_SIZE];
        loop {
            ready!(self.stream.poll_read_ready(cx))?;
            let wanted = cursor.remaining().min(READ_SIZE);
            match self.stream.try_read(&mut buffer[..wanted]) {
                Ok(len) => {
                    cursor.put_slice(&buffer[..len]);
                    if len < wanted {
                        note_empty(&self.stream);
                    }
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl Write for Io {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_write_ready(cx))?;
            match self.stream.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => {
                    self.is_answered.store(true, Ordering::Relaxed);
                    return Poll::Ready(written);
                }
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The handshake ends the stream itself, and lingers.
        Poll::Ready(Ok(()))
    }
}

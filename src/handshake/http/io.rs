//! A connection's socket, as hyper reads and writes it.
//!
//! Invariant: an iteration of the event loop reads a socket once, so that a client that floods starves no other.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use hyper::rt::{Read, ReadBufCursor, Write};

use super::progress::Progress;
use crate::{shard::Shard, transport::Transport};

/// A socket, and what was read from it before hyper got it.
pub(super) struct Io {
    shard: Rc<Shard>,
    transport: Transport,
    progress: Rc<Progress>,
    before: Vec<u8>,
    /// How much of `before` hyper has.
    taken: usize,
    /// The event loop's iteration of the last read.
    read_in: Option<u64>,
}

impl Io {
    pub(super) fn new(
        shard: &Rc<Shard>,
        transport: &Transport,
        progress: &Rc<Progress>,
        before: Vec<u8>,
    ) -> Self {
        let (shard, transport, progress) =
            (Rc::clone(shard), transport.clone(), Rc::clone(progress));
        Self { shard, transport, progress, before, taken: 0, read_in: None }
    }

    /// Returns what hyper has not read of the bytes that came before it.
    pub(super) fn unread(&self) -> &[u8] {
        &self.before[self.taken..]
    }

    fn wait_until_readable(&self, cx: &Context<'_>) {
        if self.transport.is_readable() {
            self.shard.reactor.wake_after_poll(cx.waker());
        } else {
            self.transport.register_reader(cx);
        }
    }

    fn finish_write(
        &self,
        written: io::Result<usize>,
        cx: &Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.progress.note_write();
        match written {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.transport.register_writer(cx);
                Poll::Pending
            }
            written => Poll::Ready(written),
        }
    }
}

impl Read for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let unread = this.unread();
        if !unread.is_empty() {
            let len = unread.len().min(buffer.remaining());
            buffer.put_slice(&unread[..len]);
            this.taken += len;
            if this.unread().is_empty() {
                (this.before, this.taken) = (Vec::new(), 0);
            }
            return Poll::Ready(Ok(()));
        }
        let iteration = this.shard.reactor.iteration();
        if this.read_in == Some(iteration) {
            this.wait_until_readable(cx);
            return Poll::Pending;
        }
        let mut read = this.shard.read_buffer.borrow_mut();
        let wanted = read.len().min(buffer.remaining());
        match this.transport.recv(&mut read[..wanted]) {
            Ok(len) => {
                buffer.put_slice(&read[..len]);
                this.read_in = Some(iteration);
                if len > 0 {
                    this.progress.note_read();
                }
                Poll::Ready(Ok(()))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                this.transport.register_reader(cx);
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl Write for Io {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.finish_write(self.transport.send_slices(&[IoSlice::new(bytes)]), cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.finish_write(self.transport.send_slices(slices), cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Called by hyper when it has no bytes left to write.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.progress.note_flush();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.transport.shutdown_write())
    }
}

//! What a loop watches: a socket, a listener, a timer.

use std::{
    cell::Cell,
    future::poll_fn,
    io::{self, Read, Write},
    net::TcpStream,
    os::fd::{AsRawFd, RawFd},
    rc::Rc,
    task::{Context, Poll, Waker},
};

use mio::{Interest, Token, unix::SourceFd};

use super::{OnReady, Reactor};

/// What is known of a source, and who waits for it. It may be read and written until that is tried in vain.
pub(super) struct Watched {
    pub(super) is_readable: Cell<bool>,
    pub(super) is_writable: Cell<bool>,
    /// Whether the stream has ended or is broken: then it stays readable, as often as it is read.
    pub(super) has_ended: Cell<bool>,
    /// Whether it is among those who are called in the next pass: they are called once in a pass.
    pub(super) is_called_again: Cell<bool>,
    pub(super) on_ready: Cell<Option<Box<dyn OnReady>>>,
    reader: Cell<Option<Waker>>,
    pub(super) writer: Cell<Option<Waker>>,
}

/// Who goes on when a source can be read: a task that waits for it, or who is called.
#[derive(Default)]
pub(super) struct Waiters {
    pub(super) waker: Option<Waker>,
    pub(super) on_ready: Option<Box<dyn OnReady>>,
}

impl Watched {
    fn new() -> Self {
        Self {
            is_readable: Cell::new(true),
            is_writable: Cell::new(true),
            has_ended: Cell::default(),
            is_called_again: Cell::default(),
            on_ready: Cell::default(),
            reader: Cell::default(),
            writer: Cell::default(),
        }
    }

    pub(super) fn take_waiters(&self) -> Waiters {
        Waiters { waker: self.reader.take(), on_ready: self.on_ready.take() }
    }
}

/// Something with a descriptor that does not block. One may wait until it can be read, and one until it can
/// be written; a second one takes the place of the first.
#[derive(Debug)]
pub(crate) struct Source<S: AsRawFd> {
    io: S,
    key: usize,
    reactor: Rc<Reactor>,
}

/// A connection's socket.
pub(crate) type Stream = Source<TcpStream>;

impl<S: AsRawFd> Source<S> {
    /// Begins to watch it, until it is dropped.
    ///
    /// # Errors
    /// The kernel cannot watch more.
    pub(crate) fn new(reactor: &Rc<Reactor>, io: S) -> io::Result<Self> {
        let key = reactor.watched.borrow_mut().insert(Watched::new());
        // Made first: what is not registered may be deregistered, and gives its key back.
        let source = Self { io, key, reactor: Rc::clone(reactor) };
        let fd = source.io.as_raw_fd();
        let interest = Interest::READABLE | Interest::WRITABLE;
        let poll = reactor.poll.borrow();
        poll.registry().register(&mut SourceFd(&fd), Token(key), interest)?;
        drop(poll);
        Ok(source)
    }

    pub(crate) fn io(&self) -> &S {
        &self.io
    }

    /// Calls whoever this is when the source can be read, and in the next pass.
    pub(crate) fn serve_by(&self, on_ready: Box<dyn OnReady>) {
        let before = self.with(|watched| watched.on_ready.replace(Some(on_ready)));
        debug_assert!(before.is_none(), "a source is served by one");
        self.call_again();
    }

    /// Calls whoever serves the source, or wakes whoever waits to read it, in the next pass though no
    /// event comes.
    pub(crate) fn call_again(&self) {
        if !self.with(|watched| watched.is_called_again.replace(true)) {
            self.reactor.again.borrow_mut().push(self.key);
        }
    }

    /// Whether it may be read.
    pub(crate) fn is_readable(&self) -> bool {
        self.with(|watched| watched.is_readable.get())
    }

    /// Lets the task be woken when it may be read, or by `call_again`.
    pub(crate) fn register_reader(&self, cx: &Context<'_>) {
        register(self, |watched| &watched.reader, cx);
    }

    /// Waits until it may be read.
    pub(crate) async fn readable(&self) {
        poll_fn(|cx| {
            if self.is_readable() {
                return Poll::Ready(());
            }
            self.register_reader(cx);
            Poll::Pending
        })
        .await;
    }

    /// Waits until it may be written.
    pub(crate) async fn writable(&self) {
        poll_fn(|cx| {
            if self.with(|watched| watched.is_writable.get()) {
                return Poll::Ready(());
            }
            register(self, |watched| &watched.writer, cx);
            Poll::Pending
        })
        .await;
    }

    /// Does what reads it, and notes if there was nothing.
    pub(crate) fn try_read_with<T>(&self, read: impl FnOnce(&S) -> io::Result<T>) -> io::Result<T> {
        if !self.is_readable() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let outcome = read(&self.io);
        if is_would_block(&outcome) {
            self.with(|watched| watched.is_readable.set(false));
        }
        outcome
    }

    /// Does what writes it, and notes if it takes no more.
    pub(crate) fn try_write_with<T>(
        &self,
        write: impl FnOnce(&S) -> io::Result<T>,
    ) -> io::Result<T> {
        if !self.with(|watched| watched.is_writable.get()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let outcome = write(&self.io);
        if is_would_block(&outcome) {
            self.with(|watched| watched.is_writable.set(false));
        }
        outcome
    }

    fn with<T>(&self, act: impl FnOnce(&Watched) -> T) -> T {
        act(&self.reactor.watched.borrow()[self.key])
    }
}

impl Stream {
    /// Reads what there is. `WouldBlock` if there is nothing, which is mostly known without asking.
    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.try_read_with(|mut stream| stream.read(buffer))?;
        if len < buffer.len() {
            // It is empty now: that saves the call that would find it out.
            self.with(|watched| watched.is_readable.set(watched.has_ended.get()));
        }
        Ok(len)
    }

    /// Writes what it takes.
    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.try_write_with(|mut stream| stream.write(bytes))
    }
}

impl<S: AsRawFd> AsRawFd for Source<S> {
    fn as_raw_fd(&self) -> RawFd {
        self.io.as_raw_fd()
    }
}

impl<S: AsRawFd> Drop for Source<S> {
    fn drop(&mut self) {
        // By hand, and not by closing it: another process may have inherited it.
        let fd = self.io.as_raw_fd();
        let _ = self.reactor.poll.borrow().registry().deregister(&mut SourceFd(&fd));
        let watched = self.reactor.watched.borrow_mut().remove(self.key);
        drop(watched);
    }
}

fn is_would_block<T>(outcome: &io::Result<T>) -> bool {
    matches!(outcome, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

/// Notes who is to be woken.
fn register<S: AsRawFd>(
    source: &Source<S>,
    place: impl Fn(&Watched) -> &Cell<Option<Waker>>,
    cx: &Context<'_>,
) {
    let before = source.with(|watched| place(watched).take());
    let waker = match before {
        Some(before) if before.will_wake(cx.waker()) => before,
        _ => cx.waker().clone(),
    };
    source.with(|watched| place(watched).set(Some(waker)));
}

//! What a loop polls: a socket, a listener, a timer.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    io::{self, Read},
    net::TcpStream,
    os::fd::{AsRawFd, RawFd},
    rc::Rc,
    task::{Context, Poll, Waker},
};

use mio::{Interest, Token, unix::SourceFd};

use super::{Handler, Reactor};

/// A source's cached readiness, valid until an operation returns `WouldBlock`, and what waits for it.
pub(super) struct Watched {
    pub(super) is_readable: Cell<bool>,
    pub(super) is_writable: Cell<bool>,
    /// Whether the stream has ended or is broken: then it stays readable.
    pub(super) has_ended: Cell<bool>,
    /// Whether it is among the sources that are dispatched after the next poll.
    pub(super) is_rescheduled: Cell<bool>,
    /// Whether the owner is reported when the source becomes writable.
    pub(super) wants_write: Cell<bool>,
    /// What the loop's owner knows the source by.
    pub(super) owner: Cell<u64>,
    pub(super) handler: RefCell<Option<Rc<dyn Handler>>>,
    pub(super) reader: Cell<Option<Waker>>,
    pub(super) writer: Cell<Option<Waker>>,
}

impl Watched {
    fn new() -> Self {
        Self {
            is_readable: Cell::new(true),
            is_writable: Cell::new(true),
            has_ended: Cell::default(),
            is_rescheduled: Cell::default(),
            wants_write: Cell::default(),
            owner: Cell::default(),
            handler: RefCell::default(),
            reader: Cell::default(),
            writer: Cell::default(),
        }
    }

    pub(super) fn handler(&self) -> Option<Rc<dyn Handler>> {
        self.handler.borrow().clone()
    }
}

/// A descriptor that does not block. One task may wait until it is readable and one until it is writable;
/// a second one replaces the first.
#[derive(Debug)]
pub(crate) struct Source<S: AsRawFd> {
    io: S,
    key: usize,
    reactor: Rc<Reactor>,
}

/// A connection's socket.
pub(crate) type Stream = Source<TcpStream>;

impl<S: AsRawFd> Source<S> {
    /// Registers the descriptor until the source is dropped.
    ///
    /// # Errors
    /// The kernel cannot watch more.
    pub(crate) fn new(reactor: &Rc<Reactor>, io: S) -> io::Result<Self> {
        let key = reactor.watched.borrow_mut().insert(Watched::new());
        // Made first: dropping it deregisters, which is harmless if registering fails, and frees the key.
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

    /// Sets the handler that readiness is dispatched to, and reschedules the source.
    pub(crate) fn set_handler(&self, handler: Rc<dyn Handler>) {
        let before = self.with(|watched| watched.handler.replace(Some(handler)));
        debug_assert!(before.is_none(), "a source has one handler");
        self.reschedule();
    }

    /// Removes the handler, which may end it: the caller must not rely on it afterwards.
    pub(crate) fn clear_handler(&self) {
        drop(self.with(|watched| watched.handler.take()));
    }

    /// Dispatches the source after the next poll, though no event comes.
    pub(crate) fn reschedule(&self) {
        if !self.with(|watched| watched.is_rescheduled.replace(true)) {
            self.reactor.rescheduled.borrow_mut().push(self.key);
        }
    }

    /// Reports `owner` to the loop's owner when the source becomes writable.
    pub(crate) fn want_write(&self, owner: u64) {
        self.with(|watched| {
            watched.owner.set(owner);
            watched.wants_write.set(true);
        });
    }

    /// Reports `owner` as writable at once: the next write finds out whether that is so.
    pub(crate) fn try_soon(&self, owner: u64) {
        self.reactor.writable.borrow_mut().push(owner);
    }

    /// Whether it is readable, as far as is known.
    pub(crate) fn is_readable(&self) -> bool {
        self.with(|watched| watched.is_readable.get())
    }

    /// Wakes the task when the source is readable or rescheduled.
    pub(crate) fn register_reader(&self, cx: &Context<'_>) {
        register(self, |watched| &watched.reader, cx);
    }

    /// Waits until it is readable.
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

    /// Waits until it is writable.
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

    /// Runs a read operation, and clears the cached readiness if it would block.
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

    /// Runs a write operation, and clears the cached readiness if it would block.
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
    /// Reads what there is. `WouldBlock` if there is nothing, usually without a system call.
    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.try_read_with(|mut stream| stream.read(buffer))?;
        if len < buffer.len() {
            // A short read means empty: this saves the call that would return `WouldBlock`.
            self.with(|watched| watched.is_readable.set(watched.has_ended.get()));
        }
        Ok(len)
    }
}

impl<S: AsRawFd> AsRawFd for Source<S> {
    fn as_raw_fd(&self) -> RawFd {
        self.io.as_raw_fd()
    }
}

impl<S: AsRawFd> Drop for Source<S> {
    fn drop(&mut self) {
        // Closing it would not do: another process may have inherited the descriptor.
        let fd = self.io.as_raw_fd();
        let _ = self.reactor.poll.borrow().registry().deregister(&mut SourceFd(&fd));
        let watched = self.reactor.watched.borrow_mut().remove(self.key);
        drop(watched);
    }
}

fn is_would_block<T>(outcome: &io::Result<T>) -> bool {
    matches!(outcome, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

/// Stores the task's waker.
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

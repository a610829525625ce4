//! What a loop polls: a socket, a listener, a timer.
//!
//! Invariant: a source is registered with the kernel from when it is made until it is dropped.

use std::{
    cell::Cell,
    future::poll_fn,
    io::{self, Read},
    net::{Shutdown, TcpStream},
    os::fd::{AsFd, AsRawFd, RawFd},
    rc::Rc,
    task::{Context, Poll, Waker},
};

use mio::{Interest, Token, unix::SourceFd};
use socket2::SockRef;

use super::{Handler, Reactor};

/// A source's cached readiness, valid until an operation returns `WouldBlock`, and what waits for it.
pub(super) struct Watched {
    pub(super) is_readable: Cell<bool>,
    pub(super) is_writable: Cell<bool>,
    /// Whether the stream has ended or is broken: then it stays readable.
    pub(super) has_ended: Cell<bool>,
    /// Whether it is among the sources that are dispatched after the next poll.
    pub(super) is_rescheduled: Cell<bool>,
    /// Whether the handler is called when the source becomes writable.
    pub(super) wants_write: Cell<bool>,
    pub(super) handler: Cell<Option<Rc<dyn Handler>>>,
    // Boxed, and absent as a rule: a handler needs none.
    waiters: Cell<Option<Box<Waiters>>>,
}

/// The tasks that wait for a source.
#[derive(Default)]
struct Waiters {
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Watched {
    fn new() -> Self {
        Self {
            is_readable: Cell::new(true),
            is_writable: Cell::new(true),
            has_ended: Cell::default(),
            is_rescheduled: Cell::default(),
            wants_write: Cell::default(),
            handler: Cell::default(),
            waiters: Cell::default(),
        }
    }

    pub(super) fn handler(&self) -> Option<Rc<dyn Handler>> {
        let handler = self.handler.take();
        self.handler.set(handler.clone());
        handler
    }

    pub(super) fn take_reader(&self) -> Option<Waker> {
        self.take_waiter(|waiters| waiters.reader.take())
    }

    pub(super) fn take_writer(&self) -> Option<Waker> {
        self.take_waiter(|waiters| waiters.writer.take())
    }

    fn take_waiter(&self, take: impl FnOnce(&mut Waiters) -> Option<Waker>) -> Option<Waker> {
        let mut waiters = self.waiters.take()?;
        let waker = take(&mut waiters);
        if waiters.reader.is_some() || waiters.writer.is_some() {
            self.waiters.set(Some(waiters));
        }
        waker
    }

    /// Stores a task's waker.
    fn register(&self, slot: impl FnOnce(&mut Waiters) -> &mut Option<Waker>, cx: &Context<'_>) {
        let mut waiters = self.waiters.take().unwrap_or_default();
        let waker = slot(&mut waiters);
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        self.waiters.set(Some(waiters));
    }
}

/// A descriptor that does not block. One task may wait until it is readable and one until it is writable;
/// a second one replaces the first.
#[derive(Debug)]
pub(crate) struct Source<S: AsFd> {
    io: S,
    key: usize,
    reactor: Rc<Reactor>,
}

/// A connection's socket.
pub(crate) type Stream = Source<TcpStream>;

impl<S: AsFd> Source<S> {
    /// Registers the descriptor until the source is dropped.
    ///
    /// # Errors
    /// The kernel cannot watch more.
    pub(crate) fn new(reactor: &Rc<Reactor>, io: S) -> io::Result<Self> {
        let key = reactor.watched.borrow_mut().insert(Watched::new());
        // Made first: dropping it deregisters, which is harmless if registering fails, and frees the key.
        let source = Self { io, key, reactor: Rc::clone(reactor) };
        let fd = source.as_raw_fd();
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

    /// Calls the handler's `on_writable` when the source, which is full, becomes writable.
    pub(crate) fn await_writable(&self) {
        self.with(|watched| watched.wants_write.set(true));
    }

    /// Calls the handler's `on_writable` after the next poll: its next write finds out whether the source is
    /// full.
    pub(crate) fn try_writable(&self) {
        self.reactor.writable.borrow_mut().push(self.key);
    }

    /// Returns the cached readiness to read.
    pub(crate) fn is_readable(&self) -> bool {
        self.with(|watched| watched.is_readable.get())
    }

    /// Wakes the task when the source is readable or rescheduled.
    pub(crate) fn register_reader(&self, cx: &Context<'_>) {
        self.with(|watched| watched.register(|waiters| &mut waiters.reader, cx));
    }

    /// Wakes the task when the source is writable.
    pub(crate) fn register_writer(&self, cx: &Context<'_>) {
        self.with(|watched| watched.register(|waiters| &mut waiters.writer, cx));
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
            self.register_writer(cx);
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
    /// Reads what there is.
    ///
    /// # Errors
    /// `WouldBlock` if there is nothing, usually without a system call; others if the stream is broken.
    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.try_read_with(|mut stream| stream.read(buffer))?;
        if len < buffer.len() {
            // A short read means empty: this saves the call that would return `WouldBlock`.
            self.with(|watched| watched.is_readable.set(watched.has_ended.get()));
        }
        Ok(len)
    }
}

impl<S: AsFd> AsRawFd for Source<S> {
    fn as_raw_fd(&self) -> RawFd {
        self.io.as_fd().as_raw_fd()
    }
}

impl<S: AsFd> Drop for Source<S> {
    fn drop(&mut self) {
        // Closing the descriptor does not deregister it if another process has inherited it.
        let fd = self.as_raw_fd();
        let _ = self.reactor.poll.borrow().registry().deregister(&mut SourceFd(&fd));
        // Nor does it end a connection or free a port then. Fails for what is no socket, or has ended.
        let _ = SockRef::from(&self.io).shutdown(Shutdown::Both);
        let watched = self.reactor.watched.borrow_mut().remove(self.key);
        drop(watched);
    }
}

fn is_would_block<T>(outcome: &io::Result<T>) -> bool {
    matches!(outcome, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

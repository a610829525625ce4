//! A shard's event loop: polls its sockets, spins briefly, then parks; dispatches readiness to handlers
//! and tasks.
//!
//! A connection is a [`Handler`], called with its event. What waits in steps (a handshake, a listener, a
//! timer) is a task of a [`LocalSet`], polled when one of its tasks was woken. ARCHITECTURE.md has the
//! figures.
//!
//! Invariant: everything here belongs to the shard's thread, except the [`LoopWaker`]. Readiness is
//! edge-triggered: the kernel reports it once, and it is cached here until an operation returns
//! `WouldBlock`.

mod busy_poll;
mod clock;
mod source;
mod timer;
mod waker;

#[cfg(not(target_os = "linux"))]
use std::time::Instant;
use std::{
    cell::{Cell, RefCell},
    fmt,
    future::poll_fn,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use mio::{Events, Token, event::Event};
use slab::Slab;
use tokio::task::{JoinHandle, LocalSet, spawn_local};

use self::{busy_poll::BusyPoll, source::Watched, waker::LoopWaker};
pub(crate) use self::{
    clock::Clock,
    source::{Source, Stream},
    timer::Timer,
};

/// How many events one poll takes from the kernel.
const EVENTS: usize = 1024;

/// The token of the loop's waker. Sources have small numbers.
const WAKER: Token = Token(usize::MAX);

/// A task of the loop. Every task is of this one type: what tokio compiles for each type of task takes 5 KB.
pub(crate) type Task = Pin<Box<dyn Future<Output = ()>>>;

/// What a source's readiness is dispatched to.
pub(crate) trait Handler {
    /// Acts on a source that became readable, has ended, or was rescheduled.
    fn on_readable(self: Rc<Self>);

    /// Acts on a source that became writable, or may have. Called only after `await_writable` or
    /// `try_writable`.
    fn on_writable(self: Rc<Self>);
}

/// What follows a tick of the loop's owner.
#[derive(Debug)]
pub(crate) enum Next<T> {
    /// Nothing is left to do: the loop may park.
    Park,
    /// More is left to do, after the next poll.
    Continue,
    /// The loop ends.
    End(T),
}

/// An event loop.
pub(crate) struct Reactor {
    poll: RefCell<mio::Poll>,
    events: RefCell<Events>,
    watched: RefCell<Slab<Watched>>,
    /// The sources that are dispatched after the next poll, without an event.
    rescheduled: RefCell<Vec<usize>>,
    /// The sources whose handlers are told after the next poll that they are writable.
    writable: RefCell<Vec<usize>>,
    /// Tasks that are woken after the next poll.
    yielded: RefCell<Vec<Waker>>,
    /// How often the sources were polled.
    iteration: Cell<u64>,
    waker: Arc<LoopWaker>,
    busy_poll: BusyPoll,
    pub(crate) clock: Rc<Clock>,
    /// When the timer fires, and what it wakes.
    #[cfg(not(target_os = "linux"))]
    timer: Cell<Option<(Instant, Waker)>>,
}

impl fmt::Debug for Reactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reactor").field("watched", &self.watched.borrow().len()).finish()
    }
}

impl Drop for Reactor {
    fn drop(&mut self) {
        self.waker.close();
    }
}

impl Reactor {
    /// Makes a loop that polls for `busy_poll` before it parks, where that pays off.
    ///
    /// # Errors
    /// The process or the system has no descriptors left.
    pub(crate) fn new(busy_poll: Duration) -> io::Result<Rc<Self>> {
        Self::with_clock(busy_poll, Clock::system())
    }

    /// Makes a loop with a clock.
    ///
    /// # Errors
    /// As `new`.
    pub(crate) fn with_clock(busy_poll: Duration, clock: Clock) -> io::Result<Rc<Self>> {
        let poll = mio::Poll::new()?;
        let waker = LoopWaker::new(mio::Waker::new(poll.registry(), WAKER)?);
        Ok(Rc::new(Self {
            poll: RefCell::new(poll),
            events: RefCell::new(Events::with_capacity(EVENTS)),
            watched: RefCell::default(),
            rescheduled: RefCell::default(),
            writable: RefCell::default(),
            yielded: RefCell::default(),
            iteration: Cell::default(),
            waker: Arc::new(waker),
            busy_poll: BusyPoll::new(busy_poll),
            clock: Rc::new(clock),
            #[cfg(not(target_os = "linux"))]
            timer: Cell::new(None),
        }))
    }

    /// Returns a waker that makes the owner's tick run. Any thread may use it.
    pub(crate) fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.waker))
    }

    /// Runs the loop until a tick ends it. Each iteration polls the sources, dispatches them, polls the
    /// tasks, and calls `tick`, in this order.
    ///
    /// # Errors
    /// The kernel's poll failed.
    pub(crate) fn run<T>(
        &self,
        tasks: &mut LocalSet,
        mut tick: impl FnMut() -> Next<T>,
    ) -> io::Result<T> {
        let waker = LoopWaker::task_waker(&self.waker);
        let mut cx = Context::from_waker(&waker);
        let mut may_park = false;
        // Tasks that were spawned before the loop ran have woken nothing.
        let mut is_first = true;
        loop {
            self.poll(may_park)?;
            self.dispatch_rescheduled();
            // The tick sees what was notified before this line; later notifications prevent parking.
            if self.waker.take_pending() | std::mem::take(&mut is_first) {
                let _ = Pin::new(&mut *tasks).poll(&mut cx);
            }
            may_park = match tick() {
                Next::Park => true,
                Next::Continue => false,
                Next::End(value) => return Ok(value),
            };
        }
    }

    /// Polls the sources, or parks until one is ready, and dispatches those that are.
    fn poll(&self, may_park: bool) -> io::Result<()> {
        self.iteration.set(self.iteration.get() + 1);
        let has_more = !self.rescheduled.borrow().is_empty()
            || !self.writable.borrow().is_empty()
            || !self.yielded.borrow().is_empty();
        let mut events = self.events.borrow_mut();
        let may_park = may_park && !has_more;
        self.take_events(&mut events, may_park)?;
        if may_park {
            // The time of the last tick may be long over.
            self.clock.update();
        }
        self.fire_timer();
        for event in events.iter().filter(|event| event.token() != WAKER) {
            self.dispatch_event(event);
        }
        Ok(())
    }

    fn take_events(&self, events: &mut Events, may_park: bool) -> io::Result<()> {
        let mut poll = self.poll.borrow_mut();
        let mut take = |timeout| match poll.poll(events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(!events.is_empty()),
        };
        if !may_park {
            return take(Some(Duration::ZERO)).map(drop);
        }
        if self.busy_poll.run(|| Ok(take(Some(Duration::ZERO))? || self.waker.is_pending()))? {
            return Ok(());
        }
        let timeout = if self.waker.park() { self.timeout() } else { Some(Duration::ZERO) };
        let outcome = take(timeout);
        self.waker.unpark();
        outcome.map(drop)
    }

    /// Caches a source's readiness and dispatches it.
    fn dispatch_event(&self, event: &Event) {
        let Token(key) = event.token();
        let is_broken = event.is_error();
        let has_ended = event.is_read_closed() || is_broken;
        let watched = self.watched.borrow();
        // The source may be gone and its key reused: then the event is spurious, which does no harm.
        let Some(source) = watched.get(key) else { return };
        let mut writer = None;
        let mut is_awaited = false;
        if event.is_writable() || event.is_write_closed() || is_broken {
            source.is_writable.set(true);
            writer = source.take_writer();
            is_awaited = source.wants_write.replace(false);
        }
        let is_readable = event.is_readable() || has_ended;
        if is_readable {
            source.is_readable.set(true);
            source.has_ended.set(source.has_ended.get() | has_ended);
        }
        // A rescheduled source is dispatched once in an iteration.
        let is_due = is_readable && !source.is_rescheduled.get();
        drop(watched);
        if let Some(writer) = writer {
            writer.wake();
        }
        if is_awaited {
            self.dispatch_writable(key);
        }
        if is_due {
            self.dispatch_readable(key);
        }
    }

    /// Wakes the task that reads a source, or calls its handler.
    fn dispatch_readable(&self, key: usize) {
        let watched = self.watched.borrow();
        let Some(source) = watched.get(key) else { return };
        let (reader, handler) = (source.take_reader(), source.handler());
        drop(watched);
        if let Some(reader) = reader {
            reader.wake();
        }
        let Some(handler) = handler else { return };
        self.call(key, || handler.on_readable());
    }

    /// Tells a source's handler that the source is writable.
    fn dispatch_writable(&self, key: usize) {
        let handler = self.watched.borrow().get(key).and_then(Watched::handler);
        if let Some(handler) = handler {
            self.call(key, || handler.on_writable());
        }
    }

    /// Calls a handler. One that panics is removed, as a task would be.
    fn call(&self, key: usize, handler: impl FnOnce()) {
        if catch_unwind(AssertUnwindSafe(handler)).is_err() {
            let watched = self.watched.borrow();
            let removed = watched.get(key).and_then(|source| source.handler.take());
            // Dropping a handler may deregister its source, which borrows `watched`.
            drop(watched);
            drop(removed);
        }
    }

    /// Dispatches the sources that were rescheduled, and wakes the tasks that yielded.
    fn dispatch_rescheduled(&self) {
        if !self.rescheduled.borrow().is_empty() {
            for key in self.rescheduled.take() {
                if let Some(source) = self.watched.borrow().get(key) {
                    source.is_rescheduled.set(false);
                }
                self.dispatch_readable(key);
            }
        }
        if !self.writable.borrow().is_empty() {
            self.writable.take().into_iter().for_each(|key| self.dispatch_writable(key));
        }
        if !self.yielded.borrow().is_empty() {
            self.yielded.take().into_iter().for_each(Waker::wake);
        }
    }

    /// Returns the number of the current iteration. Within one, the sources are polled once.
    #[cfg(feature = "http")]
    pub(crate) fn iteration(&self) -> u64 {
        self.iteration.get()
    }

    /// Wakes a task after the next poll.
    #[cfg(feature = "http")]
    pub(crate) fn wake_after_poll(&self, waker: &Waker) {
        self.yielded.borrow_mut().push(waker.clone());
    }

    /// Yields until the sockets were polled again.
    pub(crate) async fn yield_now(&self) {
        let mut has_yielded = false;
        poll_fn(|cx| {
            if std::mem::replace(&mut has_yielded, true) {
                return Poll::Ready(());
            }
            self.yielded.borrow_mut().push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Polls a future once inline; spawns it as a task of the loop if it is pending. A spawned task is
    /// polled again before it waits, so the first poll needs no waker.
    pub(crate) fn run_now(future: impl Future<Output = ()> + 'static) {
        let mut future = Box::pin(future);
        let mut cx = Context::from_waker(Waker::noop());
        // A future that panics is dropped, as a task would be.
        let poll = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut cx)));
        if let Ok(Poll::Pending) = poll {
            drop(Self::spawn(future));
        }
    }

    /// Spawns a task of the loop of this thread.
    pub(crate) fn spawn(task: Task) -> JoinHandle<()> {
        spawn_local(task)
    }

    /// Skips busy polling before at least the next `parks` parks.
    pub(crate) fn skip_busy_poll(&self, parks: u32) {
        self.busy_poll.skip(parks);
    }

    /// Drops all handlers, and with them the reference cycles between connections and the loop.
    pub(crate) fn clear(&self) {
        let handlers: Vec<_> =
            self.watched.borrow().iter().map(|(_, source)| source.handler.take()).collect();
        drop(handlers);
    }
}

#[cfg(test)]
mod tests;

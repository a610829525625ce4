//! A shard's event loop: waits until a socket is ready or another thread rings, for a moment awake and then
//! asleep, and lets those go on whom it concerns.
//!
//! Two kinds of work take part. What runs for the length of a connection is called with its event at once
//! ([`OnReady`]); what waits in steps (an ending, a timer, a handshake whose request is late) is a task of a
//! [`LocalSet`], which is polled when one of its tasks was woken. ARCHITECTURE.md has the figures.
//!
//! Invariant: everything here belongs to the shard's thread, but for the [`Alarm`]. Readiness is told by the
//! kernel once, when it comes, and is remembered here until an operation has found nothing left.

mod alarm;
mod busy_poll;
mod source;
mod timer;

#[cfg(not(target_os = "linux"))]
use std::{cell::Cell, time::Instant};
use std::{
    cell::RefCell,
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
use tokio::task::{LocalSet, spawn_local};

use self::{
    alarm::Alarm,
    busy_poll::BusyPoll,
    source::{Waiters, Watched},
};
pub(crate) use self::{
    source::{Source, Stream},
    timer::Timer,
};

/// How many events are taken from the kernel at once.
const EVENTS: usize = 1024;

/// The token of the alarm. The others are small numbers.
const ALARM: Token = Token(usize::MAX);

/// Who is called when a source can be read or has ended.
pub(crate) trait OnReady {
    /// Acts on it, and returns itself if it is to be called again.
    fn on_ready(self: Box<Self>) -> Option<Box<dyn OnReady>>;
}

/// What comes after a turn of a loop's owner.
#[derive(Debug)]
pub(crate) enum Next<T> {
    /// Nothing is left to do: the loop may sleep.
    Sleep,
    /// More is to be done, after a look at the sockets.
    Look,
    /// The loop is over.
    End(T),
}

/// An event loop.
pub(crate) struct Reactor {
    poll: RefCell<mio::Poll>,
    events: RefCell<Events>,
    watched: RefCell<Slab<Watched>>,
    /// Who is called in the next pass without an event.
    again: RefCell<Vec<usize>>,
    /// Tasks that go on after the next look at the sockets.
    yielded: RefCell<Vec<Waker>>,
    alarm: Arc<Alarm>,
    busy_poll: BusyPoll,
    /// When the timer comes, and whom it wakes.
    #[cfg(not(target_os = "linux"))]
    alarm_at: Cell<Option<(Instant, Waker)>>,
}

impl fmt::Debug for Reactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reactor").field("watched", &self.watched.borrow().len()).finish()
    }
}

impl Drop for Reactor {
    fn drop(&mut self) {
        // What other threads keep of it has no descriptor any more.
        self.alarm.take_away();
    }
}

impl Reactor {
    /// Makes a loop that looks at its sources for so long before it sleeps, where that pays off.
    ///
    /// # Errors
    /// The process or the system has no descriptors left.
    pub(crate) fn new(busy_poll: Duration) -> io::Result<Rc<Self>> {
        let poll = mio::Poll::new()?;
        let alarm = Alarm::new(mio::Waker::new(poll.registry(), ALARM)?);
        Ok(Rc::new(Self {
            poll: RefCell::new(poll),
            events: RefCell::new(Events::with_capacity(EVENTS)),
            watched: RefCell::default(),
            again: RefCell::default(),
            yielded: RefCell::default(),
            alarm: Arc::new(alarm),
            busy_poll: BusyPoll::new(busy_poll),
            #[cfg(not(target_os = "linux"))]
            alarm_at: Cell::new(None),
        }))
    }

    /// Wakes the loop, so that its owner has a turn. It may be called from any thread.
    pub(crate) fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.alarm))
    }

    /// Lets sources, tasks and the owner have their turns, in this order, which is a pass; one pass behind
    /// the other until the owner ends it.
    ///
    /// # Errors
    /// The kernel does not tell what is ready.
    pub(crate) fn run<T>(
        &self,
        tasks: &mut LocalSet,
        mut turn: impl FnMut() -> Next<T>,
    ) -> io::Result<T> {
        let waker = Alarm::waker_of_tasks(&self.alarm);
        let mut cx = Context::from_waker(&waker);
        let mut may_sleep = false;
        // Those who were spawned before have woken nobody.
        let mut is_first = true;
        loop {
            self.wait(may_sleep)?;
            self.go_on();
            // What is rung for from here on is seen by the turn, or keeps the loop awake.
            if self.alarm.take_rung() | std::mem::take(&mut is_first) {
                let _ = Pin::new(&mut *tasks).poll(&mut cx);
            }
            may_sleep = match turn() {
                Next::Sleep => true,
                Next::Look => false,
                Next::End(value) => return Ok(value),
            };
        }
    }

    /// Looks at the sources, or sleeps until there is something to see, and lets those go on who wait for
    /// what has come.
    fn wait(&self, may_sleep: bool) -> io::Result<()> {
        let has_more = !self.again.borrow().is_empty() || !self.yielded.borrow().is_empty();
        let mut events = self.events.borrow_mut();
        self.take_events(&mut events, may_sleep && !has_more)?;
        self.ring_timer();
        for event in events.iter().filter(|event| event.token() != ALARM) {
            self.note(event);
        }
        Ok(())
    }

    fn take_events(&self, events: &mut Events, may_sleep: bool) -> io::Result<()> {
        let mut poll = self.poll.borrow_mut();
        let mut take = |timeout| match poll.poll(events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(!events.is_empty()),
        };
        if !may_sleep {
            return take(Some(Duration::ZERO)).map(drop);
        }
        if self.busy_poll.run(|| Ok(take(Some(Duration::ZERO))? || self.alarm.is_rung()))? {
            return Ok(());
        }
        let timeout = if self.alarm.fall_asleep() { self.timeout() } else { Some(Duration::ZERO) };
        let outcome = take(timeout);
        self.alarm.wake_up();
        outcome.map(drop)
    }

    /// Remembers what has come of a source, and lets those go on who wait for it.
    fn note(&self, event: &Event) {
        let Token(key) = event.token();
        let is_broken = event.is_error();
        let has_ended = event.is_read_closed() || is_broken;
        let watched = self.watched.borrow();
        // It may be gone, or another's: then this is an event for nothing, which does no harm.
        let Some(source) = watched.get(key) else { return };
        let mut writer = None;
        if event.is_writable() || event.is_write_closed() || is_broken {
            source.is_writable.set(true);
            writer = source.writer.take();
        }
        let mut waiters = Waiters::default();
        if event.is_readable() || has_ended {
            source.is_readable.set(true);
            source.has_ended.set(source.has_ended.get() | has_ended);
            if !source.is_called_again.get() {
                waiters = source.take_waiters();
            }
        }
        drop(watched);
        if let Some(writer) = writer {
            writer.wake();
        }
        self.let_read(key, waiters);
    }

    /// Lets whoever reads a source go on that was to be called again.
    fn serve(&self, key: usize) {
        let watched = self.watched.borrow();
        let Some(source) = watched.get(key) else { return };
        source.is_called_again.set(false);
        let waiters = source.take_waiters();
        drop(watched);
        self.let_read(key, waiters);
    }

    fn let_read(&self, key: usize, Waiters { waker, on_ready }: Waiters) {
        if let Some(waker) = waker {
            waker.wake();
        }
        let Some(on_ready) = on_ready else { return };
        // As with a task: one that panics is gone, and says so when it is dropped.
        let Ok(Some(on_ready)) = catch_unwind(AssertUnwindSafe(|| on_ready.on_ready())) else {
            return;
        };
        let watched = self.watched.borrow();
        let Some(source) = watched.get(key) else { return };
        source.on_ready.set(Some(on_ready));
    }

    /// Calls those who have more to do, and wakes the tasks that have let others go first.
    fn go_on(&self) {
        if !self.again.borrow().is_empty() {
            for key in self.again.take() {
                self.serve(key);
            }
        }
        if !self.yielded.borrow().is_empty() {
            self.yielded.take().into_iter().for_each(Waker::wake);
        }
    }

    /// Lets a task go on after the next look at the sockets.
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

    /// Lets a future run, within the loop's tasks: at once as far as it comes, and as a task from where it has
    /// to wait, which it tells the task's waker when it is polled again. Most handshakes come to their end at
    /// once, and need no task.
    pub(crate) fn run_now(future: impl Future<Output = ()> + 'static) {
        let mut future = Box::pin(future);
        let mut cx = Context::from_waker(Waker::noop());
        // As with a task: one that panics is gone.
        let poll = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut cx)));
        if let Ok(Poll::Pending) = poll {
            drop(spawn_local(future));
        }
    }

    /// Lets so many sleeps at least come without looking longer before them.
    pub(crate) fn skip_busy_poll(&self, sleeps: u32) {
        self.busy_poll.skip(sleeps);
    }

    /// Lets go of all who would be called.
    pub(crate) fn clear(&self) {
        let on_ready = |(_, source): (_, &Watched)| source.on_ready.take();
        let all: Vec<_> = self.watched.borrow().iter().filter_map(on_ready).collect();
        drop(all);
    }
}

#[cfg(test)]
mod tests;

//! The bounded queue where events wait for the host.
//!
//! Invariant: reporting an event never waits. Message events that do not fit are dropped and counted, and signals
//! before them. Connects
//! and disconnects always fit, because no client is admitted while the queue is full. The host's calls that cause
//! events of their own, such as `join`, wait while far too many wait.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::Event;
use crate::{
    error::{Error, Result},
    log::Throttle,
    stats::Counters,
};

/// How many bytes of messages and requests the queue may hold.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// How many events one call takes at most: what a host holds of a long queue is a small part of it.
const MAX_TAKEN: usize = 1024;

/// How many events may wait beyond the capacity before the host's calls that cause events wait. So many that a host
/// that reacts to each event of a batch with some calls does not wait for itself.
const MAX_BEYOND: usize = 64 * MAX_TAKEN;

/// For how many events an empty queue keeps its memory.
const MAX_KEPT: usize = 4 * MAX_TAKEN;

/// The queue between the server's threads and the thread of the host that takes events.
#[derive(Debug)]
pub(crate) struct EventQueue {
    /// How many events the queue may hold; 0 if the host wants none.
    capacity: usize,
    // A std mutex: it is never held across an await or a call of the host.
    queue: Mutex<Queue>,
    /// Wakes the threads that wait in `take`.
    arrived: Condvar,
    /// Wakes the threads that wait in `wait_for_space`.
    space: Condvar,
    throttle: Throttle,
}

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<Event>,
    /// Bytes of the messages and requests in `events`.
    bytes: usize,
    /// Message events dropped since the last event that was queued.
    dropped: u64,
    /// Message events dropped since the last log line about it.
    unlogged: u64,
    /// Whether `Stopped` was queued: nothing follows it.
    stopped: bool,
    /// Whether the server stops: then no call waits for space.
    is_closing: bool,
    /// How many threads wait in `take`.
    waiting: usize,
    /// How many threads wait in `wait_for_space`.
    waiting_for_space: usize,
}

impl EventQueue {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            queue: Mutex::default(),
            arrived: Condvar::new(),
            space: Condvar::new(),
            throttle: Throttle::default(),
        }
    }

    /// Whether the host wants events. If not, callers need not make any.
    pub(crate) fn is_enabled(&self) -> bool {
        self.capacity > 0
    }

    /// Whether no further client must be admitted, since its events might not fit.
    pub(crate) fn is_full(&self) -> bool {
        if !self.is_enabled() {
            return false;
        }
        let queue = self.lock();
        queue.events.len() >= self.capacity || queue.bytes >= MAX_BYTES
    }

    /// Queues an event that must not be lost, and wakes the host.
    pub(crate) fn push(&self, event: Event) {
        if self.is_enabled() {
            let mut queue = self.lock();
            queue.append(event);
            self.wake_for(queue);
        }
    }

    /// Queues an event that must not be lost. It does not wake the host: `wake` does that.
    pub(crate) fn push_unwoken(&self, event: Event) {
        if self.is_enabled() {
            self.lock().append(event);
        }
    }

    /// Queues a message event, or counts it as dropped. Returns whether it was queued. It does not wake the
    /// host: the shard's tick calls `wake` once for all its messages, since a switch of threads for each would
    /// cost much of the throughput.
    pub(crate) fn push_message(&self, event: Event, counters: &Counters) -> bool {
        if !self.is_enabled() {
            return false;
        }
        let mut queue = self.lock();
        // A single message always fits: else one longer than the bound could never be reported.
        let is_too_much = queue.bytes > 0 && queue.bytes + event.bytes() > MAX_BYTES;
        if queue.events.len() >= self.capacity || is_too_much {
            queue.dropped += 1;
            queue.unlogged += 1;
            counters.events_dropped.add(1);
            return false;
        }
        queue.append(event);
        true
    }

    /// Queues the event of a signal, or counts the signal as dropped: while half of the queue is full, so that signals
    /// displace no message event and keep no client out. It does not wake the host, as `push_message` does not.
    pub(crate) fn push_signal(&self, event: Event, counters: &Counters) {
        if !self.is_enabled() {
            return;
        }
        let mut queue = self.lock();
        if queue.events.len() >= self.capacity.div_ceil(2) || queue.bytes >= MAX_BYTES / 2 {
            drop(queue);
            counters.signals_dropped.add(1);
        } else {
            queue.append(event);
        }
    }

    /// Wakes the host if events wait, and logs if message events were dropped. Called at the end of a tick,
    /// where no lock is held: a log subscriber may block, or call the server.
    pub(crate) fn wake(&self) {
        if !self.is_enabled() {
            return;
        }
        let mut queue = self.lock();
        let is_due = queue.unlogged > 0 && self.throttle.pass().is_some();
        let dropped = if is_due { std::mem::take(&mut queue.unlogged) } else { 0 };
        self.wake_for(queue);
        if dropped > 0 {
            tracing::warn!(dropped, "message events dropped: the host does not take them in time");
        }
    }

    fn wake_for(&self, queue: MutexGuard<'_, Queue>) {
        let is_awaited = queue.waiting > 0 && !queue.events.is_empty();
        drop(queue);
        if is_awaited {
            self.arrived.notify_all();
        }
    }

    /// Moves the oldest events, up to `MAX_TAKEN`, into `events`, which must be empty. Waits for one if there is
    /// none.
    ///
    /// # Errors
    /// `TimedOut`; `Stopped` once `Event::Stopped` has been taken; `Unsupported` if the host wanted
    /// none.
    pub(crate) fn take(&self, timeout: Duration, events: &mut Vec<Event>) -> Result<()> {
        debug_assert!(events.is_empty(), "events that were taken must be worked off first");
        if !self.is_enabled() {
            return Err(Error::Unsupported(
                "no events are collected; set the option event_queue to how many may wait",
            ));
        }
        // A time that the clock cannot represent is no deadline.
        let deadline = Instant::now().checked_add(timeout);
        let mut queue = self.lock();
        while queue.events.is_empty() {
            if queue.stopped {
                return Err(Error::Stopped);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(Error::TimedOut);
            }
            queue.waiting += 1;
            queue = match left {
                Some(left) => {
                    let woken = self.arrived.wait_timeout(queue, left);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner),
            };
            queue.waiting -= 1;
        }
        queue.report_dropped();
        let count = queue.events.len().min(MAX_TAKEN);
        events.extend(queue.events.drain(..count));
        queue.bytes -= events.iter().map(Event::bytes).sum::<usize>();
        if queue.events.is_empty() {
            queue.events.shrink_to(MAX_KEPT);
        }
        let is_space_awaited = queue.waiting_for_space > 0;
        drop(queue);
        if is_space_awaited {
            self.space.notify_all();
        }
        Ok(())
    }

    /// Waits on a thread of the host until so few events wait that a call may cause another.
    ///
    /// # Errors
    /// `QueueFull` after the deadline; `Stopped`.
    pub(crate) fn wait_for_space(&self, deadline: Instant) -> Result<()> {
        if !self.is_enabled() {
            return Ok(());
        }
        let mut queue = self.lock();
        while queue.events.len() >= self.capacity + MAX_BEYOND {
            if queue.is_closing {
                return Err(Error::Stopped);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::QueueFull);
            }
            queue.waiting_for_space += 1;
            queue = self.space.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
            queue.waiting_for_space -= 1;
        }
        Ok(())
    }

    /// Ends all waits for space, since the server stops.
    pub(crate) fn close(&self) {
        self.lock().is_closing = true;
        self.space.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // The queue is consistent at every point where a panic could be thrown.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn append(&mut self, event: Event) {
        if self.stopped {
            return;
        }
        // Before the event, so that the gap is reported where it is.
        self.report_dropped();
        self.stopped = matches!(event, Event::Stopped);
        self.bytes += event.bytes();
        self.events.push_back(event);
    }

    fn report_dropped(&mut self) {
        if self.dropped > 0 {
            let count = std::mem::take(&mut self.dropped);
            self.events.push_back(Event::EventsDropped { count });
        }
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;

//! The bounded queue where events wait for the host.
//!
//! Invariant: whoever reports an event never waits. Message events that do not fit are dropped and
//! counted; connects and disconnects always fit, because no client is admitted while the queue is
//! full.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::Event;
use crate::{
    error::{Error, Result},
    stats::Counters,
};

/// How many bytes of messages the queue may hold.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// The queue between the server's threads and the host's one.
#[derive(Debug)]
pub(crate) struct EventQueue {
    /// How many events the queue may hold; 0 if the host wants none.
    capacity: usize,
    // A std mutex: it is never held across an await or a call of the host.
    queue: Mutex<Queue>,
    /// Wakes whoever waits in `take`.
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<Event>,
    /// Bytes of the messages in `events`.
    bytes: usize,
    /// Message events dropped since the last event that was queued.
    dropped: u64,
    /// `Stopped` was queued: nothing follows.
    stopped: bool,
}

impl EventQueue {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, queue: Mutex::default(), arrived: Condvar::new() }
    }

    /// Whether the host wants events at all: if not, none need be made.
    pub(crate) fn is_enabled(&self) -> bool {
        self.capacity > 0
    }

    /// Whether no further client should be admitted, since its events might not fit.
    pub(crate) fn is_full(&self) -> bool {
        self.is_enabled() && self.lock().events.len() >= self.capacity
    }

    /// Queues an event that must not be lost.
    pub(crate) fn push(&self, event: Event) {
        if self.is_enabled() {
            self.append(self.lock(), event, 0);
        }
    }

    /// Queues a message event, or counts it as dropped.
    pub(crate) fn push_message(&self, event: Event, bytes: usize, counters: &Counters) {
        if !self.is_enabled() {
            return;
        }
        let mut queue = self.lock();
        if queue.events.len() >= self.capacity || queue.bytes.saturating_add(bytes) > MAX_BYTES {
            queue.dropped += 1;
            counters.events_dropped.add(1);
            return;
        }
        self.append(queue, event, bytes);
    }

    fn append(&self, mut queue: MutexGuard<'_, Queue>, event: Event, bytes: usize) {
        if queue.stopped {
            return;
        }
        let was_empty = queue.events.is_empty();
        // The gap is reported where it is.
        queue.report_dropped();
        queue.stopped = matches!(event, Event::Stopped);
        queue.bytes += bytes;
        queue.events.push_back(event);
        drop(queue);
        if was_empty {
            self.arrived.notify_all();
        }
    }

    /// Takes all events that wait, or waits for one.
    ///
    /// # Errors
    /// `TimedOut`; `Stopped` once `Event::Stopped` has been taken; `Unsupported` if the host wanted
    /// none.
    pub(crate) fn take(&self, timeout: Duration) -> Result<Vec<Event>> {
        if !self.is_enabled() {
            return Err(Error::Unsupported(
                "no events are collected; set the option event_queue to how many may wait",
            ));
        }
        // A time that the clock cannot hold is as good as for ever.
        let deadline = Instant::now().checked_add(timeout);
        let mut queue = self.lock();
        while queue.events.is_empty() {
            if queue.stopped {
                return Err(Error::Stopped);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            queue = match left {
                Some(Duration::ZERO) => return Err(Error::TimedOut),
                Some(left) => {
                    let woken = self.arrived.wait_timeout(queue, left);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner),
            };
        }
        queue.report_dropped();
        queue.bytes = 0;
        Ok(std::mem::take(&mut queue.events).into())
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // The queue is consistent at every point where a panic could be thrown.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn report_dropped(&mut self) {
        if self.dropped > 0 {
            let count = std::mem::take(&mut self.dropped);
            self.events.push_back(Event::EventsDropped { count });
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::event::ClientId;
    use crate::{frame::Kind, message::Message};

    fn message(queue: &EventQueue, counters: &Counters) {
        let event = Event::Message {
            client: ClientId(1),
            room: "lobby".into(),
            offset: 1,
            message: Message::new(Kind::Text, Bytes::from_static(b"hello")),
        };
        queue.push_message(event, 5, counters);
    }

    #[test]
    fn messages_are_dropped_and_counted_when_full_and_disconnects_are_not() {
        let queue = EventQueue::new(2);
        let counters = Counters::default();
        for _ in 0..5 {
            message(&queue, &counters);
        }
        assert!(queue.is_full());
        queue.push(Event::Disconnected { client: ClientId(1), code: 1000, reason: "".into() });
        let events = queue.take(Duration::ZERO).unwrap();
        assert!(matches!(
            events[..],
            [
                Event::Message { .. },
                Event::Message { .. },
                Event::EventsDropped { count: 3 },
                Event::Disconnected { .. }
            ]
        ));
        assert_eq!(counters.snapshot().events_dropped, 3);
    }

    #[test]
    fn stopped_is_the_last_event() {
        let queue = EventQueue::new(2);
        queue.push(Event::Stopped);
        message(&queue, &Counters::default());
        assert!(matches!(queue.take(Duration::ZERO).unwrap()[..], [Event::Stopped]));
        assert!(matches!(queue.take(Duration::MAX), Err(Error::Stopped)));
    }

    #[test]
    fn waiting_has_an_end() {
        let queue = EventQueue::new(2);
        assert!(matches!(queue.take(Duration::from_millis(1)), Err(Error::TimedOut)));
        assert!(matches!(EventQueue::new(0).take(Duration::ZERO), Err(Error::Unsupported(_))));
    }
}

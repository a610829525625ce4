//! What the host is told, and the bounded queue where it waits.
//!
//! Invariant: whoever reports an event never waits. Message events that do not fit are dropped and
//! counted; connects and disconnects always fit, because no client is admitted while the queue is
//! full.

use std::{
    collections::VecDeque,
    fmt,
    net::SocketAddr,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    error::{Error, Result},
    message::Message,
    stats::Counters,
};

/// The name of one connection: never 0, never used twice by a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(u64);

impl ClientId {
    /// Makes the id that a number stands for. Any number may be asked for: calls with one that is
    /// not of a client fail with [`Error::ClientNotFound`].
    #[must_use]
    pub fn from_u64(id: u64) -> Self {
        Self(id)
    }

    /// Makes the id of a shard's client. There are at most 256 shards.
    pub(crate) fn new(number: u64, shard: usize) -> Self {
        Self(number << 8 | shard as u64)
    }

    /// The shard that the client is on, if there is such a client.
    pub(crate) fn shard(self) -> usize {
        (self.0 & 0xFF) as usize
    }

    /// The id as a number.
    #[must_use]
    pub fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a client asked for when it connected.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// The client's address and port.
    pub addr: SocketAddr,
    /// The path as it was sent, percent-encoded, without the query.
    pub path: String,
    /// The query as it was sent, without the question mark; empty if there was none.
    pub query: String,
    /// The headers in the order in which they were sent, names in lower case. Values are bytes:
    /// HTTP does not promise UTF-8.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Request {
    /// The first value of a header, whose name is compared without regard to case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let (_, value) = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(value)
    }
}

/// Something that happened on a server.
///
/// The events of one client come in the order `Connected`, any number of `Message` and
/// `MessagesDropped`, `Disconnected`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A client has connected and is in its room.
    Connected {
        /// The client.
        client: ClientId,
        /// The room that it is in.
        room: Arc<str>,
        /// What it asked for.
        request: Arc<Request>,
    },
    /// A client published a message, which is on its way to the room.
    Message {
        /// The client.
        client: ClientId,
        /// The room.
        room: Arc<str>,
        /// The message's place in the room's order: 1 for the first.
        offset: u64,
        /// The message.
        message: Message,
    },
    /// The oldest messages that waited for a slow consumer were dropped
    /// ([`SlowConsumer::DropOldest`](crate::SlowConsumer::DropOldest)).
    MessagesDropped {
        /// The slow consumer.
        client: ClientId,
        /// How many messages it will not see.
        count: u64,
    },
    /// A client has left. It is in no room any more.
    Disconnected {
        /// The client.
        client: ClientId,
        /// The close code: the client's own, or the one that it was closed with. 1005 if its close
        /// frame held none, 1006 if the connection ended without one (RFC 6455, 7.4.1).
        code: u16,
        /// The close frame's reason, or what ended the connection.
        reason: Arc<str>,
    },
    /// A listener could not accept connections, for want of descriptors as a rule. It goes on
    /// trying. Reported once for each run of failures.
    AcceptFailed {
        /// The address that it listens on.
        addr: SocketAddr,
        /// What the operating system said.
        error: Arc<str>,
    },
    /// Message events were dropped here, because the host did not take events in time.
    EventsDropped {
        /// How many.
        count: u64,
    },
    /// The server has stopped. The last event.
    Stopped,
}

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
    use crate::message::Kind;

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

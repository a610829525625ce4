//! What waits for a shard: the one way by which other threads reach its connections.
//!
//! Invariant: what is pushed is taken in the same order, and a push that succeeded is taken before
//! the shard ends. A shard is woken once for all that came while it slept.

use std::{
    fmt,
    net::{SocketAddr, TcpStream},
    rc::Rc,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
    time::Instant,
};

use bytes::Bytes;
use once_cell::sync::OnceCell;
use tokio::sync::Notify;

use super::{Load, Shard};
use crate::{
    context::Admission,
    error::{Error, Result},
    event::ClientId,
    frame,
    message::Message,
};

/// The number of a room; the same on all shards, never used twice by a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct RoomId(pub(crate) u64);

impl RoomId {
    /// The room that every client is in: a broadcast goes there.
    pub(crate) const EVERYONE: Self = Self(0);
}

/// One message on its way to the subscribers of a room on one shard.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) room: RoomId,
    /// The message's place in the room's order.
    pub(crate) offset: u64,
    pub(crate) message: Message,
    /// The sender, if it is not to receive its own message.
    pub(crate) exclude: Option<ClientId>,
    /// The sender's number among the room's subscribers on the shard, if it is to receive its own message.
    pub(crate) speaker: Option<u32>,
}

/// A connection that was accepted, on its way to its shard.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) stream: TcpStream,
    pub(crate) addr: SocketAddr,
    /// Its place among the handshakes.
    pub(crate) admission: Admission,
    /// Its place among the shard's connections.
    pub(crate) load: Load,
}

/// A close frame, and what the host is told of it.
#[derive(Debug)]
pub(crate) struct Closing {
    pub(crate) frame: Bytes,
    pub(crate) end: End,
}

impl Closing {
    pub(crate) fn new(code: u16, reason: &str) -> Self {
        let frame = frame::close_frame(code, reason);
        Self { frame, end: End { code, reason: reason.into() } }
    }
}

/// Why a connection ends, as in `Event::Disconnected`.
#[derive(Debug, Clone)]
pub(crate) struct End {
    pub(crate) code: u16,
    pub(crate) reason: Arc<str>,
}

/// What a host asked for, as a function of the shard.
#[allow(clippy::type_complexity)] // It is spelled out once, here.
pub(crate) struct Call(pub(crate) Box<dyn FnOnce(&Rc<Shard>) + Send>);

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Call")
    }
}

/// What a shard is asked to do, in order.
#[derive(Debug)]
pub(crate) enum Item {
    /// Deliver a message to a room's subscribers.
    Deliver(Delivery),
    /// Deliver a message to one client.
    Send(ClientId, Message),
    /// Close one client's connection, after what was sent to it before.
    Close(ClientId, Closing),
    /// Serve a connection that was accepted.
    Accept(Box<Arrival>),
    /// Do what the host asked for, on the shard's thread.
    Call(Call),
    /// Drain and end. Nothing follows.
    Stop,
}

impl Item {
    /// Roughly what the item keeps in memory.
    fn bytes(&self) -> usize {
        match self {
            Self::Deliver(Delivery { message, .. }) | Self::Send(_, message) => {
                message.data().len()
            }
            _ => 0,
        }
    }
}

/// Beyond as many items or bytes publishers wait. The bound is soft: each of them checks before it
/// pushes, so that it can be passed by one message a publisher, or by what one read of a client's
/// socket held.
const MAX_ITEMS: usize = 16 * 1024;
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// A shard's queue of items.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    // A std mutex: it is never held across an await, and the critical section is a push or a swap.
    queue: Mutex<Queue>,
    /// Whether publishers are to wait; set and cleared under the lock, read without it.
    full: AtomicBool,
    /// Wakes the host's threads that wait for space.
    space: Condvar,
    /// Wakes the connections that wait for space.
    space_for_tasks: Notify,
    /// Wakes the shard.
    waker: OnceCell<Waker>,
}

#[derive(Debug, Default)]
struct Queue {
    items: Vec<Item>,
    bytes: usize,
    /// Whether the shard is to be woken: it has found nothing.
    sleeps: bool,
    closed: bool,
}

impl Queue {
    fn append(&mut self, item: Item) {
        self.bytes += item.bytes();
        self.items.push(item);
    }
}

impl Inbox {
    /// Adds an item, and wakes the shard if it sleeps.
    ///
    /// # Errors
    /// `Stopped` if the shard ends.
    pub(crate) fn push(&self, item: Item) -> Result<()> {
        let mut queue = self.lock();
        if queue.closed {
            return Err(Error::Stopped);
        }
        queue.closed = matches!(item, Item::Stop);
        if queue.closed {
            // Whoever waits for space need not: nothing more is taken, if the shard is there at all.
            self.space.notify_all();
        }
        queue.append(item);
        self.note_pushed(queue);
        Ok(())
    }

    /// Adds messages that are to be delivered, one behind the other, as `push` does.
    pub(crate) fn deliver(&self, deliveries: impl Iterator<Item = Delivery>) -> Result<()> {
        let mut queue = self.lock();
        if queue.closed {
            return Err(Error::Stopped);
        }
        for delivery in deliveries {
            queue.append(Item::Deliver(delivery));
        }
        self.note_pushed(queue);
        Ok(())
    }

    /// Notes whether publishers are to wait now, and wakes the shard if it sleeps.
    fn note_pushed(&self, mut queue: MutexGuard<'_, Queue>) {
        if queue.items.len() >= MAX_ITEMS || queue.bytes >= MAX_BYTES {
            self.full.store(true, Ordering::Relaxed);
        }
        let sleeps = std::mem::take(&mut queue.sleeps);
        drop(queue);
        if sleeps && let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    /// Tells what wakes the shard, which is there from now on.
    pub(crate) fn wake_by(&self, waker: Waker) {
        let _ = self.waker.set(waker);
    }

    /// Swaps all items that wait into `items`, which must be empty.
    pub(crate) fn take(&self, items: &mut Vec<Item>) {
        debug_assert!(items.is_empty(), "items that were taken must be worked off first");
        let mut queue = self.lock();
        if queue.items.is_empty() {
            return;
        }
        std::mem::swap(&mut queue.items, items);
        queue.bytes = 0;
        if self.full.swap(false, Ordering::Relaxed) {
            // At once: until those who wait are told, others of their shards let them go first in vain.
            self.space_for_tasks.notify_waiters();
            drop(queue);
            self.space.notify_all();
        }
    }

    /// Whether nothing waits. If so, the shard is woken when something does.
    pub(crate) fn may_sleep(&self) -> bool {
        let mut queue = self.lock();
        queue.sleeps = queue.items.is_empty();
        queue.sleeps
    }

    /// Whether publishers are to wait.
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Waits until the inbox has space, on a thread of the host. `QueueFull` if it has none in time.
    pub(crate) fn wait_for_space(&self, deadline: Instant) -> Result<()> {
        let mut queue = self.lock();
        while self.is_full() && !queue.closed {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::QueueFull);
            }
            queue = self.space.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }

    /// Waits until the inbox has space, in a task of a connection. The shard always makes space: it
    /// waits for no client.
    pub(crate) async fn space(&self) {
        while self.is_full() {
            let space = self.space_for_tasks.notified();
            // Checked again: the shard may have made space before this task was listening.
            if !self.is_full() {
                return;
            }
            space.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // The queue is consistent at every point where a panic could be thrown.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::frame::Kind;

    fn send(size: usize) -> Item {
        Item::Send(ClientId::new(1, 0), Message::new(Kind::Binary, &vec![0; size]))
    }

    fn take(inbox: &Inbox) -> usize {
        let mut items = Vec::new();
        inbox.take(&mut items);
        items.len()
    }

    #[test]
    fn publishers_are_told_when_too_much_waits_by_count_and_by_bytes() {
        for (size, count) in [(0, MAX_ITEMS), (MAX_BYTES / 16, 16)] {
            let inbox = Inbox::default();
            for _ in 0..count {
                assert!(inbox.wait_for_space(Instant::now()).is_ok());
                inbox.push(send(size)).unwrap();
            }
            let waited = inbox.wait_for_space(Instant::now() + Duration::from_millis(1));
            assert!(matches!(waited, Err(Error::QueueFull)));
            assert_eq!(take(&inbox), count);
            assert!(inbox.wait_for_space(Instant::now()).is_ok());
        }
    }

    #[test]
    fn a_publisher_that_waits_goes_on_when_there_is_space() {
        let inbox = Inbox::default();
        for _ in 0..MAX_ITEMS {
            inbox.push(send(0)).unwrap();
        }
        std::thread::scope(|scope| {
            let waiting =
                scope.spawn(|| inbox.wait_for_space(Instant::now() + Duration::from_secs(60)));
            assert_eq!(take(&inbox), MAX_ITEMS);
            assert!(waiting.join().unwrap().is_ok());
        });
    }

    #[test]
    fn nothing_follows_the_stop() {
        let inbox = Inbox::default();
        inbox.push(Item::Stop).unwrap();
        assert!(matches!(inbox.push(send(1)), Err(Error::Stopped)));
        assert_eq!(take(&inbox), 1);
    }
}

//! What a server has asked its broker for and is not answered yet: bounded, and each with an end.
//!
//! Invariant: the code that takes an entry out of its table acts on it, so that each has one outcome.

use std::{
    fmt,
    ops::Deref,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use rustc_hash::FxHashMap;
use tokio::sync::Notify;

use super::outcome::Outcome;
use crate::{
    broker::{AppendError, Broker, HasBroker, Page, Unavailable},
    event::ClientId,
    fanout::command::RoomId,
    message::Message,
    position::Position,
};

/// While this many appends, or bytes of payloads, are under way, clients are not read and the host's calls wait. The
/// bound is soft, as an inbox's is.
const MAX_APPENDS: usize = 4 * 1024;
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// After how many checks, which come about once a second, nothing is awaited any more.
pub(super) const OVERDUE: u64 = 10;

/// A server's broker, and what it was asked for.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) broker: Arc<dyn Broker>,
    pub(super) pending: Pending,
}

/// A server's link to its broker.
#[derive(Debug, Clone)]
pub(super) struct Linked {
    link: Arc<Link>,
    _proof: HasBroker,
}

impl Linked {
    pub(super) fn new((broker, proof): (Arc<dyn Broker>, HasBroker)) -> Self {
        let link = Arc::new(Link { broker, pending: Pending::default() });
        Self { link, _proof: proof }
    }
}

impl Deref for Linked {
    type Target = Link;

    fn deref(&self) -> &Link {
        &self.link
    }
}

/// What the broker has not answered.
#[derive(Debug, Default)]
pub(super) struct Pending {
    // A std mutex: it is held for a look-up, or for a scan where a room has lost something.
    tables: Mutex<Tables>,
    full: AtomicBool,
    /// Wakes the host's threads that wait for space.
    space: Condvar,
    /// Wakes the connections that wait for space.
    space_for_tasks: Notify,
}

#[derive(Default)]
struct Tables {
    appends: FxHashMap<u64, Append>,
    reads: FxHashMap<u64, (u64, Reader)>,
    /// How many appends are under way, with those that were taken and are being acted on.
    count: usize,
    bytes: usize,
    /// How many appends are stored and not delivered.
    stored: usize,
    last_number: u64,
    /// How many checks there were.
    round: u64,
    closed: bool,
    /// What is done when no append is under way any more: the server stops.
    last: Option<Box<dyn FnOnce() + Send>>,
}

impl fmt::Debug for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (appends, reads) = (self.appends.len(), self.reads.len());
        f.debug_struct("Tables").field("appends", &appends).field("reads", &reads).finish()
    }
}

/// Messages that are being stored, or are and were not delivered here.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) room: Arc<str>,
    pub(super) publisher: Publisher,
    bytes: usize,
    begun: u64,
    /// Where they are stored, once that is known and while they are not delivered.
    stored: Option<Position>,
}

/// Who waits for the outcome of an append.
#[derive(Debug)]
pub(super) enum Publisher {
    Host(Arc<Outcome<Result<Position, AppendError>>>),
    Client(Sent),
}

/// A client's message.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) client: ClientId,
    pub(super) identity: Option<Arc<str>>,
    /// The message, if the host wants events.
    pub(super) message: Option<Message>,
    /// Whether the client is told what becomes of it.
    pub(super) is_answered: bool,
}

/// Who waits for what is read.
#[derive(Debug)]
pub(super) enum Reader {
    Room(RoomId),
    Host(Arc<Outcome<Result<Page, Unavailable>>>),
    Client(ClientId),
}

/// An append that was taken out of the table. It counts as under way until this is dropped: so the inboxes do not close
/// before its outcome is told.
#[derive(Debug)]
pub(super) struct Taken<'a> {
    pub(super) number: u64,
    pub(super) append: Append,
    pending: &'a Pending,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.pending.release(self.append.bytes);
    }
}

impl Pending {
    /// Notes an append. Returns its number; `None` if the server stops.
    pub(super) fn begin_append(
        &self,
        room: Arc<str>,
        bytes: usize,
        publisher: Publisher,
    ) -> Option<u64> {
        let mut tables = self.lock();
        if tables.closed {
            return None;
        }
        tables.count += 1;
        tables.bytes += bytes;
        let is_full = tables.count >= MAX_APPENDS || tables.bytes >= MAX_BYTES;
        self.full.store(is_full, Ordering::Relaxed);
        let (begun, number) = (tables.round, tables.next_number());
        tables.appends.insert(number, Append { room, publisher, bytes, begun, stored: None });
        Some(number)
    }

    /// Notes a read. Returns its number.
    pub(super) fn begin_read(&self, reader: Reader) -> u64 {
        let mut tables = self.lock();
        let (begun, number) = (tables.round, tables.next_number());
        tables.reads.insert(number, (begun, reader));
        number
    }

    /// Returns a number for the read of a past: larger than those of the reads that are under way.
    pub(super) fn next_load(&self) -> u64 {
        self.lock().next_number()
    }

    pub(super) fn take_read(&self, number: u64) -> Option<Reader> {
        self.lock().reads.remove(&number).map(|(_, reader)| reader)
    }

    pub(super) fn take_append(&self, number: u64) -> Option<Taken<'_>> {
        let append = self.lock().remove(number)?;
        Some(Taken { number, append, pending: self })
    }

    /// Takes an append whose message was delivered at a position: one of a client, or the last of the host's.
    pub(super) fn take_delivered(&self, number: u64, position: Position) -> Option<Taken<'_>> {
        let mut tables = self.lock();
        let Append { publisher, stored, .. } = tables.appends.get(&number)?;
        // The host's may be several, and the position of their last may not be known yet.
        if matches!(publisher, Publisher::Host(_)) && *stored != Some(position) {
            return None;
        }
        let append = tables.remove(number)?;
        Some(Taken { number, append, pending: self })
    }

    /// Tells the host where its messages are stored. Returns the room of an append; `None` if there is none.
    pub(super) fn tell_stored(&self, number: u64, position: Position) -> Option<Arc<str>> {
        let tables = self.lock();
        let append = tables.appends.get(&number)?;
        if let Publisher::Host(outcome) = &append.publisher {
            outcome.set(Ok(position));
        }
        Some(Arc::clone(&append.room))
    }

    /// Notes where a message is stored that is not delivered yet.
    pub(super) fn note_stored(&self, number: u64, position: Position) {
        let mut tables = self.lock();
        if let Some(append) = tables.appends.get_mut(&number)
            && append.stored.replace(position).is_none()
        {
            tables.stored += 1;
        }
    }

    /// Takes the appends of a room that are stored where `condition` holds.
    pub(super) fn take_stored(
        &self,
        room: &str,
        condition: impl Fn(Position) -> bool,
    ) -> Vec<(Position, Taken<'_>)> {
        let mut tables = self.lock();
        if tables.stored == 0 {
            return Vec::new();
        }
        let of_room = tables.appends.iter().filter(|(_, append)| *append.room == *room);
        let stored = of_room.filter_map(|(number, append)| Some((append.stored?, *number)));
        let mut found: Vec<_> = stored.filter(|(position, _)| condition(*position)).collect();
        found.sort_by_key(|(position, number)| (position.offset, *number));
        let taken = found.into_iter().filter_map(|(position, number)| {
            let append = tables.remove(number)?;
            Some((position, Taken { number, append, pending: self }))
        });
        taken.collect()
    }

    /// Counts one more check. Returns the numbers of the appends and reads that were begun `OVERDUE` checks ago.
    pub(super) fn check(&self) -> (Vec<u64>, Vec<u64>) {
        let mut tables = self.lock();
        tables.round += 1;
        let Some(latest) = tables.round.checked_sub(OVERDUE) else { return Default::default() };
        let appends = tables.appends.iter().filter(|(_, append)| append.begun <= latest);
        let mut appends: Vec<_> = appends.map(|(number, _)| *number).collect();
        // One client's are told in their order.
        appends.sort_unstable();
        let reads = tables.reads.iter().filter(|(_, (begun, _))| *begun <= latest);
        (appends, reads.map(|(number, _)| *number).collect())
    }

    /// Refuses further appends, and calls `last` when none is under way any more.
    pub(super) fn close(&self, last: impl FnOnce() + Send + 'static) {
        let mut tables = self.lock();
        tables.closed = true;
        self.space.notify_all();
        if tables.count > 0 {
            tables.last = Some(Box::new(last));
            return;
        }
        drop(tables);
        last();
    }

    fn release(&self, bytes: usize) {
        let mut tables = self.lock();
        tables.count -= 1;
        tables.bytes -= bytes;
        let is_full = tables.count >= MAX_APPENDS || tables.bytes >= MAX_BYTES;
        let has_space = self.full.swap(is_full, Ordering::Relaxed) && !is_full;
        let last = if tables.count == 0 { tables.last.take() } else { None };
        drop(tables);
        if has_space {
            self.space_for_tasks.notify_waiters();
            self.space.notify_all();
        }
        if let Some(last) = last {
            last();
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Waits for space on a thread of the host. Returns false after the deadline.
    pub(super) fn wait_for_space(&self, deadline: Instant) -> bool {
        let mut tables = self.lock();
        while self.is_full() && !tables.closed {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.space.wait_timeout(tables, left);
            tables = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Waits for space in a task of a shard. The wait ends, since every append is overdue some time.
    pub(super) async fn space(&self) {
        while self.is_full() {
            let space = self.space_for_tasks.notified();
            if !self.is_full() {
                return;
            }
            space.await;
        }
    }

    /// Returns how many appends and reads are under way.
    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize) {
        let tables = self.lock();
        (tables.count, tables.reads.len())
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    fn remove(&mut self, number: u64) -> Option<Append> {
        let append = self.appends.remove(&number)?;
        self.stored -= usize::from(append.stored.is_some());
        Some(append)
    }
}

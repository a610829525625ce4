//! What a host does with a running server, from any thread.

mod admission;
mod client;
mod history;
mod identity;
mod members;
mod publish;
mod review;

use std::{
    cell::Cell,
    net::SocketAddr,
    ptr,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::watch;

use crate::{
    batch::{self, BatchError, Publication, SharedMemory},
    context::Context,
    end::End,
    error::{Error, Result},
    event::{ClientId, Event},
    fanout::{command::Command, shard_handle::ShardHandle},
    frame::Kind,
    message::Message,
    position::Position,
    rooms::{self, HostCall, HostSide, Rooms},
    stats::Stats,
};

/// A host's function that is called with what happened, in order, never twice at once.
pub(crate) type EventHandler = Arc<dyn Fn(&Handle, &[Event]) + Send + Sync>;

/// How long clients may take to answer the close frame after `request_stop`.
const DRAIN: Duration = Duration::from_secs(5);

/// How many messages of a batch are published to a room before the inboxes are checked for space.
const MAX_ATOMIC: usize = 256;

/// A running server, as all its threads and the host's see it.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) context: Arc<Context>,
    pub(crate) rooms: Arc<Rooms>,
    pub(crate) shards: Arc<[Arc<ShardHandle>]>,
    pub(crate) addrs: Vec<SocketAddr>,
    pub(crate) has_handler: bool,
    /// When the server ends at the latest, once it stops.
    pub(crate) deadline: watch::Sender<Option<Instant>>,
    pub(crate) end: End,
}

thread_local! {
    /// The server whose event handler this thread calls. `thread::current` would tell it too, but would allocate
    /// on each thread of the host, in a way that looks like a leak.
    static DISPATCHES: Cell<*const Shared> = const { Cell::new(ptr::null()) };
}

/// Calls a server from any thread. Cloning it is cheap; it does not keep the server running.
#[derive(Debug, Clone)]
pub struct Handle {
    pub(crate) shared: Arc<Shared>,
}

impl HostSide for Handle {}

impl Handle {
    /// Returns the address of the first listener, with the port that it really has.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.addrs[0]
    }

    /// Returns the addresses of all listeners, in the order in which they were configured.
    #[must_use]
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.shared.addrs
    }

    /// Publishes a message to every client of this server. It takes part in no room's order or
    /// history; a thread's calls reach each client in the order in which they were made.
    ///
    /// # Errors
    /// [`Error::InvalidUtf8`] for text, [`Error::TooLarge`], [`Error::QueueFull`] (see
    /// [`Config::publish_timeout`](crate::Config::publish_timeout)), [`Error::Stopped`]. In all
    /// cases nothing was sent.
    pub fn broadcast(&self, kind: Kind, data: &[u8]) -> Result<()> {
        self.shared.rooms.broadcast(self.message(kind, data)?, &HostCall::of(self))
    }

    /// Publishes a message to a room, whether or not anyone is in it. Returns the message's position in the
    /// room's history; [`Position::NONE`] if rooms have no history. A message that was published is delivered
    /// to every subscriber that the room had, before the server closes them when it stops.
    ///
    /// # Errors
    /// [`Error::InvalidRoom`], [`Error::InvalidUtf8`] for text, [`Error::TooLarge`],
    /// [`Error::QueueFull`] (see [`Config::publish_timeout`](crate::Config::publish_timeout)),
    /// [`Error::Stopped`]. In all cases nothing was published.
    pub fn publish(&self, room: &str, kind: Kind, data: &[u8]) -> Result<Position> {
        self.shared.rooms.publish(room, [self.message(kind, data)?], &HostCall::of(self))
    }

    /// Tells the clients in a room something that is stored nowhere and has no position, such as that somebody types: a
    /// signal. It comes in the order of the room's messages. Clients of the JSON form and of events get it
    /// (`{"type":"signal",…}`, `event: signal`); plain WebSocket clients get none. A client that lags is passed over, and
    /// is told nothing of it. At most 4 KiB, or `max_message_size` if that is less.
    ///
    /// This never waits. Where too much waits already, the signal is dropped and counted
    /// ([`Stats::signals_dropped`](crate::Stats::signals_dropped)), and this succeeds, as it does if nobody is in the room.
    ///
    /// # Errors
    /// [`Error::InvalidRoom`], [`Error::InvalidUtf8`] for text, [`Error::TooLarge`], [`Error::Stopped`].
    pub fn signal(&self, room: &str, kind: Kind, data: &[u8]) -> Result<()> {
        self.shared.rooms.signal(room, &self.signal_of(kind, data)?)
    }

    /// Publishes many messages, in their order, as [`publish`](Self::publish) does each; cheaper,
    /// above all if those of one room follow each other. No message of another publisher comes
    /// between up to 256 of one room that do. Returns the positions of the messages, in the same order.
    ///
    /// # Errors
    /// [`Error::InvalidRoom`], [`Error::InvalidUtf8`] and [`Error::TooLarge`] for any message, before
    /// one is published. [`Error::QueueFull`] (see
    /// [`Config::publish_timeout`](crate::Config::publish_timeout), which is the time for all of the
    /// batch) and [`Error::Stopped`] can come in between: [`BatchError::positions`] are those of the
    /// messages that were published.
    pub fn publish_batch(&self, batch: &[Publication<'_>]) -> Result<Vec<Position>, BatchError> {
        let mut positions = Vec::with_capacity(batch.len());
        match self.publish_runs(batch, |last, count| positions.extend(last.run(count))) {
            Ok(()) => Ok(positions),
            Err((index, error)) => Err(BatchError { positions, index, error }),
        }
    }

    /// Publishes a batch. `each` gets the position of the last of the messages that were published together, and
    /// how many they are.
    ///
    /// # Errors
    /// Those of `publish_batch`, with the index of the message that is wrong, if one is.
    pub(crate) fn publish_runs(
        &self,
        batch: &[Publication<'_>],
        mut each: impl FnMut(Position, usize),
    ) -> Result<(), (Option<usize>, Error)> {
        let limit = self.max_message_size();
        let shared_memory = SharedMemory::of(&self.shared.context.options);
        let mut runs = Vec::new();
        let mut checked = 0;
        for run in batch.chunk_by(Publication::is_for_the_room_of) {
            rooms::check_name(run[0].room).map_err(|error| (Some(checked), error))?;
            for run in run.chunks(MAX_ATOMIC) {
                let messages = batch::messages(run, limit, shared_memory);
                let messages = messages.map_err(|(index, error)| (Some(checked + index), error))?;
                runs.push((run[0].room, messages));
                checked += run.len();
            }
        }
        let deadline = HostCall::of(self);
        for (room, messages) in runs {
            let count = messages.len();
            let last = self.shared.rooms.publish(room, messages, &deadline);
            let last = last.map_err(|error| (None, error))?;
            each(last, count);
        }
        Ok(())
    }

    /// Returns where a room stands: the position of the last message that is stored. What is published later comes
    /// after it, and a client that connects with `?since=POSITION` gets all of that: so a page can be rendered first.
    /// [`Position::NONE`] if rooms have no history.
    ///
    /// The room need not exist: it begins at the position that this returns, unless it comes into being more than a
    /// day later, or 65,536 other rooms were forgotten meanwhile (16,384 if the room has never stored a message).
    ///
    /// # Errors
    /// [`Error::InvalidRoom`], [`Error::Stopped`].
    pub fn position(&self, room: &str) -> Result<Position> {
        self.shared.rooms.position(room, &HostCall::of(self))
    }

    /// Returns what the server has counted since its start, also after it has stopped.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.context.counters.snapshot()
    }

    /// Takes the events that wait, the oldest first and at most 1,024, or waits up to `timeout` for one. Several
    /// threads may wait; each event is taken once.
    ///
    /// # Errors
    /// [`Error::TimedOut`]; [`Error::Stopped`] once [`Event::Stopped`] has been taken;
    /// [`Error::Unsupported`] if the option `event_queue` is zero or there is an event handler.
    pub fn next_events(&self, timeout: Duration) -> Result<Vec<Event>> {
        if self.shared.has_handler {
            return Err(Error::Unsupported("the events go to the event handler"));
        }
        let mut events = Vec::new();
        self.shared.context.events.take(timeout, &mut events)?;
        Ok(events)
    }

    /// Waits up to `timeout` until the server has ended: its ports are free and its clients are gone. It may be
    /// stopped by another thread, or end by itself. An event handler may still get the events that are left.
    ///
    /// # Errors
    /// [`Error::TimedOut`] if the server still runs; [`Error::Failed`] if it ended because a part of it could not
    /// go on, with a text that says which part, and why.
    pub fn wait(&self, timeout: Duration) -> Result<()> {
        self.shared.end.wait(timeout)
    }

    /// Begins to stop the server and returns at once: no new connections, what was published is
    /// delivered, every client is closed with code 1001 and has 5 s to answer. To wait for the
    /// end, call [`Server::stop`](crate::Server::stop), which can shorten the time.
    pub fn request_stop(&self) {
        self.stop_by(Instant::now() + DRAIN);
    }

    /// Begins to stop, or brings the deadline forward.
    pub(crate) fn stop_by(&self, deadline: Instant) {
        let mut is_first = false;
        self.shared.deadline.send_modify(|current| {
            is_first = current.is_none();
            *current = Some(current.map_or(deadline, |current| current.min(deadline)));
        });
        if is_first {
            let context = &self.shared.context;
            context.clients_at_stop.add(context.counters.connections.get());
            context.events.close();
            // First the rooms, then the inboxes: so a published message is in every inbox before it closes.
            let shards = Arc::clone(&self.shared.shards);
            self.shared.rooms.stop(move || {
                for shard in shards.iter() {
                    // Cannot fail: this push alone closes the inbox, and it happens once.
                    let _ = shard.inbox.push(Command::Stop);
                }
            });
        }
    }

    /// Returns how long a message may be, in bytes.
    pub(crate) fn max_message_size(&self) -> usize {
        self.shared.context.options.max_message_size
    }

    /// Notes that this thread calls the event handler.
    pub(crate) fn note_dispatcher(&self) {
        DISPATCHES.set(Arc::as_ptr(&self.shared));
    }

    /// Whether this thread is in the event handler.
    pub(crate) fn is_in_handler(&self) -> bool {
        ptr::eq(DISPATCHES.get(), Arc::as_ptr(&self.shared))
    }

    fn is_stopping(&self) -> bool {
        self.shared.deadline.borrow().is_some()
    }

    fn push(&self, shard: &ShardHandle, command: Command) -> Result<u64> {
        shard.push(command, self.shared.context.options.max_rooms_per_client)
    }

    fn message(&self, kind: Kind, data: &[u8]) -> Result<Message> {
        Message::checked(kind, data, self.max_message_size())
    }

    fn signal_of(&self, kind: Kind, data: &[u8]) -> Result<Message> {
        Message::checked(kind, data, self.max_signal_size())
    }

    /// Returns how long a signal may be, in bytes.
    pub(crate) fn max_signal_size(&self) -> usize {
        rooms::signals::max_len(&self.shared.context)
    }

    fn shard_of(&self, client: ClientId) -> Result<&Arc<ShardHandle>> {
        if self.is_stopping() {
            return Err(Error::Stopped);
        }
        let shard = self.shared.shards.get(client.shard()).ok_or(Error::ClientNotFound)?;
        if shard.has_client(client) { Ok(shard) } else { Err(Error::ClientNotFound) }
    }
}

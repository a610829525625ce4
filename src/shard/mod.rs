//! One core's share of a server: a thread with its connections and its part of every room.
//!
//! Invariant: everything here lives on the shard's thread, so that it needs no locks; other threads reach it
//! through its [handle](ShardHandle) alone. Nothing on this thread waits for a client.
//!
//! Tables whose keys the server itself gives out need no hash that withstands an attacker.

mod admissions;
mod apply;
mod deadlines;
mod expiry;
mod members;
mod memberships;
mod outboxes;
mod pings;
mod reviews;
mod space_waiters;
mod stopping;
mod tick;

use std::{
    cell::{Cell, RefCell},
    io,
    panic::AssertUnwindSafe,
    rc::Rc,
    sync::Arc,
    time::Instant,
};

use futures_util::FutureExt;
use rustc_hash::FxHashMap;
use tokio::{
    sync::{Notify, watch},
    task::LocalSet,
};

use self::{
    admissions::AdmissionWaiters, deadlines::Deadlines, members::Watchers, memberships::Departures,
    outboxes::Writable, pings::Pings, reviews::Reviews, space_waiters::SpaceWaiters,
};
pub(crate) use self::{admissions::Decision, space_waiters::Ticket, tick::Tick};
use crate::{
    context::Context,
    end::panic_text,
    event::ClientId,
    fanout::{
        Fanout,
        command::{AcceptedStream, Command},
        outbound::OutboundShared,
        shard_handle::ShardHandle,
    },
    past::SinceIn,
    reactor::{Next, Reactor, Task, Timer},
    rooms::{Rooms, client::Client},
};

/// The size of the buffer through which all connections of a shard are read.
const READ_BUFFER: usize = 64 * 1024;

/// While this many connections hold input that they have read, no connection of the shard is read.
const MAX_HELD: usize = 16;

/// A shard, as its own thread sees it.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) index: usize,
    pub(crate) context: Arc<Context>,
    pub(crate) handle: Arc<ShardHandle>,
    pub(crate) rooms: Arc<Rooms>,
    pub(crate) reactor: Rc<Reactor>,
    /// What all outbound halves share.
    pub(crate) shared: Rc<OutboundShared>,
    fanout: RefCell<Fanout>,
    clients: RefCell<FxHashMap<ClientId, Rc<Client>>>,
    pub(crate) admission_waiters: AdmissionWaiters,
    pub(crate) reviews: Reviews,
    pub(crate) space_waiters: SpaceWaiters,
    departures: Departures,
    watchers: Watchers,
    writable: Writable,
    pub(crate) read_buffer: RefCell<Box<[u8]>>,
    pings: Pings,
    pub(crate) deadlines: Deadlines,
    /// How many connections hold input.
    held: Cell<usize>,
    stopping: Cell<bool>,
    /// What has happened to a part of it that failed: then it ends.
    failure: RefCell<Option<String>>,
    last_client: Cell<u64>,
    /// How many answers to requests for pages are being written.
    answers: Cell<usize>,
    /// Wakes the tasks that end when the shard stops.
    stops: Notify,
    /// Wakes `drain` when a client has left, or an answer is written. Apart from `stops`, for which very many handshakes may wait.
    left: Notify,
}

impl Shard {
    pub(crate) fn new(
        index: usize,
        context: Arc<Context>,
        handle: Arc<ShardHandle>,
        rooms: Arc<Rooms>,
        reactor: Rc<Reactor>,
    ) -> Rc<Self> {
        let clock = Rc::clone(&reactor.clock);
        let shared = OutboundShared::new(Arc::clone(&context), Rc::clone(&clock));
        handle.inbox.set_waker(reactor.waker());
        let fanout = Fanout::new(context.options.outbox_size);
        let pings = Pings::new(context.options.ping_interval_of(true), clock.now());
        Rc::new(Self {
            index,
            context,
            handle,
            rooms,
            reactor,
            shared,
            fanout: RefCell::new(fanout),
            clients: RefCell::default(),
            admission_waiters: AdmissionWaiters::default(),
            reviews: Reviews::default(),
            space_waiters: SpaceWaiters::default(),
            departures: Departures::default(),
            watchers: Watchers::default(),
            writable: Writable::default(),
            read_buffer: RefCell::new(vec![0; READ_BUFFER].into()),
            pings,
            deadlines: Deadlines::new(clock),
            held: Cell::new(0),
            stopping: Cell::new(false),
            failure: RefCell::default(),
            last_client: Cell::new(0),
            answers: Cell::new(0),
            stops: Notify::new(),
            left: Notify::new(),
        })
    }

    /// Runs until the shard has ended. Calls `accept` with each accepted connection. Returns whether clients
    /// were aborted at the deadline; `None` if the shard failed: then `take_failure` tells why.
    ///
    /// # Errors
    /// The event loop's.
    pub(crate) fn run(
        self: &Rc<Self>,
        tasks: &mut LocalSet,
        mut deadline: watch::Receiver<Option<Instant>>,
        timer: Timer,
        accept: impl Fn(&Rc<Self>, AcceptedStream),
    ) -> io::Result<Option<bool>> {
        self.spawn_vital(deadlines::run(Rc::clone(self), timer));
        self.spawn_watchers();
        if self.index == 0 {
            self.spawn_vital(expiry::run(Rc::clone(self)));
            if self.rooms.members().is_some() {
                self.spawn_vital(members::gather(Rc::clone(self)));
            }
            if self.rooms.has_broker() {
                self.spawn_vital(expiry::check_broker(Rc::clone(self)));
            }
        }
        let mut tick = Tick::new();
        self.reactor.run(tasks, || self.tick(&mut tick, &accept))?;
        if self.has_failed() {
            return Ok(None);
        }
        if self.index == 0 {
            tracing::info!(clients = self.context.clients_at_stop.get(), "stopping");
        }
        let (shard, had_to_abort) = (Rc::clone(self), Rc::new(Cell::new(None)));
        let outcome = Rc::clone(&had_to_abort);
        let mut drain = Reactor::spawn(Box::pin(async move {
            outcome.set(Some(shard.drain(&mut deadline).await));
        }));
        let outcome = self.reactor.run(tasks, || {
            let has_more = self.tick_outboxes();
            match (&mut drain).now_or_never() {
                // There is no outcome if it panicked.
                Some(_) => Next::End(had_to_abort.get()),
                None if self.has_failed() => Next::End(None),
                None if has_more => Next::Continue,
                None => Next::Park,
            }
        });
        self.finish_departures();
        outcome
    }

    /// Spawns the tasks that watch what is due.
    pub(crate) fn spawn_watchers(self: &Rc<Self>) {
        self.spawn_vital(pings::run(Rc::clone(self)));
        self.spawn_vital(outboxes::run(Rc::clone(self)));
        if !self.context.options.review_timeout.is_zero() {
            self.spawn_vital(reviews::run(Rc::clone(self)));
        }
    }

    /// Spawns a task without which the shard cannot go on: if it panics, the shard ends, and with it the server.
    pub(crate) fn spawn_vital(self: &Rc<Self>, task: impl Future<Output = ()> + 'static) {
        self.spawn_boxed(Box::pin(task));
    }

    fn spawn_boxed(self: &Rc<Self>, task: Task) {
        let shard = Rc::clone(self);
        drop(Reactor::spawn(Box::pin(async move {
            if let Err(panic) = AssertUnwindSafe(task).catch_unwind().await {
                tracing::error!("a task of a shard panicked");
                shard.fail(format!("a task that it needs panicked: {}", panic_text(&*panic)));
            }
        })));
    }

    fn has_failed(&self) -> bool {
        self.failure.borrow().is_some()
    }

    /// Returns why the shard has failed.
    pub(crate) fn take_failure(&self) -> String {
        // What stops it has no task of its own.
        self.failure.take().unwrap_or_else(|| "its stop panicked".to_owned())
    }

    /// Ends the shard and its clients, since a part of it failed.
    pub(crate) fn fail(&self, why: String) {
        self.failure.borrow_mut().get_or_insert(why);
        // Wakes the shard. The inbox stays open, since inboxes close after all rooms. Fails if the server stops.
        let _ = self.handle.inbox.push(Command::Fail);
    }

    /// Makes a new client's id, which holds the index of its shard.
    pub(crate) fn next_client_id(&self) -> ClientId {
        let number = self.last_client.get() + 1;
        self.last_client.set(number);
        ClientId::new(number, self.index)
    }

    pub(crate) fn client(&self, id: ClientId) -> Option<Rc<Client>> {
        self.clients.borrow().get(&id).cloned()
    }

    /// Adds a client that is in its rooms to the clients and the roster.
    pub(crate) fn add_client(&self, client: &Rc<Client>, since_in: Option<Box<SinceIn>>) {
        let room = client.room().map(|(room, _)| room);
        let has_one_room = client.out().form().is_event_stream();
        self.handle.add_client(client.id(), room, has_one_room, since_in);
        self.insert(client);
    }

    /// Adds a client that waits for admission to the clients and the roster.
    pub(crate) fn add_applicant(&self, client: &Rc<Client>, since_in: Option<Box<SinceIn>>) {
        let has_one_room = client.out().form().is_event_stream();
        self.handle.add_applicant(client.id(), has_one_room, since_in);
        self.insert(client);
    }

    fn insert(&self, client: &Rc<Client>) {
        self.clients.borrow_mut().insert(client.id(), Rc::clone(client));
    }

    /// Starts to ping a client.
    pub(crate) fn start_pings(&self, client: &Client) {
        let is_event_stream = client.out().form().is_event_stream();
        if !self.context.options.ping_interval_of(is_event_stream).is_zero() {
            self.pings.add(client.id(), self.shared.now(), &self.clients.borrow());
        }
    }

    /// Makes a client unreachable for the host, since it is closing or gone.
    pub(crate) fn remove_from_roster(&self, id: ClientId) {
        self.handle.remove_client(id);
    }

    pub(crate) fn remove_client(&self, id: ClientId) {
        self.shared.sender_commands.remove(id);
        self.shared.answers.remove(id);
        self.remove_from_roster(id);
        self.clients.borrow_mut().remove(&id);
        self.left.notify_waiters();
    }

    /// Whether a connection may be read now. If not, it is rescheduled when it may.
    pub(crate) fn may_read(&self, client: &Client, has_held: bool) -> bool {
        if !self.handle.holds_any_input() {
            return true;
        }
        if self.handle.holds_input_of(client.id()) {
            // Applying the command reschedules it.
            return false;
        }
        // A connection that holds input already is served first.
        if !has_held && self.held.get() >= MAX_HELD {
            client.out().transport().reschedule();
            return false;
        }
        true
    }

    /// Whether nothing waits in the lanes, and nothing is held back.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.fanout.borrow().is_idle() && !self.handle.holds_any_input()
    }

    /// Returns the sizes of all its tables.
    #[cfg(test)]
    pub(crate) fn table_sizes(&self) -> Vec<(&'static str, usize)> {
        let undecided = &self.handle.undecided;
        let (reviewed, review_deadlines) = self.reviews.sizes();
        let mut sizes = vec![
            ("clients", self.clients.borrow().len()),
            ("clients that the host can reach", self.handle.clients()),
            ("identities", self.handle.identity_sizes().0),
            ("clients with identities", self.handle.identity_sizes().1),
            ("undecided clients", undecided.admissions.len()),
            ("waiting handshakes", self.admission_waiters.len()),
            ("undecided messages", undecided.reviews.len()),
            ("clients with undecided messages", reviewed),
            ("deadlines of messages", review_deadlines),
            ("deadlines", self.deadlines.len()),
            ("pings", self.pings.len()),
            ("outboxes to check", self.shared.lagging.len()),
            ("commands of senders", self.shared.sender_commands.len()),
            ("answers that are awaited", self.shared.answers.len()),
            ("watchers of members", self.watchers.len()),
        ];
        sizes.extend(self.fanout.borrow().table_sizes());
        sizes
    }

    /// Returns how much waits in the lanes and in sends, in bytes.
    #[cfg(test)]
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.fanout.borrow().size()
    }

    /// Counts one more connection that holds input, or one less.
    pub(crate) fn note_held(&self, is_held: bool) {
        let held = self.held.get();
        self.held.set(if is_held { held + 1 } else { held.saturating_sub(1) });
    }
}

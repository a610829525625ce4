//! One core's share of a server: a thread with its connections and its part of every room.
//!
//! Invariant: everything here lives on the shard's thread, so that it needs no locks; other
//! threads reach it through the [inbox] alone. Nothing on this thread waits for a client.
//!
//! Tables by numbers that the server has given out itself need no hash that withstands an attacker: the
//! cheap one is a twentieth of what a connection costs in user space.

pub(crate) mod admission;
mod backlog;
mod backlogs;
pub(crate) mod client;
mod ending;
mod frames;
pub(crate) mod inbox;
pub(crate) mod lane;
pub(crate) mod line;
mod link;
mod liveness;
mod outbox;
pub(crate) mod reviews;
pub(crate) mod seats;
mod time_limits;
mod turns;

use std::{
    cell::{Cell, RefCell},
    io,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use rustc_hash::FxHashMap;
use tokio::{
    sync::{Notify, watch},
    task::LocalSet,
};

pub(crate) use self::link::{Link, Load};
use self::{
    admission::Answers,
    backlogs::Backlogs,
    client::Client,
    inbox::{Arrival, Call, Item, RoomId},
    lane::Lane,
    line::Line,
    liveness::Liveness,
    reviews::Reviews,
    time_limits::TimeLimits,
    turns::Turns,
};
use crate::{
    context::Context,
    event::ClientId,
    reactor::{Next, Reactor, Timer},
};

/// The size of the buffer that all connections of a shard are read with.
const READ_BUFFER: usize = 64 * 1024;

/// A shard, as its own thread sees it.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) index: usize,
    pub(crate) context: Arc<Context>,
    pub(crate) link: Arc<Link>,
    pub(crate) reactor: Rc<Reactor>,
    lanes: RefCell<FxHashMap<RoomId, Lane>>,
    clients: RefCell<FxHashMap<ClientId, Rc<Client>>>,
    pub(crate) answers: Answers,
    pub(crate) reviews: Reviews,
    pub(crate) line: Line,
    /// How many rooms clients are in beside their first.
    more_seats: Cell<usize>,
    backlogs: RefCell<Backlogs>,
    pub(crate) read_buffer: RefCell<Box<[u8]>>,
    pub(crate) liveness: Liveness,
    pub(crate) time_limits: TimeLimits,
    stopping: Cell<bool>,
    /// Whether it cannot go on.
    failed: Cell<bool>,
    last_client: Cell<u64>,
    /// Wakes those who end when the shard stops.
    stops: Notify,
    /// Wakes the shard that ends when a client has left. Not the one above: a thousand handshakes
    /// listen to that.
    left: Notify,
}

impl Shard {
    pub(crate) fn new(
        index: usize,
        context: Arc<Context>,
        link: Arc<Link>,
        reactor: Rc<Reactor>,
    ) -> Rc<Self> {
        link.inbox.wake_by(reactor.waker());
        let liveness = Liveness::new(context.options.ping_interval);
        Rc::new(Self {
            index,
            context,
            link,
            reactor,
            lanes: RefCell::default(),
            clients: RefCell::default(),
            answers: Answers::default(),
            reviews: Reviews::default(),
            line: Line::default(),
            more_seats: Cell::new(0),
            backlogs: RefCell::default(),
            read_buffer: RefCell::new(vec![0; READ_BUFFER].into()),
            liveness,
            time_limits: TimeLimits::default(),
            stopping: Cell::new(false),
            failed: Cell::new(false),
            last_client: Cell::new(0),
            stops: Notify::new(),
            left: Notify::new(),
        })
    }

    /// Works until the shard has ended. Calls `accept` with each connection it is handed. Returns whether
    /// clients had to be cut at the deadline; `None` if the shard cannot go on.
    ///
    /// # Errors
    /// The event loop's.
    pub(crate) fn run(
        self: &Rc<Self>,
        tasks: &mut LocalSet,
        mut deadline: watch::Receiver<Option<Instant>>,
        timer: Timer,
        accept: impl Fn(&Rc<Self>, Arrival),
    ) -> io::Result<Option<bool>> {
        drop(tasks.spawn_local(liveness::run(Rc::clone(self))));
        drop(tasks.spawn_local(time_limits::run(Rc::clone(self), timer)));
        if !self.context.options.review_timeout.is_zero() {
            drop(tasks.spawn_local(reviews::run(Rc::clone(self))));
        }
        let mut turns = Turns::new();
        self.reactor.run(tasks, || self.turn(&mut turns, &accept))?;
        if self.failed.get() {
            return Ok(None);
        }
        if self.index == 0 {
            tracing::info!(clients = self.context.counters.connections.get(), "stopping");
        }
        let shard = Rc::clone(self);
        let mut ended = tasks.spawn_local(async move { shard.end(&mut deadline).await });
        self.reactor.run(tasks, || match (&mut ended).now_or_never() {
            Some(had_to_cut) => Next::End(had_to_cut.ok()),
            None if self.failed.get() => Next::End(None),
            None => Next::Sleep,
        })
    }

    /// Ends a shard that cannot go on, and its clients with it.
    fn fail(&self) {
        self.failed.set(true);
        // Wakes it, and leaves the inbox open: inboxes close after all rooms. Fails if it ends already.
        let _ = self.link.inbox.push(Item::Call(Call(Box::new(|_| ()))));
    }

    /// Notes that clients are in more rooms, or in fewer, beside their first.
    pub(crate) fn note_seats(&self, before: usize, after: usize) {
        self.more_seats.set(self.more_seats.get() + after - before);
    }

    /// Drains a client's outbox in a task of its own, if it has just become non-empty.
    pub(crate) fn drain_if(self: &Rc<Self>, client: &Rc<Client>, has_outbox: bool) {
        if has_outbox {
            drop(tokio::task::spawn_local(drain(Rc::clone(self), Rc::clone(client))));
        }
    }

    /// Adds a client to a room from an offset on. Returns the number under which it is removed.
    pub(crate) fn subscribe(&self, room: RoomId, client: Rc<Client>, from: u64) -> usize {
        self.lanes.borrow_mut().entry(room).or_default().subscribe(client, from)
    }

    pub(crate) fn unsubscribe(&self, room: RoomId, number: usize) {
        let mut lanes = self.lanes.borrow_mut();
        if let Some(lane) = lanes.get_mut(&room) {
            lane.unsubscribe(number);
            if lane.is_empty() {
                lane.clear(&mut self.backlogs.borrow_mut());
                lanes.remove(&room);
            }
        }
    }

    /// A new client's id, in which other threads find its shard.
    pub(crate) fn next_client_id(&self) -> ClientId {
        let number = self.last_client.get() + 1;
        self.last_client.set(number);
        ClientId::new(number, self.index)
    }

    pub(crate) fn client(&self, id: ClientId) -> Option<Rc<Client>> {
        self.clients.borrow().get(&id).cloned()
    }

    /// Lets a client be reached by its id.
    pub(crate) fn add_client(&self, client: &Rc<Client>) {
        self.link.roster().insert(client.id());
        self.clients.borrow_mut().insert(client.id(), Rc::clone(client));
    }

    /// Begins to ping a client.
    pub(crate) fn watch(&self, client: ClientId) {
        self.liveness.watch(client, Instant::now(), &self.clients.borrow());
    }

    /// Lets no more be sent to a client, which is closing or gone.
    pub(crate) fn retire_client(&self, id: ClientId) {
        self.link.roster().remove(&id);
    }

    pub(crate) fn remove_client(&self, id: ClientId) {
        self.retire_client(id);
        self.clients.borrow_mut().remove(&id);
        self.left.notify_waiters();
    }
}

/// Writes a client's outbox when its socket takes more, until it is empty or the client is gone.
async fn drain(shard: Rc<Shard>, client: Rc<Client>) {
    let mut look: Option<Duration> = None;
    while !client.drain() {
        let Some(deadline) = client.outbox_deadline() else { return };
        let deadline = match look.take() {
            Some(pause) => deadline.max(Instant::now() + pause),
            None => deadline,
        };
        if shard.time_limits.by(deadline, client.stream().writable()).await.is_none() {
            look = Some(client.expire());
        }
    }
}

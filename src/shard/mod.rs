//! One core's share of a server: a thread with its connections and its part of every room.
//!
//! Invariant: everything here lives on the shard's thread, so that it needs no locks; other
//! threads reach it through the [`Inbox`] alone. Nothing on this thread waits for a client.
//!
//! Tables by numbers that the server has given out itself need no hash that withstands an attacker: the
//! cheap one is a twentieth of what a connection costs in user space.

pub(crate) mod admission;
pub(crate) mod client;
mod frames;
pub(crate) mod inbox;
pub(crate) mod lane;
mod liveness;
mod outbox;
pub(crate) mod reviews;
pub(crate) mod seats;
mod time_limits;

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    pin::pin,
    rc::Rc,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::{Either, select};
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::sync::{Notify, watch};

use self::{
    admission::{Answers, Applicants},
    client::Client,
    inbox::{Arrival, Call, Closing, Inbox, Item, RoomId},
    lane::{Joiner, Lane},
    liveness::Liveness,
    reviews::{Reviews, Undecided},
    time_limits::TimeLimits,
};
use crate::{context::Context, event::ClientId, message::Message, sys::Timer};

/// Close code of a server that ends.
const GOING_AWAY: u16 = 1001;

/// The size of the buffer that all connections of a shard are read with.
const READ_BUFFER: usize = 64 * 1024;

/// What other threads know of a shard.
#[derive(Debug, Default)]
pub(crate) struct Link {
    pub(crate) inbox: Inbox,
    /// The clients that can be sent to.
    // A std mutex: it is held for one look-up.
    roster: Mutex<FxHashSet<ClientId>>,
    pub(crate) applicants: Applicants,
    pub(crate) undecided: Undecided,
    load: AtomicUsize,
}

impl Link {
    /// Whether there is such a client on the shard.
    pub(crate) fn has_client(&self, client: ClientId) -> bool {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner).contains(&client)
    }

    /// Counts one more connection of the shard, for as long as what this returns lives.
    pub(crate) fn take_load(self: &Arc<Self>) -> Load {
        self.load.fetch_add(1, Ordering::Relaxed);
        Load(Arc::clone(self))
    }

    /// How many connections the shard has, handshakes included.
    pub(crate) fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }
}

/// A connection's place on a shard.
#[derive(Debug)]
pub(crate) struct Load(Arc<Link>);

impl Drop for Load {
    fn drop(&mut self) {
        self.0.load.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A shard, as its own thread sees it.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) index: usize,
    pub(crate) context: Arc<Context>,
    pub(crate) link: Arc<Link>,
    lanes: RefCell<FxHashMap<RoomId, Lane>>,
    clients: RefCell<FxHashMap<ClientId, Rc<Client>>>,
    pub(crate) answers: Answers,
    pub(crate) reviews: Reviews,
    /// How many rooms clients are in beside their first.
    more_seats: Cell<usize>,
    joiner: RefCell<Joiner>,
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
    pub(crate) fn new(index: usize, context: Arc<Context>, link: Arc<Link>) -> Rc<Self> {
        let liveness = Liveness::new(context.options.ping_interval);
        Rc::new(Self {
            index,
            context,
            link,
            lanes: RefCell::default(),
            clients: RefCell::default(),
            answers: Answers::default(),
            reviews: Reviews::default(),
            more_seats: Cell::new(0),
            joiner: RefCell::default(),
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

    /// Works until the shard is stopped. Calls `accept` with each connection it is handed.
    /// Returns whether clients had to be cut at the deadline; `None` if the shard cannot go on.
    pub(crate) async fn run(
        self: Rc<Self>,
        mut deadline: watch::Receiver<Option<Instant>>,
        timer: Timer,
        accept: impl Fn(&Rc<Self>, Arrival),
    ) -> Option<bool> {
        drop(tokio::task::spawn_local(liveness::run(Rc::clone(&self))));
        drop(tokio::task::spawn_local(time_limits::run(Rc::clone(&self), timer)));
        if !self.context.options.review_timeout.is_zero() {
            drop(tokio::task::spawn_local(reviews::run(Rc::clone(&self))));
        }
        self.flush_until_stopped(accept).await;
        if self.failed.get() {
            return None;
        }
        if self.index == 0 {
            tracing::info!(clients = self.context.counters.connections.get(), "stopping");
        }
        Some(self.end(&mut deadline).await)
    }

    /// Ends a shard that cannot go on, and its clients with it.
    fn fail(&self) {
        self.failed.set(true);
        // Wakes it, and leaves the inbox open: inboxes close after all rooms. Fails if it ends already.
        let _ = self.link.inbox.push(Item::Call(Call(Box::new(|_| ()))));
    }

    /// Works the inbox off, in turns. The sockets that are ready are read before each turn, since
    /// their tasks were woken before this one: what arrived together leaves together.
    async fn flush_until_stopped(self: &Rc<Self>, accept: impl Fn(&Rc<Self>, Arrival)) {
        let mut items = Vec::new();
        let mut dirty = Vec::new();
        loop {
            poll_fn(|cx| self.link.inbox.poll_take(cx, &mut items)).await;
            if self.failed.get() {
                return;
            }
            for item in items.drain(..) {
                match item {
                    Item::Deliver(delivery) => {
                        // A broadcast and a room's messages are in different lanes with the same
                        // clients, and so are rooms that share a client: one is written before the
                        // other, in the order of publishing.
                        if dirty.last().is_some_and(|last| self.may_share(*last, delivery.room)) {
                            self.flush(&mut dirty);
                        }
                        let mut lanes = self.lanes.borrow_mut();
                        let Some(lane) = lanes.get_mut(&delivery.room) else { continue };
                        let room = delivery.room;
                        if lane.push(delivery) {
                            dirty.push(room);
                        }
                    }
                    Item::Send(id, message) => {
                        self.flush(&mut dirty);
                        self.send(id, &message);
                    }
                    Item::Close(id, closing) => {
                        self.flush(&mut dirty);
                        if let Some(client) = self.client(id) {
                            self.drain_if(&client, client.close(closing));
                        }
                    }
                    Item::Accept(arrival) => accept(self, *arrival),
                    Item::Call(Call(call)) => {
                        self.flush(&mut dirty);
                        call(self);
                    }
                    Item::Stop => {
                        self.flush(&mut dirty);
                        self.context.events.wake();
                        return;
                    }
                }
            }
            self.flush(&mut dirty);
            self.context.events.wake();
            if !self.link.inbox.is_empty() {
                // Lets the sockets that became ready meanwhile be read before the next turn.
                tokio::task::yield_now().await;
            }
        }
    }

    /// Whether a client may be in both of two rooms.
    fn may_share(&self, one: RoomId, other: RoomId) -> bool {
        let is_broadcast = (one == RoomId::EVERYONE) != (other == RoomId::EVERYONE);
        is_broadcast || (self.more_seats.get() > 0 && one != other)
    }

    /// Notes that clients are in more rooms, or in fewer, beside their first.
    pub(crate) fn note_seats(&self, before: usize, after: usize) {
        self.more_seats.set(self.more_seats.get() + after - before);
    }

    /// Writes what waits in the lanes.
    fn flush(self: &Rc<Self>, dirty: &mut Vec<RoomId>) {
        if dirty.is_empty() {
            return;
        }
        let mut lanes = self.lanes.borrow_mut();
        let mut joiner = self.joiner.borrow_mut();
        for room in dirty.drain(..) {
            if let Some(lane) = lanes.get_mut(&room) {
                lane.flush(&mut joiner, &self.context, |client| self.drain_if(client, true));
            }
        }
    }

    fn send(self: &Rc<Self>, id: ClientId, message: &Message) {
        if let Some(client) = self.client(id) {
            self.drain_if(&client, client.deliver(&message.frame(), 1));
        }
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
        let roster = &self.link.roster;
        roster.lock().unwrap_or_else(PoisonError::into_inner).insert(client.id());
        self.clients.borrow_mut().insert(client.id(), Rc::clone(client));
    }

    /// Begins to ping a client.
    pub(crate) fn watch(&self, client: ClientId) {
        self.liveness.watch(client, Instant::now(), &self.clients.borrow());
    }

    /// Lets no more be sent to a client, which is closing or gone.
    pub(crate) fn retire_client(&self, id: ClientId) {
        self.link.roster.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    pub(crate) fn remove_client(&self, id: ClientId) {
        self.retire_client(id);
        self.clients.borrow_mut().remove(&id);
        self.left.notify_waiters();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    /// Waits until the shard stops.
    pub(crate) async fn stopped(&self) {
        while !self.is_stopping() {
            self.stops.notified().await;
        }
    }

    /// Closes a client after what was published to it before: that waits in the inbox.
    pub(crate) fn close_in_turn(self: &Rc<Self>, client: &Rc<Client>, closing: Closing) {
        if self.link.inbox.push(Item::Close(client.id(), closing)).is_err() {
            // The inbox has been worked off, since the server stops.
            self.go_away(client);
        }
    }

    /// Closes a client because the server stops.
    pub(crate) fn go_away(self: &Rc<Self>, client: &Rc<Client>) {
        let closing = Closing::new(GOING_AWAY, "the server is stopping");
        self.drain_if(client, client.close(closing));
    }

    /// Closes every client, waits for their answers up to the deadline, which may be brought
    /// forward meanwhile, and cuts the rest.
    async fn end(self: &Rc<Self>, deadline: &mut watch::Receiver<Option<Instant>>) -> bool {
        self.stopping.set(true);
        self.stops.notify_waiters();
        for client in self.all_clients() {
            self.go_away(&client);
        }
        loop {
            let at = deadline.borrow_and_update().unwrap_or_else(Instant::now);
            let gone = self.time_limits.by(at, self.everyone_gone());
            match select(pin!(gone), pin!(deadline.changed())).await {
                Either::Left((Some(()), _)) => return false,
                Either::Left((None, _)) => break,
                Either::Right(_) => {}
            }
        }
        let mut had_to_cut = false;
        for client in self.all_clients() {
            // One that has already been cut is on its way out.
            had_to_cut |= !client.is_cut();
            client.cut(1006, "cut when the server stopped");
        }
        // Their tasks end at once: what is cut waits for nothing.
        self.everyone_gone().await;
        had_to_cut
    }

    async fn everyone_gone(&self) {
        while !self.clients.borrow().is_empty() {
            self.left.notified().await;
        }
    }

    fn all_clients(&self) -> Vec<Rc<Client>> {
        self.clients.borrow().values().cloned().collect()
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

//! One client's connection: reads, parses, and ends the connection.
//!
//! The event loop calls it when its socket is readable. Its ending, which waits in steps, is a task.
//!
//! Invariant: the connection alone reads the socket, and it never writes a message; that is the fan-out's
//! business. When it ends, the client is in no room and the socket is closed.

mod closing;
mod guard;
mod incoming;
mod parser;
mod reader;
mod socket;

use std::{
    cell::{Cell, RefCell},
    pin::pin,
    rc::Rc,
    sync::Arc,
};

use futures_util::future::{join, select};
use tokio::task::spawn_local;

pub(crate) use self::guard::ClientGuard;
use self::{closing::end, incoming::Incoming, reader::Reader, socket::take};
use crate::{
    context::Permit,
    event::{Event, Request},
    fanout::{
        command::{CloseFrame, Disconnect},
        load::LoadGuard,
    },
    protocol::{Plain, Protocol},
    reactor::Handler,
    shard::Ticket,
};

/// A connection whose handshake is answered.
#[derive(Debug)]
pub(crate) struct Upgraded {
    pub(crate) guard: ClientGuard,
    /// What came behind the handshake.
    pub(crate) leftover: Vec<u8>,
    /// For the host, if it wants events.
    pub(crate) request: Option<Arc<Request>>,
    pub(crate) permit: Permit,
    pub(crate) load: LoadGuard,
}

/// Serves a client until its connection has ended.
pub(crate) fn start(upgraded: Upgraded) {
    let connection = Connection::open(upgraded);
    let client = Rc::clone(&connection.guard.client);
    client.out().transport().set_handler(connection);
}

/// One client's connection. Gives everything back however it ends.
struct Connection {
    guard: ClientGuard,
    protocol: Plain,
    reader: RefCell<Reader>,
    /// What was read, and waits until the host's commands about the client are carried out.
    held: Cell<Option<Box<[u8]>>>,
    has_held: Cell<bool>,
    /// Whether the close frame that ended it, if there was one, needs no answer of the client.
    is_answered: Cell<bool>,
    /// Whether its ending has begun.
    is_ending: Cell<bool>,
    /// Present while it waits until the inboxes have space.
    ticket: Cell<Option<Ticket>>,
    _permit: Permit,
    _load: LoadGuard,
}

impl Connection {
    /// Opens the connection of a client that is in its rooms, tells the host, and acts on what came behind
    /// the handshake.
    fn open(upgraded: Upgraded) -> Rc<Self> {
        let Upgraded { guard, mut leftover, request, permit, load } = upgraded;
        let (shard, client) = (Rc::clone(&guard.shard), Rc::clone(&guard.client));
        let context = Arc::clone(&shard.context);
        let room = client.room().map(|(_, name)| name).unwrap_or_default();
        shard.add_client(&client);
        shard.watch(client.id());
        let connection = Rc::new(Self {
            guard,
            protocol: Plain,
            reader: RefCell::new(Reader::new(context.options.max_message_size)),
            held: Cell::default(),
            has_held: Cell::default(),
            is_ending: Cell::default(),
            is_answered: Cell::new(false),
            ticket: Cell::new(None),
            _permit: permit,
            _load: load,
        });
        client.out().open();
        if shard.is_stopping() {
            // The shard has closed its clients, and this one was not among them.
            shard.go_away(&client);
        }
        context.counters.connections_accepted.add(1);
        tracing::debug!(client = %client.id(), ?room, "connected");
        if let Some(request) = request {
            context.events.push(Event::Connected {
                client: client.id(),
                identity: client.identity(),
                room,
                request,
            });
        }
        if client.out().is_open() {
            connection.feed(&mut leftover);
        }
        connection
    }

    /// Reads and publishes what the client sends, as much as one read takes. Where it must wait for something
    /// else than the socket, it is rescheduled when that has come.
    fn read(&self) {
        let ticket = self.ticket.take();
        let ClientGuard { shard, client } = &self.guard;
        let transport = client.out().transport();
        let has_held = self.has_held.get();
        if !(has_held || transport.is_readable()) || !shard.may_read(client) {
            return;
        }
        if self.is_reviewed() && shard.reviews.is_full(client.id()) {
            // The host's next decision reschedules it.
            return;
        }
        // Backpressure: while the shards have too much to do, publishers are not read, and TCP tells them.
        if client.must_wait(&shard.rooms) {
            self.ticket.set(Some(ticket.unwrap_or_else(|| shard.space_waiters.take_ticket())));
            shard.await_space(client.out());
            return;
        }
        if ticket.is_none() && !shard.space_waiters.is_empty() {
            // Those that have waited are read first.
            transport.reschedule();
            return;
        }
        if let Some(mut held) = self.held.take() {
            self.has_held.set(false);
            shard.note_held(false);
            self.feed(&mut held);
        } else if let Err(why) =
            take(shard, client.out(), client.read_size(), |bytes| self.feed(bytes))
        {
            client.out().abort(1006, &why);
        }
        if self.is_reading() && transport.is_readable() {
            // There is more, or the end. A client that floods must not starve the others of the shard.
            transport.reschedule();
        }
    }

    /// Drops what the client sent, since it is closed.
    fn drop_held(&self) {
        if self.held.take().is_some() {
            self.guard.shard.note_held(false);
        }
    }

    /// Whether what the client sends is still acted on.
    fn is_reading(&self) -> bool {
        self.guard.client.out().is_open() && !self.is_answered.get()
    }

    /// Acts on bytes of a client that is open, or holds them until the host's commands about it are carried
    /// out.
    fn feed(&self, bytes: &mut [u8]) {
        let ClientGuard { shard, client } = &self.guard;
        if shard.handle.holds(client.id()) && !bytes.is_empty() {
            self.held.set(Some(bytes.into()));
            self.has_held.set(true);
            shard.note_held(true);
            return;
        }
        let counters = &shard.context.counters;
        let out = client.out();
        let mut frames = 0;
        let outcome = self.reader.borrow_mut().feed(bytes, &mut |incoming| {
            frames += 1;
            match incoming {
                Incoming::Message(kind, payload) => {
                    // A client that is closed meanwhile has left: what it sends is not accepted.
                    if out.is_open() {
                        counters.messages_received.add(1);
                        self.protocol.message(shard, client, kind, payload);
                    }
                }
                Incoming::Ping(answer) => out.pong(&answer),
                Incoming::Close { code, reason, answer } => {
                    let disconnect = Disconnect { code, reason };
                    shard.close_in_turn(client, CloseFrame { frame: answer, disconnect });
                    self.is_answered.set(true);
                }
            }
        });
        client.note_read(bytes.len(), frames);
        if let Err(violation) = outcome {
            counters.protocol_errors.add(1);
            tracing::debug!(client = %client.id(), ?violation, "protocol error");
            shard.close_in_turn(client, CloseFrame::new(violation.code(), violation.reason()));
            // Its frames make no sense any more: no answer of it could be understood.
            self.is_answered.set(true);
        }
        if self.is_reviewed() {
            // The host is asked about all of it at once.
            shard.context.events.wake();
        }
    }

    /// Ends a connection whose client is closed: the close frame went out behind what the client itself had
    /// sent.
    async fn finish(self: Rc<Self>) {
        if self.is_reviewed() {
            self.end_reviewed().await;
            self.leave();
        } else {
            self.leave();
            self.end().await;
        }
        // The event loop has the other reference.
        self.guard.client.out().transport().clear_handler();
    }

    /// Ends the connection while the host decides on what the client has sent: it stays in its rooms until
    /// then.
    async fn end_reviewed(&self) {
        let ClientGuard { shard, client } = &self.guard;
        let decided = async {
            let decided = shard.reviews.all_decided(client.id());
            select(pin!(decided), pin!(shard.stopped())).await;
        };
        let ended = async {
            self.end().await;
            // The socket itself is closed with the connection.
            client.out().transport().abort();
        };
        join(ended, decided).await;
    }

    /// Whether the host decides on the client's messages.
    fn is_reviewed(&self) -> bool {
        !self.guard.shard.context.options.review_timeout.is_zero()
    }

    /// Takes the client out of its rooms, and tells the host.
    fn leave(&self) {
        let ClientGuard { shard, client } = &self.guard;
        // First out of the rooms and the roster: when the host is told, no call reaches the client.
        self.guard.leave();
        shard.reviews.forget(shard, client.id());
        shard.retire_client(client.id());
        if let Some(Disconnect { code, reason }) = client.out().disconnect().cloned() {
            tracing::debug!(client = %client.id(), code, ?reason, "disconnected");
            client.out().report_dropped(true);
            let identity = client.identity();
            let event = Event::Disconnected { client: client.id(), identity, code, reason };
            shard.report_left(client.id(), event);
        }
    }

    async fn end(&self) {
        let mut reader = self.reader.take();
        end(&self.guard.shard, self.guard.client.out(), &mut reader, self.is_answered.get()).await;
    }
}

impl Handler for Connection {
    fn on_readable(self: Rc<Self>) {
        if self.is_reading() {
            self.read();
        }
        if !self.guard.client.out().is_open() && !self.is_ending.replace(true) {
            self.drop_held();
            drop(spawn_local(self.finish()));
        }
    }

    fn on_writable(self: Rc<Self>) {
        let ClientGuard { shard, client } = &self.guard;
        shard.note_writable(client.id());
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let ClientGuard { shard, client } = &self.guard;
        if std::thread::panicking() {
            tracing::error!(client = %client.id(), "a connection panicked");
        }
        // It may be dropped before its ending: what waits is not written any more.
        client.out().abort(1006, "the connection ended");
        self.drop_held();
        shard.remove_client(client.id());
    }
}

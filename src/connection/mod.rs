//! One client's connection: reads, parses, and ends the connection.
//!
//! A connection is a handler: the event loop calls it when its socket is readable. Its ending, which waits in
//! steps, is a task.
//!
//! Invariant: only the connection reads the socket, and only the fan-out writes messages to it. When the
//! connection ends, the client is in no room and the socket is closed.

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

pub(crate) use self::guard::ClientGuard;
use self::{
    closing::end,
    incoming::{Incoming, Violation},
    reader::Reader,
    socket::try_read,
};
use crate::{
    context::Permit,
    event::{Event, Request},
    fanout::{
        command::{CloseFrame, Disconnect},
        load::LoadGuard,
    },
    protocol::Protocol,
    reactor::{Handler, Reactor},
    shard::Ticket,
};

/// A connection whose handshake is answered.
#[derive(Debug)]
pub(crate) struct Upgraded {
    pub(crate) guard: ClientGuard,
    /// Bytes that came behind the request.
    pub(crate) leftover: Vec<u8>,
    /// What the host is told of the request, if it wants events.
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

/// One client's connection. Dropping it releases the memberships, the permit and the socket.
struct Connection {
    guard: ClientGuard,
    protocol: Protocol,
    reader: RefCell<Reader>,
    /// Input that was read and waits until the host's commands about the client are applied.
    held: Cell<Option<Box<[u8]>>>,
    has_held: Cell<bool>,
    /// Whether the client sent its close frame or broke the protocol: what it sends now is ignored, and no
    /// close frame of it is awaited.
    is_client_done: Cell<bool>,
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
        let Upgraded { mut guard, mut leftover, request, permit, load } = upgraded;
        let since_in = guard.since_in.take();
        let (shard, client) = (Rc::clone(&guard.shard), Rc::clone(&guard.client));
        let context = Arc::clone(&shard.context);
        let room = client.room().map(|(_, name)| name).unwrap_or_default();
        let protocol = Protocol::of(client.out().form());
        let limit = protocol.max_message_len(context.options.max_message_size);
        let connection = Rc::new(Self {
            guard,
            protocol,
            reader: RefCell::new(Reader::new(limit)),
            held: Cell::default(),
            has_held: Cell::default(),
            is_ending: Cell::default(),
            is_client_done: Cell::new(false),
            ticket: Cell::new(None),
            _permit: permit,
            _load: load,
        });
        // From here on the connection removes the client again, whatever panics.
        shard.add_client(&client, since_in);
        shard.start_pings(&client);
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
                form: client.out().form().as_public(),
                request,
            });
        }
        if protocol == Protocol::Events {
            connection.ignore(leftover.len());
        } else if client.out().is_open() {
            connection.feed(&mut leftover);
        } else {
            connection.look_for_close(&mut leftover);
        }
        connection
    }

    /// Reads the socket once and publishes what the client sent. If the connection must wait for something
    /// other than the socket, that reschedules it.
    fn read(&self) {
        let ticket = self.ticket.take();
        let ClientGuard { shard, client, .. } = &self.guard;
        let transport = client.out().transport();
        if self.protocol == Protocol::Events {
            return self.read_nothing();
        }
        let has_held = self.has_held.get();
        if !(has_held || transport.is_readable()) || !shard.may_read(client, has_held) {
            return;
        }
        if self.is_reviewed() && shard.reviews.is_full(client.id()) {
            // The host's next decision reschedules it.
            return;
        }
        if shard.shared.answers.is_full(client.id()) {
            // The next answer reschedules it.
            return;
        }
        // Backpressure: while an inbox is full, publishers are not read, and TCP's window stops them.
        let queue = client.queue(&shard.rooms);
        if shard.rooms.is_queue_full(queue) {
            self.ticket.set(Some(ticket.unwrap_or_else(|| shard.space_waiters.take_ticket(queue))));
            shard.await_space(queue, client.out());
            return;
        }
        if ticket.is_none() && !shard.space_waiters.is_empty(queue) {
            // Connections that have waited for space are read first.
            transport.reschedule();
            return;
        }
        if let Some(mut held) = self.held.take() {
            self.has_held.set(false);
            shard.note_held(false);
            self.feed(&mut held);
        } else if let Err(why) =
            try_read(shard, client.out(), client.read_size(), |bytes| self.feed(bytes))
        {
            client.out().abort(1006, &why);
        }
        if self.is_reading() && transport.is_readable() {
            // More waits, or the end of the stream. A client that floods must not starve the others.
            transport.reschedule();
        }
    }

    /// Reads what the client of an event stream sends, which is ignored, or the end of its side, which ends the stream.
    fn read_nothing(&self) {
        let ClientGuard { shard, client, .. } = &self.guard;
        let transport = client.out().transport();
        if !transport.is_readable() {
            return;
        }
        if try_read(shard, client.out(), usize::MAX, |bytes| self.ignore(bytes.len())).is_err() {
            client.out().abort(1006, "the client ended the event stream");
        }
        if self.is_reading() && transport.is_readable() {
            transport.reschedule();
        }
    }

    /// Ignores bytes of the client of an event stream; too many end it.
    fn ignore(&self, len: usize) {
        if !self.reader.borrow_mut().ignore(len) {
            self.guard
                .client
                .out()
                .abort(1006, "it sent more than the client of an event stream may");
        }
    }

    /// Drops the held bytes of a client that is closed.
    fn drop_held(&self) {
        if let Some(mut held) = self.held.take() {
            self.guard.shard.note_held(false);
            self.look_for_close(&mut held);
        }
    }

    /// Looks in bytes of a client that is closed for its own close frame, which answers the server's.
    fn look_for_close(&self, bytes: &mut [u8]) {
        let mut is_done = false;
        let outcome = self.reader.borrow_mut().feed(bytes, &mut |incoming| {
            is_done |= matches!(incoming, Incoming::Close { .. });
        });
        if is_done || outcome.is_err() {
            self.is_client_done.set(true);
        }
    }

    /// Whether what the client sends is still acted on.
    fn is_reading(&self) -> bool {
        self.guard.client.out().is_open() && !self.is_client_done.get()
    }

    /// Acts on bytes of a client that is open, or holds them until the host's commands about it are carried
    /// out.
    fn feed(&self, bytes: &mut [u8]) {
        let ClientGuard { shard, client, .. } = &self.guard;
        if shard.handle.holds_input_of(client.id()) && !bytes.is_empty() {
            self.held.set(Some(bytes.into()));
            self.has_held.set(true);
            shard.note_held(true);
            return;
        }
        let counters = &shard.context.counters;
        let out = client.out();
        let mut frames = 0;
        let mut fault = None;
        let outcome = self.reader.borrow_mut().feed(bytes, &mut |incoming| {
            frames += 1;
            match incoming {
                Incoming::Message(kind, payload) => {
                    // A client that is closed meanwhile has left: what it sends is not accepted.
                    if out.is_open() && fault.is_none() {
                        counters.messages_received.add(1);
                        let done = self.protocol.message(shard, client, kind, payload);
                        fault = done.err();
                    }
                }
                Incoming::Ping(answer) => out.pong(&answer),
                Incoming::Close { code, reason, answer } => {
                    let disconnect = Disconnect { code, reason };
                    shard.queue_close(
                        client,
                        CloseFrame { is_answer: true, frame: answer, disconnect },
                    );
                    self.is_client_done.set(true);
                }
            }
        });
        client.note_read(bytes.len(), frames);
        let outcome = outcome.and(fault.map_or(Ok(()), |fault| Err(Violation::from(fault))));
        if let Err(violation) = outcome {
            if violation == Violation::NoMemory {
                shard.context.warn_no_memory(client.id());
            } else {
                counters.protocol_errors.add(1);
            }
            tracing::debug!(client = %client.id(), ?violation, "protocol error");
            shard.queue_close(client, CloseFrame::new(violation.code(), violation.reason()));
            // No frame boundary is known any more, so its close frame could not be found.
            self.is_client_done.set(true);
        }
        if self.is_reviewed() {
            // One wake-up for all messages of this read.
            shard.context.events.wake();
        }
    }

    /// Ends a connection whose client is closed: leaves its rooms, tells the host, and closes the socket.
    async fn finish(self: Rc<Self>) {
        if self.is_reviewed() {
            self.end_reviewed().await;
        } else {
            self.leave();
            self.end().await;
        }
        // The event loop owns the other reference to the connection.
        self.guard.client.out().transport().clear_handler();
    }

    /// Ends the connection while the host decides on the client's messages. The client stays in its rooms
    /// until all are decided, so that they can be published there, and no longer.
    async fn end_reviewed(&self) {
        let ClientGuard { shard, client, .. } = &self.guard;
        // It may stay in its rooms for as long as the host takes, but it is not there.
        shard.note_gone(client);
        let decided = async {
            let decided = shard.reviews.all_decided(client.id());
            select(pin!(decided), pin!(shard.stopped())).await;
            self.leave();
        };
        let ended = async {
            self.end().await;
            // The descriptor stays open until the connection is dropped, but the client need not wait.
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
        let ClientGuard { shard, client, .. } = &self.guard;
        // The event comes last: once the host is told, no call reaches the client.
        self.guard.leave();
        shard.reviews.forget(shard, client.id());
        shard.remove_from_roster(client.id());
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
        // The client of an event stream sends no close frame.
        let is_done = self.is_client_done.get() || self.protocol == Protocol::Events;
        end(&self.guard.shard, self.guard.client.out(), &mut reader, is_done).await;
    }
}

impl Handler for Connection {
    fn on_readable(self: Rc<Self>) {
        if self.is_reading() {
            self.read();
        }
        if !self.guard.client.out().is_open() && !self.is_ending.replace(true) {
            self.drop_held();
            drop(Reactor::spawn(Box::pin(self.finish())));
        }
    }

    fn on_writable(self: Rc<Self>) {
        let ClientGuard { shard, client, .. } = &self.guard;
        shard.note_writable(client.id());
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let ClientGuard { shard, client, .. } = &self.guard;
        if std::thread::panicking() {
            tracing::error!(client = %client.id(), "a connection panicked");
        }
        // It may be dropped before it was ended: then what waits is lost.
        client.out().abort(1006, "the connection ended");
        self.drop_held();
        shard.remove_client(client.id());
    }
}

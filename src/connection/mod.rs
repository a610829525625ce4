//! One client's connection: reads, parses, and sees the connection to its end.
//!
//! It is called when its socket has something; what it waits for beside that, and its ending, are tasks.
//!
//! Invariant: the connection alone reads the socket, and it never writes a message; that is the lanes'
//! and the outbox's business. When it ends, the client is in no room and the socket is closed.

mod closing;
mod incoming;
mod member;
mod parser;
mod reader;
mod socket;

use std::{net::Shutdown, pin::pin, rc::Rc, sync::Arc};

use futures_util::future::{join, select};
use socket2::SockRef;
use tokio::task::spawn_local;

pub(crate) use self::member::Member;
use self::{closing::end, incoming::Incoming, reader::Reader, socket::take};
use crate::{
    context::Admission,
    event::{Event, Request},
    protocol::{Plain, Protocol},
    reactor::OnReady,
    shard::{
        Load,
        inbox::{Closing, End},
        line::Place,
    },
};

/// A connection whose handshake is answered.
#[derive(Debug)]
pub(crate) struct Upgraded {
    pub(crate) member: Member,
    /// What came behind the handshake.
    pub(crate) leftover: Vec<u8>,
    /// For the host, if it wants events.
    pub(crate) request: Option<Arc<Request>>,
    pub(crate) admission: Admission,
    pub(crate) load: Load,
}

/// Lets a client be served from now on, until its connection has ended.
pub(crate) fn start(upgraded: Upgraded) {
    Connection::open(upgraded).go_on();
}

/// One client's connection. Gives everything back however it ends.
struct Connection {
    member: Member,
    protocol: Plain,
    reader: Reader,
    /// Whether the close frame that ended it, if there was one, needs no answer of the client.
    is_answered: bool,
    /// Present while it waits until the inboxes have space.
    place: Option<Place>,
    _admission: Admission,
    _load: Load,
}

impl Connection {
    /// Lets a client that is in its rooms take part, tells the host, and acts on what came behind
    /// the handshake.
    fn open(upgraded: Upgraded) -> Box<Self> {
        let Upgraded { member, mut leftover, request, admission, load } = upgraded;
        let (shard, client) = (Rc::clone(&member.shard), Rc::clone(&member.client));
        let context = Arc::clone(&shard.context);
        let room = client.seats().first().unwrap_or_default();
        shard.add_client(&client);
        shard.watch(client.id());
        let mut connection = Box::new(Self {
            member,
            protocol: Plain,
            reader: Reader::new(context.options.max_message_size),
            is_answered: false,
            place: None,
            _admission: admission,
            _load: load,
        });
        shard.drain_if(&client, client.open());
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
        if client.is_open() {
            connection.feed(&mut leftover);
        }
        connection
    }

    /// Lets the connection be called when the socket has something, or something has come of the client.
    fn go_on(self: Box<Self>) {
        let client = Rc::clone(&self.member.client);
        client.stream().serve_by(self);
    }

    /// Brings a connection to its end whose client is closed: the close frame went out in the shard's turn,
    /// behind what the client itself said.
    async fn finish(mut self: Box<Self>) {
        if self.is_reviewed() {
            self.end_reviewed().await;
            self.leave();
        } else {
            self.leave();
            self.end().await;
        }
    }

    /// Brings the connection to its end while the host decides on what the client has said: it stays in
    /// its rooms until then.
    async fn end_reviewed(&mut self) {
        let Member { shard, client, .. } = &self.member;
        let (shard, client) = (Rc::clone(shard), Rc::clone(client));
        let settled = async {
            let settled = shard.reviews.settled(client.id());
            select(pin!(settled), pin!(shard.stopped())).await;
        };
        let ended = async {
            self.end().await;
            // The socket itself is closed with the client.
            let _ = SockRef::from(client.stream().io()).shutdown(Shutdown::Both);
        };
        join(ended, settled).await;
    }

    /// Whether the host decides on the client's messages.
    fn is_reviewed(&self) -> bool {
        !self.member.shard.context.options.review_timeout.is_zero()
    }

    /// Waits until the shards take more, or the client is closed.
    async fn wait_for_space(self: Box<Self>) {
        let Member { rooms, client, .. } = &self.member;
        select(pin!(rooms.space()), pin!(client.closed())).await;
        self.go_on();
    }

    /// Waits until the host has decided on so much that the client may be read again, or the client is
    /// closed.
    async fn wait_for_host(self: Box<Self>) {
        let Member { shard, client, .. } = &self.member;
        select(pin!(shard.reviews.space(client.id())), pin!(client.closed())).await;
        self.go_on();
    }

    /// Acts on what the socket has, as much as is read at once.
    fn read(&mut self) {
        let Member { shard, client, .. } = &self.member;
        let (shard, client) = (Rc::clone(shard), Rc::clone(client));
        if let Err(why) = take(&shard, &client, |bytes| self.feed(bytes)) {
            client.cut(1006, &why);
        }
    }

    /// Acts on bytes of a client that is open.
    fn feed(&mut self, bytes: &mut [u8]) {
        let Self { member, protocol, reader, .. } = self;
        let Member { shard, client, .. } = &*member;
        let counters = &shard.context.counters;
        let mut is_answered = false;
        let len = bytes.len();
        let mut frames = 0;
        let outcome = reader.feed(bytes, &mut |incoming| {
            frames += 1;
            match incoming {
                Incoming::Message(kind, payload) => {
                    // A client that is closed meanwhile has left; what it sent is not of this room any
                    // more. If the server stops, it is not accepted.
                    if client.is_open() {
                        counters.messages_received.add(1);
                        protocol.message(shard, client, kind, payload);
                    }
                }
                Incoming::Ping(answer) => shard.drain_if(client, client.pong(&answer)),
                Incoming::Close { code, reason, answer } => {
                    let end = End { code, reason };
                    shard.close_in_turn(client, Closing { frame: answer, end });
                    is_answered = true;
                }
            }
        });
        client.note_read(len, frames);
        if let Err(violation) = outcome {
            counters.protocol_errors.add(1);
            tracing::debug!(client = %client.id(), ?violation, "protocol error");
            shard.close_in_turn(client, Closing::new(violation.code(), violation.reason()));
            // Its frames make no sense any more: no answer of it could be understood.
            is_answered = true;
        }
        self.is_answered |= is_answered;
        if !shard.context.options.review_timeout.is_zero() {
            // The host is asked for all of it at once.
            shard.context.events.wake();
        }
    }

    /// Takes the client out of its rooms, and tells the host.
    fn leave(&mut self) {
        let Member { shard, client, .. } = &self.member;
        // First out of the rooms and the roster: when the host is told, no call reaches the client.
        self.member.leave();
        shard.reviews.forget(shard, client.id());
        shard.retire_client(client.id());
        if let Some(End { code, reason }) = client.end().cloned() {
            tracing::debug!(client = %client.id(), code, ?reason, "disconnected");
            client.report_dropped(true);
            let event = Event::Disconnected {
                client: client.id(),
                identity: client.identity(),
                code,
                reason,
            };
            shard.context.events.push(event);
        }
    }

    async fn end(&mut self) {
        end(&self.member.shard, &self.member.client, &mut self.reader, self.is_answered).await;
    }
}

impl OnReady for Connection {
    /// Reads and publishes what the client sends for as long as it is open. Where it has to wait for
    /// something else than the socket, a task does so, and lets it be called again.
    fn on_ready(mut self: Box<Self>) -> Option<Box<dyn OnReady>> {
        let place = self.place.take();
        let Member { shard, rooms, client } = &self.member;
        if client.is_open() && !self.is_answered && client.stream().is_readable() {
            if self.is_reviewed() && shard.reviews.is_full(client.id()) {
                drop(spawn_local(self.wait_for_host()));
                return None;
            }
            // Whoever publishes waits while the shards have too much to do, and so do those who send
            // to it: TCP tells them.
            if rooms.is_full() {
                self.place = Some(place.unwrap_or_else(|| shard.line.join()));
                drop(spawn_local(self.wait_for_space()));
                return None;
            }
            if place.is_none() && !shard.line.is_empty() {
                // They have waited, and have their turn first.
                client.stream().call_again();
                return Some(self);
            }
            self.read();
        }
        let Member { client, .. } = &self.member;
        if client.is_open() && !self.is_answered && client.stream().is_readable() {
            // There is more, or the end. One client's flood must not keep the others of the shard from
            // being read and written to.
            client.stream().call_again();
        }
        if !client.is_open() {
            drop(spawn_local(self.finish()));
            return None;
        }
        Some(self)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(client = %self.member.client.id(), "a connection panicked");
        }
        // Ends the task that drains the outbox, if there is one: it holds the socket too.
        self.member.client.cut(1006, "the connection ended");
        self.member.shard.remove_client(self.member.client.id());
    }
}

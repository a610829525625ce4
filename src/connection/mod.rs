//! One client's task: reads, parses, and sees the connection to its end.
//!
//! Invariant: the task alone reads the socket, and it never writes a message; that is the lanes'
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

use self::{
    closing::end,
    incoming::Incoming,
    reader::Reader,
    socket::{Arrived, take, wait},
};
pub(crate) use self::{member::Member, socket::note_empty};
use crate::{
    context::Admission,
    event::{Event, Request},
    protocol::{Plain, Protocol},
    shard::{
        Load,
        inbox::{Closing, End},
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

/// Serves a client until its connection has ended.
///
/// Most connections say nothing most of the time, so what this future holds across a wait is most of
/// what a connection costs: the opening waits for nothing and is done before, the ending is a future
/// of its own. So the task takes 256 bytes; all in one it took 1,024.
pub(crate) fn run(upgraded: Upgraded) -> impl Future<Output = ()> {
    let mut connection = Connection::open(upgraded);
    async move {
        connection.serve().await;
        if connection.is_reviewed() {
            Box::pin(connection.end_reviewed()).await;
            connection.leave();
        } else {
            connection.leave();
            Box::pin(connection.end()).await;
        }
    }
}

/// One client's connection. Gives everything back however its task ends.
struct Connection {
    member: Member,
    protocol: Plain,
    reader: Reader,
    /// Whether the close frame that ended it, if there was one, needs no answer of the client.
    is_answered: bool,
    _admission: Admission,
    _load: Load,
}

impl Connection {
    /// Lets a client that is in its rooms take part, tells the host, and acts on what came behind
    /// the handshake.
    fn open(upgraded: Upgraded) -> Self {
        let Upgraded { member, mut leftover, request, admission, load } = upgraded;
        let (shard, client) = (Rc::clone(&member.shard), Rc::clone(&member.client));
        let context = Arc::clone(&shard.context);
        let room = client.seats().first().unwrap_or_default();
        shard.add_client(&client);
        shard.watch(client.id());
        let mut connection = Self {
            member,
            protocol: Plain,
            reader: Reader::new(context.options.max_message_size),
            is_answered: false,
            _admission: admission,
            _load: load,
        };
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

    /// Reads and publishes what the client sends for as long as it is open.
    async fn serve(&mut self) {
        while self.member.client.is_open() && !self.is_answered {
            // Whoever publishes waits while the shards have too much to do, and so do those who send
            // to it: TCP tells them.
            if self.member.rooms.is_full() {
                Box::pin(self.room_space()).await;
                continue;
            }
            if self.is_reviewed() && self.member.shard.reviews.is_full(self.member.client.id()) {
                Box::pin(self.review_space()).await;
                continue;
            }
            // Looked at again: of a thousand that are ready at once, the first may have said too much.
            if wait(&self.member.client).await && !self.member.rooms.is_full() && self.read() {
                // One client's flood must not keep the others of the shard from being read and
                // written to.
                tokio::task::yield_now().await;
            }
        }
        // The close frame goes out in the shard's next turn, behind what the client itself said.
        self.member.client.closed().await;
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
            let _ = SockRef::from(client.stream()).shutdown(Shutdown::Both);
        };
        join(ended, settled).await;
    }

    /// Whether the host decides on the client's messages.
    fn is_reviewed(&self) -> bool {
        !self.member.shard.context.options.review_timeout.is_zero()
    }

    /// Waits until the shards take more.
    async fn room_space(&self) {
        let Member { rooms, client, .. } = &self.member;
        select(pin!(rooms.space()), pin!(client.closed())).await;
    }

    /// Waits until the host has decided on so much that the client may be read again.
    async fn review_space(&self) {
        let Member { shard, client, .. } = &self.member;
        let space = shard.reviews.space(client.id());
        select(pin!(space), pin!(client.closed())).await;
    }

    /// Acts on what the socket has. Returns whether there is more.
    fn read(&mut self) -> bool {
        let Member { shard, client, .. } = &self.member;
        let (shard, client) = (Rc::clone(shard), Rc::clone(client));
        match take(&shard, &client, |bytes| self.feed(bytes)) {
            Arrived::Something => false,
            Arrived::More => true,
            Arrived::End(why) => {
                client.cut(1006, &why);
                false
            }
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

impl Drop for Connection {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(client = %self.member.client.id(), "a connection's task panicked");
        }
        // Ends the task that drains the outbox, if there is one: it holds the socket too.
        self.member.client.cut(1006, "the connection ended");
        self.member.shard.remove_client(self.member.client.id());
    }
}

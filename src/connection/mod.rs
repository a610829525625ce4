//! One client's task: reads, parses, and sees the connection to its end.
//!
//! Invariant: the task alone reads the socket, and it never writes a message; that is the lanes'
//! and the outbox's business. When it ends, the client is in no room and the socket is closed.

mod closing;
mod incoming;
mod parser;
mod reader;
mod socket;

use std::{rc::Rc, sync::Arc};

use bytes::Bytes;
use tokio::net::TcpStream;

pub(crate) use self::socket::note_empty;
use self::{
    closing::end,
    incoming::Incoming,
    reader::Reader,
    socket::{Arrived, take, wait},
};
use crate::{
    context::Admission,
    error::Result,
    event::{Event, Request},
    protocol::{Plain, PlainOptions, Protocol},
    rooms::{Rooms, Subscription},
    shard::{
        Load, Shard,
        client::Client,
        inbox::{Closing, End},
    },
};

/// A client in its rooms, whose handshake is not answered yet: what is published meanwhile waits for
/// it. So a client that has read the answer misses nothing.
#[derive(Debug)]
pub(crate) struct Member {
    client: Rc<Client>,
    protocol: Plain,
    /// The room that broadcasts go to.
    everyone: Subscription,
}

impl Member {
    /// Puts a new client into its rooms.
    ///
    /// # Errors
    /// `Stopped`.
    pub(crate) fn join(
        shard: &Rc<Shard>,
        rooms: &Arc<Rooms>,
        stream: &Arc<TcpStream>,
        options: &PlainOptions,
    ) -> Result<Self> {
        let context = Arc::clone(&shard.context);
        let echo = options.echo.unwrap_or(context.options.echo);
        let client = Client::new(shard.next_client_id(), context, Arc::clone(stream), echo);
        let everyone = rooms.subscribe_to_everyone(shard, &client)?;
        let protocol = Plain::join(rooms, shard, &client, options)?;
        Ok(Self { client, protocol, everyone })
    }
}

/// A connection whose handshake is answered.
#[derive(Debug)]
pub(crate) struct Upgraded {
    pub(crate) member: Member,
    /// What came behind the handshake.
    pub(crate) leftover: Bytes,
    /// For the host, if it wants events.
    pub(crate) request: Option<Arc<Request>>,
    pub(crate) admission: Admission,
    pub(crate) load: Load,
}

/// Serves a client until its connection has ended.
///
/// Most connections say nothing most of the time, so what this future holds across a wait is most of
/// what a connection costs: the opening waits for nothing and is done before, the ending is a future
/// of its own. So the task takes 384 bytes; all in one it took 1,024.
pub(crate) fn run(
    shard: Rc<Shard>,
    rooms: Arc<Rooms>,
    upgraded: Upgraded,
) -> impl Future<Output = ()> {
    let mut connection = Connection::open(shard, rooms, upgraded);
    async move {
        connection.serve().await;
        connection.leave();
        Box::pin(connection.end()).await;
    }
}

/// One client's connection. Gives everything back however its task ends.
struct Connection {
    shard: Rc<Shard>,
    rooms: Arc<Rooms>,
    client: Rc<Client>,
    /// The client's places in its rooms, until it leaves.
    places: Option<(Plain, Subscription)>,
    reader: Reader,
    /// Whether the close frame that ended it, if there was one, needs no answer of the client.
    is_answered: bool,
    _admission: Admission,
    _load: Load,
}

impl Connection {
    /// Lets a client that is in its rooms take part, tells the host, and acts on what came behind
    /// the handshake.
    fn open(shard: Rc<Shard>, rooms: Arc<Rooms>, upgraded: Upgraded) -> Self {
        let Upgraded { member, leftover, request, admission, load } = upgraded;
        let Member { client, protocol, everyone } = member;
        let context = Arc::clone(&shard.context);
        let room = Arc::clone(protocol.room());
        shard.add_client(&client);
        let mut connection = Self {
            shard,
            rooms,
            client: Rc::clone(&client),
            places: Some((protocol, everyone)),
            reader: Reader::new(context.options.max_message_size),
            is_answered: false,
            _admission: admission,
            _load: load,
        };
        connection.shard.drain_if(&client, client.open());
        if connection.shard.is_stopping() {
            // The shard has closed its clients, and this one was not among them.
            connection.shard.go_away(&client);
        }
        context.counters.connections_accepted.add(1);
        tracing::debug!(client = %client.id(), ?room, "connected");
        if let Some(request) = request {
            context.events.push(Event::Connected { client: client.id(), room, request });
        }
        if client.is_open() {
            connection.feed(&leftover);
        }
        connection
    }

    /// Reads and publishes what the client sends for as long as it is open.
    async fn serve(&mut self) {
        while self.client.is_open() && !self.is_answered {
            // Whoever publishes waits while the shards have too much to do, and so do those who send
            // to it: TCP tells them.
            if self.rooms.is_full() {
                Box::pin(self.rooms.space()).await;
            }
            if wait(&self.client).await && self.read() {
                // One client's flood must not keep the others of the shard from being read and
                // flushed.
                tokio::task::yield_now().await;
            }
        }
        // The close frame goes out in the shard's next turn, behind what the client itself said.
        self.client.closed().await;
    }

    /// Acts on what the socket has. Returns whether there is more.
    fn read(&mut self) -> bool {
        let (shard, client) = (Rc::clone(&self.shard), Rc::clone(&self.client));
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
    fn feed(&mut self, bytes: &[u8]) {
        let Self { shard, rooms, client, places, reader, .. } = self;
        let Some((protocol, _)) = places else { return };
        let counters = &shard.context.counters;
        let mut is_answered = false;
        let outcome = reader.feed(bytes, &mut |incoming| match incoming {
            Incoming::Message(kind, payload) => {
                // A client that is closed meanwhile has left; what it sent is not of this room any
                // more. If the server stops, it is not accepted.
                if client.is_open() {
                    counters.messages_received.add(1);
                    let _ = protocol.message(rooms, client, kind, payload);
                }
            }
            Incoming::Ping(answer) => shard.drain_if(client, client.pong(&answer)),
            Incoming::Close { code, reason, answer } => {
                let end = End { code, reason };
                shard.close_in_turn(client, Closing { frame: answer, end });
                is_answered = true;
            }
        });
        if let Err(violation) = outcome {
            counters.protocol_errors.add(1);
            tracing::debug!(client = %client.id(), ?violation, "protocol error");
            shard.close_in_turn(client, Closing::new(violation.code(), violation.reason()));
            // Its frames make no sense any more: no answer of it could be understood.
            is_answered = true;
        }
        self.is_answered |= is_answered;
    }

    /// Takes the client out of its rooms, and tells the host.
    fn leave(&mut self) {
        let Self { shard, client, places, .. } = self;
        // First out of the rooms and the roster: when the host is told, no call reaches the client.
        *places = None;
        shard.retire_client(client.id());
        if let Some(End { code, reason }) = client.end().cloned() {
            tracing::debug!(client = %client.id(), code, ?reason, "disconnected");
            client.report_dropped(true);
            let event = Event::Disconnected { client: client.id(), code, reason };
            shard.context.events.push(event);
        }
    }

    async fn end(&mut self) {
        end(&self.shard, &self.client, &mut self.reader, self.is_answered).await;
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(client = %self.client.id(), "a connection's task panicked");
        }
        // Ends the task that drains the outbox, if there is one: it holds the socket too.
        self.client.cut(1006, "the connection ended");
        self.shard.remove_client(self.client.id());
    }
}

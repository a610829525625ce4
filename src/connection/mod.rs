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

use self::{
    closing::end,
    incoming::Incoming,
    reader::Reader,
    socket::{Arrived, read},
};
use crate::{
    context::Admission,
    error::Result,
    event::{Event, Request},
    protocol::{Plain, PlainOptions, Protocol},
    rooms::{Rooms, Subscription},
    shard::{
        Load, Shard,
        client::{Client, End, Phase},
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
pub(crate) async fn run(shard: Rc<Shard>, rooms: Arc<Rooms>, upgraded: Upgraded) {
    let Upgraded { member, leftover, request, admission, load } = upgraded;
    let client = Rc::clone(&member.client);
    shard.add_client(&client);
    // Gives everything back however the task ends.
    let _seat = Seat { shard: &shard, client: &client, _admission: admission, _load: load };
    shard.drain_if(&client, client.open());
    if shard.is_stopping() {
        // The shard has closed its clients, and this one was not among them.
        shard.go_away(&client);
    }
    let mut reader = Reader::new(shard.context.options.max_message_size);
    let is_answered = in_rooms(&shard, &rooms, member, &mut reader, request, leftover).await;
    shard.retire_client(client.id());
    end(&shard, &client, &mut reader, is_answered).await;
}

/// A client's place on its shard.
struct Seat<'a> {
    shard: &'a Rc<Shard>,
    client: &'a Rc<Client>,
    _admission: Admission,
    _load: Load,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        // Ends the task that drains the outbox, if there is one: it holds the socket too.
        self.client.cut(1006, "the connection ended");
        self.shard.remove_client(self.client.id());
    }
}

/// Keeps the client in its rooms until it leaves or is closed, and tells the host of both. Returns
/// whether the close frame that ended it, if there was one, needs no answer of the client.
async fn in_rooms(
    shard: &Rc<Shard>,
    rooms: &Arc<Rooms>,
    member: Member,
    reader: &mut Reader,
    request: Option<Arc<Request>>,
    leftover: Bytes,
) -> bool {
    let Member { client, mut protocol, everyone } = member;
    let context = &shard.context;
    context.counters.connections_accepted.add(1);
    tracing::debug!(client = %client.id(), room = %protocol.room(), "connected");
    if let Some(request) = request {
        let room = Arc::clone(protocol.room());
        context.events.push(Event::Connected { client: client.id(), room, request });
    }
    let is_answered = serve(shard, rooms, &client, reader, &mut protocol, leftover).await;
    // Out of the rooms first: the event says that the client is in none any more.
    drop((protocol, everyone));
    if let Phase::Closing(End { code, reason }) | Phase::Cut(End { code, reason }) = client.phase()
    {
        tracing::debug!(client = %client.id(), code, %reason, "disconnected");
        client.report_dropped(true);
        context.events.push(Event::Disconnected { client: client.id(), code, reason });
    }
    is_answered
}

/// Reads and publishes what the client sends for as long as it is open. Returns whether the close
/// frame that ended it needs no answer.
async fn serve(
    shard: &Rc<Shard>,
    rooms: &Arc<Rooms>,
    client: &Rc<Client>,
    reader: &mut Reader,
    protocol: &mut impl Protocol,
    leftover: Bytes,
) -> bool {
    let mut is_answered = false;
    if !leftover.is_empty() {
        rooms.space().await;
        is_answered = feed(shard, rooms, client, reader, protocol, &leftover);
    }
    drop(leftover);
    while client.is_open() {
        // Whoever publishes waits while the shards have too much to do, and so do those who send
        // to it: TCP tells them.
        rooms.space().await;
        let arrived = read(shard, client, |bytes| {
            is_answered = feed(shard, rooms, client, reader, protocol, bytes);
        });
        if let Arrived::End(why) = arrived.await {
            client.cut(1006, &why);
        }
    }
    is_answered
}

/// Acts on bytes of a client that is open. Returns whether they closed it in a way that needs no
/// answer.
fn feed(
    shard: &Rc<Shard>,
    rooms: &Arc<Rooms>,
    client: &Rc<Client>,
    reader: &mut Reader,
    protocol: &mut impl Protocol,
    bytes: &[u8],
) -> bool {
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
            shard.drain_if(client, client.close_with(&answer, end));
            is_answered = true;
        }
    });
    if let Err(violation) = outcome {
        counters.protocol_errors.add(1);
        tracing::debug!(client = %client.id(), ?violation, "protocol error");
        shard.drain_if(client, client.close(violation.code(), violation.reason()));
        // Its frames make no sense any more: no answer of it could be understood.
        is_answered = true;
    }
    is_answered
}

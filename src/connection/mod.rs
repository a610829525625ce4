//! One client's task: reads, parses, and sees the connection to its end.
//!
//! Invariant: the task alone reads the socket, and it never writes a message; that is the lanes'
//! and the outbox's business. When it ends, the client is in no room and the socket is closed.

mod parser;
mod reader;

use std::{
    future::poll_fn, io, net::Shutdown, pin::pin, rc::Rc, sync::Arc, task::Poll, time::Duration,
};

use bytes::Bytes;
use futures_util::future::{Either, select};
use socket2::SockRef;
use tokio::{io::Interest, net::TcpStream};

use self::reader::{Incoming, Reader};
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

/// How long a client may take to answer a close frame, or to read what was sent before it.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long what a client still sends is read and thrown away after the last byte to it. Closing a
/// socket with unread bytes resets it, and the reset destroys the close frame on its way.
const LINGER: Duration = Duration::from_secs(1);

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

/// Brings a closed connection to a clean end: what waits is written, the client's answer is
/// awaited, then FIN is exchanged.
async fn end(shard: &Rc<Shard>, client: &Rc<Client>, reader: &mut Reader, is_answered: bool) {
    if matches!(client.phase(), Phase::Cut(_)) {
        return;
    }
    if !is_answered {
        // Returns at the answer, at the end of the stream, or when the client is cut.
        let answer = async {
            let mut is_over = false;
            while !is_over {
                let mut seen = false;
                let arrived = read(shard, client, |bytes| {
                    let read = reader.feed(bytes, &mut |incoming| {
                        seen |= matches!(incoming, Incoming::Close { .. });
                    });
                    seen |= read.is_err();
                });
                is_over = matches!(arrived.await, Arrived::End(_));
                is_over |= seen || matches!(client.phase(), Phase::Cut(_));
            }
        };
        if !in_time(shard, answer).await {
            return;
        }
    }
    let written = async {
        while !client.drain() {
            if client.stream().writable().await.is_err() {
                return;
            }
        }
    };
    if in_time(shard, written).await {
        linger(shard, client).await;
    }
}

/// Waits for a client that is closing; false if it takes too long. When the server stops, the host's
/// deadline is the time: the shard cuts whoever is left then, which ends what is waited for.
async fn in_time(shard: &Shard, done: impl Future<Output = ()>) -> bool {
    let done = pin!(done);
    let too_late = async {
        tokio::time::sleep(CLOSE_TIMEOUT).await;
        if shard.is_stopping() {
            std::future::pending::<()>().await;
        }
    };
    matches!(select(done, pin!(too_late)).await, Either::Left(_))
}

/// Ends the stream to the client, and reads until the client ends its own.
async fn linger(shard: &Rc<Shard>, client: &Rc<Client>) {
    if SockRef::from(client.stream()).shutdown(Shutdown::Write).is_err() {
        return;
    }
    let ended = async {
        while !matches!(client.phase(), Phase::Cut(_)) {
            if let Arrived::End(_) = read(shard, client, |_| ()).await {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(LINGER, ended).await;
}

/// What waiting for a client's bytes led to.
enum Arrived {
    /// Bytes, or a change of the client's phase.
    Something,
    /// The stream has ended, for a reason.
    End(String),
}

/// Waits until bytes come or the client's phase changes, and calls `take` with the bytes.
async fn read(shard: &Rc<Shard>, client: &Rc<Client>, take: impl FnOnce(&[u8])) -> Arrived {
    let before = std::mem::discriminant(&client.phase());
    let readable = poll_fn(|cx| {
        if std::mem::discriminant(&client.phase()) != before {
            return Poll::Ready(Ok(false));
        }
        client.register_reader(cx);
        client.stream().poll_read_ready(cx).map_ok(|()| true)
    });
    match readable.await {
        Ok(true) => {}
        Ok(false) => return Arrived::Something,
        Err(error) => return Arrived::End(format!("the connection broke: {error}")),
    }
    let mut buffer = shard.read_buffer.borrow_mut();
    match client.stream().try_read(&mut buffer) {
        Ok(0) => Arrived::End("the connection ended without a close frame".to_owned()),
        Ok(len) => {
            client.note_heard();
            if len < buffer.len() {
                note_empty(client.stream());
            }
            take(&buffer[..len]);
            Arrived::Something
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Arrived::Something,
        Err(error) => Arrived::End(format!("the connection broke: {error}")),
    }
}

/// Tells tokio after a short read that the socket is empty, which saves the read that would find
/// it out.
fn note_empty(stream: &TcpStream) {
    let _ = stream
        .try_io(Interest::READABLE, || Err::<(), _>(io::Error::from(io::ErrorKind::WouldBlock)));
}

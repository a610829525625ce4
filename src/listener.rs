//! Accepts connections and hands each to the shard that has the fewest.
//!
//! Invariant: no failure ends accepting. When descriptors run out, the listener does not spin, and waiting
//! clients are refused with the help of a descriptor that is kept in reserve.

use std::{
    fs::File,
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    pin::pin,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use futures_util::future::select;

use crate::{
    context::Context,
    event::Event,
    fanout::{
        command::{AcceptedStream, Command, UnservedSocket},
        shard_handle::ShardHandle,
    },
    handshake::refuse_now,
    reactor::Source,
    shard::Shard,
    sys,
};

/// How many connections are accepted before other sockets are polled.
const ACCEPT_BATCH: usize = 32;

/// The first and the longest pause after a failure. The longest bounds how long a client waits although a
/// descriptor is free again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));

/// Accepts connections until the shard that it runs on stops.
pub(crate) async fn run(listener: TcpListener, shard: Rc<Shard>, shards: Arc<[Arc<ShardHandle>]>) {
    let addr = listener.local_addr();
    // Mio's listener accepts non-blocking sockets with one system call.
    let listener = mio::net::TcpListener::from_std(listener);
    let listener = match Source::new(&shard.reactor, listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the listener cannot be watched");
            return shard.fail(format!("its listener cannot be watched: {error}"));
        }
    };
    let mut acceptor = Acceptor {
        addr: addr.unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0))),
        context: Arc::clone(&shard.context),
        shards,
        reserve: open_reserve(),
        pause: PAUSES.0,
        is_failing: false,
    };
    let accepting = async {
        loop {
            listener.readable().await;
            for _ in 0..ACCEPT_BATCH {
                match listener.try_read_with(mio::net::TcpListener::accept) {
                    Ok((stream, peer)) => match off_standard_streams(stream.into()) {
                        Ok(stream) => acceptor.hand_to_shard(stream, peer, &shard),
                        Err(error) => acceptor.handle_failure(&error, listener.io(), &shard).await,
                    },
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => acceptor.handle_failure(&error, listener.io(), &shard).await,
                }
            }
            shard.reactor.yield_now().await;
        }
    };
    select(pin!(accepting), pin!(shard.stopped())).await;
}

/// Opens a descriptor that has no number of a standard stream: a host that closes its streams and opens them again
/// would close it.
fn open_reserve() -> Option<File> {
    let file = File::open("/dev/null").ok()?;
    // A copy gets a number above those of the standard streams.
    if sys::is_standard_stream(&file) { file.try_clone().ok() } else { Some(file) }
}

/// Gives a socket another number if it has that of a standard stream, which the host has closed: what the host
/// prints would go to the client.
fn off_standard_streams(stream: TcpStream) -> io::Result<TcpStream> {
    // A copy gets a number above those of the standard streams.
    if sys::is_standard_stream(&stream) { stream.try_clone() } else { Ok(stream) }
}

/// The state of one listener.
struct Acceptor {
    addr: SocketAddr,
    context: Arc<Context>,
    shards: Arc<[Arc<ShardHandle>]>,
    /// A descriptor that is closed when none is left, so that a waiting client can be accepted and refused.
    reserve: Option<File>,
    pause: Duration,
    is_failing: bool,
}

impl Acceptor {
    fn hand_to_shard(&mut self, stream: TcpStream, peer: SocketAddr, own: &Shard) {
        // A listener of both families tells of a client of IPv4 in an address of IPv6.
        let addr = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        self.pause = PAUSES.0;
        self.is_failing = false;
        if self.reserve.is_none() {
            self.reserve = open_reserve();
        }
        let Some(permit) = self.context.permit_handshake() else {
            self.context.counters.connections_refused.add(1);
            let why = "too many handshakes under way; try again later";
            refuse_now(own, &stream, addr, why);
            return;
        };
        let Some(shard) = self.shards.iter().min_by_key(|shard| shard.load.get()) else { return };
        let load = shard.load.take();
        let stream = UnservedSocket::new(stream);
        let accepted = Box::new(AcceptedStream { stream, addr, permit, load });
        // Fails when the server stops: then the connection is closed here.
        let _ = shard.inbox.push(Command::Accept(accepted));
    }

    async fn handle_failure(
        &mut self,
        error: &io::Error,
        listener: &mio::net::TcpListener,
        shard: &Shard,
    ) {
        if is_peer_error(error) {
            return;
        }
        self.context.counters.accept_failures.add(1);
        if !self.is_failing {
            self.is_failing = true;
            if let Some(others) = self.context.throttles.accept_failures.pass() {
                let addr = self.addr;
                tracing::warn!(%addr, %error, others, "cannot accept connections, trying again");
            }
            // Not while the event queue is full: nothing else bounds these events.
            if !self.context.events.is_full() {
                let error = error.to_string().into();
                self.context.events.push(Event::AcceptFailed { addr: self.addr, error });
            }
        }
        // Closing the reserve frees a descriptor, with which a waiting client is accepted and refused.
        if self.reserve.take().is_some()
            && let Ok((stream, peer)) = listener.accept()
        {
            self.context.counters.connections_refused.add(1);
            let why = "no descriptors left; try again later";
            let addr = SocketAddr::new(peer.ip().to_canonical(), peer.port());
            refuse_now(shard, &stream.into(), addr, why);
        }
        self.reserve = open_reserve();
        shard.deadlines.until(shard.shared.now() + self.pause).await;
        self.pause = (self.pause * 2).min(PAUSES.1);
    }
}

/// Whether accepting failed because of the one connection, which is gone: the next one may succeed at once.
fn is_peer_error(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, PermissionDenied};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted | PermissionDenied)
}

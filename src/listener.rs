//! Accepts connections and hands each to the shard that has the fewest.
//!
//! Invariant: accepting continues whatever happens. When descriptors run out, the listener does not spin, and
//! clients do not wait for nothing: one descriptor is kept in reserve to tell them.

use std::{
    fs::File,
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    pin::pin,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::select;
use socket2::{Domain, Protocol, SockAddr, Socket, TcpKeepalive, Type};

use crate::{
    context::Context,
    error::{Error, Result},
    event::Event,
    fanout::{
        command::{AcceptedStream, Command},
        shard_handle::ShardHandle,
    },
    handshake::refuse_now,
    options::Options,
    reactor::Source,
    shard::Shard,
};

/// How many connections the kernel queues until they are accepted; it has a bound of its own.
const QUEUE: i32 = 4096;

/// How many connections are accepted before other sockets are polled.
const ACCEPT_BATCH: usize = 32;

/// The first and the longest pause after a failure. A client that finds a descriptor free again
/// waits no longer than the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));

/// Begins to listen on an address.
pub(crate) fn bind(addr: SocketAddr, options: &Options) -> Result<TcpListener> {
    listen(addr, options).map_err(|source| Error::Listen { addr: addr.to_string(), source })
}

fn listen(addr: SocketAddr, options: &Options) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    // A port whose last connections are still in TIME_WAIT is free.
    socket.set_reuse_address(true)?;
    if addr.is_ipv6() {
        // An IPv6 address means IPv6: a host that wants both lists both.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    // On Linux accepted sockets inherit these from the listener: that saves five system calls for each.
    socket.set_tcp_nodelay(true)?;
    if !options.tcp_keepalive.is_zero() {
        let idle = options.tcp_keepalive;
        socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(idle).with_interval(idle))?;
    }
    #[cfg(target_os = "linux")]
    if let Some(timeout) = user_timeout(options) {
        socket.set_tcp_user_timeout(Some(timeout))?;
    }
    socket.bind(&SockAddr::from(addr))?;
    socket.listen(QUEUE)?;
    Ok(socket.into())
}

/// How long data may wait for a peer's machine: that finds a vanished peer sooner than a ping does.
/// Linux counts a peer that does not read as well, so the time is longer than what the outbox allows
/// one, and there is none if slow consumers are to stay.
#[cfg(target_os = "linux")]
fn user_timeout(options: &Options) -> Option<Duration> {
    let margin = Duration::from_secs(1);
    let is_wanted = !options.ping_interval.is_zero()
        && options.slow_consumer == crate::options::SlowConsumer::Disconnect;
    is_wanted.then(|| options.ping_timeout.max(options.outbox_age) + margin)
}

/// Accepts connections until the shard that it runs on stops.
pub(crate) async fn run(listener: TcpListener, shard: Rc<Shard>, shards: Arc<[Arc<ShardHandle>]>) {
    let addr = listener.local_addr();
    // Mio's listener accepts sockets that do not block, in one system call.
    let listener = mio::net::TcpListener::from_std(listener);
    let listener = match Source::new(&shard.reactor, listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the listener cannot be watched");
            return;
        }
    };
    let mut accept = Accept {
        addr: addr.unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0))),
        context: Arc::clone(&shard.context),
        shards,
        reserve: reserve(),
        pause: PAUSES.0,
        is_failing: false,
    };
    let accepting = async {
        loop {
            listener.readable().await;
            for _ in 0..ACCEPT_BATCH {
                match listener.try_read_with(mio::net::TcpListener::accept) {
                    Ok((stream, peer)) => accept.hand_over(stream.into(), peer),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => accept.failed(&error, listener.io(), &shard).await,
                }
            }
            shard.reactor.yield_now().await;
        }
    };
    select(pin!(accepting), pin!(shard.stopped())).await;
}

fn reserve() -> Option<File> {
    File::open("/dev/null").ok()
}

/// One listener's way of accepting.
struct Accept {
    addr: SocketAddr,
    context: Arc<Context>,
    shards: Arc<[Arc<ShardHandle>]>,
    /// A descriptor to give up when there is no other, so that a client can be told.
    reserve: Option<File>,
    pause: Duration,
    is_failing: bool,
}

impl Accept {
    fn hand_over(&mut self, stream: TcpStream, addr: SocketAddr) {
        self.pause = PAUSES.0;
        self.is_failing = false;
        if self.reserve.is_none() {
            self.reserve = reserve();
        }
        let Some(permit) = self.context.permit_handshake() else {
            self.context.counters.connections_refused.add(1);
            let why = "too many handshakes under way; try again later";
            refuse_now(&self.context, &stream, addr, why);
            return;
        };
        let Some(shard) = self.shards.iter().min_by_key(|shard| shard.load.get()) else { return };
        let load = shard.load.take();
        let accepted = Box::new(AcceptedStream { stream, addr, permit, load });
        // Fails when the server stops: then the connection is closed here.
        let _ = shard.inbox.push(Command::Accept(accepted));
    }

    async fn failed(&mut self, error: &io::Error, listener: &mio::net::TcpListener, shard: &Shard) {
        if is_the_peers(error) {
            return;
        }
        self.context.counters.accept_failures.add(1);
        if !self.is_failing {
            self.is_failing = true;
            if let Some(others) = self.context.throttles.accept_failures.pass() {
                let addr = self.addr;
                tracing::warn!(%addr, %error, others, "cannot accept connections, trying again");
            }
            // Not while the host takes no events: failures may come and go for ever.
            if !self.context.events.is_full() {
                let error = error.to_string().into();
                self.context.events.push(Event::AcceptFailed { addr: self.addr, error });
            }
        }
        // With the reserve's descriptor the client that waits can be told.
        if self.reserve.take().is_some()
            && let Ok((stream, peer)) = listener.accept()
        {
            self.context.counters.connections_refused.add(1);
            let why = "no descriptors left; try again later";
            refuse_now(&self.context, &stream.into(), peer, why);
        }
        self.reserve = reserve();
        shard.deadlines.until(Instant::now() + self.pause).await;
        self.pause = (self.pause * 2).min(PAUSES.1);
    }
}

/// Whether accepting failed because of the one connection, which has gone already.
fn is_the_peers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, PermissionDenied};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted | PermissionDenied)
}

#[cfg(test)]
mod tests {
    use socket2::SockRef;

    use super::*;

    #[test]
    fn accepted_sockets_inherit_the_options_of_the_listener() {
        let options = Options::default();
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0)), &options).unwrap();
        listener.set_nonblocking(false).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let socket = SockRef::from(&accepted);
        assert!(socket.tcp_nodelay().unwrap());
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), options.tcp_keepalive);
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), options.tcp_keepalive);
        #[cfg(target_os = "linux")]
        assert_eq!(socket.tcp_user_timeout().unwrap(), user_timeout(&options));
    }
}

//! A shard that serves sockets of the kernel in the test's thread: its loop turns when the test says so.
//!
//! The sockets are Unix ones: what is written can be read at once, so that each turn has one outcome.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    os::{fd::OwnedFd, unix::net::UnixStream},
    rc::Rc,
    time::Duration,
};

use tokio::task::LocalSet;

use super::{random::Random, world::World};
use crate::{
    connection,
    fanout::command::{AcceptedStream, Command, UnservedSocket},
    handshake,
    options::Options,
    reactor::{Next, Reactor},
    shard::Shard,
};

pub(super) struct Served {
    pub(super) world: World,
    pub(super) tasks: LocalSet,
}

impl Served {
    pub(super) fn new(options: Options) -> Self {
        let served = Self { world: World::with(options, Random::new(1)), tasks: LocalSet::new() };
        let entered = served.tasks.enter();
        served.shard().spawn_watchers();
        drop(entered);
        served
    }

    pub(super) fn shard(&self) -> Rc<Shard> {
        Rc::clone(&self.world.shards[0].0)
    }

    /// Polls the sockets, calls their handlers, polls the tasks that were woken, and ticks, once.
    pub(super) fn turn(&mut self) {
        let _entered = self.tasks.enter();
        let (shard, tick) = &mut self.world.shards[0];
        let accept = |shard: &Rc<Shard>, accepted| {
            let handshake = handshake::run(Rc::clone(shard), accepted);
            Reactor::run_now(async move {
                if let Some(upgraded) = handshake.await {
                    connection::start(upgraded);
                }
            });
        };
        let once = || {
            let _ = shard.tick(tick, &accept);
            Next::End(())
        };
        shard.reactor.run(&mut self.tasks, once).expect("the kernel polls");
    }

    pub(super) fn turns(&mut self, count: usize) {
        (0..count).for_each(|_| self.turn());
    }

    /// Advances the clock, and turns until what is due then has been done.
    pub(super) fn pass(&mut self, time: Duration) {
        let shard = self.shard();
        shard.shared.clock.advance(time);
        for _ in 0..4 {
            shard.deadlines.wake_all_due();
            self.turn();
        }
    }

    /// Connects a client, as the listener hands a connection to the shard.
    pub(super) fn connect(&self) -> UnixStream {
        let (stream, accepted) = UnixStream::pair().expect("two sockets");
        accepted.set_nonblocking(true).expect("a socket");
        stream.set_nonblocking(true).expect("a socket");
        let (stream_of_shard, addr) =
            (TcpStream::from(OwnedFd::from(accepted)), SocketAddr::from(([127, 0, 0, 1], 1)));
        let shard = self.shard();
        let permit = shard.context.permit_handshake().expect("a place");
        let load = shard.handle.load.take();
        let accepted = Box::new(AcceptedStream {
            stream: UnservedSocket::new(stream_of_shard),
            addr,
            permit,
            load,
        });
        shard.handle.inbox.push(Command::Accept(accepted)).expect("the server runs");
        stream
    }

    /// Connects a client to a path, which reads its answer.
    pub(super) fn join(&mut self, path: &str) -> UnixStream {
        let mut stream = self.connect();
        ask(&mut stream, path);
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            self.turn();
            answer.extend(received(&mut stream));
        }
        assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
        stream
    }
}

/// Sends a request for an upgrade.
pub(super) fn ask(stream: &mut UnixStream, path: &str) {
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("the server reads");
}

/// A client's text frame, masked with zeros.
pub(super) fn masked(text: &str) -> Vec<u8> {
    let len = u8::try_from(text.len()).expect("a short text");
    assert!(len < 126, "a short text");
    [&[0x81, 0x80 | len, 0, 0, 0, 0], text.as_bytes()].concat()
}

/// Takes what a client has received.
pub(super) fn received(stream: &mut UnixStream) -> Vec<u8> {
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return received,
            Ok(len) => received.extend_from_slice(&buffer[..len]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return received,
            Err(error) => panic!("{error}"),
        }
    }
}

//! A relay between clients and a server that cuts each connection after a random number of bytes to the client, in one of
//! the ways in which connections end: closed, reset, or silent.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use socket2::SockRef;

use super::Random;

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    Closed,
    Reset,
    /// Nothing more comes, and nothing says so.
    Silent,
}

/// A relay. Dropping it cuts everything.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) addr: SocketAddr,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct State {
    server: Mutex<SocketAddr>,
    is_over: AtomicBool,
    cuts: AtomicUsize,
    /// Both sockets of each connection. Weak: a socket is reset when its last owner drops it.
    sockets: Mutex<Vec<Weak<TcpStream>>>,
}

impl Relay {
    /// Relays to a server. Each connection is cut before it has brought the client `most` bytes; none, if that is 0.
    pub(crate) fn start(server: SocketAddr, mut random: Random, most: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let is_over = AtomicBool::new(false);
        let cuts = AtomicUsize::new(0);
        let server = Mutex::new(server);
        let state = Arc::new(State { server, is_over, cuts, sockets: Mutex::default() });
        let relayed = Arc::clone(&state);
        let thread = thread::spawn(move || {
            for client in listener.incoming() {
                if relayed.is_over.load(Ordering::SeqCst) {
                    return;
                }
                // Every third is cut in the handshake, or soon after it.
                let left = match (most, random.below(3)) {
                    (0, _) => usize::MAX,
                    (_, 0) => random.below(600) as usize,
                    _ => random.below(most) as usize,
                };
                let cut = match random.below(16) {
                    0 => Cut::Silent,
                    1..=7 => Cut::Reset,
                    _ => Cut::Closed,
                };
                let state = Arc::clone(&relayed);
                let client = client.unwrap();
                thread::spawn(move || state.relay(client, left, cut));
            }
        });
        Self { addr, state, thread: Some(thread) }
    }

    /// Leads the connections that come from now on to another server.
    pub(crate) fn lead_to(&self, server: SocketAddr) {
        *self.state.server.lock().unwrap() = server;
    }

    /// Cuts all connections.
    pub(crate) fn cut(&self) {
        for socket in self.state.sockets.lock().unwrap().drain(..) {
            socket.upgrade().inspect(|socket| _ = socket.shutdown(Shutdown::Both));
        }
    }

    /// How many connections were cut so far.
    pub(crate) fn cuts(&self) -> usize {
        self.state.cuts.load(Ordering::SeqCst)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.state.is_over.store(true, Ordering::SeqCst);
        // Wakes the listener.
        drop(TcpStream::connect(self.addr));
        _ = self.thread.take().map(JoinHandle::join);
        self.cut();
    }
}

impl State {
    fn relay(&self, client: TcpStream, mut left: usize, cut: Cut) {
        let server = *self.server.lock().unwrap();
        // A server that is gone is told to the client.
        let Ok(server) = TcpStream::connect(server) else { return };
        let (client, server) = (Arc::new(client), Arc::new(server));
        for socket in [&client, &server] {
            socket.set_nodelay(true).unwrap();
            self.sockets.lock().unwrap().push(Arc::downgrade(socket));
        }
        let up = {
            let (client, server) = (Arc::clone(&client), Arc::clone(&server));
            // A client that has gone is told to the server; a server that has gone is not told to the client here.
            thread::spawn(move || {
                copy(&client, |bytes| (&*server).write_all(bytes).is_ok());
                _ = server.shutdown(Shutdown::Write);
            })
        };
        copy(&server, |bytes| {
            let count = bytes.len().min(left);
            left -= count;
            (&*client).write_all(&bytes[..count]).is_ok() && left > 0
        });
        self.cuts.fetch_add(1, Ordering::SeqCst);
        _ = match cut {
            // The server has ended it.
            _ if left > 0 => client.shutdown(Shutdown::Both),
            Cut::Closed => client.shutdown(Shutdown::Both),
            Cut::Reset => {
                // The reset is sent when the last owner drops the socket.
                SockRef::from(&*client).set_linger(Some(Duration::ZERO)).unwrap();
                client.shutdown(Shutdown::Read)
            }
            Cut::Silent => Ok(()),
        };
        up.join().unwrap();
        _ = server.shutdown(Shutdown::Both);
    }
}

/// Reads up to the end, or until `take` does not want more.
fn copy(mut from: &TcpStream, mut take: impl FnMut(&[u8]) -> bool) {
    let mut bytes = [0; 4096];
    loop {
        match from.read(&mut bytes) {
            Ok(0) | Err(_) => return,
            Ok(count) if take(&bytes[..count]) => {}
            Ok(_) => return,
        }
    }
}

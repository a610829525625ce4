//! The host's side of a test: a server, its events, and the sockets that it accepted.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    time::{Duration, Instant},
};

use chat::{ClientId, Config, Event, Handle, Server};

use super::PATIENCE;

/// A server with the defaults, on a free port.
pub(crate) fn server() -> Server {
    server_with(|_| ())
}

/// A server with some options, on a free port.
pub(crate) fn server_with(configure: impl FnOnce(&mut Config)) -> Server {
    let mut config = Config::new();
    config.listen("127.0.0.1:0");
    configure(&mut config);
    config.start().expect("a free port and a right configuration")
}

/// The events of a server in order, pulled.
pub(crate) struct Events<'a> {
    handle: &'a Handle,
    waiting: VecDeque<Event>,
}

impl<'a> Events<'a> {
    /// Begins with the first event that nobody has pulled.
    pub(crate) fn of(handle: &'a Handle) -> Self {
        Self { handle, waiting: VecDeque::new() }
    }

    /// The next event.
    pub(crate) fn next(&mut self) -> Event {
        self.next_before(Instant::now() + PATIENCE).expect("an event in time")
    }

    fn next_before(&mut self, deadline: Instant) -> Option<Event> {
        while self.waiting.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            self.waiting.extend(self.handle.next_events(left).ok()?);
        }
        self.waiting.pop_front()
    }

    /// The next event that is wanted; others are skipped.
    pub(crate) fn find<T>(&mut self, what: &str, mut pick: impl FnMut(Event) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let Some(event) = self.next_before(deadline) else {
                panic!("no event in time: {what}")
            };
            if let Some(found) = pick(event) {
                return found;
            }
        }
    }

    /// Everything that waits now.
    pub(crate) fn now(&mut self) -> Vec<Event> {
        self.waiting.extend(self.handle.next_events(Duration::ZERO).into_iter().flatten());
        self.waiting.drain(..).collect()
    }

    /// The next client that connects.
    pub(crate) fn connected(&mut self) -> ClientId {
        self.find("Connected", |event| match event {
            Event::Connected { client, .. } => Some(client),
            _ => None,
        })
    }

    /// The leave of a client: its code and reason. The leaves of others still wait afterwards.
    pub(crate) fn left(&mut self, wanted: ClientId) -> (u16, String) {
        let mut others = VecDeque::new();
        let found = self.find("Disconnected of this client", |event| match event {
            Event::Disconnected { client, code, reason, .. } if client == wanted => {
                Some((code, reason.to_string()))
            }
            other @ Event::Disconnected { .. } => {
                others.push_back(other);
                None
            }
            _ => None,
        });
        others.append(&mut self.waiting);
        self.waiting = others;
        found
    }

    /// The next client that leaves, with which code and reason.
    pub(crate) fn disconnected(&mut self) -> (ClientId, u16, String) {
        self.find("Disconnected", |event| match event {
            Event::Disconnected { client, code, reason, .. } => {
                Some((client, code, reason.to_string()))
            }
            _ => None,
        })
    }
}

/// The descriptor of the socket that a server in this process accepted from `client`.
///
/// The kernel lists every TCP socket with its addresses and inode, and the process its descriptors
/// with their inodes.
pub(crate) fn accepted_socket(server: SocketAddr, client: SocketAddr) -> i32 {
    let table = std::fs::read_to_string("/proc/self/net/tcp").expect("Linux");
    let (local, remote) = (format!(":{:04X}", server.port()), format!(":{:04X}", client.port()));
    let socket = table.lines().find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let found = fields.get(1)?.ends_with(&local) && fields.get(2)?.ends_with(&remote);
        found.then(|| format!("socket:[{}]", fields[9]))
    });
    let socket = socket.expect("the server has accepted the connection");
    let descriptors = std::fs::read_dir("/proc/self/fd").expect("Linux");
    let found = descriptors.filter_map(Result::ok).find(|entry| {
        std::fs::read_link(entry.path()).is_ok_and(|link| link.to_str() == Some(&socket))
    });
    let name = found.expect("the socket is of this process").file_name();
    name.to_str().and_then(|name| name.parse().ok()).expect("a number")
}

//! Event streams behind a real nginx, with its buffering as it comes, and a real HAProxy: events arrive at once, an idle
//! stream lives on, and when servers are replaced one by one, every client comes back and is told what it has missed.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod event_source;
mod peer;
mod proxy;

use std::{
    collections::BTreeMap,
    fmt::Debug,
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use chat::{Kind, Position, Server};
use event_source::{Block, Stream};
use peer::{
    PATIENCE, Peer, eventually,
    frames::{CLOSE, PING, PONG},
    host::{server, server_with},
    objects::{SUBPROTOCOL, field, object},
};
use proxy::{haproxy::Relay, nginx::Nginx};
use serde_json::Value;

/// What both proxies wait for: a minute, a fiftieth of it.
const PROXY_TIMEOUT: Duration = Duration::from_millis(1_200);

/// The default of 25 s, in the same proportion.
const PING_INTERVAL: Duration = Duration::from_millis(500);

/// As many as come in five minutes.
const PINGS: usize = 12;

/// A proxy that runs, and its address.
struct Relaying {
    addr: SocketAddr,
    name: &'static str,
    _running: Box<dyn Debug>,
}

/// nginx and HAProxy before servers; nginx as README.md says, which is for WebSocket.
fn proxies(servers: &[SocketAddr]) -> [Relaying; 2] {
    let upstream: String = servers.iter().map(|it| format!("server {it} max_fails=0; ")).collect();
    let milliseconds = PROXY_TIMEOUT.as_millis();
    let nginx = Nginx::start_with(
        &format!("upstream chat {{ {upstream} }}"),
        &format!(
            "location / {{ proxy_pass http://chat; proxy_http_version 1.1; \
             proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; \
             proxy_set_header Host $http_host; proxy_read_timeout {milliseconds}ms; }}"
        ),
    );
    let timeouts = ["client", "server", "tunnel"];
    let timeouts = timeouts.map(|it| format!("timeout {it} {milliseconds}ms")).join("\n  ");
    let haproxy = Relay::start(servers, &timeouts);
    [
        Relaying { addr: nginx.addr, name: "nginx", _running: Box::new(nginx) },
        Relaying { addr: haproxy.addr, name: "HAProxy", _running: Box::new(haproxy) },
    ]
}

#[test]
fn each_event_arrives_before_the_next_is_published() {
    let server = server();
    for proxy in proxies(&[server.local_addr()]) {
        for path in ["/rooms/r", "/rooms/r?format=json"] {
            let mut stream = Stream::open(proxy.addr, path, &["Accept-Encoding: gzip"]);
            assert_eq!(stream.header("Content-Encoding"), None);
            eventually("it is in its room", || server.stats().connections == 1);
            for number in 0..20 {
                let text = format!("{} {number}", proxy.name);
                server.publish("r", Kind::Text, text.as_bytes()).unwrap();
                let deadline = Instant::now() + PATIENCE;
                while !stream.message().contains(&text) {
                    assert!(Instant::now() < deadline, "not in time: {text}");
                }
            }
            drop(stream);
            eventually("the server sees that it has gone", || server.stats().connections == 0);
        }
    }
}

#[test]
fn an_idle_stream_lives_on_through_several_time_outs_of_the_proxy() {
    let server = server_with(|config| _ = config.ping_interval(PING_INTERVAL));
    let running = proxies(&[server.local_addr()]);
    thread::scope(|scope| {
        for proxy in &running {
            let addr = proxy.addr;
            scope.spawn(move || {
                let mut stream = Stream::open(addr, "/rooms/r", &[]);
                (0..PINGS).for_each(|_| drop(stream.find("ping")));
            });
        }
    });
    // And these time-outs end a stream that is silent.
    let silent = server_with(|config| _ = config.ping_interval(Duration::from_secs(60)));
    for proxy in proxies(&[silent.local_addr()]) {
        let mut stream = Stream::open(proxy.addr, "/rooms/r", &[]);
        assert!(stream.next().is_some_and(|block| block.retry.is_some()));
        assert_eq!(stream.next(), None, "{}", proxy.name);
    }
}

/// What a client has got over all of its connections.
#[derive(Debug, Default)]
struct Got {
    /// The numbers of the messages, by epoch.
    messages: BTreeMap<u64, Vec<u64>>,
    at: Option<Position>,
    gaps: usize,
}

impl Got {
    fn entered(&mut self, position: Position, reason: Option<&str>) {
        if let Some(at) = self.at {
            let is_other = at.epoch != position.epoch;
            assert_eq!(reason, is_other.then_some("epoch"), "{at}, {position}");
            // The new server keeps all of it.
            assert!(position == at || position.offset == 0, "{at}, {position}");
            self.gaps += usize::from(is_other);
        }
        self.at = Some(position);
    }

    /// Takes a message. Returns whether it is the last.
    fn message(&mut self, position: Position, text: &str) -> bool {
        let at = self.at.expect("it was told where it is");
        assert_eq!(position, Position { offset: at.offset + 1, ..at }, "{text}");
        self.at = Some(position);
        let Ok(number) = text.parse() else { return true };
        self.messages.entry(position.epoch).or_default().push(number);
        false
    }
}

/// Waits as a client does, but a hundredth of it.
fn wait(retry: u64) {
    thread::sleep(Duration::from_millis(retry / 100));
}

fn position(text: Option<&str>) -> Position {
    text.and_then(|text| text.parse().ok()).expect("a position")
}

/// Follows a room as an `EventSource` does, which an answer but 200 would end for ever.
fn follow(addr: SocketAddr, path: &str) -> Got {
    let (mut got, mut last, mut retry) = (Got::default(), None, 3_000);
    let mut take = |block: &Block| -> bool {
        let id = || position(block.id.as_deref());
        if let Some(data) = block.of("gap") {
            let data: Value = serde_json::from_str(data).unwrap();
            got.entered(id(), Some(field(&data, "reason")));
        } else if block.is_message() {
            return got.message(id(), block.data.as_deref().unwrap());
        } else if block.data.is_none() && block.id.is_some() {
            got.entered(id(), None);
        }
        false
    };
    loop {
        let header = last.as_ref().map(|last| format!("Last-Event-ID: {last}"));
        let lines: Vec<_> = header.iter().map(String::as_str).collect();
        let mut stream = Stream::open(addr, path, &lines);
        while let Some(block) = stream.next() {
            retry = block.retry.unwrap_or(retry);
            if take(&block) {
                return got;
            }
        }
        last = stream.parser.last_id.or(last);
        wait(retry);
    }
}

/// The same by WebSocket, in the JSON form.
fn follow_by_websocket(addr: SocketAddr, path: &str) -> Got {
    let (mut got, mut retry) = (Got::default(), 0);
    loop {
        wait(retry);
        let since = got.at.map(|at| format!("&since={at}")).unwrap_or_default();
        let mut peer = Peer::over(TcpStream::connect(addr).unwrap());
        if peer.upgrade(&format!("{path}{since}"), &[SUBPROTOCOL]).status != 101 {
            retry = 1_000;
            continue;
        }
        while let Ok(frame) = peer.frame_or_end() {
            match frame.head {
                PING => peer.send(PONG, &frame.payload),
                CLOSE => peer.send(CLOSE, &frame.payload),
                PONG => {}
                _ => {
                    let object = object(&frame);
                    let at = || position(object["position"].as_str());
                    match field(&object, "type") {
                        "entered" => got.entered(at(), object["reason"].as_str()),
                        "message" if got.message(at(), field(&object, "text")) => return got,
                        "closing" => retry = object["retry"].as_u64().unwrap(),
                        _ => {}
                    }
                }
            }
        }
    }
}

#[test]
fn when_servers_are_replaced_one_by_one_every_client_comes_back_and_is_told() {
    const CLIENTS: usize = 8;
    let configure =
        |addr: String| server_with(|config| _ = config.listen(addr).ping_interval(PING_INTERVAL));
    let start = |addr: SocketAddr| configure(addr.to_string());
    let any = || configure("127.0.0.1:0".to_owned());
    let (mut first, mut second) = (any(), any());
    let addrs = [first.local_addr(), second.local_addr()];
    let count = |servers: &[&Server]| servers.iter().map(|it| it.stats().connections).sum::<u64>();
    let proxies = proxies(&addrs);
    let all = 2 * CLIENTS as u64 * proxies.len() as u64;
    thread::scope(|scope| {
        let mut number = 0;
        // The host tells all of its servers.
        let mut publish = |servers: &[&Server]| {
            for _ in 0..20 {
                number += 1;
                for server in servers {
                    server.publish("r", Kind::Text, number.to_string().as_bytes()).unwrap();
                }
            }
            number
        };
        let mut clients = Vec::new();
        for proxy in &proxies {
            let (addr, path) = (proxy.addr, "/rooms/r?history=1000");
            for _ in 0..CLIENTS {
                clients.push(scope.spawn(move || follow(addr, path)));
                clients.push(scope.spawn(move || follow_by_websocket(addr, path)));
            }
        }
        eventually("all are there", || count(&[&first, &second]) == all);
        publish(&[&first, &second]);
        first.stop(PATIENCE).unwrap();
        publish(&[&second]);
        first = start(addrs[0]);
        publish(&[&first, &second]);
        eventually("all are back", || count(&[&first, &second]) == all);
        second.stop(PATIENCE).unwrap();
        second = start(addrs[1]);
        let last = publish(&[&first, &second]);
        eventually("all are back", || count(&[&first, &second]) == all);
        for server in [&first, &second] {
            server.publish("r", Kind::Text, b"end").unwrap();
        }
        let mut gaps = 0;
        for client in clients {
            let got = client.join().expect("it found no fault");
            gaps += got.gaps;
            assert!(got.messages.values().any(|numbers| numbers.ends_with(&[last])), "{got:?}");
            for numbers in got.messages.values() {
                assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{got:?}");
            }
        }
        // Each of the two stops concerned about half of the clients at least.
        assert!(gaps as u64 >= all / 2, "{gaps} were told");
    });
}

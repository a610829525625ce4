//! Where the log lines of a Rust host's servers go: `tracing`, as the host has set it up.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod kept;
mod peer;

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use chat::Config;
use kept::Kept;
use peer::eventually;
use tracing::{Level, subscriber::with_default};

#[test]
fn a_server_logs_where_it_was_started_and_nowhere_else() {
    let (first, second) = (Kept::default(), Kept::default());
    let start = || Config::new().listen("127.0.0.1:0").workers(2).start().unwrap();
    let one = with_default(first.clone(), start);
    let other = with_default(second.clone(), start);
    // A thread of the server's answers, and logs it.
    let mut client = TcpStream::connect(one.local_addr()).unwrap();
    client.write_all(b"GET /nowhere HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    client.read_to_end(&mut Vec::new()).unwrap();
    one.stop(Duration::from_secs(5)).unwrap();
    other.stop(Duration::from_secs(5)).unwrap();
    let lines = first.lines(Level::TRACE);
    assert_eq!(lines, ["listening", "page requested", "stopping", "stopped"]);
    assert_eq!(second.lines(Level::TRACE), ["listening", "stopping", "stopped"]);
}

/// Asks for WebSocket; the status of the answer.
fn connect(server: &chat::Server) -> (TcpStream, String) {
    let mut client = TcpStream::connect(server.local_addr()).unwrap();
    let request = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
        sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    client.write_all(request.as_bytes()).unwrap();
    let mut status = [0; 12];
    client.read_exact(&mut status).unwrap();
    (client, String::from_utf8_lossy(&status[9..]).into_owned())
}

#[test]
fn the_lines_at_the_stop_say_how_many_are_connected_then_and_how_many_ever_were() {
    let kept = Kept::default();
    let start = || Config::new().listen("127.0.0.1:0").workers(2).start().unwrap();
    let server = with_default(kept.clone(), start);
    let mut clients: Vec<_> = (0..3).map(|_| connect(&server).0).collect();
    drop(clients.pop());
    eventually("it has left", || server.stats().connections == 2);
    server.stop(Duration::ZERO).unwrap_err();
    let lines = kept.whole_lines(Level::INFO);
    let fields = |message: &str| {
        let line = lines.iter().find(|line| line.message.starts_with(message));
        line.map(|line| line.fields.as_str())
    };
    assert_eq!(fields("stopping"), Some(" clients=2"));
    assert_eq!(fields("stopped"), Some(" connections_accepted=3"));
}

#[test]
fn clients_cannot_fill_the_log_of_every_day() {
    let kept = Kept::default();
    let start = || Config::new().listen("127.0.0.1:0").max_connections(1).start().unwrap();
    let server = with_default(kept.clone(), start);
    let (_client, status) = connect(&server);
    assert_eq!(status, "101");
    let began = Instant::now();
    for _ in 0..100 {
        assert_eq!(connect(&server).1, "503");
    }
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap();
    server.stop(Duration::ZERO).unwrap_err();
    let refused = |level| {
        let lines = kept.lines(level);
        lines.iter().filter(|line| *line == "connection refused").count()
    };
    assert!((1..=seconds + 1).contains(&refused(Level::WARN)), "{:?}", kept.lines(Level::WARN));
    assert_eq!(refused(Level::DEBUG), 100);
}

#[test]
fn events_that_the_host_does_not_take_are_a_warning() {
    let kept = Kept::default();
    let start = || Config::new().listen("127.0.0.1:0").event_queue(2).start().unwrap();
    let server = with_default(kept.clone(), start);
    let (mut client, _) = connect(&server);
    // Ten times the text "x", masked with zeros: the queue holds the connect and one of them.
    client.write_all(&b"\x81\x81\0\0\0\0x".repeat(10)).unwrap();
    kept.await_line(Level::WARN, "events dropped");
}

#[test]
fn what_a_query_says_is_in_no_line() {
    let kept = Kept::default();
    let start = || Config::new().listen("127.0.0.1:0").base_path("/chat").start().unwrap();
    let server = with_default(kept.clone(), start);
    let headers = [
        "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        "accept: text/event-stream\r\n",
        "accept: text/event-stream\r\norigin: https://else.test\r\n",
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        "",
    ];
    let queries = [
        "since=sesame&name=sesame&token=sesame",
        "since.sesame=sesame&format=json",
        "format=sesame",
        "echo=sesame",
        "history=sesame",
        "name=sesame%0A",
        "sesame",
    ];
    let mut statuses = std::collections::BTreeSet::new();
    for path in ["/chat/", "/chat/rooms/a", "/chat/rooms/..", "/chat/health", "/else"] {
        for (headers, query) in headers.iter().flat_map(|it| queries.map(|query| (it, query))) {
            let mut client = TcpStream::connect(server.local_addr()).unwrap();
            let request =
                format!("GET {path}?{query} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
            client.write_all(request.as_bytes()).unwrap();
            let mut status = [0; 12];
            client.read_exact(&mut status).unwrap();
            statuses.insert(String::from_utf8_lossy(&status[9..]).into_owned());
            let _ = client.shutdown(std::net::Shutdown::Write);
        }
    }
    let all = ["101", "200", "400", "403", "404", "426"];
    assert_eq!(statuses, all.map(str::to_owned).into());
    eventually("all have left", || server.stats().connections == 0);
    server.stop(Duration::from_secs(5)).unwrap();
    let lines = kept.whole_lines(Level::TRACE);
    for line in ["connected", "disconnected", "connection refused", "page requested"] {
        assert!(lines.iter().any(|it| it.message.contains(line)), "{line}: {lines:?}");
    }
    let telling = lines.iter().find(|it| format!("{it:?}").contains("sesame"));
    assert!(telling.is_none(), "{telling:?}");
}

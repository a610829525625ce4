//! What a refusal says: to the client, and in the log.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod child;
mod kept;
mod peer;

use std::{net::SocketAddr, time::Instant};

use chat::{Config, Server};
use child::Running;
use kept::{Kept, Line};
use peer::{KEY, PATIENCE, Peer, Response, host::server_with, upgrade_head};
use tracing::{Level, subscriber::with_default};

/// Connects a page.
fn connect(addr: SocketAddr, host: &str, origin: &[u8]) -> Response {
    let mut peer = Peer::connect(addr);
    let head =
        upgrade_head(addr, "/", &[]).replace(&format!("Host: {addr}"), &format!("Host: {host}"));
    let head = head.strip_suffix("\r\n").unwrap();
    peer.write(&[head.as_bytes(), b"Origin: ", origin, b"\r\n\r\n"].concat());
    peer.response()
}

/// The answer to a page that may not connect.
fn refused(addr: SocketAddr, host: &str, origin: &[u8]) -> String {
    let response = connect(addr, host, origin);
    assert_eq!(response.status, 403, "{response:?}");
    for (name, value) in
        [("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff")]
    {
        assert_eq!(response.header(name), Some(value));
    }
    response.body
}

/// A server whose log lines are kept.
///
/// Each test starts its servers so: tracing may remember of a line that nobody wants it, if it is first reached
/// while the first subscriber of the process is being made.
fn logged(configure: impl FnOnce(&mut Config)) -> (Kept, Server) {
    let kept = Kept::default();
    let server = with_default(kept.clone(), || server_with(configure));
    (kept, server)
}

#[test]
fn a_page_that_is_refused_is_let_in_by_the_option_that_the_answer_names() {
    let (_kept, first) = logged(|_| ());
    for origin in [
        "http://localhost:3000",
        "https://app.example",
        "HTTPS://App.Example:8443",
        "http://[::1]:9000",
        "null",
        "file://",
        "chrome-extension://abcdefghijklmnop",
        &format!("https://{}.example:65535", "x".repeat(245)),
    ] {
        let answer = refused(first.local_addr(), "chat.example:9001", origin.as_bytes());
        for named in
            [format!("pages of {origin} (Origin)"), "to chat.example:9001 (Host)".to_owned()]
        {
            assert!(answer.contains(&named), "{named} in {answer}");
        }
        let is_from_network = origin.to_lowercase().starts_with("http");
        assert_eq!(answer.contains("nginx: proxy_set_header Host $http_host"), is_from_network);
        assert_eq!(answer.contains("opened from a file"), origin == "null", "{answer}");
        let (_, advice) = answer.split_once("option origin (for chat-server: --origin ").unwrap();
        let (named, _) = advice.split_once(')').unwrap();
        let (_kept, server) = logged(|config| _ = config.origin(named));
        let response = connect(server.local_addr(), "chat.example:9001", origin.as_bytes());
        assert_eq!(response.status, 101, "{origin}");
    }
}

#[test]
fn an_origin_that_no_browser_sends_is_not_said_to_be_addable() {
    let (_kept, server) = logged(|_| ());
    for origin in [
        &b""[..],
        b"localhost:3000",
        b"ws://localhost:3000",
        b"https://*.example",
        b"http://a.example/b",
        b"http://a,http://b",
        b"<script>alert(1)</script>",
        b"http://\xff\xfe",
        &[b"http://".as_slice(), &[b'a'; 8000]].concat(),
        // One byte longer than a name in an origin can be.
        &[b"https://".as_slice(), &[b'a'; 254], b":65535"].concat(),
    ] {
        let answer = refused(server.local_addr(), "chat.example", origin);
        assert!(answer.contains("no browser sends such an origin"), "{answer}");
        assert!(!answer.contains("--origin"), "{answer}");
        assert!(answer.len() < 600 && answer.is_ascii(), "{answer}");
    }
    let host = "h".repeat(8000);
    assert!(refused(server.local_addr(), &host, b"null").len() < 600);
}

#[test]
fn an_answer_repeats_no_more_than_a_bounded_part_of_a_request() {
    let (_kept, server) = logged(|_| ());
    let long = "x".repeat(8000);
    for (target, host, status) in [(format!("/{long}"), "a", 404), ("/".to_owned(), &*long, 200)] {
        let mut peer = Peer::connect(server.local_addr());
        peer.write(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
        let response = peer.response();
        assert_eq!(response.status, status);
        assert!(
            response.body.contains("xxx...") && response.body.len() < 1200,
            "{}",
            response.body
        );
    }
}

/// The lines that say that a connection was refused.
fn refusals(kept: &Kept, level: Level) -> Vec<Line> {
    let lines = kept.whole_lines(level).into_iter();
    lines.filter(|line| line.message == "connection refused").collect()
}

/// The number that a field has.
fn number(line: &Line, field: &str) -> usize {
    let (_, rest) = line.fields.split_once(&format!(" {field}=")).unwrap();
    rest.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn a_refused_page_is_an_info_line_at_a_bounded_rate_that_names_origin_host_and_option() {
    let (kept, server) = logged(|_| ());
    let began = Instant::now();
    for _ in 0..50 {
        refused(server.local_addr(), "chat.example:9001", b"http://localhost:3000");
    }
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap();
    assert_eq!(refusals(&kept, Level::DEBUG).len(), 50);
    assert_eq!(refusals(&kept, Level::WARN).len(), 0);
    let lines = refusals(&kept, Level::INFO);
    assert!((1..=seconds + 1).contains(&lines.len()), "{lines:?}");
    for named in [
        "http://localhost:3000 (Origin)",
        "chat.example:9001 (Host)",
        "option origin",
        "status=403",
    ] {
        assert!(lines[0].fields.contains(named), "{named} in {lines:?}");
    }
    assert_eq!(number(&lines[0], "others"), 0);
    // A line a second passes, and says how many did not.
    let deadline = Instant::now() + PATIENCE;
    while refusals(&kept, Level::INFO).len() < 2 {
        assert!(Instant::now() < deadline, "no second line");
        refused(server.local_addr(), "chat.example:9001", b"null");
    }
    let all = refusals(&kept, Level::DEBUG);
    let second = (1..all.len()).find(|index| all[*index].level == Level::INFO).unwrap();
    assert_eq!(number(&all[second], "others"), second - 1);
}

/// Repeats what causes a line until the bound on the log lets a line pass.
fn passes(kept: &Kept, level: Level, named: &str, cause: impl Fn()) {
    let deadline = Instant::now() + PATIENCE;
    while !refusals(kept, level).iter().any(|line| line.fields.contains(named)) {
        assert!(Instant::now() < deadline, "no line with {named:?}");
        cause();
    }
}

#[test]
fn a_request_to_upgrade_at_an_unknown_path_is_an_info_line_at_a_bounded_rate() {
    let (kept, server) = logged(|_| ());
    let ask = |path: &str, lines: &[&str]| {
        let response = proxied(&server, &format!("GET {path} HTTP/1.1"), lines);
        assert_eq!(response.status, 404);
        response.body
    };
    let began = Instant::now();
    for _ in 0..50 {
        ask("/chat/rooms/x", &["Upgrade: websocket", "Connection: Upgrade"]);
    }
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap();
    let lines = refusals(&kept, Level::INFO);
    assert!((1..=seconds + 1).contains(&lines.len()), "{lines:?}");
    assert!(lines[0].fields.contains("nothing at /chat/rooms/x"), "{lines:?}");
    passes(&kept, Level::INFO, "nothing at /cut", || _ = ask("/cut", &["Connection: close"]));
    assert!(ask("//rooms/x", &[]).contains("location needs one at its end as well"));
    // Scanners ask for many pages, and for no WebSocket: they are answered, and not refused.
    let mut peer = Peer::connect(server.local_addr());
    peer.write(b"GET /wp-login.php HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(peer.response().status, 404);
    let all = refusals(&kept, Level::DEBUG);
    assert!(all.iter().all(|line| !line.fields.contains("wp-login")), "{all:?}");
}

#[test]
fn who_speaks_tls_is_told_that_the_port_speaks_plain_http_and_so_is_the_log() {
    let (kept, server) = logged(|_| ());
    let mut peer = Peer::connect(server.local_addr());
    peer.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
    let response = peer.response();
    assert_eq!(response.status, 400);
    let text = "this port speaks plain HTTP: use ws://, or put a proxy with TLS in front";
    assert!(response.body.contains(text), "{response:?}");
    let lines = refusals(&kept, Level::INFO);
    assert!(lines.len() == 1 && lines[0].fields.contains(text), "{lines:?}");
}

#[test]
fn a_host_has_no_user_name() {
    let (_kept, server) = logged(|_| ());
    for (target, host) in [("/", "evil@127.0.0.1:9821"), ("http://evil@a/", "a")] {
        let mut peer = Peer::connect(server.local_addr());
        peer.write(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
        assert_eq!(peer.response().status, 400, "{target} {host}");
    }
}

/// What a proxy makes of a request for WebSocket.
fn proxied(server: &Server, request: &str, lines: &[&str]) -> Response {
    let mut peer = Peer::connect(server.local_addr());
    let key = format!("Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13");
    peer.write(
        format!("{request}\r\nHost: a\r\n{key}\r\n{}\r\n\r\n", lines.join("\r\n")).as_bytes(),
    );
    peer.response()
}

#[test]
fn what_a_proxy_has_removed_is_named_in_each_answer_and_in_the_log() {
    let (kept, server) = logged(|_| ());
    for (request, lines, status, named) in [
        ("GET / HTTP/1.0", &["Connection: close"][..], 426, "without the header Upgrade"),
        ("GET /rooms/x HTTP/1.1", &["Connection: close"], 426, "without the header Upgrade"),
        (
            "GET / HTTP/1.1",
            &["Upgrade: h2c", "Connection: Upgrade"],
            426,
            "without the header Upgrade",
        ),
        (
            "GET / HTTP/1.1",
            &["Upgrade: websocket", "Connection: close"],
            426,
            "without Upgrade in the header Connection",
        ),
        ("GET / HTTP/1.0", &["Upgrade: websocket", "Connection: Upgrade"], 400, "as HTTP/1.0"),
    ] {
        for _ in 0..2 {
            let response = proxied(&server, request, lines);
            assert_eq!(response.status, status, "{request} {lines:?}");
            for named in [named, "in front of this server", "nginx: proxy_http_version 1.1;"] {
                assert!(response.body.contains(named), "{named} in {}", response.body);
            }
            let upgrade = (status == 426).then_some("websocket");
            assert_eq!(response.header("Upgrade"), upgrade, "RFC 9110, 15.5.22");
        }
    }
    assert_eq!(refusals(&kept, Level::DEBUG).len(), 10);
    // A line for each fault: somebody who corrects one sees the next.
    let lines = refusals(&kept, Level::WARN);
    assert_eq!(lines.len(), 3, "{lines:?}");
    let named = ["the header Upgrade", "Upgrade in the header Connection", "as HTTP/1.0"];
    for (line, named) in lines.iter().zip(named) {
        assert!(
            line.fields.contains(named) && line.fields.contains("nginx"),
            "{named} in {line:?}"
        );
        assert_eq!(number(line, "others"), 0);
    }
    // A client that asks for no WebSocket is not told of proxies.
    let mut peer = Peer::connect(server.local_addr());
    peer.write(b"GET /rooms/x HTTP/1.1\r\nHost: a\r\n\r\n");
    let response = peer.response();
    assert!(response.status == 426 && !response.body.contains("proxy"), "{response:?}");
}

#[test]
fn a_client_that_offers_subprotocols_is_served_without_and_named_once_in_the_log() {
    let (kept, server) = logged(|_| ());
    let said = || {
        let lines = kept.whole_lines(Level::TRACE).into_iter();
        lines.filter(|line| line.message.contains("subprotocols")).collect::<Vec<_>>()
    };
    Peer::join(server.local_addr(), "/").is_served();
    assert!(said().is_empty());
    for _ in 0..2 {
        let mut peer = Peer::connect(server.local_addr());
        let offers = [
            "Sec-WebSocket-Protocol: access_token, s3cretApiKey1234567890",
            "sec-websocket-protocol: a,b,,c",
        ];
        let response = peer.upgrade("/rooms/other", &offers);
        assert_eq!(response.status, 101);
        assert_eq!(response.header("Sec-WebSocket-Protocol"), None);
        peer.is_served();
    }
    let lines = said();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0].level, Level::WARN);
    assert!(lines[0].fields.contains("addr="), "{lines:?}");
    assert!(lines[0].message.contains("a client offers subprotocols (5)"), "{lines:?}");
    // Some clients send a secret in place of a name.
    assert!(!format!("{lines:?}").contains("s3cret"), "{lines:?}");
    assert!(lines[0].message.contains("new WebSocket(url)"), "{lines:?}");
}

#[test]
fn the_program_says_at_its_usual_level_which_flag_lets_a_page_in() {
    let mut server = Running::start(&["--listen", "127.0.0.1:0"]);
    let addr = server.address();
    refused(addr, &addr.to_string(), b"http://localhost:3000");
    server.signal("-TERM");
    let (status, log) = server.end();
    assert_eq!(status, Some(0), "{log}");
    let line = log.lines().find(|line| line.contains("connection refused")).unwrap();
    for named in [
        "INFO",
        "http://localhost:3000 (Origin)",
        &format!("{addr} (Host)"),
        "--origin http://localhost:3000",
    ] {
        assert!(line.contains(named), "{named} in {line}");
    }
    let mut server =
        Running::start(&["--listen", "127.0.0.1:0", "--origin", "http://localhost:3000"]);
    let addr = server.address();
    assert_eq!(connect(addr, &addr.to_string(), b"http://localhost:3000").status, 101);
    server.signal("-TERM");
    assert_eq!(server.status(), Some(0));
}

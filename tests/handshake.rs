//! Handshakes, bad ones and odd ones: what each is answered, in bytes that the peer can read.

mod peer;

use std::{
    io::{Read, Write},
    time::{Duration, Instant},
};

use chat::Kind;
use peer::{
    End, KEY, Peer, Response, eventually,
    frames::{PING, PONG, TEXT, masked},
    host::{server, server_with},
    upgrade_head,
};

/// The head of a request with these lines, of which each that is named replaces the right one.
fn head(request: &str, replaced: &[(&str, Option<&str>)]) -> String {
    let right = [
        ("Host", "127.0.0.1"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", KEY),
        ("Sec-WebSocket-Version", "13"),
    ];
    let mut head = format!("{request}\r\n");
    for (name, value) in right {
        let replacement = replaced.iter().find(|(other, _)| *other == name);
        if let Some(value) = replacement.map_or(Some(value), |(_, value)| *value) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    head + "\r\n"
}

/// Sends a bad request; the answer, after which the server closes and nothing else comes.
fn refused(server: &chat::Server, request: &[u8]) -> Response {
    let mut peer = Peer::connect(server.local_addr());
    peer.write(request);
    let response = peer.response();
    assert_eq!(peer.end(), End::Fin, "{response:?}");
    response
}

#[test]
fn a_malformed_request_is_answered_400() {
    let server = server();
    for request in [
        "GARBAGE\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n",
        "GET / HTTP/1.1\r\nno colon here\r\n\r\n",
        "GET / HTTP/1.1\r\nbad name: x\r\n\r\n",
        "GET /\x01 HTTP/1.1\r\n\r\n",
        "GET / HTTQ/1.1\r\n\r\n",
    ] {
        assert_eq!(refused(&server, request.as_bytes()).status, 400, "{request:?}");
    }
    assert_eq!(server.stats().connections_refused, 6);
}

#[test]
fn a_method_other_than_get_is_answered_405_with_those_allowed() {
    let server = server();
    for method in ["POST", "PUT", "DELETE", "TRACE", "BREW"] {
        for path in ["/", "/rooms/x"] {
            let head = head(&format!("{method} {path} HTTP/1.1"), &[]);
            let response = refused(&server, head.as_bytes());
            assert_eq!(response.status, 405, "{method} {path}");
            let allowed = response.header("Allow").expect("RFC 9110, 15.5.6");
            assert!(allowed.split(", ").any(|it| it == "GET"), "{allowed}");
        }
    }
}

#[test]
fn a_missing_or_short_key_is_answered_400() {
    let server = server();
    let keys = [
        None,
        Some(""),
        Some("c2hvcnQ="),
        Some("dGhlIHNhbXBsZSBub25jZSE="),
        Some("not base64, not!"),
    ];
    for key in keys {
        let head = head("GET / HTTP/1.1", &[("Sec-WebSocket-Key", key)]);
        assert_eq!(refused(&server, head.as_bytes()).status, 400, "{key:?}");
    }
}

#[test]
fn another_version_is_answered_426_with_the_right_one() {
    let server = server();
    for version in ["12", "8", "14", "0", "x"] {
        let head = head("GET / HTTP/1.1", &[("Sec-WebSocket-Version", Some(version))]);
        let response = refused(&server, head.as_bytes());
        assert_eq!(response.status, 426, "{version}");
        assert_eq!(response.header("Sec-WebSocket-Version"), Some("13"));
        assert_eq!(response.header("Upgrade"), Some("websocket"), "RFC 9110, 15.5.22");
        assert_eq!(response.header("Connection"), Some("close, upgrade"), "RFC 9110, 7.8");
    }
}

#[test]
fn http_1_0_is_refused() {
    let server = server();
    let head = head("GET / HTTP/1.0", &[]);
    let status = refused(&server, head.as_bytes()).status;
    assert!([400, 505].contains(&status), "{status}");
}

#[test]
fn a_room_without_an_upgrade_is_answered_426() {
    let server = server();
    for replaced in [
        [("Upgrade", None), ("Connection", None)],
        [("Upgrade", None), ("Connection", Some("Upgrade"))],
    ] {
        let head = head("GET /rooms/x HTTP/1.1", &replaced);
        let response = refused(&server, head.as_bytes());
        assert_eq!(response.status, 426, "{replaced:?}");
        let upgrade = response.header("Upgrade").expect("RFC 9110, 15.5.22");
        assert!(upgrade.eq_ignore_ascii_case("websocket"), "{upgrade}");
    }
}

#[test]
fn half_an_upgrade_is_none() {
    let server = server();
    for replaced in [("Connection", Some("close")), ("Connection", None), ("Upgrade", Some("h2c"))]
    {
        let head = head("GET /rooms/x HTTP/1.1", &[replaced]);
        let status = refused(&server, head.as_bytes()).status;
        assert!([400, 426].contains(&status), "{replaced:?}: {status}");
    }
}

#[test]
fn header_values_are_compared_as_http_compares_them() {
    let server = server();
    for (upgrade, connection) in
        [("WebSocket", "upgrade"), ("websocket", "keep-alive, Upgrade"), ("WEBSOCKET", "UPGRADE")]
    {
        let replaced = [("Upgrade", Some(upgrade)), ("Connection", Some(connection))];
        let mut peer = Peer::connect(server.local_addr());
        peer.write(head("GET / HTTP/1.1", &replaced).as_bytes());
        assert_eq!(peer.response().status, 101, "{replaced:?}");
        peer.is_served();
    }
}

#[test]
fn a_plain_get_says_how_to_connect_and_health_is_answered() {
    let server = server();
    let get = |path: &str| {
        let mut peer = Peer::connect(server.local_addr());
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", server.local_addr());
        peer.write(request.as_bytes());
        peer.response()
    };
    let page = get("/");
    assert_eq!(page.status, 200);
    assert!(page.header("Content-Type").is_some_and(|it| it.starts_with("text/")), "{page:?}");
    assert!(page.body.contains("ws://") && page.body.contains("/rooms/"), "{}", page.body);
    assert_eq!(get("/health").status, 200);
    assert_eq!(get("/health?x=1").status, 200);
    assert_eq!(get("/nothing").status, 404);
}

#[test]
fn an_answer_is_whole_as_http_has_it() {
    let server = server();
    let host = server.local_addr();
    for (method, body) in [("GET", "ok\n"), ("HEAD", "")] {
        let mut peer = Peer::connect(host);
        let request =
            format!("{method} /health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        peer.write(request.as_bytes());
        let mut answer = String::new();
        peer.stream.read_to_string(&mut answer).expect("an answer and its end");
        let (head, rest) = answer.split_once("\r\n\r\n").expect("a head");
        assert_eq!(rest, body, "{method}");
        let (status, lines) = head.split_once("\r\n").expect("headers");
        assert_eq!(status, "HTTP/1.1 200 OK");
        let lines = lines.to_ascii_lowercase();
        let (mut dates, mut others): (Vec<_>, Vec<_>) =
            lines.lines().partition(|line| line.starts_with("date: "));
        let date = dates.pop().expect("RFC 9110, 6.6.1");
        assert!(date.len() == 35 && date.ends_with(" gmt") && dates.is_empty(), "{date}");
        others.sort_unstable();
        assert_eq!(
            others,
            [
                "cache-control: no-store",
                "connection: close",
                "content-length: 3",
                "content-type: text/plain; charset=utf-8",
                "x-content-type-options: nosniff"
            ],
            "{method}: the length is that of the text in either"
        );
    }
}

#[test]
fn a_target_may_name_the_host_and_its_host_is_the_one_that_counts() {
    let server = server();
    let ask = |target: &str, host: &str| {
        let origin = "Origin: http://chat.test\r\n\r\n";
        let request = head(&format!("GET {target} HTTP/1.1"), &[("Host", Some(host))]);
        let request = request.strip_suffix("\r\n").expect("an empty line").to_owned() + origin;
        let mut peer = Peer::connect(server.local_addr());
        peer.write(request.as_bytes());
        peer.response().status
    };
    assert_eq!(ask("http://chat.test/rooms/a?echo=false", "other.test"), 101);
    assert_eq!(ask("http://other.test/rooms/a", "chat.test"), 403);
    assert_eq!(ask("http://chat.test", "other.test"), 101);
    assert_eq!(ask("/rooms/a#there", "chat.test"), 101);
}

#[test]
fn websocket_may_be_one_of_several_upgrades() {
    let server = server();
    let mut peer = Peer::connect(server.local_addr());
    peer.write(head("GET / HTTP/1.1", &[("Upgrade", Some("h2c, websocket"))]).as_bytes());
    assert_eq!(peer.response().status, 101);
    peer.is_served();
}

#[test]
fn what_two_readers_could_read_differently_is_answered_400() {
    let server = server();
    for line in [
        "Host: other.test",
        "Origin: http://a.test\r\nOrigin: http://b.test",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Version: 13",
        "Content-Length: 5",
        "Transfer-Encoding: chunked",
        " folded: line",
    ] {
        let request = head("GET / HTTP/1.1", &[]);
        let request = request.strip_suffix("\r\n").expect("an empty line").to_owned();
        let request = format!("{request}{line}\r\n\r\n");
        assert_eq!(refused(&server, request.as_bytes()).status, 400, "{line}");
    }
}

#[test]
fn half_a_head_and_no_more_is_answered_400() {
    let server = server();
    let mut peer = Peer::connect(server.local_addr());
    peer.write(b"GET / HTTP/1.1\r\nHost: a\r\n");
    peer.finish();
    assert_eq!(peer.response().status, 400);
    assert_eq!(peer.end(), End::Fin);
}

#[test]
fn a_connection_on_which_nothing_comes_is_closed_without_a_word_and_half_a_request_is_answered_408()
{
    let timeout = Duration::from_millis(100);
    let server = server_with(|config| _ = config.handshake_timeout(timeout));
    for (sent, status) in [(&b""[..], None), (b"GET / HT", Some(408)), (b"\r\n", Some(408))] {
        let begun = Instant::now();
        let mut peer = Peer::connect(server.local_addr());
        peer.write(sent);
        if let Some(status) = status {
            assert_eq!(peer.response().status, status);
        }
        assert_eq!(peer.end(), End::Fin);
        assert!(begun.elapsed() >= timeout);
    }
    // One that ends without a word is not answered either.
    let mut peer = Peer::connect(server.local_addr());
    peer.finish();
    assert_eq!(peer.end(), End::Fin);
    eventually("each is counted", || server.stats().connections_refused == 4);
}

#[test]
fn a_request_for_a_page_is_counted_as_answered_and_not_as_refused() {
    let server = server();
    for (request, answered, refused) in [
        ("GET /health HTTP/1.1\r\nHost: a\r\n\r\n", 1, 0),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 2, 0),
        ("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", 3, 0),
        ("POST /health HTTP/1.1\r\nHost: a\r\n\r\n", 4, 0),
        ("GET /rooms/x HTTP/1.1\r\nHost: a\r\n\r\n", 5, 0),
        ("GET /rooms/x HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n", 5, 1),
        ("GET /rooms/x HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: x\r\n\r\n", 5, 2),
        ("GET /nothing HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n", 5, 3),
        ("NONSENSE\r\n\r\n", 5, 4),
    ] {
        let mut peer = Peer::connect(server.local_addr());
        peer.write(request.as_bytes());
        peer.response();
        let stats = server.stats();
        assert_eq!((stats.requests_answered, stats.connections_refused), (answered, refused));
    }
}

#[test]
fn a_head_over_16_kib_is_answered_431_and_one_under_it_is_served() {
    let server = server();
    let addr = server.local_addr();
    for endless in [false, true] {
        let mut head = upgrade_head(addr, "/", &[&format!("X-Long: {}", "x".repeat(100 * 1024))]);
        if endless {
            head.truncate(head.len() - 4);
        }
        let mut peer = Peer::connect(addr);
        // The server may have closed before it took everything; its answer can be read all the same.
        let _ = peer.stream.write_all(head.as_bytes());
        assert_eq!(peer.response().status, 431);
        assert_eq!(peer.end(), End::Fin);
    }
    let mut peer = Peer::connect(addr);
    assert_eq!(peer.upgrade("/", &[&format!("X-Long: {}", "x".repeat(15 * 1024))]).status, 101);
    peer.is_served();
}

#[test]
fn a_head_that_arrives_byte_by_byte_is_as_good() {
    let server = server();
    let mut peer = Peer::connect(server.local_addr());
    for byte in upgrade_head(server.local_addr(), "/", &[]).bytes() {
        peer.write(&[byte]);
    }
    assert_eq!(peer.response().status, 101);
    peer.is_served();
}

#[test]
fn empty_lines_before_a_head_are_skipped_and_count_as_the_head() {
    let server = server();
    let head = upgrade_head(server.local_addr(), "/", &[]);
    for cut in [0, 1, 2, 3, 4, 5] {
        let request = format!("\r\n\r\n{head}");
        let mut peer = Peer::connect(server.local_addr());
        let (first, rest) = request.as_bytes().split_at(cut);
        peer.write(first);
        peer.write(rest);
        assert_eq!(peer.response().status, 101, "{cut}");
        peer.is_served();
    }
    assert_eq!(refused(&server, &b"\n".repeat(16 * 1024)).status, 431);
}

#[test]
fn frames_in_the_handshakes_segment_are_not_lost() {
    let server = server();
    let long = "long ".repeat(10_000);
    for texts in [&["one", "two"][..], &["one"], &[&long, "after the long one"]] {
        let mut bytes = upgrade_head(server.local_addr(), "/", &[]).into_bytes();
        for text in texts {
            bytes.extend(masked(TEXT, text.as_bytes()));
        }
        bytes.extend(masked(PING, b"all?"));
        // Half a frame waits for its other half.
        let last = masked(TEXT, b"the last");
        bytes.extend(&last[..7]);
        let mut peer = Peer::connect(server.local_addr());
        peer.write(&bytes);
        assert_eq!(peer.response().status, 101);
        let mut answers = Vec::new();
        for _ in 0..=texts.len() {
            answers.push(peer.frame());
        }
        let (pongs, messages): (Vec<_>, Vec<_>) = answers.iter().partition(|it| it.head == PONG);
        assert_eq!(pongs.iter().map(|it| it.text()).collect::<Vec<_>>(), ["all?"]);
        assert!(messages.iter().map(|it| it.text()).eq(texts.iter().copied()));
        peer.write(&last[7..]);
        assert_eq!(peer.text(), "the last");
    }
}

#[test]
fn a_client_that_leaves_inside_its_handshake_harms_nobody() {
    let server = server();
    let mut witness = Peer::join(server.local_addr(), "/");
    let head = upgrade_head(server.local_addr(), "/", &[]);
    for length in [0, 1, 20, head.len() - 1, head.len()] {
        let mut peer = Peer::connect(server.local_addr());
        peer.write(&head.as_bytes()[..length]);
        peer.finish();
        peer.drain();
    }
    peer::eventually("all have left", || {
        let stats = server.stats();
        (stats.connections, stats.handshakes) == (1, 0)
    });
    server.publish("lobby", Kind::Text, b"still here").unwrap();
    assert_eq!(witness.text(), "still here");
}

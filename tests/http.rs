//! What speaks HTTP and asks for no stream: kept connections, methods, bodies, and a stream behind them.

mod peer;

use std::{
    io::{Read, Write},
    time::{Duration, Instant},
};

use chat::Error;
use peer::{
    End, PATIENCE, Peer, Response, eventually,
    frames::{TEXT, masked},
    host::{Events, server, server_with},
    upgrade_head,
};

fn request(line: &str, headers: &[&str]) -> String {
    let mut request = format!("{line}\r\nHost: chat.test\r\n");
    for header in headers {
        request.push_str(header);
        request.push_str("\r\n");
    }
    request + "\r\n"
}

/// Asks on a connection that is kept.
fn ask(peer: &mut Peer, line: &str, headers: &[&str]) -> Response {
    peer.write(request(line, headers).as_bytes());
    peer.response()
}

fn get(peer: &mut Peer, path: &str) -> Response {
    ask(peer, &format!("GET {path} HTTP/1.1"), &[])
}

/// Everything that comes up to the end.
fn everything(server: &chat::Server, bytes: &str) -> String {
    let mut peer = Peer::connect(server.local_addr());
    peer.write(bytes.as_bytes());
    let mut answer = String::new();
    peer.stream.read_to_string(&mut answer).expect("an answer and its end");
    answer
}

fn closes(response: &Response) -> bool {
    let connection = response.header("Connection").unwrap_or_default().to_ascii_lowercase();
    connection.split(", ").any(|it| it == "close")
}

#[test]
fn a_connection_is_kept_whatever_is_asked_on_it() {
    let server = server();
    let mut peer = Peer::connect(server.local_addr());
    for _ in 0..3 {
        for (path, status) in [
            ("/health", 200),
            ("/ready?x=%zz", 200),
            ("/", 200),
            ("/nothing", 404),
            ("/rooms/a", 426),
            ("/rooms/a%0Ab", 400),
        ] {
            let response = get(&mut peer, path);
            assert_eq!(response.status, status, "{path}");
            assert!(!closes(&response), "{path}: {response:?}");
            assert!(!response.body.is_empty(), "{path}");
        }
    }
    let stats = server.stats();
    assert_eq!((stats.requests_answered, stats.connections_refused), (18, 0));
    eventually("an idle connection has no permit", || server.stats().handshakes == 0);
    let last = ask(&mut peer, "GET /health HTTP/1.1", &["Connection: close"]);
    assert!(closes(&last));
    assert_eq!(peer.end(), End::Fin);
    eventually("its permit is released", || server.stats().handshakes == 0);
}

#[test]
fn http_1_0_closes_unless_keep_alive_is_asked_for() {
    let server = server();
    // As HAProxy asks by default, and as it can be told to.
    for line in ["OPTIONS / HTTP/1.0", "GET /health HTTP/1.0", "GET /ready HTTP/1.0"] {
        let answer = everything(&server, &format!("{line}\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.0 20") || answer.starts_with("HTTP/1.1 20"), "{answer}");
    }
    let mut peer = Peer::connect(server.local_addr());
    for _ in 0..3 {
        let answer = ask(&mut peer, "GET /health HTTP/1.0", &["Connection: keep-alive"]);
        assert_eq!(answer.header("Connection"), Some("keep-alive"), "RFC 9112, C.2.2");
    }
    ask(&mut peer, "GET /health HTTP/1.0", &[]);
    assert_eq!(peer.end(), End::Fin);
}

#[test]
fn each_page_says_which_methods_it_has() {
    let server = server();
    let mut peer = Peer::connect(server.local_addr());
    for target in ["/", "/health", "/ready", "*"] {
        let response = ask(&mut peer, &format!("OPTIONS {target} HTTP/1.1"), &[]);
        assert_eq!(response.status, 204, "{target}");
        assert_eq!(response.header("Allow"), Some("GET, HEAD, OPTIONS"), "{target}");
        assert_eq!(response.header("Content-Length"), None, "RFC 9110, 8.6");
    }
    for target in ["/", "/health", "/ready", "/rooms/x"] {
        for method in ["POST", "PUT", "DELETE", "TRACE", "BREW"] {
            let response = ask(&mut peer, &format!("{method} {target} HTTP/1.1"), &[]);
            assert_eq!(response.status, 405, "{method} {target}");
            let allowed = response.header("Allow").expect("RFC 9110, 15.5.6");
            assert!(allowed.split(", ").any(|it| it == "GET"), "{allowed}");
        }
    }
    assert_eq!(get(&mut peer, "*").status, 404);
}

#[test]
fn a_check_is_not_stored_and_the_home_page_depends_on_accept() {
    let server = server();
    let mut peer = Peer::connect(server.local_addr());
    for (path, control, vary) in [
        ("/health", Some("no-store"), None),
        ("/ready", Some("no-store"), None),
        ("/", None, Some("Accept")),
    ] {
        let response = get(&mut peer, path);
        assert_eq!(response.header("Cache-Control"), control, "{path}");
        assert_eq!(response.header("Vary"), vary, "{path}");
    }
}

#[test]
fn a_target_of_another_scheme_is_404_as_a_first_request_and_as_a_later_one() {
    let server = server();
    for (target, status) in [
        ("foo://host/rooms/a?format=events", 404),
        ("foo://host/health", 404),
        ("ftp://host", 404),
        ("HTTP://host/health", 200),
        ("WSS://host/health", 200),
    ] {
        for is_kept in [false, true] {
            let mut peer = Peer::connect(server.local_addr());
            if is_kept {
                assert_eq!(get(&mut peer, "/health").status, 200);
            }
            assert_eq!(get(&mut peer, target).status, status, "{target}, kept: {is_kept}");
        }
    }
    assert_eq!(server.stats().connections_accepted, 0);
}

#[test]
fn the_answer_to_head_is_that_to_get_without_its_text() {
    let server = server();
    for path in ["/health", "/ready", "/", "/nothing", "/rooms/x"] {
        let of = |method: &str| {
            let close = ["Connection: close"];
            let answer =
                everything(&server, &request(&format!("{method} {path} HTTP/1.1"), &close));
            let (head, text) = answer.split_once("\r\n\r\n").expect("a head");
            let head: Vec<_> = head.lines().filter(|it| !it.starts_with("date")).collect();
            (head.join("\n"), text.to_owned())
        };
        let ((head, none), (get, text)) = (of("HEAD"), of("GET"));
        assert_eq!((head, none), (get, String::new()), "{path}");
        assert!(!text.is_empty(), "{path}");
    }
    let upgrade = upgrade_head(server.local_addr(), "/", &[]).replace("GET", "HEAD");
    let refused = everything(&server, &upgrade);
    assert!(refused.starts_with("HTTP/1.1 405 ") && refused.ends_with("\r\n\r\n"), "{refused}");
}

#[test]
fn requests_that_come_at_once_are_answered_in_their_order() {
    let server = server();
    let mut peer = Peer::connect(server.local_addr());
    let paths = ["/health", "/nothing", "/rooms/x", "/"];
    let all: String =
        paths.iter().map(|path| request(&format!("GET {path} HTTP/1.1"), &[])).collect();
    peer.write(all.repeat(50).as_bytes());
    for turn in 0..50 {
        for status in [200, 404, 426, 200] {
            assert_eq!(peer.response().status, status, "{turn}");
        }
    }
    // Empty lines between requests: RFC 9112, 2.2.
    peer.write(format!("\r\n\r\n{}", request("GET /health HTTP/1.1", &[])).as_bytes());
    assert_eq!(peer.response().status, 200);
}

#[test]
fn a_client_that_ends_its_stream_behind_its_request_is_answered() {
    let server = server();
    for bytes in [request("GET /health HTTP/1.1", &[]), request("GET / HTTP/1.1", &[]).repeat(2)] {
        let mut peer = Peer::connect(server.local_addr());
        peer.write(bytes.as_bytes());
        peer.finish();
        for _ in 0..bytes.matches("GET").count() {
            assert_eq!(peer.response().status, 200);
        }
        assert_eq!(peer.end(), End::Fin);
    }
    eventually("both have ended", || server.stats().handshakes == 0);
}

#[test]
fn a_body_is_thrown_away_and_the_next_request_is_read_behind_it() {
    let server = server();
    let mut peer = Peer::connect(server.local_addr());
    for (headers, body) in [
        (["Content-Length: 5", "X: y"], "GET /".to_owned()),
        (["Content-Length: 65536", "X: y"], "x".repeat(65_536)),
        (
            ["Transfer-Encoding: chunked", "X: y"],
            "3\r\nGET\r\n10;a=b\r\n0123456789abcdef\r\n0\r\n\r\n".to_owned(),
        ),
        (["Transfer-Encoding: chunked", "Trailer: T"], "1\r\nx\r\n0\r\nT: u\r\n\r\n".to_owned()),
    ] {
        for (line, status) in [("POST /health HTTP/1.1", 405), ("GET /health HTTP/1.1", 200)] {
            peer.write(format!("{}{body}", request(line, &headers)).as_bytes());
            let response = peer.response();
            assert_eq!(response.status, status, "{headers:?}");
            assert!(!closes(&response), "{headers:?}");
        }
    }
    assert_eq!(get(&mut peer, "/ready").status, 200);
}

#[test]
fn a_client_that_expects_100_continue_gets_it_before_it_sends_its_body() {
    let server = server();
    let mut peer = Peer::connect(server.local_addr());
    for _ in 0..2 {
        let expect = ["Content-Length: 5", "Expect: 100-continue"];
        assert_eq!(ask(&mut peer, "POST /health HTTP/1.1", &expect).status, 100);
        peer.write(b"hello");
        assert_eq!(peer.response().status, 405);
    }
    // One that would send too much is told so instead.
    let expect = ["Content-Length: 65537", "Expect: 100-continue"];
    let response = ask(&mut peer, "POST /health HTTP/1.1", &expect);
    assert_eq!(response.status, 413);
    assert!(closes(&response));
    assert_eq!(peer.end(), End::Fin);
}

#[test]
fn a_websocket_may_begin_on_a_connection_that_was_kept() {
    let server = server_with(|config| _ = config.event_queue(100));
    let mut events = Events::of(&server);
    let upgrade = upgrade_head(server.local_addr(), "/rooms/tea?echo=true", &["X-Mark: One"]);
    let health = request("GET /health HTTP/1.1", &[]);
    // Longer than what hyper reads at once.
    let text = "behind the head".repeat(400);
    let said = masked(TEXT, text.as_bytes());
    for pipelined in [0, 1, 2, 40, 160] {
        for with_pauses in [true, false] {
            let mut peer = Peer::connect(server.local_addr());
            if with_pauses {
                for _ in 0..pipelined {
                    assert_eq!(get(&mut peer, "/health").status, 200);
                }
                peer.write(upgrade.as_bytes());
            } else {
                let mut bytes = health.repeat(pipelined).into_bytes();
                bytes.extend(upgrade.as_bytes());
                bytes.extend(&said);
                peer.write(&bytes);
                for _ in 0..pipelined {
                    assert_eq!(peer.response().status, 200);
                }
            }
            assert_eq!(peer.response().status, 101, "{pipelined}");
            if !with_pauses {
                assert_eq!(peer.text(), text);
            }
            peer.is_served();
            events.find("Connected", |event| match event {
                chat::Event::Connected { room, request, .. } => {
                    assert_eq!(&*room, "tea");
                    assert_eq!((&*request.path, &*request.query), ("/rooms/tea", "echo=true"));
                    let mark = request.headers.iter().find(|(name, _)| name == "x-mark");
                    assert_eq!(mark.expect("as it came").1, b"One");
                    Some(())
                }
                _ => None,
            });
            peer.leave();
        }
    }
    eventually("all have left", || {
        let stats = server.stats();
        (stats.connections, stats.handshakes) == (0, 0)
    });
    assert_eq!(server.stats().connections_accepted, 10);
}

#[test]
fn a_websocket_on_a_kept_connection_is_refused_as_a_first_one_is() {
    let server = server();
    let addr = server.local_addr();
    let right = upgrade_head(addr, "/rooms/tea", &[]);
    for (bytes, status) in [
        (upgrade_head(addr, "/", &["Origin: http://other.test"]), 403),
        (upgrade_head(addr, "/nowhere", &[]), 404),
        (upgrade_head(addr, "/rooms/%zz", &[]), 400),
        (upgrade_head(addr, "/rooms/..", &[]), 400),
        (right.replace("Upgrade: websocket\r\n", ""), 426),
        (right.replace("Connection: Upgrade\r\n", ""), 426),
        (right.replace("Version: 13", "Version: 8"), 426),
        (right.replace("GET", "POST"), 405),
        (upgrade_head(addr, "/", &["Content-Length: 5"]) + "hello", 400),
        (upgrade_head(addr, "/", &["Sec-WebSocket-Version: 13"]), 400),
        (upgrade_head(addr, "/", &["Host: b"]), 400),
    ] {
        let mut answers = Vec::new();
        for is_first in [true, false] {
            let mut peer = Peer::connect(addr);
            if !is_first {
                assert_eq!(get(&mut peer, "/health").status, 200);
            }
            peer.write(bytes.as_bytes());
            let response = peer.response();
            assert_eq!(response.status, status, "{bytes}");
            assert!(closes(&response), "{bytes}: {response:?}");
            assert_eq!(peer.end(), End::Fin, "{bytes}");
            answers.push(response.body);
        }
        assert_eq!(answers[0], answers[1], "{bytes}");
    }
    assert_eq!(server.stats().connections_refused, 22);
}

#[test]
fn a_host_decides_on_a_client_of_a_kept_connection_too() {
    let server = server_with(|config| {
        config.event_queue(100).admission_timeout(PATIENCE);
    });
    let mut events = Events::of(&server);
    for admits in [true, false] {
        let mut peer = Peer::connect(server.local_addr());
        assert_eq!(get(&mut peer, "/health").status, 200);
        peer.write(upgrade_head(server.local_addr(), "/rooms/tea", &[]).as_bytes());
        let client = events.find("ConnectRequest", |event| match event {
            chat::Event::ConnectRequest { client, .. } => Some(client),
            _ => None,
        });
        eventually("a host may decide slowly", || server.stats().handshakes == 0);
        if admits {
            server.accept(client).expect("it waits");
            assert_eq!(peer.response().status, 101);
            peer.is_served();
        } else {
            server.reject(client, 401, "sign in", &[]).expect("it waits");
            assert_eq!(peer.response().status, 401);
            assert_eq!(peer.end(), End::Fin);
        }
    }
}

#[test]
fn ready_says_whether_a_further_client_is_taken() {
    let server = server_with(|config| _ = config.max_connections(1));
    let mut peer = Peer::connect(server.local_addr());
    assert_eq!(get(&mut peer, "/ready").status, 200);
    let client = Peer::join(server.local_addr(), "/");
    let response = get(&mut peer, "/ready");
    assert_eq!(response.status, 503);
    assert!(response.body.contains("too many connections"), "{}", response.body);
    assert_eq!(get(&mut peer, "/health").status, 200, "it is alive");
    client.leave();
    eventually("there is room again", || get(&mut peer, "/ready").status == 200);
}

#[test]
fn a_stop_ends_what_is_idle_and_answers_what_is_half_asked_with_503() {
    let server = server_with(|config| _ = config.workers(1));
    let addr = server.local_addr();
    // It keeps the server in its drain, since it does not answer the close frame.
    let mut witness = Peer::join(addr, "/");
    let mut idle = Peer::connect(addr);
    let mut asking = Peer::connect(addr);
    let mut sending = Peer::connect(addr);
    for peer in [&mut idle, &mut asking, &mut sending] {
        assert_eq!(get(peer, "/ready").status, 200);
    }
    asking.write(b"GET /ready HTTP/1.1\r\nHost");
    let expect = ["Content-Length: 5", "Expect: 100-continue"];
    assert_eq!(ask(&mut sending, "POST /ready HTTP/1.1", &expect).status, 100);
    // Its one worker has read what was sent once it has answered a later connection.
    assert_eq!(get(&mut Peer::connect(addr), "/ready").status, 200);
    server.request_stop();
    assert_eq!(idle.end(), End::Fin);
    for peer in [&mut asking, &mut sending] {
        let response = peer.response();
        assert_eq!((response.status, closes(&response)), (503, true), "{response:?}");
    }
    assert_eq!(witness.closed().0, 1001);
    let begun = Instant::now();
    assert!(matches!(server.stop(Duration::ZERO), Err(Error::TimedOut)));
    assert!(begun.elapsed() < PATIENCE);
}

#[test]
fn a_stop_does_not_wait_for_connections_that_are_kept() {
    let server = server();
    let mut peers: Vec<_> = (0..100).map(|_| Peer::connect(server.local_addr())).collect();
    for peer in &mut peers {
        assert_eq!(get(peer, "/health").status, 200);
        peer.write(b"GET /he");
    }
    let begun = Instant::now();
    server.stop(Duration::from_secs(3600)).expect("nobody is aborted");
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
}

#[test]
fn under_a_base_path_rooms_and_pages_are_there_and_nowhere_else() {
    let server = server_with(|config| {
        config.base_path("/chat/one").event_queue(100);
    });
    let addr = server.local_addr();
    let mut events = Events::of(&server);
    for (path, room) in
        [("/chat/one/rooms/tea", "tea"), ("/chat/one/", "lobby"), ("/chat/one", "lobby")]
    {
        Peer::join(addr, path).is_served();
        events.find("Connected", |event| match event {
            chat::Event::Connected { room: entered, request, .. } => {
                assert_eq!((&*entered, &*request.path), (room, path), "the path is as it came");
                Some(())
            }
            _ => None,
        });
    }
    let mut peer = Peer::connect(addr);
    for (path, status) in [
        ("/chat/one/health", 200),
        ("/chat/one/ready", 200),
        ("/health", 200),
        ("/ready", 200),
        ("/chat/one", 200),
        ("/chat/one/rooms/x", 426),
        ("/", 404),
        ("/rooms/x", 404),
        ("/chat", 404),
        ("/chat/oneandmore/", 404),
        ("/chat/one/chat/one/", 404),
    ] {
        assert_eq!(get(&mut peer, path).status, status, "{path}");
    }
    // A check is no stream, whatever it accepts.
    for path in ["/chat/one/ready", "/health"] {
        let response =
            ask(&mut peer, &format!("GET {path} HTTP/1.1"), &["Accept: text/event-stream"]);
        assert_eq!((response.status, response.body.as_str()), (200, "ok\n"), "{path}");
    }
    let page = get(&mut peer, "/chat/one/").body;
    assert!(page.contains("ws://chat.test/chat/one/rooms/{room}"), "{page}");
    let refused = Peer::connect(addr).upgrade("/rooms/tea", &[]);
    assert_eq!(refused.status, 404);
    assert!(refused.body.contains("base_path") && refused.body.contains("/chat/one/rooms/{room}"));
    peer.write(upgrade_head(addr, "/chat/one/rooms/tea", &[]).as_bytes());
    assert_eq!(peer.response().status, 101, "on a connection that was kept");
    peer.is_served();
}

#[test]
fn a_base_path_that_is_none_is_refused_with_what_to_write() {
    for (path, named) in [
        ("chat", "begins with /"),
        ("/chat/", "does not end with /"),
        ("/", "does not end with /"),
        ("/a//b", "empty"),
        ("/a/../b", "step"),
        ("/a?b", "'?'"),
        ("/a b", "' '"),
        ("/a%20b", "'%'"),
        ("/caf\u{e9}", "'\u{e9}'"),
        (&format!("/{}", "x".repeat(256)), "256 bytes"),
    ] {
        let Err(Error::InvalidConfig(problems)) = chat::Config::new().base_path(path).start()
        else {
            panic!("{path} is taken")
        };
        assert_eq!(problems[0].option, "base_path");
        assert!(problems[0].text.contains(named), "{path}: {}", problems[0].text);
    }
    for path in ["", "/chat", "/a/b.c/~d", &format!("/{}", "x".repeat(255))] {
        let server = chat::Config::new().listen("127.0.0.1:0").base_path(path).start();
        assert!(server.is_ok(), "{path}");
    }
}

#[test]
fn an_upgrade_to_something_else_is_ignored() {
    let server = server();
    let mut peer = Peer::connect(server.local_addr());
    // As curl asks for HTTP/2: RFC 9110, 7.8.
    let h2c = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"];
    for _ in 0..3 {
        let response = ask(&mut peer, "GET /health HTTP/1.1", &h2c);
        assert_eq!((response.status, closes(&response)), (200, false), "{response:?}");
    }
    let _ = peer.stream.write_all(upgrade_head(server.local_addr(), "/", &[]).as_bytes());
    assert_eq!(peer.response().status, 101);
    peer.is_served();
}

#[test]
fn an_event_stream_may_begin_on_a_connection_that_was_kept() {
    let server = server_with(|config| _ = config.event_queue(100));
    let mut events = Events::of(&server);
    let stream = request("GET /rooms/tea HTTP/1.1", &["Accept: text/event-stream"]);
    for (before, at_once) in [(0, true), (1, true), (1, false), (40, true), (3, false)] {
        let mut peer = Peer::connect(server.local_addr());
        let health = request("GET /health HTTP/1.1", &[]);
        if at_once {
            peer.write(format!("{}{stream}", health.repeat(before)).as_bytes());
        }
        for _ in 0..before {
            if !at_once {
                peer.write(health.as_bytes());
            }
            assert_eq!(peer.response().status, 200);
        }
        if !at_once {
            peer.write(stream.as_bytes());
        }
        let response = peer.response();
        assert_eq!(response.header("Content-Type"), Some("text/event-stream"), "{response:?}");
        assert!(closes(&response));
        events.connected();
        server.publish("tea", chat::Kind::Text, b"all ready").expect("it runs");
        let mut lines = String::new();
        while !lines.contains("data: all ready\n\n") {
            let mut bytes = [0; 1000];
            let len = peer.stream.read(&mut bytes).expect("an event");
            assert_ne!(len, 0, "{lines}");
            lines.push_str(std::str::from_utf8(&bytes[..len]).expect("text"));
        }
    }
    eventually("all are streams", || server.stats().handshakes == 0);
}

#[test]
fn a_browsers_question_before_a_stream_is_answered_and_its_connection_is_kept() {
    let server = server_with(|config| _ = config.origin("https://page.test"));
    let mut peer = Peer::connect(server.local_addr());
    let asks = ["Access-Control-Request-Method: GET", "Origin: https://page.test"];
    for target in ["/", "/rooms/tea"] {
        let response = ask(&mut peer, &format!("OPTIONS {target} HTTP/1.1"), &asks);
        assert_eq!((response.status, closes(&response)), (204, false), "{target}");
        assert_eq!(response.header("Access-Control-Allow-Origin"), Some("https://page.test"));
        assert_eq!(response.header("Access-Control-Allow-Headers"), Some("Last-Event-ID"));
    }
    let foreign = ["Access-Control-Request-Method: GET", "Origin: https://other.test"];
    assert_eq!(ask(&mut peer, "OPTIONS /rooms/tea HTTP/1.1", &foreign).status, 403);
    assert_eq!(get(&mut peer, "/health").status, 200);
}

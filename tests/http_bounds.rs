//! What a client may send that asks for no stream: bounded in bytes, in time and in number, and read in one way.

mod peer;

use std::{
    io::{ErrorKind, Read, Write},
    thread,
    time::{Duration, Instant},
};

use chat::Server;
use peer::{
    End, PATIENCE, Peer, eventually,
    host::{server, server_with},
    is_reset, upgrade_head,
};

const HEALTH: &str = "GET /health HTTP/1.1\r\nHost: a\r\n\r\n";

/// Long enough that a busy machine keeps it, and short enough to wait for.
const TIMEOUT: Duration = Duration::from_millis(300);

/// More than the buffers of two sockets hold, whatever the kernel makes of their sizes.
const MORE_THAN_SOCKETS_HOLD: usize = 8 * 1024 * 1024;

/// A connection that is new, or on which a request was answered.
fn connect(server: &Server, is_kept: bool) -> Peer {
    let mut peer = Peer::connect(server.local_addr());
    if is_kept {
        peer.write(HEALTH.as_bytes());
        assert_eq!(peer.response().status, 200);
    }
    peer
}

/// Everything that comes up to the end, however the end comes.
fn rest(peer: &mut Peer) -> String {
    let mut bytes = Vec::new();
    match peer.stream.read_to_end(&mut bytes) {
        Err(error) if !is_reset(&error) => panic!("still open: {error}"),
        _ => String::from_utf8_lossy(&bytes).into_owned(),
    }
}

/// How many answers there are in what has come.
fn answers(text: &str) -> usize {
    text.to_ascii_lowercase().matches("\r\ndate: ").count()
}

fn all_gone(server: &Server) {
    eventually("no connection is left", || server.stats().handshakes == 0);
}

#[test]
fn what_two_readers_could_read_differently_is_refused_and_nothing_behind_it_is_read() {
    let server = server();
    let hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    let post = |lines: &str, body: &str| {
        format!("POST /health HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n{body}{hidden}{hidden}")
    };
    let chunked = "Transfer-Encoding: chunked";
    for (bytes, statuses) in [
        // A body that is twice as long.
        (post(&format!("Content-Length: 6\r\n{chunked}"), "0\r\n\r\nG"), [400, 405]),
        (post(&format!("{chunked}\r\nContent-Length: 6"), "0\r\n\r\nG"), [400, 405]),
        (post("Content-Length: 6\r\nContent-Length: 5", "hello!"), [400; 2]),
        (post("Content-Length: 5, 5", "hello"), [400; 2]),
        (post("Content-Length: +5", "hello"), [400; 2]),
        (post("Content-Length: -1", ""), [400; 2]),
        (post("Content-Length: 0x5", "hello"), [400; 2]),
        (post("Content-Length:", ""), [400; 2]),
        (post("Content-Length: 99999999999999999999999", ""), [400; 2]),
        (post("Transfer-Encoding: xchunked", "0\r\n\r\n"), [400; 2]),
        (post("Transfer-Encoding: chunked, identity", "0\r\n\r\n"), [400; 2]),
        (post(&format!("{chunked}\r\nTransfer-Encoding: gzip"), "0\r\n\r\n"), [400; 2]),
        (post("Transfer-Encoding:\x0bchunked", "0\r\n\r\n"), [400; 2]),
        // Chunks that are none.
        (post(chunked, "x\r\n"), [400; 2]),
        (post(chunked, "5\r\nhello!\r\n0\r\n\r\n"), [400; 2]),
        (post(chunked, "-1\r\nx\r\n0\r\n\r\n"), [400; 2]),
        (post(chunked, "FFFFFFFFFFFFFFFFF\r\nx\r\n0\r\n\r\n"), [400; 2]),
        (post(chunked, "1\nx\n0\n\n"), [400; 2]),
        // Lines that are none, or two.
        (post("X: a\r\n folded", ""), [400; 2]),
        (post("X: a\rContent-Length: 5", ""), [400; 2]),
        (post("Content-Length : 5", "hello"), [400; 2]),
        (post(" Content-Length: 5", "hello"), [400; 2]),
        (post("X: a\0b", ""), [400; 2]),
        (post("no colon", ""), [400; 2]),
        // Another host.
        (post("Host: b", ""), [400; 2]),
        (format!("GET /health HTTP/1.1\r\n\r\n{hidden}"), [400; 2]),
        (format!("GET http://user@a/health HTTP/1.1\r\nHost: a\r\n\r\n{hidden}"), [400; 2]),
        (format!("GET /health HTTP/1.1\r\nHost: a b\r\n\r\n{hidden}"), [400; 2]),
        // Another version.
        (
            format!("POST /health HTTP/1.0\r\nHost: a\r\n{chunked}\r\n\r\n0\r\n\r\n{hidden}"),
            [400; 2],
        ),
        (format!("GET /health HTTP/2.0\r\nHost: a\r\n\r\n{hidden}"), [400; 2]),
        (format!("GET  /health HTTP/1.1\r\nHost: a\r\n\r\n{hidden}"), [400; 2]),
        (format!("GET /health\r\n\r\n{hidden}"), [400; 2]),
    ] {
        for (is_kept, status) in [false, true].into_iter().zip(statuses) {
            let mut peer = connect(&server, is_kept);
            peer.write(bytes.as_bytes());
            let answer = rest(&mut peer);
            let is_right = ["HTTP/1.1", "HTTP/1.0"]
                .iter()
                .any(|version| answer.starts_with(&format!("{version} {status} ")));
            assert!(is_right, "{bytes:?} on a kept one ({is_kept}): {answer:?}");
            assert_eq!(answers(&answer), 1, "{bytes:?}: {answer}");
            assert!(answer.to_ascii_lowercase().contains("connection: close"), "{answer}");
        }
    }
    all_gone(&server);
}

#[test]
fn a_head_over_its_size_is_answered_431_on_a_kept_connection_too() {
    let server = server();
    let headers = |count: usize| "a: b\r\n".repeat(count);
    for is_kept in [false, true] {
        for lines in [
            headers(100_000),
            headers(100),
            format!("X: {}\r\n", "x".repeat(20_000)),
            format!("X: {}", "x".repeat(100_000)),
        ] {
            let mut peer = connect(&server, is_kept);
            let _ = peer
                .stream
                .write_all(format!("GET /health HTTP/1.1\r\nHost: a\r\n{lines}\r\n").as_bytes());
            let answer = rest(&mut peer);
            assert!(answer.starts_with("HTTP/1.1 431 "), "{is_kept}: {answer}");
        }
        let mut peer = connect(&server, is_kept);
        for lines in [headers(99), format!("X: {}\r\n", "x".repeat(15_000))] {
            peer.write(format!("GET /health HTTP/1.1\r\nHost: a\r\n{lines}\r\n").as_bytes());
            assert_eq!(peer.response().status, 200, "{is_kept}");
        }
    }
    assert_eq!(server.stats().connections_refused, 8);
}

#[test]
fn a_body_without_an_end_is_read_up_to_64_kib() {
    let server = server();
    for is_kept in [false, true] {
        for (header, piece) in [
            ("Content-Length: 1000000000", "x".repeat(10_000)),
            ("Transfer-Encoding: chunked", format!("2710\r\n{}\r\n", "x".repeat(10_000))),
            ("Transfer-Encoding: chunked", "1\r\nx\r\n".repeat(2_000)),
        ] {
            let mut peer = connect(&server, is_kept);
            let head = format!("POST /health HTTP/1.1\r\nHost: a\r\n{header}\r\n\r\n");
            peer.write(head.as_bytes());
            let begun = Instant::now();
            // As a client that reads its answer when it has sent everything. The answer waits a second for that.
            while peer.stream.write_all(piece.as_bytes()).is_ok() {
                assert!(begun.elapsed() < PATIENCE, "it is cut");
            }
            rest(&mut peer);
        }
        // A client that sends a little more than it may reads why.
        let mut peer = connect(&server, is_kept);
        let body = "x".repeat(65_537);
        let head = "POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n";
        peer.write(format!("{head}{body}{HEALTH}").as_bytes());
        let answer = rest(&mut peer);
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        assert_eq!(answers(&answer), 1, "{answer}");
    }
    all_gone(&server);
}

#[test]
fn half_requests_end_with_408_in_time_and_clients_beside_them_are_unharmed() {
    let server = server_with(|config| _ = config.handshake_timeout(TIMEOUT));
    let mut witness = Peer::join(server.local_addr(), "/");
    let halves = [
        "GET /health HTTP/1.1\r\nHost: a",
        "POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell",
        "POST /health HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhell",
        "G",
    ];
    let begun = Instant::now();
    let mut peers: Vec<_> = (0..500)
        .map(|number: usize| {
            let mut peer = connect(&server, number.is_multiple_of(2));
            peer.write(halves[number / 2 % halves.len()].as_bytes());
            peer
        })
        .collect();
    witness.is_served();
    Peer::join(server.local_addr(), "/").is_served();
    for peer in &mut peers {
        let response = peer.response();
        assert_eq!(response.status, 408);
        assert_eq!(response.header("Connection"), Some("close"));
        assert_eq!(peer.end(), End::Fin);
    }
    assert!(begun.elapsed() >= TIMEOUT);
    witness.is_served();
    all_gone(&server);
    assert_eq!(server.stats().connections_refused, 500);
}

#[test]
fn half_a_request_behind_a_whole_one_ends_with_408_too() {
    let server = server_with(|config| _ = config.handshake_timeout(TIMEOUT));
    let post = "POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
    for half in ["G".to_owned(), post[..30].to_owned(), post.to_owned(), format!("{post}hell")] {
        for before in [1, 40] {
            let mut peer = Peer::connect(server.local_addr());
            peer.write(format!("{}{half}", HEALTH.repeat(before)).as_bytes());
            for _ in 0..before {
                assert_eq!(peer.response().status, 200);
            }
            let response = peer.response();
            assert_eq!(
                (response.status, response.header("Connection")),
                (408, Some("close")),
                "{half}"
            );
            assert_eq!(peer.end(), End::Fin);
        }
    }
    // A line that is empty asks for nothing.
    let mut peer = Peer::connect(server.local_addr());
    peer.write(format!("{HEALTH}\r\n").as_bytes());
    assert_eq!(peer.response().status, 200);
    assert_eq!(peer.end(), End::Fin);
    all_gone(&server);
}

#[test]
fn a_request_that_arrives_byte_by_byte_is_as_good_and_has_no_longer_for_it() {
    let timeout = Duration::from_secs(1);
    let server = server_with(|config| _ = config.handshake_timeout(timeout));
    let request = "POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    for is_kept in [false, true] {
        let mut peer = connect(&server, is_kept);
        for _ in 0..2 {
            for byte in request.bytes() {
                peer.write(&[byte]);
            }
            assert_eq!(peer.response().status, 405);
        }
        // Each byte comes long before the time is over, and the last one never does.
        let mut peer = connect(&server, is_kept);
        let begun = Instant::now();
        peer.write(b"POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n");
        while begun.elapsed() < PATIENCE && peer.stream.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
        let took = begun.elapsed();
        // The answer waits for a second to be read.
        assert!(took >= timeout && took < PATIENCE, "{took:?}");
    }
    all_gone(&server);
}

#[test]
fn a_kept_connection_on_which_nothing_comes_is_closed_without_a_word() {
    let server = server_with(|config| _ = config.handshake_timeout(TIMEOUT));
    let mut peer = connect(&server, true);
    let begun = Instant::now();
    // The time begins with each answer.
    while begun.elapsed() < 3 * TIMEOUT {
        thread::sleep(TIMEOUT / 6);
        peer.write(HEALTH.as_bytes());
        assert_eq!(peer.response().status, 200);
    }
    assert_eq!(peer.end(), End::Fin);
    all_gone(&server);
    assert_eq!(server.stats().connections_refused, 0);
    // Neither much earlier nor much later: so long that a busy machine keeps it.
    let timeout = Duration::from_secs(2);
    let server = server_with(|config| _ = config.handshake_timeout(timeout));
    let mut peer = connect(&server, true);
    let idle = Instant::now();
    assert_eq!(peer.end(), End::Fin);
    let took = idle.elapsed();
    assert!(took >= timeout.mul_f64(0.9) && took < timeout.mul_f64(1.8), "{took:?}");
}

#[test]
fn a_client_that_does_not_read_its_answers_is_cut() {
    let server = server();
    let page = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    // The length of a text: an answer is longer.
    let mut peer = connect(&server, false);
    peer.write(page.as_bytes());
    let len = peer.response().body.len();
    let mut peer = Peer::connect_small(server.local_addr());
    peer.stream.set_write_timeout(Some(Duration::from_millis(10))).expect("a TCP socket");
    let page = page.repeat(500);
    let begun = Instant::now();
    let mut sent = 0;
    loop {
        assert!(begun.elapsed() < PATIENCE, "it is cut");
        match peer.stream.write(page.as_bytes()) {
            Ok(len) => sent += len,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    all_gone(&server);
    let answered = server.stats().requests_answered as usize;
    // What is answered is in a buffer of the two sockets, but for what hyper holds back.
    let most = MORE_THAN_SOCKETS_HOLD + 64 * 1024;
    assert!(answered * len <= most, "{answered} answers of {len} bytes, {sent} bytes of requests");
}

#[test]
fn a_stream_begins_behind_all_earlier_answers_however_late_they_are_taken() {
    let server = server();
    let page = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let answered = || server.stats().requests_answered as usize;
    // So many answers fill a socket whose client reads none.
    let full = Peer::connect_small(server.local_addr());
    let mut writer = full.stream.try_clone().expect("a descriptor");
    let writes = thread::spawn(move || writer.write_all(page.repeat(10_000).as_bytes()));
    // A client that takes nothing is cut. Then all were answered that could be.
    eventually("the first answer", || answered() > 0);
    all_gone(&server);
    let _ = writes.join().expect("it is cut");
    let most = answered();
    drop(full);
    for before in (most.saturating_sub(16)..=most).step_by(2) {
        let mut peer = Peer::connect_small(server.local_addr());
        let begun = answered();
        let stream = upgrade_head(server.local_addr(), "/", &[]);
        peer.write(format!("{}{stream}", page.repeat(before)).as_bytes());
        eventually("the socket is full, or nearly", || answered() + 16 >= begun + before);
        for _ in 0..before {
            assert_eq!(peer.response().status, 200, "{before} of {most}");
        }
        assert_eq!(peer.response().status, 101, "{before} of {most}");
        peer.is_served();
    }
}

#[test]
fn clients_that_flood_with_requests_starve_no_other() {
    let server = server_with(|config| _ = config.workers(1));
    let addr = server.local_addr();
    let mut witness = Peer::join(addr, "/");
    let all = HEALTH.repeat(2_000);
    let floods: Vec<_> = (0..4)
        .map(|_| {
            let all = all.clone();
            let mut peer = Peer::connect(addr);
            let mut reader = Peer::over(peer.stream.try_clone().expect("a descriptor"));
            let reads = thread::spawn(move || reader.drain());
            let writes = thread::spawn(move || {
                for _ in 0..20 {
                    peer.write(all.as_bytes());
                }
                peer.finish();
            });
            (reads, writes)
        })
        .collect();
    let mut slowest = Duration::ZERO;
    let deadline = Instant::now() + 2 * PATIENCE;
    while server.stats().requests_answered < 4 * 40_000 {
        assert!(Instant::now() < deadline, "not in time: everything is answered");
        let begun = Instant::now();
        witness.is_served();
        slowest = slowest.max(begun.elapsed());
    }
    for (reads, writes) in floods {
        writes.join().expect("everything is taken");
        assert_eq!(reads.join().expect("everything is answered"), End::Fin);
    }
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    assert_eq!(server.stats().requests_answered, 4 * 40_000);
}

#[test]
fn idle_kept_connections_keep_nobody_out() {
    let server = server_with(|config| _ = config.max_handshakes(4));
    let mut kept = Vec::new();
    for number in 1..=12 {
        let mut peer = Peer::connect(server.local_addr());
        peer.write(HEALTH.as_bytes());
        let response = peer.response();
        assert_eq!(response.status, 200, "{number}");
        assert_eq!(response.header("Connection") == Some("close"), number > 2, "{number}");
        if number <= 2 {
            kept.push(peer);
        } else {
            assert_eq!(peer.end(), End::Fin);
            drop(peer);
        }
        eventually("an idle connection has no permit", || server.stats().handshakes == 0);
    }
    // All permits are taken by those whose request has begun.
    let begun: Vec<_> = (0..4)
        .map(|_| {
            let mut peer = Peer::connect(server.local_addr());
            peer.write(b"GET /");
            peer
        })
        .collect();
    eventually("no permit is left", || server.stats().handshakes == 4);
    let mut crowded_out = kept.pop().expect("two");
    crowded_out.write(HEALTH.as_bytes());
    assert_eq!(rest(&mut crowded_out), "", "it is closed without a word");
    drop((begun, crowded_out));
    eventually("they have gone", || server.stats().handshakes == 0);
    // A stream and a request get in beside the idle ones, and an idle one asks again.
    Peer::join(server.local_addr(), "/").is_served();
    let mut idle = kept.pop().expect("two");
    for peer in [&mut connect(&server, false), &mut idle] {
        peer.write(HEALTH.as_bytes());
        assert_eq!(peer.response().status, 200);
    }
    drop(idle);
    // What ended is not counted among the idle ones.
    for _ in 0..20 {
        eventually("a connection is kept", || {
            let mut peer = Peer::connect(server.local_addr());
            peer.write(HEALTH.as_bytes());
            peer.response().header("Connection").is_none()
        });
    }
}

#[test]
fn kept_connections_leave_half_of_the_permits_to_others() {
    let server = server_with(|config| _ = config.max_handshakes(10));
    let mut kept = Vec::new();
    for number in 1..=7 {
        let mut peer = Peer::connect(server.local_addr());
        peer.write(HEALTH.as_bytes());
        let is_closed = peer.response().header("Connection") == Some("close");
        assert_eq!(is_closed, number > 5, "{number}");
        if is_closed {
            assert_eq!(peer.end(), End::Fin);
            drop(peer);
        } else {
            kept.push(peer);
        }
    }
    for _ in 0..20 {
        Peer::join(server.local_addr(), "/").is_served();
    }
    // Those that are kept stay so while there is room.
    for peer in &mut kept {
        peer.write(HEALTH.as_bytes());
        assert_eq!(peer.response().header("Connection"), None);
    }
    let mut first = kept.pop().expect("five");
    first.write(upgrade_head(server.local_addr(), "/", &[]).as_bytes());
    assert_eq!(first.response().status, 101);
    eventually("a stream has no permit for a handshake", || server.stats().handshakes == 0);
}

//! Who is let in: in how much time, how many, and from which pages.

mod peer;

use std::{
    io::Write,
    net::SocketAddr,
    time::{Duration, Instant},
};

use chat::{Event, Kind};
use peer::{
    End, PATIENCE, Peer, eventually,
    host::{Events, server, server_with},
    is_refused_at_once, is_reset, upgrade_head,
};

const TIMEOUT: Duration = Duration::from_millis(300);

#[test]
fn a_handshake_that_takes_too_long_is_answered_408_and_a_client_is_not_timed() {
    let server = server_with(|config| {
        config.handshake_timeout(TIMEOUT);
    });
    let head = upgrade_head(server.local_addr(), "/", &[]);
    let mut client = Peer::join(server.local_addr(), "/");
    for sent in ["G", &head[..40], &head[..head.len() - 1]] {
        let begun = Instant::now();
        let mut late = Peer::connect(server.local_addr());
        late.write(sent.as_bytes());
        assert_eq!(late.response().status, 408, "{sent:?}");
        assert!(begun.elapsed() >= TIMEOUT, "{sent:?}");
        assert_eq!(late.end(), End::Fin, "{sent:?}");
    }
    // One that has sent nothing has asked nothing.
    let begun = Instant::now();
    assert_eq!(Peer::connect(server.local_addr()).end(), End::Fin);
    assert!(begun.elapsed() >= TIMEOUT);
    client.is_served();
    assert_eq!(server.stats().connections_refused, 4);
}

#[test]
fn a_head_that_drips_gets_no_more_time() {
    let server = server_with(|config| {
        config.handshake_timeout(TIMEOUT);
    });
    let mut late = Peer::connect(server.local_addr());
    late.write(b"GET / HTTP/1.1\r\nX: ");
    late.stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let begun = Instant::now();
    // Each wait for an answer ends after 20 ms, and one more byte goes out.
    while let Err(error) = late.fill() {
        assert!(!is_reset(&error), "cut without an answer");
        assert!(begun.elapsed() < PATIENCE, "still being waited for");
        let _ = late.stream.write_all(b"x");
    }
    late.stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(late.response().status, 408);
}

#[test]
fn one_client_too_many_is_answered_503_until_one_leaves() {
    let server = server_with(|config| {
        config.max_connections(2);
    });
    let addr = server.local_addr();
    let mut first = Peer::join(addr, "/");
    let second = Peer::join(addr, "/");
    for _ in 0..3 {
        let mut third = Peer::connect(addr);
        assert_eq!(third.upgrade("/", &[]).status, 503);
        assert_eq!(third.end(), End::Fin);
    }
    second.leave();
    let mut third = Peer::connect(addr);
    eventually("there is a place again", || {
        third = Peer::connect(addr);
        third.upgrade("/", &[]).status == 101
    });
    third.say("in at last");
    assert_eq!(first.text(), "in at last");
    assert_eq!(Peer::connect(addr).upgrade("/", &[]).status, 503);
    assert!(server.stats().connections_refused >= 4);
    assert_eq!(server.stats().connections_accepted, 3);
}

#[test]
fn one_handshake_too_many_is_refused_until_one_ends() {
    let server = server_with(|config| {
        config.max_handshakes(2);
    });
    let addr = server.local_addr();
    // A client is not in its handshake any more.
    let mut client = Peer::join(addr, "/");
    eventually("its handshake is over", || server.stats().handshakes == 0);
    let silent = [Peer::connect(addr), Peer::connect(addr)];
    eventually("two handshakes are under way", || server.stats().handshakes == 2);
    for count in 1..=3 {
        assert!(is_refused_at_once(addr));
        assert_eq!(server.stats().connections_refused, count);
    }
    drop(silent);
    eventually("the handshakes are over", || server.stats().handshakes == 0);
    assert_eq!(server.stats().connections_refused, 3 + 2);
    Peer::join(addr, "/?echo=false").say("in at last");
    assert_eq!(client.text(), "in at last");
}

#[test]
fn while_the_host_does_not_take_its_events_nobody_new_is_let_in() {
    let server = server_with(|config| {
        config.event_queue(1);
    });
    let mut client = Peer::join(server.local_addr(), "/");
    assert_eq!(Peer::connect(server.local_addr()).upgrade("/", &[]).status, 503);
    client.is_served();
    // The message did not fit, and that is told; the connect and the disconnect are never lost.
    client.leave();
    let mut events = Events::of(&server);
    let events = [events.next(), events.next(), events.next()];
    assert!(
        matches!(
            events,
            [
                Event::Connected { .. },
                Event::EventsDropped { count: 1 },
                Event::Disconnected { code: 1000, .. }
            ]
        ),
        "{events:?}"
    );
    Peer::join(server.local_addr(), "/");
}

/// The status that a page of `origin` gets from a server that it knows as `host`.
fn status(addr: SocketAddr, host: &str, origin: &str) -> u16 {
    let mut peer = Peer::connect(addr);
    let right = format!("Host: {addr}\r\n");
    let other = format!("Host: {host}\r\nOrigin: {origin}\r\n");
    peer.write(upgrade_head(addr, "/", &[]).replace(&right, &other).as_bytes());
    let status = peer.response().status;
    if status != 101 {
        assert_eq!(peer.end(), End::Fin);
    }
    status
}

#[test]
fn by_default_programs_and_the_servers_own_pages_are_let_in() {
    let server = server();
    let addr = server.local_addr();
    let own = addr.to_string();
    Peer::join(addr, "/");
    for (host, origin) in [
        (&*own, format!("http://{own}")),
        ("chat.example.org", "https://chat.example.org".to_owned()),
        ("chat.example.org", "HTTPS://Chat.Example.Org".to_owned()),
        ("Chat.Example.Org:8080", "http://chat.example.org:8080".to_owned()),
    ] {
        assert_eq!(status(addr, host, &origin), 101, "{origin} at {host}");
    }
    for (host, origin) in [
        (&*own, "https://example.org".to_owned()),
        (&*own, "null".to_owned()),
        (&*own, "http://127.0.0.1:1".to_owned()),
        (&*own, format!("http://{own}.example.org")),
        (&*own, format!("http://example.org/{own}")),
        (&*own, own.clone()),
        (&*own, String::new()),
        ("chat.example.org", "https://evil.chat.example.org".to_owned()),
        ("chat.example.org", "https://example.org".to_owned()),
        ("chat.example.org:8080", "http://chat.example.org".to_owned()),
    ] {
        assert_eq!(status(addr, host, &origin), 403, "{origin} at {host}");
    }
    assert_eq!(server.stats().connections_refused, 10);
}

#[test]
fn a_list_of_origins_widens_and_a_star_lets_everyone_in() {
    let server = server_with(|config| {
        config.origin("https://example.org").origin("http://localhost:3000");
    });
    let addr = server.local_addr();
    let own = addr.to_string();
    Peer::join(addr, "/");
    for origin in ["https://example.org", "HTTPS://EXAMPLE.ORG", "http://localhost:3000"] {
        assert_eq!(status(addr, &own, origin), 101, "{origin}");
    }
    assert_eq!(status(addr, &own, &format!("http://{own}")), 101, "its own pages still may");
    for origin in
        ["http://example.org", "https://example.org:444", "http://localhost", "null", "https://x"]
    {
        assert_eq!(status(addr, &own, origin), 403, "{origin}");
    }

    let server = server_with(|config| {
        config.origin("*");
    });
    for origin in ["https://example.org", "null", "http://[::1]:8080"] {
        assert_eq!(status(server.local_addr(), &own, origin), 101, "{origin}");
    }
}

#[test]
fn a_refused_client_reaches_nobody() {
    let server = server();
    let mut witness = Peer::join(server.local_addr(), "/");
    let mut peer = Peer::connect(server.local_addr());
    let head = upgrade_head(server.local_addr(), "/", &["Origin: https://example.org"]);
    let frame = peer::frames::masked(peer::frames::TEXT, b"let me in");
    peer.write(&[head.as_bytes(), &frame].concat());
    assert_eq!(peer.response().status, 403);
    peer.drain();
    server.publish("lobby", Kind::Text, b"end").unwrap();
    assert_eq!(witness.text(), "end");
}

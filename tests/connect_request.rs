//! The host decides who is connected, as what, and to which rooms.

mod peer;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use chat::{ClientId, Error, Event, Kind, Overdue, Request, Server};
use peer::{
    End, Peer, eventually,
    frames::{TEXT, masked},
    host::{Events, server_with},
    upgrade_head,
};
use socket2::SockRef;

/// A server whose host decides, and has as long as it likes.
fn deciding() -> Server {
    server_with(|config| {
        config.event_queue(1000).admission_timeout(Duration::from_secs(60));
    })
}

/// Asks to be connected, and does not wait for the answer.
fn ask(addr: SocketAddr, path: &str, lines: &[&str]) -> Peer {
    let mut peer = Peer::connect(addr);
    peer.write(upgrade_head(addr, path, lines).as_bytes());
    peer
}

/// The next request: the client, the room that it asks for, what it said.
fn request(events: &mut Events<'_>) -> (ClientId, Arc<str>, Arc<Request>) {
    events.find("ConnectRequest", |event| match event {
        Event::ConnectRequest { client, room, request, .. } => Some((client, room, request)),
        _ => None,
    })
}

#[test]
fn a_client_is_connected_when_the_host_has_accepted_it_and_not_before() {
    let server = deciding();
    let mut events = Events::of(&server);
    let mut peer = ask(server.local_addr(), "/rooms/tea?token=t", &["Authorization: Bearer x"]);
    let (client, room, asked) = request(&mut events);
    assert_eq!((&*room, &*asked.path, &*asked.query), ("tea", "/rooms/tea", "token=t"));
    assert_eq!(asked.header("authorization"), Some(&b"Bearer x"[..]));
    assert!(events.now().is_empty(), "nobody is connected");
    server.publish("tea", Kind::Text, b"before").unwrap();
    server.accept(client).unwrap();
    server.publish("tea", Kind::Text, b"after").unwrap();
    assert_eq!(peer.response().status, 101);
    assert_eq!(peer.text(), "after", "and nothing from before");
    assert_eq!(events.connected(), client);
    peer.is_served();
}

#[test]
fn what_is_published_after_the_acceptance_is_missed_by_nobody() {
    let server = deciding();
    let mut events = Events::of(&server);
    for round in 0..200 {
        let mut peer = ask(server.local_addr(), "/?history=1", &[]);
        let (client, ..) = request(&mut events);
        server.broadcast(Kind::Text, b"not for it").unwrap();
        server.publish("lobby", Kind::Text, format!("history {round}").as_bytes()).unwrap();
        server.accept(client).unwrap();
        server.publish("lobby", Kind::Text, format!("{round}").as_bytes()).unwrap();
        server.broadcast(Kind::Text, b"to all").unwrap();
        assert_eq!(peer.response().status, 101);
        let expected = [format!("history {round}"), round.to_string(), "to all".to_owned()];
        assert_eq!([peer.text(), peer.text(), peer.text()], expected);
    }
}

#[test]
fn a_client_is_rejected_with_the_hosts_status_and_text() {
    let server = deciding();
    let mut events = Events::of(&server);
    let mut peer = ask(server.local_addr(), "/", &[]);
    let (client, ..) = request(&mut events);
    for status in [0, 101, 200, 203, 205, 304, 399, 600] {
        let result = server.reject(client, status, "", &[]);
        assert!(matches!(result, Err(Error::InvalidHttpStatus(it)) if it == status), "{result:?}");
    }
    let result = server.reject(client, 401, &"x".repeat(1025), &[]);
    assert!(matches!(result, Err(Error::TooLarge { .. })), "{result:?}");
    server.send(client, Kind::Text, b"a secret").unwrap();
    server.reject(client, 401, "sign in first: é", &[("Retry-After", "5")]).unwrap();
    let response = peer.response();
    let header = |name| response.header(name).map(str::to_owned);
    assert_eq!(header("WWW-Authenticate").as_deref(), Some("Bearer"));
    assert_eq!(header("Retry-After").as_deref(), Some("5"));
    assert_eq!((response.status, &*response.body), (401, "sign in first: é\n"));
    assert!(matches!(peer.end(), End::Fin));
    assert_eq!(events.left(client), (1006, "the host rejected it".to_owned()));
    for result in
        [server.accept(client), server.reject(client, 403, "", &[]), server.set_echo(client, true)]
    {
        assert!(matches!(result, Err(Error::ClientNotFound)), "{result:?}");
    }
    assert_eq!(server.stats().admissions_rejected, 1);
    eventually("its place is free", || {
        let stats = server.stats();
        (stats.connections, stats.rooms) == (0, 0)
    });
}

#[test]
fn a_host_that_does_not_decide_in_time_has_rejected() {
    let server = server_with(|config| {
        config.event_queue(100).admission_timeout(Duration::from_millis(20));
    });
    let mut events = Events::of(&server);
    let mut peer = ask(server.local_addr(), "/", &[]);
    let (client, ..) = request(&mut events);
    assert_eq!(peer.response().status, 503);
    assert_eq!(events.left(client), (1006, "the host did not decide in time".to_owned()));
    assert!(matches!(server.accept(client), Err(Error::ClientNotFound)));
    assert_eq!(server.stats().admissions_timed_out, 1);
    eventually("its place is free", || server.stats().connections == 0);
}

#[test]
fn nobody_waits_for_a_decision_on_somebody_else() {
    let server = deciding();
    let mut events = Events::of(&server);
    let mut undecided: Vec<_> = (0..50).map(|_| ask(server.local_addr(), "/", &[])).collect();
    let waiting: Vec<_> = (0..50).map(|_| request(&mut events).0).collect();
    let mut peer = ask(server.local_addr(), "/", &[]);
    let (client, ..) = request(&mut events);
    server.accept(client).unwrap();
    assert_eq!(peer.response().status, 101);
    peer.is_served();
    // The last that asked is the first that is let in.
    for client in waiting.into_iter().rev() {
        server.accept(client).unwrap();
    }
    for peer in &mut undecided {
        assert_eq!(peer.response().status, 101);
    }
    assert_eq!(server.stats().connections, 51);
}

#[test]
fn a_client_that_leaves_while_it_waits_is_forgotten() {
    let server = deciding();
    let mut events = Events::of(&server);
    let peer = ask(server.local_addr(), "/", &[]);
    let (client, ..) = request(&mut events);
    server.join(client, "tea").unwrap();
    drop(peer);
    assert_eq!(events.left(client).0, 1006);
    assert!(matches!(server.accept(client), Err(Error::ClientNotFound)));
    eventually("nothing is left of it", || {
        let stats = server.stats();
        (stats.connections, stats.handshakes, stats.rooms) == (0, 0, 0)
    });
}

#[test]
fn a_client_that_is_gone_when_it_is_admitted_has_left() {
    let server = deciding();
    let mut events = Events::of(&server);
    for said in ["", "a word behind its head, so that its end is not seen"] {
        let mut peer = ask(server.local_addr(), "/", &[]);
        peer.write(&masked(TEXT, said.as_bytes()));
        let (client, ..) = request(&mut events);
        SockRef::from(&peer.stream).set_linger(Some(Duration::ZERO)).unwrap();
        drop(peer);
        // It may have been noticed before.
        let _ = server.accept(client);
        assert_eq!(events.left(client).0, 1006, "{said}");
        assert!(matches!(server.send(client, Kind::Text, b"x"), Err(Error::ClientNotFound)));
    }
    eventually("their places are free", || server.stats().connections == 0);
    server.stop(Duration::from_secs(60)).unwrap();
}

#[test]
fn a_client_is_in_no_room_when_the_host_is_told_that_it_has_left() {
    let server = deciding();
    let mut events = Events::of(&server);
    for _ in 0..50 {
        let _peer = ask(server.local_addr(), "/", &[]);
        let (client, ..) = request(&mut events);
        for room in 0..50 {
            server.join(client, &room.to_string()).unwrap();
        }
        server.reject(client, 403, "no", &[]).unwrap();
        events.left(client);
        assert_eq!(server.stats().rooms, 0);
    }
}

#[test]
fn what_a_client_says_while_it_waits_is_said_when_it_is_admitted() {
    let server = deciding();
    let mut events = Events::of(&server);
    for pieces in [1, 2] {
        let mut peer = ask(server.local_addr(), "/", &[]);
        let (client, ..) = request(&mut events);
        let said = masked(TEXT, b"early");
        for piece in said.chunks(said.len().div_ceil(pieces)) {
            peer.write(piece);
        }
        server.accept(client).unwrap();
        assert_eq!(peer.response().status, 101);
        assert_eq!(peer.text(), "early");
    }
}

#[test]
fn a_client_that_waits_is_told_that_the_server_stops() {
    let server = deciding();
    let mut events = Events::of(&server);
    let mut peer = ask(server.local_addr(), "/", &[]);
    let (client, ..) = request(&mut events);
    let start = Instant::now();
    server.stop(Duration::from_secs(30)).unwrap();
    assert!(start.elapsed() < Duration::from_secs(20), "nobody decides any more");
    assert_eq!(peer.response().status, 503);
    assert_eq!(events.left(client), (1006, "the server is stopping".to_owned()));
    assert!(matches!(server.accept(client), Err(Error::Stopped)));
}

#[test]
fn the_host_says_who_a_client_is_and_where() {
    let server = deciding();
    let mut events = Events::of(&server);
    let mut peer = ask(server.local_addr(), "/rooms/wanted?history=5", &[]);
    let (client, ..) = request(&mut events);
    server.set_identity(client, "ana").unwrap();
    server.set_echo(client, false).unwrap();
    server.leave(client, "wanted").unwrap();
    server.join(client, "given").unwrap();
    server.join(client, "given").unwrap();
    server.join(client, "also").unwrap();
    server.send(client, Kind::Text, b"welcome").unwrap();
    server.accept(client).unwrap();
    assert_eq!(peer.response().status, 101);
    assert_eq!(peer.text(), "welcome");
    for expected in ["given", "also"] {
        let event = events.next();
        assert_eq!(event.identity(), Some("ana"));
        assert!(matches!(event, Event::Joined { room, .. } if &*room == expected));
    }
    let event = events.next();
    assert_eq!(event.identity(), Some("ana"));
    assert!(matches!(event, Event::Connected { room, .. } if &*room == "given"));

    // It speaks to the room that it joined first, and has no echo.
    peer.say("hello");
    let event = events.next();
    assert_eq!(event.identity(), Some("ana"));
    assert!(
        matches!(event, Event::Message { room, position: chat::Position { offset: 1, .. }, .. } if &*room == "given")
    );
    server.publish("wanted", Kind::Text, b"not for it").unwrap();
    for room in ["also", "given", "also", "given"] {
        server.publish(room, Kind::Text, room.as_bytes()).unwrap();
    }
    for room in ["also", "given", "also", "given"] {
        assert_eq!(peer.text(), room, "in the order in which the host published");
    }

    // Out of all rooms it speaks to the host alone.
    server.leave(client, "given").unwrap();
    server.leave(client, "also").unwrap();
    server.leave(client, "also").unwrap();
    server.publish("given", Kind::Text, b"not any more").unwrap();
    server.send(client, Kind::Text, b"alone").unwrap();
    assert_eq!(peer.text(), "alone");
    for expected in ["given", "also"] {
        assert!(matches!(events.next(), Event::Left { room, .. } if &*room == expected));
    }
    peer.say("psst");
    assert!(
        matches!(events.next(), Event::Message { room, position: chat::Position { offset: 0, .. }, .. } if room.is_empty())
    );
    peer.leave();
    let event = events.next();
    assert_eq!(event.identity(), Some("ana"));
    assert!(matches!(event, Event::Disconnected { code: 1000, .. }), "{event:?}");
}

#[test]
fn a_client_is_joined_and_leaves_in_step_with_what_is_published() {
    let server = server_with(|config| {
        config.event_queue(1000);
    });
    let mut events = Events::of(&server);
    let mut peer = Peer::join(server.local_addr(), "/");
    let client = events.connected();
    for round in 0..200 {
        server.join(client, "tea").unwrap();
        server.publish("tea", Kind::Text, format!("{round}").as_bytes()).unwrap();
        server.leave(client, "tea").unwrap();
        server.publish("tea", Kind::Text, b"not for it").unwrap();
        assert_eq!(peer.text(), round.to_string());
    }
    peer.is_served();
    for room in ["", "a\nb"] {
        assert!(matches!(server.join(client, room), Err(Error::InvalidRoom(_))));
        assert!(matches!(server.leave(client, room), Err(Error::InvalidRoom(_))));
    }
    assert!(matches!(server.set_identity(client, &"x".repeat(257)), Err(Error::TooLarge { .. })));
}

#[test]
fn to_disconnect_a_client_that_waits_is_to_reject_it() {
    let server = deciding();
    let mut events = Events::of(&server);
    let mut peer = ask(server.local_addr(), "/", &[]);
    let (client, ..) = request(&mut events);
    server.disconnect(client, 4000, "banned").unwrap();
    let response = peer.response();
    assert_eq!((response.status, &*response.body), (403, "banned\n"));
}

#[test]
fn a_host_that_could_not_decide_is_told_at_the_start() {
    let mut config = chat::Config::new();
    config.listen("127.0.0.1:0").admission_timeout(Duration::from_secs(1));
    let error = config.start().unwrap_err();
    assert!(error.to_string().contains("admission_timeout"), "{error}");
}

#[test]
fn a_host_that_wants_no_decisions_is_not_asked() {
    let server = server_with(|config| {
        config.event_queue(100);
    });
    let mut events = Events::of(&server);
    let _peer = Peer::join(server.local_addr(), "/");
    assert!(matches!(events.next(), Event::Connected { .. }));
}

#[test]
fn a_request_that_does_not_end_gets_no_more_time_because_the_host_decides() {
    let server = server_with(|config| {
        config.event_queue(1000).admission_timeout(Duration::from_secs(3600));
        config.handshake_timeout(Duration::from_millis(500));
    });
    let mut events = Events::of(&server);
    let mut silent = Peer::connect(server.local_addr());
    let mut half = Peer::connect(server.local_addr());
    half.write(b"GET / HTTP/1.1\r\n");
    assert_eq!((silent.end(), half.response().status), (End::Fin, 408));
    // Whoever has asked in time waits for the host, and no longer than it.
    let mut asking = ask(server.local_addr(), "/", &[]);
    let (client, ..) = request(&mut events);
    let mut late = Peer::connect(server.local_addr());
    assert_eq!(late.end(), End::Fin, "longer than a handshake may take");
    server.accept(client).unwrap();
    assert_eq!(asking.response().status, 101);
    asking.is_served();
}

#[test]
fn what_waits_for_a_client_is_not_too_old_when_it_comes_in() {
    const AGE: Duration = Duration::from_secs(2);
    // More than the sockets take.
    const COUNT: usize = 8;
    let server = server_with(|config| {
        config.event_queue(1000).admission_timeout(Duration::from_secs(60));
        config.outbox_age(AGE).outbox_size(2 * (COUNT << 20));
    });
    let mut events = Events::of(&server);
    let long = vec![b'x'; 1 << 20];
    let [(mut reader, reading), (_stuck, sleeping)] = [(); 2].map(|()| {
        let mut peer = Peer::connect_small(server.local_addr());
        peer.write(upgrade_head(server.local_addr(), "/", &[]).as_bytes());
        let (client, ..) = request(&mut events);
        (0..COUNT).for_each(|_| server.send(client, Kind::Binary, &long).unwrap());
        (peer, client)
    });
    // The host takes its time.
    assert!(matches!(server.next_events(AGE * 3 / 2), Err(Error::TimedOut)));
    let begun = Instant::now();
    server.accept(sleeping).unwrap();
    server.accept(reading).unwrap();
    assert_eq!(reader.response().status, 101);
    for _ in 0..COUNT {
        assert_eq!(reader.message().payload.len(), long.len());
    }
    reader.is_served();
    // One that does not read has as long as any other client.
    assert_eq!(events.left(sleeping).0, 1013);
    assert!((AGE..3 * AGE).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    assert_eq!(server.stats().slow_consumers, 1);
}

#[test]
fn what_the_host_does_not_decide_on_is_allowed_if_it_says_so() {
    let soon = Duration::from_millis(20);
    let server = server_with(|config| {
        config.event_queue(100).admission_timeout(soon).review_timeout(soon);
        config.overdue(Overdue::Allow);
    });
    let mut events = Events::of(&server);
    server.publish("r", Kind::Text, b"before").unwrap();
    let mut peer = ask(server.local_addr(), "/rooms/r?history=5", &[]);
    let (client, ..) = request(&mut events);
    assert_eq!(peer.response().status, 101);
    assert_eq!(events.connected(), client);
    peer.say("said");
    assert_eq!([peer.text(), peer.text()], ["before", "said"]);
    server.broadcast(Kind::Text, b"to everyone").unwrap();
    assert_eq!(peer.text(), "to everyone");
    assert!(matches!(server.accept(client), Err(Error::ClientNotFound)), "it is too late");
    let stats = server.stats();
    assert_eq!((stats.admissions_timed_out, stats.reviews_timed_out), (1, 1));
    peer.leave();
    events.left(client);
}

//! A host that takes no events costs a bounded memory: message events are dropped and counted, nobody is let in,
//! and everything is as before once it has taken them.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod peer;

use std::{net::SocketAddr, time::Duration};

use chat::{ClientId, Event};
use peer::{
    Peer, eventually,
    frames::{BINARY, masked},
    host::{Events, server_with},
    is_refused_at_once, upgrade_head,
};

const MIB: usize = 1 << 20;

/// Longer than any test.
const HOUR: Duration = Duration::from_secs(3600);

/// Asks to be connected; the status of the answer.
fn ask(addr: SocketAddr) -> u16 {
    Peer::connect(addr).upgrade("/", &[]).status
}

/// What the events are, in the order in which they were told, runs of the same counted.
fn kinds(events: &[Event]) -> Vec<(&'static str, u64)> {
    let mut kinds: Vec<(&str, u64)> = Vec::new();
    for event in events {
        let (kind, count) = match event {
            Event::ConnectRequest { .. } => ("ConnectRequest", 1),
            Event::Connected { .. } => ("Connected", 1),
            Event::MessageRequest { .. } => ("MessageRequest", 1),
            Event::Message { .. } => ("Message", 1),
            Event::Disconnected { .. } => ("Disconnected", 1),
            Event::EventsDropped { count } => ("EventsDropped", *count),
            other => panic!("{other:?}"),
        };
        match kinds.last_mut() {
            Some(last) if last.0 == kind => last.1 += count,
            _ => kinds.push((kind, count)),
        }
    }
    kinds
}

#[test]
fn messages_of_64_mib_wait_for_the_host_and_no_more_and_nobody_is_let_in_meanwhile() {
    let server = server_with(|config| {
        config.workers(1).event_queue(100_000).history_messages(0);
    });
    let addr = server.local_addr();
    let mut events = Events::of(&server);
    let mut peer = Peer::join(addr, "/?echo=false");
    events.connected();
    let long = masked(BINARY, &vec![b'x'; MIB]);
    let mut send = |count: u64| {
        let before = server.stats().messages_received;
        (0..count).for_each(|_| peer.write(&long));
        eventually("all are read", || server.stats().messages_received == before + count);
    };
    // Twice: what the host has taken makes room for as much again.
    for round in 1..=2 {
        send(63);
        // With a MiB less it is let in. Its request counts until the host has taken it.
        Peer::join(addr, "/rooms/other").leave();
        let expected = [("Message", 63), ("Connected", 1), ("Disconnected", 1)];
        assert_eq!(kinds(&events.now()), expected);
        send(64);
        assert_eq!(ask(addr), 503, "64 MiB wait");
        assert_eq!(server.stats().events_dropped, 6 * (round - 1), "64 MiB fit");
        send(6);
        eventually("six are dropped", || server.stats().events_dropped == 6 * round);
        assert_eq!(kinds(&events.now()), [("Message", 64), ("EventsDropped", 6)]);
        let mut next = Peer::join(addr, "/rooms/other");
        events.connected();
        next.is_served();
        assert_eq!(kinds(&[events.next()]), [("Message", 1)]);
        next.leave();
        assert_eq!(kinds(&[events.next()]), [("Disconnected", 1)]);
    }
}

#[test]
fn requests_of_64_mib_wait_for_the_host_and_no_more() {
    let server = server_with(|config| {
        config.workers(1).event_queue(100_000).review_timeout(HOUR);
    });
    let addr = server.local_addr();
    let mut events = Events::of(&server);
    // Of each client a MiB may be undecided.
    let mut peers: Vec<_> = (0..70).map(|_| Peer::join(addr, "/?echo=false")).collect();
    (0..70).for_each(|_| _ = events.connected());
    let long = masked(BINARY, &vec![b'x'; MIB]);
    for (count, peer) in peers.iter_mut().enumerate() {
        peer.write(&long);
        eventually("it is read", || server.stats().messages_received == count as u64 + 1);
    }
    eventually("six are refused", || server.stats().messages_refused == 6);
    assert_eq!(ask(addr), 503, "64 MiB wait");
    let all = events.now();
    assert_eq!(kinds(&all), [("MessageRequest", 64), ("EventsDropped", 6)]);
    drop(all);
    for peer in &mut peers[64..] {
        peer.say("again");
    }
    for _ in 64..70 {
        assert_eq!(kinds(&[events.next()]), [("MessageRequest", 1)]);
    }
    assert_eq!(server.stats().messages_published, 0);
}

#[test]
fn who_comes_and_who_goes_is_told_however_many_events_wait() {
    const CLIENTS: u64 = 20;
    for reviewed in [false, true] {
        let server = server_with(|config| {
            config.workers(2).event_queue(CLIENTS as usize);
            config.review_timeout(if reviewed { HOUR } else { Duration::ZERO });
        });
        let addr = server.local_addr();
        let mut peers: Vec<_> = (0..CLIENTS).map(|_| Peer::join(addr, "/?echo=false")).collect();
        assert_eq!(ask(addr), 503, "as many events wait as may");
        for peer in &mut peers {
            (0..5).for_each(|_| peer.say("too much"));
        }
        eventually("all are dropped", || server.stats().events_dropped == 5 * CLIENTS);
        peers.into_iter().for_each(Peer::leave);
        let mut events = Events::of(&server);
        let mut all = Vec::new();
        while all.len() < 2 * CLIENTS as usize + 1 {
            all.push(events.next());
        }
        let expected =
            [("Connected", CLIENTS), ("EventsDropped", 5 * CLIENTS), ("Disconnected", CLIENTS)];
        assert_eq!(kinds(&all), expected);
        let mut ids: [Vec<ClientId>; 2] = Default::default();
        for event in &all {
            match event {
                Event::Connected { client, .. } => ids[0].push(*client),
                Event::Disconnected { client, code: 1000, .. } => ids[1].push(*client),
                _ => {}
            }
        }
        ids.iter_mut().for_each(|ids| ids.sort());
        assert_eq!(ids[0], ids[1], "each is told once");
        Peer::join(addr, "/").leave();
    }
}

#[test]
fn a_full_queue_holds_up_nothing_but_what_the_host_is_told() {
    let server = server_with(|config| {
        config.workers(1).event_queue(2);
    });
    let mut ana = Peer::join(server.local_addr(), "/");
    let mut ben = Peer::join(server.local_addr(), "/");
    for round in 0..100 {
        let text = round.to_string();
        ana.say(&text);
        assert_eq!([ana.text(), ben.text()], [text.clone(), text]);
    }
    let told = Events::of(&server).now();
    assert_eq!(kinds(&told), [("Connected", 2), ("EventsDropped", 100)]);
    assert_eq!(server.stats().messages_published, 100);
    // What is told next is the next message.
    ana.say("next");
    let told = Events::of(&server).next();
    assert!(
        matches!(told, Event::Message { position: chat::Position { offset: 101, .. }, .. }),
        "{told:?}"
    );
}

#[test]
fn requests_to_be_connected_are_never_dropped_and_fill_the_queue_as_messages_do() {
    let server = server_with(|config| {
        config.workers(1).event_queue(3).admission_timeout(HOUR);
    });
    let addr = server.local_addr();
    let head = upgrade_head(addr, "/", &[]);
    let mut waiting: Vec<_> = (0..3)
        .map(|count| {
            let mut peer = Peer::connect(addr);
            peer.write(head.as_bytes());
            eventually("it waits", || server.stats().connections == count + 1);
            peer
        })
        .collect();
    assert_eq!(ask(addr), 503);
    let mut events = Events::of(&server);
    let asked = events.now();
    assert_eq!(kinds(&asked), [("ConnectRequest", 3)]);
    for (event, peer) in asked.iter().zip(&mut waiting) {
        let Event::ConnectRequest { client, .. } = event else { panic!() };
        server.accept(*client).unwrap();
        assert_eq!(peer.response().status, 101);
    }
    assert_eq!(ask(addr), 503, "the host has not taken that they are connected");
    assert_eq!(kinds(&events.now()), [("Connected", 3)]);
}

#[test]
fn a_client_that_waits_for_the_host_is_no_handshake_in_progress() {
    let server = server_with(|config| {
        config.workers(1).max_handshakes(1).event_queue(100).admission_timeout(HOUR);
        config.handshake_timeout(HOUR);
    });
    let addr = server.local_addr();
    let mut events = Events::of(&server);
    let asked = |events: &mut Events<'_>| {
        let mut peer = Peer::connect(addr);
        peer.write(upgrade_head(addr, "/", &[]).as_bytes());
        let client = events.find("ConnectRequest", |event| match event {
            Event::ConnectRequest { client, .. } => Some(client),
            _ => None,
        });
        (peer, client)
    };
    let mut waiting: Vec<_> = (0..5).map(|_| asked(&mut events)).collect();
    eventually("none is in progress", || server.stats().handshakes == 0);
    // The place is there once, also now.
    let mut half = Peer::connect(addr);
    half.write(b"GET / HTTP/1.1\r\n");
    eventually("one is in progress", || server.stats().handshakes == 1);
    assert!(is_refused_at_once(addr));
    let rest = upgrade_head(addr, "/", &[]);
    half.write(rest.split_once("\r\n").unwrap().1.as_bytes());
    let client = events.find("ConnectRequest", |event| match event {
        Event::ConnectRequest { client, .. } => Some(client),
        _ => None,
    });
    waiting.push((half, client));
    for (peer, client) in &mut waiting {
        server.accept(*client).unwrap();
        assert_eq!(peer.response().status, 101);
        peer.is_served();
    }
    assert_eq!(server.stats().handshakes, 0);
    // An answer that has not been read yet takes no place either.
    let (_unread, client) = asked(&mut events);
    server.reject(client, 403, "no", &[]).unwrap();
    events.left(client);
    let _another = asked(&mut events);
}

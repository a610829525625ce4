//! What the host does by identity concerns all connections that have it, on all shards, and no others.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod peer;

use std::{
    collections::HashSet,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use chat::{ClientId, Config, Error, Event, Kind, Server};
use peer::{
    End, PATIENCE, Peer, eventually,
    host::{Events, server_with},
    upgrade_head,
};

fn lasting(config: &mut Config) {
    config.workers(3).event_queue(1 << 16).ping_interval(Duration::ZERO);
    // Nobody is slow, however little time the test's threads get.
    config.outbox_size(64 << 20).outbox_age(Duration::from_secs(3600));
    config.publish_timeout(Duration::from_secs(60));
}

/// Connects clients that have an identity. They are on all shards.
fn family(server: &Server, events: &mut Events<'_>, identity: &str) -> Vec<(Peer, ClientId)> {
    let family: Vec<_> = (0..9)
        .map(|_| {
            let peer = Peer::join(server.local_addr(), "/rooms/own");
            let id = events.connected();
            server.set_identity(id, identity).unwrap();
            (peer, id)
        })
        .collect();
    // An id's last byte is its shard's.
    let shards: HashSet<_> = family.iter().map(|(_, id)| id.as_u64() & 0xFF).collect();
    assert_eq!(shards.len(), 3);
    family
}

/// Reads what a client received, up to a text.
fn texts_up_to(peer: &mut Peer, last: &str) -> Vec<String> {
    let texts = std::iter::repeat_with(|| peer.text());
    texts.take_while(|text| text != last).collect()
}

#[test]
fn all_connections_of_an_identity_are_reached_on_all_shards_and_no_others() {
    let server = server_with(lasting);
    let mut events = Events::of(&server);
    let mut ana = family(&server, &mut events, "ana");
    let mut bob = family(&server, &mut events, "bob");
    assert_eq!(server.send_to_identity("ana", Kind::Text, b"to ana").unwrap(), 9);
    assert_eq!(server.send_to_identity("cyd", Kind::Text, b"to cyd").unwrap(), 0);
    assert_eq!(server.join_identity("ana", "tea").unwrap(), 9);
    server.publish("tea", Kind::Text, b"tea").unwrap();
    assert_eq!(server.leave_identity("ana", "own").unwrap(), 9);
    assert_eq!(server.leave_identity("ana", "own").unwrap(), 0, "they are out of it");
    server.publish("own", Kind::Text, b"own").unwrap();
    let mut clients = server.identity_clients("ana").unwrap();
    clients.sort_unstable();
    let mut expected: Vec<_> = ana.iter().map(|(_, id)| *id).collect();
    expected.sort_unstable();
    assert_eq!(clients, expected);
    let mut joined = HashSet::new();
    while joined.len() < 9 {
        if let Event::Joined { client, identity, room } = events.next() {
            assert_eq!((identity.as_deref(), &*room), (Some("ana"), "tea"));
            assert!(expected.contains(&client) && joined.insert(client));
        }
    }
    assert_eq!(server.disconnect_identity("ana", 4001, "elsewhere").unwrap(), 9);
    for (peer, _) in &mut ana {
        assert_eq!([peer.text(), peer.text()], ["to ana", "tea"]);
        assert_eq!(peer.closed(), (4001, "elsewhere".to_owned()));
    }
    server.broadcast(Kind::Text, b"end").unwrap();
    bob.iter_mut().for_each(|(peer, _)| assert_eq!(texts_up_to(peer, "end"), ["own"]));
}

#[test]
fn a_connection_that_has_left_is_not_counted_nor_one_that_the_host_disconnects() {
    let server = server_with(lasting);
    let mut events = Events::of(&server);
    let mut ana = family(&server, &mut events, "ana");
    let ids: Vec<_> = ana.iter().map(|(_, id)| *id).collect();
    let count = || server.send_to_identity("ana", Kind::Text, b"x").unwrap();
    ana.pop().unwrap().0.leave();
    eventually("it has left", || server.stats().connections == 8);
    assert_eq!(count(), 8);
    // At once, however long its close takes.
    server.disconnect(ana[0].1, 4000, "").unwrap();
    assert_eq!(count(), 7);
    server.set_identity(ana[1].1, "bob").unwrap();
    assert_eq!(count(), 6);
    server.set_identity(ana[2].1, "").unwrap();
    assert_eq!((count(), server.send_to_identity("", Kind::Text, b"x").unwrap()), (5, 0));
    assert_eq!(server.disconnect_identity("ana", 4000, "").unwrap(), 5);
    assert_eq!((count(), server.identity_clients("ana").unwrap()), (0, vec![]));
    // The last event of each still carries its identity.
    for _ in 0..7 {
        let (client, identity) = events.find("Disconnected", |event| match event {
            Event::Disconnected { client, identity, .. } => Some((client, identity)),
            _ => None,
        });
        assert!(ids.contains(&client) && identity.as_deref() == Some("ana"), "{identity:?}");
    }
    ana[2].0.say("who am I?");
    let identity = events.find("Message", |event| match event {
        Event::Message { identity, .. } => Some(identity),
        _ => None,
    });
    assert_eq!(identity, None);
}

#[test]
fn connections_that_wait_for_admission_are_reached_too() {
    let server = server_with(|config| {
        lasting(config);
        config.admission_timeout(Duration::from_secs(60));
    });
    let mut events = Events::of(&server);
    let mut ask = |path: &str| {
        let mut peer = Peer::connect(server.local_addr());
        peer.write(upgrade_head(server.local_addr(), path, &[]).as_bytes());
        let client = events.find("ConnectRequest", |event| match event {
            Event::ConnectRequest { client, .. } => Some(client),
            _ => None,
        });
        server.set_identity(client, "ana").unwrap();
        (peer, client)
    };
    let (mut first, id) = ask("/rooms/own");
    let mut others = [ask("/rooms/own"), ask("/rooms/other")];
    assert_eq!(server.leave_identity("ana", "own").unwrap(), 2, "they do not ask for it any more");
    assert_eq!(server.join_identity("ana", "tea").unwrap(), 3);
    assert_eq!(server.send_to_identity("ana", Kind::Text, b"hello").unwrap(), 3);
    server.publish("own", Kind::Text, b"own").unwrap();
    server.publish("tea", Kind::Text, b"tea").unwrap();
    server.accept(id).unwrap();
    server.publish("own", Kind::Text, b"own").unwrap();
    assert_eq!(server.disconnect_identity("ana", 4000, "no more of you").unwrap(), 3);
    assert_eq!(first.response().status, 101);
    assert_eq!([first.text(), first.text()], ["hello", "tea"]);
    assert_eq!(first.closed().0, 4000);
    for (peer, id) in &mut others {
        let response = peer.response();
        assert_eq!((response.status, response.body.trim_end()), (403, "no more of you"));
        assert_eq!(peer.end(), End::Fin);
        assert!(matches!(server.accept(*id), Err(Error::ClientNotFound)));
    }
}

/// A random number (SplitMix64).
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// From when to when something was done: the numbers before and behind it of all that is done.
#[derive(Debug, Clone, Copy)]
struct Span {
    begin: usize,
    end: usize,
}

const IDENTITIES: [&str; 3] = ["ana", "bob", "cyd"];

/// Has threads change the identities of connections and others send to identities, and checks who got what.
fn race(seed: u64) {
    let server = server_with(lasting);
    let mut events = Events::of(&server);
    let mut all = family(&server, &mut events, "ana");
    let ids: Vec<_> = all.iter().map(|(_, id)| *id).collect();
    let clock = AtomicUsize::new(1);
    let timed = |act: &dyn Fn()| {
        let begin = clock.fetch_add(1, Ordering::SeqCst);
        act();
        Span { begin, end: clock.fetch_add(1, Ordering::SeqCst) }
    };
    let server = &server;
    // By connection: which identity it was given, and when.
    let mut given = vec![vec![(0, Span { begin: 0, end: 0 })]; ids.len()];
    let (given_now, sent) = thread::scope(|scope| {
        let setters: Vec<_> = (0..3)
            .map(|thread| {
                let (ids, timed) = (&ids, &timed);
                scope.spawn(move || {
                    let (mut state, mut given) = (seed ^ thread, Vec::new());
                    for _ in 0..600 {
                        // Each connection has one setter.
                        let index = random(&mut state) as usize % 3 * 3 + thread as usize;
                        let identity = random(&mut state) as usize % IDENTITIES.len();
                        let set = || server.set_identity(ids[index], IDENTITIES[identity]).unwrap();
                        given.push((index, (identity, timed(&set))));
                    }
                    given
                })
            })
            .collect();
        let senders: Vec<_> = (0..3)
            .map(|thread| {
                let timed = &timed;
                scope.spawn(move || {
                    let (mut state, mut sent) = (!seed ^ thread, Vec::new());
                    for number in 0..400 {
                        let identity = random(&mut state) as usize % IDENTITIES.len();
                        let (text, reached) = (format!("{thread} {number}"), AtomicUsize::new(0));
                        let send = || {
                            let to = IDENTITIES[identity];
                            let count = server.send_to_identity(to, Kind::Text, text.as_bytes());
                            reached.store(count.unwrap(), Ordering::Relaxed);
                        };
                        let span = timed(&send);
                        sent.push((text, identity, span, reached.into_inner()));
                    }
                    sent
                })
            })
            .collect();
        let given: Vec<_> = setters.into_iter().flat_map(|it| it.join().unwrap()).collect();
        let sent: Vec<_> = senders.into_iter().flat_map(|it| it.join().unwrap()).collect();
        (given, sent)
    });
    given_now.into_iter().for_each(|(index, what)| given[index].push(what));
    server.broadcast(Kind::Text, b"end").unwrap();
    let received: Vec<HashSet<String>> = all
        .iter_mut()
        .map(|(peer, _)| {
            let texts = texts_up_to(peer, "end");
            let set: HashSet<_> = texts.iter().cloned().collect();
            assert_eq!(set.len(), texts.len(), "one came twice");
            set
        })
        .collect();
    for (text, identity, span, reached) in &sent {
        let got: Vec<_> = received.iter().map(|texts| texts.contains(text)).collect();
        assert_eq!(got.iter().filter(|got| **got).count(), *reached, "{text}, seed {seed}");
        for (given, got) in given.iter().zip(got) {
            // What it was called at the last moment before the call, and whether that stayed so until its end.
            let before = given.iter().rposition(|(_, set)| set.end < span.begin).unwrap();
            let could_be: Vec<_> = given[before..]
                .iter()
                .take_while(|(_, set)| set.begin < span.end)
                .map(|(other, _)| other == identity)
                .collect();
            let is_possible = could_be.contains(&got);
            assert!(is_possible, "{text} came: {got}, seed {seed}: {:?}", &given[before..]);
        }
    }
}

#[test]
fn while_identities_change_a_message_is_seen_by_exactly_those_that_have_the_identity() {
    (1..=5).for_each(race);
}

#[test]
fn an_identity_that_is_handed_on_from_one_connection_to_another_is_never_nobodys() {
    let server = &server_with(lasting);
    let mut events = Events::of(server);
    let all = family(server, &mut events, "");
    // Two on different shards, in both orders.
    let shard = |id: &ClientId| id.as_u64() & 0xFF;
    let ids: Vec<_> = all.iter().map(|(_, id)| *id).collect();
    let first = *ids.iter().min_by_key(|id| shard(id)).unwrap();
    let last = *ids.iter().max_by_key(|id| shard(id)).unwrap();
    server.set_identity(first, "ana").unwrap();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                for (to, from) in [(last, first), (first, last)] {
                    server.set_identity(to, "ana").unwrap();
                    server.set_identity(from, "").unwrap();
                }
            }
        });
        let counts = (0..5000).map(|_| server.send_to_identity("ana", Kind::Text, b"").unwrap());
        let wrong: Vec<_> = counts.filter(|count| !(1..=2).contains(count)).collect();
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(wrong, Vec::<usize>::new());
    });
}

#[test]
fn a_call_by_identity_that_cannot_be_says_why() {
    let server = server_with(lasting);
    let long = "x".repeat(257);
    let outcomes = [
        server.send_to_identity(&long, Kind::Text, b""),
        server.disconnect_identity(&long, 1000, ""),
        server.join_identity(&long, "a"),
        server.leave_identity(&long, "a"),
        server.identity_clients(&long).map(|clients| clients.len()),
        server.send_to_identity("ana", Kind::Binary, &vec![0; 64 << 20]),
        server.disconnect_identity("ana", 1000, &"x".repeat(124)),
    ];
    assert!(outcomes.iter().all(|it| matches!(it, Err(Error::TooLarge { .. }))), "{outcomes:?}");
    assert!(matches!(server.send_to_identity("ana", Kind::Text, b"\xff"), Err(Error::InvalidUtf8)));
    let outcome = server.disconnect_identity("ana", 1006, "");
    assert!(matches!(outcome, Err(Error::InvalidCloseCode(1006))));
    for room in ["", ".", "a\nb"] {
        assert!(matches!(server.join_identity("ana", room), Err(Error::InvalidRoom(_))));
        assert!(matches!(server.leave_identity("ana", room), Err(Error::InvalidRoom(_))));
    }
    assert_eq!(server.stats().rooms, 0);
    let handle = server.handle();
    server.stop(PATIENCE).unwrap();
    let outcomes = [
        handle.send_to_identity("ana", Kind::Text, b""),
        handle.disconnect_identity("ana", 1000, ""),
        handle.join_identity("ana", "a"),
        handle.leave_identity("ana", "a"),
        handle.identity_clients("ana").map(|clients| clients.len()),
    ];
    assert!(outcomes.iter().all(|it| matches!(it, Err(Error::Stopped))), "{outcomes:?}");
}

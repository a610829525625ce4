//! A client may be in many rooms, as many as the host allows: it gets each message once and in order, and
//! it leaves them all without anybody waiting for it.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod peer;

use std::time::Duration;

use chat::{ClientId, Config, Error, Event, Kind, Server};
use peer::{
    Peer, eventually,
    frames::{CLOSE, close_payload},
    host::{Events, server_with},
    upgrade_head,
};

/// A server on which a room exists for as long as somebody is in it.
fn server(configure: impl FnOnce(&mut Config)) -> Server {
    server_with(|config| {
        config.event_queue(100_000).history_messages(0).ping_interval(Duration::ZERO);
        configure(config);
    })
}

/// A server on which a client may be in so many rooms.
fn limited_to(rooms: usize) -> Server {
    server(|config| {
        config.max_rooms_per_client(rooms);
    })
}

fn is_too_many(result: &chat::Result<()>) -> bool {
    matches!(result, Err(Error::TooManyRooms { .. }))
}

/// Waits until the host is told that a client has left a room.
fn has_left(events: &mut Events<'_>, room: &str) {
    events.find("Left", |event| match event {
        Event::Left { room: it, .. } => (&*it == room).then_some(()),
        _ => None,
    });
}

/// Insists that a client gets what is published to these rooms, in this order, and nothing else.
fn is_in(server: &Server, (peer, id): &mut (Peer, ClientId), rooms: &[&str], not_in: &[&str]) {
    for room in not_in {
        server.publish(room, Kind::Text, b"not for it").unwrap();
    }
    for room in rooms {
        server.publish(room, Kind::Text, room.as_bytes()).unwrap();
    }
    server.send(*id, Kind::Text, b"end").unwrap();
    for text in rooms.iter().chain(&["end"]) {
        assert_eq!(peer.text(), *text);
    }
}

/// Insists that what a client says goes to a room.
fn speaks_to(events: &mut Events<'_>, (peer, id): &mut (Peer, ClientId), room: &str) {
    peer.say("said");
    let heard = events.find("Message", |event| match event {
        Event::Message { client, room, .. } => Some((client, room)),
        _ => None,
    });
    assert_eq!((heard.0, &*heard.1), (*id, room));
    assert_eq!(peer.text(), "said");
}

#[test]
fn a_limit_that_is_none_is_named_at_the_start() {
    for rooms in [0, 1_000_001] {
        let mut config = Config::new();
        config.listen("127.0.0.1:0").max_rooms_per_client(rooms);
        let Err(Error::InvalidConfig(problems)) = config.start() else { panic!("{rooms} rooms") };
        assert_eq!(problems[0].option, "max_rooms_per_client");
    }
    for rooms in [1, 1_000_000] {
        limited_to(rooms);
    }
}

#[test]
fn to_join_one_room_more_than_allowed_fails_and_changes_nothing() {
    let server = limited_to(3);
    let mut events = Events::of(&server);
    let mut client = (Peer::join(server.local_addr(), "/rooms/own"), events.connected());
    for room in ["a", "b"] {
        server.join(client.1, room).unwrap();
    }
    for room in ["c", "d", "c"] {
        let result = server.join(client.1, room);
        assert!(is_too_many(&result), "{room}: {result:?}");
    }
    is_in(&server, &mut client, &["b", "own", "a"], &["c", "d"]);
    assert_eq!(server.stats().rooms, 3);
    let joined: Vec<_> = events.now().into_iter().filter_map(room_joined).collect();
    assert_eq!(joined, ["a", "b"]);
    speaks_to(&mut events, &mut client, "own");
    // Another client has a count of its own.
    let mut other = (Peer::join(server.local_addr(), "/rooms/own"), events.connected());
    for room in ["c", "d"] {
        server.join(other.1, room).unwrap();
    }
    is_in(&server, &mut other, &["c", "d"], &["a", "b"]);
}

fn room_joined(event: Event) -> Option<String> {
    match event {
        Event::Joined { room, .. } => Some(room.to_string()),
        _ => None,
    }
}

#[test]
fn a_room_that_was_left_makes_space_for_another() {
    let server = limited_to(2);
    let mut events = Events::of(&server);
    let mut client = (Peer::join(server.local_addr(), "/rooms/own"), events.connected());
    server.join(client.1, "a").unwrap();
    for _ in 0..3 {
        for (left, joined) in [("a", "b"), ("b", "a")] {
            assert!(is_too_many(&server.join(client.1, joined)));
            // To leave a room that it is not in makes no space.
            server.leave(client.1, joined).unwrap();
            server.leave(client.1, left).unwrap();
            has_left(&mut events, left);
            server.join(client.1, joined).unwrap();
            assert!(is_too_many(&server.join(client.1, "c")));
            is_in(&server, &mut client, &[joined, "own"], &[left, "c"]);
        }
    }
}

#[test]
fn a_room_that_was_left_makes_space_at_once() {
    let server = limited_to(2);
    let mut events = Events::of(&server);
    let mut client = (Peer::join(server.local_addr(), "/rooms/own"), events.connected());
    server.join(client.1, "0").unwrap();
    for number in 0..500 {
        server.leave(client.1, &format!("{number}")).unwrap();
        server.join(client.1, &format!("{}", number + 1)).unwrap();
    }
    is_in(&server, &mut client, &["500", "own"], &["0", "499"]);
}

#[test]
fn to_join_a_room_twice_is_to_be_in_one_room() {
    let server = limited_to(3);
    let mut events = Events::of(&server);
    let mut client = (Peer::join(server.local_addr(), "/rooms/own"), events.connected());
    for room in ["a", "a", "own", "a", "own", "b", "b", "a"] {
        server.join(client.1, room).unwrap();
    }
    assert!(is_too_many(&server.join(client.1, "c")));
    is_in(&server, &mut client, &["a", "b", "own"], &["c"]);
}

#[test]
fn the_room_of_the_path_counts() {
    let server = limited_to(1);
    let mut events = Events::of(&server);
    let mut client = (Peer::join(server.local_addr(), "/rooms/own"), events.connected());
    assert!(is_too_many(&server.join(client.1, "a")));
    server.leave(client.1, "own").unwrap();
    has_left(&mut events, "own");
    server.join(client.1, "a").unwrap();
    assert!(is_too_many(&server.join(client.1, "own")));
    is_in(&server, &mut client, &["a"], &["own"]);
    speaks_to(&mut events, &mut client, "a");
}

#[test]
fn the_room_of_the_path_counts_before_the_client_is_accepted() {
    let server = server(|config| {
        config.max_rooms_per_client(2).admission_timeout(Duration::from_secs(60));
    });
    let mut events = Events::of(&server);
    let mut peer = Peer::connect(server.local_addr());
    peer.write(upgrade_head(server.local_addr(), "/rooms/own", &[]).as_bytes());
    let id = events.find("ConnectRequest", |event| match event {
        Event::ConnectRequest { client, .. } => Some(client),
        _ => None,
    });
    server.join(id, "a").unwrap();
    assert!(is_too_many(&server.join(id, "b")));
    server.leave(id, "own").unwrap();
    server.join(id, "b").unwrap();
    assert!(is_too_many(&server.join(id, "c")));
    server.accept(id).unwrap();
    assert_eq!(peer.response().status, 101);
    let mut client = (peer, id);
    is_in(&server, &mut client, &["b", "a"], &["own", "c"]);
    speaks_to(&mut events, &mut client, "a");
}

/// How a client leaves.
#[derive(Debug, Clone, Copy)]
enum Leaving {
    Closes,
    Vanishes,
    IsDisconnected,
}

#[test]
fn a_client_leaves_a_thousand_rooms_while_others_are_served() {
    const ROOMS: usize = 1000;
    for leaving in [Leaving::Closes, Leaving::Vanishes, Leaving::IsDisconnected] {
        let server = server(|config| {
            config.workers(1);
        });
        let mut events = Events::of(&server);
        let mut other = Peer::join(server.local_addr(), "/rooms/other");
        events.connected();
        let mut peer = Some(Peer::join(server.local_addr(), "/rooms/0"));
        let id = events.connected();
        for room in 1..ROOMS {
            server.join(id, &room.to_string()).unwrap();
        }
        assert!(is_too_many(&server.join(id, "one more")), "1,000 is the default");
        eventually("it is in all of them", || server.stats().rooms == ROOMS as u64 + 1);
        match (leaving, &mut peer) {
            (Leaving::Closes, Some(peer)) => peer.send(CLOSE, &close_payload(4000, b"")),
            (Leaving::IsDisconnected, _) => server.disconnect(id, 4000, "enough").unwrap(),
            _ => peer = None,
        }
        let mut has_left = false;
        while !has_left {
            other.is_served();
            has_left = events.now().into_iter().any(|event| is_the_leave_of(&event, id));
        }
        for result in [
            server.send(id, Kind::Text, b"x"),
            server.join(id, "1"),
            server.leave(id, "1"),
            server.set_echo(id, false),
            server.set_identity(id, "x"),
            server.disconnect(id, 4000, ""),
            server.accept(id),
            server.reject(id, 403, "", &[]),
        ] {
            assert!(matches!(result, Err(Error::ClientNotFound)), "{leaving:?}: {result:?}");
        }
        if let Some(peer) = &mut peer {
            assert_eq!(peer.closed().0, 4000);
        }
        eventually("one room is left", || server.stats().rooms == 1);
        for room in ["0", "1", "999"] {
            server.publish(room, Kind::Text, b"to nobody").unwrap();
        }
        other.is_served();
        assert_eq!(server.stats().rooms, 1);
    }
}

fn is_the_leave_of(event: &Event, id: ClientId) -> bool {
    matches!(event, Event::Disconnected { client, .. } if *client == id)
}

#[test]
fn a_client_in_two_hundred_rooms_gets_each_message_once_and_in_the_order_of_publishing() {
    const ROOMS: usize = 200;
    const MESSAGES: usize = 5000;
    for workers in [1, 2] {
        let server = server(|config| {
            config.workers(workers).outbox_age(Duration::from_secs(3600));
        });
        let mut events = Events::of(&server);
        let mut everywhere: Vec<_> = (0..3)
            .map(|_| (Peer::join(server.local_addr(), "/rooms/0"), events.connected()))
            .collect();
        // Others are in one of the rooms each, so that the rooms are not alike.
        let mut somewhere: Vec<_> = (0..10)
            .map(|room| Peer::join(server.local_addr(), &format!("/rooms/{room}")))
            .collect();
        for room in 1..ROOMS {
            for (_, id) in &everywhere {
                server.join(*id, &room.to_string()).unwrap();
            }
        }
        for number in 0..MESSAGES {
            let (text, room) = (number.to_string(), number * 37 % ROOMS);
            if number % 50 == 49 {
                server.broadcast(Kind::Text, text.as_bytes()).unwrap();
            } else {
                server.publish(&room.to_string(), Kind::Text, text.as_bytes()).unwrap();
            }
        }
        server.broadcast(Kind::Text, b"end").unwrap();
        for (peer, _) in &mut everywhere {
            for number in 0..MESSAGES {
                assert_eq!(peer.text(), number.to_string());
            }
            assert_eq!(peer.text(), "end");
        }
        for (room, peer) in somewhere.iter_mut().enumerate() {
            let is_for_it = |number: &usize| number * 37 % ROOMS == room || number % 50 == 49;
            for number in (0..MESSAGES).filter(is_for_it) {
                assert_eq!(peer.text(), number.to_string());
            }
            assert_eq!(peer.text(), "end");
        }
    }
}

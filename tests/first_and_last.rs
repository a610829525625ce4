//! The first and the last that the host is told of a client: nothing before Connected, nothing after Disconnected,
//! and nothing that a client says while it is being closed.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod peer;

use std::{
    collections::HashMap,
    io::Write,
    net::{Shutdown, SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use chat::{ClientId, Error, Event, Handle, Kind, Server};
use peer::{
    Peer,
    frames::{BINARY, CLOSE, TEXT, close_payload, masked},
    host::{Events, server_with},
    upgrade_head,
};

/// What a client says in its first segment, behind its request.
const WORDS: [&str; 3] = ["first", "second", "third"];

/// A request to be connected to a room, and the first words, in one segment.
fn hasty(addr: SocketAddr, path: &str) -> Vec<u8> {
    let mut bytes = upgrade_head(addr, path, &[]).into_bytes();
    WORDS.iter().for_each(|word| bytes.extend(masked(TEXT, word.as_bytes())));
    bytes
}

/// What the host was told of one client.
#[derive(Default)]
struct Told {
    room: String,
    words: Vec<String>,
    has_left: bool,
}

/// Notes an event, which must come where the client's events may.
fn note(told: &mut HashMap<ClientId, Told>, event: &Event) {
    match event {
        Event::Connected { client, room, .. } => {
            let new = Told { room: room.to_string(), ..Told::default() };
            assert!(told.insert(*client, new).is_none(), "{client} connects twice");
        }
        Event::Message { client, room, message, .. } => {
            let told = told.get_mut(client).expect("a message of a client that is connected");
            assert!(!told.has_left, "{client} has left");
            assert_eq!(*told.room, **room);
            told.words.push(message.as_text().unwrap().to_owned());
        }
        Event::Disconnected { client, .. } => {
            let told = told.get_mut(client).expect("the end of a client that is connected");
            assert!(!std::mem::replace(&mut told.has_left, true), "{client} leaves twice");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_client_is_connected_before_it_says_anything_and_says_nothing_after_it_has_left() {
    const THREADS: usize = 4;
    const CLIENTS: usize = 100;
    for admitted in [false, true] {
        let server = server_with(|config| {
            config.workers(4).event_queue(1 << 20);
            if admitted {
                config.admission_timeout(Duration::from_secs(60));
            }
        });
        let addr = server.local_addr();
        let mut told = HashMap::new();
        thread::scope(|scope| {
            for number in 0..THREADS {
                scope.spawn(move || {
                    for client in 0..CLIENTS {
                        let mut peer = Peer::connect(addr);
                        peer.write(&hasty(addr, &format!("/rooms/{number}-{client}")));
                        assert_eq!(peer.response().status, 101);
                        peer.say("fourth");
                        for word in WORDS {
                            assert_eq!(peer.text(), word);
                        }
                        assert_eq!(peer.text(), "fourth");
                        peer.leave();
                    }
                });
            }
            let mut events = Events::of(&server);
            let mut left = THREADS * CLIENTS;
            while left > 0 {
                let event = events.next();
                if let Event::ConnectRequest { client, .. } = event {
                    server.accept(client).unwrap();
                    continue;
                }
                left -= usize::from(matches!(event, Event::Disconnected { .. }));
                note(&mut told, &event);
            }
        });
        assert_eq!(told.len(), THREADS * CLIENTS);
        for told in told.values() {
            assert_eq!(told.words, ["first", "second", "third", "fourth"]);
        }
    }
}

/// Every call about a client says that there is none.
fn is_gone(handle: &Handle, client: ClientId) {
    let calls = [
        ("send", handle.send(client, Kind::Text, b"x")),
        ("disconnect", handle.disconnect(client, 1000, "")),
        ("join", handle.join(client, "other")),
        ("leave", handle.leave(client, "lobby")),
        ("set_echo", handle.set_echo(client, true)),
        ("set_identity", handle.set_identity(client, "ana")),
        ("accept", handle.accept(client)),
        ("reject", handle.reject(client, 403, "", &[])),
    ];
    for (call, outcome) in calls {
        assert!(matches!(outcome, Err(Error::ClientNotFound)), "{call}: {outcome:?}");
    }
}

/// A way in which a connection ends, and its name.
type Ending = (&'static str, fn(&Server, ClientId, &mut Peer));

/// The ways in which a connection ends. The client answers nothing.
fn endings() -> [Ending; 5] {
    [
        ("its own close", |_, _, peer| peer.send(CLOSE, &close_payload(1000, b""))),
        ("the host's", |server, client, _| server.disconnect(client, 4000, "").unwrap()),
        ("a violation", |_, _, peer| peer.send(0xff, b"")),
        ("a FIN", |_, _, peer| peer.finish()),
        ("a reset", |_, _, peer| {
            let socket = socket2::SockRef::from(&peer.stream);
            socket.set_linger(Some(Duration::ZERO)).unwrap();
            let gone = TcpStream::connect(peer.stream.peer_addr().unwrap()).unwrap();
            peer.stream = gone;
        }),
    ]
}

#[test]
fn a_client_that_has_left_is_in_no_room_and_no_call_reaches_it() {
    for reviewed in [false, true] {
        let server = server_with(|config| {
            config.workers(2).event_queue(1 << 16).history_messages(0);
            config.review_timeout(Duration::from_secs(if reviewed { 60 } else { 0 }));
        });
        let mut events = Events::of(&server);
        // A client that is in many rooms leaves them over several ticks.
        for rooms in [0, 1, 200] {
            for (how, end) in endings() {
                let mut peer = Peer::join(server.local_addr(), "/");
                let client = events.connected();
                for room in 0..rooms {
                    server.join(client, &room.to_string()).unwrap();
                }
                end(&server, client, &mut peer);
                events.left(client);
                assert_eq!(server.stats().rooms, 0, "{how}, {rooms} rooms");
                is_gone(&server, client);
                assert_eq!(server.stats().rooms, 0, "{how}, {rooms} rooms: no call makes one");
            }
        }
    }
}

#[test]
fn a_handler_that_is_told_of_an_end_reaches_the_client_no_more() {
    let (ended, ends) = std::sync::mpsc::channel();
    let ended = std::sync::Mutex::new(ended);
    let server = server_with(|config| {
        config.workers(4).event_handler(move |handle, events| {
            for event in events {
                if let Event::Disconnected { client, .. } = event {
                    is_gone(handle, *client);
                    ended.lock().unwrap().send(*client).unwrap();
                }
            }
        });
    });
    let addr = server.local_addr();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..50).for_each(|_| Peer::join(addr, "/").leave()));
        }
    });
    for _ in 0..200 {
        ends.recv_timeout(peer::PATIENCE).expect("no call has reached it");
    }
}

/// A server, a witness in the lobby, and a client there whose end is awaited.
// The server is dropped last: its stop waits for no client.
struct Scene {
    witness: Peer,
    client: Peer,
    id: ClientId,
    server: Server,
}

impl Scene {
    fn new(reviewed: bool) -> Self {
        let server = server_with(|config| {
            config.workers(1).event_queue(1 << 16);
            config.review_timeout(Duration::from_secs(if reviewed { 60 } else { 0 }));
        });
        let mut events = Events::of(&server);
        let witness = Peer::join(server.local_addr(), "/");
        events.connected();
        let client = Peer::join(server.local_addr(), "/");
        let id = events.connected();
        Self { witness, client, id, server }
    }

    /// Sends the client's last bytes and a FIN. The server may have closed the connection.
    fn end_with(&mut self, bytes: &[u8]) {
        let _ = self.client.stream.write_all(bytes);
        let _ = self.client.stream.shutdown(Shutdown::Write);
    }

    /// Waits for the client's end. Nothing of it has reached anyone, nor the host.
    fn nothing_was_said(mut self, what: &str) {
        self.client.drain();
        let mut events = Events::of(&self.server);
        let told = events.next();
        let is_end = matches!(told, Event::Disconnected { client, .. } if client == self.id);
        assert!(is_end, "{what}: {told:?}");
        self.server.publish("lobby", Kind::Text, b"nothing before this").unwrap();
        assert_eq!(self.witness.text(), "nothing before this", "{what}");
        let mut late = Peer::join(self.server.local_addr(), "/?history=100");
        assert_eq!(late.text(), "nothing before this", "{what}");
        let stats = self.server.stats();
        assert_eq!((stats.messages_received, stats.messages_refused), (0, 0), "{what}");
        assert_eq!(stats.messages_published, 1, "{what}");
        assert!(matches!(events.next(), Event::Connected { .. }), "{what}");
    }
}

#[test]
fn what_a_client_says_behind_its_own_close_is_said_to_nobody() {
    let close = masked(CLOSE, &close_payload(1000, b"bye"));
    let late = [masked(TEXT, b"late"), masked(BINARY, &[0; 70_000])].concat();
    for reviewed in [false, true] {
        let mut scene = Scene::new(reviewed);
        scene.end_with(&[&close[..], &late].concat());
        scene.nothing_was_said("in one segment");

        let mut scene = Scene::new(reviewed);
        scene.client.write(&close);
        assert_eq!(scene.client.closed().0, 1000);
        scene.end_with(&late);
        scene.nothing_was_said("after the answer");
    }
}

#[test]
fn what_a_client_says_behind_a_violation_is_said_to_nobody() {
    let late = [masked(TEXT, b"late"), masked(BINARY, &[0; 70_000])].concat();
    // A reserved bit, text that is not UTF-8, a fragment of nothing.
    for violation in [masked(0xC1, b"x"), masked(TEXT, b"\xff"), masked(0x80, b"x")] {
        for reviewed in [false, true] {
            let mut scene = Scene::new(reviewed);
            scene.end_with(&[&violation[..], &late].concat());
            scene.nothing_was_said("in one segment");

            let mut scene = Scene::new(reviewed);
            scene.client.write(&violation);
            scene.client.closed();
            scene.end_with(&late);
            scene.nothing_was_said("after the close frame");
        }
    }
}

#[test]
fn what_a_client_says_after_a_disconnect_has_returned_is_said_to_nobody() {
    let words = masked(TEXT, b"late");
    let long = masked(BINARY, &[0; 70_000]);
    let answer = masked(CLOSE, &close_payload(4000, b""));
    for reviewed in [false, true] {
        for round in 0..10 {
            let mut scene = Scene::new(reviewed);
            // The beginning of a message that ends later, in every second round.
            let (begun, rest) = words.split_at(words.len() * (round % 2) / 2);
            scene.client.write(begun);
            scene.server.disconnect(scene.id, 4000, "").unwrap();
            // At once, while it is being closed.
            scene.client.write(&[rest, &words, &long].concat());
            assert_eq!(scene.client.closed().0, 4000);
            scene.end_with(&[&words[..], &answer, &words].concat());
            scene.nothing_was_said("after a disconnect");
        }
    }
}

#[test]
fn what_a_client_says_behind_its_end_is_said_to_nobody_though_its_shard_is_busy() {
    let server = server_with(|config| {
        config.workers(1).event_queue(1 << 16);
    });
    let mut events = Events::of(&server);
    let mut reader = Peer::join(server.local_addr(), "/rooms/busy");
    let busy = events.connected();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        // The close waits behind thousands of commands, and so for many reads.
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                server.send(busy, Kind::Text, b"").unwrap();
            }
            server.send(busy, Kind::Text, b"end").unwrap();
        });
        scope.spawn(|| while reader.text() != "end" {});
        // All are eight bytes long, so that a read begins with a frame: the text is "no".
        let violation = masked(0xC1, b"no");
        let close = masked(CLOSE, &close_payload(1000, b""));
        let late = masked(TEXT, b"no").repeat(16 * 1024);
        for end in [violation, close].iter().cycle().take(20) {
            let mut client = Peer::join(server.local_addr(), "/");
            // The server may close the connection before it has taken all.
            let _ = client.stream.write_all(&[&end[..], &late].concat());
            let _ = client.stream.shutdown(Shutdown::Write);
            client.drain();
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(server.stats().messages_received, 0);
    let told = events.now();
    assert!(!told.iter().any(|event| matches!(event, Event::Message { .. })));
}

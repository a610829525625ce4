//! Signals reach those who are there, and nobody else: they are stored nowhere, have no position, and no flood of them
//! delays anybody.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod peer;

use std::{sync::Arc, thread, time::Duration};

use chat::{ClientId, Config, Error, Event, Kind, Message, Server, SlowConsumer};
use peer::{
    Peer,
    events::Stream,
    eventually,
    frames::{TEXT, masked},
    host::{Events, server_with},
    objects::{field, gist},
};
use serde_json::{Value, json};

/// More signals in a second than any test sends.
const ANY_RATE: u32 = 1_000_000;

fn signalling(configure: impl FnOnce(&mut Config)) -> Server {
    server_with(|config| {
        config.signal_rate(ANY_RATE).event_queue(10_000);
        configure(config);
    })
}

fn publish(server: &Server, room: &str, text: &str) {
    server.publish(room, Kind::Text, text.as_bytes()).unwrap();
}

/// The next signal that the host is told of.
fn signal(events: &mut Events) -> (ClientId, Option<Arc<str>>, Arc<str>, Message) {
    events.find("Signal", |event| match event {
        Event::Signal { client, identity, room, message } => {
            Some((client, identity, room, message))
        }
        _ => None,
    })
}

/// Whether the next signal is this one.
fn has_signalled(events: &mut Events, client: ClientId, room: &str, text: &str) -> bool {
    let (from, _, of, message) = signal(events);
    (from, &*of, message.as_text()) == (client, room, Some(text))
}

#[test]
fn a_signal_reaches_all_others_of_the_room_whose_form_has_signals_on_every_worker() {
    let server = signalling(|config| _ = config.workers(3).history_messages(0));
    let (addr, mut events) = (server.local_addr(), Events::of(&server));
    let mut sender = Peer::enter_json(addr, "/rooms/a?name=ana");
    let id = events.connected();
    server.set_identity(id, "user 7").unwrap();
    let mut others: Vec<_> = (0..9).map(|_| Peer::enter_json(addr, "/rooms/a")).collect();
    let mut plain = Peer::join(addr, "/rooms/a");
    let mut elsewhere = Peer::enter_json(addr, "/rooms/b");
    let mut stream = Stream::open(addr, "/rooms/a?format=events");
    let mut objects = Stream::open(addr, "/rooms/a?format=events&format=json");
    for _ in 0..13 {
        events.connected();
    }
    sender.say(r#"{"type":"signal","text":"typing"}"#);
    sender.say(r#"{"type":"signal","room":"a","base64":"AP8="}"#);
    sender.say(r#"{"text":"said"}"#);
    let said: Vec<_> = (0..3).map(|_| others[0].object()).collect();
    let client = &said[0]["client"];
    assert!(!field(&said[0], "client").is_empty());
    let head = json!({"type": "signal", "room": "a", "client": client, "name": "ana"});
    let of = |payload: Value| {
        let mut object = head.clone();
        object["claimed"] = true.into();
        object.as_object_mut().unwrap().extend(payload.as_object().unwrap().clone());
        object
    };
    let signals = [of(json!({"text": "typing"})), of(json!({"base64": "AP8="}))];
    assert_eq!(said[..2], signals);
    assert_eq!(gist(&said[2]), "message said");
    for other in &mut others[1..] {
        assert_eq!([other.object(), other.object()], signals);
        assert_eq!(gist(&other.object()), "message said");
    }
    assert_eq!(gist(&sender.object()), "message said", "not to the sender");
    assert_eq!(plain.text(), "said", "not to plain clients");
    for expected in &signals {
        let event = stream.next();
        let data: Value = serde_json::from_str(&event.data).unwrap();
        let mut expected = expected.clone();
        expected.as_object_mut().unwrap().remove("type");
        assert_eq!((&*event.name, data), ("signal", expected));
    }
    assert_eq!(stream.text(), "said");
    loop {
        let object: Value = serde_json::from_str(&objects.next().data).unwrap();
        match field(&object, "type") {
            "signal" => assert_eq!(object["text"].is_null(), object != signals[0]),
            "message" => break,
            _ => {}
        }
    }
    for (kind, payload) in [(Kind::Text, &b"typing"[..]), (Kind::Binary, &[0, 255])] {
        let (client, identity, room, message) = signal(&mut events);
        assert_eq!((client, identity.as_deref(), &*room), (id, Some("user 7"), "a"));
        assert_eq!((message.kind(), message.data()), (kind, payload));
    }
    publish(&server, "b", "end");
    assert_eq!(gist(&elsewhere.object()), "message end", "not to other rooms");
    let stats = server.stats();
    assert_eq!((stats.signals_received, stats.signals_dropped), (2, 0));
    assert_eq!((stats.messages_received, stats.messages_published), (3, 2));
}

#[test]
fn a_signal_is_in_no_history_and_changes_no_position() {
    let server = signalling(|_| ());
    let addr = server.local_addr();
    let mut sender = Peer::enter_json(addr, "/rooms/a");
    let mut other = Peer::enter_json(addr, "/rooms/a");
    publish(&server, "a", "first");
    let first = server.position("a").unwrap();
    for text in ["one", "two"] {
        sender.say(&json!({"type": "signal", "text": text, "id": 1}).to_string());
    }
    server.signal("a", Kind::Text, b"three").unwrap();
    sender.say(r#"{"text":"second","id":2}"#);
    let seen: Vec<_> = (0..5).map(|_| other.object()).collect();
    let gists: Vec<_> = seen.iter().map(gist).collect();
    assert_eq!(gists[0], "message first");
    let second = server.position("a").unwrap();
    assert_eq!(second.offset, first.offset + 1);
    assert!(seen.iter().all(|it| it["type"] == "message" || it["position"].is_null()));
    let mut expected = ["message first", "signal one", "signal two", "signal three"];
    let mut sorted = gists[..4].to_vec();
    sorted.sort_unstable();
    expected.sort_unstable();
    assert_eq!(sorted, expected);
    // Nothing answers a signal.
    assert_eq!(sender.gists(4)[3], "sent 2");
    let mut back = Peer::join_json(addr, &format!("/rooms/a?since={first}")).welcomed();
    let entered = back.entered("a");
    assert_eq!((entered.recovered, &entered.texts[..]), (Some(Ok(())), &["second".into()][..]));
    let mut new = Peer::join_json(addr, "/rooms/a?history=10").welcomed();
    assert_eq!(new.entered("a").texts, ["first", "second"]);
    new.say(r#"{"type":"history","id":3}"#);
    let history = new.object();
    assert_eq!(history["messages"].as_array().unwrap().len(), 2, "{history}");
}

#[test]
fn what_clients_signal_is_refused_unless_the_host_turns_it_on() {
    let server = server_with(|_| ());
    let mut client = Peer::enter_json(server.local_addr(), "/");
    client.say(r#"{"type":"signal","text":"typing","id":7}"#);
    let refused = client.object();
    assert_eq!((&refused["id"], field(&refused, "code")), (&json!(7), "forbidden"));
    // The host may, all the same.
    server.signal("lobby", Kind::Text, b"hello").unwrap();
    assert_eq!(client.object(), json!({"type": "signal", "room": "lobby", "text": "hello"}));
    assert_eq!(server.stats().signals_received, 1);
}

#[test]
fn what_cannot_be_a_signal_is_refused() {
    let server = signalling(|config| _ = config.max_message_size(3 * 1024 * 1024));
    let mut client = Peer::enter_json(server.local_addr(), "/");
    let mut other = Peer::enter_json(server.local_addr(), "/");
    let long = "x".repeat(4096);
    for (wrong, code) in [
        (json!({"type": "signal", "id": 1}), "malformed"),
        (json!({"type": "signal", "id": 1, "text": "x", "to": "ana"}), "malformed"),
        (json!({"type": "signal", "id": 1, "text": "x", "to": null}), "malformed"),
        (json!({"type": "signal", "id": 1, "text": "x", "room": "other"}), "not_in_room"),
        (json!({"type": "signal", "id": 1, "text": "x", "room": "o", "to": "host"}), "not_in_room"),
        (json!({"type": "signal", "id": 1, "text": format!("{long}x")}), "too_large"),
    ] {
        client.say(&wrong.to_string());
        let refused = client.object();
        assert_eq!((gist(&refused), field(&refused, "code")), ("refused 1".into(), code));
    }
    client.say(&json!({"type": "signal", "text": long}).to_string());
    assert_eq!(field(&other.object(), "text"), long);
    assert!(matches!(server.signal("lobby", Kind::Text, b"\xff"), Err(Error::InvalidUtf8)));
    let too_long = vec![b'x'; 4097];
    for result in [
        server.signal("lobby", Kind::Text, &too_long),
        server.signal_client(ClientId::from_u64(1), Kind::Text, &too_long),
    ] {
        assert!(matches!(result, Err(Error::TooLarge { size: 4097, limit: 4096, .. })));
    }
    assert!(matches!(server.signal("", Kind::Text, b""), Err(Error::InvalidRoom(_))));
    let nobody = server.signal_client(ClientId::from_u64(999), Kind::Text, b"");
    assert!(matches!(nobody, Err(Error::ClientNotFound)));
    assert!(server.signal("a room that nobody is in", Kind::Text, b"").is_ok());
    server.request_stop();
    assert!(matches!(server.signal("lobby", Kind::Text, b""), Err(Error::Stopped)));
}

#[test]
fn a_signal_to_the_host_reaches_the_host_alone() {
    let server = signalling(|_| ());
    let (addr, mut events) = (server.local_addr(), Events::of(&server));
    let mut client = Peer::enter_json(addr, "/rooms/a");
    let id = events.connected();
    let mut other = Peer::enter_json(addr, "/rooms/a");
    client.say(r#"{"type":"signal","to":"host","text":"stop"}"#);
    assert!(has_signalled(&mut events, id, "a", "stop"));
    client.say(r#"{"text":"next"}"#);
    assert_eq!(gist(&other.object()), "message next");
    // One that is in no room has the host still.
    server.leave(id, "a").unwrap();
    client.until("removed");
    client.say(r#"{"type":"signal","to":"host","text":"alone"}"#);
    assert!(has_signalled(&mut events, id, "", "alone"));
    client.say(r#"{"type":"signal","text":"to nobody"}"#);
    assert_eq!(gist(&client.object()), "refused not_in_room");
}

#[test]
fn the_host_signals_to_a_room_and_to_one_client() {
    let server = signalling(|_| ());
    let (addr, mut events) = (server.local_addr(), Events::of(&server));
    let mut one = Peer::enter_json(addr, "/rooms/a");
    let id = events.connected();
    let mut other = Peer::enter_json(addr, "/rooms/a");
    events.connected();
    let mut plain = Peer::join(addr, "/rooms/a");
    let plain_id = events.connected();
    let mut stream = Stream::open(addr, "/rooms/a?format=events");
    let stream_id = events.connected();
    for client in [id, plain_id, stream_id] {
        server.signal_client(client, Kind::Binary, &[0, 255]).unwrap();
    }
    server.signal("a", Kind::Text, b"all").unwrap();
    publish(&server, "a", "end");
    assert_eq!(one.object(), json!({"type": "signal", "base64": "AP8="}));
    for client in [&mut one, &mut other] {
        assert_eq!(client.object(), json!({"type": "signal", "room": "a", "text": "all"}));
        assert_eq!(gist(&client.object()), "message end");
    }
    assert_eq!(plain.text(), "end");
    let event = stream.next();
    assert_eq!((&*event.name, &*event.data), ("signal", r#"{"base64":"AP8="}"#));
    assert_eq!(stream.next().data, r#"{"room":"a","text":"all"}"#);
    assert_eq!(stream.text(), "end");
}

#[test]
fn a_client_in_several_rooms_names_the_room() {
    let server = signalling(|_| ());
    let (addr, mut events) = (server.local_addr(), Events::of(&server));
    let mut client = Peer::enter_json(addr, "/rooms/a");
    let id = events.connected();
    let (mut in_a, mut in_b) =
        (Peer::enter_json(addr, "/rooms/a"), Peer::enter_json(addr, "/rooms/b"));
    server.join(id, "b").unwrap();
    client.until("live");
    client.say(r#"{"type":"signal","text":"first"}"#);
    client.say(r#"{"type":"signal","room":"b","text":"second"}"#);
    client.say(r#"{"type":"signal","room":"a","text":"third"}"#);
    assert_eq!(in_a.gists(2), ["signal first", "signal third"]);
    assert_eq!(in_b.gists(1), ["signal second"]);
    for (room, text) in [("a", "first"), ("b", "second"), ("a", "third")] {
        assert!(has_signalled(&mut events, id, room, text));
    }
}

#[test]
fn signals_wait_for_no_review() {
    let server = signalling(|config| _ = config.review_timeout(Duration::from_secs(3600)));
    let (addr, mut events) = (server.local_addr(), Events::of(&server));
    let mut client = Peer::enter_json(addr, "/");
    let id = events.connected();
    let mut other = Peer::enter_json(addr, "/");
    client.say(r#"{"text":"waits"}"#);
    client.say(r#"{"type":"signal","text":"typing"}"#);
    assert_eq!(gist(&other.object()), "signal typing");
    let decision = events.find("MessageRequest", |event| match event {
        Event::MessageRequest { decision, .. } => Some(decision),
        _ => None,
    });
    assert!(has_signalled(&mut events, id, "lobby", "typing"));
    server.allow(decision).unwrap();
    assert_eq!(gist(&other.object()), "message waits");
}

#[test]
fn what_a_client_signals_beyond_its_rate_is_dropped_and_counted_and_nobody_else_pays() {
    const RATE: u32 = 10;
    let server = server_with(|config| {
        config.workers(1).signal_rate(RATE).event_queue(10_000);
    });
    let (addr, mut events) = (server.local_addr(), Events::of(&server));
    let mut flooder = Peer::enter_json(addr, "/");
    let id = events.connected();
    let mut other = Peer::enter_json(addr, "/");
    events.connected();
    // In one write, which takes no second.
    let flood = masked(TEXT, br#"{"type":"signal","text":"flood"}"#).repeat(10_000);
    flooder.write(&flood);
    eventually("all were read", || server.stats().signals_received == 10_000);
    other.say(r#"{"text":"served"}"#);
    let signals = other.until("message").len() as u64 - 1;
    // A burst of two seconds, and what the reading took.
    assert!((20..200).contains(&signals), "{signals}");
    let stats = server.stats();
    assert_eq!(stats.signals_dropped + signals, 10_000);
    assert_eq!((stats.messages_dropped, stats.events_dropped), (0, 0));
    let told = events.now();
    let of = |event: &&Event| matches!(event, Event::Signal { client, .. } if *client == id);
    assert_eq!(told.iter().filter(of).count() as u64, signals);
    // Each client has a rate of its own.
    other.say(r#"{"type":"signal","text":"mine"}"#);
    assert_eq!(flooder.until("signal").pop().map(|it| gist(&it)), Some("signal mine".into()));
}

#[test]
fn what_a_client_signals_after_leave_or_disconnect_has_returned_reaches_nobody() {
    let server = signalling(|config| _ = config.workers(2));
    let (addr, mut events) = (server.local_addr(), Events::of(&server));
    let mut watcher = Peer::enter_json(addr, "/rooms/a");
    events.connected();
    for round in 0..100 {
        let mut client = Peer::enter_json(addr, "/rooms/a");
        let id = events.connected();
        let early = r#"{"type":"signal","text":"early"}"#;
        client.say(early);
        if round % 2 == 0 {
            server.leave(id, "a").unwrap();
        } else {
            server.disconnect(id, 4000, "").unwrap();
        }
        // It was told in another way that the call has returned.
        client.say(r#"{"type":"signal","text":"late"}"#);
        if round % 2 == 0 {
            assert_eq!(client.until("refused").len(), 2, "removed and refused");
        } else {
            assert_eq!(client.objects_until_closed().1, 4000);
        }
        publish(&server, "a", "end");
        let seen = watcher.until("message");
        assert!(seen.iter().all(|it| it["text"] != "late"), "{seen:?}");
    }
}

#[test]
fn a_slow_client_loses_signals_without_a_word_and_no_message_for_them() {
    let server = signalling(|config| {
        config.workers(1).slow_consumer(SlowConsumer::DropOldest).history_messages(0);
        config.outbox_age(Duration::from_secs(3600)).max_message_size(8 * 1024);
    });
    let (addr, mut events) = (server.local_addr(), Events::of(&server));
    let mut slow = Peer::connect_small(addr);
    slow.become_client("/?format=json&echo=false");
    slow.until("live");
    let id = events.connected();
    let mut quick = Peer::enter_json(addr, "/");
    let text = "x".repeat(4096);
    // It reads nothing. The other shows that all was written which can be written.
    for number in 0..2000 {
        server.signal("lobby", Kind::Text, text.as_bytes()).unwrap();
        server.signal_client(id, Kind::Text, text.as_bytes()).unwrap();
        quick.until("signal");
        if number % 100 == 0 {
            publish(&server, "lobby", &number.to_string());
            quick.until("message");
        }
    }
    publish(&server, "lobby", "last");
    let (mut numbers, mut signals) = (Vec::new(), 0);
    loop {
        let object = slow.object();
        match field(&object, "type") {
            "signal" => signals += 1,
            "message" if object["text"] == "last" => break,
            "message" => numbers.push(field(&object, "text").to_owned()),
            _ => panic!("{object}"),
        }
    }
    let all: Vec<_> = (0..2000).step_by(100).map(|number| number.to_string()).collect();
    assert_eq!(numbers, all, "every message");
    assert!((1..4000).contains(&signals), "{signals}");
    let stats = server.stats();
    assert_eq!((stats.messages_dropped, stats.slow_consumers), (0, 0));
}

#[test]
fn others_publish_and_connect_while_all_signal_at_full_speed() {
    let server = signalling(|config| _ = config.workers(2).event_queue(100));
    let addr = server.local_addr();
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let flood = masked(TEXT, br#"{"type":"signal","text":"flood"}"#).repeat(1000);
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (mut client, flood, stop) =
                (Peer::enter_json(addr, "/rooms/flood"), flood.clone(), Arc::clone(&stop));
            thread::spawn(move || {
                client.stream.set_nonblocking(true).unwrap();
                // It reads too, so that nobody is slow.
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    use std::io::{Read, Write};
                    let _ = client.stream.write(&flood);
                    let _ = client.stream.read(&mut [0; 64 * 1024]);
                }
            })
        })
        .collect();
    let host = {
        let (handle, stop) = ((*server).clone(), Arc::clone(&stop));
        thread::spawn(move || {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                handle.signal("flood", Kind::Text, b"host").unwrap();
            }
        })
    };
    for turn in 0..50 {
        let mut quiet = Peer::join(addr, "/rooms/quiet");
        let text = format!("turn {turn}");
        quiet.say(&text);
        assert_eq!(quiet.text(), text);
        publish(&server, "quiet", "host");
        assert_eq!(quiet.text(), "host");
        // The host takes the events of clients; of signals some are lost.
        let taken = server.next_events(Duration::from_secs(10)).unwrap();
        assert!(taken.iter().all(|event| !matches!(event, Event::EventsDropped { .. })));
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().unwrap());
    host.join().unwrap();
    assert!(server.stats().signals_dropped > 0);
}

//! What a client of the JSON form is told of its rooms, and in which order: beside plain clients, with admission, and
//! while others publish.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod peer;

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use chat::{ClientId, Event, Kind, Past, Position, Server};
use peer::{
    PATIENCE, Peer, eventually,
    frames::BINARY,
    host::{Events, server, server_with},
    objects::{SUBPROTOCOL, field, gist},
};
use serde_json::{Value, json};

fn publish(server: &Server, room: &str, text: &str) -> Position {
    server.publish(room, Kind::Text, text.as_bytes()).unwrap()
}

/// Without what differs from run to run.
fn known(object: &Value) -> Value {
    let mut object = object.clone();
    let fields = object.as_object_mut().unwrap();
    fields.remove("time");
    if let Some(client) = fields.get_mut("client") {
        *client = "a client".into();
    }
    object
}

#[test]
fn plain_clients_and_those_of_the_json_form_are_in_one_room() {
    let server = server_with(|config| _ = config.event_queue(100));
    let mut events = Events::of(&server);
    let addr = server.local_addr();
    let mut json = Peer::enter_json(addr, "/rooms/a?name=json");
    events.connected();
    let mut quiet = Peer::enter_json(addr, "/rooms/a?echo=false");
    events.connected();
    let mut plain = Peer::join(addr, "/rooms/a?name=Ana%20B");
    let id = events.connected();

    plain.say("hi");
    plain.send(BINARY, b"\x00\xff");
    plain.say("");
    let first = server.position("a");
    eventually("all are published", || server.position("a").unwrap().offset == 3);
    server.set_name(id, "Dr. \"Ana\"").unwrap();
    plain.say("named");
    for text in ["hi", "\x00\u{ff}", "", "named"] {
        let message = plain.message();
        assert_eq!(message.payload.len(), text.chars().count());
    }
    server.set_name(id, "").unwrap();
    plain.say("nameless");
    assert_eq!(plain.text(), "nameless");
    json.say(r#"{"text":"one\n€ two","id":"x"}"#);
    json.say(r#"{"base64":"AP8="}"#);
    json.say(r#"{"base64":"aGk=","kind":"text","id":-7}"#);
    json.say(r#"{"text":""}"#);
    let received = [(); 4].map(|()| plain.message());
    assert_eq!(
        received.each_ref().map(|it| &it.payload[..]),
        ["one\n€ two".as_bytes(), b"\x00\xff", b"hi", b""]
    );
    assert_eq!(received.map(|it| it.head == BINARY), [false, true, false, false]);
    quiet.say(r#"{"id":1,"text":"not to me"}"#);
    assert_eq!(plain.text(), "not to me");
    publish(&server, "a", "from the host");
    server.broadcast(Kind::Binary, b"\x01").unwrap();
    server.send(id, Kind::Text, b"to the plain one").unwrap();
    assert_eq!(
        [plain.text(), plain.message().text().into(), plain.text()],
        ["from the host", "\u{1}", "to the plain one"]
    );

    let at = |offset| Position { offset, ..first.as_ref().copied().unwrap() }.to_string();
    let message = |offset: u64, name: Value, claimed: bool, payload: Value| {
        let mut object = json!({"type": "message", "room": "a", "client": "a client"});
        object["position"] = at(offset).into();
        for (key, value) in payload.as_object().unwrap() {
            object[key] = value.clone();
        }
        if !name.is_null() {
            object["name"] = name;
        }
        if claimed {
            object["claimed"] = true.into();
        }
        object
    };
    let sent = |offset: u64, id: Value| json!({"type": "sent", "room": "a", "position": at(offset), "id": id});
    let host = json!({"type": "message", "room": "a", "position": at(11), "text": "from the host"});
    let broadcast = json!({"type": "broadcast", "base64": "AQ=="});
    let claimed = || Value::from("Ana B");
    let of_plain = [
        message(1, claimed(), true, json!({"text": "hi"})),
        message(2, claimed(), true, json!({"base64": "AP8="})),
        message(3, claimed(), true, json!({"text": ""})),
        message(4, "Dr. \"Ana\"".into(), false, json!({"text": "named"})),
        message(5, Value::Null, false, json!({"text": "nameless"})),
    ];
    let of_json = [
        message(6, "json".into(), true, json!({"text": "one\n€ two"})),
        message(7, "json".into(), true, json!({"base64": "AP8="})),
        message(8, "json".into(), true, json!({"text": "hi"})),
        message(9, "json".into(), true, json!({"text": ""})),
    ];
    let of_quiet = message(10, Value::Null, false, json!({"text": "not to me"}));
    let mut expected = of_plain.to_vec();
    expected.extend([of_json[0].clone(), sent(6, "x".into()), of_json[1].clone()]);
    expected.extend([of_json[2].clone(), sent(8, (-7).into()), of_json[3].clone()]);
    expected.extend([of_quiet.clone(), host.clone(), broadcast.clone()]);
    for expected in expected {
        assert_eq!(known(&json.object()), expected);
    }
    for expected in of_plain.into_iter().chain(of_json).chain([sent(10, 1.into()), host, broadcast])
    {
        assert_eq!(known(&quiet.object()), expected);
    }
}

#[test]
fn no_client_is_called_as_another_one() {
    let server = server();
    let mut tags = Vec::new();
    for _ in 0..50 {
        let welcome = Peer::join_json(server.local_addr(), "/").object();
        assert_eq!((field(&welcome, "type"), &welcome["version"]), ("welcome", &1.into()));
        tags.push(welcome["client"].to_string());
    }
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 50);
}

#[test]
fn with_admission_all_that_the_host_does_before_it_accepts_comes_in_its_order_behind_welcome() {
    let server = server_with(|config| {
        config.event_queue(100).admission_timeout(PATIENCE);
    });
    let mut events = Events::of(&server);
    publish(&server, "a", "old a");
    let old = publish(&server, "b", "old b");
    let before = Position { offset: old.offset - 1, ..old };
    let mut client = Peer::connect(server.local_addr());
    let head = peer::upgrade_head(
        server.local_addr(),
        &format!("/rooms/a?history=5&since.b={before}&since.c={old}"),
        &[SUBPROTOCOL],
    );
    client.write(head.as_bytes());
    let id: ClientId = events.find("ConnectRequest", |event| match event {
        Event::ConnectRequest { client, .. } => Some(client),
        _ => None,
    });
    server.send(id, Kind::Text, b"first").unwrap();
    server.join_with_past(id, "b", Past::All, None).unwrap();
    publish(&server, "b", "new b");
    publish(&server, "a", "before it is in a");
    server.send(id, Kind::Text, b"second").unwrap();
    server.accept_with_past(id, Past::Last(1)).unwrap();
    publish(&server, "a", "new a");
    server.broadcast(Kind::Text, b"to all").unwrap();
    server.join_with_past(id, "c", Past::None, None).unwrap();
    server.join_with_past(id, "d", Past::All, Some(old)).unwrap();
    assert_eq!(client.response().status, 101);
    let objects: Vec<_> = (0..16).map(|_| client.object()).collect();
    let gists: Vec<_> = objects.iter().map(gist).collect();
    let expected = [
        "welcome null",
        "direct first",
        "entered b",
        "message old b",
        "live b",
        "message new b",
        "direct second",
        "entered a",
        "message before it is in a",
        "live a",
        "message new a",
        "broadcast to all",
        "entered c",
        "live c",
        "entered d",
        "live d",
    ];
    assert_eq!(gists, expected);
    let told = |index: usize| (&objects[index]["recovered"], field(&objects[index], "reason"));
    assert_eq!(told(2), (&true.into(), ""));
    assert_eq!(told(7), (&Value::Null, ""));
    assert_eq!(told(12), (&false.into(), "epoch"), "it has said where it was in c");
    assert_eq!(told(14), (&false.into(), "epoch"), "the host has said so");
}

#[test]
fn removed_comes_behind_what_was_published_before_and_where_it_was_counts_once() {
    let server = server_with(|config| _ = config.event_queue(100));
    let mut events = Events::of(&server);
    let old = publish(&server, "b", "old");
    publish(&server, "b", "older than the client");
    let path = format!("/rooms/a?since.b={old}");
    let mut client = Peer::enter_json(server.local_addr(), &path);
    let id = events.connected();
    let recovered = |objects: &[Value]| objects[0]["recovered"].as_bool();
    server.join_with_past(id, "b", Past::Last(1), None).unwrap();
    let entered = client.until("live");
    assert_eq!((entered.len(), recovered(&entered)), (3, Some(true)));
    publish(&server, "b", "last");
    server.leave(id, "b").unwrap();
    publish(&server, "b", "missed");
    assert_eq!(client.gists(2), ["message last", "removed b"]);
    server.leave(id, "b").unwrap();
    // The second time it has not said where it was.
    server.join_with_past(id, "b", Past::Last(1), None).unwrap();
    let entered = client.until("live");
    assert_eq!(recovered(&entered), None);
    assert_eq!(
        entered.iter().map(gist).collect::<Vec<_>>(),
        ["entered b", "message missed", "live b"]
    );
    // It is in the room already: nothing is said.
    server.join_with_past(id, "b", Past::All, Some(old)).unwrap();
    publish(&server, "b", "once");
    assert_eq!(client.gists(1), ["message once"]);
    client.say(r#"{"id":1,"type":"history","room":"b"}"#);
    let history = client.object();
    let texts: Vec<_> =
        history["messages"].as_array().unwrap().iter().map(|it| field(it, "text")).collect();
    assert_eq!(texts, ["missed", "once"], "no more than the host has let it have");
    assert_eq!(history["more"], false);
}

#[test]
fn between_where_the_host_saw_a_room_and_a_clients_first_connection_nothing_is_lost() {
    const PUBLISHERS: usize = 8;
    let rounds = 1_000;
    let server = server_with(|config| _ = config.event_queue(0).workers(2));
    let is_over = AtomicBool::new(false);
    let paced = AtomicU64::new(0);
    thread::scope(|scope| {
        for publisher in 0..PUBLISHERS {
            let (server, is_over, paced) = (&server, &is_over, &paced);
            scope.spawn(move || {
                let mut number = 0;
                while !is_over.load(Ordering::Relaxed) {
                    // A few for each connection, so that no history is trimmed.
                    if paced.load(Ordering::Relaxed) * 5 > number {
                        publish(server, "page", &format!("{publisher} {number}"));
                        number += 1;
                    } else {
                        thread::yield_now();
                    }
                }
            });
        }
        for round in 0..rounds {
            paced.fetch_add(1, Ordering::Relaxed);
            let rendered = server.position("page").unwrap();
            let path = format!("/rooms/page?since={rendered}");
            let mut client = Peer::join_json(server.local_addr(), &path);
            client.object();
            let entered = client.object();
            assert_eq!(entered["recovered"], true, "{round}: {entered}");
            assert_eq!(field(&entered, "position"), rendered.to_string());
            let (mut last, mut is_live) = (rendered.offset, false);
            // Through the replay and into what follows.
            let until = server.position("page").unwrap().offset;
            while !is_live || last < until {
                let object = client.object();
                if field(&object, "type") == "live" {
                    is_live = true;
                    continue;
                }
                let position: Position = field(&object, "position").parse().unwrap();
                assert_eq!(position, Position { offset: last + 1, ..rendered }, "{round}");
                last += 1;
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn what_the_bound_on_all_histories_takes_is_told() {
    let server = server_with(|config| {
        config.max_message_size(100_000).history_total(500_000);
    });
    let text = "x".repeat(90_000);
    let first = publish(&server, "a", &text);
    for room in ["b", "c", "d", "e", "f", "g"] {
        publish(&server, room, &text);
    }
    // The room was forgotten, and goes on where it stood.
    let mut client = Peer::join_json(server.local_addr(), &format!("/rooms/a?since={first}"));
    let objects = client.until("live");
    assert_eq!((objects[1]["recovered"].as_bool(), objects.len()), (Some(true), 3), "{objects:?}");
    let before = Position { offset: first.offset - 1, ..first };
    let mut client = Peer::join_json(server.local_addr(), &format!("/rooms/a?since={before}"));
    let objects = client.until("live");
    assert_eq!((&objects[1]["recovered"], objects.len()), (&false.into(), 3), "{objects:?}");
    assert_eq!(field(&objects[1], "reason"), "trimmed");
    assert_eq!(field(&objects[1], "position"), first.to_string());
}

#[test]
fn a_client_that_had_everything_recovers_though_its_room_was_forgotten_meanwhile() {
    let age = Duration::from_millis(300);
    let server = server_with(|config| _ = config.history_age(age));
    let mut client = Peer::enter_json(server.local_addr(), "/rooms/a");
    client.say(r#"{"id":1,"text":"last"}"#);
    let sent = client.until("sent");
    let top = field(&sent[1], "position").to_owned();
    client.leave();
    eventually("the room is forgotten", || server.stats().rooms == 0);
    let mut client = Peer::join_json(server.local_addr(), &format!("/rooms/a?since={top}"));
    let objects = client.until("live");
    assert_eq!((&objects[1]["recovered"], objects.len()), (&true.into(), 3), "{objects:?}");
    let epoch = top.split_once('-').unwrap().0;
    let mut late = Peer::join_json(server.local_addr(), &format!("/rooms/a?since={epoch}-0"));
    assert_eq!(field(&late.until("live")[1], "reason"), "trimmed");
}

#[test]
fn a_client_recovers_in_a_room_in_which_nobody_has_said_anything_though_it_was_forgotten() {
    let server = server_with(|config| _ = config.event_queue(100));
    let mut events = Events::of(&server);
    let mut client = Peer::join_json(server.local_addr(), "/rooms/a");
    server.join(events.connected(), "b").unwrap();
    let at = |objects: &[Value]| field(&objects[objects.len() - 2], "position").to_owned();
    let (a, b) = (at(&client.until("live")), at(&client.until("live")));
    client.leave();
    eventually("the rooms are forgotten", || server.stats().rooms == 0);
    publish(&server, "a", "missed");
    let path = format!("/rooms/b?since={b}&since.a={a}");
    let mut client = Peer::join_json(server.local_addr(), &path);
    assert_eq!(client.until("live")[1]["recovered"], true);
    server.join_with_past(events.connected(), "a", Past::All, None).unwrap();
    let entered = client.until("live");
    assert_eq!((&entered[0]["recovered"], entered.len()), (&true.into(), 3), "{entered:?}");
}

#[test]
fn where_a_client_was_in_the_room_of_its_path_counts_once_also_if_the_host_puts_it_there() {
    for (key, is_asked, joins_first) in [
        ("since", false, false),
        ("since.a", false, false),
        ("since", true, false),
        ("since.a", true, false),
        ("since", true, true),
        ("since.a", true, true),
    ] {
        let server = server_with(|config| {
            config.event_queue(100).admission_timeout(PATIENCE * u32::from(is_asked));
        });
        let mut events = Events::of(&server);
        let old = publish(&server, "a", "old");
        publish(&server, "a", "new");
        let mut client = Peer::connect(server.local_addr());
        let path = format!("/rooms/a?{key}={old}");
        let head = peer::upgrade_head(server.local_addr(), &path, &[SUBPROTOCOL]);
        client.write(head.as_bytes());
        let id = events.find("ConnectRequest or Connected", |event| match event {
            Event::ConnectRequest { client, .. } | Event::Connected { client, .. } => Some(client),
            _ => None,
        });
        if joins_first {
            server.join_with_past(id, "a", Past::All, None).unwrap();
        }
        if is_asked {
            server.accept(id).unwrap();
        }
        assert_eq!(client.response().status, 101);
        let gists: Vec<_> = client.until("live").iter().map(gist).collect();
        assert_eq!(gists, ["welcome null", "entered a", "message new", "live a"]);
        server.leave(id, "a").unwrap();
        server.join(id, "a").unwrap();
        let objects = client.until("live");
        let gists: Vec<_> = objects.iter().map(gist).collect();
        assert_eq!(gists, ["removed a", "entered a", "live a"]);
        assert!(objects[1]["recovered"].is_null(), "{objects:?}");
    }
}

#[test]
fn a_client_is_told_why_it_does_not_recover() {
    let server = server();
    let top = publish(&server, "a", "one");
    let other = publish(&server, "b", "of another room");
    let ahead = Position { offset: 2, ..top };
    let long = format!("{top}{}", " ".repeat(64));
    for (since, reason) in [
        (other.to_string(), "epoch"),
        ("0-1".into(), "epoch"),
        (ahead.to_string(), "ahead"),
        (String::new(), "invalid"),
        ("nonsense".into(), "invalid"),
        (long, "invalid"),
        (format!("0{top}"), "invalid"),
    ] {
        let path = format!("/rooms/a?since={}", since.replace(' ', "+"));
        let objects = Peer::join_json(server.local_addr(), &path).until("live");
        let entered = &objects[1];
        assert_eq!((&entered["recovered"], field(entered, "reason")), (&false.into(), reason));
        assert_eq!(gist(&objects[2]), "message one", "all that is kept");
        let path = format!("{path}&history=0");
        let objects = Peer::join_json(server.local_addr(), &path).until("live");
        assert!(objects.len() == 3, "as much as it wants: {objects:?}");
    }
    let server = server_with(|config| _ = config.history_messages(0));
    let objects =
        Peer::join_json(server.local_addr(), &format!("/rooms/a?since={top}")).until("live");
    assert_eq!(field(&objects[1], "reason"), "no_history");
    assert!(objects[1]["position"].is_null(), "{objects:?}");
}

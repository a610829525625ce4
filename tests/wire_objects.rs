//! docs/wire.schema.json and docs/wire.md say what the server sends: every object fits, and every object comes.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod peer;
mod support;
mod wire;

use std::{collections::BTreeSet, fs, thread, time::Duration};

use chat::{Event, Kind, Members, Past, Position, PublishOptions, Server};
use peer::{
    Peer,
    events::Stream,
    eventually,
    host::{Events, server_with},
};
use serde_json::{Value, json};
use support::ROOT;
use wire::{Client, Seen, blocks, check, check_none};

/// What is not seen here: `dropped`, codes that are reserved, and one that comes only if a message meets a stop.
const UNSEEN: [&str; 11] = [
    "dropped",
    "dropped.after",
    "dropped.before",
    "dropped.count",
    "dropped.room",
    "dropped.type",
    "refused.code=rate_limited",
    "refused.code=stopping",
    "refused.code=unavailable",
    "refused.code=unknown",
    "entered.reason=unavailable",
];

/// All that the schema names of the server's objects, as `check` returns it.
fn all_of_schema() -> BTreeSet<String> {
    let schema = fs::read_to_string(format!("{ROOT}/docs/wire.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let definition = |reference: &Value| {
        let name = reference["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
        &schema["$defs"][name]
    };
    let mut all = BTreeSet::new();
    for part in schema["$defs"]["server"]["oneOf"].as_array().unwrap() {
        let part = definition(part);
        let kinds = &part["properties"]["type"];
        let kinds =
            kinds["enum"].as_array().cloned().unwrap_or_else(|| vec![kinds["const"].clone()]);
        let further = part["allOf"].as_array().into_iter().flatten().map(definition);
        for kind in kinds {
            let kind = kind.as_str().unwrap();
            all.insert(kind.to_owned());
            for part in further.clone().chain([part]) {
                for (field, value) in part["properties"].as_object().unwrap() {
                    if *value == json!(false) {
                        // The schema says that it is never there.
                        continue;
                    }
                    all.insert(format!("{kind}.{field}"));
                    if ["code", "reason"].contains(&&**field) && value["enum"][0].is_string() {
                        for word in value["enum"].as_array().unwrap() {
                            all.insert(format!("{kind}.{field}={}", word.as_str().unwrap()));
                        }
                    }
                }
            }
        }
    }
    all
}

/// What a client says, and what the server sends beside messages.
fn talk(seen: &Seen) {
    let server = server_with(|config| {
        config.event_queue(1_000).max_message_size(100).ping_interval(Duration::from_millis(1_500));
        config.signal_rate(100);
    });
    let (addr, mut events) = (server.local_addr(), Events::of(&server));
    let mut ana = seen.join(addr, "/rooms/r?name=ana");
    let id = events.connected();
    assert_eq!(ana.object()["ping"], 1.5);
    ana.find("live");
    for object in [
        r#"{"text":"salut"}"#,
        r#"{"base64":"AAEC"}"#,
        r#"{"text":"\u0001\u0001\u0001\u0001\u0001\u0001"}"#,
    ] {
        ana.ask(object, "message");
    }
    let mut plain = Peer::join(addr, "/rooms/r");
    plain.say("from a plain client");
    ana.find("message");
    plain.leave();
    let sent = ana.ask(r#"{"id":"7","text":"x"}"#, "sent");
    server.publish("r", Kind::Text, b"from the host").unwrap();
    ana.find("message");
    let support = PublishOptions { name: Some("Support"), key: Some("k"), ..Default::default() };
    server.publish_with("r", Kind::Text, b"from the host", &support).unwrap();
    ana.find("message");
    for (object, answer) in [
        (r#"{"id":1,"key":"k","text":"once"}"#, "sent"),
        (r#"{"id":2,"key":"k","text":"once"}"#, "sent"),
        (r#"{"id":3,"key":"k","text":"another"}"#, "refused"),
    ] {
        ana.ask(object, answer);
    }
    server.broadcast(Kind::Text, b"to all").unwrap();
    server.broadcast(Kind::Text, &[1; 50]).unwrap();
    server.send(id, Kind::Binary, b"to one").unwrap();
    server.send(id, Kind::Text, &[1; 50]).unwrap();
    server.send(id, Kind::Text, b"to one").unwrap();
    for kind in ["broadcast", "broadcast", "direct", "direct", "direct"] {
        let next = std::iter::repeat_with(|| ana.object()).find(|object| object["type"] != "ping");
        assert_eq!(next.unwrap()["type"], kind);
    }
    let mut ben = Peer::enter_json(addr, "/rooms/r?name=ben");
    ben.say(r#"{"type":"signal","text":"typing"}"#);
    server.signal("r", Kind::Text, &[1; 50]).unwrap();
    server.signal_client(id, Kind::Binary, b"to one").unwrap();
    for _ in 0..3 {
        ana.find("signal");
    }
    ben.leave();
    let before = sent["position"].as_str().unwrap();
    ana.ask(&format!(r#"{{"type":"history","id":9,"before":"{before}","limit":3}}"#), "history");
    for object in
        ["{}", r#"{"id":1,"type":"typing"}"#, r#"{"text":"\ud800"}"#, r#"{"text":"","room":"s"}"#]
    {
        ana.ask(object, "refused");
    }
    ana.ask(&format!(r#"{{"text":"{:x<101}"}}"#, ""), "refused");
    server.set_name(id, "Ana").unwrap();
    ana.ask(r#"{"text":"x"}"#, "message");
    server.join(id, "s").unwrap();
    ana.find("live");
    server.leave(id, "s").unwrap();
    ana.find("removed");
    ana.find("ping");
    stop(&server, ana);
}

/// Who is in a room, and who has come, gone and come back.
fn watch(seen: &Seen) {
    let server = server_with(|config| {
        config.event_queue(1_000).members(Members::Clients);
        config.admission_timeout(Duration::from_secs(10));
    });
    let handle = server.handle();
    // The query is the identity.
    let host = thread::spawn(move || {
        while let Ok(events) = handle.next_events(Duration::MAX) {
            for event in events {
                if let Event::ConnectRequest { client, request, .. } = event {
                    handle.set_identity(client, &request.query).unwrap();
                    handle.accept(client).unwrap();
                }
            }
        }
    });
    let addr = server.local_addr();
    let mut ana = seen.join(addr, "/rooms/r?members=true&name=ana");
    assert!(ana.find("members").get("list").is_some());
    for field in ["joined", "returned", "left"] {
        let ben = Peer::join(addr, "/rooms/r?name=ben");
        if field != "left" {
            assert!(ana.find("members").get(field).is_some(), "{field}");
            // Its connection ends: for two seconds it may come back.
            drop(ben);
            eventually("it is away", || server.members("r").unwrap().iter().any(|it| it.is_away));
            continue;
        }
        assert!(ana.find("members").get("returned").is_some());
        ben.leave();
        assert!(ana.find("members").get("left").is_some());
    }
    stop(&server, ana);
    host.join().unwrap();
}

/// What the client of an event stream gets in place of frames.
fn listen(seen: &Seen) {
    let server = server_with(|config| _ = config.event_queue(1_000));
    let mut stream = Stream::open(server.local_addr(), "/rooms/r?format=json&since=1-1");
    let mut events = Events::of(&server);
    let id = events.connected();
    server.publish("r", Kind::Text, b"from the host").unwrap();
    server.broadcast(Kind::Text, b"to all").unwrap();
    server.send(id, Kind::Binary, b"to one").unwrap();
    server.leave(id, "r").unwrap();
    server.disconnect(id, 4001, "moderated").unwrap();
    let (events, _) = stream.until_end();
    let kind = |text: &str| serde_json::from_str::<Value>(text).unwrap()["type"].clone();
    let kinds: Vec<_> = events.iter().map(|event| kind(&event.data)).collect();
    let expected =
        ["welcome", "entered", "live", "message", "broadcast", "direct", "removed", "closed"];
    assert_eq!(kinds, expected);
    events.into_iter().for_each(|event| seen.note(event.data));
}

/// Stops a server, whose client is told first.
fn stop(server: &Server, mut client: Client<'_>) {
    server.request_stop();
    let closing = client.find("closing");
    let (code, reason) = client.peer.closed();
    assert_eq!((&closing["code"], &closing["reason"]), (&json!(code), &json!(reason)));
    client.peer.answer_close(code);
    server.wait(Duration::from_secs(10)).unwrap();
}

/// Each reason for which a client does not recover.
fn come_back(seen: &Seen) {
    let server = server_with(|config| _ = config.history_messages(2));
    let at = |offset| Position { offset, ..server.position("r").unwrap() };
    for number in 0..4 {
        server.publish("r", Kind::Text, &[number]).unwrap();
    }
    for (since, recovered, reason) in [
        (at(2).to_string(), true, Value::Null),
        (at(1).to_string(), false, json!("trimmed")),
        (at(5).to_string(), false, json!("ahead")),
        ("1-1".into(), false, json!("epoch")),
        ("?".into(), false, json!("invalid")),
    ] {
        let mut client = seen.join(server.local_addr(), &format!("/rooms/r?since={since}"));
        let entered = client.find("entered");
        assert_eq!((&entered["recovered"], &entered["reason"]), (&json!(recovered), &reason));
        assert_eq!(client.find("message")["position"], at(3).to_string(), "all that is kept");
        client.find("live");
    }
    let without = server_with(|config| _ = config.history_messages(0));
    let mut client = seen.join(without.local_addr(), "/rooms/r?since=1-1");
    assert_eq!(client.find("entered")["reason"], "no_history");
    assert!(client.ask(r#"{"text":""}"#, "message")["position"].is_null());
    assert!(client.ask(r#"{"text":"","id":1}"#, "sent")["position"].is_null());
    assert_eq!(client.ask(r#"{"type":"signal","text":""}"#, "refused")["code"], "forbidden");
}

/// What becomes of messages that the host reviews, and of those for which it has no time.
fn be_reviewed(seen: &Seen) {
    let server = server_with(|config| {
        config.event_queue(4).review_timeout(Duration::from_secs(3));
    });
    let mut events = Events::of(&server);
    let mut client = seen.join(server.local_addr(), "/?since.s=1-1");
    let id = events.connected();
    let mut say = |object: &str| {
        client.peer.say(object);
        events.find("MessageRequest", |event| match event {
            Event::MessageRequest { decision, .. } => Some(decision),
            _ => None,
        })
    };
    let changed = say(r#"{"id":1,"text":"rude"}"#);
    let refused = say(r#"{"id":2,"text":"bad"}"#);
    say(r#"{"id":3,"text":"overdue"}"#);
    server.allow_changed(changed, Kind::Text, b"polite").unwrap();
    server.refuse(refused).unwrap();
    let code = |object: Value| object["code"].as_str().unwrap().to_owned();
    assert_eq!(client.find("sent")["changed"], true);
    assert_eq!(code(client.find("refused")), "refused");
    assert_eq!(code(client.find("refused")), "overdue");
    // More than the event queue holds.
    (0..20).for_each(|_| client.peer.say(r#"{"id":4,"text":"many"}"#));
    assert_eq!(code(client.find("refused")), "overdue");
    while code(client.find("refused")) != "busy" {}
    server.join_with_past(id, "s", Past::All, None).unwrap();
    assert_eq!(client.find("entered")["reason"], "epoch");
}

#[test]
fn every_object_that_the_server_sends_is_in_the_schema_and_every_one_in_it_is_sent() {
    let seen = Seen::default();
    talk(&seen);
    come_back(&seen);
    be_reviewed(&seen);
    listen(&seen);
    watch(&seen);
    let mut expected = all_of_schema();
    UNSEEN.iter().for_each(|it| assert!(expected.remove(*it), "{it} is not in the schema"));
    let seen: BTreeSet<_> = seen.check().into_iter().collect();
    assert_eq!(seen, expected);
}

#[test]
fn the_document_shows_each_object_and_names_each_field_and_word() {
    let ends = ("\n## What the server sends", "\n## What a client sends");
    let server = check("server", &blocks("json", ends).join("\n"));
    let client = check("client", &blocks("json", (ends.1, "\n## Thirty lines")).join("\n"));
    assert!(client.contains(&"history.before".into()) && client.contains(&"message.kind".into()));
    let document = fs::read_to_string(format!("{ROOT}/docs/wire.md")).unwrap();
    for name in all_of_schema() {
        let (kind, word) = name.split_once('.').unwrap_or((&name, "type"));
        assert!(server.iter().any(|it| it == kind), "no example of {kind}");
        let word = word.split('=').next_back().unwrap();
        assert!(document.contains(&format!("`{word}`")), "nothing on {name}");
    }
}

#[test]
fn the_schema_refuses_what_is_no_object_of_the_wire() {
    let server = [
        r#"{"type":"welcome","version":1,"client":"a"}"#,
        r#"{"type":"entered","room":"r","recovered":false}"#,
        r#"{"type":"entered","room":"r","recovered":true,"reason":"epoch"}"#,
        r#"{"type":"entered","room":"r","position":"A-1"}"#,
        r#"{"type":"message","room":"r","time":1}"#,
        r#"{"type":"message","room":"r","time":1,"text":"","base64":""}"#,
        r#"{"type":"message","room":"r","time":1,"text":"","kind":"text"}"#,
        r#"{"type":"message","room":"r","time":1,"text":"","claimed":true}"#,
        r#"{"type":"broadcast","room":"r","time":1,"text":""}"#,
        r#"{"type":"refused","code":"busy","reason":"x","retry":false}"#,
        r#"{"type":"signal","text":"","position":"a-1"}"#,
        r#"{"type":"signal","room":"r"}"#,
        r#"{"type":"signal","text":"","client":"a"}"#,
        r#"{"type":"sent","id":1.5}"#,
        r#"{"type":"closed","code":4001,"reason":"x","retry":1}"#,
        r#"{"type":"closed","reason":"x"}"#,
        r#"{"type":"typing"}"#,
    ];
    check_none("server", &server.join("\n"));
    let client = [
        r#"{"type":"history","limit":1}"#,
        r#"{"text":"","base64":""}"#,
        r#"{"text":"","kind":"binary"}"#,
        r#"{"type":"typing","text":""}"#,
    ];
    check_none("client", &client.join("\n"));
}

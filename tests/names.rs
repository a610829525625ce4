//! The names under which clients see each other's messages: claimed, or the host's.

mod peer;

use std::time::Duration;

use chat::{ClientId, Error, Event, Kind, Server};
use peer::{
    Peer,
    host::{Events, server_with},
    upgrade_head,
};
use serde_json::Value;

fn server() -> Server {
    server_with(|config| _ = config.event_queue(10_000))
}

/// A client of the JSON form in the lobby.
fn reader(server: &Server, events: &mut Events<'_>) -> Peer {
    let mut reader = Peer::join_json(server.local_addr(), "/").welcomed();
    events.connected();
    reader.entered("lobby");
    reader
}

/// A client in the lobby that gets nothing of what it says.
fn speaker(server: &Server, events: &mut Events<'_>, query: &str) -> (Peer, ClientId) {
    let peer = Peer::join(server.local_addr(), &format!("/?echo=false{query}"));
    (peer, events.connected())
}

/// The next message: its text, the name of its sender, and whether that is claimed.
fn said(reader: &mut Peer) -> (String, Option<String>, bool) {
    let message = reader.object();
    assert_eq!(message["type"], "message", "{message}");
    parts(&message)
}

fn parts(message: &Value) -> (String, Option<String>, bool) {
    let text = |field: &str| message[field].as_str().map(str::to_owned);
    let claimed = message.get("claimed");
    assert!(claimed.is_none_or(|claimed| *claimed == true), "{message}");
    (text("text").expect("a text"), text("name"), claimed.is_some())
}

fn named(text: &str, name: &str) -> (String, Option<String>, bool) {
    (text.to_owned(), Some(name.to_owned()), false)
}

fn nameless(text: &str) -> (String, Option<String>, bool) {
    (text.to_owned(), None, false)
}

#[test]
fn the_hosts_name_is_on_all_that_a_client_sends_after_the_call_has_returned() {
    let server = server();
    let mut events = Events::of(&server);
    let mut reader = reader(&server, &mut events);
    let (mut plain, plain_id) = speaker(&server, &mut events, "&name=eve");
    let (mut json, json_id) = speaker(&server, &mut events, "&format=json");
    while json.text() != r#"{"type":"live","room":"lobby"}"# {}
    for round in 0..200 {
        let name = format!("name {round}");
        server.set_name(plain_id, &name).unwrap();
        server.send(plain_id, Kind::Text, b"you have a name").unwrap();
        server.set_name(json_id, &name).unwrap();
        server.send(json_id, Kind::Text, b"you have a name").unwrap();
        plain.text();
        plain.say("plain");
        assert_eq!(said(&mut reader), named("plain", &name));
        json.text();
        json.say(r#"{"text":"json"}"#);
        assert_eq!(said(&mut reader), named("json", &name));
        assert_eq!([plain.text(), json.text()].len(), 2, "each hears the other");
    }
}

#[test]
fn a_claimed_name_is_told_as_claimed_until_the_host_sets_one_or_takes_it_back() {
    let server = server();
    let mut events = Events::of(&server);
    let mut reader = reader(&server, &mut events);
    let (mut eve, id) = speaker(&server, &mut events, "&name=eve");
    let mut say = |eve: &mut Peer, text: &str| {
        eve.say(text);
        said(&mut reader)
    };
    assert_eq!(say(&mut eve, "one"), ("one".to_owned(), Some("eve".to_owned()), true));
    for (name, text) in [("ana", "two"), ("eve", "three"), ("\u{e9}\u{1F600}\" \\", "four")] {
        server.set_name(id, name).unwrap();
        server.send(id, Kind::Text, b"done").unwrap();
        eve.text();
        assert_eq!(say(&mut eve, text), named(text, name));
    }
    for text in ["five", "six"] {
        server.set_name(id, "").unwrap();
        server.send(id, Kind::Text, b"done").unwrap();
        eve.text();
        assert_eq!(say(&mut eve, text), nameless(text), "also the claimed one is gone");
    }
    // What the room keeps keeps its names.
    let mut late = Peer::join_json(server.local_addr(), "/?history=9").welcomed();
    assert_eq!(late.object()["type"], "entered");
    let claimed = ("one".to_owned(), Some("eve".to_owned()), true);
    let last = named("four", "\u{e9}\u{1F600}\" \\");
    let kept = [claimed, named("two", "ana"), named("three", "eve"), last, nameless("five")];
    assert_eq!([(); 5].map(|()| said(&mut late)), kept);
}

#[test]
fn a_name_that_is_set_before_the_client_is_accepted_is_on_its_first_message() {
    let server = server_with(|config| {
        config.event_queue(100).admission_timeout(Duration::from_secs(60));
    });
    let mut events = Events::of(&server);
    for (query, name, expected) in [
        ("", "ana", named("first", "ana")),
        ("?name=eve", "ana", named("first", "ana")),
        ("?name=eve", "", nameless("first")),
        ("", "", nameless("first")),
    ] {
        let mut peer = Peer::connect(server.local_addr());
        let path = format!("/{query}");
        peer.write(upgrade_head(server.local_addr(), &path, &[]).as_bytes());
        let id = events.find("ConnectRequest", |event| match event {
            Event::ConnectRequest { client, .. } => Some(client),
            _ => None,
        });
        server.set_name(id, name).unwrap();
        server.accept(id).unwrap();
        assert_eq!(peer.response().status, 101);
        peer.say("first");
        assert_eq!(peer.text(), "first", "a plain client sees no name");
        let mut late = Peer::connect(server.local_addr());
        let path = "/?format=json&history=1";
        late.write(upgrade_head(server.local_addr(), path, &[]).as_bytes());
        let id = events.find("ConnectRequest", |event| match event {
            Event::ConnectRequest { client, .. } => Some(client),
            _ => None,
        });
        server.accept(id).unwrap();
        assert_eq!(late.response().status, 101);
        let mut late = late.welcomed();
        assert_eq!(late.object()["type"], "entered");
        assert_eq!(said(&mut late), expected, "{query}, {name:?}");
    }
}

#[test]
fn what_the_host_itself_publishes_has_no_name_and_names_are_no_identities() {
    let server = server();
    let mut events = Events::of(&server);
    let mut reader = reader(&server, &mut events);
    let (mut ana, id) = speaker(&server, &mut events, "");
    server.set_identity(id, "user 7").unwrap();
    server.set_name(id, "ana").unwrap();
    server.send(id, Kind::Text, b"done").unwrap();
    ana.text();
    ana.say("hi");
    let message = reader.object();
    assert_eq!(parts(&message), named("hi", "ana"));
    assert!(!message.to_string().contains("user 7"), "{message}");
    let identity = events.find("Message", |event| match event {
        Event::Message { identity, .. } => Some(identity),
        _ => None,
    });
    assert_eq!(identity.as_deref(), Some("user 7"));
    server.publish("lobby", Kind::Text, b"the host's").unwrap();
    let message = reader.object();
    assert_eq!(parts(&message), nameless("the host's"));
    assert_eq!(message.get("client"), None);
}

#[test]
fn a_name_that_breaks_the_rules_is_refused_and_changes_nothing() {
    let server = server();
    let mut events = Events::of(&server);
    let mut reader = reader(&server, &mut events);
    let (mut ana, id) = speaker(&server, &mut events, "");
    let (longest, wide) = ("x".repeat(128), "\u{20ac}".repeat(42));
    for name in [&longest, &wide, "ana"] {
        server.set_name(id, name).unwrap();
    }
    for name in
        [&"x".repeat(129), &"\u{20ac}".repeat(43), "a\nb", "\0", "\u{7f}", "a\u{85}", "\u{1b}[1m"]
    {
        let result = server.set_name(id, name);
        assert!(matches!(result, Err(Error::InvalidName(_))), "{name:?}: {result:?}");
        assert!(result.unwrap_err().to_string().contains("128 bytes"), "it says what is allowed");
    }
    server.send(id, Kind::Text, b"done").unwrap();
    ana.text();
    ana.say("hi");
    assert_eq!(said(&mut reader), named("hi", "ana"));
    let nobody = ClientId::from_u64(u64::MAX);
    assert!(matches!(server.set_name(nobody, "ana"), Err(Error::ClientNotFound)));
    server.stop(Duration::ZERO).ok();
    let result = server.set_name(id, "ana");
    assert!(matches!(result, Err(Error::Stopped | Error::ClientNotFound)), "{result:?}");
}

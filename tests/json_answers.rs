//! What a client of the JSON form is told beside messages: that it is alive, what became of what it sent, that it may
//! come back.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod peer;

use std::time::{Duration, Instant};

use chat::{Event, Kind};
use peer::{
    PATIENCE, Peer,
    frames::CLOSE,
    host::{Events, server_with},
    objects::{field, gist},
};
use serde_json::{Value, json};

#[test]
fn a_client_that_closes_with_1001_itself_is_not_told_to_come_back() {
    let server = server_with(|_| ());
    let mut peer = Peer::enter_json(server.local_addr(), "/");
    peer.send(CLOSE, &1001_u16.to_be_bytes());
    assert_eq!(peer.objects_until_closed(), (Vec::new(), 1001));
}

#[test]
fn a_client_that_may_come_back_is_told_when_before_it_is_closed() {
    const CLIENTS: usize = 100;
    let server = server_with(|config| _ = config.event_queue(1000));
    let mut events = Events::of(&server);
    let addr = server.local_addr();
    let mut told_off = Peer::enter_json(addr, "/");
    server.disconnect(events.connected(), 1012, "restart \"soon\"").unwrap();
    let (objects, code) = told_off.objects_until_closed();
    assert_eq!((objects.len(), code), (1, 1012));
    assert_eq!((field(&objects[0], "type"), &objects[0]["code"]), ("closing", &1012.into()));
    assert_eq!(field(&objects[0], "reason"), "restart \"soon\"");
    for code in [1000, 1008, 4000] {
        let mut gone = Peer::enter_json(addr, "/");
        server.disconnect(events.connected(), code, "").unwrap();
        assert_eq!(gone.objects_until_closed(), (Vec::new(), code), "it need not come back");
    }
    let mut plain = Peer::join(addr, "/");
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| Peer::enter_json(addr, "/")).collect();
    eventually_connected(&mut events, CLIENTS + 1);
    server.publish("lobby", Kind::Text, b"last").unwrap();
    server.request_stop();
    let mut retries = Vec::new();
    for client in &mut clients {
        let (objects, code) = client.objects_until_closed();
        assert_eq!((gist(&objects[0]), code, objects.len()), ("message last".into(), 1001, 2));
        let closing = &objects[1];
        assert_eq!((field(closing, "type"), &closing["code"]), ("closing", &1001.into()));
        assert!(field(closing, "reason").contains("stopping"), "{closing}");
        retries.push(closing["retry"].as_u64().unwrap());
        client.send(CLOSE, &1001_u16.to_be_bytes());
    }
    assert_eq!(plain.text(), "last");
    assert_eq!(plain.closed().0, 1001, "a plain client is told nothing");
    drop(plain);
    retries.sort_unstable();
    assert!(retries.iter().all(|it| (500..2_000).contains(it)), "{retries:?}");
    assert!(retries[CLIENTS * 9 / 10] - retries[CLIENTS / 10] > 500, "spread: {retries:?}");
}

#[test]
fn a_client_is_pinged_so_that_a_page_can_see_it() {
    let interval = Duration::from_millis(200);
    let server = server_with(|config| _ = config.ping_interval(interval));
    let mut client = Peer::join_json(server.local_addr(), "/");
    assert_eq!(client.object()["ping"], json!(0.2));
    client.until("live");
    for _ in 0..3 {
        let begun = Instant::now();
        assert_eq!(client.frame().payload, br#"{"type":"ping"}"#);
        assert_eq!(client.frame().head, peer::frames::PING, "and the WebSocket's own");
        client.send(peer::frames::PONG, b"");
        assert!(begun.elapsed() < PATIENCE, "not much later than the interval");
    }
    let server = server_with(|config| _ = config.ping_interval(Duration::ZERO));
    assert_eq!(Peer::join_json(server.local_addr(), "/").object()["ping"], 0);
}

#[test]
fn a_message_that_is_reviewed_is_answered_when_it_is_decided() {
    let server = server_with(|config| {
        config.event_queue(100).review_timeout(PATIENCE);
    });
    let mut events = Events::of(&server);
    let mut client = Peer::enter_json(server.local_addr(), "/");
    let mut decision = |client: &mut Peer, text: &str| {
        client.say(text);
        events.find("MessageRequest", |event| match event {
            Event::MessageRequest { decision, .. } => Some(decision),
            _ => None,
        })
    };
    let first = decision(&mut client, r#"{"id":1,"text":"one"}"#);
    let second = decision(&mut client, r#"{"id":2,"text":"two"}"#);
    let third = decision(&mut client, r#"{"id":3,"text":"three"}"#);
    client.say(r#"{"id":4,"room":"elsewhere","text":"four"}"#);
    client.say(r#"{"id":5,"type":"history"}"#);
    server.refuse(third).unwrap();
    server.allow_changed(second, Kind::Text, b"changed").unwrap();
    server.allow(first).unwrap();
    let answers: Vec<_> = (0..7).map(|_| client.object()).collect();
    let gists: Vec<_> = answers.iter().map(gist).collect();
    let expected = [
        "message one",
        "sent 1",
        "message changed",
        "sent 2",
        "refused 3",
        "refused 4",
        "history 5",
    ];
    assert_eq!(gists, expected);
    assert_eq!((&answers[1]["changed"], &answers[3]["changed"]), (&Value::Null, &true.into()));
    assert_eq!((field(&answers[4], "code"), &answers[4]["retry"]), ("refused", &false.into()));
    assert_eq!(answers[6]["messages"].as_array().unwrap().len(), 2, "it is asked in its turn");
}

#[test]
fn a_message_that_is_not_decided_in_time_is_refused_and_may_be_sent_again() {
    let server = server_with(|config| {
        config.event_queue(100).review_timeout(Duration::from_millis(50));
    });
    let mut client = Peer::enter_json(server.local_addr(), "/");
    client.say(r#"{"id":1,"text":"late"}"#);
    client.say(r#"{"id":2,"type":"history"}"#);
    let (answer, history) = (client.object(), client.object());
    assert_eq!((field(&answer, "code"), &answer["retry"]), ("overdue", &true.into()), "{answer}");
    assert_eq!(history["messages"], json!([]), "stored nowhere");
}

fn eventually_connected(events: &mut Events<'_>, count: usize) {
    (0..count).for_each(|_| _ = events.connected());
}

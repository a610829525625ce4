//! A message with a key is published once, however often it is sent.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod peer;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Barrier,
    thread,
    time::Duration,
};

use chat::{ClientId, DecisionId, Error, Event, Kind, Position, PublishOptions, Published, Server};
use peer::{
    PATIENCE, Peer,
    host::{Events, server, server_with},
    objects::{field, gist},
    upgrade_head,
};
use serde_json::{Value, json};

fn with_key(key: &str) -> PublishOptions<'_> {
    PublishOptions { key: Some(key), ..PublishOptions::default() }
}

fn publish(server: &Server, text: &str, options: &PublishOptions<'_>) -> Published {
    server.publish_with("lobby", Kind::Text, text.as_bytes(), options).unwrap()
}

/// A server whose host decides on messages, and has as long as it likes.
fn reviewing() -> Server {
    server_with(|config| {
        config.event_queue(1000).review_timeout(Duration::from_secs(60));
    })
}

/// Connects a client that the host gives an identity.
fn enter(server: &Server, events: &mut Events<'_>, identity: &str) -> (Peer, ClientId) {
    let peer = Peer::enter_json(server.local_addr(), "/");
    let id = events.connected();
    server.set_identity(id, identity).unwrap();
    (peer, id)
}

fn say(peer: &mut Peer, id: u32, key: &str, text: &str) {
    peer.say(&json!({"id": id, "key": key, "text": text}).to_string());
}

/// The next message that waits for a decision.
fn request(events: &mut Events<'_>) -> DecisionId {
    events.find("MessageRequest", |event| match event {
        Event::MessageRequest { decision, .. } => Some(decision),
        _ => None,
    })
}

/// Whether a message waits for a decision, once everything before has been handled.
fn is_asked(events: &mut Events<'_>, peer: &mut Peer) -> bool {
    // What the server refuses at once is behind what it was sent before, and answered when that is decided.
    let is_request = |event: &Event| matches!(event, Event::MessageRequest { .. });
    peer.say(r#"{"key":"probe","text":"probe"}"#);
    let probe = events.find("the probe", |event| match event {
        Event::MessageRequest { decision, message, .. } => Some((decision, message)),
        _ => None,
    });
    let is_other = probe.1.data() != b"probe";
    is_other || events.now().iter().any(is_request)
}

#[test]
fn a_key_twice_is_one_message_from_eight_threads_at_once() {
    const THREADS: usize = 8;
    const KEYS: usize = 200;
    let server = server_with(|config| _ = config.workers(2));
    let mut peer = Peer::enter_json(server.local_addr(), "/");
    let barrier = Barrier::new(THREADS);
    let publish_all = || {
        let (mut first, mut positions) = (0, Vec::new());
        for number in 0..KEYS {
            barrier.wait();
            let published =
                publish(&server, &format!("text {number}"), &with_key(&number.to_string()));
            first += usize::from(!published.is_duplicate);
            positions.push(published.position);
        }
        (first, positions)
    };
    let all: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(publish_all)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(all.iter().map(|(first, _)| first).sum::<usize>(), KEYS);
    assert!(all.iter().all(|(_, positions)| *positions == all[0].1));
    for number in 0..KEYS {
        let message = peer.object();
        assert_eq!(field(&message, "text"), format!("text {number}"));
        assert_eq!(field(&message, "key"), number.to_string());
        assert_eq!(field(&message, "position"), all[0].1[number].to_string());
    }
    let stats = server.stats();
    let expected = (KEYS as u64, ((THREADS - 1) * KEYS) as u64, 0);
    assert_eq!((stats.messages_published, stats.duplicates, stats.keys_evicted), expected);
}

#[test]
fn clients_of_one_identity_and_the_host_on_its_behalf_send_one_message() {
    const CLIENTS: usize = 8;
    let server = server_with(|config| _ = config.workers(2).event_queue(1000));
    let mut events = Events::of(&server);
    let mut peers: Vec<_> = (0..CLIENTS).map(|_| enter(&server, &mut events, "ana").0).collect();
    peers.iter_mut().for_each(|peer| say(peer, 7, "k", "once"));
    let on_behalf = PublishOptions { identity: Some("ana"), ..with_key("k") };
    let hosts = publish(&server, "once", &on_behalf);
    let mut duplicates = usize::from(hosts.is_duplicate);
    for peer in &mut peers {
        let both: Vec<_> = (0..2).map(|_| peer.object()).collect();
        let gists: BTreeSet<_> = both.iter().map(gist).collect();
        assert_eq!(gists, ["message once", "sent 7"].map(str::to_owned).into(), "{both:?}");
        for object in &both {
            assert_eq!(field(object, "position"), hosts.position.to_string());
            duplicates += usize::from(object["duplicate"] == json!(true));
        }
    }
    assert_eq!(duplicates, CLIENTS);
    assert_eq!(server.stats().messages_published, 1);
}

#[test]
fn a_client_that_is_cut_before_it_is_told_comes_back_and_sends_again() {
    let server = server_with(|config| _ = config.event_queue(1000));
    let mut events = Events::of(&server);
    let (mut first, id) = enter(&server, &mut events, "ana");
    say(&mut first, 1, "k", "hi");
    let position = events.find("Message", |event| match event {
        Event::Message { position, .. } => Some(position),
        _ => None,
    });
    drop(first);
    events.left(id);
    server.publish("lobby", Kind::Text, b"meanwhile").unwrap();
    let (mut again, _) = enter(&server, &mut events, "ana");
    say(&mut again, 1, "k", "hi");
    let sent = again.object();
    let expected = json!({
        "type": "sent", "id": 1, "room": "lobby", "position": position.to_string(), "duplicate": true
    });
    assert_eq!(sent, expected);
    // In the past the client knows its own by the key.
    let mut later = Peer::join_json(server.local_addr(), "/?history=9");
    let past = later.until("live");
    let keys: Vec<_> = past[2..4].iter().map(|message| message["key"].clone()).collect();
    assert_eq!(keys, [json!("k"), Value::Null], "{past:?}");
    assert_eq!(server.stats().messages_published, 2);
}

#[test]
fn a_message_without_an_id_is_not_published_twice_either() {
    let server = server();
    let mut peer = Peer::enter_json(server.local_addr(), "/");
    for _ in 0..3 {
        peer.say(r#"{"key":"k","text":"hi"}"#);
    }
    peer.say(r#"{"text":"last"}"#);
    assert_eq!(peer.gists(2), ["message hi", "message last"]);
    assert_eq!(server.stats().duplicates, 2);
}

#[test]
fn the_same_key_with_another_message_is_told_as_reused() {
    let server = server();
    let mut peer = Peer::enter_json(server.local_addr(), "/");
    say(&mut peer, 1, "k", "hi");
    peer.gists(2);
    for text in [r#"{"id":2,"key":"k","text":"ho"}"#, r#"{"id":2,"key":"k","base64":"aGk="}"#] {
        peer.say(text);
        let refused = peer.object();
        assert_eq!((gist(&refused), field(&refused, "code")), ("refused 2".into(), "key_reused"));
        assert_eq!(refused["retry"], false);
    }
    publish(&server, "hi", &with_key("k"));
    let reused = server.publish_with("lobby", Kind::Text, b"ho", &with_key("k"));
    assert!(matches!(reused, Err(Error::KeyReused)), "{reused:?}");
    let reused = server.publish_to(&["other", "lobby", "third"], Kind::Text, b"ho", &with_key("k"));
    let reused = reused.unwrap_err();
    assert!(matches!(reused.error, Error::KeyReused));
    assert_eq!(reused.published.len(), 1, "the rooms before it have got it");
    assert!(!server.publish_with("third", Kind::Text, b"hi", &with_key("k")).unwrap().is_duplicate);
}

#[test]
fn a_key_counts_in_its_room_and_for_its_identity_alone() {
    let server = server_with(|config| _ = config.event_queue(1000));
    let mut events = Events::of(&server);
    let mut hosts = PublishOptions { name: Some("any"), ..with_key("k") };
    assert!(!publish(&server, "hi", &hosts).is_duplicate);
    hosts.name = None;
    assert!(publish(&server, "hi", &hosts).is_duplicate, "whatever its name");
    assert!(!server.publish_with("other", Kind::Text, b"hi", &hosts).unwrap().is_duplicate);
    for identity in ["", "ana", "ben"] {
        let options = PublishOptions { identity: Some(identity), ..hosts };
        assert!(!publish(&server, "hi", &options).is_duplicate, "{identity}");
        assert!(publish(&server, "hi", &options).is_duplicate, "{identity}");
    }
    // Clients without an identity share theirs.
    let mut anonymous: Vec<_> =
        (0..2).map(|_| Peer::enter_json(server.local_addr(), "/")).collect();
    let _ = [0, 1].map(|_| events.connected());
    say(&mut anonymous[0], 1, "k", "hi");
    anonymous[0].gists(2);
    assert_eq!(gist(&anonymous[1].object()), "message hi");
    say(&mut anonymous[1], 2, "k", "hi");
    assert_eq!(anonymous[1].object()["duplicate"], true);
    // An identity that a client has from now on is that of its keys.
    let (mut ana, id) = enter(&server, &mut events, "ana");
    say(&mut ana, 1, "k", "hi");
    assert_eq!(ana.object()["duplicate"], true);
    server.set_identity(id, "eve").unwrap();
    say(&mut ana, 2, "k", "hi");
    let both: Vec<_> = (0..2).map(|_| ana.object()).collect();
    assert_eq!((gist(&both[0]), &both[1]["duplicate"]), ("message hi".into(), &Value::Null));
}

#[test]
fn what_is_wrong_with_an_option_is_told_and_nothing_is_published() {
    let server = server();
    let long = "x".repeat(257);
    for key in ["", &long[..65], "a\nb", "\u{7f}"] {
        let result = server.publish_with("lobby", Kind::Text, b"", &with_key(key));
        let error = result.unwrap_err();
        assert!(matches!(error, Error::InvalidArgument { what: "key", .. }), "{key:?}: {error:?}");
        assert!(error.to_string().contains("1 to 64"), "{error}");
    }
    let default = PublishOptions::default();
    for name in ["", &long[..129], "a\0"] {
        let options = PublishOptions { name: Some(name), ..default };
        let error = server.publish_to(&["a", "b"], Kind::Text, b"", &options).unwrap_err();
        assert!(matches!(error.error, Error::InvalidName(_)), "{name:?}: {error:?}");
        assert!(error.published.is_empty());
    }
    let options = PublishOptions { identity: Some(&long), ..default };
    let error = server.publish_with("lobby", Kind::Text, b"", &options).unwrap_err();
    assert!(
        matches!(error, Error::TooLarge { what: "identity", size: 257, limit: 256 }),
        "{error:?}"
    );
    let error = server.publish_to(&["a", "..", "b"], Kind::Text, b"", &default).unwrap_err();
    assert!(
        error.to_string().starts_with("the message was published to 0 rooms: rooms[1]: "),
        "{error}"
    );
    assert!(matches!(error.error, Error::InvalidRoom(_)) && error.published.is_empty());
    let error = server.publish_to(&["a"], Kind::Text, b"\xff", &default).unwrap_err();
    assert!(matches!(error.error, Error::InvalidUtf8) && error.published.is_empty());
    assert_eq!(server.stats().messages_published, 0);
    let longest = PublishOptions {
        identity: Some(&long[..256]),
        name: Some(&long[..128]),
        ..with_key(&long[..64])
    };
    assert!(!publish(&server, "", &longest).is_duplicate);
}

#[test]
fn a_message_to_several_rooms_is_in_each_and_a_second_call_says_where() {
    let server = server();
    let names = ["a", "b", "a", "c"];
    let mut peers: BTreeMap<_, _> = ["a", "b", "c"]
        .into_iter()
        .map(|room| (room, Peer::enter_json(server.local_addr(), &format!("/rooms/{room}"))))
        .collect();
    let first = server.publish_to(&names, Kind::Text, b"hi", &with_key("k")).unwrap();
    let is_duplicate =
        |published: &[Published]| published.iter().map(|it| it.is_duplicate).collect::<Vec<_>>();
    assert_eq!(is_duplicate(&first), [false, false, true, false]);
    assert_eq!(first[0].position, first[2].position);
    let again = server.publish_to(&names, Kind::Text, b"hi", &with_key("k")).unwrap();
    assert_eq!(is_duplicate(&again), [true; 4]);
    assert!(again.iter().map(|it| it.position).eq(first.iter().map(|it| it.position)));
    for (room, published) in names.iter().zip(&first).filter(|(_, it)| !it.is_duplicate) {
        let message = peers.get_mut(room).unwrap().object();
        assert_eq!((field(&message, "room"), field(&message, "text")), (*room, "hi"));
        assert_eq!(field(&message, "position"), published.position.to_string());
    }
    assert!(server.publish_to(&[], Kind::Text, b"hi", &with_key("k")).unwrap().is_empty());
    assert_eq!(server.stats().messages_published, 3);
}

#[test]
fn the_host_publishes_under_a_name_and_its_identity_stays_private() {
    let server = server();
    let mut peer = Peer::enter_json(server.local_addr(), "/");
    let options = PublishOptions {
        identity: Some("private"),
        name: Some("Support"),
        ..PublishOptions::default()
    };
    publish(&server, "hi", &options);
    publish(&server, "ho", &PublishOptions { name: None, ..options });
    let (named, unnamed) = (peer.object(), peer.object());
    assert_eq!(field(&named, "name"), "Support");
    for message in [&named, &unnamed] {
        assert!(message["client"].is_null() && message["claimed"].is_null(), "{message}");
        assert!(!message.to_string().contains("private"), "{message}");
    }
    assert!(unnamed["name"].is_null());
}

#[test]
fn a_repeat_waits_for_the_verdict_on_the_first_and_the_host_is_asked_once() {
    let server = reviewing();
    let mut events = Events::of(&server);
    let (mut first, id) = enter(&server, &mut events, "ana");
    say(&mut first, 1, "k", "hi");
    let decision = request(&mut events);
    drop(first);
    let (mut again, _) = enter(&server, &mut events, "ana");
    say(&mut again, 1, "k", "hi");
    again.say(r#"{"id":2,"key":"k","text":"another"}"#);
    again.say(r#"{"id":3,"type":"history"}"#);
    assert!(!is_asked(&mut events, &mut again), "the host decides already");
    server.allow(decision).unwrap();
    // The first client is in the room until its message is decided.
    events.left(id);
    let answers: Vec<_> = (0..4).map(|_| again.object()).collect();
    let gists: Vec<_> = answers.iter().map(gist).collect();
    assert_eq!(gists, ["message hi", "sent 1", "refused 2", "history 3"]);
    assert_eq!(answers[1]["duplicate"], true);
    assert_eq!(answers[1]["position"], answers[0]["position"]);
    assert_eq!(field(&answers[2], "code"), "key_reused");
    let stats = server.stats();
    assert_eq!((stats.messages_published, stats.duplicates), (1, 1));
}

#[test]
fn a_refusal_is_told_to_the_repeats_with_its_reason_and_frees_the_key() {
    let server = reviewing();
    let mut events = Events::of(&server);
    let (mut first, _) = enter(&server, &mut events, "ana");
    let (mut again, _) = enter(&server, &mut events, "ana");
    say(&mut first, 1, "k", "hi");
    let decision = request(&mut events);
    say(&mut again, 2, "k", "hi");
    assert!(!is_asked(&mut events, &mut again));
    let too_long = server.refuse_with(decision, &"x".repeat(257));
    assert!(
        matches!(too_long, Err(Error::TooLarge { what: "reason", size: 257, limit: 256 })),
        "{too_long:?}"
    );
    let reason = format!("\"{}", "é".repeat(127));
    server.refuse_with(decision, &reason).unwrap();
    for (peer, id) in [(&mut first, 1), (&mut again, 2)] {
        let refused = peer.object();
        assert_eq!(gist(&refused), format!("refused {id}"));
        assert_eq!((field(&refused, "code"), field(&refused, "reason")), ("refused", &*reason));
        assert_eq!(refused["retry"], false);
    }
    assert_eq!(server.stats().messages_refused, 2);
    say(&mut first, 3, "k", "polite");
    server.allow(request(&mut events)).unwrap();
    assert_eq!(first.gists(2), ["message polite", "sent 3"]);
}

#[test]
fn a_repeat_of_a_message_whose_client_has_left_the_room_may_be_sent_again() {
    let server = reviewing();
    let mut events = Events::of(&server);
    let (mut first, id) = enter(&server, &mut events, "ana");
    let (mut again, _) = enter(&server, &mut events, "ana");
    say(&mut first, 1, "k", "hi");
    let decision = request(&mut events);
    say(&mut again, 2, "k", "hi");
    assert!(!is_asked(&mut events, &mut again));
    server.leave(id, "lobby").unwrap();
    server.allow(decision).unwrap();
    let refused = again.object();
    assert_eq!((gist(&refused), field(&refused, "code")), ("refused 2".into(), "busy"));
    assert_eq!(refused["retry"], true, "it is in the room: {refused}");
}

#[test]
fn a_change_keeps_the_key_for_what_the_client_has_sent() {
    let server = reviewing();
    let mut events = Events::of(&server);
    let (mut peer, _) = enter(&server, &mut events, "ana");
    say(&mut peer, 1, "k", "rude");
    server.allow_changed(request(&mut events), Kind::Text, b"polite").unwrap();
    let (message, sent) = (peer.object(), peer.object());
    assert_eq!((gist(&message), field(&message, "key")), ("message polite".into(), "k"));
    assert_eq!(sent["changed"], true);
    say(&mut peer, 2, "k", "rude");
    let again = peer.object();
    assert_eq!((&again["duplicate"], &again["changed"]), (&true.into(), &Value::Null));
    assert_eq!(again["position"], sent["position"]);
    say(&mut peer, 3, "k", "polite");
    assert_eq!(field(&peer.object(), "code"), "key_reused");
}

#[test]
fn a_message_that_is_overdue_frees_its_key_and_its_repeats_are_overdue_too() {
    let server = server_with(|config| {
        config.event_queue(1000).review_timeout(Duration::from_millis(200));
    });
    let mut events = Events::of(&server);
    let (mut peer, _) = enter(&server, &mut events, "ana");
    for id in 1..=2 {
        say(&mut peer, id, "k", "hi");
    }
    for id in 1..=2 {
        let refused = peer.object();
        assert_eq!((gist(&refused), field(&refused, "code")), (format!("refused {id}"), "overdue"));
        assert_eq!(refused["retry"], true);
    }
    assert_eq!(server.stats().reviews_timed_out, 1, "the host was asked once");
    request(&mut events);
    // It is asked again.
    say(&mut peer, 3, "k", "hi");
    request(&mut events);
}

#[test]
fn the_hosts_own_message_passes_one_that_waits_for_review() {
    let server = reviewing();
    let mut events = Events::of(&server);
    let (mut peer, _) = enter(&server, &mut events, "ana");
    let options = PublishOptions { identity: Some("ana"), ..with_key("k") };
    for (id, text, code) in [(1, "hi", ""), (2, "ho", "key_reused")] {
        let key = id.to_string();
        say(&mut peer, id, &key, text);
        let decision = request(&mut events);
        let hosts = publish(&server, "hi", &PublishOptions { key: Some(&key), ..options });
        assert!(!hosts.is_duplicate);
        server.allow(decision).unwrap();
        let (message, answer) = (peer.object(), peer.object());
        assert_eq!(field(&message, "position"), hosts.position.to_string());
        if code.is_empty() {
            assert_eq!(
                (&answer["duplicate"], &answer["position"]),
                (&true.into(), &message["position"])
            );
        } else {
            assert_eq!(field(&answer, "code"), code, "{answer}");
        }
    }
}

#[test]
fn a_key_of_a_message_to_the_host_alone_has_no_effect() {
    let server = server_with(|config| {
        config.event_queue(100).admission_timeout(PATIENCE);
    });
    let mut events = Events::of(&server);
    let mut peer = Peer::connect(server.local_addr());
    peer.write(upgrade_head(server.local_addr(), "/?format=json", &[]).as_bytes());
    let client = events.find("ConnectRequest", |event| match event {
        Event::ConnectRequest { client, .. } => Some(client),
        _ => None,
    });
    server.leave(client, "lobby").unwrap();
    server.accept(client).unwrap();
    assert_eq!(peer.response().status, 101);
    let mut peer = peer.welcomed();
    for id in 1..=2 {
        say(&mut peer, id, "k", "hi");
        let sent = peer.object();
        assert_eq!((gist(&sent), &sent["duplicate"]), (format!("sent {id}"), &Value::Null));
    }
}

#[test]
fn without_history_a_message_is_delivered_in_order_and_takes_no_offset() {
    let server = server();
    let addr = server.local_addr();
    let unstored = PublishOptions { without_history: true, ..PublishOptions::default() };
    let mut peer = Peer::enter_json(addr, "/");
    let mut plain = Peer::join(addr, "/");
    let (mut last, mut texts) = (Position::NONE, Vec::new());
    for number in 0..30 {
        let text = number.to_string();
        let is_stored = number % 3 == 0;
        let options = if is_stored { PublishOptions::default() } else { unstored };
        let published = publish(&server, &text, &options);
        assert_eq!(published.position.is_none(), !is_stored);
        let message = peer.object();
        assert_eq!((field(&message, "text"), plain.text()), (&*text, text.clone()));
        if is_stored {
            assert_eq!(published.position.offset, last.offset + 1);
            assert_eq!(field(&message, "position"), published.position.to_string());
            last = published.position;
            texts.push(text);
        } else {
            assert!(message["position"].is_null(), "{message}");
        }
    }
    assert_eq!(server.position("lobby").unwrap(), last);
    recovers(addr, last, &texts);
}

/// A client that has everything up to any stored message gets the stored ones behind it, and no gap.
fn recovers(addr: SocketAddr, last: Position, texts: &[String]) {
    for offset in 0..=last.offset {
        let since = Position { offset, ..last };
        let mut peer = Peer::join_json(addr, &format!("/?since={since}")).welcomed();
        let entered = peer.entered("lobby");
        assert_eq!((entered.recovered, entered.position), (Some(Ok(())), Some(since)));
        assert_eq!(entered.texts, texts[offset as usize..]);
    }
}

#[test]
fn a_key_without_history_is_known_too() {
    let server = server();
    let mut peer = Peer::enter_json(server.local_addr(), "/");
    let options = PublishOptions { without_history: true, ..with_key("k") };
    let published = [(); 2].map(|()| publish(&server, "hi", &options));
    assert_eq!(
        published.map(|it| (it.is_duplicate, it.position.is_none())),
        [(false, true), (true, true)]
    );
    publish(&server, "last", &PublishOptions::default());
    assert_eq!(peer.gists(2), ["message hi", "message last"]);
    // Nor does a server without histories forget keys.
    let server = server_with(|config| _ = config.history_messages(0));
    let published = [(); 2].map(|()| publish(&server, "hi", &with_key("k")).is_duplicate);
    assert_eq!(published, [false, true], "though nobody is in the room, and it does not exist");
}

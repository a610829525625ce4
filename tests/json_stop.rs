//! A server that stops while clients publish: what is acknowledged has reached everyone and the host, what is refused
//! has reached nobody; also where the host reviews messages, and of what it has not decided yet.
//!
//! `STOP_SEED` repeats the choices of a run, which prints its seed.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod peer;

use std::{
    collections::{HashMap, HashSet},
    env,
    hash::{BuildHasher, RandomState},
    thread,
    time::Duration,
};

use chat::{DecisionId, Error, Event, Handle, Kind, Server};
use peer::{
    PATIENCE, Peer,
    frames::{CLOSE, TEXT},
    host::{Events, server_with},
    objects::{field, gist, object},
};
use serde_json::Value;

const CLIENTS: usize = 4;

fn seed() -> u64 {
    let given = env::var("STOP_SEED").ok().map(|it| it.parse().expect("a number"));
    let seed = given.unwrap_or_else(|| RandomState::new().hash_one(0));
    println!("STOP_SEED={seed}");
    seed
}

/// Random numbers that a seed repeats (SplitMix64's, simplified).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % bound
    }
}

/// Speaks without a pause, and returns the answers that have come when the connection is closed.
fn speak(mut peer: Peer, client: usize) -> Vec<Value> {
    peer.stream.set_nonblocking(true).unwrap();
    let mut answers = Vec::new();
    let mut number = 0;
    loop {
        if number < answers.len() + 50 {
            number += 1;
            let text = format!(r#"{{"id":"{client} {number}","text":"{client} {number}"}}"#);
            let frame = peer::frames::masked(TEXT, text.as_bytes());
            // A part may be lost when the connection ends, and the socket has room for 50 short messages.
            let _ = std::io::Write::write(&mut peer.stream, &frame);
        }
        while let Some(Ok(frame)) = peer.try_frame() {
            if frame.head == CLOSE {
                assert_eq!(frame.close().0, 1001);
                assert_eq!(field(&answers.pop().expect("an object"), "type"), "closing");
                return answers;
            }
            let object = object(&frame);
            if field(&object, "type") != "message" {
                answers.push(object);
            }
        }
    }
}

/// Has clients enter and speak, who do not receive their own messages; each returns what it was answered.
fn speakers<'s>(
    scope: &'s thread::Scope<'s, '_>,
    server: &Server,
) -> Vec<thread::ScopedJoinHandle<'s, Vec<Value>>> {
    // All are in before the first speaks.
    let enter = |_| Peer::enter_json(server.local_addr(), "/?echo=false");
    let peers: Vec<_> = (0..CLIENTS).map(enter).collect();
    let speak = |(client, peer)| scope.spawn(move || speak(peer, client));
    (0..).zip(peers).map(speak).collect()
}

/// The texts of the room's messages, up to the close frame.
fn witness(mut peer: Peer) -> Vec<String> {
    let (messages, code) = peer.until_closed();
    assert_eq!(code, 1001);
    peer.send(CLOSE, &1001_u16.to_be_bytes());
    messages.iter().map(|message| message.text().to_owned()).collect()
}

#[test]
fn what_is_acknowledged_has_reached_everyone_and_what_is_refused_nobody() {
    let seed = seed();
    for round in 0..10_u64 {
        let server = server_with(|config| _ = config.event_queue(1 << 20).workers(2));
        let plain = Peer::join(server.local_addr(), "/");
        let before = 50 + (seed >> (round * 6)) % 2_000;
        let (answers, witnessed, told) = thread::scope(|scope| {
            let server = &server;
            let speakers = speakers(scope, server);
            let witness = scope.spawn(move || witness(plain));
            let host = scope.spawn(move || {
                let mut told = HashMap::new();
                loop {
                    for event in server.next_events(PATIENCE).unwrap() {
                        match event {
                            Event::Message { position, message, .. } => {
                                let text = message.as_text().unwrap().to_owned();
                                assert_eq!(told.insert(text, position.to_string()), None);
                            }
                            Event::Stopped => return told,
                            _ => {}
                        }
                    }
                }
            });
            let mut last = 0;
            while last < before {
                let offset = server.position("lobby").unwrap().offset;
                if offset > last + 10 {
                    server.publish("lobby", Kind::Text, b"host").unwrap();
                    last = offset;
                }
                thread::yield_now();
            }
            let _ = server.stop(PATIENCE);
            let answers: Vec<_> =
                speakers.into_iter().map(|speaker| speaker.join().unwrap()).collect();
            (answers, witness.join().unwrap(), host.join().unwrap())
        });
        let witnessed: HashSet<_> = witnessed.into_iter().collect();
        let mut sent = 0;
        for answers in &answers {
            for (number, answer) in (1..).zip(answers) {
                let text = field(answer, "id");
                assert!(text.ends_with(&format!(" {number}")), "in order: {answer}");
                let is_told = told.get(text).map(String::as_str);
                if field(answer, "type") == "sent" {
                    sent += 1;
                    assert_eq!(is_told, Some(field(answer, "position")), "{round}");
                    assert!(witnessed.contains(text), "{round}: {answer}");
                } else {
                    assert_eq!((field(answer, "code"), is_told), ("stopping", None), "{answer}");
                    assert!(!witnessed.contains(text), "{round}: {answer}");
                }
            }
        }
        assert!(sent > 0 || before < 100, "{round}");
    }
}

/// A server whose host reviews messages, and has as long as it likes.
fn reviewing() -> Server {
    server_with(|config| {
        config.event_queue(1 << 20).workers(2).review_timeout(Duration::from_secs(60));
    })
}

/// What the host was told of, by text, and what it has decided: the text that it let pass, none if it refused.
#[derive(Default)]
struct Host {
    told: HashMap<String, String>,
    decided: HashMap<String, Option<String>>,
}

/// Decides on messages, some at once and some later, until the server has stopped.
fn review(server: &Handle, mut chance: Chance) -> Host {
    let mut host = Host::default();
    let mut held: Vec<(DecisionId, String)> = Vec::new();
    loop {
        for event in server.next_events(PATIENCE).unwrap() {
            match event {
                Event::MessageRequest { decision, message, .. } => {
                    held.push((decision, message.as_text().unwrap().to_owned()));
                }
                Event::Message { position, message, .. } => {
                    let text = message.as_text().unwrap().to_owned();
                    assert_eq!(host.told.insert(text, position.to_string()), None);
                }
                Event::Stopped => return host,
                _ => {}
            }
        }
        while held.len() as u64 > chance.below(10) {
            let (decision, text) = held.swap_remove(chance.below(held.len() as u64) as usize);
            let changed = format!("changed {text}");
            let (passed, result) = match chance.below(4) {
                0 => (None, server.refuse(decision)),
                1 => {
                    let result = server.allow_changed(decision, Kind::Text, changed.as_bytes());
                    (Some(changed), result)
                }
                _ => (Some(text.clone()), server.allow(decision)),
            };
            match result {
                Ok(()) => assert_eq!(host.decided.insert(text, passed), None),
                Err(error) => assert!(matches!(error, Error::Stopped), "{error}"),
            }
        }
    }
}

#[test]
fn of_messages_that_are_reviewed_while_the_server_stops_those_pass_that_are_acknowledged() {
    let mut chance = Chance(seed());
    let (mut acknowledged, mut unanswered, mut stopped) = (0, 0, 0);
    for round in 0..10 {
        let server = reviewing();
        let plain = Peer::join(server.local_addr(), "/");
        let before = 20 + chance.below(400);
        let (answers, witnessed, host) = thread::scope(|scope| {
            let server = &server;
            let speakers = speakers(scope, server);
            let witness = scope.spawn(move || witness(plain));
            let choices = Chance(chance.below(u64::MAX));
            let host = scope.spawn(move || review(server, choices));
            while server.position("lobby").unwrap().offset < before {
                thread::yield_now();
            }
            server.stop(PATIENCE).expect("it ends in time, whatever is undecided");
            let answers: Vec<_> =
                speakers.into_iter().map(|speaker| speaker.join().unwrap()).collect();
            (answers, witness.join().unwrap(), host.join().unwrap())
        });
        let mut passed = HashSet::new();
        for (client, answers) in answers.iter().enumerate() {
            for (number, answer) in (1..).zip(answers) {
                let text = field(answer, "id");
                assert_eq!(text, format!("{client} {number}"), "in order: {answer}");
                let decided = host.decided.get(text);
                if field(answer, "type") == "sent" {
                    let expected = decided.and_then(Option::as_ref).expect("it was allowed");
                    assert_eq!(answer["changed"] == true, expected != text, "{answer}");
                    let told = host.told.get(expected).map(String::as_str);
                    assert_eq!(told, Some(field(answer, "position")), "{round}");
                    passed.insert(expected.clone());
                    acknowledged += 1;
                } else if field(answer, "code") == "refused" {
                    assert_eq!(decided, Some(&None), "{answer}");
                } else {
                    assert_eq!(field(answer, "code"), "stopping", "{answer}");
                    stopped += 1;
                }
            }
            unanswered += usize::from(answers.len() < host.decided.len());
        }
        // What was not answered has reached nobody either.
        assert!(passed.iter().eq(passed.iter().filter(|text| witnessed.contains(text))));
        assert_eq!(witnessed.len(), passed.len(), "{round}: nothing else, and nothing twice");
        assert_eq!(host.told.len(), passed.len(), "{round}: the host is told of the same");
    }
    println!("{acknowledged} acknowledged, {unanswered} unanswered, {stopped} refused by the stop");
    assert!(acknowledged > 200);
}

/// Waits until the host is asked about so many messages.
fn requests(events: &mut Events<'_>, count: usize) -> Vec<DecisionId> {
    let request = |event| match event {
        Event::MessageRequest { decision, .. } => Some(decision),
        _ => None,
    };
    (0..count).map(|_| events.find("MessageRequest", request)).collect()
}

#[test]
fn what_was_undecided_when_the_server_stopped_is_nowhere_and_is_sent_again_to_the_next_one() {
    let mut chance = Chance(seed());
    for _ in 0..20 {
        let server = reviewing();
        let mut events = Events::of(&server);
        let mut client = Peer::enter_json(server.local_addr(), "/");
        let count = 1 + chance.below(30) as usize;
        for id in 0..count {
            client.say(&format!(r#"{{"id":{id},"text":"text {id}"}}"#));
        }
        let asked = requests(&mut events, count);
        // Some are decided, the first of the others is not.
        let open = chance.below(count as u64) as usize;
        let mut expected = Vec::new();
        for (id, decision) in asked.iter().enumerate().filter(|(id, _)| *id != open) {
            if chance.below(3) == 0 {
                server.refuse(*decision).unwrap();
                expected.push((id, vec![format!("refused {id}")]));
            } else {
                server.allow(*decision).unwrap();
                expected.push((id, vec![format!("message text {id}"), format!("sent {id}")]));
            }
        }
        expected.retain(|(id, _)| *id < open);
        let whole: usize = expected.iter().map(|(_, objects)| objects.len()).sum();
        // What is decided just before the stop may be unanswered as well.
        let mut received = Vec::new();
        if chance.below(2) == 0 {
            received.extend((0..whole).map(|_| client.object()));
        }
        let stop = thread::scope(|scope| {
            let stop = scope.spawn(|| server.stop(PATIENCE));
            let (objects, code) = client.objects_until_closed();
            received.extend(objects);
            assert_eq!((code, gist(&received.pop().unwrap())), (1001, "closing 1001".to_owned()));
            client.answer_close(1001);
            stop.join().unwrap()
        });
        stop.expect("it ends in time, though a message is undecided");
        let is_answer = |object: &&Value| field(object, "type") != "message";
        let answered = received.iter().filter(is_answer).count();
        let before: Vec<_> = expected.drain(..answered).flat_map(|(_, objects)| objects).collect();
        assert_eq!(received.iter().map(gist).collect::<Vec<_>>(), before);
        let position = received.iter().rev().find_map(|object| object["position"].as_str());
        come_to_the_next(position, &asked, answered..count);
    }
}

/// A client comes to another server, with what it has seen of the one before, and sends again what was not answered.
fn come_to_the_next(
    position: Option<&str>,
    asked: &[DecisionId],
    unanswered: std::ops::Range<usize>,
) {
    let server = reviewing();
    let mut events = Events::of(&server);
    server.publish("lobby", Kind::Text, b"new").unwrap();
    for decision in asked {
        assert!(matches!(server.allow(*decision), Err(Error::DecisionNotFound)));
    }
    let path = position.map_or("/?history=9".to_owned(), |position| format!("/?since={position}"));
    let mut client = Peer::join_json(server.local_addr(), &path);
    let entered = &client.until("entered")[1];
    let reason = entered["reason"].as_str();
    assert_eq!(reason, position.map(|_| "epoch"), "{entered}");
    assert_eq!(client.gists(2), ["message new", "live lobby"]);
    for id in unanswered.clone() {
        client.say(&format!(r#"{{"id":{id},"text":"text {id}"}}"#));
    }
    for decision in requests(&mut events, unanswered.len()) {
        server.allow(decision).unwrap();
    }
    for id in unanswered {
        assert_eq!(client.gists(2), [format!("message text {id}"), format!("sent {id}")]);
    }
}

//! A server that stops while clients publish: what is acknowledged has reached everyone and the host, what is refused
//! has reached nobody.
//!
//! `STOP_SEED` repeats the choices of a run, which prints its seed.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod peer;

use std::{
    collections::{HashMap, HashSet},
    env,
    hash::{BuildHasher, RandomState},
    thread,
};

use chat::{Event, Kind};
use peer::{
    PATIENCE, Peer,
    frames::{CLOSE, TEXT},
    host::server_with,
    objects::{field, object},
};
use serde_json::Value;

const CLIENTS: usize = 4;

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

/// The texts of the room's messages, up to the close frame.
fn witness(mut peer: Peer) -> Vec<String> {
    let (messages, code) = peer.until_closed();
    assert_eq!(code, 1001);
    peer.send(CLOSE, &1001_u16.to_be_bytes());
    messages.iter().map(|message| message.text().to_owned()).collect()
}

#[test]
fn what_is_acknowledged_has_reached_everyone_and_what_is_refused_nobody() {
    let seed = env::var("STOP_SEED")
        .ok()
        .map_or_else(|| RandomState::new().hash_one(0), |it| it.parse().unwrap());
    println!("STOP_SEED={seed}");
    for round in 0..10_u64 {
        let server = server_with(|config| _ = config.event_queue(1 << 20).workers(2));
        let plain = Peer::join(server.local_addr(), "/");
        let before = 50 + (seed >> (round * 6)) % 2_000;
        let (answers, witnessed, told) = thread::scope(|scope| {
            let server = &server;
            let enter = |_| Peer::enter_json(server.local_addr(), "/?echo=false");
            let peers: Vec<_> = (0..CLIENTS).map(enter).collect();
            let speakers: Vec<_> = (0..)
                .zip(peers)
                .map(|(client, peer)| scope.spawn(move || speak(peer, client)))
                .collect();
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

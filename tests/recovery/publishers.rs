//! Who publishes while readers are cut: threads of the host and clients, plain and in the JSON form.

use std::sync::{Mutex, mpsc::Receiver};

use chat::{Kind, Publication, Server};

use super::{ROOMS, chance::Chance, told::Told};
use crate::peer::{
    Peer,
    frames::{PING, PONG},
};

/// Publishes some messages for each token, as a thread of the host.
pub(crate) fn publish(
    server: &Server,
    told: &Told,
    name: &str,
    tokens: &Mutex<Receiver<()>>,
    seed: u64,
) {
    let mut chance = Chance::new(seed);
    let mut number = 0;
    let mut next = || {
        number += 1;
        format!("{name}:{number} {}", "xxxx\n".repeat(number % 12))
    };
    while tokens.lock().unwrap().recv().is_ok() {
        let room = chance.pick(&ROOMS);
        let texts: Vec<_> = (0..chance.below(6)).map(|_| next()).collect();
        if chance.below(3) == 0 {
            let of = |text: &String| text.clone().into_bytes();
            let bytes: Vec<_> = texts.iter().map(of).collect();
            let batch: Vec<_> =
                bytes.iter().map(|data| Publication { room, kind: Kind::Text, data }).collect();
            let positions = server.publish_batch(&batch).expect("the server runs");
            for (text, position) in texts.iter().zip(positions) {
                told.note(room, position, text);
            }
        } else {
            for text in &texts {
                let position = server.publish(room, Kind::Text, text.as_bytes()).unwrap();
                told.note(room, position, text);
            }
        }
    }
}

/// Publishes some messages for each token, as a client: plain, or in the JSON form.
pub(crate) fn say(
    server: &Server,
    name: &str,
    is_json: bool,
    tokens: &Mutex<Receiver<()>>,
    seed: u64,
) {
    let mut chance = Chance::new(seed);
    let path = format!("/rooms/{}?echo=false", chance.pick(&ROOMS));
    let addr = server.local_addr();
    let mut peer = if is_json { Peer::join_json(addr, &path) } else { Peer::join(addr, &path) };
    peer.stream.set_nonblocking(true).unwrap();
    let mut number = 0;
    while tokens.lock().unwrap().recv().is_ok() {
        for _ in 0..chance.below(4) {
            number += 1;
            let text = format!("{name}:{number}");
            peer.say(&if is_json { format!(r#"{{"text":"{text}"}}"#) } else { text });
        }
        while peer.try_frame().is_some() {}
    }
    peer.stream.set_nonblocking(false).unwrap();
    // The answer comes behind what it has said.
    peer.send(PING, b"");
    while peer.frame().head != PONG {}
}

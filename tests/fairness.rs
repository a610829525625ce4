//! One client's flood is its own affair: others are served while it lasts, and keep what is theirs.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod peer;

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use chat::Kind;
use peer::{
    Peer,
    frames::{PING, TEXT, masked},
    host::server_with,
};

/// Sends the same frames again and again until told to stop, and never reads.
fn flood(mut client: Peer, frame: &[u8], stop: &Arc<AtomicBool>) -> thread::JoinHandle<()> {
    let chunk = frame.repeat((256 * 1024 / frame.len()).max(1));
    let stop = Arc::clone(stop);
    thread::spawn(
        move || {
            while !stop.load(Ordering::Relaxed) && client.stream.write_all(&chunk).is_ok() {}
        },
    )
}

#[test]
fn others_are_served_while_a_client_floods() {
    let frames = [masked(TEXT, b""), masked(TEXT, &[b'x'; 20]), masked(PING, b"ping")];
    for frame in frames {
        let server = server_with(|config| {
            config.workers(1).history_messages(0);
        });
        let stop = Arc::new(AtomicBool::new(false));
        let flooder = Peer::join(server.local_addr(), "/rooms/flood?echo=false");
        let mut victim = Peer::join(server.local_addr(), "/rooms/quiet");
        let flooding = flood(flooder, &frame, &stop);
        // The flood goes on until all of these have come back.
        for turn in 0..20 {
            let text = format!("turn {turn}");
            victim.say(&text);
            assert_eq!(victim.text(), text);
        }
        stop.store(true, Ordering::Relaxed);
        flooding.join().unwrap();
    }
}

#[test]
fn a_room_that_hoards_history_forgets_first_also_while_somebody_is_in_it() {
    let server = server_with(|config| {
        config.history_total(1_000_000).history_size(900_000).workers(1);
    });
    let _hoarder = Peer::join(server.local_addr(), "/rooms/hoard?echo=false");
    for _ in 0..95 {
        server.publish("hoard", Kind::Binary, &[0; 9_000]).unwrap();
    }
    let _witness = Peer::join(server.local_addr(), "/rooms/small");
    for number in 0..50 {
        server.publish("small", Kind::Binary, &[number; 9_000]).unwrap();
    }
    let mut late = Peer::join(server.local_addr(), "/rooms/small?history=50");
    for number in 0..50 {
        assert_eq!(late.message().payload, [number; 9_000]);
    }
}

//! Clients of the JSON form that are cut anywhere come back to exactly what they lack, or are told that it is gone.
//!
//! `RECOVERY_SEED` repeats the choices of a run, which prints its seed; `RECOVERY_CUTS` says how often clients are cut.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod peer;
#[path = "recovery/reader.rs"]
mod reader;
#[path = "recovery/mod.rs"]
mod recovery;

use std::thread;

use chat::{Event, Kind, Past, Server};
use peer::{PATIENCE, eventually, host::server_with};
use reader::Reader;
use recovery::{
    Cuts, KEPT, ROOMS,
    chance::{Chance, seed},
    configure, cut_while_others_publish, publish_too_much,
    told::Told,
};

/// The rooms that the host puts each client into beside that of its path, and how much of their past it may have.
const ADDED: [(&str, Past); 2] = [("b", Past::All), ("c", Past::Last(10))];

/// Notes where clients' messages are, and puts clients into further rooms, until the server has stopped.
fn host(server: &Server, told: &Told) {
    loop {
        let Ok(events) = server.next_events(PATIENCE) else { return };
        for event in events {
            match event {
                Event::Message { room, position, message, .. } => {
                    told.note(&room, position, message.as_text().unwrap());
                }
                Event::Connected { client, room, .. } => {
                    for (added, past) in ADDED.iter().filter(|(added, _)| **added != *room) {
                        // Fails if it has left.
                        let _ = server.join_with_past(client, added, *past, None);
                    }
                }
                Event::Stopped => return,
                _ => {}
            }
        }
    }
}

/// Has a client come and be cut, until there were enough cuts.
fn cut(server: &Server, told: &Told, name: usize, mut chance: Chance, cuts: &Cuts) -> Reader {
    let mut reader = Reader::new(chance.pick(&ROOMS), format!("reader {name}"), KEPT);
    while cuts.take() {
        let most = chance.pick(&[300, 1000, 5_000, 40_000]);
        reader.come(server.local_addr(), chance.below(most), &mut chance);
        cuts.go_on(&mut chance);
        if chance.below(20) == 0 {
            publish_too_much(server, told, chance.pick(&ROOMS), name, &mut chance);
        }
    }
    reader
}

#[test]
fn a_client_that_is_cut_at_any_byte_gets_every_message_once_and_in_order_or_is_told_why_not() {
    let (server, told) = (server_with(configure), Told::default());
    let (server, told) = (&server, &told);
    thread::scope(|scope| {
        let host = scope.spawn(|| host(server, told));
        let (mut readers, all) =
            cut_while_others_publish(server, told, seed(), |name, chance, cuts| {
                cut(server, told, name, chance, cuts)
            });
        // A client that connects now reads to the end.
        for reader in &mut readers {
            reader.catch_up(server.local_addr());
        }
        server.request_stop();
        host.join().unwrap();
        for reader in &mut readers {
            for room in ["b", "c", reader.room] {
                assert_eq!(reader.top(room), told.top(room), "{room}: it has come to the end");
            }
        }
        let counts = readers.iter().map(|reader| reader.counts());
        let counts = counts.fold([0; 6], |sum, counts| std::array::from_fn(|i| sum[i] + counts[i]));
        let [entered, recovered, lost, received, sent, replayed] = counts;
        println!(
            "{all} cuts: {entered} rooms entered, {recovered} recovered, {lost} with a loss that was told, \
             {received} messages, {replayed} of them in replays, {sent} acknowledged"
        );
        assert!(recovered > entered / 2 && lost > 0 && sent > 0, "it tests what it says");
        for reader in readers {
            told.check(&reader.received);
        }
    });
}

#[test]
fn a_server_that_was_started_again_says_so_and_replays_what_it_keeps() {
    let seed = seed();
    let mut chance = Chance::new(seed);
    let mut reader = Reader::new("a", "reader".into(), KEPT);
    for round in 0..20 {
        let server = server_with(configure);
        let told = Told::default();
        reader.forget_received();
        thread::scope(|scope| {
            scope.spawn(|| host(&server, &told));
            for number in 0..=chance.below(2 * KEPT) {
                let text = format!("{round} {number}");
                for room in ROOMS {
                    let position = server.publish(room, Kind::Text, text.as_bytes()).unwrap();
                    told.note(room, position, &text);
                }
                if number % 10 == 0 {
                    reader.come(server.local_addr(), chance.below(4_000), &mut chance);
                }
            }
            eventually("what was said is published", || server.stats().connections == 0);
            reader.catch_up(server.local_addr());
            server.stop(PATIENCE).unwrap();
        });
        told.check(&reader.received);
        assert!(ROOMS.iter().all(|room| reader.top(room) == told.top(room)));
    }
    assert!(reader.restarts > 20, "{} rooms had another epoch", reader.restarts);
}

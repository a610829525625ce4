//! Clients of event streams that are cut at any byte come back to exactly what they lack, or are told that it is gone.
//!
//! `RECOVERY_SEED` repeats the choices of a run, which prints its seed; `RECOVERY_CUTS` says how often clients are cut.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

#[path = "recovery/event_reader.rs"]
mod event_reader;
mod event_source;
mod peer;
#[path = "recovery/mod.rs"]
mod recovery;

use std::thread;

use chat::{Event, Kind, Server};
use event_reader::{Counts, EventReader, Form};
use peer::{PATIENCE, host::server_with};
use recovery::{
    Cuts, KEPT, ROOMS,
    chance::{Chance, seed},
    configure, cut_while_others_publish, publish_too_much,
    told::Told,
};

/// Notes where clients' messages are, until the server has stopped.
fn host(server: &Server, told: &Told) {
    loop {
        let Ok(events) = server.next_events(PATIENCE) else { return };
        for event in events {
            match event {
                Event::Message { room, position, message, .. } => {
                    told.note(&room, position, message.as_text().unwrap());
                }
                Event::Stopped => return,
                _ => {}
            }
        }
    }
}

/// Has a client come and be cut, until there were enough cuts.
fn cut(server: &Server, told: &Told, name: usize, mut chance: Chance, cuts: &Cuts) -> EventReader {
    let form = if name.is_multiple_of(2) { Form::Text } else { Form::Json };
    let mut reader = EventReader::new(chance.pick(&ROOMS), form);
    while cuts.take() {
        let most = chance.pick(&[500, 1_000, 5_000, 40_000]);
        reader.come(server.local_addr(), chance.below(most), &mut chance);
        cuts.go_on(&mut chance);
        if chance.below(8) == 0 {
            server.broadcast(Kind::Text, b"to everyone").unwrap();
        }
        if chance.below(10) == 0 {
            publish_too_much(server, told, reader.room, name, &mut chance);
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
        for reader in &mut readers {
            let top = server.position(reader.room).ok();
            reader.catch_up(server.local_addr(), top);
        }
        server.request_stop();
        host.join().unwrap();
        let sum = |of: fn(&Counts) -> usize| readers.iter().map(|it| of(&it.counts)).sum::<usize>();
        let (entered, recovered) = (sum(|it| it.entered), sum(|it| it.recovered));
        let (lost, unpositioned) = (sum(|it| it.lost), sum(|it| it.unpositioned));
        let received = readers.iter().map(|it| it.received.len()).sum::<usize>();
        println!(
            "{all} cuts: {entered} times entered, {recovered} recovered, {lost} with a loss that was told, \
             {received} messages, {unpositioned} to everyone"
        );
        assert!(recovered > entered / 3 && lost > 0 && unpositioned > 0, "it tests what it says");
        for reader in readers {
            assert_eq!(reader.top(), told.top(reader.room), "it has come to the end");
            told.check(&reader.received);
        }
    });
}

#[test]
fn a_server_that_was_started_again_says_so_and_replays_what_it_keeps() {
    let mut chance = Chance::new(seed());
    let mut readers = [Form::Text, Form::Json].map(|form| EventReader::new("a", form));
    for round in 0..20 {
        let server = server_with(configure);
        let told = Told::default();
        for number in 0..=chance.below(2 * KEPT) {
            let text = format!("{round} {number}");
            told.note("a", server.publish("a", Kind::Text, text.as_bytes()).unwrap(), &text);
            if number % 10 == 0 {
                for reader in &mut readers {
                    reader.come(server.local_addr(), chance.below(4_000), &mut chance);
                }
            }
        }
        for reader in &mut readers {
            reader.catch_up(server.local_addr(), told.top("a"));
            told.check(&std::mem::take(&mut reader.received));
            assert_eq!(reader.top(), told.top("a"));
        }
        server.stop(PATIENCE).unwrap();
    }
    for reader in readers {
        assert!(reader.counts.restarts >= 19, "{:?}", reader.counts);
    }
}

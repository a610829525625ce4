//! Clients of event streams that are cut at any byte come back to exactly what they lack, or are told that it is gone.
//!
//! `RECOVERY_SEED` repeats the choices of a run, which prints its seed; `RECOVERY_CUTS` says how often clients are cut.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

#[path = "recovery/chance.rs"]
mod chance;
#[path = "recovery/event_reader.rs"]
mod event_reader;
mod event_source;
mod peer;
#[path = "recovery/publishers.rs"]
mod publishers;
#[path = "recovery/told.rs"]
mod told;

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use chance::{Chance, number, seed};
use chat::{Config, Event, Kind, Server};
use event_reader::{Counts, EventReader, Form};
use peer::{PATIENCE, eventually, host::server_with};
use publishers::{publish, say};
use told::Told;

/// How often clients are cut, if nobody says otherwise.
const CUTS: usize = 2_000;

/// How many messages a room keeps.
const KEPT: usize = 64;

const ROOMS: [&str; 3] = ["a", "b", "c"];

/// How long a reader waits for more before it is cut.
const PAUSE: Duration = Duration::from_millis(2);

fn configure(config: &mut Config) {
    config.history_messages(KEPT).event_queue(100_000).workers(2);
}

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
fn cut(
    server: &Server,
    told: &Told,
    cuts: &AtomicUsize,
    tokens: &SyncSender<()>,
    name: usize,
    seed: u64,
) -> EventReader {
    let mut chance = Chance::new(seed);
    let form = if name.is_multiple_of(2) { Form::Text } else { Form::Json };
    let mut reader = EventReader::new(chance.pick(&ROOMS), form);
    while cuts.fetch_sub(1, Ordering::Relaxed) as isize > 0 {
        let most = chance.pick(&[500, 1_000, 5_000, 40_000]);
        reader.come(server.local_addr(), chance.below(most), &mut chance);
        for _ in 0..chance.below(4) {
            tokens.send(()).expect("there are publishers");
        }
        if chance.below(8) == 0 {
            server.broadcast(Kind::Text, b"to everyone").unwrap();
        }
        if chance.below(10) == 0 {
            // While it is away more comes than the room keeps.
            for number in 0..KEPT + chance.below(20) {
                let text = format!("{name} is away {number}");
                let position = server.publish(reader.room, Kind::Text, text.as_bytes()).unwrap();
                told.note(reader.room, position, &text);
            }
        }
    }
    reader
}

#[test]
fn a_client_that_is_cut_at_any_byte_gets_every_message_once_and_in_order_or_is_told_why_not() {
    const READERS: usize = 4;
    let seed = seed();
    let server = server_with(configure);
    let told = Told::default();
    let all = number("RECOVERY_CUTS").map_or(CUTS, |cuts| cuts as usize);
    let cuts = AtomicUsize::new(all);
    let (sender, receiver) = sync_channel(64);
    let receiver = Mutex::new(receiver);
    let (server, told, receiver, cuts) = (&server, &told, &receiver, &cuts);
    thread::scope(|scope| {
        let host = scope.spawn(|| host(server, told));
        let publishers: Vec<_> = (0..8)
            .map(|number| {
                let seed = seed ^ (number << 32);
                scope.spawn(move || match number {
                    0..4 => publish(server, told, &format!("host {number}"), receiver, seed),
                    _ => {
                        let name = format!("client {number}");
                        say(server, &name, number % 2 == 0, receiver, seed);
                    }
                })
            })
            .collect();
        let readers: Vec<_> = (0..READERS)
            .map(|number| {
                let (tokens, seed) = (sender.clone(), seed.wrapping_add(number as u64));
                scope.spawn(move || cut(server, told, cuts, &tokens, number, seed))
            })
            .collect();
        let mut readers: Vec<_> =
            readers.into_iter().map(|reader| reader.join().expect("it found no fault")).collect();
        drop(sender);
        publishers.into_iter().for_each(|publisher| publisher.join().unwrap());
        eventually("what was said is published", || server.stats().connections == 0);
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

//! What the tests of recovery share: a server of three rooms, eight publishers, and clients that are cut meanwhile.

pub(crate) mod chance;
pub(crate) mod publishers;
pub(crate) mod told;

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use chat::{Config, Kind, Server};

use self::{
    chance::{Chance, number},
    publishers::{publish, say},
    told::Told,
};
use crate::peer::eventually;

/// How many messages a room keeps.
pub(crate) const KEPT: usize = 64;

pub(crate) const ROOMS: [&str; 3] = ["a", "b", "c"];

/// How long a reader waits for more before it is cut.
pub(crate) const PAUSE: Duration = Duration::from_millis(2);

/// How often clients are cut, if nobody says otherwise, and how many there are.
const CUTS: usize = 2_000;
const READERS: u64 = 4;

pub(crate) fn configure(config: &mut Config) {
    config.history_messages(KEPT).event_queue(100_000).workers(2);
}

/// How often clients are still to be cut, and what has publishers go on.
pub(crate) struct Cuts {
    left: AtomicUsize,
    tokens: SyncSender<()>,
}

impl Cuts {
    /// Takes one. Returns false if there were enough.
    pub(crate) fn take(&self) -> bool {
        self.left.fetch_sub(1, Ordering::Relaxed) as isize > 0
    }

    /// Has publishers say something more.
    pub(crate) fn go_on(&self, chance: &mut Chance) {
        for _ in 0..chance.below(4) {
            self.tokens.send(()).expect("there are publishers");
        }
    }
}

/// Publishes more than a room keeps, while a client of it is away.
pub(crate) fn publish_too_much(
    server: &Server,
    told: &Told,
    room: &str,
    name: usize,
    chance: &mut Chance,
) {
    for number in 0..KEPT + chance.below(20) {
        let text = format!("{name} is away {number}");
        let position = server.publish(room, Kind::Text, text.as_bytes()).unwrap();
        told.note(room, position, &text);
    }
}

/// Has readers come and be cut by `cut` while eight publishers go on. Returns the readers when everything that was said
/// is published, and how often they were cut.
pub(crate) fn cut_while_others_publish<R: Send>(
    server: &Server,
    told: &Told,
    seed: u64,
    cut: impl Fn(usize, Chance, &Cuts) -> R + Sync,
) -> (Vec<R>, usize) {
    let all = number("RECOVERY_CUTS").map_or(CUTS, |cuts| cuts as usize);
    let (tokens, receiver) = sync_channel(64);
    let receiver = &Mutex::new(receiver);
    let cuts = Cuts { left: AtomicUsize::new(all), tokens };
    let readers = thread::scope(|scope| {
        for number in 0..8 {
            let seed = seed ^ (number << 32);
            scope.spawn(move || match number {
                0..4 => publish(server, told, &format!("host {number}"), receiver, seed),
                _ => say(server, &format!("client {number}"), number % 2 == 0, receiver, seed),
            });
        }
        let (cut, cuts) = (&cut, cuts);
        let readers = thread::scope(|scope| {
            let readers: Vec<_> = (0..READERS)
                .map(|number| {
                    let (chance, cuts) = (Chance::new(seed.wrapping_add(number)), &cuts);
                    scope.spawn(move || cut(number as usize, chance, cuts))
                })
                .collect();
            let readers = readers.into_iter().map(|it| it.join().expect("it found no fault"));
            readers.collect::<Vec<_>>()
        });
        // The publishers end with the last token.
        drop(cuts);
        readers
    });
    eventually("what was said is published", || server.stats().connections == 0);
    (readers, all)
}

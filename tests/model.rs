//! Whatever hosts and clients do at once, each client's stream is one that was promised.
//!
//! `MODEL_SEED` repeats a run, which prints its seed; `MODEL_SECONDS` says for how long new cases are
//! tried.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod peer;
#[path = "model/play/mod.rs"]
mod play;
#[path = "model/promise/mod.rs"]
mod promise;

use std::{
    collections::BTreeMap,
    env,
    hash::{BuildHasher, RandomState},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    process,
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};

use play::{Case, Chance};

/// For how long cases are tried, in seconds, if nobody says otherwise.
const SECONDS: u64 = 8;

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text}")))
}

/// How long a case may take. Its threads could wait for a server that does nothing any more.
const TOO_LONG: Duration = Duration::from_secs(120);

/// Ends the program if this is not dropped in time.
struct Watched(#[expect(dead_code, reason = "it is dropped")] Sender<()>);

impl Watched {
    fn begin(seed: u64) -> Self {
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            if receiver.recv_timeout(TOO_LONG) == Err(RecvTimeoutError::Timeout) {
                eprintln!("MODEL_SEED={seed}: the case does not end");
                process::abort();
            }
        });
        Self(sender)
    }
}

#[test]
fn every_client_receives_what_was_promised_whatever_hosts_and_clients_do() {
    let seed = number("MODEL_SEED").unwrap_or_else(|| RandomState::new().hash_one(0));
    let time = Duration::from_secs(number("MODEL_SECONDS").unwrap_or(SECONDS));
    println!("MODEL_SEED={seed}");
    let begun = Instant::now();
    let (mut cases, mut received, mut dropped) = (0, 0, 0);
    let mut closed = BTreeMap::new();
    while cases == 0 || begun.elapsed() < time {
        let seed = seed.wrapping_add(cases);
        let _watched = Watched::begin(seed);
        let mut chance = Chance::new(seed);
        let case = Case::new(&mut chance);
        let outcome = catch_unwind(AssertUnwindSafe(|| play::play(&case, &mut chance)));
        let world = outcome.unwrap_or_else(|panic| {
            println!("MODEL_SEED={seed}: {case:#?}");
            resume_unwind(panic)
        });
        if let Err(broken) = promise::check(&world) {
            panic!("MODEL_SEED={seed}: {broken}\n{case:#?}");
        }
        cases += 1;
        for client in &world.clients {
            received += client.received.len();
            dropped += client.dropped;
            *closed.entry(client.closed).or_insert(0) += 1;
        }
    }
    println!("{cases} cases, {received} messages received, {dropped} dropped, closed: {closed:?}");
}

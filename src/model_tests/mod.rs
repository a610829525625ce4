//! Random hosts and clients against a model of what is promised, in one thread, with scripted sockets and a
//! scripted clock: thousands of runs in seconds.
//!
//! Promises that random runs meet too rarely have tests of their own, in the same worlds.
//!
//! A failure prints its seed; `MODEL_SEED=… cargo test --lib model` repeats it.

mod answers;
mod away;
mod backlog;
mod broker;
mod client_counters;
mod comebacks;
mod controls;
mod counters;
mod cuts;
mod dropped;
mod expected;
mod fairness;
mod full_inbox;
mod histories;
mod identity;
mod keys;
mod members;
mod order;
mod outbox;
mod outbox_age;
mod random;
mod reading;
mod replays;
mod returning;
mod served;
mod setting;
mod shared_pages;
mod signals;
mod slow_and_cut;
mod streams;
mod tables;
mod times;
mod told;
mod world;

use self::{random::Random, world::World};

/// How many worlds one run of the tests goes through; `MODEL_RUNS` says otherwise.
const RUNS: u64 = 400;

/// How many steps there are in a world.
const STEPS: usize = 300;

#[test]
fn every_client_receives_what_the_model_promises() {
    for_each_seed(RUNS, |random| {
        let mut world = World::new(random);
        for _ in 0..STEPS {
            world.step();
        }
        world.finish();
    });
}

/// Runs `worlds` worlds, unless `MODEL_RUNS` or `MODEL_SEED` says otherwise.
fn for_each_seed(runs: u64, run: impl Fn(Random) + std::panic::RefUnwindSafe) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let first = number("MODEL_SEED").unwrap_or(clock.map_or(1, |time| time.as_nanos() as u64));
    let runs =
        if number("MODEL_SEED").is_some() { 1 } else { number("MODEL_RUNS").unwrap_or(runs) };
    for seed in (0..runs).map(|run| first.wrapping_add(run)) {
        if let Err(panic) = std::panic::catch_unwind(|| run(Random::new(seed))) {
            eprintln!("the model failed: repeat it with MODEL_SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

//! What rooms promise whatever keeps them: a broker that does everything at once, one that takes its time, and ones that
//! are bad on purpose.

mod fleet;
mod peer;
mod promises;
mod publishing;
mod store;

use self::{fleet::Fleet, store::Behaviour};
use crate::past::Past;

const ROOMS: [&str; 3] = ["a", "b", "c"];

/// How many fleets a run of each test goes through; `MODEL_RUNS` says otherwise.
const RUNS: u64 = 60;

const STEPS: usize = 250;

/// What may befall a fleet beside what the broker does with messages.
#[derive(Debug, Clone, Copy, Default)]
struct Faults {
    loses_tails: bool,
    forgets: bool,
}

fn run(behaviour: Behaviour, faults: Faults) {
    run_with(|seed| Fleet::new(2, behaviour, seed), faults);
}

fn run_with(fleet: impl Fn(u64) -> Fleet + std::panic::RefUnwindSafe, faults: Faults) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let first = number("MODEL_SEED").unwrap_or(clock.map_or(1, |time| time.as_nanos() as u64));
    let runs =
        if number("MODEL_SEED").is_some() { 1 } else { number("MODEL_RUNS").unwrap_or(RUNS) };
    for seed in (0..runs).map(|run| first.wrapping_add(run)) {
        let outcome = std::panic::catch_unwind(|| {
            let mut fleet = fleet(seed);
            for _ in 0..STEPS {
                step(&mut fleet, faults);
            }
            fleet.finish();
        });
        if let Err(panic) = outcome {
            eprintln!("the model failed: repeat it with MODEL_SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

fn step(fleet: &mut Fleet, faults: Faults) {
    let node = fleet.random.below(fleet.nodes.len());
    let room = fleet.random.pick(&ROOMS);
    match fleet.random.below(30) {
        0..=4 => {
            let text = fleet.next_text();
            fleet.publish(node, room, &text);
        }
        5..=12 if !fleet.peers.is_empty() => {
            let index = fleet.random.below(fleet.peers.len());
            let names: Vec<_> = fleet.peers[index].rooms.keys().cloned().collect();
            if !names.is_empty() {
                let name = names[fleet.random.below(names.len())].clone();
                let text = fleet.next_text();
                fleet.send(index, &name, &text);
            }
        }
        13..=14 if fleet.peers.len() < 8 => {
            let last = fleet.random.pick(&[None, Some(0), Some(3), Some(1000)]);
            let echo = fleet.random.once_in(2);
            fleet.connect(node, room, None, last, echo);
        }
        15..=16 if !fleet.peers.is_empty() => {
            // It comes back, to any of the servers.
            let index = fleet.random.below(fleet.peers.len());
            let peer = fleet.cut(index);
            if let Some((name, known)) = peer.rooms.iter().next() {
                let room = ROOMS.into_iter().find(|room| room == name).expect("one of them");
                let since = known.at;
                let echo = fleet.random.once_in(2);
                fleet.connect(node, room, since, None, echo);
            }
        }
        17 if !fleet.peers.is_empty() => {
            let index = fleet.random.below(fleet.peers.len());
            let past = fleet.random.pick(&[Past::None, Past::Last(2), Past::All]);
            if fleet.peers[index].rooms.len() > 1 || !fleet.peers[index].rooms.contains_key(room) {
                fleet.move_client(index, room, past);
            }
        }
        18 if faults.loses_tails => {
            let count = fleet.random.below(4);
            fleet.store.lose_tail(room, count);
        }
        19 if faults.forgets => {
            let count = fleet.random.below(20);
            fleet.store.forget(room, count);
        }
        20 => fleet.pass_second(),
        21..=23 => fleet.tick(),
        _ => {
            for _ in 0..fleet.random.below(6) {
                fleet.store.step(node);
            }
        }
    }
    if fleet.random.once_in(5) {
        fleet.check();
    }
}

#[test]
fn memory_without_a_broker() {
    run_with(Fleet::in_memory, Faults::default());
}

#[test]
fn a_broker_that_does_everything_at_once() {
    run(Behaviour { is_immediate: true, ..Behaviour::default() }, Faults::default());
}

#[test]
fn a_broker_that_takes_its_time() {
    run(Behaviour::default(), Faults::default());
}

#[test]
fn a_broker_that_delivers_late_twice_and_in_another_order() {
    let behaviour = Behaviour { reorders: 3, doubles: 4, ..Behaviour::default() };
    run(behaviour, Faults::default());
}

#[test]
fn a_broker_that_delivers_not_all() {
    let behaviour = Behaviour {
        loses: 4,
        is_unreliable: true,
        reorders: 10,
        doubles: 10,
        ..Behaviour::default()
    };
    run(behaviour, Faults::default());
}

#[test]
fn a_broker_that_cannot_always_be_reached_or_does_not_know() {
    let behaviour = Behaviour { fails: 5, is_unsure: 8, ..Behaviour::default() };
    run(behaviour, Faults::default());
}

#[test]
fn a_broker_that_loses_what_it_has_stored_last() {
    let faults = Faults { loses_tails: true, forgets: false };
    run(Behaviour { reorders: 6, ..Behaviour::default() }, faults);
}

#[test]
fn a_broker_that_forgets_and_loses_and_does_all_else_wrong() {
    let behaviour = Behaviour {
        is_unreliable: true,
        reorders: 4,
        doubles: 6,
        loses: 6,
        fails: 10,
        is_unsure: 15,
        ..Behaviour::default()
    };
    run(behaviour, Faults { loses_tails: true, forgets: true });
}

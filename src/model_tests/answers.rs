//! What a client of the JSON form is answered: in the order of what it sent, whatever becomes of it. What is
//! acknowledged is stored and delivered where the answer says, and what is refused is nowhere.

use std::{
    collections::{BTreeMap, HashMap},
    rc::Rc,
};

use serde_json::Value;

use super::{
    random::Random,
    setting::{ENDLESS, KIB, events, options, read_all},
    world::World,
};
use crate::{
    event::{ClientId, DecisionId, Event},
    fanout::form::Form,
    frame::{Header, Kind, payload},
    options::Options,
    protocol::{Asked, Protocol},
    transport::scripted::Scripted,
};

const MAX_MESSAGE: usize = 2 * KIB;

/// The objects that a client has received.
pub(super) fn objects(mut bytes: &[u8]) -> Vec<Value> {
    let mut objects = Vec::new();
    while !bytes.is_empty() {
        let header = Header::parse(bytes).expect("a whole header");
        let (frame, rest) = bytes.split_at(header.len + header.payload as usize);
        if frame[0] == 0x81 {
            objects.push(serde_json::from_slice(payload(frame)).expect("an object"));
        }
        bytes = rest;
    }
    objects
}

/// Connects a client that asks in the JSON form, to the first shard unless `shard` says otherwise.
pub(super) fn connect(world: &mut World, shard: usize, asked: &Asked) -> ClientId {
    let id = world.connect_asking(shard, Scripted::new(ENDLESS), asked);
    world.peer(id).client.out().open();
    id
}

fn asked(room: &str) -> Asked {
    Asked::new(room.into(), Form::Json)
}

/// What a client of the JSON form sends, as its connection hands it on. Returns false if it is not read now.
pub(super) fn say(world: &mut World, id: ClientId, text: &str) -> bool {
    let (shard, client) = (Rc::clone(&world.shards[0].0), Rc::clone(&world.peer(id).client));
    let queue = client.queue(&shard.rooms);
    if !shard.may_read(&client, false) || shard.rooms.is_queue_full(queue) {
        return false;
    }
    Protocol::Json.message(&shard, &client, Kind::Text, text.as_bytes()).expect("it is JSON");
    true
}

/// One random run: a client that says all sorts of things, a host that decides, moves and publishes.
struct Run {
    world: World,
    random: Random,
    sender: ClientId,
    witness: ClientId,
    /// Messages that wait for the host.
    undecided: Vec<DecisionId>,
    said: u64,
    changed: u64,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let is_reviewed = random.once_in(2);
        let options = Options {
            workers: 2,
            max_message_size: MAX_MESSAGE,
            history_messages: 10_000,
            event_queue: 100_000,
            review_timeout: std::time::Duration::from_secs(u64::from(is_reviewed) * 3600),
            ..options()
        };
        let mut world = World::with(options, Random::new(seed));
        let echo = Some(random.once_in(2));
        let sender = connect(&mut world, 0, &Asked { echo, ..asked("a") });
        let shard = random.below(2);
        let witness = connect(&mut world, shard, &asked("a"));
        world.handle.join(witness, "b").unwrap();
        let undecided = Vec::new();
        Self { world, random, sender, witness, undecided, said: 0, changed: 0 }
    }

    fn step(&mut self) {
        match self.random.below(16) {
            0..=5 => self.say(),
            6 | 7 => {
                let room = self.random.pick(&["a", "b"]);
                self.world.handle.publish(room, Kind::Text, b"host").unwrap();
            }
            8 => {
                let room = self.random.pick(&["a", "b", "b"]);
                self.world.handle.join(self.sender, room).unwrap();
            }
            9 => {
                let room = self.random.pick(&["a", "b", "b", "b"]);
                self.world.handle.leave(self.sender, room).unwrap();
            }
            10..=12 => self.decide(),
            _ => {
                let shard = self.random.below(2);
                self.world.tick_shard(shard);
            }
        }
    }

    fn say(&mut self) {
        let id = self.said + 1;
        let text = match self.random.below(10) {
            0 => format!(r#"{{"id":{id},"text":"{}"}}"#, "x".repeat(MAX_MESSAGE + 1)),
            1 => format!(r#"{{"id":{id},"room":"nowhere","text":"{id}"}}"#),
            2 => format!(r#"{{"id":{id},"type":"history","limit":3}}"#),
            3 => format!(r#"{{"id":{id},"type":"signal"}}"#),
            4 => format!(r#"{{"id":{id},"text":"\ud800"}}"#),
            5 | 6 => format!(r#"{{"id":{id},"room":"b","text":"{id}"}}"#),
            _ => format!(r#"{{"id":{id},"text":"{id}"}}"#),
        };
        if say(&mut self.world, self.sender, &text) {
            self.said = id;
        }
    }

    fn decide(&mut self) {
        let asked = events(&self.world).into_iter().filter_map(|event| match event {
            Event::MessageRequest { decision, .. } => Some(decision),
            _ => None,
        });
        self.undecided.extend(asked);
        if self.undecided.is_empty() {
            return;
        }
        let index = self.random.below(self.undecided.len());
        let decision = self.undecided.swap_remove(index);
        let handle = &self.world.handle;
        match self.random.below(3) {
            0 => handle.allow(decision).unwrap(),
            1 => handle.refuse(decision).unwrap(),
            _ => {
                self.changed += 1;
                let text = format!("changed {}", self.changed);
                handle.allow_changed(decision, Kind::Text, text.as_bytes()).unwrap();
            }
        }
    }

    fn settle(&mut self) {
        for _ in 0..100 {
            self.world.tick_once();
            self.decide();
        }
        while !self.undecided.is_empty() {
            self.decide();
        }
        (0..100).for_each(|_| self.world.tick_once());
    }

    fn received(&mut self, id: ClientId) -> Vec<Value> {
        let bytes = read_all(&mut self.world, id);
        objects(&bytes)
    }

    fn check(mut self) {
        self.settle();
        let sender = self.sender;
        let received = self.received(sender);
        let id = |object: &Value| object["id"].as_u64();
        let answers: Vec<_> = received.iter().filter_map(id).collect();
        assert!(answers.iter().copied().eq(1..=self.said), "answers in order: {answers:?}");

        let mut stored = HashMap::new();
        for room in ["a", "b"] {
            let asked = Asked { history: Some(usize::MAX), ..asked(room) };
            let reader = connect(&mut self.world, 0, &asked);
            self.world.tick_once();
            let objects = self.received(reader);
            let messages = objects.iter().filter(|object| object["type"] == "message");
            stored.extend(messages.map(|object| (object["position"].to_string(), object.clone())));
        }
        let witness = self.witness;
        let witnessed = self.received(witness);
        let witnessed: BTreeMap<_, _> = witnessed
            .iter()
            .filter(|object| object["type"] == "message")
            .map(|object| (object["position"].to_string(), object.clone()))
            .collect();
        let client = &received[0]["client"];
        let mut of_client = stored.values().filter(|object| object["client"] == *client).count();
        for answer in received.iter().filter(|object| object["type"] == "sent") {
            if answer["position"].is_null() {
                // It was in no room, and told the host alone.
                assert!(answer["room"].is_null(), "{answer}");
                continue;
            }
            let position = answer["position"].to_string();
            let message = &stored[&position];
            assert_eq!(witnessed.get(&position), Some(message), "everyone gets it: {answer}");
            assert_eq!((&message["room"], &message["client"]), (&answer["room"], client));
            let is_changed = answer["changed"] == true;
            let text = message["text"].as_str().unwrap();
            let is_own = text.parse().ok() == answer["id"].as_u64();
            assert_eq!(
                (is_own, text.starts_with("changed")),
                (!is_changed, is_changed),
                "{answer}"
            );
            of_client -= 1;
        }
        assert_eq!(of_client, 0, "nothing is stored that was not acknowledged");
    }
}

#[test]
fn answers_come_in_order_and_what_is_acknowledged_is_stored_and_delivered_and_nothing_else() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let first = number("MODEL_SEED").unwrap_or(clock.map_or(1, |time| time.as_nanos() as u64));
    let runs = if number("MODEL_SEED").is_some() { 1 } else { number("MODEL_RUNS").unwrap_or(200) };
    for seed in (0..runs).map(|run| first.wrapping_add(run)) {
        let outcome = std::panic::catch_unwind(|| {
            let mut run = Run::new(seed);
            (0..200).for_each(|_| run.step());
            run.check();
        });
        if let Err(panic) = outcome {
            eprintln!("the model failed: repeat it with MODEL_SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

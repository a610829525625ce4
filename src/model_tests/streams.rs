//! Clients of event streams that read slowly, are ended, are cut at any byte and come back with their last id: each
//! message comes once and in order, or they are told that it is missing.
//!
//! A failure prints its seed; `MODEL_SEED=… cargo test --lib streams` repeats it.

use std::{
    collections::BTreeMap,
    env,
    hash::{BuildHasher, RandomState},
    panic::{catch_unwind, resume_unwind},
    rc::Rc,
    time::Duration,
};

use serde_json::Value;

use super::{
    random::Random,
    setting::{ENDLESS, KIB, pass},
    world::World,
};
use crate::{
    fanout::form::Form,
    frame::Kind,
    options::{Options, SlowConsumer},
    past::Since,
    position::Position,
    protocol::Asked,
    rooms::client::Client,
    transport::scripted::Scripted,
};

const AGE: Duration = Duration::from_millis(50);

/// How many messages the room keeps.
const KEPT: u64 = 40;

/// An event as the client sees it.
#[derive(Debug, Default)]
struct Event {
    id: Option<Position>,
    name: Option<String>,
    data: Option<String>,
}

/// A client that comes back by itself.
struct Listener {
    form: Form,
    /// With what it comes back.
    last: Option<Position>,
    /// With what it came, and where the room stood.
    came: (Option<Position>, u64),
    visit: Option<(Rc<Client>, Rc<Scripted>)>,
    /// What it has received of an event that is not whole.
    bytes: Vec<u8>,
    /// Whether it was told that the stream ends.
    is_over: bool,
}

struct Run {
    world: World,
    random: Random,
    listeners: Vec<Listener>,
    /// Every message of the room, as it is received.
    texts: Vec<String>,
    /// How often what is tested has happened.
    happened: BTreeMap<&'static str, u64>,
}

fn parse(block: &str) -> Event {
    let mut event = Event::default();
    for line in block.split('\n') {
        let (field, value) = line.split_once(": ").expect("a field");
        match field {
            "id" => event.id = Some(value.parse().expect("a position")),
            "event" => event.name = Some(value.to_owned()),
            "data" => {
                let before = event.data.take().map_or(String::new(), |data| data + "\n");
                event.data = Some(before + value);
            }
            "retry" => assert!(value.parse::<u64>().is_ok(), "{block}"),
            _ => panic!("{block}"),
        }
    }
    event
}

impl Listener {
    /// Receives an event. Returns what has happened.
    fn receive(&mut self, event: &Event, texts: &[String]) -> &'static str {
        assert!(!self.is_over, "something follows the end: {event:?}");
        let object: Value = match (self.form, &event.data) {
            (Form::EventsJson, Some(data)) => serde_json::from_str(data).expect("an object"),
            _ => Value::Null,
        };
        let kind = object["type"].as_str().or(event.name.as_deref());
        let text = object["text"].as_str().or(event.data.as_deref());
        match (kind, event.id) {
            // The opening of the events form. If there is a gap, the id is there.
            (None, Some(id)) if event.data.is_none() => self.enter(id, None),
            (None, None) if event.data.is_none() => "opened",
            (Some("entered"), Some(id)) => self.enter(id, object["reason"].as_str()),
            (Some("gap"), Some(id)) => {
                let gap: Value = serde_json::from_str(text.unwrap()).expect("an object");
                let requested = self.last.map(|last| last.to_string());
                assert_eq!(gap["requested"].as_str(), requested.as_deref());
                self.enter(id, gap["reason"].as_str())
            }
            (None | Some("message"), Some(id)) => {
                let last = self.last.expect("it was told where it stands");
                assert_eq!((id.epoch, id.offset), (last.epoch, last.offset + 1), "{event:?}");
                assert_eq!(text, Some(&*texts[last.offset as usize]));
                self.last = Some(id);
                "message"
            }
            (None | Some("broadcast"), None) => {
                assert!(text.unwrap().starts_with("to all"), "{event:?}");
                "broadcast"
            }
            (Some("closing"), None) => {
                self.is_over = true;
                "ended"
            }
            (Some("welcome" | "live"), None) => "opened",
            _ => panic!("{event:?}"),
        }
    }

    fn enter(&mut self, id: Position, reason: Option<&str>) -> &'static str {
        let (since, top) = self.came;
        self.last = Some(id);
        match since {
            Some(since) if top - since.offset <= KEPT => {
                assert_eq!((id, reason), (since, None), "the room stands at {top}");
                "recovered"
            }
            Some(since) => {
                assert_eq!((id.epoch, reason), (since.epoch, Some("trimmed")));
                assert!(id.offset > since.offset && id.offset >= top - KEPT, "{since} {id} {top}");
                "trimmed"
            }
            None => {
                assert_eq!(reason, None);
                "entered"
            }
        }
    }
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let options = Options {
            workers: 1 + random.below(2),
            max_message_size: 2 * KIB,
            history_messages: KEPT as usize,
            outbox_size: random.pick(&[8, 20, 60]) * KIB,
            outbox_age: AGE,
            slow_consumer: random.pick(&[SlowConsumer::Disconnect, SlowConsumer::DropOldest]),
            publish_timeout: Duration::ZERO,
            event_queue: 1 << 20,
            ..Options::default()
        };
        let world = World::with(options, Random::new(seed));
        let listener = |form| Listener {
            form,
            last: None,
            came: (None, 0),
            visit: None,
            bytes: Vec::new(),
            is_over: false,
        };
        let listeners =
            [Form::Events, Form::Events, Form::EventsJson].into_iter().map(listener).collect();
        let (texts, happened) = Default::default();
        Self { world, random, listeners, texts, happened }
    }

    fn publish(&mut self) {
        let len = self.random.pick(&[0, 0, 200, 900, 1900]);
        let end = self.random.pick(&["", "\n", "\n\n", "\nid: 1-1\n\n"]);
        let text = format!("{} {}{end}", self.texts.len(), "x".repeat(len));
        let position = self.world.handle.publish("a", Kind::Text, text.as_bytes()).unwrap();
        self.texts.push(text);
        assert_eq!(position.offset, self.texts.len() as u64);
    }

    fn come(&mut self, index: usize, room: usize) {
        let (script, shard) = (Scripted::new(room), self.random.below(self.world.shards.len()));
        script.most.set(self.random.pick(&[0, 0, 100, 1000]));
        let listener = &mut self.listeners[index];
        let mut asked = Asked::new("a".into(), listener.form);
        asked.history = self.random.pick(&[None, Some(3), Some(KEPT as usize)]);
        asked.since = listener.last.map(Since::Position);
        listener.came = (listener.last, self.texts.len() as u64);
        listener.is_over = false;
        let id = self.world.connect_asking(shard, Rc::clone(&script), &asked);
        let client = Rc::clone(&self.world.peer(id).client);
        client.out().open();
        listener.visit = Some((client, script));
    }

    /// Has a client read as much, and act on the first part of it unless that is `None`.
    fn read(&mut self, index: usize, bytes: usize, cut: Option<usize>) {
        let listener = &mut self.listeners[index];
        let Some((client, script)) = listener.visit.clone() else { return };
        let id = client.id();
        script.add_room(bytes);
        self.world.shards[id.shard()].0.note_writable(id);
        self.world.tick_once();
        listener.bytes.extend(script.received());
        if let Some(cut) = cut {
            listener.bytes.truncate(listener.bytes.len().saturating_sub(cut));
        }
        while let Some(end) = listener.bytes.windows(2).position(|pair| pair == b"\n\n") {
            let block: Vec<_> = listener.bytes.drain(..end + 2).collect();
            let block = std::str::from_utf8(&block[..end]).expect("UTF-8");
            let what = listener.receive(&parse(block), &self.texts);
            *self.happened.entry(what).or_default() += 1;
        }
        let out = client.out();
        if listener.is_over && !out.has_outbox() {
            assert!(!out.is_open() && listener.bytes.is_empty(), "the end is the end");
            listener.visit = None;
            self.world.notice_ends();
        }
    }

    /// Cuts a client: what is on its way to it is lost.
    fn cut(&mut self, index: usize) {
        let (bytes, lost) = (self.random.below(10_000), self.random.below(200));
        self.read(index, bytes, Some(lost));
        let listener = &mut self.listeners[index];
        let Some((client, _)) = listener.visit.take() else { return };
        listener.bytes.clear();
        client.out().abort(1006, "cut");
        self.world.notice_ends();
        *self.happened.entry("cut").or_default() += 1;
    }

    fn step(&mut self) {
        let index = self.random.below(self.listeners.len());
        match self.random.below(24) {
            0 => self.cut(index),
            1..=3 if self.listeners[index].visit.is_none() => {
                let room = self.random.below(2000);
                self.come(index, room);
            }
            4..14 => self.publish(),
            14 => self.world.handle.broadcast(Kind::Text, b"to all\nof you").unwrap(),
            15 => pass(&self.world, AGE * self.random.below(10) as u32 / 8),
            _ => {
                let most = self.random.pick(&[100, 1000, 10_000, 60_000]);
                let bytes = self.random.below(most);
                self.read(index, bytes, None);
            }
        }
        if !self.random.once_in(5) {
            self.world.tick_once();
        }
    }

    /// Each client comes for the last time, and reads all.
    fn finish(mut self) -> BTreeMap<&'static str, u64> {
        for index in 0..self.listeners.len() {
            self.cut(index);
            self.come(index, ENDLESS);
            self.read(index, ENDLESS, None);
            while let Some((client, _)) = &self.listeners[index].visit
                && client.out().has_outbox()
            {
                self.read(index, 0, None);
            }
            let listener = &self.listeners[index];
            assert!(listener.visit.is_some(), "who reads is not ended");
            let last = listener.last.expect("it was told where it stands");
            assert_eq!(last.offset, self.texts.len() as u64, "it has all, or was told");
        }
        self.happened
    }
}

#[test]
fn event_streams_that_are_slow_and_cut_bring_each_message_once_and_in_order_or_say_what_is_missing()
{
    let number = |name: &str| env::var(name).ok().map(|it| it.parse::<u64>().expect("a number"));
    let given = number("MODEL_SEED");
    let first = given.unwrap_or_else(|| RandomState::new().hash_one(0) >> 1);
    let runs = if given.is_some() { 1 } else { number("MODEL_RUNS").unwrap_or(400) / 4 };
    let mut all = BTreeMap::<&str, u64>::new();
    for seed in first..first + runs {
        let outcome = catch_unwind(|| {
            let mut run = Run::new(seed);
            (0..600).for_each(|_| run.step());
            run.finish()
        });
        match outcome {
            Ok(happened) => {
                happened
                    .into_iter()
                    .for_each(|(what, count)| *all.entry(what).or_default() += count);
            }
            Err(panic) => {
                eprintln!("the model failed: repeat it with MODEL_SEED={seed}");
                resume_unwind(panic);
            }
        }
    }
    for what in ["message", "broadcast", "recovered", "trimmed", "entered", "ended", "cut"] {
        let count = all.get(what).copied().unwrap_or_default();
        assert!(count >= runs || given.is_some(), "{what} happened too rarely: {all:?}");
    }
}

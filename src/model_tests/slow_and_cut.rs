//! Clients of the JSON form that read slowly, lose messages, are cut at any byte and come back with the last positions
//! that they have stored: each message comes once and in order, or they were told that it is missing.

use std::{
    collections::BTreeMap,
    env,
    hash::{BuildHasher, RandomState},
    panic::{RefUnwindSafe, catch_unwind, resume_unwind},
    rc::Rc,
    sync::Mutex,
    time::Duration,
};

use serde_json::Value;

use super::{
    random::Random,
    returning::Returning,
    setting::{ENDLESS, KIB, pass},
    world::World,
};
use crate::{
    event::ClientId,
    fanout::form::Form,
    frame::{Header, Kind, payload},
    options::{Options, SlowConsumer},
    past::{Past, Since},
    protocol::{Asked, Protocol},
    transport::scripted::Scripted,
};

const ROOMS: [&str; 3] = ["a", "b", "c"];
const AGE: Duration = Duration::from_millis(50);

/// How many messages a room keeps.
const KEPT: usize = 40;

/// A connection as the client sees it.
struct Visit {
    id: ClientId,
    echo: bool,
    rooms: Vec<&'static str>,
    /// What it has received of a frame that is not whole.
    bytes: Vec<u8>,
    objects: Vec<Value>,
}

/// A client that is slow and is cut.
#[derive(Default)]
struct Slow {
    returning: Returning,
    visit: Option<Visit>,
    /// What the test noted since it came the last time, before the client received anything.
    noted: Returning,
}

impl Slow {
    fn note(&mut self, note: impl Fn(&mut Returning)) {
        [&mut self.returning, &mut self.noted].into_iter().for_each(note);
    }
}

struct Run {
    world: World,
    random: Random,
    slow: Vec<Slow>,
    /// Every message that was published.
    texts: BTreeMap<(String, u64), String>,
    said: u64,
    /// How often what is tested has happened.
    happened: BTreeMap<String, u64>,
}

/// Takes the whole objects.
fn take_objects(bytes: &mut Vec<u8>) -> Vec<Value> {
    let (mut objects, mut start) = (Vec::new(), 0);
    while let Some(header) = Header::parse(&bytes[start..])
        && bytes.len() - start >= header.len + header.payload as usize
    {
        let frame = &bytes[start..start + header.len + header.payload as usize];
        objects.push(serde_json::from_slice(payload(frame)).expect("an object"));
        start += frame.len();
    }
    bytes.drain(..start);
    objects
}

impl Run {
    /// Whose outbox has one of these sizes, in KiB.
    fn new(seed: u64, sizes: &[usize]) -> Self {
        let mut random = Random::new(seed);
        let options = Options {
            workers: 1 + random.below(2),
            max_message_size: 2 * KIB,
            history_messages: KEPT,
            outbox_size: random.pick(sizes) * KIB,
            outbox_age: AGE,
            slow_consumer: SlowConsumer::DropOldest,
            publish_timeout: Duration::ZERO,
            event_queue: 1 << 20,
            ..Options::default()
        };
        let world = World::with(options, Random::new(seed));
        let slow = (0..3).map(|_| Slow::default()).collect();
        let (texts, happened) = Default::default();
        Self { world, random, slow, texts, said: 0, happened }
    }

    fn top(&self, room: &str) -> u64 {
        self.world.handle.position(room).unwrap().offset
    }

    fn text(&mut self) -> String {
        self.said += 1;
        let len = self.random.pick(&[0, 0, 200, 900, 1900]);
        format!("{} {}", self.said, "x".repeat(len))
    }

    fn note(&mut self, room: &str, offset: u64, text: String) {
        assert_eq!(self.texts.insert((room.to_owned(), offset), text), None, "{room} {offset}");
    }

    fn publish(&mut self) {
        let room = self.random.pick(&ROOMS);
        let text = self.text();
        let position = self.world.handle.publish(room, Kind::Text, text.as_bytes()).unwrap();
        self.note(room, position.offset, text);
    }

    /// One of the clients comes: with what it has stored, to the room "a".
    fn come(&mut self, index: usize, room: usize) {
        let mut asked = Asked::new("a".into(), Form::Json);
        asked.history = self.random.pick(&[None, Some(3), Some(KEPT)]);
        let echo = self.random.once_in(2);
        asked.echo = Some(echo);
        let slow = &mut self.slow[index];
        for (room, position) in &slow.returning.stored {
            asked.since_in.insert(room, Since::Position(*position));
        }
        slow.returning.come();
        slow.noted = slow.returning.clone();
        let script = Scripted::new(room);
        script.most.set(self.random.pick(&[0, 0, 100, 1000]));
        let shard = self.random.below(self.world.shards.len());
        let top = self.world.handle.position("a").unwrap().offset;
        slow.note(|noted| noted.enters("a", top, KEPT as u64));
        let id = self.world.connect_asking(shard, script, &asked);
        self.world.peer(id).client.out().open();
        slow.visit =
            Some(Visit { id, echo, rooms: vec!["a"], bytes: Vec::new(), objects: Vec::new() });
    }

    fn join(&mut self, index: usize, room: &'static str) {
        let top = self.top(room);
        let past = self.random.pick(&[Past::Last(5), Past::All, Past::All]);
        let slow = &mut self.slow[index];
        let Some(visit) = slow.visit.as_mut().filter(|visit| !visit.rooms.contains(&room)) else {
            return;
        };
        self.world.handle.join_with_past(visit.id, room, past, None).unwrap();
        visit.rooms.push(room);
        slow.note(|noted| noted.enters(room, top, past.most().min(KEPT) as u64));
    }

    fn leave(&mut self, index: usize) {
        let room = self.random.pick(&ROOMS[1..]);
        let top = self.top(room);
        let slow = &mut self.slow[index];
        let Some(visit) = slow.visit.as_mut().filter(|visit| visit.rooms.contains(&room)) else {
            return;
        };
        self.world.handle.leave(visit.id, room).unwrap();
        visit.rooms.retain(|other| *other != room);
        slow.note(|noted| noted.told.left(room, top));
    }

    fn say(&mut self, index: usize) {
        let text = self.text();
        let Some(visit) = &self.slow[index].visit else { return };
        let (id, echo) = (visit.id, visit.echo);
        let room = self.random.pick(&visit.rooms);
        let (shard, client) =
            (Rc::clone(&self.world.shards[id.shard()].0), Rc::clone(&self.world.peer(id).client));
        if !client.out().is_open()
            || !shard.may_read(&client, false)
            || shard.rooms.is_queue_full(client.queue(&shard.rooms))
        {
            return;
        }
        let before = self.top(room);
        let object = format!(r#"{{"id":{},"room":"{room}","text":"{text}"}}"#, self.said);
        Protocol::Json.message(&shard, &client, Kind::Text, object.as_bytes()).unwrap();
        let offset = self.top(room);
        assert_eq!(offset, before + 1, "it is stored");
        self.note(room, offset, text);
        if !echo {
            self.slow[index].note(|noted| noted.told.hide(room, offset));
        }
    }

    /// Has a client read as much. Returns whether it is connected.
    fn read(&mut self, index: usize, bytes: usize) -> bool {
        let Some(visit) = &mut self.slow[index].visit else { return false };
        let script = Rc::clone(&self.world.peer(visit.id).script);
        script.add_room(bytes);
        self.world.shards[visit.id.shard()].0.note_writable(visit.id);
        self.world.tick_once();
        visit.bytes.extend(script.received());
        true
    }

    /// Has a client act on what it has read.
    fn receive(&mut self, index: usize) {
        let Slow { returning, visit: Some(visit), .. } = &mut self.slow[index] else { return };
        for object in take_objects(&mut visit.bytes) {
            returning.receive(&object, &self.texts);
            visit.objects.push(object);
        }
    }

    /// Cuts a client: what is on its way to it is lost.
    fn cut(&mut self, index: usize) {
        let bytes = self.random.below(10_000);
        if !self.read(index, bytes) {
            return;
        }
        let visit = self.slow[index].visit.as_mut().expect("it is there");
        let mut arrived = visit.bytes.len() - self.random.below(200).min(visit.bytes.len());
        // The objects that are tested are rare among messages.
        let word = self.random.pick(&["dropped", "entered", "entered", "removed", "sent"]);
        let word = format!("{{\"type\":\"{word}\"");
        let place = visit.bytes.windows(word.len()).rposition(|it| it == word.as_bytes());
        if let Some(place) = place.filter(|_| !self.random.once_in(4)) {
            arrived = visit.bytes.len().min(place + word.len() + self.random.below(120));
        }
        visit.bytes.truncate(arrived);
        self.receive(index);
        let visit = self.end(index);
        let mut count = |kind: String| *self.happened.entry(kind).or_default() += 1;
        if let Some(last) = visit.objects.last() {
            count(format!("cut behind {}", last["type"].as_str().unwrap()));
        }
        let begun = String::from_utf8_lossy(&visit.bytes);
        if let Some((kind, _)) =
            begun.split_once(r#"{"type":""#).and_then(|(_, behind)| behind.split_once('"'))
        {
            count(format!("cut in {kind}"));
        }
    }

    fn end(&mut self, index: usize) -> Visit {
        let visit = self.slow[index].visit.take().expect("it is there");
        self.world.peer(visit.id).client.out().abort(1006, "cut");
        self.world.notice_ends();
        visit
    }

    /// A client reads to the end: it stands where the rooms stand, and has all or was told what it lacks.
    fn catch_up(&mut self, index: usize) {
        ROOMS.iter().for_each(|room| self.join(index, room));
        self.world.tick_once();
        let id = self.slow[index].visit.as_ref().expect("it is there").id;
        self.read(index, ENDLESS);
        while self.world.peer(id).client.out().has_outbox() {
            self.read(index, 0);
        }
        self.receive(index);
        assert!(self.world.peer(id).client.out().is_open());
        let tops = ROOMS.map(|room| (room, self.top(room)));
        self.slow[index].returning.check(&tops);
    }

    fn step(&mut self) {
        let index = self.random.below(self.slow.len());
        match self.random.below(24) {
            0 if self.random.once_in(2) => self.cut(index),
            1 | 2 if self.slow[index].visit.is_none() => {
                let room = self.random.below(2000);
                self.come(index, room);
            }
            _ => self.step_of(index),
        }
    }

    /// Anything but that a client comes or is cut.
    fn step_of(&mut self, index: usize) {
        match self.random.below(20) {
            0..10 => self.publish(),
            10 => self.world.handle.broadcast(Kind::Text, &[b'x'; 500]).unwrap(),
            11 => {
                let room = self.random.pick(&ROOMS[1..]);
                self.join(index, room);
            }
            12 if self.random.once_in(3) => self.leave(index),
            13 | 14 => self.say(index),
            15 => pass(&self.world, AGE * self.random.below(10) as u32 / 8),
            16.. => {
                let most = self.random.pick(&[100, 1000, 10_000, 60_000]);
                let bytes = self.random.below(most);
                self.read(index, bytes);
                self.receive(index);
            }
            _ => {}
        }
        if !self.random.once_in(5) {
            self.world.tick_once();
        }
    }

    /// Each client comes for the last time and reads all. Returns how often what is tested has happened.
    fn finish(mut self) -> BTreeMap<String, u64> {
        for index in 0..self.slow.len() {
            if self.slow[index].visit.is_none() || self.random.once_in(2) {
                self.cut(index);
                self.come(index, 0);
            }
            self.catch_up(index);
            for (kind, count) in &self.slow[index].returning.counts {
                *self.happened.entry((*kind).to_owned()).or_default() += count;
            }
        }
        self.happened
    }
}

/// Plays a test with seeds: the one that `MODEL_SEED` gives, or others each time.
fn each(count: u64, test: impl Fn(u64) + RefUnwindSafe) {
    let given = env::var("MODEL_SEED").ok().map(|seed| seed.parse().expect("a number"));
    let first = given.unwrap_or_else(|| RandomState::new().hash_one(0) >> 1);
    for seed in first..first + given.map_or(count, |_| 1) {
        if let Err(panic) = catch_unwind(|| test(seed)) {
            eprintln!("it failed: repeat it with MODEL_SEED={seed}");
            resume_unwind(panic);
        }
    }
}

/// Insists that what is tested has happened, unless one seed is played.
fn assert_often(happened: &BTreeMap<String, u64>, kinds: &[&str], least: u64) {
    for kind in kinds {
        let count = happened.get(*kind).copied().unwrap_or(0);
        assert!(count >= least || env::var_os("MODEL_SEED").is_some(), "{kind}: {happened:?}");
    }
}

#[test]
fn slow_clients_that_are_cut_get_each_message_once_and_in_order_or_are_told_that_it_is_missing() {
    let all = Mutex::new(BTreeMap::<String, u64>::new());
    // A run takes as long as several of the other models'.
    let more = env::var("MODEL_RUNS").ok().map(|runs| runs.parse::<u64>().expect("a number") / 5);
    let runs = more.unwrap_or(100);
    each(runs, |seed| {
        let mut run = Run::new(seed, &[8, 8, 20, 60]);
        (0..600).for_each(|_| run.step());
        for (kind, count) in run.finish() {
            *all.lock().unwrap().entry(kind).or_default() += count;
        }
    });
    let all = all.into_inner().unwrap();
    let cuts = ["dropped", "entered", "removed", "sent"].map(|kind| format!("cut behind {kind}"));
    assert_often(&all, &cuts.each_ref().map(|kind| &**kind), runs / 50);
    assert_often(&all, &["cut in dropped", "cut in entered"], runs / 50);
    let outcomes = ["recovered", "trimmed", "dropped", "received though told to be dropped"];
    assert_often(&all, &outcomes, runs);
    println!("{all:?}");
}

#[test]
fn a_slow_client_that_is_cut_behind_any_object_comes_back_to_exactly_what_it_lacks() {
    let behind = Mutex::new(BTreeMap::<String, u64>::new());
    each(4, |seed| {
        let mut run = Run::new(seed, &[8]);
        (0..3 * KEPT).for_each(|_| run.publish());
        run.slow.truncate(1);
        run.come(0, 500);
        (0..600).for_each(|_| run.step_of(0));
        let Slow { noted, visit, .. } = &mut run.slow[0];
        let (noted, visit) = (noted.clone(), visit.take().expect("it was not cut"));
        // Clients act on whole objects: at whatever byte one is cut, it is behind the last of them.
        for count in 0..=visit.objects.len() {
            run.slow[0].returning = noted.clone();
            for object in &visit.objects[..count] {
                run.slow[0].returning.receive(object, &run.texts);
            }
            let last = visit.objects[..count].last().map_or(&Value::Null, |it| &it["type"]);
            *behind.lock().unwrap().entry(last.to_string()).or_default() += 1;
            run.come(0, 0);
            run.catch_up(0);
            run.end(0);
        }
    });
    assert_often(&behind.into_inner().unwrap(), &["\"dropped\"", "\"entered\"", "\"sent\""], 1);
}

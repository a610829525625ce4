//! The calls by identity against a model: whom they reach, in what order with what else the host does, and that a call
//! that fails has done nothing on any shard.

use std::{collections::BTreeMap, rc::Rc, sync::Arc, time::Instant};

use super::{
    random::Random,
    setting::{ENDLESS, events, frames, options},
    world::World,
};
use crate::{
    error::Error,
    event::{ClientId, Event},
    fanout::form::Form,
    frame::Kind,
    options::Options,
    transport::scripted::Scripted,
};

const IDENTITIES: [&str; 4] = ["ana", "bob", "cyd", ""];
const ROOMS: [&str; 4] = ["a", "b", "c", "d"];
const WORKERS: usize = 3;
const MAX_ROOMS: usize = 2;

/// A connection as the host has to believe that it is.
#[derive(Debug)]
struct Known {
    identity: &'static str,
    rooms: Vec<&'static str>,
    expected: Vec<String>,
    is_open: bool,
}

struct Crowd {
    world: World,
    random: Random,
    known: BTreeMap<ClientId, Known>,
    last_text: usize,
}

impl Crowd {
    fn new(seed: u64) -> Self {
        let options = Options {
            workers: WORKERS,
            max_rooms_per_client: MAX_ROOMS,
            event_queue: 1 << 16,
            ..options()
        };
        let world = World::with(options, Random::new(seed));
        Self { world, random: Random::new(!seed), known: BTreeMap::new(), last_text: 0 }
    }

    fn connect(&mut self) {
        let (shard, room) = (self.random.below(WORKERS), self.random.pick(&ROOMS));
        let script = Scripted::new(ENDLESS);
        let id = self.world.connect_with(shard, script, Form::Plain, true, room);
        let known = Known { identity: "", rooms: vec![room], expected: vec![], is_open: true };
        self.known.insert(id, known);
    }

    fn someone(&mut self) -> Option<ClientId> {
        let open: Vec<_> = self.known.iter().filter(|(_, it)| it.is_open).map(|it| *it.0).collect();
        (!open.is_empty()).then(|| self.random.pick(&open))
    }

    fn of(&mut self, identity: &str) -> Vec<&mut Known> {
        let wanted =
            |it: &&mut Known| it.is_open && !identity.is_empty() && it.identity == identity;
        self.known.values_mut().filter(wanted).collect()
    }

    fn next_text(&mut self) -> String {
        self.last_text += 1;
        self.last_text.to_string()
    }

    fn step(&mut self) {
        let handle = self.world.handle.clone();
        let (identity, room) = (self.random.pick(&IDENTITIES), self.random.pick(&ROOMS));
        match self.random.below(20) {
            0..=2 if self.known.len() < 60 => self.connect(),
            3..=6 => {
                let Some(id) = self.someone() else { return };
                handle.set_identity(id, identity).unwrap();
                self.known.get_mut(&id).unwrap().identity = identity;
            }
            7..=10 => {
                let text = self.next_text();
                let reached = handle.send_to_identity(identity, Kind::Text, text.as_bytes());
                let expected = self.of(identity);
                assert_eq!(reached.unwrap(), expected.len());
                expected.into_iter().for_each(|it| it.expected.push(text.clone()));
            }
            11 | 12 => {
                let joined = handle.join_identity(identity, room);
                let mut all = self.of(identity);
                let is_full =
                    |it: &&mut Known| !it.rooms.contains(&room) && it.rooms.len() == MAX_ROOMS;
                if all.iter().any(is_full) {
                    assert!(matches!(joined, Err(Error::TooManyRooms { limit: MAX_ROOMS })));
                    return;
                }
                assert_eq!(joined.unwrap(), all.len());
                for it in &mut all {
                    if !it.rooms.contains(&room) {
                        it.rooms.push(room);
                    }
                }
            }
            13 | 14 => {
                let left = handle.leave_identity(identity, room).unwrap();
                let mut all = self.of(identity);
                all.retain(|it| it.rooms.contains(&room));
                assert_eq!(left, all.len());
                all.iter_mut().for_each(|it| it.rooms.retain(|other| *other != room));
            }
            15 if self.random.once_in(3) => {
                let reached = handle.disconnect_identity(identity, 4000, "enough").unwrap();
                let all = self.of(identity);
                assert_eq!(reached, all.len());
                all.into_iter().for_each(|it| it.is_open = false);
            }
            16 => {
                let text = self.next_text();
                handle.publish(room, Kind::Text, text.as_bytes()).unwrap();
                let inside =
                    self.known.values_mut().filter(|it| it.is_open && it.rooms.contains(&room));
                inside.for_each(|it| it.expected.push(text.clone()));
            }
            17 if self.random.once_in(3) => {
                let Some(id) = self.someone() else { return };
                handle.disconnect(id, 4000, "enough").unwrap();
                self.known.get_mut(&id).unwrap().is_open = false;
            }
            18 => {
                let mut found = handle.identity_clients(identity).unwrap();
                found.sort_unstable();
                let has = |it: &Known| it.is_open && it.identity == identity;
                let expected: Vec<_> =
                    self.known.iter().filter(|(_, it)| has(it)).map(|it| *it.0).collect();
                assert_eq!(found, if identity.is_empty() { vec![] } else { expected });
            }
            _ => {
                let shard = self.random.below(WORKERS);
                self.world.tick_shard(shard);
            }
        }
    }

    fn finish(mut self) {
        (0..50).for_each(|_| self.world.tick_once());
        for (id, known) in &self.known {
            let received = self.world.peer(*id).script.received();
            let is_text = |(head, _): &(u8, Vec<u8>)| *head == 0x81;
            let texts = frames(&received).into_iter().filter(is_text);
            let texts: Vec<_> =
                texts.map(|(_, text)| String::from_utf8(text).expect("UTF-8")).collect();
            assert_eq!(texts, known.expected, "{id}");
        }
    }
}

#[test]
fn the_calls_by_identity_reach_exactly_those_that_have_it() {
    for seed in 0..100 {
        let mut crowd = Crowd::new(seed);
        (0..600).for_each(|_| crowd.step());
        crowd.finish();
    }
}

/// A world with a client in the room `a` of each of two shards, all called `ana`, and one called `bob` on the first.
fn family() -> (World, Vec<ClientId>, ClientId) {
    let options = Options { workers: 2, event_queue: 100, ..options() };
    let mut world = World::with(options, Random::new(1));
    let mut connect = |shard, identity| {
        let id = world.connect_with(shard, Scripted::new(ENDLESS), Form::Plain, true, "a");
        world.handle.set_identity(id, identity).unwrap();
        id
    };
    let clients = [0, 1].map(|shard| connect(shard, "ana")).to_vec();
    let other = connect(0, "bob");
    world.tick_once();
    (world, clients, other)
}

/// Fills the inbox of a client's shard.
fn fill(world: &World, client: ClientId) {
    while !world.shards[client.shard()].0.handle.inbox.is_full() {
        world.handle.send(client, Kind::Text, b"").unwrap();
    }
}

#[test]
fn one_full_inbox_keeps_a_call_from_all_of_an_identity() {
    let (mut world, clients, other) = family();
    fill(&world, clients[1]);
    let handle = world.handle.clone();
    let calls = || {
        [
            handle.send_to_identity("ana", Kind::Text, b"to all"),
            handle.join_identity("ana", "b"),
            handle.leave_identity("ana", "a"),
        ]
    };
    assert!(calls().iter().all(|outcome| matches!(outcome, Err(Error::QueueFull))));
    assert_eq!(handle.send_to_identity("bob", Kind::Text, b"to bob").unwrap(), 1, "on the other");
    world.tick_shard(0);
    for id in [clients[0], other] {
        let expected: &[u8] = if id == other { b"\x81\x06to bob" } else { b"" };
        assert_eq!(world.peer(id).script.received(), expected);
        assert_eq!(world.peer(id).client.rooms(), 1);
    }
    assert_eq!((handle.stats().rooms, events(&world).len()), (1, 0));
    (0..20).for_each(|_| world.tick_once());
    assert!(calls().iter().all(|outcome| matches!(outcome, Ok(2))));
    // A disconnect waits for nothing.
    fill(&world, clients[1]);
    assert_eq!(handle.disconnect_identity("ana", 4000, "enough").unwrap(), 2);
    // It is still there, but leaves.
    handle.set_identity(clients[0], "ana").unwrap();
    assert_eq!(handle.identity_clients("ana").unwrap(), []);
}

#[test]
fn while_too_many_events_wait_nobody_of_an_identity_enters_or_leaves() {
    let (mut world, clients, _) = family();
    let queue = &world.handle.shared.context.events;
    let (client, room) = (clients[0], Arc::<str>::from("a"));
    while queue.wait_for_space(Instant::now()).is_ok() {
        queue.push(Event::Joined { client, identity: None, room: Arc::clone(&room) });
    }
    let handle = world.handle.clone();
    for outcome in [handle.join_identity("ana", "b"), handle.leave_identity("ana", "a")] {
        assert!(matches!(outcome, Err(Error::QueueFull)), "{outcome:?}");
    }
    assert_eq!(handle.send_to_identity("ana", Kind::Text, b"").unwrap(), 2);
    (0..20).for_each(|_| world.tick_once());
    assert!(clients.iter().all(|client| world.peer(*client).client.rooms() == 1));
}

#[test]
fn if_one_connection_may_enter_no_more_rooms_none_enters() {
    let mut crowd = Crowd::new(1);
    let connect = |world: &mut World, shard, form| {
        let id = world.connect_with(shard, Scripted::new(ENDLESS), form, true, "a");
        world.handle.set_identity(id, "ana").unwrap();
        id
    };
    let world = &mut crowd.world;
    let clients = [0, 1, 2].map(|shard| connect(world, shard, Form::Plain));
    let handle = world.handle.clone();
    handle.join(clients[2], "b").unwrap();
    let outcome = handle.join_identity("ana", "c");
    assert!(matches!(outcome, Err(Error::TooManyRooms { limit: 2 })), "{outcome:?}");
    (0..5).for_each(|_| world.tick_once());
    assert_eq!(clients.map(|client| world.peer(client).client.rooms()), [1, 1, 2]);
    assert_eq!(handle.stats().rooms, 2, "and there is no third room");
    // One that is in the room needs no place. A client of events stays in its room.
    let events = connect(world, 1, Form::Events);
    assert_eq!(handle.join_identity("ana", "b").unwrap(), 3);
    (0..5).for_each(|_| world.tick_once());
    assert_eq!(clients.map(|client| world.peer(client).client.rooms()), [2, 2, 2]);
    assert_eq!(world.peer(events).client.rooms(), 1);
    assert_eq!(handle.join_identity("ana", "a").unwrap(), 4);
    handle.leave(events, "a").unwrap();
    assert_eq!(handle.join_identity("ana", "b").unwrap(), 4, "it is in none");
}

#[test]
fn an_identity_that_nobody_has_makes_no_room() {
    let (world, ..) = family();
    assert_eq!(world.handle.join_identity("cyd", "new").unwrap(), 0);
    assert_eq!(world.handle.join_identity("", "new").unwrap(), 0);
    assert_eq!(world.handle.leave_identity("ana", "new").unwrap(), 0);
    assert_eq!(world.handle.stats().rooms, 1);
    // Nor does one whose connections are found to be gone under the room's lock.
    let rooms = Rc::new(world.handle.shared.rooms.clone());
    let outcome = rooms.reserve_many("new", |_, _| Ok(0));
    assert_eq!((outcome.unwrap(), world.handle.stats().rooms), (0, 1));
}

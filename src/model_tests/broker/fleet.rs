//! Several servers whose rooms one broker keeps, with clients and hosts.

use std::{rc::Rc, sync::Arc};

use super::{
    super::{random::Random, setting::options, world::World},
    peer::{Known, Peer},
    store::{Behaviour, Store},
};
use crate::{
    error::{Error, Result},
    event::Event,
    fanout::form::Form,
    frame::Kind,
    message::Message,
    options::Options,
    past::{Past, Since},
    position::Position,
    protocol::{Asked, Protocol},
    rooms::AwaitedAppend,
    transport::scripted::Scripted,
};

/// How many messages a room keeps.
pub(super) const WINDOW: usize = 50;

pub(super) struct Fleet {
    pub(super) store: Arc<Store>,
    pub(super) nodes: Vec<World>,
    pub(super) peers: Vec<Peer>,
    pub(super) random: Random,
    last_number: u64,
    /// What hosts have published and are not told of yet.
    awaited: Vec<(AwaitedAppend, &'static str, String)>,
    /// The positions that hosts were told of in message events, by server.
    events: Vec<Vec<(String, Position)>>,
}

impl Fleet {
    pub(super) fn new(nodes: usize, behaviour: Behaviour, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let store = Store::new(behaviour, random.next());
        let worlds = (0..nodes).map(|_| {
            let options = Options {
                workers: 1 + random.below(2),
                history_messages: WINDOW,
                event_queue: 1 << 20,
                outbox_size: 1 << 20,
                ..options()
            };
            World::with_broker(options, Random::new(random.next()), Some(store.node()))
        });
        let worlds = worlds.collect();
        Self {
            store,
            nodes: worlds,
            peers: Vec::new(),
            random,
            last_number: 0,
            awaited: Vec::new(),
            events: vec![Vec::new(); nodes],
        }
    }

    /// Makes one server whose rooms are in memory. What its host is told is what is stored.
    pub(super) fn in_memory(seed: u64) -> Self {
        let mut fleet = Self::new(0, Behaviour::default(), seed);
        let options = Options {
            workers: 2,
            history_messages: WINDOW,
            event_queue: 1 << 20,
            outbox_size: 1 << 20,
            ..options()
        };
        fleet.nodes.push(World::with(options, Random::new(fleet.random.next())));
        fleet.events.push(Vec::new());
        fleet
    }

    fn is_in_memory(&self) -> bool {
        !self.nodes[0].handle.shared.rooms.has_broker()
    }

    pub(super) fn next_text(&mut self) -> String {
        self.last_number += 1;
        format!("text {}", self.last_number)
    }

    /// Connects a client to a room. Returns its index.
    pub(super) fn connect(
        &mut self,
        node: usize,
        room: &'static str,
        since: Option<Position>,
        last: Option<usize>,
        echo: bool,
    ) -> usize {
        let script = Scripted::new(usize::MAX / 4);
        let shard = self.random.below(self.nodes[node].shards.len());
        let asked = Asked {
            echo: Some(echo),
            history: last,
            since: since.map(Since::Position),
            ..Asked::new(room.into(), Form::Json)
        };
        let world = &mut self.nodes[node];
        let id = world.connect_asking(shard, Rc::clone(&script), &asked);
        world.peer(id).client.out().open();
        let instance = world.handle.shared.context.instance;
        let mut peer = Peer::new((node, id, instance), script, echo);
        peer.rooms.insert(room.to_owned(), Known::new(since));
        self.peers.push(peer);
        self.peers.len() - 1
    }

    /// Cuts a client. Returns what it knew of its rooms.
    pub(super) fn cut(&mut self, index: usize) -> Peer {
        self.check();
        let peer = self.peers.remove(index);
        let world = &mut self.nodes[peer.node];
        world.peer(peer.id).client.out().abort(1006, "cut");
        world.notice_ends();
        peer
    }

    /// Has a client publish to a room, as its connection does. Returns whether it was read.
    pub(super) fn send(&mut self, index: usize, room: &str, text: &str) -> bool {
        let (id, node) = (self.peers[index].id, self.peers[index].node);
        let world = &mut self.nodes[node];
        let client = Rc::clone(&world.peer(id).client);
        let (shard, _) = &world.shards[id.shard()];
        if !client.out().is_open()
            || !shard.may_read(&client, false)
            || shard.shared.answers.is_full(id)
            || shard.rooms.is_queue_full(client.queue(&shard.rooms))
        {
            return false;
        }
        self.last_number += 1;
        let number = self.last_number;
        let object = format!(r#"{{"id":{number},"room":"{room}","text":"{text}"}}"#);
        Protocol::Json.message(shard, &client, Kind::Text, object.as_bytes()).unwrap();
        self.peers[index].awaited.push((number, room.to_owned(), text.to_owned()));
        true
    }

    /// Publishes messages of the host, together.
    pub(super) fn publish(&mut self, node: usize, room: &'static str, text: &str) {
        let message = Message::new(Kind::Text, text.as_bytes()).unwrap();
        if self.is_in_memory() {
            let position = self.nodes[node].handle.publish(room, Kind::Text, text.as_bytes());
            return self.store.note(room, position.unwrap(), message, None);
        }
        let rooms = &self.nodes[node].handle.shared.rooms;
        let awaited = rooms.begin_publish(room, [message]).unwrap();
        self.awaited.push((awaited, room, text.to_owned()));
    }

    /// Puts a client into a room, or takes it out.
    pub(super) fn move_client(&mut self, index: usize, room: &'static str, past: Past) {
        let peer = &mut self.peers[index];
        let handle = &self.nodes[peer.node].handle;
        if peer.rooms.contains_key(room) {
            // It is in it until it is told.
            handle.leave(peer.id, room).unwrap();
        } else {
            handle.join_with_past(peer.id, room, past, None).unwrap();
            peer.rooms.insert(room.to_owned(), Known::new(None));
        }
    }

    pub(super) fn tick(&mut self) {
        for world in &mut self.nodes {
            world.tick_once();
        }
    }

    /// Lets a second pass for what waits for the broker.
    pub(super) fn pass_second(&mut self) {
        for world in &self.nodes {
            world.handle.shared.rooms.check_broker();
        }
    }

    /// Does what is to be done, without letting time pass.
    pub(super) fn settle(&mut self) {
        loop {
            let has_done = self.store.settle();
            for world in &mut self.nodes {
                for _ in 0..100 {
                    world.tick_once();
                }
                for (shard, _) in &world.shards {
                    while shard.tick_outboxes() {}
                }
            }
            self.flush();
            if !has_done {
                break;
            }
        }
        self.check();
    }

    fn flush(&mut self) {
        for peer in &self.peers {
            let client = Rc::clone(&self.nodes[peer.node].peer(peer.id).client);
            while client.out().has_outbox() {
                if client.out().flush() == crate::fanout::outbound::Flushed::Blocked {
                    break;
                }
            }
        }
    }

    /// Checks all that clients and hosts were told.
    pub(super) fn check(&mut self) {
        self.flush();
        let is_in_memory = self.is_in_memory();
        for (node, world) in self.nodes.iter().enumerate() {
            for event in super::super::setting::events(world) {
                let Event::Message { room, position, message, client, .. } = event else {
                    continue;
                };
                if is_in_memory {
                    let instance = world.handle.shared.context.instance;
                    let from = Some((instance, client));
                    self.store.note(&room, position, message.clone(), from);
                }
                let stored = self.store.stored(&room, position).expect("it is stored");
                assert_eq!(stored.published.message.as_text(), message.as_text());
                assert_eq!(stored.origin.client, Some(client));
                let told = (room.to_string(), position);
                assert!(!self.events[node].contains(&told), "{told:?} twice");
                self.events[node].push(told);
            }
        }
        for peer in &mut self.peers {
            peer.check(&self.store);
        }
        let store = &self.store;
        self.awaited.retain(|(awaited, room, text)| match awaited.poll() {
            None => true,
            Some(outcome) => {
                check_outcome(store, outcome, room, text);
                false
            }
        });
    }

    /// Ends all that is bad, and checks that everybody has everything.
    pub(super) fn finish(&mut self) {
        self.store.set_behaviour(Behaviour::default());
        for _ in 0..15 {
            self.settle();
            self.pass_second();
        }
        self.settle();
        // What was lost at the end is found with what comes next.
        for room in ["a", "b", "c"] {
            let text = self.next_text();
            self.publish(0, room, &text);
        }
        self.settle();
        assert!(self.awaited.is_empty());
        for peer in &mut self.peers {
            peer.check_end(&self.store);
        }
        for world in &self.nodes {
            let rooms = &world.handle.shared.rooms;
            assert_eq!(rooms.pending_sizes(), (0, 0));
            assert_eq!(rooms.held_sizes(), (0, 0));
            for (shard, _) in &world.shards {
                assert_eq!(shard.shared.answers.len(), 0);
            }
        }
    }

    /// The message events that a server's host was told of.
    pub(super) fn events_of(&self, node: usize, room: &str) -> Vec<Position> {
        let of_room = self.events[node].iter().filter(|(name, _)| name == room);
        of_room.map(|(_, position)| *position).collect()
    }
}

fn check_outcome(store: &Store, outcome: Result<Position>, room: &str, text: &str) {
    match outcome {
        Ok(position) => assert_eq!(store.text(room, position).as_deref(), Some(text)),
        Err(Error::QueueFull) => assert_eq!(store.count(room, text), 0, "{text} was refused"),
        Err(Error::TimedOut) => {}
        Err(other) => panic!("{other}"),
    }
}

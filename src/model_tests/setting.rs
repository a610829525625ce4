//! What single promises are tested in: a world with one client, and what that received.

use std::{rc::Rc, time::Duration};

use serde_json::Value;

use super::{random::Random, world::World};
use crate::{
    event::{ClientId, Event},
    fanout::form::Form,
    frame::{Header, payload},
    options::Options,
    transport::scripted::Scripted,
};

pub(super) const KIB: usize = 1024;

/// More than any test writes.
pub(super) const ENDLESS: usize = usize::MAX / 4;

pub(super) fn options() -> Options {
    let publish_timeout = Duration::ZERO;
    Options { workers: 1, history_messages: 0, publish_timeout, ..Options::default() }
}

/// A world with one client in the room "a", whose socket takes `room` bytes.
pub(super) fn world(options: Options, room: usize) -> (World, ClientId) {
    let mut world = World::with(options, Random::new(1));
    let id = connect(&mut world, "a", room);
    (world, id)
}

/// Connects a client to a room, whose socket takes `room` bytes.
pub(super) fn connect(world: &mut World, name: &'static str, room: usize) -> ClientId {
    world.connect_with(0, Scripted::new(room), Form::Plain, true, name)
}

/// Advances the clock, and judges what has waited for too long.
pub(super) fn pass(world: &World, time: Duration) {
    for (shard, _) in &world.shards {
        shard.shared.clock.advance(time);
        shard.check_due_outboxes();
    }
}

/// Has a client read: its socket takes `bytes` more. A tick follows.
pub(super) fn read(world: &mut World, id: ClientId, bytes: usize) -> Vec<u8> {
    let script = Rc::clone(&world.peer(id).script);
    script.add_room(bytes);
    world.shards[id.shard()].0.note_writable(id);
    world.tick_once();
    script.received()
}

/// Has a client read everything that waits for it, and nothing afterwards.
pub(super) fn read_all(world: &mut World, id: ClientId) -> Vec<u8> {
    let mut received = read(world, id, ENDLESS);
    while world.peer(id).client.out().has_outbox() {
        received.extend(read(world, id, 0));
    }
    world.peer(id).script.fill();
    received
}

/// The first byte and the payload of each frame. Nothing may be behind the last.
pub(super) fn frames(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let header = Header::parse(bytes).expect("a whole header");
        let (frame, rest) = bytes.split_at(header.len + header.payload as usize);
        frames.push((frame[0], payload(frame).to_vec()));
        bytes = rest;
    }
    frames
}

/// The payloads of text frames. There are no others.
pub(super) fn texts(bytes: &[u8]) -> Vec<String> {
    let text = |(head, payload): (u8, Vec<u8>)| {
        assert_eq!(head, 0x81, "{payload:?}");
        String::from_utf8(payload).expect("text is UTF-8")
    };
    frames(bytes).into_iter().map(text).collect()
}

/// The objects of the JSON form. There is nothing else.
pub(super) fn objects(bytes: &[u8]) -> Vec<Value> {
    let parse = |text: &String| serde_json::from_str(text).expect("text is JSON");
    texts(bytes).iter().map(parse).collect()
}

/// The events that wait for the host.
pub(super) fn events(world: &World) -> Vec<Event> {
    let more = || world.handle.next_events(Duration::ZERO).ok();
    std::iter::from_fn(more).flatten().collect()
}

/// How many dropped messages the host is told of by events.
pub(super) fn told_of(events: &[Event]) -> u64 {
    let counts = events.iter().map(|event| match event {
        Event::MessagesDropped { count, .. } => *count,
        _ => 0,
    });
    counts.sum()
}

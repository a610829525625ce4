//! What is counted of deliveries, in each way by which they reach a client.

use std::rc::Rc;

use super::{
    random::Random,
    served::{Served, ask, received},
    setting::{KIB, connect, frames, options, read_all, world},
    world::World,
};
use crate::{
    event::ClientId,
    fanout::form::Form,
    frame::{Kind, first_len},
    json,
    options::Options,
    protocol::{Asked, Protocol},
    transport::scripted::Scripted,
};

/// A way by which messages reach a client in the rooms "a" and "b", and how many it makes.
type Way = (&'static str, u64, fn(&mut World, ClientId));

const WAYS: [Way; 9] = [
    ("one", 1, |world, _| publish(world, "a", 1)),
    ("of one room", 3, |world, _| (1..=3).for_each(|len| publish(world, "a", len))),
    ("of two rooms", 4, |world, _| {
        for len in [1, 2] {
            publish(world, "a", len);
            publish(world, "b", len);
        }
    }),
    ("long", 1, |world, _| publish(world, "a", 100 * KIB)),
    ("long ones between short ones", 5, |world, _| {
        [1, 100 * KIB, 2, 50 * KIB, 3].into_iter().for_each(|len| publish(world, "a", len));
    }),
    ("of two rooms, long ones too", 4, |world, _| {
        for len in [1, 100 * KIB] {
            publish(world, "a", len);
            publish(world, "b", len);
        }
    }),
    ("sent", 1, |world, id| world.handle.send(id, Kind::Binary, &[0; 100]).unwrap()),
    ("broadcast, sent and published", 5, |world, id| {
        world.handle.send(id, Kind::Binary, &[0; 100 * KIB]).unwrap();
        world.handle.broadcast(Kind::Binary, &[0; 10]).unwrap();
        world.handle.send(id, Kind::Binary, &[0; 100]).unwrap();
        world.handle.broadcast(Kind::Binary, &[0; 50 * KIB]).unwrap();
        publish(world, "a", 5);
    }),
    ("its own, of which it gets every second", 4, |world, id| {
        let (shard, client) = (Rc::clone(&world.shards[0].0), Rc::clone(&world.peer(id).client));
        for number in 0..4 {
            client.set_echo(number % 2 == 0);
            Protocol::Plain.message(&shard, &client, Kind::Binary, &[0; 10]).unwrap();
            client.set_echo(true);
            if number % 2 == 0 {
                publish(world, "b", 1);
            }
        }
    }),
];

fn publish(world: &World, room: &str, len: usize) {
    world.handle.publish(room, Kind::Binary, &vec![0; len]).unwrap();
}

#[test]
fn every_message_and_byte_that_a_client_is_sent_is_counted_once() {
    // A socket that takes all, one that takes a part of each write, and one that takes nothing at first.
    for (room, most) in [(usize::MAX, 0), (usize::MAX, 7000), (0, 0)] {
        for (name, count, act) in WAYS {
            let (mut world, id) = world(options(), room);
            world.peer(id).script.most.set(most);
            world.handle.join(id, "b").unwrap();
            world.tick_once();
            let before = world.handle.stats();
            act(&mut world, id);
            (0..3).for_each(|_| world.tick_once());
            let after = world.handle.stats();
            let received = read_all(&mut world, id);
            let bytes = after.bytes_delivered - before.bytes_delivered;
            assert_eq!(after.messages_delivered - before.messages_delivered, count, "{name}");
            assert_eq!(bytes, received.len() as u64, "{name}");
            assert_eq!(frames(&received).len() as u64, count, "{name}");
            assert_eq!(after, world.handle.stats(), "{name}: nothing is counted when it is read");
        }
    }
}

#[test]
fn in_the_json_form_messages_alone_are_counted_as_delivered() {
    for room in [usize::MAX, 0] {
        let options = Options { history_messages: 100, ..options() };
        let mut world = World::with(options, Random::new(1));
        (0..7).for_each(|_| publish(&world, "b", 30_000));
        let asked = Asked { history: Some(9), ..Asked::new("b".into(), Form::Json) };
        let id = world.connect_asking(0, Scripted::new(room), &asked);
        world.peer(id).client.out().open();
        let (shard, client) = (Rc::clone(&world.shards[0].0), Rc::clone(&world.peer(id).client));
        for text in
            [r#"{"text":"a","id":1}"#, r#"{"text":"a"}"#, r#"{"type":"history","id":2}"#, "{}"]
        {
            Protocol::Json.message(&shard, &client, Kind::Text, text.as_bytes()).unwrap();
            publish(&world, "b", 10);
            world.handle.broadcast(Kind::Text, b"all").unwrap();
            world.handle.send(id, Kind::Text, b"you").unwrap();
            world.tick_once();
            client.out().ping(1);
        }
        publish(&world, "b", 100 * KIB);
        world.handle.leave(id, "b").unwrap();
        world.tick_once();
        let received = read_all(&mut world, id);
        let (mut count, mut bytes) = (0, 0);
        let mut rest = &received[..];
        while !rest.is_empty() {
            let (frame, behind) = rest.split_at(first_len(rest));
            if json::parse_message(frame).is_some() {
                (count, bytes) = (count + 1, bytes + frame.len() as u64);
            }
            rest = behind;
        }
        let stats = world.handle.stats();
        assert_eq!(count, 7 + 2 + 3 * 4 + 1);
        assert_eq!((stats.messages_delivered, stats.bytes_delivered), (count, bytes));
    }
}

#[test]
fn a_message_is_counted_for_each_client_that_gets_it_and_for_no_other() {
    let (mut world, first) = world(options(), usize::MAX);
    let clients = [(); 5].map(|()| connect(&mut world, "a", usize::MAX));
    connect(&mut world, "b", usize::MAX);
    let out = Rc::clone(world.peer(first).client.out());
    out.abort(1006, "gone");
    publish(&world, "a", 10);
    (0..3).for_each(|_| world.tick_once());
    let stats = world.handle.stats();
    assert_eq!(stats.messages_delivered, clients.len() as u64);
    assert_eq!(stats.bytes_delivered, 5 * 12);
}

#[test]
fn a_replayed_message_is_counted_as_a_delivered_one() {
    let mut served = Served::new(Options { history_messages: 10, ..options() });
    for _ in 0..7 {
        publish(&served.world, "lobby", 10);
    }
    let mut client = served.connect();
    ask(&mut client, "/?history=5");
    served.turns(3);
    let received = received(&mut client);
    let head = received.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    assert_eq!(frames(&received[head..]).len(), 5);
    let stats = served.world.handle.stats();
    assert_eq!((stats.messages_delivered, stats.bytes_delivered), (5, 5 * 12));
    assert_eq!((stats.messages_published, stats.messages_received), (7, 0));
}

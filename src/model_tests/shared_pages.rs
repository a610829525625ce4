//! What clients cost that recover from the same place at once.

use std::{collections::HashMap, sync::Arc};

use super::{
    random::Random,
    setting::{KIB, objects, options, read_all},
    world::World,
};
use crate::{
    event::ClientId, fanout::form::Form, frame::Kind, options::Options, past::Since,
    position::Position, protocol::Asked, transport::scripted::Scripted,
};

/// A server whose room "a" has messages of these lengths. Returns where the room stood before them.
fn room(lens: &[usize]) -> (World, Position) {
    let options = Options { history_messages: 1000, max_message_size: 4 << 20, ..options() };
    let mut world = World::with(options, Random::new(1));
    let first = world.handle.publish("a", Kind::Binary, b"first").unwrap();
    for len in lens {
        world.handle.publish("a", Kind::Text, "x".repeat(*len).as_bytes()).unwrap();
        world.tick_once();
    }
    (world, first)
}

/// Connects a client that has everything up to a position, and whose socket takes nothing.
fn come_back(world: &mut World, form: Form, since: Position) -> ClientId {
    let since = Some(Since::Position(since));
    let asked = Asked { since, ..Asked::new("a".into(), form) };
    let id = world.connect_asking(0, Scripted::new(0), &asked);
    let context = Arc::clone(&world.handle.shared.context);
    let peer = world.peer(id);
    let out = peer.client.out();
    out.open();
    // It has read the welcome, so that what it lacks comes next.
    let welcome = form.welcome(id, &context).map_or(0, |welcome| welcome.len());
    peer.script.add_room(welcome);
    out.flush();
    assert_eq!(peer.script.received().len(), welcome);
    id
}

/// Returns how many bytes wait for clients, each once however many share them.
fn waiting(world: &mut World, ids: &[ClientId]) -> usize {
    let mut shared = HashMap::new();
    ids.iter().for_each(|id| shared.extend(world.peer(*id).client.out().waiting()));
    shared.values().sum()
}

#[test]
fn clients_that_recover_from_the_same_place_share_pages() {
    for form in [Form::Json, Form::Plain] {
        let (mut world, since) = room(&[1000; 100]);
        let ids: Vec<_> = (0..1000).map(|_| come_back(&mut world, form, since)).collect();
        let bytes = waiting(&mut world, &ids);
        // One page, and for each client what it is told before.
        assert!((60 * KIB..65 * KIB + 1000 * 120).contains(&bytes), "{bytes} bytes");
        // They share the second, too, and each gets all.
        for id in &ids {
            world.peer(*id).script.add_room(66_000);
            world.peer(*id).client.out().flush();
        }
        let bytes = waiting(&mut world, &ids);
        assert!((30 * KIB..60 * KIB + 1000 * 40).contains(&bytes), "{bytes} bytes are left");
        let sizes: Vec<_> = ids.iter().map(|id| read_all(&mut world, *id).len()).collect();
        assert!(sizes.iter().all(|size| *size == sizes[0] && *size > 100 * 1000));
    }
}

#[test]
fn a_long_message_in_a_replay_is_encoded_once_for_all_and_forgotten_when_nobody_needs_it() {
    let (mut world, since) = room(&[2 << 20]);
    let ids: Vec<_> = (0..100).map(|_| come_back(&mut world, Form::Json, since)).collect();
    let bytes = waiting(&mut world, &ids);
    assert!(((2 << 20)..(2 << 20) + 30 * KIB).contains(&bytes), "{bytes} bytes");
    for id in ids {
        assert_eq!(objects(&read_all(&mut world, id)).len(), 3, "entered, the message, live");
    }
}

#[test]
fn clients_of_one_room_each_get_what_they_lack_whatever_pages_others_were_given() {
    let mut random = Random::new(3);
    for _ in 0..8 {
        let lens: Vec<_> =
            (0..150).map(|_| random.pick(&[0, 10, 900, 900, 30_000, 40_000])).collect();
        let (mut world, first) = room(&lens);
        let mut ids = Vec::new();
        for _ in 0..30 {
            // Some rooms grow meanwhile, and clients come from few places.
            if random.once_in(3) {
                world.handle.publish("a", Kind::Text, b"more").unwrap();
                world.tick_once();
            }
            let offset = random.pick(&[1, 1, 1, 20, 20, 149]);
            let since = Position { offset, ..first };
            let form = random.pick(&[Form::Json, Form::Json, Form::Plain]);
            ids.push((form, offset, come_back(&mut world, form, since)));
        }
        let top = world.handle.position("a").unwrap().offset;
        for (form, offset, id) in ids {
            let received = read_all(&mut world, id);
            if form == Form::Plain {
                let count = super::setting::texts(&received).len() as u64;
                assert_eq!(count, top - offset);
                continue;
            }
            let objects = objects(&received);
            let positions = objects.iter().filter(|object| object["type"] == "message");
            let positions = positions.map(|object| object["position"].as_str().unwrap().to_owned());
            let expected =
                (offset + 1..=top).map(|offset| Position { offset, ..first }.to_string());
            assert!(positions.eq(expected), "from {offset} to {top}");
        }
    }
}

//! Orders that random runs meet too rarely, each as a promise of its own.

use std::{rc::Rc, sync::Arc};

use super::{
    random::Random,
    setting::{KIB, connect, options, texts, world},
    world::World,
};
use crate::{
    decisions::{Applicant, subprotocols::Subprotocols},
    event::Request,
    fanout::form::Form,
    frame::Kind,
    options::Options,
    protocol::Protocol,
    transport::scripted::Scripted,
};

#[test]
fn a_message_of_the_host_does_not_pass_the_clients_messages_before_it() {
    let (mut world, id) = world(options(), usize::MAX);
    let (shard, client) = (Rc::clone(&world.shards[0].0), Rc::clone(&world.peer(id).client));
    // More than one tick takes.
    const COUNT: usize = 5000;
    for number in 0..COUNT {
        Protocol::Plain
            .message(&shard, &client, Kind::Text, number.to_string().as_bytes())
            .unwrap();
    }
    world.handle.publish("a", Kind::Text, b"host").unwrap();
    for _ in 0..200 {
        world.tick_once();
    }
    let received = texts(&world.peer(id).script.received());
    assert_eq!(received.len(), COUNT + 1);
    assert_eq!(received[COUNT], "host");
    assert!((0..COUNT).all(|number| received[number] == number.to_string()));
}

#[test]
fn a_clients_message_passes_what_the_host_has_queued_for_another_room() {
    let (mut world, id) = world(options(), usize::MAX);
    let large = connect(&mut world, "large", usize::MAX);
    for _ in 0..10_000 {
        world.handle.publish("large", Kind::Binary, &[0; KIB]).unwrap();
    }
    // The shard is in the middle of it.
    world.tick_once();
    let (shard, client) = (Rc::clone(&world.shards[0].0), Rc::clone(&world.peer(id).client));
    Protocol::Plain.message(&shard, &client, Kind::Text, b"small").unwrap();
    for _ in 0..3 {
        world.tick_once();
    }
    assert_eq!(texts(&world.peer(id).script.received()), ["small"]);
    let written = world.peer(large).script.received().len();
    assert!(written < 10_000 * KIB, "the large room is not done: {written}");
}

#[test]
fn what_one_client_sends_to_two_rooms_keeps_its_order_on_every_shard() {
    let mut world = World::with(Options { workers: 2, ..options() }, Random::new(1));
    let sender = world.connect_with(0, Scripted::new(0), Form::Plain, false, "a");
    let receiver = world.connect_with(1, Scripted::new(usize::MAX), Form::Plain, true, "a");
    for id in [sender, receiver] {
        world.handle.join(id, "b").unwrap();
    }
    (0..3).for_each(|_| world.tick_once());
    let (first, client) = (Rc::clone(&world.shards[0].0), Rc::clone(&world.peer(sender).client));
    // The host's message is pending on the second shard, and the client's waits behind it.
    world.handle.publish("a", Kind::Text, b"host").unwrap();
    Protocol::Plain.message(&first, &client, Kind::Text, b"one").unwrap();
    world.handle.leave(sender, "a").unwrap();
    world.tick_shard(0);
    assert!(first.may_read(&client, false));
    Protocol::Plain.message(&first, &client, Kind::Text, b"two").unwrap();
    (0..3).for_each(|_| world.tick_shard(1));
    assert_eq!(texts(&world.peer(receiver).script.received()), ["host", "one", "two"]);
}

#[test]
fn a_client_that_was_admitted_because_its_time_was_over_misses_nothing_of_the_rooms_it_was_joined_to()
 {
    let options = Options { max_rooms_per_client: 2, ..options() };
    let (mut world, id) = world(options, usize::MAX);
    let shard = Rc::clone(&world.shards[0].0);
    // As a client that waits: what the host asks for is in the inbox, and its admission comes behind it.
    world.handle.join(id, "b").unwrap();
    world.handle.publish("b", Kind::Text, b"behind the join").unwrap();
    let past = crate::past::PastWanted::NONE;
    let request = Request::new(([127, 0, 0, 1], 1).into(), "/".into(), String::new(), vec![]);
    let subprotocols = Subprotocols::new(Arc::new(request), false);
    let applicant = Applicant { room: Some("b".to_owned()), past, subprotocols };
    shard.rooms.admit(id, applicant).unwrap();
    world.handle.publish("b", Kind::Text, b"behind the admission").unwrap();
    (0..3).for_each(|_| world.tick_once());
    let received = texts(&world.peer(id).script.received());
    assert_eq!(received, ["behind the join", "behind the admission"]);
    assert!(world.handle.join(id, "c").is_err(), "it is in two rooms");
}

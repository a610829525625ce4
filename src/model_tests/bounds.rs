//! Bounds and orders that random runs meet too rarely, each as a promise of its own.

use std::{rc::Rc, sync::Arc, time::Duration};

use super::{random::Random, world::World};
use crate::{
    event::{ClientId, Event},
    fanout::form::Form,
    frame::Kind,
    options::{Options, SlowConsumer},
    protocol::{Plain, Protocol},
    reactor::Next,
    shard::Tick,
    transport::scripted::Scripted,
};

const KIB: usize = 1024;

fn options() -> Options {
    let publish_timeout = Duration::ZERO;
    Options { workers: 1, history_messages: 0, publish_timeout, ..Options::default() }
}

/// A world with one client in a room, whose socket takes `room` bytes.
fn world(options: Options, room: usize) -> (World, ClientId) {
    let mut world = World::with(options, Random::new(1));
    let id = world.connect_with(0, Scripted::new(room), Form::Plain, true, "a");
    (world, id)
}

/// The texts of whole short frames.
fn texts(mut bytes: &[u8]) -> Vec<String> {
    let mut texts = Vec::new();
    while let [0x81, len, rest @ ..] = bytes {
        let (text, rest) = rest.split_at(*len as usize);
        texts.push(String::from_utf8(text.to_vec()).unwrap());
        bytes = rest;
    }
    assert!(bytes.is_empty(), "{bytes:?}");
    texts
}

#[test]
fn a_message_of_the_host_does_not_pass_the_clients_messages_before_it() {
    let (mut world, id) = world(options(), usize::MAX);
    let (shard, client) = (Rc::clone(&world.shards[0].0), Rc::clone(&world.peer(id).client));
    // More than one tick takes.
    const COUNT: usize = 5000;
    for number in 0..COUNT {
        Plain.message(&shard, &client, Kind::Text, number.to_string().as_bytes());
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
    let large = world.connect_with(0, Scripted::new(usize::MAX), Form::Plain, true, "large");
    for _ in 0..10_000 {
        world.handle.publish("large", Kind::Binary, &[0; KIB]).unwrap();
    }
    // The shard is in the middle of it.
    world.tick_once();
    let (shard, client) = (Rc::clone(&world.shards[0].0), Rc::clone(&world.peer(id).client));
    Plain.message(&shard, &client, Kind::Text, b"small");
    for _ in 0..3 {
        world.tick_once();
    }
    assert_eq!(texts(&world.peer(id).script.received()), ["small"]);
    let written = world.peer(large).script.received().len();
    assert!(written < 10_000 * KIB, "the large room is not done: {written}");
}

#[test]
fn what_a_client_does_not_read_is_kept_up_to_outbox_size_and_not_more() {
    const SIZE: usize = 100 * KIB;
    let options = Options { max_message_size: 10 * KIB, outbox_size: SIZE, ..options() };
    let (mut world, id) = world(options, 0);
    let out = Rc::clone(world.peer(id).client.out());
    let mut published = 0;
    while out.is_open() {
        world.handle.publish("a", Kind::Binary, &[0; KIB]).unwrap();
        world.tick_once();
        published += KIB;
        assert!(published <= SIZE + KIB, "{published} bytes wait");
    }
    // Each chunk counts for what it costs to keep.
    assert!(published > SIZE * 3 / 4, "closed after {published} bytes");
    assert_eq!(out.disconnect().unwrap().code, 1013);
    assert_eq!(world.handle.stats().slow_consumers, 1);
}

#[test]
fn every_message_and_byte_that_a_client_is_sent_is_counted_once() {
    let (mut world, id) = world(options(), usize::MAX);
    let before = world.handle.stats();
    // Short ones are merged, the long one goes by itself.
    for len in [1, 2, 3, 100 * KIB, 4] {
        world.handle.publish("a", Kind::Binary, &vec![0; len]).unwrap();
    }
    for _ in 0..3 {
        world.tick_once();
    }
    let (after, received) = (world.handle.stats(), world.peer(id).script.received().len() as u64);
    assert_eq!(after.messages_delivered - before.messages_delivered, 5);
    assert_eq!(after.bytes_delivered - before.bytes_delivered, received);
}

#[test]
fn an_outbox_is_judged_when_its_oldest_byte_has_waited_for_outbox_age() {
    let age = Duration::from_secs(5);
    for policy in [SlowConsumer::Disconnect, SlowConsumer::DropOldest] {
        let options = Options { outbox_age: age, slow_consumer: policy, ..options() };
        let (mut world, id) = world(options, 0);
        let shard = Rc::clone(&world.shards[0].0);
        let out = Rc::clone(world.peer(id).client.out());
        let pass = |time| {
            shard.shared.clock.advance(time);
            shard.check_due_outboxes();
        };
        world.handle.publish("a", Kind::Text, b"first").unwrap();
        world.tick_once();
        pass(age / 2);
        world.handle.publish("a", Kind::Text, b"second").unwrap();
        world.tick_once();
        pass(age / 2 - Duration::from_millis(1));
        assert!(out.is_open() && out.has_outbox(), "{policy:?}: not before its time");
        pass(Duration::from_millis(1));
        let dropped = world.handle.stats().messages_dropped;
        match policy {
            SlowConsumer::Disconnect => {
                assert_eq!(out.disconnect().map(|it| it.code), Some(1013));
                assert_eq!(dropped, 2);
            }
            SlowConsumer::DropOldest => {
                assert!(out.is_open());
                assert_eq!(dropped, 1);
                pass(age / 2 + age / 8);
                assert_eq!(world.handle.stats().messages_dropped, 2);
                assert!(!out.has_outbox());
            }
        }
    }
}

#[test]
fn an_outbox_that_the_socket_takes_at_last_is_not_judged() {
    let (mut world, id) = world(options(), 0);
    let (shard, out) = (Rc::clone(&world.shards[0].0), Rc::clone(world.peer(id).client.out()));
    world.handle.publish("a", Kind::Text, b"late").unwrap();
    world.tick_once();
    // The process slept for longer than the client may take: that is not the client's fault.
    world.peer(id).script.add_room(1000);
    shard.shared.clock.advance(Duration::from_secs(3600));
    shard.check_due_outboxes();
    assert!(out.is_open() && !out.has_outbox());
    assert_eq!(texts(&world.peer(id).script.received()), ["late"]);
}

#[test]
fn a_flood_of_sends_starves_no_room_and_a_busy_room_no_send() {
    let (mut world, id) = world(options(), usize::MAX);
    let other = world.connect_with(0, Scripted::new(usize::MAX), Form::Plain, true, "b");
    for _ in 0..10_000 {
        world.handle.send(id, Kind::Binary, &[0; KIB]).unwrap();
    }
    world.handle.publish("b", Kind::Text, b"room").unwrap();
    let ticks = (0..).take_while(|_| {
        world.tick_once();
        world.peer(other).script.received().is_empty()
    });
    let ticks = ticks.take(1000).count();
    // 10 MB in ticks of at least 128 KiB.
    assert!(ticks < 100, "{ticks} ticks");
}

#[test]
fn many_sends_to_one_client_leave_in_few_writes() {
    let (mut world, id) = world(options(), usize::MAX);
    for number in 0..1000 {
        world.handle.send(id, Kind::Text, number.to_string().as_bytes()).unwrap();
    }
    world.tick_once();
    let script = Rc::clone(&world.peer(id).script);
    assert_eq!(texts(&script.received()).len(), 1000);
    assert!(script.writes.get() < 5, "{} writes", script.writes.get());
}

#[test]
fn clients_of_many_rooms_that_flood_do_not_starve_the_host() {
    let (mut world, id) = world(options(), usize::MAX);
    let shard = Rc::clone(&world.shards[0].0);
    const ROOMS: [&str; 16] =
        ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15"];
    let mut flooders = Vec::new();
    for room in ROOMS {
        let join = |_| world.connect_with(0, Scripted::new(usize::MAX), Form::Plain, true, room);
        let clients: Vec<_> = (0..100).map(join).collect();
        flooders.push(Rc::clone(&world.peer(clients[0]).client));
    }
    let message = [b'x'; KIB];
    let mut arrived = None;
    for tick in 0..2000 {
        for flooder in &flooders {
            let queue = flooder.queue(&shard.rooms);
            if !shard.rooms.is_queue_full(queue) && shard.may_read(flooder, false) {
                (0..8).for_each(|_| _ = Plain.message(&shard, flooder, Kind::Binary, &message));
            }
        }
        if tick == 100 {
            world.handle.send(id, Kind::Text, b"host").unwrap();
        }
        world.tick_once();
        if !world.peer(id).script.received().is_empty() {
            arrived = Some(tick);
            break;
        }
    }
    assert!(arrived.is_some_and(|tick| tick < 600), "sent in tick 100, arrived in {arrived:?}");
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
    Plain.message(&first, &client, Kind::Text, b"one");
    world.handle.leave(sender, "a").unwrap();
    world.tick_shard(0);
    assert!(first.may_read(&client, false));
    Plain.message(&first, &client, Kind::Text, b"two");
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
    let applicant = crate::decisions::Applicant { room: Some("b".to_owned()), history: 0 };
    shard.rooms.admit(id, applicant).unwrap();
    world.handle.publish("b", Kind::Text, b"behind the admission").unwrap();
    (0..3).for_each(|_| world.tick_once());
    let received = texts(&world.peer(id).script.received());
    assert_eq!(received, ["behind the join", "behind the admission"]);
    assert!(world.handle.join(id, "c").is_err(), "it is in two rooms");
}

#[test]
fn commands_that_are_many_take_several_ticks() {
    let (mut world, id) = world(options(), usize::MAX);
    for _ in 0..10_000 {
        world.handle.set_echo(id, true).unwrap();
    }
    let shard = Rc::clone(&world.shards[0].0);
    let mut ticks = 0;
    while shard.handle.holds_any_input() {
        world.tick_once();
        ticks += 1;
    }
    assert!((5..100).contains(&ticks), "{ticks} ticks");
}

#[test]
fn a_client_that_leaves_many_rooms_leaves_them_over_several_ticks() {
    let (mut world, id) = world(Options { event_queue: 1 << 16, ..options() }, usize::MAX);
    for room in 0..999 {
        world.handle.join(id, &room.to_string()).unwrap();
    }
    let shard = Rc::clone(&world.shards[0].0);
    while shard.handle.holds_any_input() {
        world.tick_once();
    }
    let client = Rc::clone(&world.peer(id).client);
    assert_eq!(client.rooms(), 1000);
    let events = &Arc::clone(&world.handle.shared.context).events;
    let take = || {
        let mut taken = Vec::new();
        let _ = events.take(Duration::ZERO, &mut taken);
        taken
    };
    assert_eq!(take().len(), 999, "it was joined to them");
    shard.leave_all_rooms(&client);
    let (code, reason) = (1000, "".into());
    shard.report_left(id, Event::Disconnected { client: id, identity: None, code, reason });
    let mut ticks = 0;
    while client.rooms() > 0 {
        let before = client.rooms();
        assert!(take().is_empty(), "the host is told when it is in no room any more");
        world.tick_once();
        assert!(before - client.rooms() <= 100, "{} at once", before - client.rooms());
        ticks += 1;
    }
    assert!(ticks > 5, "{ticks} ticks");
    assert_eq!(world.handle.stats().rooms, 0);
    world.tick_once();
    assert!(matches!(take()[..], [Event::Disconnected { .. }]));
}

#[test]
fn a_shard_parks_when_everything_is_written_and_not_before() {
    let (mut world, id) = world(options(), usize::MAX);
    world.shards[0].1 = Tick::with_command_budget(1);
    let (shard, client) = (Rc::clone(&world.shards[0].0), Rc::clone(&world.peer(id).client));
    for number in 0..10 {
        Plain.message(&shard, &client, Kind::Text, number.to_string().as_bytes());
    }
    let tick = &mut world.shards[0].1;
    while !matches!(shard.tick(tick, &|_, _| ()), Next::Park) {}
    assert_eq!(texts(&world.peer(id).script.received()).len(), 10);
}

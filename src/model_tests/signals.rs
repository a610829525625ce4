//! Signals beside messages: who is passed over, what is dropped, and that neither costs a message.

use std::{rc::Rc, time::Instant};

use super::{
    full_inbox::{AT_ONCE, LATE, fill},
    random::Random,
    setting::{ENDLESS, KIB, events, objects, options, read_all, told_of},
    world::World,
};
use crate::{
    event::{ClientId, Event},
    fanout::{
        command::{Delivery, RoomId},
        form::Form,
    },
    frame::Kind,
    message::Message,
    options::{Options, SlowConsumer},
    protocol::Protocol,
    published::Published,
    transport::scripted::Scripted,
};

/// A world with a client of the JSON form in the room "a", whose socket takes `room` bytes of what comes from here on.
fn json_world(options: Options, room: usize) -> (World, ClientId) {
    let mut world = World::with(options, Random::new(1));
    let id = connect(&mut world, Form::Json);
    read_all(&mut world, id);
    world.peer(id).script.add_room(room);
    (world, id)
}

fn connect(world: &mut World, form: Form) -> ClientId {
    world.connect_with(0, Scripted::new(ENDLESS), form, true, "a")
}

/// Puts a client into the room "b" too, and has it read that.
fn join(world: &mut World, id: ClientId) {
    world.handle.join(id, "b").unwrap();
    world.tick_once();
    read_all(world, id);
    world.peer(id).script.add_room(ENDLESS);
}

fn publish(world: &World, room: &str, text: &str) {
    world.handle.publish(room, Kind::Text, text.as_bytes()).unwrap();
}

fn signal(world: &World, room: &str, text: &str) {
    world.handle.signal(room, Kind::Text, text.as_bytes()).unwrap();
}

/// Has a client send an object.
fn say(world: &mut World, id: ClientId, object: &str) {
    let (shard, client) = (Rc::clone(&world.shards[0].0), Rc::clone(&world.peer(id).client));
    Protocol::Json.message(&shard, &client, Kind::Text, object.as_bytes()).unwrap();
}

/// The types and texts of objects.
fn said(bytes: &[u8]) -> Vec<String> {
    let objects = objects(bytes);
    let said = |name, object: &serde_json::Value| object[name].as_str().unwrap_or("").to_owned();
    objects.iter().map(|it| format!("{} {}", said("type", it), said("text", it))).collect()
}

fn received(world: &mut World, id: ClientId) -> Vec<String> {
    said(&world.peer(id).script.received())
}

#[test]
fn a_signal_has_its_place_among_the_messages_of_all_rooms_of_a_client() {
    let (mut world, id) = json_world(options(), ENDLESS);
    join(&mut world, id);
    let mut expected = Vec::new();
    for round in 0..100 {
        for (index, room) in ["a", "b", "a", "a", "b"].into_iter().enumerate() {
            let text = format!("{round}/{index}");
            if (round + index) % 3 == 0 {
                signal(&world, room, &text);
                expected.push(format!("signal {text}"));
            } else {
                publish(&world, room, &text);
                expected.push(format!("message {text}"));
            }
        }
        if round % 4 == 0 {
            world.handle.signal_client(id, Kind::Text, b"you").unwrap();
            expected.push("signal you".into());
        }
        world.tick_once();
    }
    let received = received(&mut world, id);
    let differs = received.iter().zip(&expected).position(|(one, other)| one != other);
    assert_eq!((differs, received.len()), (None, expected.len()), "{received:?}");
}

#[test]
fn a_client_that_lags_gets_the_messages_without_the_signals_and_nothing_waits_for_it() {
    for is_in_two_rooms in [false, true] {
        let (mut world, id) = json_world(options(), 0);
        if is_in_two_rooms {
            join(&mut world, id);
            world.peer(id).script.fill();
        }
        let other = connect(&mut world, Form::Json);
        received(&mut world, other);
        publish(&world, "a", "first");
        world.tick_once();
        let waiting = world.peer(id).client.out().waiting_bytes();
        for _ in 0..100 {
            signal(&world, "a", "signal");
            signal(&world, "b", "signal");
            world.handle.signal_client(id, Kind::Text, b"you").unwrap();
            world.tick_once();
        }
        assert_eq!(world.peer(id).client.out().waiting_bytes(), waiting);
        signal(&world, "a", "beside a message");
        publish(&world, "a", "second");
        world.tick_once();
        assert_eq!(said(&read_all(&mut world, id)), ["message first", "message second"]);
        assert_eq!(received(&mut world, other).len(), 103, "the other gets all");
        world.peer(id).script.add_room(ENDLESS);
        signal(&world, "a", "up to date");
        world.tick_once();
        assert_eq!(received(&mut world, id), ["signal up to date"]);
        let stats = world.handle.stats();
        assert_eq!((stats.signals_dropped, stats.messages_dropped), (0, 0));
    }
}

#[test]
fn signals_among_dropped_messages_are_neither_told_nor_counted() {
    let options = Options {
        slow_consumer: SlowConsumer::DropOldest,
        outbox_size: 20 * KIB,
        max_message_size: KIB,
        history_messages: 10,
        event_queue: 1000,
        ..options()
    };
    let (mut world, id) = json_world(options, 5);
    for number in 0..100 {
        // The first of these come in the write that the socket takes a part of.
        for _ in 0..5 {
            signal(&world, "a", "signal");
        }
        publish(&world, "a", &format!("{number} {}", "x".repeat(1000)));
    }
    world.tick_once();
    let dropped = world.handle.stats().messages_dropped;
    assert!(dropped > 50, "{dropped}");
    let objects = objects(&read_all(&mut world, id));
    let counts = objects.iter().filter(|it| it["type"] == "dropped").map(|it| &it["count"]);
    assert_eq!(counts.map(|it| it.as_u64().unwrap()).sum::<u64>(), dropped);
    let of = |kind: &str| objects.iter().filter(|it| it["type"] == kind).count() as u64;
    assert_eq!(of("message") + dropped, 100);
    assert_eq!(told_of(&events(&world)), dropped);
    assert!(world.peer(id).client.out().is_open());
}

#[test]
fn what_is_delivered_counts_the_messages_alone() {
    let (mut world, id) = json_world(options(), ENDLESS);
    let count = |world: &World| {
        let stats = world.handle.stats();
        (stats.messages_delivered, stats.bytes_delivered, stats.messages_published)
    };
    publish(&world, "a", "text");
    world.tick_once();
    let (one, bytes) = (count(&world), world.peer(id).script.received().len() as u64);
    assert_eq!(one, (1, bytes, 1));
    join(&mut world, id);
    for rooms in [["a", "a"], ["a", "b"]] {
        signal(&world, rooms[0], "a signal");
        publish(&world, "a", "text");
        signal(&world, rooms[1], "a signal");
        world.handle.signal_client(id, Kind::Text, b"you").unwrap();
    }
    world.tick_once();
    assert_eq!(count(&world), (3, 3 * bytes, 3));
}

#[test]
fn a_client_that_comes_gets_no_signal_from_before_though_others_still_wait_for_it() {
    let mut world = World::with(options(), Random::new(1));
    let others: Vec<_> = (0..100).map(|_| connect(&mut world, Form::Json)).collect();
    others.iter().for_each(|id| _ = received(&mut world, *id));
    signal(&world, "a", "before");
    world.tick_once();
    assert!(world.shards[0].0.waiting_bytes() > 0, "some have not been written to");
    let late = connect(&mut world, Form::Json);
    assert!(!world.peer(late).client.out().has_outbox(), "it reads");
    (0..10).for_each(|_| world.tick_once());
    signal(&world, "a", "behind");
    (0..10).for_each(|_| world.tick_once());
    let signals = |world: &mut World, id| {
        let mut said = received(world, id);
        said.retain(|it| it.starts_with("signal"));
        said
    };
    assert_eq!(signals(&mut world, late), ["signal behind"]);
    for id in others {
        assert_eq!(signals(&mut world, id), ["signal before", "signal behind"]);
    }
}

#[test]
fn nobody_encodes_or_writes_a_signal_for_plain_clients() {
    let mut world = World::with(options(), Random::new(1));
    let id = connect(&mut world, Form::Plain);
    let writes = world.peer(id).script.writes.get();
    for _ in 0..100 {
        signal(&world, "a", "signal");
        world.handle.signal_client(id, Kind::Text, b"you").unwrap();
    }
    world.tick_once();
    assert_eq!(
        (world.shards[0].0.waiting_bytes(), world.peer(id).script.writes.get()),
        (0, writes)
    );
    assert_eq!(world.handle.stats().signals_dropped, 0);
}

#[test]
fn signals_that_come_faster_than_a_room_is_written_to_are_dropped_and_counted() {
    let (mut world, id) = json_world(options(), ENDLESS);
    let text = "x".repeat(KIB);
    (0..100).for_each(|_| signal(&world, "a", &text));
    publish(&world, "a", "message");
    world.tick_once();
    let all = received(&mut world, id);
    let dropped = world.handle.stats().signals_dropped;
    assert_eq!(all.len() as u64 + dropped, 101);
    // 16 KiB, as documented.
    assert_eq!(all.len(), 16 + 1);
    assert_eq!(all.last().unwrap(), "message message");
}

#[test]
fn signals_never_close_a_client_whatever_its_outbox() {
    for max_message_size in [1, 100, 4 * KIB, 40 * KIB] {
        let mut options = Options { max_message_size, ..options() };
        options.outbox_size = max_message_size.div_ceil(3) * 4 + 4 * KIB;
        let (mut world, id) = json_world(options, 1);
        let text = "x".repeat(max_message_size.min(4 * KIB));
        for _ in 0..10 {
            (0..10_000).for_each(|_| signal(&world, "a", &text));
            world.tick_once();
            assert!(world.peer(id).client.out().is_open(), "{max_message_size}");
        }
        let longer = format!("{text}x");
        assert!(world.handle.signal("a", Kind::Text, longer.as_bytes()).is_err());
        assert!(!said(&read_all(&mut world, id)).is_empty(), "what was begun");
    }
}

#[test]
fn a_full_inbox_drops_the_signals_of_the_host_and_of_clients_at_once() {
    let options =
        Options { publish_timeout: LATE, signal_rate: 1000, event_queue: 100, ..options() };
    let (mut world, id) = json_world(options, ENDLESS);
    let other = connect(&mut world, Form::Json);
    received(&mut world, other);
    fill(&world, id);
    let begun = Instant::now();
    signal(&world, "a", "lost");
    world.handle.signal_client(id, Kind::Text, b"lost").unwrap();
    // A client's pass the host's commands, in a queue of their own.
    say(&mut world, id, r#"{"type":"signal","text":"express"}"#);
    let inbox = &world.shards[0].0.handle.inbox;
    let message = Published::of(Message::new(Kind::Text, b"").unwrap());
    let delivery = |_| Delivery {
        room: RoomId(u64::MAX),
        number: 1,
        offset: 1,
        message: message.clone(),
        exclude: None,
        answer: None,
        is_signal: false,
    };
    inbox.deliver_express((0..4096).map(delivery)).unwrap();
    say(&mut world, id, r#"{"type":"signal","text":"lost"}"#);
    assert!(begun.elapsed() < AT_ONCE);
    let stats = world.handle.stats();
    assert_eq!((stats.signals_dropped, stats.signals_received), (3, 2));
    let is_told = |event: &&Event| matches!(event, Event::Signal { client, .. } if *client == id);
    assert_eq!(events(&world).iter().filter(is_told).count(), 2, "the host's queue has space");
    while world.shards[0].0.handle.inbox.is_full() || !world.shards[0].1.is_empty() {
        world.tick_once();
    }
    assert_eq!(received(&mut world, other), ["signal express"]);
    say(&mut world, id, r#"{"type":"signal","text":"back"}"#);
    world.tick_once();
    assert_eq!(received(&mut world, other), ["signal back"]);
}

#[test]
fn a_flood_of_signals_beyond_the_rate_reaches_no_inbox() {
    let options = Options { signal_rate: 10, ..options() };
    let (mut world, id) = json_world(options, ENDLESS);
    let other = connect(&mut world, Form::Json);
    received(&mut world, other);
    for _ in 0..100_000 {
        say(&mut world, id, r#"{"type":"signal","text":"flood","room":"none"}"#);
    }
    let refused = || world.shards[0].0.handle.inbox.may_park();
    assert!(!refused(), "20 were refused");
    world.tick_once();
    assert_eq!(received(&mut world, id).len(), 20);
    (0..1000).for_each(|_| say(&mut world, id, r#"{"type":"signal","text":"flood"}"#));
    assert!(world.shards[0].0.handle.inbox.may_park(), "nothing was pushed");
    let stats = world.handle.stats();
    assert_eq!((stats.signals_received, stats.signals_dropped), (101_000, 100_980));
    assert_eq!(received(&mut world, other), [] as [&str; 0]);
}

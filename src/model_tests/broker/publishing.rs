//! Promises about publishing that random fleets meet too rarely, or do not see: calls that wait, bounds, and the stop.

use std::{
    rc::Rc,
    thread,
    time::{Duration, Instant},
};

use super::{
    super::{
        random::Random,
        setting::{options, texts},
        world::World,
    },
    fleet::{Fleet, WINDOW},
    store::{Behaviour, Store},
};
use crate::{
    broker::Sink, error::Error, fanout::form::Form, frame::Kind, message::Message,
    options::Options, past::Past, position::Position, protocol::Asked,
    transport::scripted::Scripted,
};

fn fleet(nodes: usize) -> Fleet {
    Fleet::new(nodes, Behaviour::default(), 1)
}

#[test]
fn the_host_is_told_of_messages_in_the_order_of_the_room() {
    for seed in 0..20 {
        let behaviour = Behaviour { reorders: 3, doubles: 3, ..Behaviour::default() };
        let mut fleet = Fleet::new(2, behaviour, seed);
        let clients: Vec<_> =
            (0..6).map(|index| fleet.connect(index % 2, "a", None, None, true)).collect();
        fleet.settle();
        for step in 0..200 {
            let text = fleet.next_text();
            fleet.send(clients[step % 6], "a", &text);
            (0..10).for_each(|_| _ = fleet.store.step(fleet.random.below(2)));
            fleet.tick();
        }
        fleet.settle();
        let mut all = 0;
        for node in 0..2 {
            let told = fleet.events_of(node, "a");
            assert!(told.is_sorted_by_key(|position| position.offset), "{told:?}");
            all += told.len();
        }
        assert_eq!(all, 200);
        // Each was answered, and told where.
        for peer in &fleet.peers {
            assert!(peer.answered > 30 && peer.answered_with_position == peer.answered);
        }
        fleet.finish();
    }
}

#[test]
fn while_too_much_is_on_its_way_clients_are_not_read_and_the_hosts_calls_fail() {
    let mut fleet = fleet(1);
    let index = fleet.connect(0, "a", None, None, true);
    fleet.settle();
    let mut count = 0;
    while !fleet.nodes[0].handle.shared.rooms.is_full() {
        let text = fleet.next_text();
        fleet.publish(0, "a", &text);
        count += 1;
    }
    assert_eq!(count, 4096, "as documented");
    assert!(!fleet.send(index, "a", "not read"));
    let refused = fleet.nodes[0].handle.publish("a", Kind::Text, b"refused");
    assert!(matches!(refused, Err(Error::QueueFull)));
    fleet.settle();
    assert!(fleet.send(index, "a", "read"));
    fleet.settle();
    // By bytes too.
    let long = "x".repeat(1 << 20);
    (0..8).for_each(|_| fleet.publish(0, "b", &long));
    assert!(fleet.nodes[0].handle.shared.rooms.is_full());
    fleet.settle();
    // Nothing is answered: all is given up, and there is space again.
    (0..4096).for_each(|_| fleet.publish(0, "a", "lost"));
    assert!(fleet.nodes[0].handle.shared.rooms.is_full());
    (0..9).for_each(|_| fleet.pass_second());
    assert!(fleet.nodes[0].handle.shared.rooms.is_full());
    fleet.pass_second();
    assert!(!fleet.nodes[0].handle.shared.rooms.is_full());
    fleet.finish();
}

#[test]
fn a_client_that_awaits_much_is_not_read() {
    let mut fleet = fleet(1);
    let index = fleet.connect(0, "a", None, None, true);
    fleet.settle();
    let read = (0..1000).filter(|_| {
        let text = fleet.next_text();
        fleet.send(index, "a", &text)
    });
    assert_eq!(read.count(), 64);
    fleet.finish();
}

#[test]
fn a_call_of_the_host_waits_until_its_message_is_stored_or_nobody_knows() {
    let behaviour =
        Behaviour { refuses: Some("three"), forgets: Some("four"), ..Behaviour::default() };
    let store = Store::new(behaviour, 1);
    let options =
        Options { publish_timeout: Duration::from_secs(20), history_messages: WINDOW, ..options() };
    let world = World::with_broker(options, Random::new(1), Some(store.node()));
    let handle = world.handle.clone();
    let calls = thread::spawn(move || {
        let first = handle.publish("a", Kind::Text, b"one").unwrap();
        let second = handle.publish("a", Kind::Text, b"two").unwrap();
        assert_eq!(handle.position("a").unwrap(), second);
        assert_eq!((first.epoch, first.offset + 1), (second.epoch, second.offset));
        let failed = handle.publish("a", Kind::Text, b"three");
        let unknown = handle.publish("a", Kind::Text, b"four");
        (failed, unknown)
    });
    let deadline = Instant::now() + Duration::from_secs(60);
    while !calls.is_finished() {
        assert!(Instant::now() < deadline, "the calls do not end");
        store.step(0);
        thread::yield_now();
    }
    let (failed, unknown) = calls.join().unwrap();
    assert!(matches!(failed, Err(Error::QueueFull)), "{failed:?}");
    assert!(matches!(unknown, Err(Error::TimedOut)), "{unknown:?}");
    assert_eq!(store.count("a", "three"), 0);
}

#[test]
fn a_call_of_the_host_ends_when_its_time_is_over() {
    let store = Store::new(Behaviour::default(), 1);
    let options = Options {
        publish_timeout: Duration::from_millis(5),
        history_messages: WINDOW,
        ..options()
    };
    let world = World::with_broker(options, Random::new(1), Some(store.node()));
    let unknown = world.handle.publish("a", Kind::Text, b"one");
    assert!(matches!(unknown, Err(Error::TimedOut)), "it may be stored yet: {unknown:?}");
    assert!(matches!(world.handle.position("a"), Err(Error::QueueFull)));
}

#[test]
fn a_client_that_leaves_is_told_of_its_message_that_was_stored_before() {
    let mut fleet = fleet(1);
    let index = fleet.connect(0, "a", None, None, true);
    fleet.move_client(index, "b", Past::None);
    fleet.settle();
    fleet.send(index, "a", "before it leaves");
    (0..2).for_each(|_| fleet.store.step_but_deliveries(0));
    assert_eq!(fleet.store.count("a", "before it leaves"), 1);
    fleet.tick();
    fleet.check();
    assert_eq!(fleet.peers[index].answered, 0, "its own message comes first");
    fleet.move_client(index, "a", Past::None);
    (0..5).for_each(|_| fleet.tick());
    fleet.check();
    let peer = &fleet.peers[index];
    assert_eq!((peer.answered, peer.answered_with_position), (1, 0));
    assert_eq!(fleet.events_of(0, "a"), [fleet.store.top("a")]);
    fleet.finish();
}

#[test]
fn a_stop_waits_for_what_is_on_its_way_and_tells_what_became_of_it() {
    for answers in [true, false] {
        let mut fleet = fleet(1);
        let index = fleet.connect(0, "a", None, None, true);
        fleet.settle();
        fleet.send(index, "a", "last words");
        fleet.publish(0, "a", "of the host");
        let handle = fleet.nodes[0].handle.clone();
        handle.stop_by(Instant::now());
        assert!(matches!(handle.publish("a", Kind::Text, b"late"), Err(Error::Stopped)));
        let has_stopped =
            |fleet: &Fleet| fleet.nodes[0].handle.shared.shards[0].inbox.push(none()).is_err();
        assert!(!has_stopped(&fleet));
        if answers {
            while fleet.nodes[0].handle.shared.rooms.pending_sizes().0 > 0 {
                assert!(!has_stopped(&fleet));
                assert!(fleet.store.step(0));
            }
        } else {
            for _ in 0..10 {
                assert!(!has_stopped(&fleet));
                fleet.pass_second();
            }
        }
        assert!(has_stopped(&fleet));
        (0..50).for_each(|_| fleet.tick());
        fleet.check();
        let peer = &fleet.peers[index];
        assert_eq!((peer.answered, peer.awaited.len()), (1, 0));
        assert_eq!(peer.answered_with_position, usize::from(answers));
        assert_eq!(fleet.store.count("a", "last words"), usize::from(answers));
    }
}

#[test]
fn a_stop_waits_until_what_the_host_has_published_is_delivered() {
    let mut fleet = fleet(1);
    let index = fleet.connect(0, "a", None, None, true);
    fleet.settle();
    let handle = fleet.nodes[0].handle.clone();
    let messages = ["one", "two"].map(|text| Message::new(Kind::Text, text.as_bytes()).unwrap());
    let awaited = handle.shared.rooms.begin_publish("a", messages).unwrap();
    let position = loop {
        fleet.store.step_but_deliveries(0);
        if let Some(outcome) = awaited.poll() {
            break outcome.unwrap();
        }
    };
    assert_eq!(position, fleet.store.top("a"), "that of the last");
    handle.stop_by(Instant::now());
    assert!(handle.shared.shards[0].inbox.push(none()).is_ok());
    fleet.store.settle();
    assert!(handle.shared.shards[0].inbox.push(none()).is_err());
    (0..50).for_each(|_| fleet.tick());
    fleet.check();
    assert_eq!(fleet.peers[index].rooms["a"].texts, ["one", "two"]);
}

/// A command that does nothing.
fn none() -> crate::fanout::command::Command {
    let client = crate::event::ClientId::new(1 << 20, 0);
    crate::fanout::command::Command::SetEcho(client, true)
}

#[test]
fn many_threads_publish_and_each_room_has_one_order() {
    let store = Store::new(Behaviour { is_immediate: true, ..Behaviour::default() }, 1);
    let options = Options { workers: 2, history_messages: 10_000, ..options() };
    let mut world = World::with_broker(options, Random::new(1), Some(store.node()));
    let script = Scripted::new(usize::MAX / 4);
    let id = world.connect_asking(0, Rc::clone(&script), &Asked::new("a".into(), Form::Plain));
    world.peer(id).client.out().open();
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let handle = world.handle.clone();
            thread::spawn(move || {
                for number in 0..500 {
                    let text = format!("{thread} {number}");
                    let published = handle.publish("a", Kind::Text, text.as_bytes());
                    if !matches!(published, Ok(_) | Err(Error::QueueFull)) {
                        panic!("{published:?}");
                    }
                }
            })
        })
        .collect();
    while threads.iter().any(|thread| !thread.is_finished()) {
        world.tick_once();
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    for _ in 0..2 {
        world.handle.shared.rooms.check_broker();
        (0..100).for_each(|_| world.tick_once());
    }
    let top = store.top("a");
    let stored = (1..=top.offset).map(|offset| store.text("a", Position { offset, ..top }));
    let stored: Vec<_> = stored.map(Option::unwrap).collect();
    assert_eq!(texts(&script.received()), stored);
}

#[test]
fn a_broker_can_wait_until_the_shards_have_taken_what_it_delivered() {
    let store = Store::new(Behaviour { is_immediate: true, ..Behaviour::default() }, 1);
    let mut world = World::with_broker(options(), Random::new(1), Some(store.node()));
    let script = Scripted::new(usize::MAX / 4);
    world.connect_with(0, script, Form::Plain, true, "a");
    let rooms = Rc::clone(&world.shards[0].0).rooms.clone();
    let mut count = 0;
    while Sink::wait_for_space(&*rooms, Duration::ZERO) {
        world.handle.publish("a", Kind::Text, b"x").unwrap();
        count += 1;
        assert!(count < 20_000);
    }
    while rooms.is_full() {
        world.tick_once();
    }
    assert!(Sink::wait_for_space(&*rooms, Duration::ZERO));
}

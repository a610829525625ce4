//! For how long something may wait for a client that does not read.

use std::{rc::Rc, time::Duration};

use super::{
    random::Random,
    setting::{KIB, connect, frames, options, pass, read, read_all, texts, world},
    world::World,
};
use crate::{
    fanout::{command::CloseFrame, form::Form},
    frame::Kind,
    options::{Options, SlowConsumer},
    transport::scripted::Scripted,
};

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
fn what_waits_for_a_client_before_it_is_admitted_is_as_old_as_its_admission() {
    for policy in [SlowConsumer::Disconnect, SlowConsumer::DropOldest] {
        let age = Duration::from_secs(5);
        let options = Options { outbox_age: age, slow_consumer: policy, ..options() };
        let mut world = World::with(options, Random::new(1));
        let id = world.connect_unopened(0, Scripted::new(0), Form::Plain, true, "a");
        let out = Rc::clone(world.peer(id).client.out());
        world.handle.send(id, Kind::Text, b"while it waits").unwrap();
        world.tick_once();
        pass(&world, 100 * age);
        out.open();
        pass(&world, Duration::ZERO);
        pass(&world, age - Duration::from_millis(1));
        assert!(out.is_open() && out.has_outbox(), "{policy:?}: its age began when it came in");
        pass(&world, Duration::from_millis(1));
        assert_eq!(world.handle.stats().messages_dropped, 1, "{policy:?}");
        assert_eq!(out.is_open(), policy == SlowConsumer::DropOldest);
    }
}

#[test]
fn an_outbox_that_moves_is_judged_by_its_oldest_byte() {
    let age = Duration::from_secs(5);
    let (mut world, id) = world(Options { outbox_age: age, ..options() }, 0);
    let out = Rc::clone(world.peer(id).client.out());
    let publish = |world: &mut World| {
        world.handle.publish("a", Kind::Binary, &[0; 100]).unwrap();
        world.tick_once();
    };
    publish(&mut world);
    pass(&world, age / 2);
    publish(&mut world);
    read(&mut world, id, 102);
    // The first is gone when its time has come. The second began to wait half an age later.
    pass(&world, age / 2);
    assert!(out.is_open() && out.has_outbox());
    pass(&world, age / 2 - Duration::from_millis(1));
    assert!(out.is_open());
    pass(&world, Duration::from_millis(1));
    assert_eq!(out.disconnect().map(|it| it.code), Some(1013));
}

#[test]
fn an_outbox_of_which_the_socket_takes_a_part_is_judged_soon_after() {
    let age = Duration::from_secs(5);
    let (mut world, id) = world(Options { outbox_age: age, ..options() }, 0);
    let out = Rc::clone(world.peer(id).client.out());
    for _ in 0..10 {
        world.handle.publish("a", Kind::Binary, &[0; 50 * KIB]).unwrap();
        world.tick_once();
    }
    // As much as is written at once, and no more.
    world.peer(id).script.add_room(101 * KIB);
    pass(&world, age);
    assert!(out.is_open(), "the socket takes more");
    pass(&world, Duration::from_millis(10));
    pass(&world, Duration::from_millis(10));
    assert_eq!(out.disconnect().map(|it| it.code), Some(1013));
}

#[test]
fn with_drop_oldest_nothing_is_kept_for_longer_than_outbox_age_and_an_eighth() {
    let age = Duration::from_secs(8);
    let policy = SlowConsumer::DropOldest;
    let options = Options { outbox_age: age, slow_consumer: policy, ..options() };
    let (mut world, id) = world(options, 50);
    // One each second for a minute. Of the first the client has begun to receive a part, so it stays.
    for second in 0..60_u64 {
        world.handle.publish("a", Kind::Binary, &[second as u8; 100]).unwrap();
        world.tick_once();
        (0..10).for_each(|_| pass(&world, Duration::from_millis(100)));
        let dropped = world.handle.stats().messages_dropped;
        // `second` + 1 seconds have passed, and message n came at n seconds.
        let too_old = second.saturating_sub(8);
        assert!(dropped <= too_old + 1 && dropped + 1 >= too_old, "{dropped} after {second} s");
    }
    let received = frames(&read_all(&mut world, id));
    assert_eq!(received[0].1, [0; 100], "what was begun is whole");
    assert!(received[1..].iter().map(|frame| frame.1[0]).eq(61 - received.len() as u8..60));
}

#[test]
fn the_check_of_an_outbox_that_is_due_first_is_not_late() {
    // The second client's outbox is judged before the first one's next check.
    let age = Duration::from_secs(8);
    let policy = SlowConsumer::DropOldest;
    let options = Options { outbox_age: age, slow_consumer: policy, ..options() };
    let (mut world, first) = world(options, 0);
    world.handle.send(first, Kind::Text, b"x").unwrap();
    world.tick_once();
    pass(&world, age / 2);
    let second = connect(&mut world, "b", 0);
    world.handle.send(second, Kind::Text, b"x").unwrap();
    world.tick_once();
    let due = |world: &World| world.shards[0].0.shared.lagging.first().unwrap();
    let begun = world.shards[0].0.shared.now();
    assert_eq!(due(&world), begun + age / 2);
    pass(&world, age / 2);
    assert_eq!(due(&world), begun + age);
}

#[test]
fn a_client_that_is_being_closed_is_not_judged_as_a_slow_consumer() {
    let (mut world, id) = world(Options { event_queue: 10, ..options() }, 0);
    let out = Rc::clone(world.peer(id).client.out());
    world.handle.publish("a", Kind::Text, b"before the close").unwrap();
    world.tick_once();
    out.close(CloseFrame::new(4000, "enough"));
    for _ in 0..10 {
        pass(&world, Duration::from_secs(5));
    }
    let stats = world.handle.stats();
    assert_eq!((stats.slow_consumers, stats.messages_dropped), (0, 0));
    let received = frames(&read_all(&mut world, id));
    assert_eq!(received.iter().map(|frame| frame.0).collect::<Vec<_>>(), [0x81, 0x88]);
}

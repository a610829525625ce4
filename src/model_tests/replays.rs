//! A replay is complete, whatever the room forgets meanwhile, and what comes behind it is bounded as ever.

use std::{rc::Rc, time::Duration};

use super::{
    random::Random,
    setting::{KIB, events, frames, pass, read, read_all, texts, told_of},
    world::World,
};
use crate::{
    event::ClientId,
    fanout::{command::RoomHead, form::Form, replay::Replay},
    frame::Kind,
    message::Message,
    options::{Options, SlowConsumer},
    past::PastGiven,
    protocol::Asked,
    published::Published,
    transport::scripted::Scripted,
};

const AGE: Duration = Duration::from_secs(5);

/// How many messages are replayed: five times as much as an outbox holds.
const REPLAYED: usize = 500;

fn publish(world: &mut World, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let text = format!("{number:01024}");
        world.handle.publish("a", Kind::Text, text.as_bytes()).unwrap();
        world.tick_once();
    }
}

/// A client that gets a replay, and whose socket takes nothing.
fn replaying(policy: SlowConsumer) -> (World, ClientId) {
    let options = Options {
        workers: 1,
        max_message_size: 40 * KIB,
        history_messages: REPLAYED,
        outbox_size: 100 * KIB,
        outbox_age: AGE,
        slow_consumer: policy,
        event_queue: 100_000,
        ..Options::default()
    };
    let mut world = World::with(options, Random::new(1));
    publish(&mut world, 0..REPLAYED);
    let id = world.connect_replaying(Scripted::new(0), "a", REPLAYED);
    world.peer(id).client.out().open();
    world.tick_once();
    (world, id)
}

fn numbers(bytes: &[u8]) -> Vec<usize> {
    texts(bytes).iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn what_one_write_leaves_of_a_replay_is_written_later() {
    let (mut world, _) = replaying(SlowConsumer::Disconnect);
    let id = world.connect_replaying(Scripted::new(usize::MAX), "a", REPLAYED);
    world.peer(id).client.out().open();
    assert!(world.peer(id).client.out().has_outbox(), "more than one write takes");
    let sizes = world.shards[0].0.table_sizes();
    let checked = sizes.into_iter().find(|(table, _)| *table == "outboxes to check");
    assert_eq!(checked.unwrap().1, 2, "the other client reads nothing");
    let received = read_all(&mut world, id);
    assert!(numbers(&received).into_iter().eq(0..REPLAYED));
}

#[test]
fn a_client_that_reads_slowly_gets_all_though_the_room_forgets_it_meanwhile() {
    for policy in [SlowConsumer::Disconnect, SlowConsumer::DropOldest] {
        let (mut world, id) = replaying(policy);
        let mut received = Vec::new();
        let mut next = REPLAYED;
        // A page in each time that an outbox may have: much longer than that in all.
        while received.len() < REPLAYED * KIB {
            pass(&world, AGE * 4 / 5);
            received.extend(read(&mut world, id, 70 * KIB));
            assert!(world.peer(id).client.out().is_open());
            publish(&mut world, next..next + 5);
            next += 5;
        }
        assert!(next > REPLAYED + 30, "it took its time");
        received.extend(read_all(&mut world, id));
        assert!(numbers(&received).into_iter().eq(0..next), "{policy:?}");
        assert_eq!(world.handle.stats().messages_dropped, 0);
        assert_eq!(world.handle.stats().messages_delivered as usize, next);
    }
}

#[test]
fn what_is_behind_a_replay_is_bounded_by_outbox_size_and_its_age_begins_when_the_replay_ends() {
    let (mut world, id) = replaying(SlowConsumer::Disconnect);
    let out = Rc::clone(world.peer(id).client.out());
    publish(&mut world, REPLAYED..REPLAYED + 86);
    assert!(out.is_open(), "as much as fits");
    publish(&mut world, REPLAYED + 86..REPLAYED + 90);
    assert_eq!(out.disconnect().map(|it| it.code), Some(1013));
    // All are counted, those of the replay too.
    let stats = world.handle.stats();
    assert_eq!(stats.messages_delivered, stats.messages_dropped);
    assert!(matches!(frames(&read_all(&mut world, id))[..], [(0x88, _)]));

    let (mut world, id) = replaying(SlowConsumer::Disconnect);
    let out = Rc::clone(world.peer(id).client.out());
    publish(&mut world, REPLAYED..REPLAYED + 1);
    let mut left = REPLAYED * (KIB + 4);
    while left > 0 {
        pass(&world, AGE * 4 / 5);
        left -= read(&mut world, id, left.min(70 * KIB)).len();
        assert!(out.is_open());
    }
    let after_the_last_page = AGE - Duration::from_millis(1);
    pass(&world, after_the_last_page - AGE * 4 / 5);
    out.check_age(world.shards[0].0.shared.now());
    assert!(out.is_open() && out.has_outbox());
    pass(&world, AGE);
    assert_eq!(out.disconnect().map(|it| it.code), Some(1013));
}

#[test]
fn a_client_that_does_not_read_its_replay_is_a_slow_consumer_when_its_time_is_over() {
    for policy in [SlowConsumer::Disconnect, SlowConsumer::DropOldest] {
        let (mut world, id) = replaying(policy);
        let out = Rc::clone(world.peer(id).client.out());
        let begun = read(&mut world, id, KIB / 2);
        pass(&world, AGE - Duration::from_millis(1));
        assert_eq!((out.is_open(), world.handle.stats().messages_dropped), (true, 0));
        pass(&world, Duration::from_millis(1));
        assert_eq!(out.is_open(), policy == SlowConsumer::DropOldest);
        // All but the one that was begun, and the memory of it is free.
        assert_eq!(world.handle.stats().messages_dropped as usize, REPLAYED - 1, "{policy:?}");
        let rest = [begun, read_all(&mut world, id)].concat();
        assert_eq!(frames(&rest)[0].1, format!("{:01024}", 0).as_bytes());
        if policy == SlowConsumer::DropOldest {
            assert_eq!(told_of(&events(&world)) as usize, REPLAYED - 1);
            publish(&mut world, 7..8);
            assert_eq!(numbers(&read_all(&mut world, id)), [7]);
        }
    }
}

#[test]
fn with_drop_oldest_what_is_behind_a_replay_is_dropped_and_the_replay_is_not() {
    let (mut world, id) = replaying(SlowConsumer::DropOldest);
    publish(&mut world, REPLAYED..REPLAYED + 300);
    let dropped = world.handle.stats().messages_dropped as usize;
    assert!(dropped > 200 && told_of(&events(&world)) as usize == dropped, "{dropped}");
    let received = numbers(&read_all(&mut world, id));
    assert!(received.into_iter().eq((0..REPLAYED).chain(REPLAYED + dropped..REPLAYED + 300)));
}

#[test]
fn a_replay_to_an_open_client_is_written_at_the_next_tick() {
    let (mut world, id) = replaying(SlowConsumer::Disconnect);
    read_all(&mut world, id);
    let (script, out) = (Rc::clone(&world.peer(id).script), Rc::clone(world.peer(id).client.out()));
    script.wants_write.set(false);
    let message = Message::new(Kind::Text, b"again").unwrap();
    out.replay(Replay::new(
        RoomHead::of(77),
        Form::Plain,
        PastGiven::of(vec![Published::of(message)]),
    ));
    assert!(script.wants_write.get() && out.has_outbox());
    assert_eq!(texts(&read_all(&mut world, id)), ["again"]);
}

#[test]
fn with_drop_oldest_a_begun_message_of_a_replay_that_is_longer_than_what_stays_closes_nobody() {
    for form in [Form::Plain, Form::Json] {
        let options = Options {
            workers: 1,
            max_message_size: 45 * KIB,
            outbox_size: 64 * KIB,
            slow_consumer: SlowConsumer::DropOldest,
            ..Options::default()
        };
        let mut world = World::with(options, Random::new(1));
        let publish = |world: &mut World, len: usize| {
            world.handle.publish("a", Kind::Binary, &vec![0; len]).unwrap();
            world.tick_once();
        };
        publish(&mut world, 40 * KIB);
        let id = {
            let asked = Asked { history: Some(1), ..Asked::new("a".into(), form) };
            world.connect_asking(0, Scripted::new(0), &asked)
        };
        world.peer(id).client.out().open();
        read(&mut world, id, 200);
        (0..3).for_each(|_| publish(&mut world, 33 * KIB));
        assert!(world.peer(id).client.out().is_open(), "{form:?}");
    }
}

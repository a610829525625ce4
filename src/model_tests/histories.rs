//! What rooms keep: within their bound, counted right, and given back.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use super::{
    random::Random,
    setting::{KIB, connect, options, world},
    world::World,
};
use crate::{frame::Kind, options::Options, position::Position};

const HOUR: Duration = Duration::from_secs(3600);

fn keeping(total: usize) -> Options {
    Options {
        history_messages: 10_000,
        history_size: 64 << 20,
        history_total: total,
        max_rooms_per_client: 10_000,
        ..options()
    }
}

#[test]
fn what_all_rooms_keep_is_counted_right_whatever_they_go_through() {
    const TOTAL: usize = 200 * KIB;
    let (mut world, id) = world(keeping(TOTAL), usize::MAX);
    let rooms = Rc::clone(&world.shards[0].0).rooms.clone();
    let mut random = Random::new(7);
    for step in 0..20_000 {
        let room = random.below(100).to_string();
        match random.below(10) {
            0 => _ = world.handle.join(id, &room),
            1 => _ = world.handle.leave(id, &room),
            2 if rooms.by_name(&room).is_some() => {
                let Position { epoch, offset } = world.handle.position(&room).unwrap();
                let offset = offset.saturating_sub(random.below(4) as u64);
                world.handle.trim(&room, Position { epoch, offset }).unwrap();
            }
            3 => world.handle.forget(&room).unwrap(),
            _ => {
                let len = random.pick(&[1, 100, 1000, 40_000]);
                world.handle.publish(&room, Kind::Binary, &vec![0; len]).unwrap();
                assert!(rooms.kept().1 <= TOTAL, "{:?} in step {step}", rooms.kept());
            }
        }
        let (counted, kept) = rooms.kept();
        // A room that has got its first subscriber or lost its last counts from the tick on.
        world.tick_once();
        assert_eq!(counted, kept, "step {step}");
        // Beyond it, the next message makes space. What a room costs that has become idle comes first.
        assert!(kept <= TOTAL + 100 * 512, "{kept} bytes in step {step}");
        let [all, by_name, by_id, idle] = rooms.sizes();
        assert!(all == by_name && all == by_id && idle <= all, "step {step}");
        assert_eq!(all as u64, world.handle.stats().rooms, "step {step}");
    }
}

#[test]
fn a_room_that_grows_gives_way_itself_when_all_rooms_keep_too_much() {
    const TOTAL: usize = 1024 * KIB;
    let (mut world, id) = world(keeping(TOTAL), usize::MAX);
    let rooms = Rc::clone(&world.shards[0].0).rooms.clone();
    // So many that few of them are compared, and all have a subscriber.
    for room in 0..500 {
        world.handle.join(id, &format!("small {room}")).unwrap();
        world.handle.publish(&format!("small {room}"), Kind::Binary, &[0; KIB]).unwrap();
    }
    world.handle.join(id, "growing").unwrap();
    world.tick_once();
    for count in 0..500 {
        world.handle.publish("growing", Kind::Binary, &[0; 4 * KIB]).unwrap();
        let (_, kept) = rooms.kept();
        assert!(kept <= TOTAL, "{kept} bytes after {count} messages");
        world.tick_once();
    }
    let kept = |name: &str| rooms.by_name(name).unwrap().history_bytes();
    let small = (0..500).filter(|room| kept(&format!("small {room}")) > 0).count();
    assert_eq!(small, 500, "small rooms that have kept what they had");
    assert!(kept("growing") > 300 * KIB, "{}", kept("growing"));
}

#[test]
fn rooms_that_nobody_is_in_are_given_back_when_their_history_has_aged() {
    let world = World::with(keeping(64 << 20), Random::new(1));
    let rooms = Rc::clone(&world.shards[0].0).rooms.clone();
    for number in 0..1000 {
        world.handle.publish(&format!("room {number}"), Kind::Text, b"x").unwrap();
    }
    world.age(HOUR);
    assert_eq!(rooms.sizes(), [1000; 4]);
    world.age(Duration::from_millis(10));
    assert_eq!(rooms.sizes(), [0; 4]);
    assert_eq!((rooms.kept(), world.handle.stats().rooms), ((0, 0), 0));
}

#[test]
fn rooms_are_not_kept_without_a_history() {
    let (mut world, id) = world(options(), usize::MAX);
    let rooms = Rc::clone(&world.shards[0].0).rooms.clone();
    let client = connect(&mut world, "b", usize::MAX);
    for number in 0..100_000 {
        world.handle.publish(&format!("room {number}"), Kind::Text, b"x").unwrap();
    }
    assert_eq!(rooms.sizes(), [2, 2, 2, 0]);
    for round in 0..1000 {
        let room = format!("visited {round}");
        for id in [id, client] {
            world.handle.join(id, &room).unwrap();
            world.handle.leave(id, &room).unwrap();
        }
        world.tick_once();
        assert_eq!(rooms.sizes(), [2, 2, 2, 0], "round {round}");
    }
    assert_eq!((rooms.kept(), world.handle.stats().rooms), ((0, 0), 2));
}

#[test]
fn a_room_that_was_just_left_is_kept_while_others_can_give_way_and_the_last_message_always() {
    const TOTAL: usize = 300 * KIB;
    let options = Options { max_message_size: 250 * KIB, ..keeping(TOTAL) };
    let (mut world, id) = world(options, usize::MAX);
    let rooms = Rc::clone(&world.shards[0].0).rooms.clone();
    let kept = |name: &str| rooms.by_name(name).map_or(0, |room| room.history_bytes());
    let publish = |world: &World, room: &str, len: usize| {
        world.handle.publish(room, Kind::Binary, &vec![0; len]).unwrap();
        assert!(rooms.kept().1 <= TOTAL, "{:?}", rooms.kept());
        assert!(kept(room) >= len, "what was just published to {room} is there");
    };
    // A room in use, one that was left, and then rooms that nobody was in.
    world.handle.join(id, "left").unwrap();
    world.tick_once();
    (0..20).for_each(|_| publish(&world, "left", KIB));
    (0..100).for_each(|_| publish(&world, "a", KIB));
    world.handle.leave(id, "left").unwrap();
    world.tick_once();
    let (left, used) = (kept("left"), kept("a"));
    for room in 0..200 {
        publish(&world, &format!("host {room}"), 5 * KIB);
    }
    assert!(kept("host 0") == 0 && kept("host 199") > 0, "the longest idle go first");
    assert_eq!((kept("left"), kept("a")), (left, used));
    // The rooms of the host go, and then large rooms give way, before the room that was left.
    publish(&world, "a", 150 * KIB);
    assert_eq!((kept("host 0"), kept("left")), (0, left));
    publish(&world, "a", 250 * KIB);
    assert!(kept("left") > 0 && kept("a") < 275 * KIB);
    // There is no other way.
    publish(&world, "new", 250 * KIB);
    publish(&world, "newer", 250 * KIB);
    assert_eq!(kept("new"), 0);
    let begun = Instant::now();
    for _ in 0..50 {
        publish(&world, "a", 250 * KIB);
        publish(&world, "new", 250 * KIB);
    }
    assert!(begun.elapsed() < Duration::from_secs(10));
}

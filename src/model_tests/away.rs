//! Clients that come back after minutes, an hour, a day: what the rooms have kept for them, by a clock that the test
//! advances.

use std::{rc::Rc, time::Duration};

use super::{
    random::Random,
    setting::{KIB, objects, options, read_all},
    world::World,
};
use crate::{
    event::ClientId,
    fanout::form::Form,
    frame::Kind,
    options::Options,
    past::Since,
    position::Position,
    protocol::{Asked, Protocol},
    transport::scripted::Scripted,
};

pub(super) const MOMENT: Duration = Duration::from_nanos(1);
pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);

/// How much later than the age of its last message a room is forgotten.
pub(super) const MARGIN: Duration = Duration::from_millis(10);

/// How many messages a room keeps at most.
pub(super) const WINDOW: usize = 5;

/// How much all rooms keep at most, in bytes.
const TOTAL: usize = 64 * KIB;

pub(super) fn new_world(seed: u64) -> World {
    let options = Options {
        history_messages: WINDOW,
        history_total: TOTAL,
        max_message_size: 8 * KIB,
        ..options()
    };
    World::with(options, Random::new(seed))
}

/// What a client is told when it enters a room: whether it recovers, how many messages it gets, and where it stands
/// then.
pub(super) type Told = (Option<Result<(), String>>, usize, Position);

/// A client of the JSON form comes to a room, with the last position that it has seen of it, if it has one.
pub(super) fn come(world: &mut World, room: &str, since: Option<Position>) -> (ClientId, Told) {
    let since = since.map(Since::Position);
    let asked = Asked { since, ..Asked::new(room.into(), Form::Json) };
    let id = world.connect_asking(0, Scripted::new(0), &asked);
    world.peer(id).client.out().open();
    world.tick_once();
    let told = objects(&read_all(world, id));
    let [welcome, entered, messages @ .., live] = &told[..] else { panic!("{told:?}") };
    let types = [welcome, entered, live].map(|it| it["type"].as_str().unwrap());
    assert_eq!(types, ["welcome", "entered", "live"]);
    let position = |it: &serde_json::Value| it["position"].as_str().unwrap().parse().unwrap();
    let before: Position = position(entered);
    for (offset, message) in (before.offset + 1..).zip(messages) {
        assert_eq!(position(message), Position { offset, ..before });
    }
    let recovered = entered["recovered"].as_bool().map(|recovered| {
        let reason = entered["reason"].as_str().map(str::to_owned);
        if recovered { Ok(()) } else { Err(reason.expect("a reason")) }
    });
    let offset = before.offset + messages.len() as u64;
    (id, (recovered, messages.len(), Position { offset, ..before }))
}

/// A client is cut.
pub(super) fn go(world: &mut World, id: ClientId) {
    world.peer(id).client.out().abort(1006, "cut");
    world.notice_ends();
    world.tick_once();
}

/// A client publishes to its room.
pub(super) fn say(world: &mut World, id: ClientId) {
    let (shard, client) = (Rc::clone(&world.shards[0].0), Rc::clone(&world.peer(id).client));
    Protocol::Json.message(&shard, &client, Kind::Text, br#"{"text":"x"}"#).unwrap();
    world.tick_once();
}

/// The host publishes to so many new rooms that all who can give way have done so.
pub(super) fn press(world: &mut World, count: &mut u64) {
    for _ in 0..2 * TOTAL / (4 * KIB) {
        *count += 1;
        let room = format!("host {count}");
        world.handle.publish(&room, Kind::Binary, &[0; 4 * KIB]).unwrap();
    }
}

/// A room in which a client has published 3 messages, of which it has seen `seen` when it leaves.
fn left(seen: u64) -> (World, Position) {
    let mut world = new_world(1);
    let (id, (_, _, at)) = come(&mut world, "a", None);
    (0..3).for_each(|_| say(&mut world, id));
    go(&mut world, id);
    (world, Position { offset: seen, ..at })
}

#[test]
fn who_comes_back_within_the_age_of_messages_gets_what_it_lacks_and_later_is_told_that_it_is_trimmed()
 {
    let trimmed = || Some(Err("trimmed".to_owned()));
    for (away, seen, expected) in [
        (MINUTE, 1, (Some(Ok(())), 2)),
        (HOUR, 0, (Some(Ok(())), 3)),
        (HOUR, 2, (Some(Ok(())), 1)),
        (HOUR + MOMENT, 2, (trimmed(), 0)),
        (HOUR + MOMENT, 3, (Some(Ok(())), 0)),
        (HOUR + MARGIN, 2, (trimmed(), 0)),
        (23 * HOUR, 2, (trimmed(), 0)),
    ] {
        let (mut world, seen) = left(seen);
        world.age(away);
        let (_, (recovered, count, at)) = come(&mut world, "a", Some(seen));
        assert_eq!((recovered, count), expected, "{away:?}, {seen}");
        assert_eq!(at, Position { offset: 3, ..seen });
    }
}

#[test]
fn who_has_everything_recovers_for_a_day_after_the_room_was_forgotten() {
    // The worst case for the server is a room that is forgotten when the places of another day begin.
    for (begun, until) in [(Duration::ZERO, 2 * DAY), (DAY - HOUR - MARGIN - MOMENT, 2 * DAY)] {
        for (back, is_known) in [
            (begun + HOUR, true),
            (begun + HOUR + MARGIN, true),
            (begun + HOUR + MARGIN + DAY, true),
            (until - MOMENT, true),
            (until, false),
            (7 * DAY, false),
        ] {
            let mut world = new_world(1);
            world.age(begun);
            let (id, _) = come(&mut world, "a", None);
            (0..3).for_each(|_| say(&mut world, id));
            go(&mut world, id);
            let seen = world.handle.shared.rooms.by_name("a").unwrap().position();
            world.age(back - begun);
            let (_, (recovered, count, at)) = come(&mut world, "a", Some(seen));
            let why = if is_known { Ok(()) } else { Err("epoch".to_owned()) };
            assert_eq!((recovered, count), (Some(why), 0), "from {begun:?} to {back:?}");
            assert_eq!(at == seen, is_known);
            assert_eq!(at.offset, if is_known { 3 } else { 0 });
        }
    }
}

#[test]
fn a_room_is_kept_for_as_long_as_its_last_message() {
    let (world, _) = left(3);
    let rooms = || world.handle.stats().rooms;
    world.age(HOUR + MARGIN - MOMENT);
    assert_eq!(rooms(), 1);
    world.age(MOMENT);
    assert_eq!(rooms(), 0);
}

#[test]
fn a_room_that_was_left_within_two_minutes_keeps_its_messages_though_all_rooms_keep_too_much() {
    for (away, is_kept) in [
        (Duration::ZERO, true),
        (2 * MINUTE - MOMENT, true),
        (2 * MINUTE, false),
        (3 * MINUTE, false),
    ] {
        let (mut world, seen) = left(1);
        world.age(away);
        press(&mut world, &mut 0);
        let (_, (recovered, count, at)) = come(&mut world, "a", Some(seen));
        let why = if is_kept { Ok(()) } else { Err("trimmed".to_owned()) };
        assert_eq!((recovered, count), (Some(why), if is_kept { 2 } else { 0 }), "{away:?}");
        assert_eq!(at, Position { offset: 3, ..seen });
    }
}

#[test]
fn rooms_that_clients_make_up_displace_no_room_whose_position_somebody_holds() {
    let (mut world, seen) = left(3);
    world.age(HOUR + MARGIN);
    let (id, _) = come(&mut world, "own", None);
    for number in 0..140_000 {
        // A client of the JSON form is told where the room stands, and leaves.
        let room = format!("made up {number}");
        world.handle.join(id, &room).unwrap();
        world.handle.leave(id, &room).unwrap();
        if number % 20 == 0 {
            world.tick_once();
            read_all(&mut world, id);
        }
    }
    world.tick_once();
    let (last, (_, _, empty)) = come(&mut world, "made up", None);
    go(&mut world, last);
    assert_eq!(world.handle.stats().rooms, 1);
    let (_, (recovered, ..)) = come(&mut world, "a", Some(seen));
    assert_eq!(recovered, Some(Ok(())));
    assert_eq!(world.handle.position("made up").unwrap(), empty, "the last of them is known too");
}

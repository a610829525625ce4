//! What a tick may do at most, so that no room, client or host waits for another.

use std::{cell::Cell, rc::Rc, sync::Arc, time::Duration};

use super::{
    served::Served,
    setting::{KIB, connect, options, pass, texts, world},
    world::World,
};
use crate::{
    event::{ClientId, Event},
    frame::Kind,
    options::Options,
    protocol::Protocol,
    reactor::Next,
    shard::Tick,
};

/// A world with many clients in the room "large", all of which read.
pub(super) fn large_room(count: usize) -> (World, Vec<ClientId>) {
    let (mut world, _) = world(options(), usize::MAX);
    let clients = (0..count).map(|_| connect(&mut world, "large", usize::MAX)).collect();
    (world, clients)
}

/// Ticks once, and counts the writes to these clients.
fn writes_of_a_tick(world: &mut World, clients: &[ClientId]) -> usize {
    let mut count =
        || -> usize { clients.iter().map(|id| world.peer(*id).script.writes.get()).sum() };
    let before = count();
    world.tick_once();
    let mut count =
        || -> usize { clients.iter().map(|id| world.peer(*id).script.writes.get()).sum() };
    count() - before
}

#[test]
fn a_flood_of_sends_starves_no_room_and_a_busy_room_no_send() {
    let (mut world, id) = world(options(), usize::MAX);
    let other = connect(&mut world, "b", usize::MAX);
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
        let join = |_| connect(&mut world, room, usize::MAX);
        let clients: Vec<_> = (0..100).map(join).collect();
        flooders.push(Rc::clone(&world.peer(clients[0]).client));
    }
    let message = [b'x'; KIB];
    let mut arrived = None;
    for tick in 0..2000 {
        for flooder in &flooders {
            let queue = flooder.queue(&shard.rooms);
            if !shard.rooms.is_queue_full(queue) && shard.may_read(flooder, false) {
                (0..8).for_each(|_| {
                    _ = Protocol::Plain.message(&shard, flooder, Kind::Binary, &message)
                });
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
    // A thousand and some in each tick.
    assert!((9..=10).contains(&ticks), "{ticks} ticks");
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
        Protocol::Plain
            .message(&shard, &client, Kind::Text, number.to_string().as_bytes())
            .unwrap();
    }
    let tick = &mut world.shards[0].1;
    while !matches!(shard.tick(tick, &|_, _| ()), Next::Park) {}
    assert_eq!(texts(&world.peer(id).script.received()).len(), 10);
}

#[test]
fn between_two_polls_32_clients_of_a_large_room_are_written_to_and_later_256() {
    let (mut world, clients) = large_room(2000);
    // Each burst begins with a short tick.
    for _ in 0..2 {
        world.handle.publish("large", Kind::Text, b"to many").unwrap();
        let writes: Vec<_> = (0..20)
            .map(|_| writes_of_a_tick(&mut world, &clients))
            .take_while(|it| *it > 0)
            .collect();
        assert_eq!(writes[..4], [32, 64, 128, 256]);
        assert!(writes[4..].iter().all(|count| *count <= 256), "{writes:?}");
        assert_eq!(writes.iter().sum::<usize>(), 2000);
    }
}

#[test]
fn a_tick_may_write_for_four_times_as_long_as_the_poll_before_it() {
    let (mut world, clients) = large_room(3000);
    world.handle.publish("large", Kind::Text, b"to many").unwrap();
    assert_eq!(writes_of_a_tick(&mut world, &clients), 32);
    // A flood takes a millisecond to read. A write takes five microseconds.
    pass(&world, Duration::from_millis(1));
    let writes = writes_of_a_tick(&mut world, &clients);
    assert!((700..=900).contains(&writes), "{writes} writes");
    assert!(writes_of_a_tick(&mut world, &clients) <= 256, "it holds for one tick");
}

#[test]
fn long_messages_make_the_parts_of_a_round_smaller() {
    let (mut world, clients) = large_room(200);
    world.handle.publish("large", Kind::Binary, &[0; 256 * KIB]).unwrap();
    // 256 KiB cost as much as seventeen writes.
    for most in [2, 4, 8, 16, 16] {
        let writes = writes_of_a_tick(&mut world, &clients);
        assert!((1..=most).contains(&writes), "{writes} writes of 256 KiB, not {most}");
    }
}

#[test]
fn a_small_room_waits_for_a_part_of_a_large_one() {
    let (mut world, clients) = large_room(5000);
    let small = connect(&mut world, "small", usize::MAX);
    for _ in 0..3 {
        world.handle.publish("large", Kind::Text, b"to many").unwrap();
        // In the middle of the round, where the parts are largest.
        (0..6).for_each(|_| world.tick_once());
        world.handle.publish("small", Kind::Text, b"to one").unwrap();
        let writes: usize = (0..2).map(|_| writes_of_a_tick(&mut world, &clients)).sum();
        assert!(writes <= 512, "{writes}");
        assert_eq!(texts(&world.peer(small).script.received()), ["to one"]);
    }
}

#[test]
fn sends_to_many_clients_leave_a_room_half_of_a_tick() {
    let (mut world, clients) = large_room(1000);
    let small = connect(&mut world, "small", usize::MAX);
    for id in &clients {
        world.handle.send(*id, Kind::Text, b"to each").unwrap();
    }
    world.handle.publish("small", Kind::Text, b"to the room").unwrap();
    let sent = writes_of_a_tick(&mut world, &clients);
    assert!((14..=16).contains(&sent), "{sent} sends");
    assert_eq!(texts(&world.peer(small).script.received()), ["to the room"]);
}

#[test]
fn eight_connections_begin_in_a_tick() {
    let mut served = Served::new(options());
    let _clients: Vec<_> = (0..20).map(|_| served.connect()).collect();
    let begun = Cell::new(0);
    for expected in [8, 8, 4, 0] {
        let (shard, tick) = &mut served.world.shards[0];
        let _ = shard.tick(tick, &|_, _| begun.set(begun.get() + 1));
        assert_eq!(begun.take(), expected);
    }
}

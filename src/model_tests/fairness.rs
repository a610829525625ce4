//! What a tick may do at most, so that no room, client or host waits for another.

use std::rc::Rc;

use super::setting::{KIB, connect, options, texts, world};
use crate::{
    frame::Kind,
    options::Options,
    protocol::{Plain, Protocol},
    reactor::Next,
    shard::Tick,
};

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
                (0..8).for_each(|_| Plain.message(&shard, flooder, Kind::Binary, &message));
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
    shard.leave_all_rooms(&client);
    let mut ticks = 0;
    while client.rooms() > 0 {
        let before = client.rooms();
        world.tick_once();
        assert!(before - client.rooms() <= 100, "{} at once", before - client.rooms());
        ticks += 1;
    }
    assert!(ticks > 5, "{ticks} ticks");
    assert_eq!(world.handle.stats().rooms, 0);
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

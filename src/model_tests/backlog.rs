//! How much may wait on its way: in an inbox, in the lanes, in sends.

use std::rc::Rc;

use super::{
    fairness::large_room,
    setting::{KIB, connect, options, world},
};
use crate::{error::Error, frame::Kind, protocol::Protocol};

#[test]
fn what_the_host_publishes_too_fast_waits_in_the_inbox_and_then_the_host_waits() {
    let (mut world, _) = large_room(300);
    let shard = Rc::clone(&world.shards[0].0);
    let (mut published, mut most) = (0, 0);
    for _ in 0..50 {
        loop {
            match world.handle.publish("large", Kind::Binary, &[0; KIB]) {
                Ok(_) => published += 1,
                Err(error) => {
                    assert!(matches!(error, Error::QueueFull), "{error}");
                    break;
                }
            }
        }
        world.tick_once();
        most = most.max(shard.waiting_bytes());
    }
    // A queue, what was taken before, and what has been written since: at most 256 KiB a tick.
    assert!(published <= 2 * 16_384 + 50 * 256, "{published} messages");
    assert!((128 * KIB..=258 * KIB).contains(&most), "{most} bytes wait in the lanes");
}

#[test]
fn while_128_kib_wait_in_the_lanes_and_in_sends_no_commands_are_taken() {
    let (mut world, clients) = large_room(220);
    let shard = Rc::clone(&world.shards[0].0);
    for id in &clients {
        world.handle.send(*id, Kind::Binary, &[0; KIB]).unwrap();
    }
    world.tick_once();
    let mut waited = 0;
    while shard.waiting_bytes() > 0 {
        world.handle.set_echo(clients[0], true).unwrap();
        let has_backlog = shard.waiting_bytes() >= 128 * KIB;
        world.tick_once();
        assert_eq!(shard.handle.holds_any_input(), has_backlog, "{} bytes", shard.waiting_bytes());
        waited += usize::from(has_backlog);
    }
    assert!(waited > 0);
}

#[test]
fn what_clients_and_the_host_say_too_fast_is_bounded_on_its_way() {
    const ROOMS: usize = 80;
    let (mut world, id) = world(options(), usize::MAX);
    let shard = Rc::clone(&world.shards[0].0);
    let mut flooders = Vec::new();
    for room in 0..ROOMS {
        let room: &'static str = Box::leak(room.to_string().into_boxed_str());
        let clients: Vec<_> = (0..20).map(|_| connect(&mut world, room, usize::MAX)).collect();
        flooders.push(Rc::clone(&world.peer(clients[0]).client));
    }
    let mut most = 0;
    for tick in 0..300 {
        // Each says a little, so that all rooms have something that waits.
        for flooder in flooders.iter().cycle().take(30 * ROOMS) {
            let queue = flooder.queue(&shard.rooms);
            if !shard.rooms.is_queue_full(queue) && shard.may_read(flooder, false) {
                Protocol::Plain.message(&shard, flooder, Kind::Binary, &[b'x'; KIB]).unwrap();
            }
        }
        // After a pause, the host may add as much as was not added meanwhile.
        while tick % 20 == 0 && world.handle.send(id, Kind::Binary, &[0; KIB]).is_ok() {}
        world.tick_once();
        most = most.max(shard.waiting_bytes());
    }
    // 1 MiB of clients' messages, and 128 KiB of the host's.
    assert!(most > 1024 * KIB && most <= (1024 + 128 + 4) * KIB, "{} KiB", most / KIB);
}

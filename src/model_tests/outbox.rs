//! How much is kept for a client that does not read, and who is told of what is not.

use std::rc::Rc;

use super::{
    random::Random,
    setting::{ENDLESS, KIB, connect, events, frames, options, read, read_all, told_of, world},
    world::World,
};
use crate::{
    event::ClientId,
    fanout::form::Form,
    frame::Kind,
    handle::Handle,
    options::{Options, SlowConsumer},
    transport::scripted::Scripted,
};

/// A way by which something comes to wait for a client in the rooms "a" and "b": one write each time.
type Step = fn(&Handle, ClientId);

/// All ways, by name.
const STEPS: [(&str, Step); 6] = [
    ("short messages", |handle, _| _ = handle.publish("a", Kind::Binary, &[0; 10]).unwrap()),
    ("messages", |handle, _| _ = handle.publish("a", Kind::Binary, &[0; KIB]).unwrap()),
    ("long messages", |handle, _| _ = handle.publish("a", Kind::Binary, &[0; 40 * KIB]).unwrap()),
    ("broadcasts", |handle, _| handle.broadcast(Kind::Binary, &[0; KIB]).unwrap()),
    ("sends", |handle, id| handle.send(id, Kind::Binary, &[0; KIB]).unwrap()),
    ("messages of several rooms", |handle, _| {
        handle.publish("a", Kind::Binary, &[0; 500]).unwrap();
        handle.publish("b", Kind::Binary, &[0; 500]).unwrap();
    }),
];

const SIZE: usize = 400 * KIB;

/// What keeping one write costs beside its bytes, as it is documented.
const KEPT_BESIDE: usize = 130;

/// A client in two rooms that reads nothing, and whose outbox holds `SIZE`.
fn stuck(policy: SlowConsumer) -> (World, ClientId) {
    let options = Options {
        max_message_size: 40 * KIB,
        outbox_size: SIZE,
        slow_consumer: policy,
        event_queue: 100_000,
        ..options()
    };
    let (mut world, id) = world(options, 0);
    world.handle.join(id, "b").unwrap();
    world.tick_once();
    (world, id)
}

#[test]
fn what_a_client_does_not_read_is_kept_up_to_outbox_size_and_then_it_is_closed() {
    for (name, step) in STEPS {
        let (mut world, id) = stuck(SlowConsumer::Disconnect);
        let (handle, out) = (world.handle.clone(), Rc::clone(world.peer(id).client.out()));
        let (mut kept, mut last) = (0, 0);
        while out.is_open() {
            let before = handle.stats().bytes_delivered;
            step(&handle, id);
            world.tick_once();
            last = (handle.stats().bytes_delivered - before) as usize + KEPT_BESIDE;
            kept += last;
            assert!(kept <= SIZE * 103 / 100 + 2 * last, "{name}: {kept} bytes wait");
        }
        assert!(kept - last > SIZE * 9 / 10 - last, "{name}: closed after {kept} bytes");
        assert_eq!(out.disconnect().unwrap().code, 1013, "{name}");
        let stats = handle.stats();
        assert_eq!((stats.slow_consumers, stats.messages_dropped), (1, stats.messages_delivered));
        let received = frames(&read_all(&mut world, id));
        assert!(matches!(received[..], [(0x88, _)]), "{name}: the close frame comes next");
    }
}

#[test]
fn what_a_client_does_not_read_is_kept_up_to_outbox_size_and_then_the_oldest_is_dropped() {
    for (name, step) in STEPS {
        let (mut world, id) = stuck(SlowConsumer::DropOldest);
        let handle = world.handle.clone();
        let mut steps = 0;
        // Three times what fits.
        while handle.stats().bytes_delivered as usize + steps * KEPT_BESIDE < 3 * SIZE {
            step(&handle, id);
            world.tick_once();
            steps += 1;
        }
        let (sent, dropped) = (handle.stats().messages_delivered, handle.stats().messages_dropped);
        assert_eq!(told_of(&events(&world)), dropped, "{name}: the host is told of each");
        let received = read_all(&mut world, id);
        let count = frames(&received).len() as u64;
        assert_eq!(count + dropped, sent, "{name}: each is received or dropped");
        let writes = steps * count as usize / sent as usize;
        let kept = received.len() + writes * KEPT_BESIDE;
        let one = handle.stats().bytes_delivered as usize / steps + KEPT_BESIDE;
        // "About 130 bytes": within 3%.
        assert!((SIZE - 2 * one..=SIZE * 103 / 100).contains(&kept), "{name}: {kept} were kept");
        assert_eq!(handle.stats().slow_consumers, 0, "{name}");
    }
}

#[test]
fn what_a_transport_owes_its_socket_counts_as_waiting() {
    // A frame, and what keeps it. The first was begun: 1,000 bytes are owed, and its rest waits.
    const ONE: usize = KIB + 4 + 128;
    for policy in [SlowConsumer::Disconnect, SlowConsumer::DropOldest] {
        let options = Options {
            max_message_size: 10 * KIB,
            outbox_size: 90 * ONE + 200,
            slow_consumer: policy,
            ..options()
        };
        let mut world = World::with(options, Random::new(1));
        let script = Scripted::new(0);
        script.owes.set(true);
        let id = world.connect_with(0, script, Form::Plain, true, "a");
        for count in 1..=91 {
            assert_eq!(world.handle.stats().messages_dropped, 0, "message {count} does not fit");
            world.handle.publish("a", Kind::Binary, &[0; KIB]).unwrap();
            world.tick_once();
        }
        assert!(world.handle.stats().messages_dropped > 0, "{policy:?}");
        assert_eq!(world.peer(id).client.out().is_open(), policy == SlowConsumer::DropOldest);
    }
}

#[test]
fn a_client_that_reads_slowly_and_steadily_is_no_slow_consumer() {
    let (mut world, id) = stuck(SlowConsumer::Disconnect);
    // Frames are cut.
    let mut received = read(&mut world, id, KIB / 2).len();
    // Half of what fits waits all the time, while 20 times of it pass.
    for number in 0..20 * SIZE / KIB {
        world.handle.publish("a", Kind::Binary, &[0; KIB]).unwrap();
        if number >= SIZE / KIB / 2 {
            received += read(&mut world, id, KIB + 4).len();
        }
        world.tick_once();
        assert!(world.peer(id).client.out().is_open(), "message {number}");
    }
    received += read_all(&mut world, id).len();
    assert_eq!(received, 20 * SIZE / KIB * (KIB + 4));
}

#[test]
fn a_tick_writes_a_part_of_what_waits_for_clients_that_read_again() {
    const COUNT: usize = 3000;
    let (mut world, first) = world(options(), 0);
    let second = connect(&mut world, "b", 0);
    for _ in 0..COUNT {
        for room in ["a", "b"] {
            world.handle.publish(room, Kind::Binary, &[0; KIB]).unwrap();
            world.tick_once();
        }
    }
    let ids = [first, second];
    for id in ids {
        world.peer(id).script.add_room(ENDLESS);
        world.shards[0].0.note_writable(id);
    }
    let mut received = [0, 0];
    for tick in 0..8 {
        world.tick_once();
        let now = ids.map(|id| world.peer(id).script.received().len());
        // Half of a tick's budget: of 32 writes at first, and as soon as nothing waits in rooms.
        assert!(now[0] + now[1] <= 4 * 65 * KIB, "{now:?} in tick {tick}");
        received = [received[0] + now[0], received[1] + now[1]];
        assert!(received[0].abs_diff(received[1]) <= 65 * KIB, "in turn: {received:?}");
        assert!(received[0] > tick * 65 * KIB, "{received:?} in tick {tick}");
    }
    for (id, so_far) in ids.into_iter().zip(received) {
        assert_eq!(so_far + read_all(&mut world, id).len(), COUNT * (KIB + 4));
    }
}

#[test]
fn the_host_is_told_of_each_dropped_message_once_it_takes_its_events_again() {
    let policy = SlowConsumer::DropOldest;
    let options = Options {
        max_message_size: 10 * KIB,
        outbox_size: 20 * KIB,
        slow_consumer: policy,
        event_queue: 1,
        ..options()
    };
    let (mut world, id) = world(options, 0);
    let mut told = 0;
    for round in 1..=3 {
        // One event is as many as fit.
        world.handle.join(id, "b").unwrap();
        world.handle.leave(id, "b").unwrap();
        world.tick_once();
        for _ in 0..50 {
            world.handle.publish("a", Kind::Binary, &[0; KIB]).unwrap();
            world.tick_once();
        }
        let behind = events(&world);
        assert_eq!(told_of(&behind), 0, "round {round}: the queue was full");
        let dropped = world.handle.stats().messages_dropped;
        assert!(dropped > told, "round {round}");
        // It is told at the next drop, or when the client has read all.
        if round == 2 {
            world.handle.publish("a", Kind::Binary, &[0; KIB]).unwrap();
            world.tick_once();
        } else {
            read_all(&mut world, id);
        }
        let events = events(&world);
        told += told_of(&events);
        assert_eq!(told, world.handle.stats().messages_dropped, "round {round}: {events:?}");
    }
}

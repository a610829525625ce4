//! What comes and goes leaves nothing behind: the sizes of a shard's tables.

use std::{rc::Rc, time::Duration};

use super::{
    random::Random,
    served::{Served, ask, masked},
    setting::{connect, events, options, pass, read_all},
    world::World,
};
use crate::{
    event::Event,
    fanout::form::Form,
    frame::Kind,
    options::{Options, Overdue},
    protocol::Protocol,
    shard::Shard,
    transport::scripted::Scripted,
};

/// The tables that are not empty.
fn left_in(shard: &Shard) -> Vec<(&'static str, usize)> {
    shard.table_sizes().into_iter().filter(|(_, size)| *size > 0).collect()
}

#[test]
fn clients_that_come_and_go_leave_nothing_behind() {
    let options = Options { outbox_age: Duration::from_secs(5), ..options() };
    let mut world = World::with(options, Random::new(1));
    let shard = Rc::clone(&world.shards[0].0);
    let mut most = 0;
    for round in 0..8000 {
        let id = connect(&mut world, "a", if round % 2 == 0 { 0 } else { usize::MAX });
        let client = Rc::clone(&world.peer(id).client);
        shard.start_pings(&client);
        // It speaks behind the host, in two rooms, is sent something, lags, and is gone.
        world.handle.join(id, "b").unwrap();
        for identity in [["ana", "bob", ""][round % 3], ["bob", "ana"][round % 2]] {
            world.handle.set_identity(id, identity).unwrap();
        }
        world.handle.publish("a", Kind::Text, b"host").unwrap();
        Protocol::Plain.message(&shard, &client, Kind::Text, b"client").unwrap();
        world.tick_once();
        world.handle.send(id, Kind::Text, b"to it").unwrap();
        world.tick_once();
        if round % 4 == 0 {
            read_all(&mut world, id);
        }
        client.out().abort(1006, "gone");
        world.notice_ends();
        pass(&world, Duration::from_millis(100));
        world.tick_once();
        most = most.max(shard.table_sizes().iter().map(|(_, size)| *size).max().unwrap());
    }
    // Pings of clients that are gone are dropped now and then, and outboxes' times when they are due.
    assert!(most <= 100 * 65, "{most} entries in a table");
    pass(&world, Duration::from_secs(10));
    let left = left_in(&shard);
    assert!(left.iter().all(|(table, _)| *table == "pings"), "{left:?}");
}

#[test]
fn a_client_that_lags_again_and_again_is_checked_once() {
    let (mut world, id) = super::setting::world(options(), 0);
    let shard = Rc::clone(&world.shards[0].0);
    for _ in 0..1000 {
        world.handle.publish("a", Kind::Text, b"x").unwrap();
        world.tick_once();
        pass(&world, Duration::from_millis(100));
        read_all(&mut world, id);
    }
    let lagging = shard.table_sizes().into_iter().find(|(table, _)| *table == "outboxes to check");
    assert!(lagging.unwrap().1 <= 1, "{lagging:?}");
}

#[test]
fn a_client_whose_socket_takes_what_is_said_first_is_not_among_those_that_are_checked() {
    let mut world = World::with(options(), Random::new(1));
    let shard = Rc::clone(&world.shards[0].0);
    let checked = || {
        let sizes = shard.table_sizes();
        sizes.into_iter().find(|(table, _)| *table == "outboxes to check").unwrap().1
    };
    for room in [usize::MAX, 10] {
        let id = world.connect_with(0, Scripted::new(room), Form::Json, true, "a");
        let waits = room == 10;
        assert_eq!(world.peer(id).client.out().has_outbox(), waits);
        assert_eq!(checked(), usize::from(waits));
    }
}

#[test]
fn connections_and_handshakes_that_end_leave_no_deadline() {
    let mut served = Served::new(options());
    let shard = served.shard();
    let before = left_in(&shard);
    for round in 0..500 {
        let mut stream = served.connect();
        match round % 5 {
            // It is gone before it asks, or asks for what is not there.
            0 => {}
            1 => ask(&mut stream, "/nowhere"),
            _ => {
                ask(&mut stream, "/");
                served.turns(2);
            }
        }
        if round % 5 == 3 {
            // A close frame with the code 1000.
            let close = [0x88, 0x82, 0, 0, 0, 0, 3, 232];
            std::io::Write::write_all(&mut stream, &close).unwrap();
            served.turns(2);
        }
        drop(stream);
        served.turns(6);
    }
    served.turns(10);
    // The watchers wait for the next ping of clients that are gone.
    let left = left_in(&shard);
    let others: Vec<_> = left.iter().filter(|(table, _)| *table != "pings").collect();
    assert!(others.iter().all(|(table, size)| *table == "deadlines" && *size <= 2), "{left:?}");
    assert!(before.len() <= 1, "{before:?}");
    let stats = served.world.handle.stats();
    assert_eq!((stats.connections, stats.handshakes, stats.rooms), (0, 0, 0));
    assert_eq!(shard.handle.load.get(), 0);
}

#[test]
fn decided_messages_leave_nothing_behind() {
    let options = Options {
        review_timeout: Duration::from_secs(3600),
        event_queue: 1 << 16,
        ping_interval: Duration::ZERO,
        ..options()
    };
    let mut served = Served::new(options);
    let shard = served.shard();
    let mut client = served.join("/");
    let deadlines = || {
        let sizes = shard.table_sizes();
        let size = |name| sizes.iter().find(|(table, _)| *table == name).unwrap().1;
        (size("deadlines of messages"), size("undecided messages"))
    };
    for round in 0..5000 {
        std::io::Write::write_all(&mut client, &masked("hello")).unwrap();
        served.turn();
        for event in events(&served.world) {
            if let Event::MessageRequest { decision, .. } = event {
                match round % 2 {
                    0 => served.world.handle.refuse(decision).unwrap(),
                    _ => served.world.handle.allow(decision).unwrap(),
                }
            }
        }
        served.turn();
        super::served::received(&mut client);
        assert!(deadlines().0 <= 1100, "{:?} in round {round}", deadlines());
    }
    assert_eq!(deadlines().1, 0);
    // What is undecided when its client has gone and the time is over is forgotten too.
    std::io::Write::write_all(&mut client, &masked("undecided").repeat(10)).unwrap();
    served.turns(2);
    assert_eq!(deadlines().1, 10);
    drop(client);
    served.turns(4);
    served.pass(Duration::from_secs(3600));
    served.turns(4);
    let left = left_in(&shard);
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(served.world.handle.stats().messages_refused, 2500 + 10);
}

#[test]
fn undecided_messages_of_a_stopping_server_are_forgotten() {
    let options = Options {
        review_timeout: Duration::from_secs(3600),
        event_queue: 1 << 16,
        ping_interval: Duration::ZERO,
        ..options()
    };
    let mut served = Served::new(options);
    let shard = served.shard();
    let mut client = served.join("/");
    std::io::Write::write_all(&mut client, &masked("undecided").repeat(10)).unwrap();
    served.turns(2);
    let asking = events(&served.world).into_iter().find_map(|event| match event {
        Event::MessageRequest { client, .. } => Some(client),
        _ => None,
    });
    // As its connection does that waits for no further decision.
    shard.reviews.forget(&shard, asking.unwrap());
    let sizes = shard.table_sizes();
    let size = |name| sizes.iter().find(|(table, _)| *table == name).unwrap().1;
    assert_eq!((size("undecided messages"), size("clients with undecided messages")), (0, 0));
    assert_eq!(served.world.handle.stats().messages_refused, 10);
}

#[test]
fn decided_clients_leave_nothing_behind() {
    for overdue in [Overdue::Refuse, Overdue::Allow] {
        let options = Options {
            admission_timeout: Duration::from_secs(60),
            event_queue: 1 << 16,
            ping_interval: Duration::ZERO,
            overdue,
            ..options()
        };
        let mut served = Served::new(options);
        let shard = served.shard();
        for round in 0..400 {
            let mut stream = served.connect();
            ask(&mut stream, "/rooms/a?history=5");
            served.turns(2);
            let id = events(&served.world).into_iter().find_map(|event| match event {
                Event::ConnectRequest { client, .. } => Some(client),
                _ => None,
            });
            let (id, handle) = (id.expect("it asks"), served.world.handle.clone());
            match round % 4 {
                0 => handle.accept(id).unwrap(),
                1 => handle.reject(id, 403, "no", &[]).unwrap(),
                2 => served.pass(Duration::from_secs(60)),
                // It is gone.
                _ => {}
            }
            served.turns(2);
            drop(stream);
            served.turns(6);
        }
        let left = left_in(&shard);
        assert!(left.is_empty(), "{overdue:?}: {left:?}");
        let stats = served.world.handle.stats();
        assert_eq!((stats.connections, stats.handshakes, stats.rooms), (0, 0, 0));
        assert_eq!((stats.admissions_rejected, stats.admissions_timed_out), (100, 100));
        let accepted = if overdue == Overdue::Allow { 200 } else { 100 };
        assert_eq!(stats.connections_accepted, accepted);
        assert_eq!(stats.connections_refused, 400 - accepted);
    }
}

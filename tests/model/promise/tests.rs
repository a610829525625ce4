//! The model itself: it takes what is promised, and finds each way to break it.

use super::{Client, Deed, Echo, Move, Publisher, Tag, World, check};

const ROOM: usize = 0;
const CLIENT: usize = 0;

fn publish(offset: u64) -> Deed {
    Deed::Publish { room: ROOM, offset }
}

fn host(number: usize) -> Tag {
    Tag { by: Publisher::Host(0), number }
}

/// A client in the room that saw these deeds of the host's one thread, and stayed.
fn world(deeds: &[Deed], received: &[usize]) -> World {
    let client = Client {
        owner: 0,
        room: ROOM,
        history: 0,
        echo: Echo::On,
        is_first: true,
        said: 0,
        own_close: None,
        has_vanished: false,
        may_be_cut: false,
        received: received.iter().copied().map(host).collect(),
        closed: Some(1001),
        heard: Vec::new(),
        moves: Vec::new(),
        dropped: 0,
        left: Some(1001),
    };
    let deeds = [&[Deed::Meet { client: CLIENT }], deeds].concat();
    World { rooms: 1, past: 0, drops: false, threads: vec![deeds], clients: vec![client] }
}

#[test]
fn a_stream_is_whole_in_order_and_without_doubles() {
    let deeds = [publish(1), Deed::Broadcast, publish(2), Deed::Send { client: CLIENT }];
    assert_eq!(check(&world(&deeds, &[1, 2, 3, 4])), Ok(()));
    let wrong: [&[usize]; 8] = [
        &[2, 3, 4],
        &[1, 3, 4],
        &[1, 2, 4],
        &[1, 2, 3],
        &[2, 1, 3, 4],
        &[1, 3, 2, 4],
        &[1, 1, 2, 3, 4],
        &[1, 2, 3, 4, 5],
    ];
    for received in wrong {
        assert!(check(&world(&deeds, received)).is_err(), "{received:?}");
    }
}

#[test]
fn what_is_published_between_join_and_leave_is_received_and_nothing_else() {
    let (client, room) = (CLIENT, ROOM);
    let (join, leave) = (Deed::Join { client, room }, Deed::Leave { client, room });
    let deeds = [publish(1), leave, publish(2), join, publish(3), leave, join, publish(4)];
    let mut right = world(&deeds, &[1, 5, 8]);
    right.clients[CLIENT].moves =
        [Move::Out, Move::In, Move::Out, Move::In].map(|it| (it, 0)).into();
    assert_eq!(check(&right), Ok(()));
    for received in [&[1, 5][..], &[1, 8], &[5, 8], &[1, 3, 5, 8]] {
        let mut wrong = right.clone();
        wrong.clients[CLIENT].received = received.iter().copied().map(host).collect();
        assert!(check(&wrong).is_err(), "{received:?}");
    }
    right.clients[CLIENT].moves.pop();
    assert!(check(&right).is_err(), "a move that was not told");
}

#[test]
fn what_is_dropped_is_told_to_the_last_message() {
    let deeds = [publish(1), publish(2), publish(3), Deed::Broadcast];
    let mut world = world(&deeds, &[1, 3]);
    world.drops = true;
    for (dropped, is_right) in [(1, false), (2, true), (3, false)] {
        world.clients[CLIENT].dropped = dropped;
        assert_eq!(check(&world).is_ok(), is_right, "{dropped}");
    }
}

#[test]
fn a_client_that_is_closed_has_all_from_before_and_nothing_else() {
    let disconnect = Deed::Disconnect { client: CLIENT, code: 4000 };
    let deeds = [publish(1), Deed::Broadcast, disconnect, publish(2), Deed::Broadcast];
    for (received, closed, is_right) in [
        (&[1, 2][..], Some(4000), true),
        (&[1], Some(4000), false),
        (&[1, 2, 4], Some(4000), false),
        (&[1, 2, 5], Some(4000), false),
        (&[1, 2], Some(1001), false),
        (&[1, 2], None, false),
        // As a slow consumer it lacks what was behind.
        (&[1], Some(1013), true),
        (&[2], Some(1013), false),
    ] {
        let mut world = world(&deeds, received);
        world.clients[CLIENT].closed = closed;
        world.clients[CLIENT].left = closed;
        assert_eq!(check(&world).is_ok(), is_right, "{received:?}, {closed:?}");
    }
}

#[test]
fn what_a_client_says_comes_back_if_it_has_an_echo_and_all_is_heard_before_its_close() {
    let own = Tag { by: Publisher::Client(CLIENT), number: 0 };
    for (echo, received, is_right) in [
        (Echo::On, &[host(1), own][..], true),
        (Echo::On, &[host(1)], false),
        (Echo::Off, &[host(1)], true),
        (Echo::Off, &[host(1), own], false),
        (Echo::Changes, &[host(1), own], true),
        (Echo::Changes, &[host(1)], true),
        (Echo::Changes, &[own], false),
    ] {
        let mut world = world(&[publish(1)], &[]);
        let client = &mut world.clients[CLIENT];
        (client.said, client.heard) = (1, vec![(Some(ROOM), 2)]);
        (client.echo, client.received) = (echo, received.to_vec());
        assert_eq!(check(&world).is_ok(), is_right, "{echo:?} {received:?}");
    }
    let mut world = world(&[], &[]);
    let client = &mut world.clients[CLIENT];
    (client.said, client.own_close, client.closed, client.left) = (1, Some(4), Some(4), Some(4));
    assert!(check(&world).is_err(), "a message that was said before the close frame");
    world.clients[CLIENT].heard = vec![(Some(ROOM), 1)];
    assert!(check(&world).is_err(), "it does not come back before the close frame");
    world.clients[CLIENT].received = vec![own];
    assert_eq!(check(&world), Ok(()));
    (world.clients[CLIENT].heard, world.clients[CLIENT].received) = (vec![(None, 0)], vec![]);
    assert_eq!(check(&world), Ok(()));
}

#[test]
fn a_batch_has_the_places_that_are_left_behind_each_other() {
    let batch = Deed::Batch { room: ROOM, run: 0 };
    assert_eq!(check(&world(&[batch, batch, publish(3)], &[1, 2, 3])), Ok(()));
    assert!(check(&world(&[batch, batch, publish(2)], &[1, 3, 2])).is_err());
    assert!(check(&world(&[publish(1), publish(1)], &[1, 2])).is_err());
    assert!(check(&world(&[publish(1), publish(3)], &[1, 2])).is_err());
}

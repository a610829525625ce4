//! Rooms that nobody is in: kept for as long as their history, and then forgotten by themselves.

mod peer;

use std::time::{Duration, Instant};

use chat::{Kind, Server};
use peer::{Peer, eventually, host::server_with};

const AGE: Duration = Duration::from_millis(500);

fn server() -> Server {
    server_with(|config| _ = config.history_age(AGE))
}

fn publish(server: &Server, room: &str) -> u64 {
    server.publish(room, Kind::Text, b"x").expect("the server runs")
}

fn rooms(server: &Server) -> u64 {
    server.stats().rooms
}

/// Waits until the last of a server's rooms is forgotten, which is when its history is too old: not before, and not
/// much later.
fn is_forgotten(server: &Server, published: Instant) {
    eventually("the room is forgotten", || rooms(server) == 0);
    // The clock of histories stands still for some milliseconds at a time.
    let after = published.elapsed() + Duration::from_millis(20);
    assert!(after >= AGE && after < AGE * 9 / 5, "{after:?}");
}

#[test]
fn a_room_of_the_host_is_forgotten_when_its_last_message_is_too_old() {
    let server = server();
    assert_eq!(publish(&server, "a"), 1);
    let published = Instant::now();
    assert_eq!(publish(&server, "a"), 2);
    is_forgotten(&server, published);
    assert_eq!(publish(&server, "a"), 1, "a new room");
}

#[test]
fn each_message_keeps_its_room_and_each_room_has_its_own_time() {
    let server = server();
    publish(&server, "early");
    let begun = Instant::now();
    let mut last = Instant::now();
    let mut count = 0;
    // "used" is noted as idle before "early" is forgotten, and goes on to be used.
    while begun.elapsed() < AGE * 2 {
        last = Instant::now();
        count += 1;
        assert_eq!(publish(&server, "used"), count);
        eventually("some time is over", || last.elapsed() > AGE / 10);
    }
    assert_eq!(rooms(&server), 1, "the other one is forgotten");
    is_forgotten(&server, last);
}

#[test]
fn a_room_whose_clients_have_left_is_forgotten_in_its_time() {
    let server = server();
    let mut client = Peer::join(server.local_addr(), "/rooms/a");
    client.say("last");
    assert_eq!(client.text(), "last");
    let said = Instant::now();
    client.leave();
    eventually("it has left", || server.stats().connections == 0);
    assert_eq!(rooms(&server), 1);
    is_forgotten(&server, said);
}

#[test]
fn a_room_is_not_forgotten_while_a_client_is_in_it_and_keeps_its_offsets() {
    let server = server();
    assert_eq!(publish(&server, "a"), 1);
    let mut client = Peer::join(server.local_addr(), "/rooms/a");
    let begun = Instant::now();
    eventually("its history is too old", || begun.elapsed() > AGE * 2);
    assert_eq!((rooms(&server), publish(&server, "a")), (1, 2));
    assert_eq!(client.text(), "x");
}

#[test]
fn a_room_whose_history_can_keep_nothing_is_forgotten_at_once() {
    let server = server_with(|config| _ = config.history_size(1000));
    for _ in 0..2 {
        let offset = server.publish("a", Kind::Binary, &[0; 2000]).expect("the server runs");
        assert_eq!((offset, rooms(&server)), (1, 0));
    }
    // Also if it had a history, which the message displaces.
    assert_eq!((publish(&server, "b"), rooms(&server)), (1, 1));
    server.publish("b", Kind::Binary, &[0; 2000]).expect("the server runs");
    assert_eq!((rooms(&server), publish(&server, "b")), (0, 1));
}

#[test]
fn very_many_rooms_are_forgotten_and_leave_nothing() {
    let server = server_with(|config| _ = config.history_age(AGE).history_total(1 << 30));
    for number in 0..100_000 {
        publish(&server, &number.to_string());
    }
    eventually("all are forgotten", || rooms(&server) == 0);
    assert_eq!(publish(&server, "0"), 1);
}

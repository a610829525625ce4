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
    server.publish(room, Kind::Text, b"x").expect("the server runs").offset
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
    assert_eq!(publish(&server, "a"), 3, "its offsets go on");
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
fn a_room_that_comes_again_goes_on_where_it_stood_and_a_client_that_had_everything_has_everything()
{
    let server = server();
    let mut client = Peer::join(server.local_addr(), "/rooms/a");
    client.say("last");
    assert_eq!(client.text(), "last");
    let top = server.position("a").unwrap();
    assert_eq!(top.offset, 1);
    client.leave();
    // Whether the history ages before or after the client leaves, as long as it is forgotten.
    eventually("the room is forgotten", || rooms(&server) == 0);
    assert_eq!(server.position("a").unwrap(), top);
    assert_eq!(rooms(&server), 0, "to ask makes no room");
    let again = Peer::join(server.local_addr(), "/rooms/a");
    assert_eq!(server.position("a").unwrap(), top);
    let next = server.publish("a", Kind::Text, b"next").unwrap();
    assert_eq!((next.epoch, next.offset), (top.epoch, 2));
    again.leave();
}

#[test]
fn a_room_whose_messages_have_aged_goes_on_when_its_last_client_has_left() {
    let server = server();
    let mut client = Peer::join(server.local_addr(), "/rooms/a");
    client.say("only");
    assert_eq!(client.text(), "only");
    let (top, said) = (server.position("a").unwrap(), Instant::now());
    eventually("its history is too old", || said.elapsed() > AGE * 2);
    client.leave();
    eventually("the room is forgotten at once", || rooms(&server) == 0);
    assert_eq!(server.position("a").unwrap(), top);
}

#[test]
fn a_room_that_does_not_exist_yet_begins_where_the_host_was_told() {
    let server = server();
    let before = server.position("new").unwrap();
    assert_eq!((before.offset, rooms(&server)), (0, 0));
    assert_eq!(server.position("new").unwrap(), before);
    let first = server.publish("new", Kind::Text, b"x").unwrap();
    assert_eq!((first.epoch, first.offset), (before.epoch, 1));
    // Also if a client was in it and nobody said anything.
    let before = server.position("quiet").unwrap();
    let client = Peer::join(server.local_addr(), "/rooms/quiet");
    assert_eq!(server.position("quiet").unwrap(), before);
    client.leave();
    eventually("it is forgotten", || rooms(&server) == 1);
    assert_eq!(server.position("quiet").unwrap(), before);
}

#[test]
fn very_many_rooms_are_forgotten_and_leave_nothing() {
    let server = server_with(|config| _ = config.history_age(AGE).history_total(1 << 30));
    for number in 0..100_000 {
        publish(&server, &number.to_string());
    }
    eventually("all are forgotten", || rooms(&server) == 0);
    assert_eq!(publish(&server, "99999"), 2);
}

//! What waits of pings and pongs for a client that reads nothing is bounded, and lost on no other.

use std::rc::Rc;

use bytes::Bytes;

use super::{random::Random, world::World};
use crate::{
    event::ClientId,
    fanout::{command::CloseFrame, form::Form, outbound::Flushed},
    frame::Kind,
    options::Options,
    transport::scripted::Scripted,
};

const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// A world with one client, which reads nothing, and whose outbox holds 64 KiB.
fn world() -> (World, ClientId) {
    let options = Options {
        workers: 1,
        history_messages: 0,
        max_message_size: 100,
        outbox_size: 64 * 1024,
        ..Options::default()
    };
    let mut world = World::with(options, Random::new(1));
    let id = world.connect_with(0, Scripted::new(0), Form::Plain, true, "a");
    (world, id)
}

/// A pong with the longest payload.
fn pong(number: u8) -> Bytes {
    let mut frame = vec![PONG, 125];
    frame.extend([number; 125]);
    frame.into()
}

/// Has the client read all that waits. Returns the short frames: the first byte, and the payload.
fn read(world: &mut World, id: ClientId) -> Vec<(u8, Vec<u8>)> {
    let peer = world.peer(id);
    peer.script.add_room(usize::MAX / 4);
    assert_eq!(peer.client.out().flush(), Flushed::All);
    let bytes = peer.script.received();
    let mut frames = Vec::new();
    let mut rest = &bytes[..];
    while let [head, len, more @ ..] = rest {
        let (payload, more) = more.split_at(usize::from(*len));
        frames.push((*head, payload.to_vec()));
        rest = more;
    }
    assert!(rest.is_empty(), "{rest:?}");
    frames
}

#[test]
fn sixty_four_pings_wait_for_a_client_that_reads_nothing_and_it_is_not_closed_for_them() {
    let (mut world, id) = world();
    let out = Rc::clone(world.peer(id).client.out());
    // Twice: what it has read makes room for as many again.
    for round in 1..=2 {
        (0..200).for_each(|_| out.ping(round));
        assert!(out.is_open());
        let frames = read(&mut world, id);
        assert!(frames.iter().all(|frame| *frame == (PING, Vec::new())), "{frames:?}");
        assert_eq!(frames.len(), 64);
        world.peer(id).script.fill();
    }
}

#[test]
fn pings_and_the_pongs_between_them_are_sixty_four_too_and_the_last_ping_is_answered() {
    let (mut world, id) = world();
    let out = Rc::clone(world.peer(id).client.out());
    for number in 0..200 {
        out.pong(&pong(number));
        out.ping(1);
    }
    assert!(out.is_open(), "control frames are not what closes a slow consumer");
    let frames = read(&mut world, id);
    let pings = frames.iter().filter(|frame| frame.0 == PING).count();
    let pongs = frames.iter().filter(|frame| frame.0 == PONG).count();
    // A pong comes with the ping that is the 64th, and the last one behind all.
    assert!((64..=66).contains(&(pings + pongs)), "{pings} pings, {pongs} pongs");
    assert!(pings >= 31, "{pings} pings");
    assert_eq!(frames.last(), Some(&(PONG, vec![199; 125])));
}

#[test]
fn a_client_that_sends_pings_and_reads_nothing_is_owed_three_answers() {
    let (mut world, id) = world();
    let out = Rc::clone(world.peer(id).client.out());
    (0..=255).for_each(|number| out.pong(&pong(number)));
    let frames = read(&mut world, id);
    // That of the ping when the socket was full, that of the next, and that of the last.
    let expected = [0, 1, 255].map(|number| (PONG, vec![number; 125]));
    assert_eq!(frames, expected);
}

#[test]
fn what_is_said_and_the_close_frame_come_behind_sixty_four_pings() {
    let (mut world, id) = world();
    let out = Rc::clone(world.peer(id).client.out());
    (0..200).for_each(|_| out.ping(1));
    world.handle.publish("a", Kind::Text, b"text").unwrap();
    world.tick_once();
    out.ping(2);
    out.close(CloseFrame::new(1000, ""));
    (0..10).for_each(|_| out.ping(3));
    let frames = read(&mut world, id);
    assert_eq!(frames.len(), 66);
    assert_eq!(frames[64], (0x81, b"text".to_vec()));
    assert_eq!(frames[65], (0x88, vec![3, 232]));
}

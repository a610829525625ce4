//! When clients are not read, and in which order they are read afterwards.

use std::{io::Write, os::unix::net::UnixStream, rc::Rc};

use super::{
    served::{Served, masked, received},
    setting::{connect, options, texts, world},
};
use crate::{
    fanout::command::{Delivery, RoomId},
    frame::Kind,
    message::Message,
    options::Options,
    published::Published,
};

/// Fills the queue that clients' messages go to.
fn fill_express(served: &Served) {
    let message = Message::new(Kind::Text, b"x").unwrap();
    let message = Published::of(message);
    let delivery = |_| Delivery {
        room: RoomId(u64::MAX),
        number: 1,
        offset: 1,
        message: message.clone(),
        exclude: None,
        answer: None,
        is_signal: false,
    };
    served.shard().handle.inbox.deliver_express((0..4096).map(delivery)).unwrap();
}

fn say(stream: &mut UnixStream, text: &str) {
    stream.write_all(&masked(text)).unwrap();
}

fn count_received(served: &Served) -> u64 {
    served.world.handle.stats().messages_received
}

#[test]
fn clients_are_not_read_while_their_queue_is_full_and_are_when_it_has_space() {
    let mut served = Served::new(options());
    let mut clients: Vec<_> = (0..3).map(|_| served.join("/")).collect();
    served.turns(2);
    for round in 1..=3 {
        fill_express(&served);
        clients.iter_mut().for_each(|client| say(client, "hello"));
        let before = count_received(&served);
        served.turn();
        assert_eq!(count_received(&served), before, "nothing is read while it is full");
        served.turns(4);
        assert_eq!(count_received(&served), 3 * round, "round {round}: all are read again");
    }
}

#[test]
fn a_full_queue_of_the_hosts_holds_back_the_clients_of_its_room_alone() {
    let mut served = Served::new(options());
    let mut of_room = served.join("/rooms/a");
    let mut of_other = served.join("/rooms/b");
    served.turns(2);
    while served.world.handle.publish("a", Kind::Text, b"host").is_ok() {}
    say(&mut of_room, "behind the host");
    say(&mut of_other, "beside it");
    served.turn();
    assert_eq!(count_received(&served), 1);
    assert_eq!(texts(&received(&mut of_other)), ["beside it"]);
    let mut heard = Vec::new();
    for _ in 0..200 {
        served.turn();
        heard.extend(received(&mut of_room));
        eprintln!(
            "{} {} {:?}",
            heard.len(),
            served.shard().waiting_bytes(),
            served.world.handle.stats()
        );
    }
    let heard = texts(&heard);
    assert_eq!(heard.len(), 16_384 + 1);
    assert_eq!(heard.last().unwrap(), "behind the host");
}

#[test]
fn clients_that_have_waited_for_space_are_read_first() {
    let mut served = Served::new(options());
    let mut listener = served.join("/rooms/a");
    let mut waiting: Vec<_> = (0..3).map(|_| served.join("/rooms/a?echo=false")).collect();
    let mut late = served.join("/rooms/a?echo=false");
    served.turns(2);
    for _ in 0..3 {
        fill_express(&served);
        waiting.iter_mut().for_each(|client| say(client, "has waited"));
        served.turn();
        say(&mut late, "late");
        served.turns(8);
        let heard = texts(&received(&mut listener));
        assert_eq!(heard, ["has waited", "has waited", "has waited", "late"]);
    }
}

#[test]
fn of_a_client_that_sends_short_frames_8_kib_are_read_at_once() {
    let mut served = Served::new(Options { max_message_size: 1 << 20, ..options() });
    let mut flooder = served.join("/?echo=false");
    served.turns(2);
    let frame = masked(&"x".repeat(94));
    let mut before = 0;
    flooder.write_all(&frame.repeat(1200)).unwrap();
    // The first read tells that the frames are short. There is always more than is read.
    for turn in 0..6 {
        served.turn();
        let read = (count_received(&served) - before) as usize * frame.len();
        before = count_received(&served);
        let most = if turn == 0 { 64 + 8 } else { 8 };
        assert!(read <= most * 1024 + frame.len(), "{read} bytes in turn {turn}");
        assert!(read > 4096, "{read} bytes in turn {turn}");
    }
}

#[test]
fn while_16_clients_hold_what_they_sent_no_other_is_read() {
    let (mut world, first) = world(options(), usize::MAX);
    let second = connect(&mut world, "a", usize::MAX);
    let shard = Rc::clone(&world.shards[0].0);
    let client = Rc::clone(&world.peer(first).client);
    world.handle.set_echo(second, true).unwrap();
    for held in 0..20 {
        assert_eq!(shard.may_read(&client, false), held < 16, "{held} hold input");
        assert!(shard.may_read(&client, true), "one that holds input itself is served");
        shard.note_held(true);
    }
    (0..5).for_each(|_| shard.note_held(false));
    assert!(shard.may_read(&client, false));
    world.tick_once();
    (0..15).for_each(|_| shard.note_held(true));
    assert!(shard.may_read(&client, false), "nothing is held when no command is pending");
}

//! A client that does not take what it is sent pays alone: it is closed and told why, or loses whole
//! messages that are counted. Everyone else gets everything, in order.

mod peer;

use std::time::{Duration, Instant};

use chat::{ClientId, Event, Kind, Server, SlowConsumer};
use peer::{
    PATIENCE, Peer, eventually,
    frames::{CLOSE, Frame, PING, PONG, TEXT},
    host::{Events, server_with},
};

const KIB: usize = 1024;
/// More than the kernel keeps for a connection between two programs of this machine.
const MORE_THAN_SOCKETS_TAKE: usize = 64 * KIB * KIB;

/// The text of message `number`: small ones and large ones in turn, as they take different ways.
fn text(number: usize) -> String {
    let length = if number.is_multiple_of(3) { 8 * KIB } else { 100 };
    format!("{number} {}", "x".repeat(length))
}

fn number(message: &Frame) -> usize {
    let (number, _) = message.text().split_once(' ').expect("as it was sent");
    let number = number.parse().expect("a number");
    assert!(message.text() == text(number), "message {number} is not whole");
    number
}

/// Reads messages up to the close frame, whose code is 1013: them, and its reason.
fn until_closed_as_slow(peer: &mut Peer) -> (Vec<Frame>, String) {
    let mut messages = Vec::new();
    loop {
        let frame = peer.frame();
        if frame.head == CLOSE {
            let (code, reason) = frame.close();
            assert_eq!(code, 1013);
            return (messages, reason);
        }
        messages.push(frame);
    }
}

#[test]
fn a_slow_consumer_is_disconnected_and_the_others_get_everything() {
    let server = server_with(|config| {
        config.max_message_size(16 * KIB).outbox_size(64 * KIB).event_queue(1000);
        config.outbox_age(Duration::from_secs(3600));
    });
    let mut events = Events::of(&server);
    let stuck = [(); 3].map(|()| {
        let peer = Peer::join_small(server.local_addr(), "/");
        (events.connected(), peer)
    });
    let mut reader = Peer::join(server.local_addr(), "/");
    let mut count = 0;
    while server.stats().slow_consumers < 3 {
        assert!(count * 2 * KIB < MORE_THAN_SOCKETS_TAKE, "nobody is slow yet");
        server.publish("lobby", Kind::Text, text(count).as_bytes()).unwrap();
        assert_eq!(number(&reader.message()), count);
        count += 1;
    }
    for (id, mut peer) in stuck {
        // What its socket had taken, then the code: the close frame is not lost.
        let (messages, reason) = until_closed_as_slow(&mut peer);
        assert!(messages.len() < count);
        assert!(messages.iter().map(number).eq(0..messages.len()), "in order, without a gap");
        assert!(reason.contains("slow"), "{reason:?} says why");
        peer.answer_close(1013);
        let (code, told) = events.left(id);
        assert_eq!((code, told), (1013, reason));
    }
    reader.is_served();
}

#[test]
fn as_much_waits_as_outbox_size_and_the_sockets_hold_and_not_more() {
    const SIZE: usize = 16 * KIB * KIB;
    // The most that the kernel keeps of one connection, by its own defaults.
    const SOCKETS: usize = 7 * KIB * KIB;
    for policy in [SlowConsumer::Disconnect, SlowConsumer::DropOldest] {
        let server = server_with(|config| {
            config.outbox_size(SIZE).outbox_age(Duration::from_secs(3600)).slow_consumer(policy);
        });
        let _stuck = Peer::join_small(server.local_addr(), "/");
        let mut published = 0;
        while server.stats().messages_dropped == 0 {
            assert!(published <= SIZE + SOCKETS, "{policy:?}: {published} bytes wait");
            server.publish("lobby", Kind::Binary, &[0; 64 * KIB]).unwrap();
            published += 64 * KIB;
            let count = published / (64 * KIB);
            eventually("it waits", || server.stats().messages_delivered == count as u64);
        }
        assert!(published > SIZE, "{policy:?}: {published} bytes");
    }
}

#[test]
fn a_slow_consumer_that_never_reads_again_is_cut() {
    let server = server_with(|config| {
        config.max_message_size(16 * KIB).outbox_size(64 * KIB).event_queue(1000);
    });
    let mut events = Events::of(&server);
    let mut stuck = Peer::join_small(server.local_addr(), "/");
    let id = events.connected();
    let mut reader = Peer::join(server.local_addr(), "/");
    let mut count = 0;
    while server.stats().slow_consumers == 0 {
        assert!(count * 2 * KIB < MORE_THAN_SOCKETS_TAKE, "nobody is slow yet");
        server.publish("lobby", Kind::Text, text(count).as_bytes()).unwrap();
        assert_eq!(number(&reader.message()), count);
        count += 1;
    }
    // It reads nothing, and is gone all the same.
    assert_eq!(events.left(id).0, 1013);
    eventually("one client is left", || server.stats().connections == 1);
    reader.is_served();
    stuck.drain();
}

#[test]
fn what_waits_for_too_long_makes_a_slow_consumer_too() {
    const AGE: Duration = Duration::from_millis(300);
    let server = server_with(|config| {
        config.outbox_size(MORE_THAN_SOCKETS_TAKE).outbox_age(AGE).event_queue(1000);
    });
    let mut events = Events::of(&server);
    let _stuck = Peer::join_small(server.local_addr(), "/");
    let id = events.connected();
    let mut reader = Peer::join(server.local_addr(), "/");
    let begun = Instant::now();
    // A quarter of the outbox, and more than the sockets take: only time can fill it.
    let message = "x".repeat(256 * KIB);
    for _ in 0..64 {
        server.publish("lobby", Kind::Text, message.as_bytes()).unwrap();
        assert_eq!(reader.text().len(), message.len());
    }
    assert_eq!(events.left(id).0, 1013);
    assert!(begun.elapsed() >= AGE);
    assert_eq!(server.stats().slow_consumers, 1);
    reader.is_served();
}

#[test]
fn a_reader_that_is_only_behind_is_no_slow_consumer() {
    let server = server_with(|config| {
        config.event_queue(1000);
    });
    let mut behind = Peer::join_small(server.local_addr(), "/");
    // A burst of 10,000 chat messages fits the outbox.
    for count in 0..10_000 {
        server.publish("lobby", Kind::Text, format!("message {count}").as_bytes()).unwrap();
    }
    for count in 0..10_000 {
        assert_eq!(behind.text(), format!("message {count}"));
    }
    behind.is_served();
    assert_eq!(server.stats().slow_consumers, 0);
}

/// A server that keeps what a client has not read, however long it reads nothing.
fn server_that_waits() -> Server {
    server_with(|config| {
        config.outbox_size(MORE_THAN_SOCKETS_TAKE).outbox_age(Duration::from_secs(3600));
        config.event_queue(1000);
    })
}

/// How many messages of 256 KiB a client is behind: more than the sockets take.
const MESSAGES: usize = 64;

/// A client that has sent the pings "1" to "20" behind so many messages, of which it has read none.
fn behind_with_pings(server: &Server, events: &mut Events<'_>) -> (Peer, ClientId) {
    let mut behind = Peer::join_small(server.local_addr(), "/?echo=false");
    let id = events.connected();
    for _ in 0..MESSAGES {
        let message = "x".repeat(256 * KIB);
        server.publish("lobby", Kind::Text, message.as_bytes()).expect("the server runs");
    }
    eventually("all wait", || server.stats().messages_delivered == MESSAGES as u64);
    for ping in 1..=20 {
        behind.send(PING, ping.to_string().as_bytes());
    }
    behind.say("all pings have arrived before this");
    events.find("Message", |event| matches!(event, Event::Message { .. }).then_some(()));
    (behind, id)
}

/// Insists that what waited comes next, then an answer to the first ping, and one to the last, which suffices
/// (RFC 6455, 5.5.3).
fn has_messages_and_pongs(behind: &mut Peer) {
    let heads = [(); MESSAGES].map(|()| behind.frame().head);
    assert_eq!(heads, [TEXT; MESSAGES]);
    for ping in ["1", "20"] {
        let pong = behind.frame();
        assert_eq!((pong.head, pong.text()), (PONG, ping));
    }
}

#[test]
fn the_last_ping_is_answered_however_much_waits_before_the_answer() {
    let server = server_that_waits();
    let (mut behind, _) = behind_with_pings(&server, &mut Events::of(&server));
    has_messages_and_pongs(&mut behind);
    behind.send(PING, b"21");
    let pong = behind.frame();
    assert_eq!((pong.head, pong.text()), (PONG, "21"));
}

#[test]
fn a_ping_is_answered_before_the_connection_is_closed() {
    let server = server_that_waits();
    let (mut behind, id) = behind_with_pings(&server, &mut Events::of(&server));
    server.disconnect(id, 4000, "enough").unwrap();
    has_messages_and_pongs(&mut behind);
    assert_eq!(behind.closed(), (4000, "enough".to_owned()));
}

#[test]
fn drop_oldest_drops_whole_messages_and_counts_each() {
    let server = server_with(|config| {
        config.max_message_size(16 * KIB).outbox_size(64 * KIB).event_queue(100_000);
        config.slow_consumer(SlowConsumer::DropOldest);
    });
    let mut events = Events::of(&server);
    let mut stuck = Peer::join_small(server.local_addr(), "/");
    let id = events.connected();
    let mut reader = Peer::join(server.local_addr(), "/");
    let mut count = 0;
    while server.stats().messages_dropped < 1000 {
        assert!(count * 2 * KIB < MORE_THAN_SOCKETS_TAKE, "nothing is dropped yet");
        server.publish("lobby", Kind::Text, text(count).as_bytes()).unwrap();
        assert_eq!(number(&reader.message()), count);
        count += 1;
    }

    let mut received = vec![number(&stuck.message())];
    while received.last() != Some(&(count - 1)) {
        received.push(number(&stuck.message()));
    }
    assert_eq!(received[0], 0, "what the socket had taken stays");
    assert!(received.is_sorted_by(|a, b| a < b), "in order, without doubles");
    let newest = &received[received.len() - 5..];
    assert!(newest.iter().copied().eq(count - 5..count), "the oldest were dropped: {newest:?}");

    let lost = (count - received.len()) as u64;
    let mut told = 0;
    while told < lost {
        told += events.find("MessagesDropped", |event| match event {
            Event::MessagesDropped { client, count } => {
                assert_eq!(client, id);
                assert!(count > 0);
                Some(count)
            }
            _ => None,
        });
    }
    assert_eq!(told, lost);
    assert_eq!(server.stats().messages_dropped, lost);
    // It is a client like any other again.
    stuck.is_served();
    reader.message();
    assert_eq!(server.stats().slow_consumers, 0);
    assert_eq!(server.stats().connections, 2);
    assert!(events.now().iter().all(|event| matches!(event, Event::Message { .. })));
    stuck.leave();
    assert_eq!(events.left(id).0, 1000);
}

#[test]
fn with_drop_oldest_by_age_a_stuck_client_stays_and_gets_the_newest() {
    let server = server_with(|config| {
        config.outbox_size(MORE_THAN_SOCKETS_TAKE).outbox_age(Duration::from_millis(500));
        config.slow_consumer(SlowConsumer::DropOldest);
    });
    let mut stuck = Peer::join_small(server.local_addr(), "/");
    let mut reader = Peer::join(server.local_addr(), "/");
    let begun = Instant::now();
    let mut count = 0;
    while server.stats().messages_dropped == 0 {
        assert!(begun.elapsed() < PATIENCE, "nothing is dropped yet");
        server.publish("lobby", Kind::Text, text(count).as_bytes()).unwrap();
        assert_eq!(number(&reader.message()), count);
        count += 1;
    }
    server.publish("lobby", Kind::Text, text(count).as_bytes()).unwrap();
    let mut received = vec![number(&stuck.message())];
    while received.last() != Some(&count) {
        received.push(number(&stuck.message()));
    }
    assert!(received.is_sorted_by(|a, b| a < b), "in order, without doubles");
    let lost = (count + 1 - received.len()) as u64;
    assert_eq!(server.stats().messages_dropped, lost);
    stuck.leave();
}

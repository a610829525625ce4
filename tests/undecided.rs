//! Messages that wait for the host's review are bounded, and those that it cannot be asked about reach nobody.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod peer;

use std::time::{Duration, Instant};

use chat::{Config, DecisionId, Event, Kind, Overdue, Server};
use peer::{
    Peer, eventually,
    frames::{BINARY, TEXT, masked},
    host::{Events, server_with},
};

const KIB: usize = 1024;

/// Longer than any test.
const HOUR: Duration = Duration::from_secs(3600);

/// A server with one worker, whose host decides on messages.
fn reviewing(configure: impl FnOnce(&mut Config)) -> Server {
    server_with(|config| {
        config.workers(1).event_queue(100_000).review_timeout(HOUR);
        configure(config);
    })
}

/// The next message that waits for a decision. the decision, and the payload.
fn request(events: &mut Events<'_>) -> (DecisionId, Vec<u8>) {
    events.find("MessageRequest", |event| match event {
        Event::MessageRequest { decision, message, .. } => {
            Some((decision, message.data().to_vec()))
        }
        _ => None,
    })
}

/// Ten numbered messages in one segment.
fn ten_messages() -> Vec<u8> {
    (0..10).flat_map(|number| masked(TEXT, format!("{number}").as_bytes())).collect()
}

#[test]
fn what_the_host_could_not_be_asked_about_reaches_nobody_and_is_counted() {
    for overdue in [Overdue::Refuse, Overdue::Allow] {
        // Two clients connect, and one message is asked about.
        let server = reviewing(|config| _ = config.event_queue(3).overdue(overdue));
        let mut witness = Peer::join(server.local_addr(), "/");
        let mut speaker = Peer::join(server.local_addr(), "/");
        speaker.write(&ten_messages());
        eventually("the others are dropped", || server.stats().events_dropped == 9);
        let mut events = Events::of(&server);
        let waiting = events.now();
        let [
            Event::Connected { .. },
            Event::Connected { .. },
            Event::MessageRequest { decision, message, .. },
            Event::EventsDropped { count: 9 },
        ] = &waiting[..]
        else {
            panic!("{overdue:?}: {waiting:?}")
        };
        assert_eq!(message.data(), b"0");
        server.allow(*decision).unwrap();
        assert_eq!(witness.text(), "0");
        server.publish("lobby", Kind::Text, b"nothing before this").unwrap();
        assert_eq!(witness.text(), "nothing before this", "{overdue:?}");
        let mut late = Peer::join(server.local_addr(), "/?history=100");
        assert_eq!([late.text(), late.text()], ["0", "nothing before this"]);
        let stats = server.stats();
        assert_eq!((stats.messages_received, stats.messages_refused), (10, 9), "{overdue:?}");
        assert_eq!((stats.events_dropped, stats.reviews_timed_out), (9, 0), "{overdue:?}");
        assert_eq!(stats.messages_published, 2);
        let told = events.now();
        assert!(
            matches!(
                &told[..],
                [
                    Event::Message { position: chat::Position { offset: 1, .. }, .. },
                    Event::Connected { .. }
                ]
            ),
            "{told:?}"
        );
        speaker.leave();
    }
}

#[test]
fn what_the_host_was_not_asked_about_is_not_allowed_when_its_time_is_over() {
    let server = reviewing(|config| {
        config.event_queue(2).overdue(Overdue::Allow).review_timeout(Duration::from_millis(50));
    });
    let mut witness = Peer::join(server.local_addr(), "/");
    let mut speaker = Peer::join(server.local_addr(), "/");
    // The queue is full of the two that have connected.
    speaker.write(&ten_messages());
    eventually("all are refused, and at once", || server.stats().messages_refused == 10);
    assert_eq!(server.stats().reviews_timed_out, 0);
    let mut events = Events::of(&server);
    let told = events.now();
    assert!(matches!(&told[2..], [Event::EventsDropped { count: 10 }]), "{told:?}");
    // Whatever was left of them would be overdue before this one.
    speaker.say("asked");
    assert_eq!(request(&mut events).1, b"asked");
    assert_eq!(witness.text(), "asked");
    let stats = server.stats();
    assert_eq!((stats.reviews_timed_out, stats.messages_refused), (1, 10));
    assert_eq!((stats.events_dropped, stats.messages_published), (10, 1));
}

/// Two messages of another client are asked about, and nothing of the first client: so the shard has passed over
/// what the first one sent before.
fn is_passed_over(events: &mut Events<'_>, other: &mut Peer) {
    for text in ["once", "twice"] {
        other.say(text);
        assert_eq!(String::from_utf8_lossy(&request(events).1), text, "it is not read");
    }
}

#[test]
fn a_client_is_not_read_while_64_messages_or_1_mib_of_it_are_undecided_and_is_before() {
    for lens in [vec![1; 64], vec![32 * KIB; 32], vec![1024 * KIB - 1, 1]] {
        let count = lens.len();
        let server = reviewing(|_| ());
        let mut events = Events::of(&server);
        let mut peer = Peer::join(server.local_addr(), "/");
        let mut other = Peer::join(server.local_addr(), "/rooms/other");
        let mut ask = |events: &mut Events<'_>, number: usize| {
            peer.send(BINARY, &vec![number as u8; lens[number % count]]);
            (number < count).then(|| request(events))
        };
        // Each is in a read of its own.
        let asked: Vec<_> = (0..count).map(|number| ask(&mut events, number).unwrap().0).collect();
        ask(&mut events, count);
        is_passed_over(&mut events, &mut other);
        server.refuse(asked[0]).unwrap();
        assert_eq!(request(&mut events).1, vec![count as u8; lens[0]]);
        ask(&mut events, count + 1);
        is_passed_over(&mut events, &mut other);
    }
}

#[test]
fn what_one_read_held_may_exceed_the_bound_and_no_more_is_read() {
    // As many empty messages as the buffer holds through which all clients are read.
    const MOST: usize = 64 * KIB / 6;
    let server = reviewing(|_| ());
    let mut events = Events::of(&server);
    let mut peer = Peer::join(server.local_addr(), "/");
    let mut other = Peer::join(server.local_addr(), "/rooms/other");
    peer.write(&masked(TEXT, b"").repeat(3 * MOST));
    let first = request(&mut events).0;
    let mut asked = 1;
    for text in ["once", "twice"] {
        other.say(text);
        while request(&mut events).1 != text.as_bytes() {
            asked += 1;
        }
    }
    assert!((65..=63 + MOST).contains(&asked), "{asked} messages");
    is_passed_over(&mut events, &mut other);
    server.refuse(first).unwrap();
    // One less is as much too many.
    is_passed_over(&mut events, &mut other);
}

#[test]
fn a_client_that_is_closed_has_left_when_all_is_decided_and_not_when_it_answers() {
    let server = reviewing(|_| ());
    let mut events = Events::of(&server);
    let mut peer = Peer::join(server.local_addr(), "/");
    let client = events.connected();
    peer.say("undecided");
    let decision = request(&mut events).0;
    server.disconnect(client, 4000, "").unwrap();
    assert_eq!(peer.closed().0, 4000);
    let begun = Instant::now();
    assert!(events.now().is_empty(), "not before its message is decided");
    server.allow(decision).unwrap();
    assert!(matches!(
        events.next(),
        Event::Message { position: chat::Position { offset: 1, .. }, .. }
    ));
    assert_eq!(events.left(client).0, 4000);
    // It has 5 s to answer.
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    peer.answer_close(4000);
}

//! The host decides on messages before they are published.

mod peer;

use std::time::{Duration, Instant};

use chat::{ClientId, DecisionId, Error, Event, Kind, Server};
use peer::{
    PATIENCE, Peer, eventually,
    frames::BINARY,
    host::{Events, server_with},
};

/// A server whose host decides on messages, and has as long as it likes.
fn reviewing() -> Server {
    server_with(|config| {
        config.event_queue(100_000).review_timeout(Duration::from_secs(60));
    })
}

/// The next message that waits for a decision.
fn request(events: &mut Events<'_>) -> (DecisionId, ClientId, String) {
    events.find("MessageRequest", |event| match event {
        Event::MessageRequest { decision, client, message, .. } => {
            Some((decision, client, String::from_utf8_lossy(message.data()).into_owned()))
        }
        _ => None,
    })
}

#[test]
fn a_message_is_published_when_the_host_has_allowed_it() {
    let server = reviewing();
    let mut events = Events::of(&server);
    let mut ana = Peer::join(server.local_addr(), "/");
    let id = events.connected();
    let mut ben = Peer::join(server.local_addr(), "/");
    events.connected();
    for text in ["good", "bad", "rude"] {
        ana.say(text);
    }
    let asked: Vec<_> = (0..3).map(|_| request(&mut events)).collect();
    assert!(asked.iter().all(|(_, client, _)| *client == id));
    let [good, bad, rude] = [0, 1, 2].map(|index: usize| asked[index].0);
    // In whatever order the host decides, the client's messages keep theirs.
    let result = server.allow_changed(rude, Kind::Text, b"\xff");
    assert!(matches!(result, Err(Error::InvalidUtf8)), "it is still to be decided on: {result:?}");
    server.allow_changed(rude, Kind::Text, b"polite").unwrap();
    server.refuse(bad).unwrap();
    server.publish("lobby", Kind::Text, b"the host's own").unwrap();
    assert_eq!(ben.text(), "the host's own", "nothing before its turn");
    server.allow(good).unwrap();
    assert_eq!([ben.text(), ben.text()], ["good", "polite"]);
    for text in ["good", "polite"] {
        let published = events.find("Message", |event| match event {
            Event::Message { client, message, .. } => Some((client, message)),
            _ => None,
        });
        assert_eq!((published.0, published.1.data()), (id, text.as_bytes()));
    }
    for result in [server.allow(good), server.refuse(bad), server.allow(DecisionId::from_u64(7))] {
        assert!(matches!(result, Err(Error::DecisionNotFound)), "{result:?}");
    }
    let stats = server.stats();
    assert_eq!((stats.messages_received, stats.messages_refused), (3, 1));
}

#[test]
fn nobody_waits_for_a_decision_on_somebody_elses_message() {
    let server = reviewing();
    let mut events = Events::of(&server);
    let mut ana = Peer::join(server.local_addr(), "/");
    let slow = events.connected();
    let mut ben = Peer::join(server.local_addr(), "/");
    events.connected();
    ana.say("undecided");
    assert_eq!(request(&mut events).1, slow);
    for round in 0..100 {
        ben.say(&round.to_string());
        let (decision, ..) = request(&mut events);
        server.allow(decision).unwrap();
        assert_eq!([ana.text(), ben.text()], [round.to_string(), round.to_string()]);
    }
}

#[test]
fn what_the_host_does_not_decide_on_in_time_is_refused() {
    let server = server_with(|config| {
        config.event_queue(100).review_timeout(Duration::from_millis(20));
    });
    let mut events = Events::of(&server);
    let mut peer = Peer::join(server.local_addr(), "/");
    events.connected();
    peer.say("one");
    let (one, ..) = request(&mut events);
    peer.say("two");
    let (two, ..) = request(&mut events);
    eventually("both are refused", || server.stats().messages_refused == 2);
    for decision in [one, two] {
        assert!(matches!(server.allow(decision), Err(Error::DecisionNotFound)));
    }
    assert_eq!(server.stats().reviews_timed_out, 2);
    assert_eq!(server.stats().messages_published, 0);
}

#[test]
fn a_client_with_much_undecided_is_not_read_and_goes_on_when_it_is_decided() {
    const COUNT: usize = 300;
    let server = reviewing();
    let mut events = Events::of(&server);
    let mut peer = Peer::join(server.local_addr(), "/");
    events.connected();
    // Each is as long as one read: what one read holds is taken.
    let message = vec![b'x'; 64 * 1024];
    let writer = std::thread::spawn(move || {
        for _ in 0..COUNT {
            peer.send(BINARY, &message);
        }
        peer
    });
    let (first, ..) = request(&mut events);
    let mut asked = vec![first];
    // All that comes without a decision: a megabyte, and what was being read.
    let (begun, mut last) = (Instant::now(), Instant::now());
    while asked.len() < 16 || last.elapsed() < Duration::from_millis(300) {
        assert!(begun.elapsed() < PATIENCE, "{} messages", asked.len());
        let before = asked.len();
        asked.extend(events.now().into_iter().filter_map(|event| match event {
            Event::MessageRequest { decision, .. } => Some(decision),
            _ => None,
        }));
        if asked.len() > before {
            last = Instant::now();
        }
    }
    assert!((16..=18).contains(&asked.len()), "{} messages", asked.len());
    let mut decided = 0;
    for decision in asked {
        server.refuse(decision).unwrap();
        decided += 1;
    }
    while decided < COUNT {
        server.refuse(request(&mut events).0).unwrap();
        decided += 1;
    }
    let _peer = writer.join().unwrap();
    eventually("all are counted", || server.stats().messages_refused == COUNT as u64);
}

#[test]
fn a_client_that_says_something_and_leaves_has_said_it() {
    let server = reviewing();
    let mut events = Events::of(&server);
    let mut ben = Peer::join(server.local_addr(), "/");
    events.connected();
    let mut ana = Peer::join(server.local_addr(), "/");
    let id = events.connected();
    ana.say("goodbye");
    ana.leave();
    let (decision, ..) = request(&mut events);
    assert!(events.now().is_empty(), "it has not left before its message is decided");
    server.allow(decision).unwrap();
    assert_eq!(ben.text(), "goodbye");
    assert!(matches!(events.next(), Event::Message { .. }));
    assert_eq!(events.left(id).0, 1000);
}

#[test]
fn a_server_stops_with_messages_undecided() {
    let server = reviewing();
    let mut events = Events::of(&server);
    let mut peer = Peer::join(server.local_addr(), "/");
    events.connected();
    peer.say("undecided");
    let (decision, ..) = request(&mut events);
    server.request_stop();
    assert_eq!(peer.closed().0, 1001);
    peer.answer_close(1001);
    server.stop(Duration::from_secs(30)).unwrap();
    assert!(matches!(server.allow(decision), Err(Error::Stopped)));
    assert_eq!(server.stats().messages_refused, 1);
}

#[test]
fn a_message_goes_to_the_room_in_which_it_was_said_or_nowhere() {
    let server = reviewing();
    let mut events = Events::of(&server);
    let mut ana = Peer::join(server.local_addr(), "/rooms/a");
    let id = events.connected();
    let mut listener = Peer::join(server.local_addr(), "/rooms/b");
    events.connected();
    // Said in a, and decided when she speaks to b.
    server.join(id, "b").unwrap();
    ana.say("for a");
    let (decision, ..) = request(&mut events);
    server.leave(id, "a").unwrap();
    server.allow(decision).unwrap();
    eventually("it is refused", || server.stats().messages_refused == 1);
    // Said to the host alone, and decided when she is in a room.
    server.leave(id, "b").unwrap();
    events.find("Left", |event| {
        matches!(event, Event::Left { room, .. } if &*room == "b").then_some(())
    });
    ana.say("for the host");
    let (decision, ..) = request(&mut events);
    server.join(id, "b").unwrap();
    server.allow(decision).unwrap();
    let room = events.find("Message", |event| match event {
        Event::Message { room, .. } => Some(room),
        _ => None,
    });
    assert_eq!(&*room, "");
    server.publish("b", Kind::Text, b"nothing before this").unwrap();
    assert_eq!(listener.text(), "nothing before this");
    assert_eq!(ana.text(), "nothing before this");
}

#[test]
fn a_client_that_has_left_can_be_taken_out_of_its_room_before_its_message_is_decided() {
    let server = reviewing();
    let mut events = Events::of(&server);
    let mut ana = Peer::join(server.local_addr(), "/");
    let id = events.connected();
    let mut ben = Peer::join(server.local_addr(), "/");
    events.connected();
    ana.say("last words");
    let (decision, ..) = request(&mut events);
    ana.leave();
    server.leave(id, "lobby").unwrap();
    events.find("Left", |event| matches!(event, Event::Left { .. }).then_some(()));
    server.allow(decision).unwrap();
    assert_eq!(events.left(id).0, 1000);
    server.publish("lobby", Kind::Text, b"nothing before this").unwrap();
    assert_eq!(ben.text(), "nothing before this");
    assert_eq!(server.stats().messages_refused, 1);
}

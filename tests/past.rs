//! The host's say in a room's past: what a client gets that it joins or accepts, and what one gets that comes back.

mod peer;

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use chat::{ClientId, Event, Kind, Past, Position, Server};
use peer::{
    Peer,
    host::{Events, server_with},
    upgrade_head,
};

/// What a client gets of a room's past: which messages, and whether it recovers if it came back.
type Got = (Vec<usize>, Option<Result<(), &'static str>>);

const TRIMMED: Option<Result<(), &str>> = Some(Err("trimmed"));

fn server() -> Server {
    server_with(|config| _ = config.event_queue(100_000))
}

/// A server whose host decides on clients, and has as long as it likes.
fn deciding() -> Server {
    server_with(|config| _ = config.event_queue(1000).admission_timeout(Duration::from_secs(60)))
}

/// Publishes the numbers up to `count` to a room. Returns their positions.
fn publish(server: &Server, room: &str, count: usize) -> Vec<Position> {
    let publish = |number: usize| server.publish(room, Kind::Text, number.to_string().as_bytes());
    (0..count).map(|number| publish(number).expect("it runs")).collect()
}

/// Connects a client of the JSON form, in a room of its own.
fn connect(server: &Server, events: &mut Events<'_>, query: &str) -> (Peer, ClientId) {
    let mut client =
        Peer::join_json(server.local_addr(), &format!("/rooms/own?{query}")).welcomed();
    let id = events.connected();
    client.entered("own");
    (client, id)
}

/// What a client got that entered the room `a`: the numbers that it read, and whether it recovers.
fn got(client: &mut Peer) -> Got {
    let entered = client.entered("a");
    let numbers = entered.texts.iter().map(|text| text.parse().expect("a number")).collect();
    let reason = |text: String| {
        *["trimmed", "epoch", "ahead", "invalid", "no_history"]
            .iter()
            .find(|reason| **reason == text)
            .unwrap_or_else(|| panic!("{text}"))
    };
    (numbers, entered.recovered.map(|recovered| recovered.map_err(reason)))
}

/// Ends a publisher when it is dropped.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn last(from: usize) -> Vec<usize> {
    (from..10).collect()
}

#[test]
fn a_client_that_the_host_joins_gets_as_much_of_the_past_as_the_host_says_and_no_more() {
    let server = server();
    let mut events = Events::of(&server);
    publish(&server, "a", 10);
    for (past, first) in [
        (Past::None, 10),
        (Past::Last(0), 10),
        (Past::Last(1), 9),
        (Past::Last(3), 7),
        (Past::Last(10), 0),
        (Past::Last(11), 0),
        (Past::Last(usize::MAX), 0),
        (Past::All, 0),
    ] {
        // The query asks for the past of the room of the path alone.
        let (mut client, id) = connect(&server, &mut events, "history=5");
        let mut plain = Peer::join(server.local_addr(), "/rooms/own?history=5");
        let plain_id = events.connected();
        for id in [id, plain_id] {
            server.join_with_past(id, "a", past, None).unwrap();
            server.send(id, Kind::Text, b"after it").unwrap();
        }
        assert_eq!(got(&mut client), (last(first), None), "{past:?}");
        assert_eq!(client.object()["type"], "direct");
        for number in last(first) {
            assert_eq!(plain.text(), number.to_string(), "{past:?}");
        }
        assert_eq!(plain.text(), "after it", "{past:?}");
    }
    let (mut client, id) = connect(&server, &mut events, "");
    server.join(id, "a").unwrap();
    assert_eq!(got(&mut client), (Vec::new(), None), "join gives none");
    // A client that is in the room already gets nothing more.
    server.join_with_past(id, "a", Past::All, None).unwrap();
    server.send(id, Kind::Text, b"after it").unwrap();
    assert_eq!(client.object()["type"], "direct");
}

#[test]
fn nothing_is_missing_or_double_between_the_past_and_what_others_publish_meanwhile() {
    let server = server_with(|config| _ = config.event_queue(100_000).history_messages(200));
    let mut events = Events::of(&server);
    let first = publish(&server, "a", 300)[0];
    let is_over = AtomicBool::new(false);
    let publish_on = || {
        let mut number = 300;
        while !is_over.load(Ordering::SeqCst) {
            server.publish("a", Kind::Text, number.to_string().as_bytes()).expect("it runs");
            number += 1;
        }
    };
    thread::scope(|scope| {
        let publisher = scope.spawn(publish_on);
        // Set also if an assertion fails: the scope waits for the publisher.
        let over = Over(&is_over);
        for round in 0..60 {
            let (past, count) =
                [(Past::Last(7), 7), (Past::Last(150), 150), (Past::All, 200)][round % 3];
            let (mut client, id) = connect(&server, &mut events, "");
            let mut plain = Peer::join(server.local_addr(), "/rooms/own");
            let plain_id = events.connected();
            server.join_with_past(id, "a", past, None).unwrap();
            server.join_with_past(plain_id, "a", past, None).unwrap();
            let entered = client.entered("a");
            assert_eq!(entered.texts.len(), count, "{past:?}");
            let mut offset = entered.position.expect("a room with history").offset;
            for text in entered.texts {
                assert_eq!(text, offset.to_string(), "the past begins behind its position");
                offset += 1;
            }
            for _ in 0..50 {
                let object = client.object();
                assert_eq!(object["text"], offset.to_string(), "{object}");
                offset += 1;
                assert_eq!(object["position"], Position { offset, ..first }.to_string());
            }
            let begin: usize = plain.text().parse().expect("a number");
            for number in begin + 1..begin + count + 50 {
                assert_eq!(plain.text(), number.to_string());
            }
        }
        drop(over);
        publisher.join().expect("all was published");
    });
}

#[test]
fn a_client_that_comes_back_gets_what_it_lacks_if_the_host_gives_that_much_of_the_past() {
    let server = server();
    let mut events = Events::of(&server);
    let positions = publish(&server, "a", 10);
    let ok = Some(Ok(()));
    for (offset, past, expected) in [
        (6, Past::All, (last(6), ok)),
        (6, Past::Last(5), (last(6), ok)),
        (6, Past::Last(4), (last(6), ok)),
        (6, Past::Last(3), (last(7), TRIMMED)),
        (6, Past::None, (Vec::new(), TRIMMED)),
        (10, Past::All, (Vec::new(), ok)),
        (10, Past::None, (Vec::new(), ok)),
        (0, Past::All, (last(0), ok)),
        (11, Past::Last(2), (last(8), Some(Err("ahead")))),
    ] {
        let since = Position { offset, ..positions[0] };
        let (mut client, id) = connect(&server, &mut events, &format!("since.a={since}"));
        server.join_with_past(id, "a", past, None).unwrap();
        assert_eq!(got(&mut client), expected, "since {offset}, {past:?}");
        let mut plain = Peer::join(server.local_addr(), &format!("/rooms/own?since.a={since}"));
        let plain_id = events.connected();
        server.join_with_past(plain_id, "a", past, None).unwrap();
        server.send(plain_id, Kind::Text, b"after it").unwrap();
        for number in expected.0 {
            assert_eq!(plain.text(), number.to_string(), "since {offset}, {past:?}");
        }
        assert_eq!(plain.text(), "after it", "since {offset}, {past:?}");
    }
    for (since, reason) in [("1-1".to_owned(), "epoch"), ("nonsense".to_owned(), "invalid")] {
        let (mut client, id) = connect(&server, &mut events, &format!("since.a={since}"));
        server.join_with_past(id, "a", Past::Last(2), None).unwrap();
        assert_eq!(got(&mut client), (last(8), Some(Err(reason))));
    }
    // `join` gives nothing, and says so.
    let (mut client, id) = connect(&server, &mut events, &format!("since.a={}", positions[5]));
    server.join(id, "a").unwrap();
    assert_eq!(got(&mut client), (Vec::new(), TRIMMED));
}

#[test]
fn the_position_of_the_host_counts_for_more_than_the_one_of_the_client() {
    let server = server();
    let mut events = Events::of(&server);
    let positions = publish(&server, "a", 10);
    let other = server.publish("b", Kind::Text, b"x").unwrap();
    for (since, expected) in [
        (Some(positions[6]), (last(7), Some(Ok(())))),
        (Some(positions[0]), (last(1), Some(Ok(())))),
        (Some(other), (last(0), Some(Err("epoch")))),
        (Some(Position::NONE), (last(4), Some(Ok(())))),
        (None, (last(4), Some(Ok(())))),
    ] {
        let query = format!("since.a={}", positions[3]);
        let (mut client, id) = connect(&server, &mut events, &query);
        server.join_with_past(id, "a", Past::All, since).unwrap();
        assert_eq!(got(&mut client), expected, "{since:?}");
    }
    // Also where the client has said nothing.
    let (mut client, id) = connect(&server, &mut events, "");
    server.join_with_past(id, "a", Past::Last(2), Some(positions[7])).unwrap();
    assert_eq!(got(&mut client), (last(8), Some(Ok(()))));
}

#[test]
fn what_a_client_says_of_a_room_counts_when_it_enters_the_room_for_the_first_time() {
    let server = server();
    let mut events = Events::of(&server);
    let positions = publish(&server, "a", 10);
    for is_given in [false, true] {
        let query = format!("since.a={}", positions[3]);
        let (mut client, id) = connect(&server, &mut events, &query);
        if is_given {
            server.join_with_past(id, "a", Past::All, None).unwrap();
            assert_eq!(got(&mut client), (last(4), Some(Ok(()))));
        } else {
            server.join(id, "a").unwrap();
            assert_eq!(got(&mut client), (Vec::new(), TRIMMED));
        }
        server.leave(id, "a").unwrap();
        assert_eq!(client.object()["type"], "removed");
        server.join_with_past(id, "a", Past::Last(2), None).unwrap();
        assert_eq!(got(&mut client), (last(8), None));
    }
}

/// The next client that asks to be connected.
fn request(events: &mut Events<'_>) -> ClientId {
    events.find("ConnectRequest", |event| match event {
        Event::ConnectRequest { client, .. } => Some(client),
        _ => None,
    })
}

/// Asks to be connected to the room `a`, in the JSON form.
fn ask(server: &Server, query: &str) -> Peer {
    let mut peer = Peer::connect(server.local_addr());
    let path = format!("/rooms/a?format=json&{query}");
    peer.write(upgrade_head(server.local_addr(), &path, &[]).as_bytes());
    peer
}

fn accepted(mut peer: Peer) -> Peer {
    assert_eq!(peer.response().status, 101);
    peer.welcomed()
}

#[test]
fn an_accepted_client_gets_what_it_asks_for_within_what_the_host_allows() {
    let server = deciding();
    let mut events = Events::of(&server);
    let positions = publish(&server, "a", 10);
    let since = format!("since={}", positions[5]);
    let ok = Some(Ok(()));
    for (query, past, expected) in [
        ("", Past::All, (Vec::new(), None)),
        ("history=5", Past::All, (last(5), None)),
        ("history=5", Past::Last(5), (last(5), None)),
        ("history=5", Past::Last(2), (last(8), None)),
        ("history=2", Past::Last(5), (last(8), None)),
        ("history=5", Past::None, (Vec::new(), None)),
        (&since, Past::All, (last(6), ok)),
        (&since, Past::Last(4), (last(6), ok)),
        (&since, Past::Last(3), (last(7), TRIMMED)),
        (&since, Past::None, (Vec::new(), TRIMMED)),
        (&format!("{since}&history=2"), Past::Last(4), (last(6), ok)),
        (&format!("{since}&history=2"), Past::Last(3), (last(8), TRIMMED)),
        (&format!("{since}&history=9"), Past::Last(3), (last(7), TRIMMED)),
        (&format!("since.a={}", positions[5]), Past::Last(4), (last(6), ok)),
    ] {
        let peer = ask(&server, query);
        server.accept_with_past(request(&mut events), past).unwrap();
        assert_eq!(got(&mut accepted(peer)), expected, "{query}, {past:?}");
    }
    for query in ["history=10", &format!("since={}", Position { offset: 0, ..positions[0] })] {
        let peer = ask(&server, query);
        server.accept(request(&mut events)).unwrap();
        assert_eq!(got(&mut accepted(peer)).0, last(0), "accept gives what is asked for: {query}");
    }
}

#[test]
fn the_bound_of_an_acceptance_does_not_concern_the_rooms_that_the_host_joins_the_client_to() {
    let server = deciding();
    let mut events = Events::of(&server);
    let positions = publish(&server, "a", 10);
    server.publish("b", Kind::Text, b"of b").unwrap();
    let peer = ask(&server, &format!("since={}", positions[5]));
    let id = request(&mut events);
    server.join_with_past(id, "b", Past::All, None).unwrap();
    server.accept_with_past(id, Past::None).unwrap();
    let mut client = accepted(peer);
    assert_eq!(client.entered("b").texts, ["of b"]);
    assert_eq!(got(&mut client), (Vec::new(), TRIMMED));
    // The room that it asks for is given by `join_with_past`, if the host calls it.
    let peer = ask(&server, &format!("since={}", positions[5]));
    let id = request(&mut events);
    server.join_with_past(id, "a", Past::All, None).unwrap();
    server.accept_with_past(id, Past::None).unwrap();
    assert_eq!(got(&mut accepted(peer)), (last(6), Some(Ok(()))));
    // Nobody is accepted twice.
    assert!(matches!(server.accept_with_past(id, Past::All), Err(chat::Error::ClientNotFound)));
}

#[test]
fn a_client_is_told_no_earlier_message_than_the_host_gave_it() {
    let server = server();
    let mut events = Events::of(&server);
    publish(&server, "a", 10);
    for (past, first) in [(Past::None, 10), (Past::Last(3), 7), (Past::All, 0)] {
        let (mut client, id) = connect(&server, &mut events, "");
        server.join_with_past(id, "a", past, None).unwrap();
        assert_eq!(got(&mut client).0, last(first));
        client.say(r#"{"type":"history","id":1,"room":"a","limit":100}"#);
        let history = client.object();
        assert_eq!(history["type"], "history", "{history}");
        let texts = history["messages"].as_array().expect("messages");
        let texts: Vec<_> = texts.iter().map(|message| message["text"].as_str().unwrap()).collect();
        let expected: Vec<_> = last(first).iter().map(usize::to_string).collect();
        assert_eq!(texts, expected, "{past:?}");
        assert_eq!(history["more"], false);
    }
}

#[test]
fn nothing_falls_between_a_page_with_the_position_of_its_room_and_the_pages_first_connection() {
    const BURST: usize = 200;
    let server = server();
    // What a page shows. The lock makes the page and the position one.
    let shown = Mutex::new(0_usize);
    let (begin, begun) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(|| {
            for () in begun {
                for _ in 0..BURST {
                    let mut shown = shown.lock().expect("no panic");
                    let text = shown.to_string();
                    server.publish("a", Kind::Text, text.as_bytes()).expect("it runs");
                    *shown += 1;
                }
            }
        });
        for round in 0..100 {
            begin.send(()).expect("no panic");
            let wanted = round * BURST + round * 37 % BURST;
            let (count, since) = loop {
                let shown = shown.lock().expect("no panic");
                if *shown >= wanted {
                    break (*shown, server.position("a").expect("it runs"));
                }
            };
            let mut client =
                Peer::join_json(server.local_addr(), &format!("/rooms/a?since={since}")).welcomed();
            let entered = client.entered("a");
            assert_eq!((entered.position, entered.recovered), (Some(since), Some(Ok(()))));
            let mut texts = entered.texts;
            while count + texts.len() < (round + 1) * BURST {
                texts.push(client.object()["text"].as_str().expect("a message").to_owned());
            }
            let expected: Vec<_> = (count..(round + 1) * BURST).map(|it| it.to_string()).collect();
            assert_eq!(texts, expected, "round {round}");
        }
        drop(begin);
    });
}

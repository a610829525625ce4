//! `?history=N`: the last messages of a room, then what follows, without a gap and without doubles.

mod peer;

use std::{thread, time::Duration};

use chat::{Config, Kind, Server};
use peer::{
    PATIENCE, Peer, eventually,
    frames::{BINARY, PING, PONG, TEXT},
    host::{server, server_with},
};

/// Publishes numbers as text.
fn publish(server: &Server, room: &str, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let text = number.to_string();
        server.publish(room, Kind::Text, text.as_bytes()).expect("the server runs");
    }
}

/// What a client that asks for history gets before anything else.
fn replay(server: &Server, room: &str, history: u32) -> Vec<String> {
    let path = format!("/rooms/{room}?history={history}");
    let mut client = Peer::join(server.local_addr(), &path);
    // Asks for an answer that is no message, so that the history stays as it is.
    client.send(PING, b"");
    let mut texts = Vec::new();
    loop {
        let frame = client.frame();
        match frame.head {
            PONG => return texts,
            _ => texts.push(frame.text().to_owned()),
        }
    }
}

fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[test]
fn the_last_messages_come_first_in_order() {
    let server = server();
    publish(&server, "r", 0..10);
    assert_eq!(replay(&server, "r", 3), numbers(7..10));
    assert_eq!(replay(&server, "r", 10), numbers(0..10));
    assert_eq!(replay(&server, "r", 1000), numbers(0..10), "all that there are");
    assert_eq!(replay(&server, "r", 0), numbers(0..0));
    assert_eq!(replay(&server, "empty", 5), numbers(0..0));

    let mut client = Peer::join(server.local_addr(), "/rooms/r?history=1&echo=false");
    publish(&server, "r", 10..12);
    assert_eq!([client.text(), client.text(), client.text()], ["9", "10", "11"]);
    let mut client = Peer::join(server.local_addr(), "/rooms/r");
    publish(&server, "r", 12..13);
    assert_eq!(client.text(), "12", "nobody gets history without asking");
}

#[test]
fn a_replayed_message_keeps_its_kind() {
    let server = server();
    let mut first = Peer::join(server.local_addr(), "/");
    let messages: [(u8, &[u8]); 4] =
        [(TEXT, "ça va".as_bytes()), (BINARY, b"\xff\x00"), (TEXT, b""), (BINARY, b"")];
    for (head, payload) in messages {
        first.send(head, payload);
        first.message();
    }
    let mut later = Peer::join(server.local_addr(), "/?history=4");
    for (head, payload) in messages {
        let message = later.message();
        assert_eq!((message.head, &message.payload[..]), (head, payload));
    }
}

#[test]
fn ones_own_messages_are_history_even_if_they_were_not_echoed() {
    let server = server();
    let mut client = Peer::join(server.local_addr(), "/?echo=false");
    client.say("mine");
    client.leave();
    let mut again = Peer::join(server.local_addr(), "/?echo=false&history=1");
    assert_eq!(again.text(), "mine");
}

#[test]
fn history_is_bounded_by_count() {
    let server = server_with(|config| {
        config.history_messages(5);
    });
    publish(&server, "r", 0..100);
    assert_eq!(replay(&server, "r", 100), numbers(95..100));
    let server = server_with(|config| {
        config.history_messages(0);
    });
    publish(&server, "r", 0..100);
    assert_eq!(replay(&server, "r", 100), numbers(0..0));
}

#[test]
fn history_is_bounded_by_bytes() {
    let server = server_with(|config| {
        config.history_size(10_000);
    });
    for letter in ["a", "b", "c", "d"] {
        server.publish("r", Kind::Text, letter.repeat(4_000).as_bytes()).unwrap();
    }
    assert_eq!(replay(&server, "r", 100), ["c".repeat(4_000), "d".repeat(4_000)]);
    server.publish("r", Kind::Text, "e".repeat(20_000).as_bytes()).unwrap();
    assert_eq!(replay(&server, "r", 100), ["e".repeat(20_000)], "the last is always kept");
    server.publish("r", Kind::Text, b"f").unwrap();
    assert_eq!(replay(&server, "r", 100), ["f"]);
}

#[test]
fn all_rooms_together_are_bounded_by_bytes() {
    let server = server_with(|config| {
        config.max_message_size(400_000).history_total(1_010_000);
    });
    let _subscriber = Peer::join(server.local_addr(), "/rooms/used");
    for room in ["used", "old", "new"] {
        server.publish(room, Kind::Text, room.repeat(100_000).as_bytes()).unwrap();
    }
    // 400,000 + 300,000 + 300,000 bytes fit. 300,000 more do not.
    server.publish("newest", Kind::Text, "x".repeat(300_000).as_bytes()).unwrap();
    assert_eq!(replay(&server, "old", 1), numbers(0..0), "longest without subscribers");
    assert_eq!(replay(&server, "newest", 1).len(), 1);
    assert_eq!(replay(&server, "used", 1).len(), 1);
}

#[test]
fn with_the_defaults_a_message_that_fits_is_kept_beside_those_before_it() {
    let server = server();
    publish(&server, "r", 0..5);
    let long = "x".repeat(1 << 20);
    server.publish("r", Kind::Text, long.as_bytes()).unwrap();
    assert_eq!(replay(&server, "r", 20), [numbers(0..5), vec![long]].concat());
    publish(&server, "s", 0..1005);
    assert_eq!(replay(&server, "s", 2000), numbers(5..1005));
}

#[test]
fn a_replay_is_complete_though_it_is_longer_than_an_outbox() {
    let server = server_with(|config| {
        config.history_size(16 << 20);
    });
    let texts: Vec<_> = ["a", "b", "c", "d", "e"].map(|text| text.repeat(900_000)).into();
    texts.iter().for_each(|text| _ = server.publish("r", Kind::Text, text.as_bytes()).unwrap());
    assert_eq!(replay(&server, "r", 20), texts);
    let server = server_with(|config| {
        config.max_message_size(1000).outbox_size(64 * 1024).workers(1);
    });
    let texts: Vec<_> = (0..1000).map(|number| format!("{number} {}", "x".repeat(900))).collect();
    texts.iter().for_each(|text| _ = server.publish("r", Kind::Text, text.as_bytes()).unwrap());
    assert_eq!(replay(&server, "r", 1000), texts);
}

#[test]
fn history_is_bounded_by_age() {
    let server = server_with(|config| {
        config.history_age(Duration::from_millis(50));
    });
    publish(&server, "r", 0..5);
    eventually("history has aged", || replay(&server, "r", 5).is_empty());
}

#[test]
fn between_history_and_what_follows_there_is_no_gap_and_no_double() {
    const COUNT: u32 = 20_000;
    let server = Config::new().listen("127.0.0.1:0").history_messages(50).start().unwrap();
    publish(&server, "r", 0..50);
    thread::scope(|scope| {
        let readers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut joins = 0;
                    loop {
                        let mut client = Peer::join(server.local_addr(), "/rooms/r?history=50");
                        let mut last: u32 = client.text().parse().expect("a number");
                        // Through the history and well into what follows.
                        for _ in 0..200 {
                            if last == COUNT - 1 {
                                return joins;
                            }
                            let next: u32 = client.text().parse().expect("a number");
                            assert_eq!(next, last + 1);
                            last = next;
                        }
                        joins += 1;
                    }
                })
            })
            .collect();
        // Paced by a reader, so that joins fall between publishes and nobody is slow.
        let mut pace = Peer::join(server.local_addr(), "/rooms/r");
        for number in 50..COUNT {
            publish(&server, "r", number..number + 1);
            if number % 10 == 0 {
                while pace.text() != number.to_string() {}
            }
        }
        for reader in readers {
            assert!(reader.join().unwrap() > 0, "it joined while messages were on their way");
        }
    });
    server.stop(PATIENCE).unwrap();
}

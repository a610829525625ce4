//! What is counted of clients: those that come, those that are refused, what they say, and how they end.

use std::{io::Write, os::unix::net::UnixStream, time::Duration};

use super::{
    served::{Served, ask, masked, received},
    setting::{events, options},
};
use crate::{
    event::{ClientId, DecisionId, Event},
    options::Options,
    stats::Stats,
};

const SECOND: Duration = Duration::from_secs(1);

fn stats(served: &Served) -> Stats {
    served.world.handle.stats()
}

/// Options of a server that gets events and decides on nothing.
fn with_events() -> Options {
    Options { event_queue: 100, ping_interval: Duration::ZERO, ..options() }
}

/// Insists that nobody is left.
fn is_empty(served: &mut Served, what: &str) {
    served.turns(6);
    served.pass(6 * SECOND);
    served.turns(6);
    let stats = stats(served);
    assert_eq!((stats.connections, stats.handshakes, stats.rooms), (0, 0, 0), "{what}");
    assert_eq!(served.shard().handle.load.get(), 0, "{what}");
}

#[test]
fn a_refused_client_is_counted_once_whatever_is_wrong_with_its_request() {
    let too_long = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    let requests = [
        ("400", "nonsense\r\n\r\n"),
        ("404", "GET /nowhere HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n"),
        ("405", "POST / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n"),
        ("426", "GET /rooms/a HTTP/1.1\r\nHost: x\r\nSec-WebSocket-Key: x\r\n\r\n"),
        ("431", &too_long),
    ];
    for (status, request) in requests {
        let mut served = Served::new(with_events());
        let mut client = served.connect();
        client.write_all(request.as_bytes()).unwrap();
        served.turns(3);
        let answer = String::from_utf8(received(&mut client)).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        drop(client);
        is_empty(&mut served, status);
        let stats = stats(&served);
        assert_eq!((stats.connections_refused, stats.requests_answered), (1, 0), "{status}");
        assert_eq!(stats.connections_accepted, 0, "{status}");
    }
}

#[test]
fn a_page_is_no_refusal() {
    for (request, status) in [
        ("GET /", 200),
        ("HEAD /", 200),
        ("GET /health", 200),
        ("HEAD /ready", 200),
        ("GET /nowhere", 404),
        ("POST /", 405),
        ("GET /rooms/a", 426),
        ("OPTIONS /rooms/a", 204),
        ("OPTIONS /rooms/a HTTP/1.1\r\nOrigin: https://other.test", 403),
    ] {
        let mut served = Served::new(with_events());
        let mut client = served.connect();
        let (line, further) = request.split_once(" HTTP/1.1").unwrap_or((request, ""));
        let head = format!("{line} HTTP/1.1\r\nHost: x{further}\r\n\r\n");
        client.write_all(head.as_bytes()).unwrap();
        served.turns(3);
        let answer = String::from_utf8(received(&mut client)).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        drop(client);
        is_empty(&mut served, request);
        let stats = stats(&served);
        assert_eq!((stats.connections_refused, stats.requests_answered), (0, 1), "{request}");
    }
}

#[test]
fn a_client_that_a_limit_keeps_out_is_counted_once() {
    let limits = [
        ("max_connections", Options { max_connections: 1, ..with_events() }),
        ("event_queue", Options { event_queue: 1, ..with_events() }),
    ];
    for (limit, options) in limits {
        let mut served = Served::new(options);
        let client = served.join("/");
        for count in 1..=3 {
            let mut late = served.connect();
            ask(&mut late, "/");
            served.turns(3);
            assert!(received(&mut late).starts_with(b"HTTP/1.1 503"), "{limit}");
            assert_eq!(stats(&served).connections_refused, count, "{limit}");
        }
        drop(client);
        is_empty(&mut served, limit);
        assert_eq!(stats(&served).connections_accepted, 1, "{limit}");
    }
}

#[test]
fn a_client_that_takes_too_long_or_leaves_before_it_has_asked_is_counted_once() {
    for sent in ["", "GET / HTTP/1.1\r\n"] {
        for is_patient in [true, false] {
            let mut served = Served::new(with_events());
            let mut client = served.connect();
            client.write_all(sent.as_bytes()).unwrap();
            served.turns(3);
            if is_patient {
                served.pass(5 * SECOND);
            }
            drop(client);
            is_empty(&mut served, sent);
            assert_eq!(stats(&served).connections_refused, 1, "{sent:?}, {is_patient}");
        }
    }
}

/// The client that asks to be connected.
fn asking(served: &Served) -> ClientId {
    let client = events(&served.world).into_iter().find_map(|event| match event {
        Event::ConnectRequest { client, .. } => Some(client),
        _ => None,
    });
    client.expect("one asks")
}

#[test]
fn a_client_that_is_not_admitted_is_counted_once_and_is_in_no_handshake_meanwhile() {
    type Act = fn(&mut Served, ClientId, UnixStream);
    // What happens, and what is counted: refused, rejected, timed out.
    let outcomes: [(&str, Act, [u64; 3]); 4] = [
        (
            "accepted",
            |served, id, _client| {
                served.world.handle.accept(id).unwrap();
                served.turns(3);
            },
            [0, 0, 0],
        ),
        (
            "rejected",
            |served, id, _client| {
                served.world.handle.reject(id, 403, "no", &[]).unwrap();
                served.turns(3);
            },
            [1, 1, 0],
        ),
        ("late", |served, _, _client| served.pass(60 * SECOND), [1, 0, 1]),
        ("gone", |_, _, client| drop(client), [1, 0, 0]),
    ];
    for (name, act, counts) in outcomes {
        let options = Options { admission_timeout: 60 * SECOND, ..with_events() };
        let mut served = Served::new(options);
        let mut client = served.connect();
        ask(&mut client, "/");
        served.turns(3);
        let id = asking(&served);
        let waiting = stats(&served);
        assert_eq!((waiting.connections, waiting.handshakes), (1, 0), "{name}");
        act(&mut served, id, client);
        served.turns(4);
        is_empty(&mut served, name);
        let after = stats(&served);
        let counted =
            [after.connections_refused, after.admissions_rejected, after.admissions_timed_out];
        assert_eq!(counted, counts, "{name}");
        assert_eq!(after.connections_accepted, 1 - counts[0], "{name}");
    }
}

#[test]
fn a_client_that_breaks_the_protocol_is_counted_once() {
    let long = [&[0x82, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 1, 0, 0, 0, 0][..], &[0; 100]].concat();
    let violations: [(&str, &[u8]); 4] = [
        ("not masked", &[0x81, 1, b'x', 0x81, 1, b'x']),
        ("not UTF-8", &[0x81, 0x81, 0, 0, 0, 0, 0xff, 0x81, 0x81, 0, 0, 0, 0, 0xff]),
        ("too long", &long),
        ("reserved", &[0x83, 0x80, 0, 0, 0, 0, 0x83, 0x80, 0, 0, 0, 0]),
    ];
    for (name, bytes) in violations {
        let mut served = Served::new(with_events());
        let mut client = served.join("/");
        client.write_all(&masked("right")).unwrap();
        client.write_all(bytes).unwrap();
        served.turns(4);
        client.write_all(bytes).unwrap();
        served.turns(4);
        drop(client);
        is_empty(&mut served, name);
        let stats = stats(&served);
        assert_eq!((stats.protocol_errors, stats.messages_received), (1, 1), "{name}");
        assert_eq!((stats.connections_accepted, stats.connections_refused), (1, 0), "{name}");
    }
    // None of these is a violation: a close frame, with a message behind it, and an end without one.
    let mut served = Served::new(with_events());
    for bytes in [&[0x88, 0x82, 0, 0, 0, 0, 3, 232, 0x81, 0x81, 0, 0, 0, 0, b'x'][..], b""] {
        let mut client = served.join("/");
        client.write_all(bytes).unwrap();
        served.turns(4);
        drop(client);
        is_empty(&mut served, "ended");
    }
    assert_eq!((stats(&served).protocol_errors, stats(&served).messages_received), (0, 0));
}

#[test]
fn a_message_is_received_once_and_published_once_if_there_is_a_room() {
    let mut served = Served::new(with_events());
    let mut client = served.join("/rooms/a?echo=false");
    let id = events(&served.world).into_iter().find_map(|event| match event {
        Event::Connected { client, .. } => Some(client),
        _ => None,
    });
    client.write_all(&masked("one").repeat(3)).unwrap();
    served.turns(3);
    let handle = served.world.handle.clone();
    assert_eq!((stats(&served).messages_received, stats(&served).messages_published), (3, 3));
    handle.leave(id.unwrap(), "a").unwrap();
    served.turns(3);
    // In no room, it speaks to the host alone.
    client.write_all(&masked("two").repeat(2)).unwrap();
    served.turns(3);
    assert_eq!((stats(&served).messages_received, stats(&served).messages_published), (5, 3));
    handle.publish("nobody", crate::frame::Kind::Text, b"x").unwrap();
    handle.broadcast(crate::frame::Kind::Text, b"x").unwrap();
    handle.send(id.unwrap(), crate::frame::Kind::Text, b"x").unwrap();
    let publication =
        |room| crate::batch::Publication { room, kind: crate::frame::Kind::Text, data: b"x" };
    handle.publish_batch(&[publication("a"), publication("a"), publication("b")]).unwrap();
    assert_eq!((stats(&served).messages_received, stats(&served).messages_published), (5, 8));
}

/// The decisions that wait for the host.
fn decisions(served: &Served) -> Vec<(ClientId, DecisionId)> {
    let decision = |event| match event {
        Event::MessageRequest { client, decision, .. } => Some((client, decision)),
        _ => None,
    };
    events(&served.world).into_iter().filter_map(decision).collect()
}

#[test]
fn a_message_that_is_not_published_is_counted_once_in_each_way() {
    type Act = fn(&mut Served, &[(ClientId, DecisionId)], UnixStream);
    // What happens to three messages, and what is counted: refused, timed out, published.
    let outcomes: [(&str, Act, [u64; 3]); 6] = [
        (
            "refused",
            |served, asked, _client| {
                asked.iter().for_each(|(_, it)| served.world.handle.refuse(*it).unwrap());
            },
            [3, 0, 0],
        ),
        (
            "allowed",
            |served, asked, _client| {
                asked.iter().for_each(|(_, it)| served.world.handle.allow(*it).unwrap());
            },
            [0, 0, 3],
        ),
        ("late", |served, _, _client| served.pass(60 * SECOND), [3, 3, 0]),
        (
            "allowed when its client has left the room",
            |served, asked, _client| {
                served.world.handle.leave(asked[0].0, "a").unwrap();
                asked.iter().for_each(|(_, it)| served.world.handle.allow(*it).unwrap());
            },
            [3, 0, 0],
        ),
        (
            "one allowed, and its client gone",
            |served, asked, client| {
                served.world.handle.allow(asked[0].1).unwrap();
                served.turns(2);
                drop(client);
                served.turns(4);
                served.pass(60 * SECOND);
            },
            [2, 2, 1],
        ),
        (
            "in the wrong order",
            |served, asked, _client| {
                served.world.handle.refuse(asked[2].1).unwrap();
                served.world.handle.allow(asked[1].1).unwrap();
                served.turns(2);
                assert_eq!(stats(served).messages_refused, 0, "the first is undecided");
                served.world.handle.refuse(asked[0].1).unwrap();
            },
            [2, 0, 1],
        ),
    ];
    for (name, act, counts) in outcomes {
        let mut served = Served::new(Options { review_timeout: 60 * SECOND, ..with_events() });
        let mut client = served.join("/rooms/a");
        client.write_all(&masked("x").repeat(3)).unwrap();
        served.turns(3);
        let asked = decisions(&served);
        assert_eq!(asked.len(), 3, "{name}");
        act(&mut served, &asked, client);
        served.turns(6);
        let stats = stats(&served);
        let counted = [stats.messages_refused, stats.reviews_timed_out, stats.messages_published];
        assert_eq!(counted, counts, "{name}");
        assert_eq!((stats.messages_received, stats.events_dropped), (3, 0), "{name}");
    }
}

#[test]
fn a_message_that_the_host_cannot_be_told_of_is_counted_as_a_dropped_event() {
    for review_timeout in [Duration::ZERO, 60 * SECOND] {
        // The client's own Connected, and one message.
        let mut served = Served::new(Options { review_timeout, event_queue: 2, ..with_events() });
        let mut client = served.join("/");
        client.write_all(&masked("x").repeat(4)).unwrap();
        served.turns(3);
        let stats = stats(&served);
        assert_eq!(stats.events_dropped, 3);
        let is_reviewed = !review_timeout.is_zero();
        // The host cannot decide on what it does not hear of.
        let expected = if is_reviewed { (0, 0) } else { (0, 4) };
        assert_eq!((stats.messages_refused, stats.messages_published), expected);
        let told: u64 = events(&served.world)
            .iter()
            .map(|event| if let Event::EventsDropped { count } = event { *count } else { 0 })
            .sum();
        assert_eq!(told, 3);
        if is_reviewed {
            // They wait behind the first.
            served.pass(60 * SECOND);
            assert_eq!(self::stats(&served).messages_refused, 4);
            assert_eq!(self::stats(&served).reviews_timed_out, 1);
        }
    }
}

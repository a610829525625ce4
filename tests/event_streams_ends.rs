//! How event streams end: what a client is told, when it comes back, and that it misses nothing.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod peer;

use std::{
    io::Write,
    thread,
    time::{Duration, Instant},
};

use chat::{Kind, Server, SlowConsumer};
use peer::{
    End, Peer,
    events::{Event, Source, Stream, read_all, request},
    eventually,
    host::{Events, server_with},
};
use serde_json::Value;

fn with_history() -> Server {
    server_with(|config| _ = config.history_messages(1000).event_queue(10_000).workers(1))
}

/// The data of the last event of a stream, which has this name.
fn ending(name: &str, (events, end): &(Vec<Event>, End)) -> Value {
    let last = events.last().expect("a last event");
    assert_eq!((&*last.name, *end), (name, End::Fin), "{events:?}");
    serde_json::from_str(&last.data).unwrap()
}

#[test]
fn a_client_that_the_host_disconnects_is_told_the_code() {
    let server = with_history();
    let mut stream = Stream::open(server.local_addr(), "/rooms/a");
    let mut json = Stream::open(server.local_addr(), "/rooms/b?format=json");
    let mut events = Events::of(&server);
    let (one, two) = (events.connected(), events.connected());
    server.publish("a", Kind::Text, b"last").unwrap();
    for client in [one, two] {
        server.disconnect(client, 4001, "a \"reason\"\u{e9}").unwrap();
    }
    let all = stream.until_end();
    assert_eq!(all.0[0].data, "last");
    let closed = ending("closed", &all);
    assert_eq!(closed, serde_json::json!({"code": 4001, "reason": "a \"reason\"\u{e9}"}));
    let closed = ending("message", &json.until_end());
    assert_eq!((&closed["type"], &closed["code"]), (&"closed".into(), &4001.into()));
    // Both stay in their order, whichever came first.
    let mut codes =
        [events.disconnected(), events.disconnected()].map(|(client, code, _)| (client, code));
    codes.sort();
    let mut expected = [(one, 4001), (two, 4001)];
    expected.sort();
    assert_eq!(codes, expected);
}

#[test]
fn a_client_that_may_come_back_is_told_when() {
    let server = with_history();
    let mut stream = Stream::open(server.local_addr(), "/rooms/a");
    let client = Events::of(&server).connected();
    server.disconnect(client, 1012, "moved").unwrap();
    let closing = ending("closing", &stream.until_end());
    let retry = closing["retry"].as_u64().unwrap();
    assert!(closing["code"] == 1012 && retry >= 3_000, "{closing}");
    assert_eq!(stream.source.retry, Some(retry));
}

#[test]
fn a_client_that_the_host_takes_out_of_its_room_is_told_so_and_stays() {
    let server = with_history();
    let mut stream = Stream::open(server.local_addr(), "/rooms/a");
    let client = Events::of(&server).connected();
    server.leave(client, "a").unwrap();
    let removed = stream.next();
    assert_eq!((&*removed.name, &*removed.data), ("removed", r#"{"room":"a"}"#));
    server.publish("a", Kind::Text, b"not for it").unwrap();
    server.send(client, Kind::Text, b"for it").unwrap();
    assert_eq!(stream.text(), "for it");
    server.join(client, "b").unwrap();
    server.publish("b", Kind::Text, b"hello").unwrap();
    assert_eq!(stream.text(), "hello");
}

#[test]
fn a_client_that_finds_the_server_full_comes_back_later() {
    let server = server_with(|config| _ = config.max_connections(1));
    let _first = Stream::open(server.local_addr(), "/rooms/a");
    let mut retries = Vec::new();
    for path in ["/rooms/a", "/rooms/b", "/rooms/a?format=json"] {
        let mut stream = Stream::open(server.local_addr(), path);
        let name = if path.contains("json") { "message" } else { "closing" };
        let closing = ending(name, &stream.until_end());
        assert_eq!(closing["code"], 1013);
        assert!(closing["reason"].as_str().unwrap().contains("too many connections"), "{closing}");
        assert_eq!(closing["retry"].as_u64(), stream.source.retry);
        retries.extend(stream.source.retry);
    }
    assert!(retries.iter().all(|retry| (5_000..=30_000).contains(retry)), "{retries:?}");
    assert!(retries.iter().any(|retry| *retry != retries[0]), "{retries:?}");
    assert_eq!(server.stats().connections_refused, 3);
    assert_eq!(server.stats().connections_accepted, 1);
}

#[test]
fn a_client_that_finds_too_many_handshakes_under_way_comes_back_later() {
    let server = server_with(|config| _ = config.max_handshakes(1).workers(1).origin("http://b"));
    let addr = server.local_addr();
    let _silent = Peer::connect(addr);
    eventually("a handshake is under way", || server.stats().handshakes == 1);
    let answer = |request: String| {
        // A connection that is accepted before its request has come is closed without an answer.
        (0..1000).find_map(|_| {
            let mut peer = Peer::connect(addr);
            // It is reset if the request comes behind the answer.
            peer.stream.write_all(request.as_bytes()).ok()?;
            let answer = read_all(&mut peer).ok()?;
            (!answer.is_empty()).then_some(answer)
        })
    };
    let mut retries = Vec::new();
    for path in ["/rooms/a", "/rooms/b?format=json"] {
        let all = answer(request("GET", path, &["Origin: http://b"])).expect("a stream");
        let (head, stream) = all.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(head.contains("Access-Control-Allow-Origin: http://b"), "{head}");
        let mut source = Source::default();
        let events = source.feed(stream.as_bytes());
        let name = if path.contains("json") { "message" } else { "closing" };
        assert_eq!(ending(name, &(events, End::Fin))["code"], 1013);
        retries.extend(source.retry);
    }
    assert!(retries.iter().all(|retry| (5_000..=30_000).contains(retry)), "{retries:?}");
    assert!(retries.len() == 2 && retries[0] != retries[1], "{retries:?}");
    let status = |method, path, line| {
        let all = answer(request(method, path, &[line])).expect("an answer");
        all.split_once("\r\n\r\n").map(|(head, body)| (head[9..12].to_owned(), body.is_empty()))
    };
    assert_eq!(status("GET", "/elsewhere", "A: b"), Some(("404".to_owned(), false)));
    assert_eq!(status("GET", "/", "Origin: http://c"), Some(("403".to_owned(), false)));
    assert_eq!(status("HEAD", "/", "A: b"), Some(("200".to_owned(), true)));
    assert_eq!(server.stats().connections_accepted, 0);
}

#[test]
fn a_slow_client_is_ended_whatever_the_policy_and_misses_nothing() {
    for policy in [SlowConsumer::Disconnect, SlowConsumer::DropOldest] {
        let server = server_with(|config| {
            config.history_messages(10_000).history_size(64 << 20).event_queue(10_000);
            config.outbox_size(256 * 1024).max_message_size(64 * 1024).slow_consumer(policy);
        });
        let peer = Peer::connect_small(server.local_addr());
        let mut stream = Stream::open_with(peer, "/rooms/a", &[]);
        let client = Events::of(&server).connected();
        let filling = "x\ny".repeat(3_000);
        let mut count = 0;
        while server.stats().slow_consumers == 0 {
            let text = format!("{count} {filling}");
            server.publish("a", Kind::Text, text.as_bytes()).unwrap();
            count += 1;
            assert!(count < 5_000);
            if count % 50 == 0 {
                thread::yield_now();
            }
        }
        let all = stream.until_end();
        let closing = ending("closing", &all);
        assert_eq!(closing["code"], 1013);
        let before = all.0.len() - 1;
        let (code, _) = Events::of(&server).left(client);
        assert_eq!(code, 1013);
        let stats = server.stats();
        let accounted = before as u64 + stats.messages_dropped;
        assert!(stats.messages_dropped > 0 && accounted <= count, "{stats:?} {before} {count}");
        assert_eq!(accounted, stats.messages_delivered, "{before}");
        let id = stream.source.last_id.clone();
        let mut again = Stream::reopen(server.local_addr(), "/rooms/a", &id);
        let received: Vec<_> = all.0[..before].iter().map(|event| event.data.clone()).collect();
        for number in 0..count {
            let text = match received.get(number as usize) {
                Some(text) => text.clone(),
                None => again.text(),
            };
            assert_eq!(text.split_once(' ').unwrap().0, number.to_string());
        }
    }
}

#[test]
fn a_message_of_very_many_lines_ends_nobody() {
    let server = server_with(|config| {
        config.history_messages(10).max_message_size(64 * 1024).outbox_size(90 * 1024);
    });
    let peer = Peer::connect_small(server.local_addr());
    let mut stream = Stream::open_with(peer, "/rooms/a", &[]);
    // As lines it is longer than the bound, and is allowed to be.
    let lines = "1 line\n".repeat(64 * 1024 / 7);
    server.publish("a", Kind::Text, lines.as_bytes()).unwrap();
    assert!(stream.text() == lines);
    server.publish("a", Kind::Text, "\n".repeat(64 * 1024).as_bytes()).unwrap();
    let event = stream.next();
    assert_eq!((&*event.name, event.data.len()), ("text", (64 * 1024_usize).div_ceil(3) * 4));
    assert_eq!(server.stats().slow_consumers, 0);
}

#[test]
fn without_pings_heartbeats_come_every_25_seconds() {
    let server = server_with(|config| _ = config.ping_interval(Duration::ZERO));
    let mut stream = Stream::open(server.local_addr(), "/rooms/a?format=json");
    let welcome = stream.next().data;
    assert!(welcome.contains(r#""ping":25}"#), "{welcome}");
}

#[test]
fn heartbeats_come_without_an_id_and_need_no_answer() {
    let server = server_with(|config| {
        config.ping_interval(Duration::from_millis(20)).ping_timeout(Duration::from_millis(10));
        config.history_messages(10);
    });
    let mut stream = Stream::open(server.local_addr(), "/rooms/a");
    let mut json = Stream::open(server.local_addr(), "/rooms/a?format=json");
    let id = stream.until_id();
    for _ in 0..10 {
        let ping = stream.next_or_end().unwrap();
        assert_eq!((&*ping.name, &*ping.data, &ping.id), ("ping", "{}", &id));
    }
    let is_ping = |event: Event| event.data == r#"{"type":"ping"}"#;
    let pings = (0..10).filter(|_| is_ping(json.next_or_end().unwrap())).count();
    assert_eq!(pings, 7, "beside welcome, entered and live");
    assert_eq!((server.stats().ping_timeouts, server.stats().connections), (0, 2));
}

#[test]
fn a_server_with_few_streams_stops_at_once() {
    let server = with_history();
    let mut stream = Stream::open(server.local_addr(), "/rooms/a");
    server.publish("a", Kind::Text, b"last").unwrap();
    let reading = thread::spawn(move || {
        let all = stream.until_end();
        drop(stream);
        all
    });
    let begun = Instant::now();
    server.stop(Duration::from_secs(60)).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let all = reading.join().unwrap();
    assert_eq!(all.0[0].data, "last");
    assert_eq!(ending("closing", &all)["code"], 1001);
}

#[test]
fn the_ends_of_many_streams_are_spread_and_all_come_back_to_the_next_server() {
    const COUNT: u32 = 300;
    let server = with_history();
    let addr = server.local_addr();
    let streams: Vec<_> = (0..COUNT).map(|_| Stream::open(addr, "/rooms/a")).collect();
    let socket = Peer::join(addr, "/rooms/a");
    eventually("all are members", || server.stats().connections == u64::from(COUNT) + 1);
    server.publish("a", Kind::Text, b"last").unwrap();
    let begun = Instant::now();
    let (ends, stopped) = thread::scope(|scope| {
        let read = |mut stream: Stream| {
            move || {
                let all = stream.until_end();
                drop(stream.peer);
                (all, stream.source, begun.elapsed())
            }
        };
        let reading: Vec<_> = streams.into_iter().map(|it| scope.spawn(read(it))).collect();
        let closing = scope.spawn(move || {
            let mut socket = socket;
            assert_eq!(socket.text(), "last");
            assert_eq!(socket.closed().0, 1001);
            let at = begun.elapsed();
            socket.answer_close(1001);
            at
        });
        server.stop(Duration::from_secs(20)).unwrap();
        let stopped = begun.elapsed();
        // A WebSocket's end waits for no stream's.
        assert!(closing.join().unwrap() < Duration::from_secs(5));
        (reading.into_iter().map(|it| it.join().unwrap()).collect::<Vec<_>>(), stopped)
    });
    let mut times = Vec::new();
    let mut retries = Vec::new();
    for (all, source, at) in ends {
        assert_eq!(all.0[0].data, "last");
        let closing = ending("closing", &all);
        assert_eq!(closing["code"], 1001);
        assert_eq!(closing["retry"].as_u64(), source.retry);
        retries.extend(source.retry);
        times.push(at);
        assert!(!source.last_id.is_empty());
    }
    times.sort();
    retries.sort_unstable();
    retries.dedup();
    let spread = *times.last().unwrap() - times[0];
    assert!(spread > Duration::from_millis(150), "{spread:?}");
    assert!(retries.len() > 50 && retries[0] >= 3_000, "{retries:?}");
    assert!(stopped < Duration::from_secs(15), "{stopped:?}");
}

#[test]
fn the_hosts_deadline_ends_all_streams() {
    let server = with_history();
    let streams: Vec<_> = (0..100).map(|_| Stream::open(server.local_addr(), "/rooms/a")).collect();
    let begun = Instant::now();
    // Nobody closes its side, so the deadline aborts all. Their ends come in the first half of the time.
    let _ = server.stop(Duration::from_secs(1));
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    for mut stream in streams {
        let all = stream.until_end();
        assert!(all.0.last().is_some_and(|last| last.name == "closing"), "{all:?}");
    }
}

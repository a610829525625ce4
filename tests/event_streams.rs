//! Event streams: their heads, their messages, and clients that come back.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod peer;

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use chat::{Config, Event, Form, Kind, Past, Position, Server};
use peer::{
    End, Peer,
    events::{self, Source, Stream, read_all, request},
    eventually,
    host::{Events, server, server_with},
};

fn with_history() -> Server {
    server_with(|config| _ = config.history_messages(100).event_queue(1000))
}

fn publish(server: &Server, texts: &[&str]) {
    for text in texts {
        server.publish("a", Kind::Text, text.as_bytes()).unwrap();
    }
}

/// What a text becomes: a client of events cannot tell the ends of lines apart.
fn as_received(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

fn answer(addr: SocketAddr, request: &str) -> String {
    let mut peer = Peer::connect(addr);
    // What is no stream would be answered on a connection that is kept.
    peer.write(request.replacen("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1).as_bytes());
    read_all(&mut peer).unwrap()
}

#[test]
fn the_head_of_a_stream_forbids_what_proxies_would_do_to_it() {
    let server = server();
    for version in ["1.0", "1.1"] {
        let mut peer = Peer::connect(server.local_addr());
        let request =
            request("GET", "/rooms/a", &[]).replace("HTTP/1.1", &format!("HTTP/{version}"));
        peer.write(request.as_bytes());
        let head = peer.response();
        assert_eq!(head.status, 200);
        for (name, value) in [
            ("Content-Type", "text/event-stream"),
            ("Connection", "close"),
            ("Cache-Control", "no-store, no-transform"),
            ("X-Accel-Buffering", "no"),
            ("Vary", "Accept, Origin"),
            ("X-Content-Type-Options", "nosniff"),
        ] {
            assert_eq!(head.header(name), Some(value), "{name}");
        }
        for name in ["Content-Length", "Transfer-Encoding", "Access-Control-Allow-Origin"] {
            assert_eq!(head.header(name), None, "{name}");
        }
    }
}

#[test]
fn the_first_bytes_say_where_the_client_is_and_when_it_comes_back() {
    let server = with_history();
    publish(&server, &["before"]);
    let position = server.position("a").unwrap();
    let mut retries = BTreeSet::new();
    for _ in 0..20 {
        let mut stream = Stream::open(server.local_addr(), "/rooms/a");
        assert_eq!(stream.until_id(), position.to_string());
        retries.insert(stream.source.retry.unwrap());
    }
    assert!(retries.len() > 5 && retries.iter().all(|it| (1_000..=3_000).contains(it)));
    let mut peer = Peer::connect(server.local_addr());
    peer.write(request("GET", "/rooms/a", &[]).as_bytes());
    peer.response();
    publish(&server, &["hello"]);
    let mut text = Vec::new();
    while !text.ends_with(b"hello\n\n") {
        peer.fill().unwrap();
        text.extend_from_slice(peer.rest());
        peer.skip_rest();
    }
    let text = String::from_utf8(text).unwrap();
    let rest = text.strip_prefix(&format!("id: {position}\nretry: ")).unwrap();
    let next = Position { offset: position.offset + 1, ..position };
    assert_eq!(&rest[4..], format!("\n\nid: {next}\ndata: hello\n\n"));
}

#[test]
fn the_stream_of_a_room_without_history_has_no_ids() {
    let server = server_with(|config| _ = config.history_messages(0));
    let mut stream = Stream::open(server.local_addr(), "/rooms/a");
    publish(&server, &["hello"]);
    assert_eq!(stream.text(), "hello");
    assert_eq!((stream.source.last_id.as_str(), stream.source.retry.is_some()), ("", true));
    let mut stream = Stream::reopen(server.local_addr(), "/rooms/a", "7-1");
    let gap = stream.next();
    assert_eq!(gap.data, r#"{"requested":"7-1","reason":"no_history"}"#);
    assert_eq!((&*gap.name, &*gap.id), ("gap", ""));
}

#[test]
fn a_message_is_what_was_said_and_forges_nothing_whatever_is_in_it() {
    let server = with_history();
    let mut stream = Stream::open(server.local_addr(), "/rooms/a?history=0");
    let (mut position, mut seen) = (stream.until_id(), 0);
    let chars = (0..=0x20).chain([0x7F, 0x85, 0xA0, 0x2028, 0x2029, 0xFEFF, 0x1F600]);
    let mut texts: Vec<String> = ["", " ", "  two spaces", "\n\n", "\r\n\r\n", "\n\r", ":", "a: b"]
        .map(str::to_owned)
        .into();
    for char in chars.filter_map(char::from_u32) {
        for text in
            ["XXa b", "a XX b", "a bXX", "XX", "aXX\nid: 7-7\nevent: gap\ndata: x\n\ndata: y"]
        {
            let (one, two) = (char.to_string(), format!("{char}{char}"));
            texts.extend([text.replace("XX", &one), text.replace("XX", &two)]);
        }
    }
    for text in &texts {
        server.publish("a", Kind::Text, text.as_bytes()).unwrap();
        let event = stream.next();
        assert_eq!(event.name, "message", "{text:?}");
        assert_eq!(event.data, as_received(text), "{text:?}");
        assert_ne!(event.id, position, "{text:?}");
        assert_eq!(event.id, server.position("a").unwrap().to_string(), "{text:?}");
        (position, seen) = (event.id, seen + 1);
    }
    assert!(seen > 300);
}

#[test]
fn bytes_come_in_base64_and_as_objects_everything_is_whole() {
    let server = with_history();
    let mut plain = Stream::open(server.local_addr(), "/rooms/a");
    let mut json = Stream::open(server.local_addr(), "/rooms/a?format=json");
    let first = |event: events::Event| (event.name, event.id, event.data);
    let (name, id, welcome) = first(json.next());
    assert_eq!((&*name, &*id), ("message", ""));
    assert!(welcome.starts_with(r#"{"type":"welcome","version":1,"client":""#), "{welcome}");
    assert!(json.source.retry.is_some_and(|retry| (1_000..=3_000).contains(&retry)));
    let (_, id, entered) = first(json.next());
    assert_eq!(entered, format!(r#"{{"type":"entered","room":"a","position":"{id}"}}"#));
    assert_eq!(json.next().data, r#"{"type":"live","room":"a"}"#);
    server.publish("a", Kind::Binary, &[0, 0xFF, b'\n']).unwrap();
    publish(&server, &["a\r\nb\rc\n"]);
    let binary = plain.next();
    assert_eq!((&*binary.name, &*binary.data), ("binary", "AP8K"));
    assert_eq!(plain.text(), "a\nb\nc\n");
    assert!(json.next().data.contains(r#""base64":"AP8K"}"#));
    let whole = json.next();
    assert!(whole.data.ends_with(r#""text":"a\r\nb\rc\n"}"#), "{whole:?}");
    assert!(whole.data.contains(&format!(r#""position":"{}""#, whole.id)));
    assert_eq!(whole.id, server.position("a").unwrap().to_string());
}

#[test]
fn what_has_no_position_has_no_id_and_moves_none() {
    let server = with_history();
    let mut stream = Stream::open(server.local_addr(), "/rooms/a");
    let client = Events::of(&server).connected();
    publish(&server, &["one"]);
    server.broadcast(Kind::Text, b"to all").unwrap();
    server.send(client, Kind::Binary, b"to one").unwrap();
    publish(&server, &["two"]);
    let events: Vec<_> = (0..4).map(|_| stream.next()).collect();
    let texts: Vec<_> = events.iter().map(|it| (&*it.name, &*it.data)).collect();
    assert_eq!(
        texts,
        [("message", "one"), ("message", "to all"), ("binary", "dG8gb25l"), ("message", "two")]
    );
    assert!(events[0].id == events[1].id && events[1].id == events[2].id);
    assert_ne!(events[2].id, events[3].id);
    eventually("all are counted", || server.stats().messages_delivered == 4);
}

#[test]
fn a_client_that_is_cut_at_any_byte_comes_back_to_exactly_what_it_lacks() {
    let server = server_with(|config| _ = config.history_messages(100));
    publish(&server, &["before"]);
    let start = server.position("a").unwrap();
    let texts = ["one", "two\nlines", "", "\r\n", "last"];
    publish(&server, &texts);
    server.publish("a", Kind::Binary, b"end").unwrap();
    for json in ["", "&format=json"] {
        let path = format!("/rooms/a?since={start}{json}");
        let mut peer = Peer::connect(server.local_addr());
        peer.write(request("GET", &path, &[]).as_bytes());
        peer.response();
        let mut whole = Vec::new();
        let expected = {
            let mut source = Source::default();
            let mut events = Vec::new();
            while !events.iter().any(is_end) {
                if peer.rest().is_empty() {
                    peer.fill().unwrap();
                }
                events.extend(source.feed(peer.rest()));
                whole.extend_from_slice(peer.rest());
                peer.skip_rest();
            }
            messages(events)
        };
        assert_eq!(expected.len(), texts.len() + 1);
        for cut in 0..=whole.len() {
            let mut source = Source::default();
            let mut got = messages(source.feed(&whole[..cut]));
            let mut stream = Stream::reopen(server.local_addr(), &path, &source.last_id);
            while got.len() < expected.len() {
                let event = stream.next();
                assert_ne!(event.name, "gap");
                got.extend(messages([event]));
            }
            assert_eq!(got, expected, "cut at {cut}");
        }
    }
}

fn is_end(event: &events::Event) -> bool {
    event.data == "ZW5k" || event.data.contains(r#""base64":"ZW5k""#)
}

/// The messages among events: their ids and data.
fn messages(events: impl IntoIterator<Item = events::Event>) -> Vec<(String, String)> {
    let is_message = |event: &events::Event| {
        !event.data.starts_with('{') || event.data.starts_with(r#"{"type":"message""#)
    };
    let messages = events.into_iter().filter(is_message);
    messages.map(|event| (event.id, event.data)).collect()
}

#[test]
fn the_last_id_counts_before_since_and_since_before_history() {
    let server = with_history();
    publish(&server, &["1", "2", "3", "4", "5"]);
    let top = server.position("a").unwrap();
    let at = |offset: u64| Position { offset, ..top }.to_string();
    let first = |path: String, last_id: &str| {
        let mut stream = Stream::reopen(server.local_addr(), &path, last_id);
        (stream.until_id(), stream.text())
    };
    let path = || format!("/rooms/a?since={}&history=2", at(1));
    assert_eq!(first(path(), &at(4)), (at(4), "5".to_owned()));
    assert_eq!(first(path(), ""), (at(1), "2".to_owned()));
    assert_eq!(first("/rooms/a?history=2".to_owned(), ""), (at(3), "4".to_owned()));
    let by_name = format!("/rooms/a?since.a={}", at(3));
    assert_eq!(first(by_name, ""), (at(3), "4".to_owned()));
}

#[test]
fn a_client_that_cannot_recover_is_told_why_and_where_it_stands() {
    let server = server_with(|config| _ = config.history_messages(3));
    publish(&server, &["1", "2", "3", "4", "5"]);
    let top = server.position("a").unwrap();
    let at = |offset: u64| Position { offset, ..top }.to_string();
    for (id, requested, reason) in [
        (at(1), at(1), "trimmed"),
        (at(6), at(6), "ahead"),
        ("7-4".to_owned(), "7-4".to_owned(), "epoch"),
        ("nowhere".to_owned(), String::new(), "invalid"),
        ("\u{e9}".to_owned(), String::new(), "invalid"),
        ("x".repeat(65), String::new(), "invalid"),
    ] {
        let mut stream = Stream::reopen(server.local_addr(), "/rooms/a", &id);
        let gap = stream.next();
        assert_eq!((&*gap.name, gap.id), ("gap", at(2)), "{id}");
        let data = format!(r#"{{"requested":"{requested}","reason":"{reason}"}}"#);
        assert_eq!(gap.data, data);
        // Everything that is kept.
        assert_eq!([(); 3].map(|()| stream.text()), ["3", "4", "5"]);
        let mut stream = Stream::reopen(server.local_addr(), "/rooms/a?history=1", &id);
        assert_eq!((stream.next().id, stream.text().as_str()), (at(4), "5"));
        let mut stream = Stream::reopen(server.local_addr(), "/rooms/a?format=json", &id);
        assert!(stream.next().data.contains("welcome"));
        let entered = stream.next();
        let why = format!(r#""recovered":false,"reason":"{reason}"}}"#);
        assert!(entered.data.ends_with(&why) && entered.id == at(2), "{entered:?}");
    }
}

#[test]
fn head_gets_the_head_alone_and_makes_no_member() {
    let server = with_history();
    for lines in [&[][..], &["Origin: http://a.test"]] {
        let text = answer(server.local_addr(), &request("HEAD", "/rooms/a", lines));
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
        assert!(text.contains("Content-Type: text/event-stream\r\n"), "{text}");
        assert!(text.ends_with("\r\n\r\n") && text.matches("\r\n\r\n").count() == 1, "{text}");
    }
    let stats = server.stats();
    assert_eq!((stats.connections_accepted, stats.requests_answered), (0, 2));
    assert!(Events::of(&server).now().is_empty());
}

#[test]
fn a_page_may_read_a_stream_only_if_its_origin_is_allowed() {
    let server = server_with(|config| _ = config.origin("https://a.example"));
    let ask = |method: &str, lines: &[&str]| {
        let text = answer(server.local_addr(), &request(method, "/rooms/a", lines));
        (text[9..12].parse::<u16>().unwrap(), text.to_ascii_lowercase())
    };
    let (status, text) = ask("HEAD", &["Origin: https://a.example"]);
    assert_eq!(status, 200);
    assert!(text.contains("\r\naccess-control-allow-origin: https://a.example\r\n"), "{text}");
    assert!(text.contains("\r\naccess-control-allow-credentials: true\r\n"), "{text}");
    for method in ["HEAD", "GET", "OPTIONS"] {
        assert_eq!(ask(method, &["Origin: https://b.example"]).0, 403, "{method}");
    }
    assert_eq!(ask("GET", &["Sec-Fetch-Site: cross-site"]).0, 403);
    let asks = "Access-Control-Request-Method: GET";
    let (status, text) = ask("OPTIONS", &["Origin: https://a.example", asks]);
    assert_eq!(status, 204);
    for line in [
        "access-control-allow-origin: https://a.example",
        "access-control-allow-headers: last-event-id",
        "access-control-allow-methods: get, head",
        "access-control-max-age: 600",
    ] {
        assert!(text.contains(&format!("\r\n{line}\r\n")), "{line}: {text}");
    }
    assert!(text.ends_with("\r\n\r\n") && !text.contains("content-"), "{text}");
    let server = server_with(|config| _ = config.origin("*"));
    let text = answer(server.local_addr(), &request("HEAD", "/", &["Origin: https://b.example"]));
    assert!(text.contains("\r\nAccess-Control-Allow-Origin: *\r\n"), "{text}");
    assert!(!text.contains("Credentials"), "{text}");
}

#[test]
fn what_leads_nowhere_is_refused_for_good() {
    let server = server();
    for (path, status) in [
        ("/elsewhere", "404"),
        ("/rooms/", "400"),
        ("/rooms/%FF", "400"),
        ("/rooms/a?echo=maybe", "400"),
        ("/rooms/a?format=xml", "400"),
    ] {
        let text = answer(server.local_addr(), &request("GET", path, &[]));
        assert_eq!(&text[9..12], status, "{path}");
    }
    // A browser that opens a page is shown one.
    let page = request("GET", "/", &[]).replace("text/event-stream", "text/html, */*;q=0.8");
    assert!(answer(server.local_addr(), &page).contains("This is libchat"));
    let page = request("GET", "/rooms/a", &[]).replace("text/event-stream", "*/*");
    assert_eq!(&answer(server.local_addr(), &page)[9..12], "426");
}

/// A server whose host decides on clients.
fn deciding(configure: impl FnOnce(&mut Config)) -> Server {
    server_with(|config| {
        config.history_messages(100).event_queue(1000).admission_timeout(Duration::from_secs(30));
        configure(config);
    })
}

#[test]
fn the_host_is_told_how_a_client_came_and_may_put_it_into_another_room() {
    let server = deciding(|_| ());
    let addr = server.local_addr();
    let mut events = Events::of(&server);
    let mut last_id = String::new();
    for round in ["one", "two", "three"] {
        let id = last_id.clone();
        let opening = std::thread::spawn(move || Stream::reopen(addr, "/rooms/door", &id));
        let client = events.find("ConnectRequest", |event| match event {
            Event::ConnectRequest { client, room, form, .. } => {
                assert_eq!((&*room, form), ("door", Form::Events));
                Some(client)
            }
            _ => None,
        });
        let refused = server.join(client, "hall").unwrap_err();
        assert!(refused.to_string().contains("one with events"), "{refused}");
        server.leave(client, "door").unwrap();
        server.join_with_past(client, "hall", Past::All, None).unwrap();
        assert!(matches!(server.join(client, "door"), Err(chat::Error::TooManyRooms { limit: 1 })));
        server.accept(client).unwrap();
        let mut stream = opening.join().unwrap();
        events.find("Connected", |event| match event {
            Event::Connected { client: other, form, room, .. } if other == client => {
                assert_eq!((form, &*room), (Form::Events, "hall"));
                Some(())
            }
            _ => None,
        });
        if !last_id.is_empty() {
            assert_eq!(stream.text(), "while it was away", "{round}");
        }
        server.publish("hall", Kind::Text, round.as_bytes()).unwrap();
        let message = stream.next();
        assert_eq!((&*message.name, &*message.data), ("message", round));
        last_id = message.id;
        stream.peer.finish();
        assert_eq!(events.left(client).0, 1006);
        server.publish("hall", Kind::Text, b"while it was away").unwrap();
    }
    let mut other = Peer::connect(addr);
    other.write(peer::upgrade_head(addr, "/rooms/a?format=json", &[]).as_bytes());
    let form = events.find("ConnectRequest", |event| match event {
        Event::ConnectRequest { form, .. } => Some(form),
        _ => None,
    });
    assert_eq!(form, Form::Json);
}

#[test]
fn a_client_in_no_room_is_told_at_once_when_it_comes_back_and_is_told_it_once() {
    for format in ["", "?format=json"] {
        let server = deciding(|config| _ = config.ping_interval(Duration::ZERO));
        let mut events = Events::of(&server);
        let mut peer = Peer::connect(server.local_addr());
        peer.write(request("GET", &format!("/rooms/door{format}"), &[]).as_bytes());
        let client = connect_request(&mut events);
        server.leave(client, "door").unwrap();
        server.accept(client).unwrap();
        assert_eq!(peer.response().status, 200);
        let mut text = peer.rest().to_vec();
        peer.skip_rest();
        let mut read_to = |end: &str| {
            while !text.ends_with(end.as_bytes()) {
                peer.fill().unwrap();
                text.extend_from_slice(peer.rest());
                peer.skip_rest();
            }
            String::from_utf8(text.clone()).unwrap()
        };
        let first = read_to("\n\n");
        assert_eq!(first.matches("retry: ").count(), 1, "{first}");
        for room in ["hall", "yard"] {
            server.join_with_past(client, room, Past::All, None).unwrap();
            server.send(client, Kind::Text, room.as_bytes()).unwrap();
            let end = if format.is_empty() { "\n\n" } else { "\"}\n\n" };
            let all = read_to(&format!("{room}{end}"));
            assert_eq!(all.matches("retry: ").count(), 1, "{all}");
            server.leave(client, room).unwrap();
        }
    }
}

/// The next client that wants to be connected.
fn connect_request(events: &mut Events<'_>) -> chat::ClientId {
    events.find("ConnectRequest", |event| match event {
        Event::ConnectRequest { client, .. } => Some(client),
        _ => None,
    })
}

#[test]
fn a_client_that_the_host_tells_to_stop_asking_gets_204_and_no_content() {
    let server = deciding(|config| _ = config.origin("*"));
    let mut events = Events::of(&server);
    for lines in [&["Origin: https://b.example"][..], &[]] {
        let addr = server.local_addr();
        let asking = lines.to_vec();
        let answered = std::thread::spawn(move || {
            answer(addr, &request("GET", "/rooms/a", &asking)).to_ascii_lowercase()
        });
        let client = connect_request(&mut events);
        server.reject(client, 204, "nobody reads this", &[("X-Why", "gone")]).unwrap();
        let text = answered.join().unwrap();
        assert!(text.starts_with("http/1.1 204 no content\r\n"), "{text}");
        assert!(text.ends_with("\r\n\r\n") && !text.contains("content-"), "{text}");
        assert!(text.contains("\r\nx-why: gone\r\n"), "{text}");
        assert_eq!(text.contains("access-control-allow-origin: *"), !lines.is_empty(), "{text}");
    }
    let stats = server.stats();
    assert_eq!((stats.connections_refused, stats.requests_answered), (2, 0));
}

#[test]
fn the_hosts_rejection_has_its_status() {
    let server = deciding(|config| _ = config.origin("*"));
    let mut peer = Peer::connect(server.local_addr());
    peer.write(request("GET", "/rooms/a", &["Origin: https://b.example"]).as_bytes());
    let client = Events::of(&server).find("ConnectRequest", |event| match event {
        Event::ConnectRequest { client, .. } => Some(client),
        _ => None,
    });
    server.reject(client, 503, "not today", &[]).unwrap();
    let answer = peer.response();
    assert_eq!((answer.status, &*answer.body), (503, "not today\n"));
    assert_eq!(answer.header("Access-Control-Allow-Origin"), Some("*"));
}

#[test]
fn what_a_client_sends_is_ignored_and_bounded() {
    let server = with_history();
    let mut events = Events::of(&server);
    let mut peer = Peer::connect(server.local_addr());
    let twice = request("GET", "/rooms/a", &["Content-Length: 5"]) + "hello GET / HTTP/1.1\r\n\r\n";
    peer.write(twice.as_bytes());
    let head = peer.response();
    assert_eq!(head.status, 200);
    let client = events.connected();
    peer.send(peer::frames::TEXT, b"no frame here");
    publish(&server, &["hello"]);
    let mut text = String::new();
    while !text.ends_with("data: hello\n\n") {
        peer.fill().unwrap();
        text += str::from_utf8(peer.rest()).unwrap();
        peer.skip_rest();
    }
    assert_eq!(server.stats().messages_received, 0);
    // The connection may end before all of it is taken.
    let _ = std::io::Write::write_all(&mut peer.stream, &[b'x'; 100 * 1024]);
    let (code, reason) = events.left(client);
    assert_eq!((code, reason.contains("more than")), (1006, true), "{reason}");
    peer.drain();
    let mut stream = Stream::open(server.local_addr(), "/rooms/a");
    let client = events.connected();
    stream.peer.finish();
    assert_eq!(events.left(client), (1006, "the client ended the event stream".to_owned()));
    assert!(matches!(stream.until_end().1, End::Fin | End::Reset));
}

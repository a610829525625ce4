//! What a client asks for the JSON form with: the subprotocol, the query, the positions.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod peer;

use chat::{Kind, Position};
use peer::{
    Peer,
    host::{Events, server, server_with},
    objects::{SUBPROTOCOL, field},
    upgrade_head,
};

#[test]
fn the_subprotocol_is_selected_wherever_it_is_offered_and_no_other_one_is() {
    let server = server();
    let addr = server.local_addr();
    let answer = |path: &str, lines: &[&str]| {
        let mut client = Peer::connect(addr);
        let response = client.upgrade(path, lines);
        let selected = response.header("Sec-WebSocket-Protocol").map(str::to_owned);
        if response.status != 101 {
            return (response.status, selected, false);
        }
        // A plain client is told nothing; a ping is answered behind what is said.
        client.send(peer::frames::PING, b"");
        let is_json = client.frame().payload.starts_with(b"{\"type\":\"welcome\"");
        (response.status, selected, is_json)
    };
    let json = || (101, Some("libchat.json".to_owned()), true);
    let header = |value: &str| format!("Sec-WebSocket-Protocol: {value}");
    for value in [
        "libchat.json",
        "chat, libchat.json",
        "libchat.json,chat",
        "a,libchat.json,,libchat.json , b",
        "\tlibchat.json\t",
    ] {
        assert_eq!(answer("/", &[&header(value)]), json(), "{value}");
        assert_eq!(answer("/?format=plain", &[&header(value)]), json(), "{value}");
        assert_eq!(answer("/?format=json", &[&header(value)]), json(), "{value}");
    }
    assert_eq!(answer("/", &[&header("chat"), &header("libchat.json")]), json());
    assert_eq!(answer("/", &["sec-websocket-protocol: libchat.json"]), json());
    for value in ["chat", "LIBCHAT.JSON", "libchat.json2", "\"libchat.json\"", "libchat json", ""] {
        assert_eq!(answer("/", &[&header(value)]), (101, None, false), "{value}");
        assert_eq!(answer("/?format=json", &[&header(value)]), (101, None, true), "{value}");
    }
    assert_eq!(answer("/?format=plain", &[]), (101, None, false));
    for format in ["xml", "", "JSON", "json,plain"] {
        assert_eq!(answer(&format!("/?format={format}"), &[SUBPROTOCOL]).0, 400, "{format}");
    }
}

#[test]
fn the_answer_that_selects_the_subprotocol_is_these_bytes() {
    let server = server();
    for (lines, selected) in [
        (&[SUBPROTOCOL][..], "\r\nSec-WebSocket-Protocol: libchat.json"),
        (&["Sec-WebSocket-Protocol: chat"], ""),
    ] {
        let mut client = Peer::connect(server.local_addr());
        client.write(upgrade_head(server.local_addr(), "/", lines).as_bytes());
        let expected = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo={selected}\r\n\r\n"
        );
        let mut answer = vec![0; expected.len()];
        std::io::Read::read_exact(&mut client.stream, &mut answer).unwrap();
        assert_eq!(String::from_utf8(answer).unwrap(), expected);
    }
    let mut old = Peer::connect(server.local_addr());
    let head =
        upgrade_head(server.local_addr(), "/", &[SUBPROTOCOL]).replace("HTTP/1.1", "HTTP/1.0");
    old.write(head.as_bytes());
    let response = old.response();
    assert_ne!(response.status, 101);
    assert_eq!(response.header("Sec-WebSocket-Protocol"), None);
}

#[test]
fn a_name_that_cannot_be_is_refused_with_the_request() {
    let server = server();
    for (name, status) in [
        ("", 101),
        ("%0A", 400),
        (&*"x".repeat(129), 400),
        (&*"x".repeat(128), 101),
        ("%00", 400),
        ("%FF", 101),
    ] {
        let response = Peer::connect(server.local_addr()).upgrade(&format!("/?name={name}"), &[]);
        assert_eq!(response.status, status, "{name:.10}");
    }
}

#[test]
fn many_positions_and_long_ones_are_read_within_bounds() {
    let server = server_with(|config| {
        config.handshake_size(1 << 20).event_queue(1000).max_rooms_per_client(1000);
    });
    let mut events = Events::of(&server);
    let addr = server.local_addr();
    let positions: Vec<_> = (0..10_000).map(|room| format!("r{room}")).collect();
    let tops: Vec<Position> = positions
        .iter()
        .take(300)
        .map(|room| server.publish(room, Kind::Text, b"x").unwrap())
        .collect();
    let since = |room: &str| {
        let top = room[1..].parse::<usize>().ok().and_then(|index| tops.get(index));
        format!("since.{room}={}", top.map_or("1-1".into(), ToString::to_string))
    };
    let query: Vec<_> = positions.iter().map(|room| since(room)).collect();
    let mut client = Peer::enter_json(addr, &format!("/?{}", query.join("&")));
    let id = events.connected();
    for room in positions.iter().take(300) {
        server.join(id, room).unwrap();
    }
    let reasons: Vec<_> = (0..300)
        .map(|_| client.until("live").remove(0))
        .map(|entered| (entered["recovered"].clone(), entered["reason"].clone()))
        .collect();
    assert!(reasons[..256].iter().all(|it| it.0 == true), "{reasons:?}");
    // The others are not left in silence.
    assert!(reasons[256..].iter().all(|it| it.0 == false && it.1 == "invalid"), "{reasons:?}");

    let objects =
        Peer::join_json(addr, &format!("/?since={}", "1".repeat(1_000_000))).until("live");
    assert_eq!(field(&objects[1], "reason"), "invalid");
    let mut refused = Peer::connect(addr);
    refused.write(
        upgrade_head(addr, &format!("/?since={}", "1".repeat(1 << 20)), &[SUBPROTOCOL]).as_bytes(),
    );
    assert_eq!(refused.response().status, 431);
}

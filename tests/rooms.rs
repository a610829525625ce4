//! Which paths are rooms, and what is delivered in them.

mod peer;

use chat::Kind;
use peer::{
    End, Peer,
    frames::{BINARY, TEXT},
    host::server,
};

/// What a message looks like to a room's subscriber.
fn assert_next(client: &mut Peer, head: u8, payload: &[u8]) {
    let message = client.message();
    assert_eq!((message.head, &message.payload[..]), (head, payload));
}

#[test]
fn the_path_names_the_room() {
    let server = server();
    let long = "x".repeat(128);
    let long_path = format!("/rooms/{long}");
    let encoded_path = format!("/rooms/{}", "%78".repeat(128));
    let rooms = [
        ("/", "lobby"),
        ("/?", "lobby"),
        ("/rooms/lobby", "lobby"),
        ("/rooms/lobby?echo=true", "lobby"),
        ("/rooms/general", "general"),
        ("/rooms/a%20b", "a b"),
        ("/rooms/caf%C3%A9", "café"),
        ("/rooms/caf%c3%a9", "café"),
        ("/rooms/%F0%9F%8E%88", "🎈"),
        ("/rooms/a%2Fb", "a/b"),
        ("/rooms/a+b", "a+b"),
        ("/rooms/100%25", "100%"),
        ("/rooms/x", "x"),
        (&long_path, &long),
        (&encoded_path, &long),
    ];
    for (path, room) in rooms {
        let mut client = Peer::join(server.local_addr(), path);
        server.publish(room, Kind::Text, path.as_bytes()).unwrap();
        assert_eq!(client.text(), path, "{path} is the room {room}");
        client.leave();
    }
}

#[test]
fn a_name_that_breaks_the_rules_is_a_bad_request() {
    let server = server();
    let paths = [
        "/rooms/".to_owned(),
        format!("/rooms/{}", "x".repeat(129)),
        format!("/rooms/{}", "%C3%A9".repeat(65)),
        "/rooms/%FF".to_owned(),
        "/rooms/%C3".to_owned(),
        "/rooms/%ED%A0%80".to_owned(),
        "/rooms/%C0%80".to_owned(),
        "/rooms/a%00b".to_owned(),
        "/rooms/a%0Ab".to_owned(),
        "/rooms/%1F".to_owned(),
        "/rooms/%7F".to_owned(),
        "/rooms/%C2%85".to_owned(),
        "/?echo=maybe".to_owned(),
        "/?echo=".to_owned(),
        "/rooms/x?echo=2".to_owned(),
        "/?history=many".to_owned(),
        "/?history=-1".to_owned(),
        "/?history=1.5".to_owned(),
    ];
    for path in paths {
        let mut client = Peer::connect(server.local_addr());
        assert_eq!(client.upgrade(&path, &[]).status, 400, "{path}");
        assert_eq!(client.end(), End::Fin, "{path}");
    }
    assert_eq!(server.stats().connections_accepted, 0);
}

#[test]
fn an_unknown_path_is_not_found() {
    let server = server();
    let paths = ["/room/x", "/rooms", "/lobby", "//", "/roomsx", "/rooms%2Fx"];
    for path in paths {
        let mut client = Peer::connect(server.local_addr());
        assert_eq!(client.upgrade(path, &[]).status, 404, "{path}");
        assert_eq!(client.end(), End::Fin, "{path}");
    }
}

#[test]
fn a_room_hears_nothing_of_another() {
    let server = server();
    let mut red = Peer::join(server.local_addr(), "/rooms/red");
    let mut blue = Peer::join(server.local_addr(), "/rooms/blue");
    let mut lobby = Peer::join(server.local_addr(), "/");
    for (client, text) in [(&mut red, "to red"), (&mut blue, "to blue"), (&mut lobby, "to lobby")] {
        client.say(text);
        assert_eq!(client.text(), text);
    }
    // Whatever went to a wrong room would come before these.
    for (room, client) in [("red", &mut red), ("blue", &mut blue), ("lobby", &mut lobby)] {
        server.publish(room, Kind::Text, b"end").unwrap();
        assert_eq!(client.text(), "end");
    }
}

#[test]
fn text_stays_text_and_binary_stays_binary_and_an_empty_message_is_a_message() {
    let server = server();
    let mut sender = Peer::join(server.local_addr(), "/");
    let mut other = Peer::join(server.local_addr(), "/");
    let all_bytes: Vec<u8> = (0..=255).collect();
    let long_text = "é".repeat(40_000);
    let messages: [(u8, &[u8]); 7] = [
        (TEXT, "grüß dich".as_bytes()),
        (BINARY, &all_bytes),
        (TEXT, b""),
        (BINARY, b""),
        (TEXT, b"nul \0 and \r\n are characters"),
        (TEXT, long_text.as_bytes()),
        (BINARY, b"bytes that look like text"),
    ];
    for (head, payload) in messages {
        sender.send(head, payload);
        assert_next(&mut sender, head, payload);
        assert_next(&mut other, head, payload);
    }
}

#[test]
fn a_message_of_every_form_of_length_arrives_whole() {
    let server = server();
    let mut client = Peer::join(server.local_addr(), "/");
    for length in [1, 125, 126, 127, 4095, 4096, 65_535, 65_536, 65_537, 1 << 20] {
        let payload: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
        client.send(BINARY, &payload);
        let message = client.message();
        assert_eq!(message.head, BINARY);
        assert!(message.payload == payload, "{length} bytes came back different");
    }
}

//! Positions: what was published is where the host was told, in its own room's history.

mod peer;

use chat::{Event, Kind, Position, Publication, Server};
use peer::{
    Peer,
    host::{Events, server, server_with},
};

fn publish(server: &Server, room: &str) -> Position {
    server.publish(room, Kind::Text, b"x").expect("the server runs")
}

#[test]
fn a_room_stands_where_its_last_message_is() {
    let server = server();
    let before = server.position("a").unwrap();
    assert!(before.offset == 0 && before.epoch != 0, "{before}");
    for offset in 1..=10 {
        let position = publish(&server, "a");
        assert_eq!(position, Position { offset, ..before });
        assert_eq!(server.position("a").unwrap(), position);
        assert_eq!(position.to_string().parse(), Ok(position));
    }
}

#[test]
fn no_two_rooms_have_one_epoch_and_no_room_has_it_again_in_another_server() {
    let mut epochs: Vec<_> = [server(), server()]
        .iter()
        .flat_map(|server| {
            (0..1000).map(|room| publish(server, &room.to_string()).epoch).collect::<Vec<_>>()
        })
        .collect();
    epochs.sort_unstable();
    epochs.dedup();
    assert_eq!(epochs.len(), 2000);
}

#[test]
fn a_message_event_tells_where_the_message_is() {
    let server = server_with(|config| _ = config.event_queue(100));
    let mut events = Events::of(&server);
    let mut client = Peer::join(server.local_addr(), "/rooms/a");
    let before = publish(&server, "a");
    client.say("hi");
    let position = events.find("Message", |event| match event {
        Event::Message { position, .. } => Some(position),
        _ => None,
    });
    assert_eq!(position, Position { offset: 2, ..before });
    assert_eq!(server.position("a").unwrap(), position);
}

#[test]
fn broadcasts_and_messages_to_single_clients_take_no_offset() {
    let server = server_with(|config| _ = config.event_queue(100));
    let mut events = Events::of(&server);
    let mut client = Peer::join(server.local_addr(), "/rooms/a");
    let id = events.connected();
    let before = publish(&server, "a");
    server.broadcast(Kind::Text, b"broadcast").unwrap();
    server.send(id, Kind::Text, b"sent").unwrap();
    assert_eq!(publish(&server, "a"), Position { offset: 2, ..before });
    assert_eq!([(); 4].map(|()| client.text()), ["x", "broadcast", "sent", "x"]);
}

#[test]
fn a_room_without_history_has_no_positions() {
    for none in [0, 1, 2] {
        let server = server_with(|config| {
            config.event_queue(100);
            _ = match none {
                0 => config.history_messages(0),
                1 => config.history_size(0),
                _ => config.history_total(0),
            };
        });
        let mut events = Events::of(&server);
        let mut client = Peer::join(server.local_addr(), "/rooms/a");
        assert_eq!(server.position("a").unwrap(), Position::NONE);
        assert_eq!(publish(&server, "a"), Position::NONE);
        assert_eq!(publish(&server, "nobody is here"), Position::NONE);
        let publication = Publication { room: "a", kind: Kind::Text, data: b"x" };
        let positions = server.publish_batch(&[publication; 3]).unwrap();
        assert_eq!(positions, [Position::NONE; 3]);
        client.say("hi");
        let position = events.find("Message", |event| match event {
            Event::Message { position, .. } => Some(position),
            _ => None,
        });
        assert_eq!(position, Position::NONE);
        assert_eq!([(); 5].map(|()| client.text()), ["x", "x", "x", "x", "hi"], "as before");
    }
}

#[test]
fn a_name_that_no_room_can_have_has_no_position() {
    let server = server();
    for name in ["", "..", "a\nb", &"x".repeat(129)] {
        assert!(matches!(server.position(name), Err(chat::Error::InvalidRoom(_))), "{name:?}");
    }
    server.request_stop();
    assert!(matches!(server.position("a"), Err(chat::Error::Stopped)));
}

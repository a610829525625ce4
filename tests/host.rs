//! What the host can send, and what it is told when it cannot.

mod peer;

use chat::{ClientId, Error, Kind, Publication};
use peer::{
    Peer,
    frames::{BINARY, TEXT},
    host::{Events, server, server_with},
};

#[test]
fn publish_reaches_one_room_and_broadcast_everyone() {
    let server = server();
    let mut lobby = Peer::join(server.local_addr(), "/");
    let mut red = Peer::join(server.local_addr(), "/rooms/red");
    // Its own messages do not come back to it, the host's do.
    let mut quiet = Peer::join(server.local_addr(), "/rooms/red?echo=false");

    server.publish("red", Kind::Text, b"to red").unwrap();
    server.broadcast(Kind::Binary, b"\x00to all").unwrap();
    for client in [&mut red, &mut quiet] {
        assert_eq!(client.text(), "to red");
    }
    for client in [&mut lobby, &mut red, &mut quiet] {
        let message = client.message();
        assert_eq!((message.head, &message.payload[..]), (BINARY, &b"\x00to all"[..]));
    }
}

#[test]
fn a_broadcast_is_no_rooms_history() {
    let server = server();
    let mut client = Peer::join(server.local_addr(), "/");
    server.publish("lobby", Kind::Text, b"published").unwrap();
    server.broadcast(Kind::Text, b"broadcast").unwrap();
    assert_eq!([client.text(), client.text()], ["published", "broadcast"]);
    let mut later = Peer::join(server.local_addr(), "/?history=10");
    later.say("end");
    assert_eq!([later.text(), later.text()], ["published", "end"]);
}

#[test]
fn send_reaches_one_client() {
    let server = server_with(|config| {
        config.event_queue(100);
    });
    let mut events = Events::of(&server);
    let mut first = Peer::join(server.local_addr(), "/");
    let first_id = events.connected();
    let mut second = Peer::join(server.local_addr(), "/");
    let second_id = events.connected();
    assert_ne!(first_id, second_id);
    assert_ne!(first_id.as_u64(), 0);

    server.send(second_id, Kind::Binary, b"for you alone").unwrap();
    let message = second.message();
    assert_eq!((message.head, message.text()), (BINARY, "for you alone"));
    server.send(first_id, Kind::Text, b"").unwrap();
    let message = first.message();
    assert_eq!((message.head, message.text()), (TEXT, ""), "and not the other's");

    first.leave();
    events.disconnected();
    assert!(matches!(server.send(first_id, Kind::Text, b"x"), Err(Error::ClientNotFound)));
    assert!(matches!(server.disconnect(first_id, 1000, ""), Err(Error::ClientNotFound)));
    for never in [ClientId::from_u64(0), ClientId::from_u64(u64::MAX)] {
        assert!(matches!(server.send(never, Kind::Text, b"x"), Err(Error::ClientNotFound)));
    }
    second.is_served();
}

#[test]
fn disconnect_closes_one_client_after_what_was_sent_before() {
    let server = server_with(|config| {
        config.event_queue(100);
    });
    let mut events = Events::of(&server);
    let mut other = Peer::join(server.local_addr(), "/");
    events.connected();
    let mut client = Peer::join(server.local_addr(), "/");
    let id = events.connected();
    let reason = "é".repeat(61) + "!";
    for number in 0..1000 {
        server.publish("lobby", Kind::Text, format!("{number}").as_bytes()).unwrap();
    }
    server.disconnect(id, 4999, &reason).unwrap();
    for number in 0..1000 {
        assert_eq!(client.text(), number.to_string());
        assert_eq!(other.text(), number.to_string());
    }
    assert_eq!(client.closed(), (4999, reason.clone()));
    client.answer_close(4999);
    assert_eq!(events.disconnected(), (id, 4999, reason));
    other.is_served();
}

#[test]
fn a_batch_is_published_in_its_order_to_each_of_its_rooms() {
    let server = server_with(|config| {
        config.history_messages(10_000).history_size(16 << 20).outbox_size(16 << 20);
    });
    let mut red = Peer::join(server.local_addr(), "/rooms/red");
    let mut blue = Peer::join(server.local_addr(), "/rooms/blue");
    let texts: Vec<_> = (0..3000).map(|number| number.to_string()).collect();
    let batch: Vec<_> = texts
        .iter()
        .enumerate()
        // Runs of every length, and one that is longer than what is published at once.
        .map(|(number, text)| {
            let room = if number < 1000 || number % 7 < 3 { "red" } else { "blue" };
            Publication { room, kind: Kind::Text, data: text.as_bytes() }
        })
        .collect();
    let positions = server.publish_batch(&batch).unwrap();
    assert_eq!(positions.len(), batch.len());
    let (mut reds, mut blues) = (1.., 1..);
    for (publication, position) in batch.iter().zip(&positions) {
        let offsets = if publication.room == "red" { &mut reds } else { &mut blues };
        let epoch = server.position(publication.room).unwrap().epoch;
        assert_eq!(Some(position.offset), offsets.next());
        assert_eq!(position.epoch, epoch);
    }
    for publication in &batch {
        let peer = if publication.room == "red" { &mut red } else { &mut blue };
        assert_eq!(peer.text().as_bytes(), publication.data);
    }
    server.publish_batch(&[]).unwrap();
    assert_eq!(server.stats().messages_published, 3000);
    assert_eq!(server.publish("red", Kind::Text, b"end").unwrap().offset, 1000 + 2000 * 3 / 7 + 2);
}

#[test]
fn nothing_of_a_batch_is_published_if_a_message_of_it_cannot_be() {
    let server = server_with(|config| {
        config.max_message_size(100);
    });
    let mut client = Peer::join(server.local_addr(), "/");
    let good = Publication { room: "lobby", kind: Kind::Text, data: b"good" };
    for bad in [
        Publication { room: "", ..good },
        Publication { data: &[b'x'; 101], ..good },
        Publication { data: b"\xff", ..good },
    ] {
        let failed = server.publish_batch(&[good, good, bad]).unwrap_err();
        assert!(failed.positions.is_empty(), "{failed}");
    }
    server.publish_batch(&[good]).unwrap();
    assert_eq!(client.text(), "good");
    client.is_served();
}

#[test]
fn what_cannot_be_sent_is_refused_and_nothing_goes_out() {
    let server = server_with(|config| {
        config.event_queue(100).max_message_size(10);
    });
    let mut events = Events::of(&server);
    let mut client = Peer::join(server.local_addr(), "/");
    let id = events.connected();

    for room in ["", "a\nb", "\u{7f}", "\u{85}", &"x".repeat(129)] {
        let result = server.publish(room, Kind::Text, b"x");
        assert!(matches!(result, Err(Error::InvalidRoom(_))), "{room:?}: {result:?}");
    }
    for result in [
        server.broadcast(Kind::Text, b"\xff"),
        server.publish("lobby", Kind::Text, b"\xc0\x80").map(drop),
        server.send(id, Kind::Text, b"\xed\xa0\x80"),
    ] {
        assert!(matches!(result, Err(Error::InvalidUtf8)), "{result:?}");
    }
    for result in [
        server.broadcast(Kind::Text, b"eleven byte"),
        server.publish("lobby", Kind::Binary, b"eleven byte").map(drop),
        server.send(id, Kind::Text, b"eleven byte"),
    ] {
        assert!(
            matches!(result, Err(Error::TooLarge { what: "data", size: 11, limit: 10 })),
            "{result:?}"
        );
    }
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, u16::MAX] {
        let result = server.disconnect(id, code, "");
        assert!(matches!(result, Err(Error::InvalidCloseCode(it)) if it == code), "{result:?}");
    }
    let result = server.disconnect(id, 1000, &"x".repeat(124));
    assert!(
        matches!(result, Err(Error::TooLarge { what: "reason", size: 124, limit: 123 })),
        "{result:?}"
    );

    server.send(id, Kind::Text, b"ten bytes!").unwrap();
    assert_eq!(client.text(), "ten bytes!", "and nothing before it");
}

#[test]
fn the_offsets_of_a_room_are_contiguous_from_1_whoever_publishes() {
    let server = server_with(|config| {
        config.event_queue(1000);
    });
    let mut events = Events::of(&server);
    let mut client = Peer::join(server.local_addr(), "/rooms/a");
    for round in 0..100 {
        let host = server.publish("a", Kind::Text, b"from the host").unwrap();
        assert_eq!(host.offset, 2 * round + 1);
        client.say("from a client");
        let (room, position) = events.find("Message", |event| match event {
            chat::Event::Message { room, position, .. } => Some((room, position)),
            _ => None,
        });
        assert_eq!((&*room, position.offset, position.epoch), ("a", 2 * round + 2, host.epoch));
        let elsewhere = server.publish("b", Kind::Text, b"elsewhere").unwrap();
        assert_eq!(elsewhere.offset, round + 1);
        assert_ne!(elsewhere.epoch, host.epoch);
    }
}

#[test]
fn what_one_thread_of_the_host_sends_arrives_in_its_order() {
    let server = server_with(|config| {
        config.event_queue(100);
    });
    let mut events = Events::of(&server);
    let mut client = Peer::join(server.local_addr(), "/");
    let id = events.connected();
    for round in 0..300 {
        for number in 0..50 {
            let text = format!("{round}.{number}");
            match (round + number) % 3 {
                0 => server.send(id, Kind::Text, text.as_bytes()).unwrap(),
                1 => server.broadcast(Kind::Text, text.as_bytes()).unwrap(),
                _ => drop(server.publish("lobby", Kind::Text, text.as_bytes()).unwrap()),
            }
        }
        for number in 0..50 {
            assert_eq!(client.text(), format!("{round}.{number}"));
        }
    }
}

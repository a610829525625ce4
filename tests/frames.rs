//! Frames that are right, however they are cut, mixed and spread over segments.

mod peer;

use peer::{
    End, Peer,
    frames::{
        BINARY, BINARY_START, CLOSE, LAST, MORE, PING, PONG, TEXT, TEXT_START, close_payload,
        masked,
    },
    host::{Events, server, server_with},
};

const TEXT_OF_ALL_LENGTHS: &str = "aé€🎈z";

#[test]
fn a_text_in_fragments_is_delivered_as_one_frame_wherever_it_is_cut() {
    let server = server();
    let mut client = Peer::join(server.local_addr(), "/");
    let bytes = TEXT_OF_ALL_LENGTHS.as_bytes();
    for first in 0..=bytes.len() {
        for second in first..=bytes.len() {
            client.send(TEXT_START, &bytes[..first]);
            client.send(MORE, &bytes[first..second]);
            client.send(LAST, &bytes[second..]);
            let message = client.frame();
            assert_eq!((message.head, message.text()), (TEXT, TEXT_OF_ALL_LENGTHS));
        }
    }
    client.send(TEXT_START, b"");
    for byte in bytes {
        client.send(MORE, &[*byte]);
    }
    client.send(LAST, b"");
    assert_eq!(client.text(), TEXT_OF_ALL_LENGTHS);
}

#[test]
fn binary_fragments_need_no_utf_8() {
    let server = server();
    let mut client = Peer::join(server.local_addr(), "/");
    client.send(BINARY_START, b"\xff\xe2");
    client.send(LAST, b"\x82");
    let message = client.frame();
    assert_eq!((message.head, &message.payload[..]), (BINARY, &b"\xff\xe2\x82"[..]));
}

#[test]
fn a_ping_is_answered_with_its_payload() {
    let server = server();
    let mut client = Peer::join(server.local_addr(), "/");
    let mut other = Peer::join(server.local_addr(), "/");
    for payload in [&b""[..], b"x", b"\xff\x00 not text", &[b'x'; 125]] {
        client.send(PING, payload);
        let pong = client.frame();
        assert_eq!((pong.head, &pong.payload[..]), (PONG, payload));
    }
    client.say("end");
    assert_eq!(other.frame().text(), "end", "a ping is nobody else's business");
}

#[test]
fn a_ping_between_fragments_is_answered_at_once() {
    let server = server();
    let mut client = Peer::join(server.local_addr(), "/");
    client.send(TEXT_START, b"\xe2");
    for round in 0..10_u8 {
        client.send(PING, &[round]);
        let pong = client.frame();
        assert_eq!((pong.head, &pong.payload[..]), (PONG, &[round][..]));
        client.send(PONG, b"unasked");
    }
    client.send(LAST, b"\x82\xac");
    assert_eq!(client.text(), "€");
}

#[test]
fn an_unsolicited_pong_is_ignored() {
    let server = server();
    let mut client = Peer::join(server.local_addr(), "/");
    client.send(PONG, b"");
    client.send(PONG, &[b'x'; 125]);
    client.say("end");
    let next = client.frame();
    assert_eq!((next.head, next.text()), (TEXT, "end"));
}

#[test]
fn frames_may_be_cut_at_every_byte() {
    let server = server();
    let mut client = Peer::join(server.local_addr(), "/");
    let long = "é".repeat(100);
    let mut bytes = masked(TEXT, b"one");
    bytes.extend(masked(TEXT_START, b"t\xc3"));
    bytes.extend(masked(PING, b"?"));
    bytes.extend(masked(LAST, b"\xa9"));
    bytes.extend(masked(TEXT, long.as_bytes()));
    bytes.extend(masked(TEXT, b""));
    let check = |client: &mut Peer| {
        let frames = [0; 5].map(|_| client.frame());
        let (pongs, messages): (Vec<_>, Vec<_>) = frames.iter().partition(|it| it.head == PONG);
        assert_eq!(pongs.iter().map(|it| it.text()).collect::<Vec<_>>(), ["?"]);
        let texts: Vec<_> = messages.iter().map(|it| it.text()).collect();
        assert_eq!(texts, ["one", "té", &long, ""]);
    };
    for byte in &bytes {
        client.write(&[*byte]);
    }
    check(&mut client);
    // What was sent in two parts with an answer awaited between them was read in two parts.
    for cut in 1..bytes.len() {
        let mut client = Peer::join(server.local_addr(), &format!("/rooms/{cut}"));
        let mut other = Peer::join(server.local_addr(), "/rooms/other");
        client.write(&bytes[..cut]);
        other.is_served();
        client.write(&bytes[cut..]);
        check(&mut client);
    }
}

#[test]
fn many_frames_in_one_segment_are_all_delivered_in_order() {
    let server = server();
    let mut client = Peer::join(server.local_addr(), "/");
    let bytes: Vec<u8> =
        (0..10_000).flat_map(|number| masked(TEXT, format!("{number}").as_bytes())).collect();
    client.write(&bytes);
    for number in 0..10_000 {
        assert_eq!(client.text(), number.to_string());
    }
}

#[test]
fn a_close_is_answered_with_the_same_code() {
    let server = server_with(|config| {
        config.event_queue(1000);
    });
    let mut events = Events::of(&server);
    let codes =
        [1000, 1001, 1002, 1003].into_iter().chain(1007..=1013).chain([3000, 3999, 4000, 4999]);
    for code in codes {
        let mut client = Peer::join(server.local_addr(), "/");
        client.send(CLOSE, &close_payload(code, "à bientôt".as_bytes()));
        assert_eq!(client.closed().0, code);
        assert_eq!(client.end(), End::Fin);
        let (_, told, reason) = events.disconnected();
        assert_eq!((told, &*reason), (code, "à bientôt"));
        assert_eq!(server.stats().protocol_errors, 0, "{code}");
    }
    let mut client = Peer::join(server.local_addr(), "/");
    client.send(CLOSE, b"");
    let answer = client.frame();
    assert_eq!((answer.head, answer.payload.len()), (CLOSE, 0), "no code for no code");
    assert_eq!(client.end(), End::Fin);
    assert_eq!(events.disconnected().1, 1005);
    assert_eq!(server.stats().protocol_errors, 0);
}

#[test]
fn nothing_counts_after_a_close_frame() {
    let server = server();
    let mut other = Peer::join(server.local_addr(), "/");
    let mut client = Peer::join(server.local_addr(), "/");
    let mut bytes = masked(TEXT, b"before");
    bytes.extend(masked(CLOSE, &close_payload(1000, b"")));
    bytes.extend(masked(TEXT, b"after"));
    bytes.extend([0xff; 1000]);
    client.write(&bytes);
    assert_eq!(client.until_closed().1, 1000);
    assert_eq!(client.end(), End::Fin);
    other.say("end");
    assert_eq!([other.text(), other.text()], ["before", "end"]);
}

#[test]
fn a_connection_that_ends_without_a_close_frame_is_told_as_1006() {
    let server = server_with(|config| {
        config.event_queue(1000);
    });
    let mut events = Events::of(&server);
    let mut other = Peer::join(server.local_addr(), "/");
    events.connected();
    for unfinished in [&b""[..], &masked(TEXT, b"cut")[..7], &masked(TEXT_START, b"cut")] {
        let mut client = Peer::join(server.local_addr(), "/");
        let id = events.connected();
        client.write(unfinished);
        client.finish();
        client.drain();
        let (gone, code, reason) = events.disconnected();
        assert_eq!((gone, code), (id, 1006));
        assert!(!reason.is_empty(), "the host is told what happened");
    }
    // A reset: the client leaves without having read what was sent to it.
    let client = Peer::join(server.local_addr(), "/");
    let id = events.connected();
    other.is_served();
    let mut byte = [0];
    client.stream.peek(&mut byte).unwrap();
    drop(client);
    let (gone, code, _) = events.disconnected();
    assert_eq!((gone, code), (id, 1006));
    other.is_served();
}

#[test]
fn what_a_client_says_right_before_it_closes_comes_back_to_it_too() {
    let server = server();
    let violation = masked(TEXT | 0x40, b"a reserved bit");
    for (end, code) in [(masked(CLOSE, &close_payload(1000, b"")), 1000), (violation, 1002)] {
        let mut client = Peer::join(server.local_addr(), "/");
        let mut bytes = masked(TEXT, b"first");
        bytes.extend(masked(TEXT, b"second"));
        bytes.extend(end);
        client.write(&bytes);
        let (frames, closed) = client.until_closed();
        let texts: Vec<_> = frames.iter().map(|frame| frame.text()).collect();
        assert_eq!((&texts[..], closed), (&["first", "second"][..], code));
        assert_eq!(client.end(), End::Fin);
    }
}

//! Violations of RFC 6455: each is answered with the close code that it deserves, which the peer can
//! read, and harms nobody else.

mod peer;

use chat::{Kind, Server};
use peer::{
    End, Peer,
    frames::{
        BINARY_START, CLOSE, LAST, MORE, PING, PONG, TEXT, TEXT_START, close_payload, header,
        masked, unmasked,
    },
    host::{Events, server_with},
};

fn server() -> Server {
    server_with(|config| {
        config.event_queue(10_000);
    })
}

/// Sends bytes that break the protocol, after a message that does not, with more bytes behind: the
/// client gets the code and a FIN, the room gets the message alone.
fn violate(server: &Server, what: &str, bytes: &[u8], code: u16) {
    let mut events = Events::of(server);
    let mut witness = Peer::join(server.local_addr(), "/");
    events.connected();
    let mut client = Peer::join(server.local_addr(), "/");
    let id = events.connected();
    // Bytes that nobody reads any more make a kernel answer with a reset, which would eat the code.
    let behind = masked(TEXT, &[b'x'; 100_000]);
    client.say("before");
    assert_eq!(client.text(), "before", "{what}");
    client.write(&[bytes, &behind].concat());
    assert_eq!(client.closed().0, code, "{what}");
    assert_eq!(client.end(), End::Fin, "{what}");
    drop(client);

    let (told, reason) = events.left(id);
    assert_eq!(told, code, "{what}");
    assert!(!reason.is_empty(), "{what}: the host is told why");
    assert_eq!(witness.text(), "before", "{what}");
    server.publish("lobby", Kind::Text, b"after").expect("the server runs");
    assert_eq!(witness.text(), "after", "{what}: nothing else reaches the others");
    witness.leave();
}

fn frames(frames: &[(u8, &[u8])]) -> Vec<u8> {
    frames.iter().flat_map(|(head, payload)| masked(*head, payload)).collect()
}

#[test]
fn an_unmasked_frame_is_closed_with_1002() {
    let server = server();
    violate(&server, "text", &unmasked(TEXT, b"in clear"), 1002);
    violate(&server, "empty text", &unmasked(TEXT, b""), 1002);
    violate(&server, "ping", &unmasked(PING, b""), 1002);
    violate(&server, "close", &unmasked(CLOSE, &close_payload(1000, b"")), 1002);
    assert_eq!(server.stats().protocol_errors, 4);
}

#[test]
fn a_client_that_goes_on_sending_is_not_reset_before_it_has_read_why() {
    let server = server();
    let mut client = Peer::join(server.local_addr(), "/");
    client.write(&unmasked(TEXT, b"in clear"));
    // The answer has come, and is not read yet. A server that has closed its socket by now answers
    // whatever comes with a reset, after which nothing more can be written.
    client.stream.peek(&mut [0]).unwrap();
    for _ in 0..50 {
        client.say(&"more ".repeat(1000));
    }
    assert_eq!(client.closed().0, 1002);
    assert_eq!(client.end(), End::Fin);
}

#[test]
fn a_reserved_bit_is_closed_with_1002() {
    let server = server();
    for bits in [0x40, 0x20, 0x10, 0x70] {
        for head in [TEXT, PING, CLOSE, TEXT_START] {
            violate(&server, &format!("{bits:#x}"), &masked(head | bits, b""), 1002);
        }
    }
    let bytes = frames(&[(TEXT_START, b"a"), (LAST | 0x40, b"b")]);
    violate(&server, "on a continuation", &bytes, 1002);
}

#[test]
fn a_reserved_opcode_is_closed_with_1002() {
    let server = server();
    for opcode in (0x3..=0x7).chain(0xb..=0xf) {
        violate(&server, &format!("{opcode:#x}"), &masked(0x80 | opcode, b"x"), 1002);
        violate(&server, &format!("{opcode:#x} without FIN"), &masked(opcode, b""), 1002);
    }
}

#[test]
fn broken_fragmentation_is_closed_with_1002() {
    let server = server();
    violate(&server, "last without a first", &frames(&[(LAST, b"x")]), 1002);
    violate(&server, "more without a first", &frames(&[(MORE, b"x")]), 1002);
    violate(&server, "text inside a message", &frames(&[(TEXT_START, b"a"), (TEXT, b"b")]), 1002);
    let bytes = frames(&[(TEXT_START, b"a"), (BINARY_START, b"b")]);
    violate(&server, "a second first", &bytes, 1002);
    let bytes = frames(&[(BINARY_START, b"a"), (MORE, b"b"), (TEXT, b"c")]);
    violate(&server, "text inside a binary message", &bytes, 1002);
    let bytes = frames(&[(TEXT_START, b"a"), (LAST, b""), (LAST, b"c")]);
    // The first two are a whole message, which the room gets.
    let mut witness = Peer::join(server.local_addr(), "/");
    let mut client = Peer::join(server.local_addr(), "/");
    client.write(&bytes);
    assert_eq!(client.until_closed().1, 1002);
    assert_eq!(client.end(), End::Fin);
    assert_eq!(witness.text(), "a");
}

#[test]
fn a_long_or_fragmented_control_frame_is_closed_with_1002() {
    let server = server();
    for head in [PING, PONG, CLOSE] {
        violate(&server, "126 bytes", &masked(head, &[b'x'; 126]), 1002);
        violate(&server, "70,000 bytes", &masked(head, &[b'x'; 70_000]), 1002);
        violate(&server, "without FIN", &masked(head & 0x7f, b"xx"), 1002);
    }
    violate(&server, "claims 2^62 bytes", &header(PING, 1 << 62), 1002);
}

#[test]
fn an_invalid_close_code_is_closed_with_1002() {
    let server = server();
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, u16::MAX] {
        let bytes = masked(CLOSE, &close_payload(code, b""));
        violate(&server, &format!("code {code}"), &bytes, 1002);
    }
    violate(&server, "half a code", &masked(CLOSE, &[3]), 1002);
}

#[test]
fn a_close_reason_that_is_not_utf_8_is_closed_with_1007() {
    let server = server();
    violate(&server, "0xff", &masked(CLOSE, &close_payload(1000, b"\xff")), 1007);
    violate(&server, "cut", &masked(CLOSE, &close_payload(1000, b"caf\xc3")), 1007);
}

#[test]
fn text_that_is_not_utf_8_is_closed_with_1007() {
    let server = server();
    for text in [
        &b"\xff"[..],
        b"\x80",
        b"cut \xe2\x82",
        b"overlong \xc0\xaf",
        b"overlong \xe0\x80\xaf",
        b"surrogate \xed\xa0\x80",
        b"beyond \xf4\x90\x80\x80",
        b"\xf5\x80\x80\x80",
        b"good \xe2\x82\xac then bad \xe2\x28\xa1",
    ] {
        violate(&server, &format!("{text:x?}"), &masked(TEXT, text), 1007);
        for cut in 0..=text.len() {
            let (first, last) = text.split_at(cut);
            let bytes = frames(&[(TEXT_START, first), (LAST, last)]);
            violate(&server, &format!("{text:x?} cut at {cut}"), &bytes, 1007);
        }
    }
    // Each fragment would be good by itself if they were joined otherwise.
    let bytes = frames(&[(TEXT_START, b"\xe2\x82"), (MORE, b""), (LAST, b"x\xac")]);
    violate(&server, "a character with a hole", &bytes, 1007);
    let long = [&[b'x'; 70_000][..], b"\xff"].concat();
    violate(&server, "at the end of a long message", &masked(TEXT, &long), 1007);
}

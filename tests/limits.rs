//! How much a client may send at once: exactly the limit, in one frame or in many.

mod peer;

use std::io::Write;

use chat::Server;
use peer::{
    End, Peer,
    frames::{BINARY, BINARY_START, LAST, MORE, PING, PONG, TEXT, TEXT_START, header, masked},
    host::server_with,
};

const LIMIT: usize = 1000;

fn server() -> Server {
    server_with(|config| {
        config.max_message_size(LIMIT);
    })
}

/// The client reads 1009 and a FIN, and a witness gets nothing of what it sent.
fn is_too_much(server: &Server, what: &str, bytes: &[u8]) {
    let mut witness = Peer::join(server.local_addr(), "/rooms/flood");
    let mut client = Peer::join(server.local_addr(), "/rooms/flood");
    // The server may have closed before it took everything; its answer can be read all the same.
    let _ = client.stream.write_all(bytes);
    assert_eq!(client.closed().0, 1009, "{what}");
    assert_eq!(client.end(), End::Fin, "{what}");
    witness.is_served();
    witness.leave();
}

#[test]
fn a_message_at_the_limit_is_delivered_and_one_byte_more_is_closed_with_1009() {
    let server = server();
    let mut client = Peer::join(server.local_addr(), "/");
    for head in [TEXT, BINARY] {
        client.send(head, &[b'x'; LIMIT]);
        assert_eq!(client.message().payload.len(), LIMIT);
        is_too_much(&server, "one more", &masked(head, &[b'x'; LIMIT + 1]));
    }
    client.is_served();
    assert_eq!(server.stats().protocol_errors, 2);
}

#[test]
fn fragments_count_together() {
    let server = server();
    let mut client = Peer::join(server.local_addr(), "/");
    let fragments = |last: &[u8]| {
        let mut bytes = masked(TEXT_START, &[b'x'; LIMIT / 2]);
        bytes.extend(masked(MORE, &[b'y'; LIMIT / 2 - 1]));
        bytes.extend(masked(LAST, last));
        bytes
    };
    client.write(&fragments(b"z"));
    assert_eq!(client.text().len(), LIMIT);
    is_too_much(&server, "one more", &fragments(b"zz"));
    is_too_much(&server, "a large last one", &fragments(&[b'z'; LIMIT]));
    // The next message begins at nothing again.
    client.write(&fragments(b"z"));
    assert_eq!(client.text().len(), LIMIT);
}

#[test]
fn a_header_that_claims_too_much_is_closed_before_the_payload_comes() {
    let server = server();
    for claimed in [LIMIT as u64 + 1, 65_535, 65_536, 1 << 31, 1 << 32, 1 << 62, (1 << 63) - 1] {
        is_too_much(&server, &format!("{claimed}"), &header(BINARY, claimed));
        is_too_much(&server, &format!("{claimed}"), &header(TEXT_START, claimed));
        let inside = [masked(BINARY_START, b"x"), header(LAST, claimed - 1)].concat();
        is_too_much(&server, &format!("{claimed} with what came before"), &inside);
    }
}

#[test]
fn the_default_limit_is_1_mib() {
    let server = peer::host::server();
    let mut client = Peer::join(server.local_addr(), "/");
    client.send(BINARY, &vec![7; 1 << 20]);
    assert_eq!(client.message().payload.len(), 1 << 20);
    is_too_much(&server, "one more", &header(BINARY, (1 << 20) + 1));
}

#[test]
fn endless_fragments_end() {
    let server = server();
    let mut bytes = masked(TEXT_START, b"x");
    for _ in 0..2 * LIMIT {
        bytes.extend(masked(MORE, b"x"));
    }
    is_too_much(&server, "one byte each", &bytes);
}

#[test]
fn empty_fragments_are_nothing() {
    let server = server();
    let mut client = Peer::join(server.local_addr(), "/");
    let mut bytes = masked(TEXT_START, b"");
    for _ in 0..100 {
        bytes.extend(masked(MORE, b""));
    }
    bytes.extend(masked(MORE, b"something"));
    bytes.extend(masked(PING, b"between"));
    bytes.extend(masked(LAST, b""));
    client.write(&bytes);
    let pong = client.frame();
    assert_eq!((pong.head, pong.text()), (PONG, "between"));
    assert_eq!(client.text(), "something");
}

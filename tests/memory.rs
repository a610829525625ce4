//! What clients can make the server keep. One test, for it looks at the memory of the whole process.

mod peer;

use std::{
    io::Write,
    net::TcpStream,
    time::{Duration, Instant},
};

use chat::{Kind, Server};
use peer::{
    End, PATIENCE, Peer, eventually,
    frames::{LAST, MORE, PING, TEXT_START, header, masked},
    host::server_with,
};

const MIB: usize = 1024 * 1024;
const OUTBOX: usize = 2 * MIB;

/// The bytes of memory that this process has: its resident pages.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: usize = statm.split(' ').nth(1).and_then(|it| it.parse().ok()).expect("a number");
    pages * 4096
}

/// Runs a flood, which calls what it is given now and then, and checks the memory at those moments.
fn grows_at_most(what: &str, bound: usize, flood: impl FnOnce(&mut dyn FnMut())) {
    let before = resident();
    let mut most = before;
    flood(&mut || most = most.max(resident()));
    let grown = most - before;
    assert!(grown <= bound, "{what}: {grown} bytes more, and {bound} are allowed");
}

/// Writes a chunk over and over without reading, until it is `total` bytes or the server takes no
/// more: it has cut the connection, or reads only as fast as its answers are read.
fn flood(stream: &mut TcpStream, chunk: &[u8], total: usize, look: &mut dyn FnMut()) {
    stream.set_write_timeout(Some(Duration::from_secs(1))).expect("a TCP socket");
    for _ in 0..total / chunk.len() {
        if stream.write_all(chunk).is_err() {
            break;
        }
        look();
    }
    look();
}

fn pings_that_are_never_read(server: &Server) {
    let chunk = masked(PING, &[b'x'; 125]).repeat(500);
    let mut peers = [(); 2].map(|()| Peer::join(server.local_addr(), "/rooms/pings"));
    grows_at_most("pings", 2 * OUTBOX + 2 * MIB, |look| {
        for peer in &mut peers {
            flood(&mut peer.stream, &chunk, 24 * MIB, look);
        }
    });
}

fn fragments_without_an_end(server: &Server) {
    // 4 MiB of a message, and the limit is 1 MiB.
    let mut peer = Peer::join(server.local_addr(), "/");
    peer.write(&masked(TEXT_START, b"x"));
    let chunk = masked(MORE, &[b'x'; 1000]).repeat(10);
    grows_at_most("large fragments", 2 * MIB, |look| {
        flood(&mut peer.stream, &chunk, 4 * MIB, look);
    });
    assert_eq!(peer.closed().0, 1009);

    let mut peer = Peer::join(server.local_addr(), "/");
    peer.write(&masked(TEXT_START, b"x"));
    let chunk = masked(MORE, b"x").repeat(1000);
    grows_at_most("tiny fragments", 2 * MIB, |look| {
        flood(&mut peer.stream, &chunk, 16 * MIB, look);
    });
    assert_eq!(peer.closed().0, 1009);

    let mut peer = Peer::join(server.local_addr(), "/");
    peer.write(&masked(TEXT_START, b"x"));
    let chunk = masked(MORE, b"").repeat(1000);
    grows_at_most("empty fragments", MIB, |look| {
        flood(&mut peer.stream, &chunk, 16 * MIB, look);
    });
    // They are either too many or nothing.
    let _ = peer.stream.write_all(&masked(LAST, b"y"));
    let end = peer.frame();
    assert!(end.payload == b"xy" || end.close().0 == 1009, "{end:?}");
}

fn claims_of_size(server: &Server) {
    let mut peers = [(); 50].map(|()| Peer::join(server.local_addr(), "/"));
    // The largest that is allowed may be waited for, not made room for.
    grows_at_most("claims of 1 MiB", 8 * MIB, |look| {
        for peer in &mut peers {
            peer.write(&header(TEXT_START, MIB as u64));
            peer.write(&[0; 10]);
        }
        Peer::join(server.local_addr(), "/").is_served();
        look();
    });
    grows_at_most("claims of 2^62", MIB, |look| {
        for _ in 0..50 {
            let mut peer = Peer::join(server.local_addr(), "/");
            peer.write(&header(TEXT_START, 1 << 62));
            assert_eq!(peer.closed().0, 1009);
            assert_eq!(peer.end(), End::Fin);
            look();
        }
    });
}

fn stuck_clients_share_what_waits_for_them(server: &Server) {
    let _stuck = [(); 50].map(|()| Peer::join(server.local_addr(), "/rooms/stuck"));
    let mut reader = Peer::join(server.local_addr(), "/rooms/stuck");
    let message = vec![b'x'; 64 * 1024];
    // Fifty outboxes are 100 MiB.
    grows_at_most("stuck clients", 32 * MIB, |look| {
        let begun = Instant::now();
        let cut = server.stats().slow_consumers;
        while server.stats().slow_consumers < cut + 50 {
            assert!(begun.elapsed() < 6 * PATIENCE, "not all are slow yet");
            server.publish("stuck", Kind::Binary, &message).expect("the server runs");
            assert_eq!(reader.message().payload.len(), message.len());
            look();
        }
    });
    reader.leave();
}

fn rooms_that_nobody_needs(server: &Server) {
    let visit = |range: std::ops::Range<u32>| {
        for number in range {
            Peer::join(server.local_addr(), &format!("/rooms/{number}")).leave();
        }
    };
    visit(0..500);
    grows_at_most("rooms and clients of the past", MIB, |look| {
        visit(500..5000);
        look();
    });
    eventually("all have left", || server.stats().connections == 0);
    assert_eq!(server.stats().rooms, 0, "without subscribers and history there is no room");
}

#[test]
fn no_client_makes_the_server_keep_more_than_its_limits() {
    let server = server_with(|config| {
        config.outbox_size(OUTBOX).outbox_age(Duration::from_secs(3600)).workers(2);
        config.history_messages(0);
    });
    let mut witness = Peer::join(server.local_addr(), "/rooms/witness");
    fragments_without_an_end(&server);
    claims_of_size(&server);
    pings_that_are_never_read(&server);
    stuck_clients_share_what_waits_for_them(&server);
    witness.is_served();
    witness.leave();
    rooms_that_nobody_needs(&server);
}

//! Many clients of event streams, and slow ones: a stop tells each when to come back, and spreads their ends; what is not
//! read is bounded, and costs those beside nothing.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod event_source;
mod peer;
mod support;

use std::{
    collections::{BTreeSet, HashSet},
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use chat::{Kind, Position, Server};
use event_source::{Parser, Stream, request};
use peer::{PATIENCE, Peer, eventually, host::server_with};
use serde_json::Value;
use socket2::{Domain, Socket, Type};
use support::missing;

const CLIENTS: usize = 1_000;
const KIB: usize = 1024;

/// More than the kernel keeps for a connection between two programs of this machine.
const MORE_THAN_SOCKETS_TAKE: usize = 64 * KIB * KIB;

/// Both ends of the connections are in this process.
fn raise_descriptors() {
    let wanted = 2 * CLIENTS as u64 + 500;
    let limit = rlimit::increase_nofile_limit(wanted).unwrap();
    assert!(limit >= wanted, "only {limit} file descriptors: raise the limit (ulimit -n {wanted})");
}

/// What a client was told at the end of its stream.
struct Left {
    retry: u64,
    last_id: String,
}

/// Reads streams, each as something comes, up to their ends.
fn read_all(mut streams: Vec<Stream>) -> Vec<Left> {
    let mut left = Vec::new();
    let mut retries: Vec<_> = streams.iter().map(|_| None).collect();
    for stream in &streams {
        stream.socket.set_nonblocking(true).unwrap();
    }
    let deadline = Instant::now() + 6 * PATIENCE;
    while !streams.is_empty() {
        assert!(Instant::now() < deadline, "not in time: {} streams end", streams.len());
        let mut number = 0;
        while number < streams.len() {
            match streams[number].try_next() {
                Some(Some(block)) => {
                    if let Some(data) = block.of("closing") {
                        let data: Value = serde_json::from_str(data).unwrap();
                        assert_eq!(
                            (data["code"].as_u64(), data["retry"].as_u64()),
                            (Some(1001), block.retry)
                        );
                        assert_eq!(retries[number].replace(block.retry.unwrap()), None, "once");
                    }
                }
                Some(None) => {
                    let last_id = streams.swap_remove(number).parser.last_id.unwrap();
                    let retry = retries.swap_remove(number).expect("it is told before the end");
                    left.push(Left { retry, last_id });
                }
                None => number += 1,
            }
        }
        thread::sleep(Duration::from_millis(1));
    }
    left
}

#[test]
fn a_thousand_end_one_after_the_other_come_back_at_times_of_their_own_and_are_told() {
    raise_descriptors();
    let server = server_with(|config| _ = config.workers(2));
    let path = "/rooms/r?history=100";
    for number in 0..100 {
        server.publish("r", Kind::Text, number.to_string().as_bytes()).unwrap();
    }
    let streams: Vec<_> =
        (0..CLIENTS).map(|_| Stream::open(server.local_addr(), path, &[])).collect();
    let next = server_with(|_| ());
    next.publish("r", Kind::Text, b"kept").unwrap();
    let begun = Instant::now();
    let (left, seen) = thread::scope(|scope| {
        let readers = scope.spawn(move || read_all(streams));
        let stop = scope.spawn(|| server.stop(PATIENCE));
        // How many are connected, as they go.
        let mut seen = BTreeSet::new();
        eventually("all have ended", || {
            let count = server.stats().connections;
            seen.insert(count);
            count == 0
        });
        stop.join().unwrap().unwrap();
        (readers.join().unwrap(), seen)
    });
    // A millisecond for each, of which a slow machine only makes more.
    assert!(begun.elapsed() > Duration::from_millis(CLIENTS as u64 / 2), "{:?}", begun.elapsed());
    assert!(seen.len() > 20, "the ends were not spread: {seen:?}");
    assert_eq!(left.len(), CLIENTS);

    let retries: Vec<_> = left.iter().map(|it| it.retry).collect();
    let (least, most) = (*retries.iter().min().unwrap(), *retries.iter().max().unwrap());
    println!("they come back after {least} to {most} ms");
    // Longer than after an end without a word.
    assert!(least >= 3_000 && most <= 30_000, "{least} to {most} ms");
    assert!(most - least >= 900, "no millisecond for each: {least} to {most} ms");
    let distinct: HashSet<_> = retries.iter().collect();
    assert!(distinct.len() > CLIENTS / 3, "{} different ones", distinct.len());
    // No tenth of the time has more than twice its share.
    for tenth in 0..10 {
        let start = least + (most - least) * tenth / 10;
        let end = least + (most - least) * (tenth + 1) / 10;
        let count = retries.iter().filter(|it| (start..=end).contains(it)).count();
        assert!(count < CLIENTS / 5, "{count} between {start} and {end} ms");
    }

    for client in left {
        let last: Position = client.last_id.parse().unwrap();
        assert_eq!(last.offset, 100, "it had everything");
        let header = format!("Last-Event-ID: {last}");
        let mut stream = Stream::open(next.local_addr(), path, &[&header]);
        let gap: Value = serde_json::from_str(&stream.find("gap")).unwrap();
        assert_eq!(
            (gap["reason"].as_str(), gap["requested"].as_str()),
            (Some("epoch"), Some(&*client.last_id))
        );
        assert_eq!(stream.message(), "kept");
    }
}

/// Publishes until so many clients are too slow. A client beside them reads each message before the next is published.
/// Returns how many there were.
fn until_slow(server: &Server, reader: &mut Peer, count: u64) -> u64 {
    let mut published = 0;
    while server.stats().slow_consumers < count {
        assert!(published as usize * 8 * KIB < MORE_THAN_SOCKETS_TAKE, "nobody is slow yet");
        published += 1;
        let text = format!("{published} {}", "x".repeat(8 * KIB));
        server.publish("r", Kind::Text, text.as_bytes()).unwrap();
        assert_eq!(reader.text(), text);
    }
    published
}

fn curl(addr: SocketAddr, lines: &[&str]) -> Child {
    let mut curl = Command::new("curl");
    curl.args(["-sN", "-H", "Accept: text/event-stream"]).args(lines);
    curl.arg(format!("http://{addr}/rooms/r"));
    let child = curl.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    child.unwrap_or_else(|error| panic!("{}", missing(&curl, &error)))
}

#[test]
fn a_slow_curl_is_ended_and_comes_back_to_what_it_lacks() {
    let server = server_with(|config| {
        config.max_message_size(16 * KIB).outbox_size(64 * KIB).outbox_age(3600 * PATIENCE);
        config.history_messages(100_000).history_size(2 * MORE_THAN_SOCKETS_TAKE);
        config.history_total(4 * MORE_THAN_SOCKETS_TAKE);
    });
    let mut reader = Peer::join(server.local_addr(), "/rooms/r");
    let mut slow = curl(server.local_addr(), &["--limit-rate", "2k"]);
    eventually("it is in its room", || server.stats().connections == 2);
    let published = until_slow(&server, &mut reader, 1);
    eventually("it is ended", || server.stats().connections == 1);
    // What it has read so far is a beginning, and it comes back with the last id of that.
    let mut bytes = vec![0; 12 * KIB];
    slow.stdout.as_mut().unwrap().read_exact(&mut bytes).unwrap();
    slow.kill().unwrap();
    slow.wait().unwrap();
    let mut parser = Parser::default();
    let mut offset = 0;
    for block in parser.feed(&bytes) {
        let Some(data) = block.data else { continue };
        offset += 1;
        assert!(data.starts_with(&format!("{offset} ")) && data.len() > 8 * KIB);
    }
    let last: Position = parser.last_id.take().unwrap().parse().unwrap();
    assert_eq!(last.offset, offset);
    let mut back = curl(server.local_addr(), &["-H", &format!("Last-Event-ID: {last}")]);
    let mut parser = Parser::default();
    while offset < published {
        let mut bytes = [0; 64 * KIB];
        let count = back.stdout.as_mut().unwrap().read(&mut bytes).unwrap();
        assert_ne!(count, 0, "it ends behind {offset} of {published}");
        for block in parser.feed(&bytes[..count]) {
            let Some(data) = block.data else { continue };
            offset += 1;
            assert!(block.name.is_none() && data.starts_with(&format!("{offset} ")), "{data}");
        }
    }
    back.kill().unwrap();
    back.wait().unwrap();
}

/// A connection that asks for events and has room for little, also in the kernel.
fn silent(addr: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4 * KIB).unwrap();
    // What the server's kernel keeps for a connection grows with it.
    socket.set_tcp_mss(1_000).unwrap();
    socket.connect(&addr.into()).unwrap();
    let mut socket = TcpStream::from(socket);
    socket.write_all(request("/rooms/r", &[]).as_bytes()).unwrap();
    socket
}

/// The bytes of memory that this process has: its resident pages.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: usize = statm.split(' ').nth(1).and_then(|it| it.parse().ok()).expect("a number");
    pages * 4 * KIB
}

#[test]
fn a_thousand_that_never_read_are_ended_and_those_beside_get_everything() {
    const OUTBOX: usize = 64 * KIB;
    raise_descriptors();
    let server = server_with(|config| {
        config.max_message_size(16 * KIB).outbox_size(OUTBOX).outbox_age(3600 * PATIENCE);
    });
    let mut reader = Peer::join(server.local_addr(), "/rooms/r");
    let silent: Vec<_> = (0..CLIENTS).map(|_| silent(server.local_addr())).collect();
    eventually("all are in their room", || server.stats().connections == CLIENTS as u64 + 1);
    let before = resident();
    until_slow(&server, &mut reader, CLIENTS as u64);
    let grown = resident().saturating_sub(before);
    println!("{grown} bytes more");
    // They share what waits: a hundredth of what each may have.
    assert!(grown < CLIENTS * OUTBOX / 2, "{grown} bytes more");
    eventually("all are ended", || server.stats().connections == 1);
    reader.is_served();
    drop(silent);
}

//! A server that ends by itself ends the program `chat-server`, so that somebody can start another.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod child;
mod peer;
#[path = "child/preload.rs"]
mod preload;
mod support;

use std::net::{SocketAddr, TcpListener};

use child::{Running, program, streams::Broken};
use peer::Peer;
use preload::Switch;

const ARGS: [&str; 4] = ["--listen", "127.0.0.1:0", "--max-connections", "100"];

/// Breaks something in a program that serves a client. Returns the address, and what was logged up to the end, which
/// has status 1.
fn end_of_one_that_breaks(what: &str) -> (SocketAddr, String) {
    let mut command = program(&ARGS);
    let broken = Switch::of(&mut command, what);
    let mut server = Running::of(command);
    let addr = server.address();
    let mut client = Peer::join(addr, "/");
    client.is_served();
    broken.make();
    // Wakes the shard from its last wait that worked.
    client.say("x");
    client.drain();
    let (status, log) = server.end();
    assert_eq!(status, Some(1), "{log}");
    (addr, log)
}

#[test]
fn a_server_that_cannot_go_on_ends_the_program_with_status_1_and_a_line() {
    let (addr, log) = end_of_one_that_breaks("BREAK_EPOLL");
    let last = log.lines().last().unwrap();
    assert!(last.starts_with("chat-server: a part of the server could not go on"), "{log}");
    assert!(last.contains(": its event loop failed: Bad file descriptor"), "{log}");
    let lines = log.lines().filter(|line| line.contains("why=")).count();
    assert!(lines >= 2, "of the shard, and of the end: {log}");
    TcpListener::bind(addr).unwrap();
}

#[test]
fn a_panic_is_a_line_of_the_log() {
    let (_, log) = end_of_one_that_breaks("BREAK_CLOCK");
    assert!(!log.contains("stack backtrace"), "not as std prints it: {log}");
    let last = log.lines().last().unwrap();
    assert!(last.starts_with("chat-server: ") && last.contains(" panicked: "), "{log}");
    let panicked: Vec<_> = log.lines().filter(|line| line.contains("panicked")).collect();
    assert!(panicked[0].contains(" ERROR ") && panicked[0].contains("at="), "{log}");
}

#[test]
fn a_panic_ends_the_program_with_status_1_though_nobody_takes_its_line() {
    for stderr in Broken::ALL {
        let (stream, _reader) = stderr.stream();
        let mut command = program(&ARGS);
        command.stderr(stream);
        let broken = Switch::of(&mut command, "BREAK_CLOCK");
        let mut server = Running::of(command);
        let mut client = Peer::join(server.address(), "/");
        client.is_served();
        broken.make();
        client.say("x");
        client.drain();
        assert_eq!(server.status(), Some(1), "{stderr:?}");
    }
}

//! How signals stop the program `chat-server`, and how long that takes.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod child;
mod peer;
#[path = "child/preload.rs"]
mod preload;
mod support;

use std::time::{Duration, Instant};

use child::{Lines, Running, program};
use peer::Peer;
use preload::Switch;

const ARGS: [&str; 4] = ["--listen", "127.0.0.1:0", "--max-connections", "100"];

#[test]
fn each_signal_that_asks_for_an_end_closes_the_clients_first() {
    for signal in ["-INT", "-TERM", "-QUIT"] {
        let mut server = Running::start(&ARGS);
        let mut client = Peer::join(server.address(), "/");
        server.signal(signal);
        assert_eq!(client.closed().0, 1001, "{signal}");
        client.answer_close(1001);
        let (status, log) = server.end();
        assert_eq!(status, Some(0), "{signal}: {log}");
        assert!(log.contains("stopping; a second signal stops at once"), "{signal}: {log}");
    }
}

#[test]
fn sighup_ends_nothing_and_is_logged() {
    let mut server = Running::start(&ARGS);
    let mut client = Peer::join(server.address(), "/");
    let log = Lines::of(server.child.stderr.take().unwrap());
    for _ in 0..3 {
        server.signal("-HUP");
        log.find("SIGHUP ignored");
        client.is_served();
    }
    server.signal("-TERM");
    assert_eq!(client.closed().0, 1001);
    // Nor does it cut clients while the server stops.
    server.signal("-HUP");
    log.find("SIGHUP ignored");
    client.answer_close(1001);
    assert_eq!(server.status(), Some(0));
}

#[test]
fn a_signal_during_the_start_stops_the_server_in_peace() {
    for signal in ["-INT", "-TERM", "-QUIT"] {
        let mut command = program(&ARGS);
        let held = Switch::of(&mut command, "HOLD_LISTEN");
        let mut server = Running::of(command);
        held.wait_until_made();
        server.signal(signal);
        server.signal("-HUP");
        held.remove();
        let (status, log) = server.end();
        assert_eq!(status, Some(0), "{signal}: {log}");
        assert!(log.contains("stopped"), "{signal}: {log}");
    }
}

#[test]
fn a_second_signal_cuts_those_who_do_not_leave() {
    for (first, second) in [("-TERM", "-TERM"), ("-INT", "-QUIT")] {
        let mut server = Running::start(&["--listen", "127.0.0.1:0", "--drain", "1h"]);
        let mut client = Peer::join(server.address(), "/");
        server.signal(first);
        assert_eq!(client.closed().0, 1001);
        server.signal(second);
        let (status, log) = server.end();
        assert_eq!(status, Some(0), "{log}");
        assert!(log.contains("some clients did not leave in time"), "{log}");
    }
}

/// What a stop may take beyond what it waits for, on a machine that does much else.
const SLACK: Duration = Duration::from_secs(2);

#[test]
fn a_stop_waits_for_a_stuck_client_up_to_the_deadline_and_no_longer() {
    let drain = Duration::from_secs(1);
    let mut server = Running::start(&["--listen", "127.0.0.1:0", "--drain", "1s"]);
    let mut client = Peer::join(server.address(), "/");
    let began = Instant::now();
    server.signal("-TERM");
    assert_eq!(client.closed().0, 1001);
    // It does not answer.
    let (status, log) = server.end();
    let took = began.elapsed();
    assert_eq!(status, Some(0), "{log}");
    assert!(drain <= took && took < drain + SLACK, "{took:?}");
    assert!(log.contains("WARN") && log.contains("did not leave in time"), "{log}");
}

#[test]
fn a_stop_ends_when_the_last_client_has_answered() {
    let mut server = Running::start(&["--listen", "127.0.0.1:0", "--drain", "1h"]);
    let addr = server.address();
    let mut clients: Vec<_> = (0..50).map(|_| Peer::join(addr, "/")).collect();
    // In their handshake, and in an answer that they do not read.
    let _silent = Peer::connect(addr);
    let mut half = Peer::connect(addr);
    half.write(b"GET / HTTP/1.1\r\n");
    let began = Instant::now();
    server.signal("-TERM");
    for client in &mut clients {
        assert_eq!(client.closed().0, 1001);
    }
    for client in clients {
        client.answer_close(1001);
    }
    let (status, log) = server.end();
    let took = began.elapsed();
    assert_eq!(status, Some(0), "{log}");
    assert!(took < Duration::from_secs(1) + SLACK, "{took:?}");
    assert!(!log.contains("did not leave in time"), "{log}");
}

#[test]
fn the_default_deadline_is_half_of_what_a_container_is_given() {
    let help = String::from_utf8(program(&["--help"]).output().unwrap().stdout).unwrap();
    let (_, drain) = help.split_once("--drain").unwrap();
    let (drain, _) = drain.split_once("--").unwrap();
    assert!(drain.contains("[default: 5s]"), "{help}");
}

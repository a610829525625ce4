//! The limits that the program `chat-server` is started with: it raises what it may, and says what is too low.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod child;
mod peer;

use std::fs;

use child::{Running, program, program_in_shell};
use peer::Peer;

/// A server that needs 175 descriptors for connections, and some for itself.
const ARGS: [&str; 6] =
    ["--listen", "127.0.0.1:0", "--max-connections", "100", "--max-handshakes", "50"];

/// The soft and the hard limit of descriptors of a process.
fn limits(server: &Running) -> (u64, u64) {
    let text = fs::read_to_string(format!("/proc/{}/limits", server.child.id())).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let mut limits = line.split_whitespace().map(|limit| limit.parse().unwrap());
    (limits.next().unwrap(), limits.next().unwrap())
}

/// Stops a server, and returns what it has logged.
fn stopped(mut server: Running) -> String {
    server.signal("-TERM");
    let (status, log) = server.end();
    assert_eq!(status, Some(0), "{log}");
    log
}

#[test]
fn a_soft_limit_of_descriptors_is_raised_to_what_is_needed() {
    let script = "ulimit -Sn 40; exec \"$@\"";
    let mut server = Running::of(program_in_shell(script, &ARGS));
    let addr = server.address();
    let (soft, hard) = limits(&server);
    assert!(175 < soft && soft < 250 && soft < hard, "{soft} of {hard}");
    let mut clients: Vec<_> = (0..100).map(|_| Peer::join(addr, "/?echo=false")).collect();
    clients[0].say("to all");
    for client in &mut clients[1..] {
        assert_eq!(client.text(), "to all");
    }
    drop(clients);
    let log = stopped(server);
    assert!(!log.contains("file descriptors"), "{log}");
}

#[test]
fn a_soft_limit_that_is_higher_stays() {
    let mut server = Running::of(program_in_shell("ulimit -Sn 1000; exec \"$@\"", &ARGS));
    server.address();
    assert_eq!(limits(&server).0, 1000);
    stopped(server);
}

#[test]
fn a_hard_limit_that_is_too_low_is_a_warning_with_the_figures_and_the_remedy() {
    let script = "ulimit -n 120; ulimit -Sn 60; exec \"$@\"";
    let mut server = Running::of(program_in_shell(script, &ARGS));
    server.address();
    assert_eq!(limits(&server), (120, 120));
    let log = stopped(server);
    let warning: Vec<_> = log.lines().filter(|line| line.contains("file descriptors")).collect();
    assert_eq!(warning.len(), 1, "{log}");
    let warning = warning[0];
    assert!(warning.contains("WARN") && warning.contains("limit=120"), "{log}");
    let (_, needed) = warning.split_once("needed=").unwrap();
    let needed = needed.split_whitespace().next().unwrap();
    assert!(needed.parse::<u64>().unwrap() > 175, "{log}");
    for remedy in [format!("ulimit -n {needed}"), format!("LimitNOFILE={needed}")] {
        assert!(warning.contains(&remedy), "{log}");
    }
}

#[test]
fn sizes_of_stacks_in_the_environment_harm_nothing() {
    for size in ["1", "much", "99999999999999999999", "1000000000000000"] {
        let mut command = program(&ARGS);
        command.args(["--log", "trace", "--event-queue", "1000"]).env("RUST_MIN_STACK", size);
        let mut server = Running::of(command);
        let mut client = Peer::join(server.address(), "/?history=10");
        for _ in 0..10 {
            client.is_served();
        }
        client.leave();
        let log = stopped(server);
        assert!(log.contains("message client="), "{size}: {log}");
    }
}

//! The program `chat-server`: what it prints, how it ends, and what a mistake gets.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod child;
mod peer;

use std::{net::TcpListener, process::Output};

use child::{Running, program};
use peer::Peer;

fn fails_with(status: i32, says: &str, output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{said}");
    assert!(said.contains(says), "{said}");
    assert_eq!(said.lines().count(), 1, "one line: {said}");
}

#[test]
fn it_prints_where_it_listens_and_leaves_in_peace_at_either_signal() {
    for signal in ["-TERM", "-INT"] {
        let mut server = Running::start(&["--listen", "127.0.0.1:0", "--listen", "[::1]:0"]);
        let (v4, v6) = (server.address(), server.address());
        assert!(v4.is_ipv4() && v6.is_ipv6() && v4.port() != 0 && v6.port() != 0);
        let mut first = Peer::join(v4, "/");
        let mut second = Peer::join(v6, "/");
        first.say("[client1] salut");
        assert_eq!([first.text(), second.text()], ["[client1] salut", "[client1] salut"]);
        server.signal(signal);
        assert_eq!([first.closed().0, second.closed().0], [1001, 1001]);
        first.answer_close(1001);
        second.answer_close(1001);
        let (status, log) = server.end();
        assert_eq!(status, Some(0), "{log}");
    }
}

#[test]
fn a_port_in_use_is_one_clear_line_and_status_1() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let output = program(&["--listen", &address]).output().unwrap();
    fails_with(1, &format!("cannot listen on {address}"), &output);
}

#[test]
fn a_bad_flag_is_one_clear_line_and_status_2() {
    fails_with(2, "'--bogus'", &program(&["--bogus"]).output().unwrap());
    fails_with(2, "--outbox-age", &program(&["--outbox-age", "soon"]).output().unwrap());
    fails_with(2, "--workers", &program(&["--workers", "1000"]).output().unwrap());
    fails_with(2, "--listen", &program(&["--listen", "localhost"]).output().unwrap());
}

#[test]
fn the_help_names_every_option() {
    let output = program(&["--help"]).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    for option in ["--listen", "--echo", "--outbox-size", "--history-messages", "--origin"] {
        assert!(help.contains(option), "{option} in {help}");
    }
}

#[test]
fn events_are_logged_if_they_may_wait() {
    let mut server = Running::start(&["--listen", "127.0.0.1:0", "--event-queue", "100"]);
    let mut client = Peer::join(server.address(), "/rooms/tea");
    client.say("salut");
    assert_eq!(client.text(), "salut");
    client.leave();
    server.signal("-TERM");
    let (status, log) = server.end();
    assert_eq!(status, Some(0), "{log}");
    for event in ["Connected", "salut"] {
        assert!(log.contains(event), "{event} in {log}");
    }
}

//! The program `chat-server`: what it prints, how it ends, and what a mistake gets.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod child;
mod peer;

use std::{net::TcpListener, process::Output};

use child::{Running, program};
use peer::{Peer, frames::CLOSE};

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
    fails_with(
        1,
        "another program has the port, or another address of listen: choose another port",
        &output,
    );
}

#[test]
fn a_bad_flag_is_one_clear_line_and_status_2() {
    fails_with(2, "'--bogus'", &program(&["--bogus"]).output().unwrap());
    fails_with(
        2,
        "a similar argument exists: '--listen'",
        &program(&["--lisen", ":0"]).output().unwrap(),
    );
    for meant in ["--host", "--port=80", "-p", "9001", ":9001"] {
        fails_with(2, "is no flag: write --listen", &program(&[meant, "80"]).output().unwrap());
    }
    fails_with(2, "not provided: --event-queue", &program(&["--event-contents"]).output().unwrap());
    let hidden = program(&["--event-queue", "9", "--log", "warn"]).output().unwrap();
    fails_with(2, "--log warn hides the events; use info", &hidden);
    fails_with(2, "[possible values: true, false]", &program(&["--echo", "so"]).output().unwrap());
    fails_with(2, "--outbox-age", &program(&["--outbox-age", "soon"]).output().unwrap());
    fails_with(2, "--workers", &program(&["--workers", "1000"]).output().unwrap());
    fails_with(2, "--listen", &program(&["--listen", "localhost"]).output().unwrap());
    fails_with(2, "write localhost:9001", &program(&["--listen", "localhost"]).output().unwrap());
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

/// What the program logs of a chat with secrets in the query, a header and a message.
fn log_of_a_chat(flags: &[&str]) -> String {
    let flags = [&["--listen", "127.0.0.1:0", "--event-queue", "100"], flags].concat();
    let mut server = Running::start(&flags);
    let addr = server.address();
    let origin = format!("Origin: http://{addr}");
    let mut client = Peer::connect(addr);
    let lines = ["Cookie: session=secret-cookie", &origin];
    assert_eq!(client.upgrade("/rooms/tea?token=secret-query", &lines).status, 101);
    client.say("secret\ntext");
    assert_eq!(client.text(), "secret\ntext");
    client.send(CLOSE, &[&1000_u16.to_be_bytes()[..], b"secret reason"].concat());
    assert_eq!(client.closed().0, 1000);
    server.signal("-TERM");
    let (status, log) = server.end();
    assert_eq!(status, Some(0), "{log}");
    log
}

#[test]
fn an_event_is_one_line_of_fields_without_secrets_unless_they_are_asked_for() {
    let log = log_of_a_chat(&[]);
    let lines: Vec<_> = log.lines().map(|line| line.split_once("chat_server::events: ")).collect();
    let lines: Vec<_> = lines.into_iter().flatten().map(|(_, line)| line).collect();
    let [connected, message, disconnected, stopped] = &lines[..] else { panic!("{log}") };
    assert!(connected.starts_with("connected client="), "{log}");
    for field in ["room=\"tea\"", "addr=127.0.0.1:"] {
        assert!(connected.contains(field), "{field} in {log}");
    }
    assert!(
        message.contains("room=\"tea\" position=") && message.contains("-1 kind=\"text\" bytes=11"),
        "{log}"
    );
    assert!(disconnected.ends_with("code=1000"), "{log}");
    assert_eq!(*stopped, "stopped");
    assert!(!log.contains("secret"), "{log}");

    let log = log_of_a_chat(&["--event-contents"]);
    for secret in [
        "token=secret-query",
        "cookie: session=secret-cookie",
        "contents=\"secret\\ntext\"",
        "secret reason",
    ] {
        assert!(log.contains(secret), "{secret} in {log}");
    }
}

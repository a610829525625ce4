//! The examples in `bindings/c/examples` compile, run, and do what they say.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod support;

use std::{
    io::{BufRead, BufReader, Lines},
    net::TcpStream,
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use tokio_tungstenite::tungstenite::{
    self, Message, WebSocket, protocol::frame::coding::CloseCode,
};

use support::{cc, run};

/// An example that runs; it is killed if a test fails.
struct Example {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    url: String,
}

impl Example {
    fn start(name: &str) -> Self {
        let program = cc(&format!("bindings/c/examples/{name}.c"));
        let mut child = Command::new(program)
            .arg("127.0.0.1:0")
            .env_remove("LD_LIBRARY_PATH")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next().unwrap().unwrap();
        let url = line.strip_prefix("listening on ").unwrap().to_owned();
        Self { child, lines, url }
    }

    fn connect(&self, path: &str) -> WebSocket<TcpStream> {
        let addr = self.url.trim_start_matches("ws://").trim_end_matches('/');
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let url = format!("{}{path}", self.url);
        tungstenite::client(url, stream).unwrap().0
    }

    fn line(&mut self) -> String {
        self.lines.next().unwrap().unwrap()
    }

    /// Lines up to the first that begins like this.
    fn line_of(&mut self, start: &str) -> String {
        loop {
            let line = self.line();
            if line.starts_with(start) {
                return line;
            }
        }
    }

    fn interrupt(&self) {
        run(Command::new("kill").args(["-INT", &self.child.id().to_string()]));
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Reads up to the server's close frame, answers it, and returns its code.
fn close_code(client: &mut WebSocket<TcpStream>) -> CloseCode {
    loop {
        if let Message::Close(frame) = client.read().unwrap() {
            let ended = client.read();
            assert!(matches!(ended, Err(tungstenite::Error::ConnectionClosed)), "{ended:?}");
            return frame.unwrap().code;
        }
    }
}

#[test]
fn the_chat_example_is_a_chat_server_in_under_60_lines() {
    let source = include_str!("../bindings/c/examples/chat.c");
    assert!(source.lines().count() < 60);
    let mut example = Example::start("chat");
    // Who has seen its own message is in the room.
    let mut alice = example.connect("");
    alice.send(Message::text("alice is here")).unwrap();
    assert_eq!(alice.read().unwrap(), Message::text("alice is here"));
    let mut bob = example.connect("");
    bob.send(Message::text("salut")).unwrap();
    assert_eq!(bob.read().unwrap(), Message::text("salut"));
    assert_eq!(alice.read().unwrap(), Message::text("salut"));
    example.interrupt();
    assert_eq!(close_code(&mut alice), CloseCode::Away);
    assert_eq!(close_code(&mut bob), CloseCode::Away);
    assert!(example.child.wait().unwrap().success());
}

#[test]
fn the_events_example_prints_every_event_and_sends_messages_back() {
    let mut example = Example::start("events");
    let mut alice = example.connect("rooms/a?x=1");
    let connected = example.line_of("connected ");
    assert!(connected.ends_with(" to a, path /rooms/a, query x=1"), "{connected}");
    assert_eq!(example.line_of("  upgrade"), "  upgrade: websocket");
    alice.send(Message::text("salut")).unwrap();
    let message = example.line_of("message ");
    let (position, rest) = message["message ".len()..].split_once(" in a of ").unwrap();
    assert!(position.parse::<chat::Position>().unwrap().offset == 1, "{message}");
    assert!(rest.ends_with(": salut"), "{message}");
    assert_eq!(alice.read().unwrap(), Message::text("salut"));
    alice.close(None).unwrap();
    while alice.read().is_ok() {}
    example.line_of("disconnected ");
    example.interrupt();
    assert_eq!(example.line(), "stopped");
    assert!(example.child.wait().unwrap().success());
}

#[test]
fn the_poll_example_lets_those_in_who_say_their_name_and_acts_on_one_thread() {
    let mut example = Example::start("poll");
    let addr = example.url.trim_start_matches("ws://").trim_end_matches('/').to_owned();
    let refused = tungstenite::client(&example.url, TcpStream::connect(&addr).unwrap());
    let text = refused.map(drop).unwrap_err().to_string();
    assert!(text.contains("401"), "{text}");
    let mut ana = example.connect("?name=ana");
    assert_eq!(ana.read().unwrap(), Message::text("ana has come"));
    assert_eq!(example.line(), "ana has come");
    let mut ben = example.connect("?name=ben");
    assert_eq!(ben.read().unwrap(), Message::text("ben has come"));
    ben.send(Message::text("salut")).unwrap();
    assert_eq!(ana.read().unwrap(), Message::text("ben has come"));
    assert_eq!(ana.read().unwrap(), Message::text("salut"));
    example.interrupt();
    assert_eq!(close_code(&mut ana), CloseCode::Away);
    assert_eq!(close_code(&mut ben), CloseCode::Away);
    assert!(example.child.wait().unwrap().success());
}

#[test]
fn a_port_in_use_is_said_in_one_line() {
    let example = Example::start("chat");
    let addr = example.url.trim_start_matches("ws://").trim_end_matches('/');
    let program = cc("bindings/c/examples/chat.c");
    let output = Command::new(program).arg(addr).env_remove("LD_LIBRARY_PATH").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains(addr) && text.lines().count() == 1, "{text}");
}

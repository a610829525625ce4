//! The examples in `bindings/c/examples` compile, run, and do what they say.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod example;
mod support;

use std::process::Command;

use tokio_tungstenite::tungstenite::{Message, protocol::frame::coding::CloseCode};

use example::{Example, close_code};
use support::cc;

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
    let (status, text) = example.try_connect("", &[]).map(drop).unwrap_err();
    assert_eq!((status, &*text), (401, "say who you are: ?name=ana\n"));
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
    for name in ["chat", "lobby"] {
        let program = cc(&format!("bindings/c/examples/{name}.c"));
        let mut command = Command::new(program);
        let output = command.arg(example.addr()).env_remove("LD_LIBRARY_PATH").output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(example.addr()) && text.lines().count() == 1, "{text}");
    }
}

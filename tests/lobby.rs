//! The example `bindings/c/examples/lobby.c` does what it says: who signs in with a token is let in, and what is said in a
//! private room is heard by those alone who are invited.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod example;
mod support;

use std::net::TcpStream;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Message, WebSocket, protocol::frame::coding::CloseCode};

use example::{Example, close_code};

/// Who speaks the JSON form.
struct Person(WebSocket<TcpStream>);

impl Person {
    fn sign_in(lobby: &Example, token: &str) -> Self {
        let mut person = Self(lobby.connect(&format!("?format=json&token={token}")));
        assert_eq!(person.told("live")["room"], "lobby");
        person
    }

    /// Reads the next object, and panics if it is of another type.
    fn told(&mut self, kind: &str) -> Value {
        loop {
            let message = self.0.read().unwrap();
            let object: Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
            if object["type"] == kind {
                return object;
            }
            let is_passed_over = ["welcome", "entered"].contains(&object["type"].as_str().unwrap());
            assert!(is_passed_over, "{kind} is due: {object}");
        }
    }

    fn say(&mut self, room: &str, text: &str) {
        let object = json!({"room": room, "text": text});
        self.0.send(Message::text(object.to_string())).unwrap();
    }

    /// Reads the next object, which is a message: from whom it is, where, and its text.
    fn hears(&mut self, from: &str, room: &str, text: &str) {
        let heard = self.told("message");
        assert_eq!(
            (&heard["name"], &heard["room"], &heard["text"]),
            (&json!(from), &json!(room), &json!(text))
        );
    }

    /// Says a command, and reads its answer, which comes next.
    fn asks(&mut self, room: &str, command: &str) -> String {
        self.say(room, command);
        let refused = self.told("refused");
        assert_eq!(refused["code"], "refused", "{refused}");
        refused["reason"].as_str().unwrap().to_owned()
    }
}

#[test]
fn the_lobby_example_admits_those_with_a_token_and_calls_them_by_their_name() {
    assert!(include_str!("../bindings/c/examples/lobby.c").lines().count() < 120);
    let lobby = Example::start("lobby");
    let bearer = |token: &'static str| [("Authorization", token)];
    for (path, headers) in [
        ("?format=json", &[][..]),
        ("?format=json&token=", &[]),
        ("?format=json&token=eve-secret", &[]),
        ("?format=json&token=ana-secre", &[]),
        ("?format=json&token=ana-secret2", &[]),
        ("?format=json&Token=ana-secret", &[]),
        ("?format=json&token=ana-secret", &bearer("Bearer eve-secret")),
        ("?format=json", &bearer("Basic ana-secret")),
    ] {
        let (status, text) = lobby.try_connect(path, headers).map(drop).unwrap_err();
        assert!(
            status == 401 && text.contains("?token=TOKEN"),
            "{path} {headers:?}: {status} {text}"
        );
    }
    for path in ["?token=ana-secret", "rooms/ana%2Ftea?format=json&token=ana-secret"] {
        let (status, text) = lobby.try_connect(path, &[]).map(drop).unwrap_err();
        assert!(status == 403 && text.contains("?format=json"), "{path}: {status} {text}");
    }
    let mut ana = Person::sign_in(&lobby, "ana-secret&name=Ben");
    let mut ben = Person(lobby.try_connect("?format=json", &bearer("bearer ben-secret")).unwrap());
    assert_eq!(ben.told("live")["room"], "lobby");
    ana.say("lobby", "salut");
    ana.hears("Ana", "lobby", "salut");
    ben.hears("Ana", "lobby", "salut");
}

#[test]
fn a_private_room_of_the_lobby_example_is_seen_by_those_alone_who_are_invited() {
    let mut lobby = Example::start("lobby");
    let [mut ana, mut ben, mut dan] =
        ["ana-secret", "ben-secret", "dan-secret"].map(|token| Person::sign_in(&lobby, token));
    let mut ana_too = Person::sign_in(&lobby, "ana-secret");
    ana.say("lobby", "/open tea");
    for page in [&mut ana, &mut ana_too] {
        assert_eq!(page.told("live")["room"], "ana/tea");
    }
    assert_eq!(ana.told("refused")["reason"], "ana is in ana/tea");
    ana.say("ana/tea", "before ben");
    for page in [&mut ana, &mut ana_too] {
        page.hears("Ana", "ana/tea", "before ben");
    }
    assert_eq!(ana.asks("lobby", "/invite ben tea"), "ben is in ana/tea");
    ben.hears("Ana", "ana/tea", "before ben"); // The past.
    assert_eq!(ben.told("live")["room"], "ana/tea");
    ben.say("ana/tea", "thanks");
    for person in [&mut ana, &mut ana_too, &mut ben] {
        person.hears("Ben", "ana/tea", "thanks");
    }
    assert_eq!(ben.asks("ana/tea", "/who"), "Ana Ben Ana ");

    // Neither has dan heard anything, nor can he enter or speak there.
    assert_eq!(dan.asks("lobby", "/who"), "Ana Ben Dan Ana ");
    dan.say("ana/tea", "let me in");
    assert_eq!(dan.told("refused")["code"], "not_in_room");
    dan.say("lobby", "/invite dan tea");
    assert_eq!(dan.told("live")["room"], "dan/tea");
    assert_eq!(dan.told("refused")["reason"], "dan is in dan/tea");

    assert_eq!(ana.asks("lobby", "/invite eve tea"), "eve cannot come to ana/tea");
    assert_eq!(ana.asks("lobby", "/leave").split(',').next(), Some("say /open NAME"));
    ben.say("ana/tea", "/leave");
    assert_eq!(ben.told("removed")["room"], "ana/tea");
    assert_eq!(ben.told("refused")["reason"], "ben has left ana/tea");
    assert_eq!(ana.asks("ana/tea", "/who"), "Ana Ana ");
    ana.say("ana/tea", "after ben");
    ana.say("lobby", "bye");
    for page in [&mut ana, &mut ana_too] {
        page.hears("Ana", "ana/tea", "after ben");
    }
    for person in [&mut ana, &mut ana_too, &mut ben, &mut dan] {
        person.hears("Ana", "lobby", "bye");
    }
    lobby.interrupt();
    for person in [&mut ana, &mut ana_too, &mut ben, &mut dan] {
        assert_eq!(close_code(&mut person.0), CloseCode::Away);
    }
    assert!(lobby.child.wait().unwrap().success());
}

#[test]
fn a_person_of_the_lobby_example_opens_few_rooms_and_is_told_why_not_more() {
    let lobby = Example::start("lobby");
    let mut ana = Person::sign_in(&lobby, "ana-secret");
    for number in 1..16 {
        ana.say("lobby", &format!("/open room{number}"));
        assert_eq!(ana.told("live")["room"], format!("ana/room{number}"));
        ana.told("refused");
    }
    let why = ana.asks("lobby", "/open room16");
    assert!(why.contains("rooms") && why.ends_with(" ana/room16"), "{why}");
    for wrong in
        ["/open", "/open Tea", "/open a b", &format!("/open {}", "x".repeat(33)), "/", "/\0"]
    {
        assert!(ana.asks("lobby", wrong).starts_with("say /open NAME"), "{wrong:?}");
    }
    ana.say("lobby", &"x".repeat(10_000));
    ana.hears("Ana", "lobby", &"x".repeat(10_000));
}

//! The host chooses the subprotocol that the answer to a client names.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod peer;

use std::time::Duration;

use chat::{ClientId, Error, Event, Form, Kind, Overdue, Server};
use peer::{
    Peer,
    host::{Events, server_with},
    upgrade_head,
};

fn deciding() -> Server {
    server_with(|config| {
        config.event_queue(1000).admission_timeout(Duration::from_secs(60));
    })
}

/// Asks to be connected with an offer of subprotocols. Returns the client, and how it will receive messages.
fn ask(
    server: &Server,
    events: &mut Events<'_>,
    path: &str,
    offer: &str,
) -> (Peer, ClientId, Form) {
    let mut peer = Peer::connect(server.local_addr());
    let offer = format!("Sec-WebSocket-Protocol: {offer}");
    peer.write(upgrade_head(server.local_addr(), path, &[&offer]).as_bytes());
    let (client, form) = events.find("ConnectRequest", |event| match event {
        Event::ConnectRequest { client, form, .. } => Some((client, form)),
        _ => None,
    });
    (peer, client, form)
}

/// Accepts a client. Returns the subprotocol that its answer names, and what it then receives as text.
fn accepted(server: &Server, peer: &mut Peer, client: ClientId) -> (Option<String>, String) {
    server.accept(client).unwrap();
    server.send(client, Kind::Text, b"hello").unwrap();
    let response = peer.response();
    assert_eq!(response.status, 101, "{response:?}");
    let name = response.header("Sec-WebSocket-Protocol").map(str::to_owned);
    (name, peer.text())
}

#[test]
fn the_answer_names_the_subprotocol_that_the_host_has_chosen() {
    let server = deciding();
    let mut events = Events::of(&server);
    let (mut peer, client, form) = ask(&server, &mut events, "/", "v2, v1, token.c2VjcmV0");
    assert_eq!(form, Form::Plain);
    server.set_subprotocol(client, "v2").unwrap();
    server.set_subprotocol(client, "v1").unwrap();
    let wrong = server.set_subprotocol(client, "v3").unwrap_err();
    assert!(wrong.to_string().starts_with("name: the client does not offer it"), "{wrong}");
    let outcome = accepted(&server, &mut peer, client);
    assert_eq!(outcome, (Some("v1".to_owned()), "hello".to_owned()), "the last that could be");
    peer.is_served();
    for (client, what) in [(client, "decided"), (ClientId::from_u64(0), "nobody")] {
        let outcome = server.set_subprotocol(client, "v1");
        assert!(matches!(outcome, Err(Error::ClientNotFound)), "{what}");
    }
    // Without a choice there is none.
    let (mut peer, client, _) = ask(&server, &mut events, "/", "v2, v1");
    assert_eq!(accepted(&server, &mut peer, client), (None, "hello".to_owned()));
}

#[test]
fn a_client_speaks_json_under_another_name_if_it_asks_for_it_by_its_address() {
    let server = deciding();
    let mut events = Events::of(&server);
    for offer in ["v1", "v1, libchat.json", "libchat.json, v1"] {
        let (mut peer, client, form) = ask(&server, &mut events, "/?format=json", offer);
        assert_eq!(form, Form::Json);
        server.set_subprotocol(client, "v1").unwrap();
        let (name, text) = accepted(&server, &mut peer, client);
        assert_eq!(name.as_deref(), Some("v1"));
        assert!(text.starts_with(r#"{"type":"welcome""#), "{text}");
    }
}

#[test]
fn a_client_that_speaks_json_because_it_offers_that_keeps_that_name() {
    let server = deciding();
    let mut events = Events::of(&server);
    for name in [None, Some("libchat.json")] {
        let (mut peer, client, form) = ask(&server, &mut events, "/", "v1, libchat.json");
        assert_eq!(form, Form::Json);
        let wrong = server.set_subprotocol(client, "v1").unwrap_err();
        let why = "name: the client offers libchat.json too";
        assert!(wrong.to_string().starts_with(why), "{wrong}");
        if let Some(name) = name {
            server.set_subprotocol(client, name).unwrap();
        }
        let (name, text) = accepted(&server, &mut peer, client);
        assert_eq!(name.as_deref(), Some("libchat.json"));
        assert!(text.starts_with(r#"{"type":"welcome""#), "{text}");
    }
}

#[test]
fn a_client_of_events_has_no_subprotocol() {
    let server = deciding();
    let mut events = Events::of(&server);
    let mut peer = Peer::connect(server.local_addr());
    peer.write(b"GET /?format=events HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Protocol: v1\r\n\r\n");
    let client = events.find("ConnectRequest", |event| match event {
        Event::ConnectRequest { client, .. } => Some(client),
        _ => None,
    });
    let wrong = server.set_subprotocol(client, "v1").unwrap_err();
    assert!(wrong.to_string().starts_with("client: it is a client of events"), "{wrong}");
    server.accept(client).unwrap();
    let response = peer.response();
    assert_eq!((response.status, response.header("Sec-WebSocket-Protocol")), (200, None));
}

#[test]
fn a_client_that_is_admitted_for_want_of_a_decision_gets_the_chosen_one_too() {
    let server = server_with(|config| {
        config.event_queue(1000).admission_timeout(Duration::from_millis(300));
        config.overdue(Overdue::Allow);
    });
    let mut events = Events::of(&server);
    let (mut peer, client, _) = ask(&server, &mut events, "/", "v2, v1");
    server.set_subprotocol(client, "v1").unwrap();
    let response = peer.response();
    assert_eq!((response.status, response.header("Sec-WebSocket-Protocol")), (101, Some("v1")));
    peer.is_served();
}

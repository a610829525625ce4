//! What a client of the JSON form sends beyond the limits of docs/wire.md is answered as it says there, and harms nobody.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod peer;
mod support;
mod wire;

use chat::{Config, Kind};
use peer::{
    Peer, eventually,
    frames::BINARY,
    host::{server, server_with},
};
use serde_json::{Value, json};
use wire::{Client, Seen};

/// The longest message of these tests, in bytes.
const MAX: usize = 1_000;

fn bounded(config: &mut Config) {
    config.max_message_size(MAX);
}

fn join<'s>(seen: &'s Seen, server: &chat::Server) -> Client<'s> {
    let mut client = seen.join(server.local_addr(), "/rooms/r");
    client.find("live");
    client
}

#[test]
fn an_object_may_be_twice_as_long_as_a_message_and_4_kib() {
    let (server, seen) = (server_with(bounded), Seen::default());
    let limit = 2 * MAX + 4 * 1024;
    let object = |len: usize, text: &str| {
        let (start, end) = (format!(r#"{{"id":1,"text":"{text}","x":""#), r#""}"#);
        format!("{start}{:x<1$}{end}", "", len - start.len() - end.len())
    };
    let mut client = join(&seen, &server);
    let longest = format!("{:y<MAX$}", "");
    assert_eq!(client.ask(&object(limit, &longest), "message")["text"], longest);
    client.find("sent");
    let refused = client.ask(&object(limit, &format!("{longest}y")), "refused");
    assert_eq!((&refused["code"], &refused["id"]), (&json!("too_large"), &json!(1)));
    // Escapes count as what they stand for.
    let escaped = "\\u00e9".repeat(MAX / 2);
    assert_eq!(client.ask(&object(limit, &escaped), "message")["text"], "é".repeat(MAX / 2));
    client.peer.say(&object(limit + 1, "short"));
    client.find("sent");
    assert_eq!(client.peer.closed().0, 1009);
}

#[test]
fn what_is_no_json_object_closes_the_connection() {
    let server = server();
    for (text, code) in [
        (&b"salut"[..], 1007),
        (b"", 1007),
        (b"[]", 1007),
        (b"{\"text\":\"\"", 1007),
        (b"{\"text\":\"\"}}", 1007),
        (b"{\"text\":\"\xff\"}", 1007),
    ] {
        let mut client = Peer::join(server.local_addr(), "/?format=json");
        client.send(0x81, text);
        assert_eq!(client.until_closed().1, code, "{:?}", String::from_utf8_lossy(text));
    }
    let mut client = Peer::join(server.local_addr(), "/?format=json");
    client.send(BINARY, b"{\"text\":\"\"}");
    assert_eq!(client.until_closed().1, 1003);
}

#[test]
fn what_the_server_does_not_understand_is_refused_with_a_code() {
    let (server, seen) = (server(), Seen::default());
    let mut client = join(&seen, &server);
    let long_id = format!("{:1<64}", "");
    let fields = |count: usize| {
        let further: String = (0..count - 2).map(|number| format!(r#","{number}":0"#)).collect();
        format!(r#"{{"id":1,"text":"y"{further}}}"#)
    };
    for (object, code) in [
        (format!(r#"{{"id":{long_id}1,"text":""}}"#), "malformed"),
        (format!(r#"{{"id":"{:x<63}","text":""}}"#, ""), "malformed"),
        (r#"{"id":1.5,"text":""}"#.into(), "malformed"),
        (r#"{"id":1,"text":"","text":""}"#.into(), "malformed"),
        (r#"{"id":1,"text":null}"#.into(), "malformed"),
        (r#"{"id":1,"text":"","base64":""}"#.into(), "malformed"),
        (r#"{"id":1,"text":"","kind":"binary"}"#.into(), "malformed"),
        (r#"{"id":1,"text":"","key":{}}"#.into(), "malformed"),
        (format!(r#"{{"id":1,"text":"","key":"{:k<65}"}}"#, ""), "malformed"),
        (r#"{"id":1,"base64":"AA"}"#.into(), "malformed"),
        (r#"{"id":1,"base64":"/w==","kind":"text"}"#.into(), "bad_text"),
        (r#"{"id":1,"text":"\udc00"}"#.into(), "bad_text"),
        (r#"{"id":1,"type":"signal","text":""}"#.into(), "forbidden"),
        (r#"{"id":1,"type":"leave"}"#.into(), "unknown_type"),
        (r#"{"id":1,"room":"elsewhere","text":""}"#.into(), "not_in_room"),
        (r#"{"type":"history"}"#.into(), "malformed"),
        (r#"{"id":1,"type":"history","limit":0}"#.into(), "malformed"),
        (r#"{"id":1,"type":"history","before":"now"}"#.into(), "malformed"),
        (r#"{"id":1,"type":"history","before":"1-1"}"#.into(), "malformed"),
        (fields(65), "malformed"),
    ] {
        client.peer.say(&object);
        let refused = client.object();
        assert_eq!(
            (&refused["type"], &refused["code"]),
            (&json!("refused"), &json!(code)),
            "{object}"
        );
    }
    let deep = format!(r#"{{"id":1,"text":"y","x":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    for (object, id) in [
        (format!(r#"{{"id":{long_id},"text":"y"}}"#), long_id.parse().unwrap()),
        (format!(r#"{{"id":"{:x<62}","text":"y"}}"#, ""), json!(format!("{:x<62}", ""))),
        (fields(64), json!(1)),
        (r#"{"id":-1,"text":"y","x":1e999,"keys":{}}"#.into(), json!(-1)),
        (deep, json!(1)),
    ] {
        assert_eq!(client.ask(&object, "message")["text"], "y", "{object}");
        let sent: Value = client.object();
        assert_eq!((&sent["type"], &sent["id"]), (&json!("sent"), &id));
    }
    seen.check();
}

#[test]
fn an_answer_holds_at_most_1000_earlier_messages_and_256_kib() {
    let (server, seen) =
        (server_with(|config| _ = config.history_messages(1_100)), Seen::default());
    for _ in 0..1_050 {
        server.publish("r", Kind::Text, b"short").unwrap();
    }
    let mut client = join(&seen, &server);
    let count =
        |answer: &Value| (answer["messages"].as_array().unwrap().len(), answer["more"] == true);
    let first = client.ask(r#"{"type":"history","id":1}"#, "history");
    assert_eq!(count(&first), (100, true));
    let most = client.ask(r#"{"type":"history","id":1,"limit":100000000000000000000}"#, "history");
    assert_eq!(count(&most), (1_000, true));
    let before = most["messages"][0]["position"].as_str().unwrap();
    let rest = format!(r#"{{"type":"history","id":1,"limit":1000,"before":"{before}"}}"#);
    assert_eq!(count(&client.ask(&rest, "history")), (50, false));
    for len in [200_000, 100_000, 300_000] {
        server.publish("r", Kind::Binary, &vec![0; len]).unwrap();
        client.find("message");
        assert!(count(&client.ask(r#"{"type":"history","id":1}"#, "history")).1);
    }
    let last = client.ask(r#"{"type":"history","id":1}"#, "history");
    assert_eq!(count(&last), (1, true), "one that is longer comes alone");
}

#[test]
fn the_form_is_that_of_the_subprotocol_or_of_the_query() {
    let (server, seen) = (server(), Seen::default());
    let mut asked = Peer::join(server.local_addr(), "/?format=json");
    assert!(asked.text().starts_with(r#"{"type":"welcome""#));
    let mut both = seen.join(server.local_addr(), "/?format=plain");
    assert_eq!(both.object()["type"], "welcome", "a browser needs what it has offered");
    for bad in ["/?format=xml", "/?name=a%0Ab", &format!("/?name={:x<129}", "")] {
        assert_eq!(Peer::connect(server.local_addr()).upgrade(bad, &[]).status, 400, "{bad}");
    }
    let mut plain = Peer::join(server.local_addr(), "/?format=plain&name=ana&since=x");
    plain.is_served();
    let said = both.find("message");
    assert_eq!((&said["name"], &said["claimed"]), (&json!("ana"), &json!(true)));
    drop((asked, both, plain));
    eventually("all have left", || server.stats().connections == 0);
}

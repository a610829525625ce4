//! Whatever a client of the JSON form sends gets the answer that is documented, and harms nobody else.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod peer;

use chat::Kind;
use peer::{
    Peer,
    frames::{BINARY, TEXT},
    host::{server, server_with},
    objects::{SUBPROTOCOL, field, gist},
};
use serde_json::Value;

const MAX_MESSAGE: usize = 1_000;

#[test]
fn what_is_no_object_closes_the_connection_and_no_other() {
    let server = server();
    let addr = server.local_addr();
    let mut other = Peer::enter_json(addr, "/");
    let deep = "[".repeat(500_000);
    for (bad, code) in [
        ("", 1007),
        ("{", 1007),
        ("[]", 1007),
        ("7", 1007),
        ("{} {}", 1007),
        ("{'text':'x'}", 1007),
        ("{\"text\":\"x\n\"}", 1007),
        ("{\"text\":\"x\",}", 1007),
        ("{\"text\":NaN}", 1007),
        (&deep, 1007),
    ] {
        let mut client = Peer::enter_json(addr, "/");
        client.say(r#"{"id":1,"text":"before"}"#);
        client.say(bad);
        client.say(r#"{"id":2,"text":"behind"}"#);
        let (objects, closed) = client.objects_until_closed();
        let gists: Vec<_> = objects.iter().map(gist).collect();
        assert_eq!(
            (gists, closed),
            (vec!["message before".into(), "sent 1".into()], code),
            "{bad:.40}"
        );
        assert_eq!(other.gists(1), ["message before"], "and what is behind is ignored");
    }
    for (head, bytes, code) in [(BINARY, &b"{}"[..], 1003), (TEXT, b"\"\xff\"", 1007)] {
        let mut client = Peer::enter_json(addr, "/");
        client.send(head, bytes);
        assert_eq!(client.objects_until_closed().1, code);
    }
    other.say(r#"{"id":1,"text":"still here"}"#);
    assert_eq!(other.gists(2), ["message still here", "sent 1"]);
}

#[test]
fn a_payload_that_is_too_long_is_refused_and_a_frame_that_is_too_long_closes_the_connection() {
    let server = server_with(|config| _ = config.max_message_size(MAX_MESSAGE));
    let mut client = Peer::enter_json(server.local_addr(), "/?echo=false");
    let most = 2 * MAX_MESSAGE + 4096;
    let say = |client: &mut Peer, text: &str| {
        client.say(text);
        let answer = client.object();
        (field(&answer, "type").to_owned(), field(&answer, "code").to_owned())
    };
    let sent = ("sent".to_owned(), String::new());
    let refused = ("refused".to_owned(), "too_large".to_owned());
    for escaped in ["x", "\\n", "\\u0001", "€"] {
        let each = if escaped == "€" { 3 } else { 1 };
        let object = |count: usize| format!(r#"{{"id":1,"text":"{}"}}"#, escaped.repeat(count));
        let fits = MAX_MESSAGE / each;
        if object(fits + 1).len() <= most {
            assert_eq!(say(&mut client, &object(fits)), sent, "{escaped}");
            assert_eq!(say(&mut client, &object(fits + 1)), refused, "{escaped}");
        }
    }
    let base64 = |bytes: usize| format!(r#"{{"id":1,"base64":"{}"}}"#, "AAAA".repeat(bytes / 3));
    assert_eq!(say(&mut client, &base64(999)), sent);
    assert_eq!(say(&mut client, &base64(1002)), refused);
    let spaces = |len: usize| format!("{{\"id\":1,\"text\":\"x\"{}}}", " ".repeat(len - 19));
    assert_eq!(spaces(most).len(), most);
    assert_eq!(say(&mut client, &spaces(most)), sent);
    client.say(&spaces(most + 1));
    assert_eq!(client.objects_until_closed().1, 1009);
}

#[test]
fn what_is_an_object_and_no_request_is_answered_and_the_connection_goes_on() {
    let server = server();
    let mut client = Peer::enter_json(server.local_addr(), "/?echo=false");
    let deep =
        format!(r#"{{"id":1,"text":"x","more":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let many = format!(r#"{{"id":1,"text":"x"{}}}"#, r#","a":1"#.repeat(63));
    let huge =
        format!(r#"{{"id":1,"text":"x","more":{}e{}}}"#, "9".repeat(10_000), "9".repeat(10_000));
    let lone = |text: &str| format!(r#"{{"id":1,"text":"{text}"}}"#);
    for (object, code) in [
        (r#"{"id":1}"#, "malformed"),
        (r#"{"id":1,"text":1}"#, "malformed"),
        (r#"{"id":1,"text":null}"#, "malformed"),
        (r#"{"id":1,"text":"x","base64":"eA=="}"#, "malformed"),
        (r#"{"id":1,"base64":"eA"}"#, "malformed"),
        (r#"{"id":1,"base64":"_w=="}"#, "malformed"),
        (r#"{"id":1,"base64":"/w==","kind":"text"}"#, "bad_text"),
        (r#"{"id":1,"text":"x","text":"y"}"#, "malformed"),
        (r#"{"id":1,"type":"signal","text":"x"}"#, "forbidden"),
        (r#"{"id":1,"type":"leave"}"#, "unknown_type"),
        (r#"{"id":1,"room":"elsewhere","text":"x"}"#, "not_in_room"),
        (r#"{"id":1,"room":"","text":"x"}"#, "not_in_room"),
        (r#"{"id":1,"type":"history","room":"elsewhere"}"#, "not_in_room"),
        (r#"{"id":1,"type":"history","before":"nonsense"}"#, "malformed"),
        (r#"{"id":1,"type":"history","before":"7-7"}"#, "malformed"),
        (r#"{"id":1,"type":"history","limit":0}"#, "malformed"),
        (r#"{"id":1,"type":"history","limit":1e3}"#, "malformed"),
        (r#"{"type":"history"}"#, "malformed"),
        (r#"{"id":1.5,"text":"x"}"#, "malformed"),
        (r#"{"id":{},"text":"x"}"#, "malformed"),
        (&many, "malformed"),
        (&lone(r"\ud800"), "bad_text"),
        (&lone(r"\udc00\ud800"), "bad_text"),
        (&lone(r"x\udfff"), "bad_text"),
        (&lone(r"\ud83d\ude00"), ""),
        (&deep, ""),
        (&huge, ""),
        (r#"{"id":1,"text":"x","key":"k","more":{"text":null}}"#, ""),
        (r#"{"id":1,"type":"message","text":"x"}"#, ""),
    ] {
        client.say(object);
        let answer = client.object();
        assert_eq!(field(&answer, "code"), code, "{object:.60}: {answer}");
        let kind = if code.is_empty() { "sent" } else { "refused" };
        assert_eq!(field(&answer, "type"), kind, "{object:.60}: {answer}");
        if !code.is_empty() {
            assert_eq!(answer["retry"], false, "{answer}");
            assert!(field(&answer, "reason").len() > 10, "{answer}");
        }
        let has_id = !matches!(
            object,
            r#"{"type":"history"}"# | r#"{"id":1.5,"text":"x"}"# | r#"{"id":{},"text":"x"}"#
        );
        assert_eq!(answer["id"], if has_id { 1.into() } else { Value::Null }, "{object:.60}");
    }
    // Without an id nothing is answered but what is refused.
    client.say(r#"{"text":"no answer"}"#);
    client.say(r#"{"id":"the next","text":"x"}"#);
    assert_eq!(client.gists(1), ["sent the next"]);
}

#[test]
fn a_client_that_asks_for_history_again_and_again_costs_no_memory_and_harms_nobody() {
    let server = server_with(|config| _ = config.workers(1).outbox_size(2 << 20));
    let text = "x".repeat(4_000);
    for _ in 0..200 {
        server.publish("lobby", Kind::Text, text.as_bytes()).unwrap();
    }
    let mut other = Peer::enter_json(server.local_addr(), "/rooms/other");
    let mut greedy = Peer::connect_small(server.local_addr());
    assert_eq!(greedy.upgrade("/", &[SUBPROTOCOL]).status, 101);
    let before = resident();
    let requests = peer::frames::masked(TEXT, br#"{"id":1,"type":"history"}"#).repeat(1_500);
    greedy.write(&requests);
    other.say(r#"{"id":1,"text":"served"}"#);
    assert_eq!(other.gists(2), ["message served", "sent 1"]);
    // The host's call does not wait behind the answers, which would be 400 MiB if all were made.
    server.publish("elsewhere", Kind::Text, b"x").unwrap();
    greedy.write(&requests);
    let mut answers = 0;
    while answers < 3_000 {
        answers += usize::from(matches!(field(&greedy.object(), "type"), "history" | "refused"));
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes");
}

#[test]
fn of_the_requests_for_history_at_once_the_first_two_are_answered_and_the_others_told_to_wait() {
    let server = server_with(|config| _ = config.workers(1));
    let mut client = Peer::enter_json(server.local_addr(), "/");
    let request = |id: usize| format!(r#"{{"id":{id},"type":"history"}}"#);
    let requests = (1..=20).map(|id| peer::frames::masked(TEXT, request(id).as_bytes()));
    client.write(&requests.collect::<Vec<_>>().concat());
    let expected = (1..=20).map(|id| match id {
        ..=2 => format!("history {id}"),
        _ => format!("refused {id}"),
    });
    assert_eq!(client.gists(20), expected.collect::<Vec<_>>());
    client.say(&request(21));
    assert_eq!(client.gists(1), ["history 21"]);
}

/// How much memory this process uses, in bytes.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") * 1024
}

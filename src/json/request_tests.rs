use std::{borrow::Cow, time::Instant};

use super::{Refusal, Rejected, Request, parse};
use crate::frame::Kind;

type Parsed<'a> = Result<Request<'a>, Rejected<'a>>;

fn publish<'a>(
    id: Option<&'a str>,
    room: Option<&'a str>,
    kind: Kind,
    payload: &'a [u8],
) -> Parsed<'a> {
    let room = room.map(Cow::Borrowed);
    Ok(Request::Publish { id, room, kind, payload: Cow::Borrowed(payload), key: None })
}

fn text(payload: &str) -> Parsed<'_> {
    publish(None, None, Kind::Text, payload.as_bytes())
}

fn binary(payload: &[u8]) -> Parsed<'_> {
    publish(None, None, Kind::Binary, payload)
}

fn history<'a>(
    id: &'a str,
    room: Option<&'a str>,
    before: Option<&'a str>,
    limit: u32,
) -> Parsed<'a> {
    let [room, before] = [room, before].map(|it| it.map(Cow::Borrowed));
    Ok(Request::History { id, room, before, limit })
}

/// The code of what is refused, and the id that it is answered with.
fn refusal(text: &str) -> (Option<&str>, Refusal) {
    match parse(text.as_bytes()) {
        Err(Rejected::Refused { id, code, .. }) => (id, code),
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn a_message_may_have_a_key() {
    let key_of = |text: &str| match parse(text.as_bytes()) {
        Ok(Request::Publish { key, .. }) => key.map(|key| key.as_str().to_owned()),
        other => panic!("{text}: {other:?}"),
    };
    let longest = "é".repeat(32);
    for (token, key) in [("k", "k"), (r#"\u00e9 \""#, "é \""), (&*longest, &*longest)] {
        let text = format!(r#"{{"text":"hi","key":"{token}"}}"#);
        assert_eq!(key_of(&text).as_deref(), Some(key));
    }
    assert_eq!(key_of(r#"{"text":"hi"}"#), None);
    let too_long = format!("\"{}\"", "k".repeat(65));
    for token in [r#""""#, "7", "null", r#"["k"]"#, &too_long, r#""a\u0001""#, r#""\ud800""#] {
        let text = format!(r#"{{"id":1,"text":"hi","key":{token}}}"#);
        assert_eq!(refusal(&text), (Some("1"), Refusal::Malformed), "{text}");
    }
    assert_eq!(refusal(r#"{"text":"","key":"a","key":"a"}"#), (None, Refusal::Malformed));
    assert_eq!(parse(br#"{"type":"history","id":1,"key":""}"#), history("1", None, None, 100));
}

#[test]
fn a_message_is_understood() {
    let cases = [
        (r#"{"text":"hi"}"#, text("hi")),
        (r#"{"text":""}"#, text("")),
        (" \t\r\n{ \"text\" : \"hi\" } \n", text("hi")),
        (r#"{"type":"message","text":"hi"}"#, text("hi")),
        (r#"{"text":"hi","type":"message"}"#, text("hi")),
        (r#"{"\u0074ext":"hi","typ\u0065":"mess\u0061ge"}"#, text("hi")),
        (r#"{"text":"\"\\\/\b\f\n\r\t\u0001\u00e9"}"#, text("\"\\/\u{8}\u{c}\n\r\t\u{1}é")),
        (r#"{"text":"é \ud83d\ude00 😀 \u0000"}"#, text("é 😀 😀 \0")),
        (r#"{"base64":"/wAB+w=="}"#, binary(&[0xFF, 0, 1, 0xFB])),
        (r#"{"base64":"\/wAB+w=="}"#, binary(&[0xFF, 0, 1, 0xFB])),
        (r#"{"base64":""}"#, binary(b"")),
        (r#"{"base64":"aGk=","kind":"binary"}"#, binary(b"hi")),
        (r#"{"base64":"aGk=","kind":"text"}"#, text("hi")),
        (r#"{"kind":"text","base64":""}"#, text("")),
        (r#"{"text":"hi","kind":"text"}"#, text("hi")),
        (r#"{"text":"hi","id":"7"}"#, publish(Some(r#""7""#), None, Kind::Text, b"hi")),
        (r#"{"id":-7,"text":"hi"}"#, publish(Some("-7"), None, Kind::Text, b"hi")),
        (r#"{"id":0,"text":"hi"}"#, publish(Some("0"), None, Kind::Text, b"hi")),
        (r#"{"id":"","text":"hi"}"#, publish(Some(r#""""#), None, Kind::Text, b"hi")),
        (
            r#"{"id":"\u00e9\"","text":"hi"}"#,
            publish(Some(r#""\u00e9\"""#), None, Kind::Text, b"hi"),
        ),
        (r#"{"room":"a\"\u00e9","text":"hi"}"#, publish(None, Some("a\"é"), Kind::Text, b"hi")),
        (r#"{"room":"","text":"hi"}"#, publish(None, Some(""), Kind::Text, b"hi")),
        // Fields that the server does not know in a message.
        (
            r#"{"text":"hi","client":7,"a":{"text":[1e999,{"id":null}]},"a":-0.5E+7,"":""}"#,
            text("hi"),
        ),
        (r#"{"text":"hi","limit":"x","before":[]}"#, text("hi")),
        (r#"{"x":"\ud800","\udc00":1,"text":"hi"}"#, text("hi")),
    ];
    for (object, expected) in cases {
        assert_eq!(parse(object.as_bytes()), expected, "{object}");
    }
}

#[test]
fn a_request_for_history_is_understood() {
    let cases = [
        (r#"{"type":"history","id":"9"}"#, history(r#""9""#, None, None, 100)),
        (r#"{"limit":1,"id":9,"type":"history"}"#, history("9", None, None, 1)),
        (
            r#"{"type":"history","id":9,"room":"lobby","before":"e-42","limit":999}"#,
            history("9", Some("lobby"), Some("e-42"), 999),
        ),
        (r#"{"type":"history","id":9,"limit":1000}"#, history("9", None, None, 1_000)),
        (r#"{"type":"history","id":9,"limit":1001}"#, history("9", None, None, 1_000)),
        (r#"{"type":"history","id":9,"limit":4294967297}"#, history("9", None, None, 1_000)),
        (
            r#"{"type":"history","id":9,"before":"\u0065 no position","text":1,"kind":2,"base64":3}"#,
            history("9", None, Some("e no position"), 100),
        ),
    ];
    for (object, expected) in cases {
        assert_eq!(parse(object.as_bytes()), expected, "{object}");
    }
}

#[test]
fn what_is_no_json_object_is_told_apart() {
    let cases: [&[u8]; 38] = [
        b"",
        b" ",
        b"hi",
        b"1",
        b"null",
        b"true",
        b"\"text\"",
        b"[]",
        b"[{\"text\":\"hi\"}]",
        b"{",
        b"}",
        b"{\"text\"}",
        b"{\"text\":}",
        b"{\"text\":\"hi\"",
        b"{\"text\":\"hi\",}",
        b"{\"text\":\"hi\"}}",
        b"{\"text\":\"hi\"} x",
        b"{\"text\":\"hi\"}{}",
        b"{'text':'hi'}",
        b"{text:\"hi\"}",
        b"{\"text\":\"hi\" \"id\":1}",
        b"{\"text\":\"a\nb\"}",
        b"{\"a\nb\":1,\"text\":\"hi\"}",
        b"{\"x\":\"a\x01b\",\"text\":\"hi\"}",
        b"{\"text\":\"\\x\"}",
        b"{\"text\":\"\\u12\"}",
        b"{\"text\":\"\\ud83g\"}",
        b"{\"text\":\"hi\",\"id\":01}",
        b"{\"text\":\"hi\",\"id\":1.}",
        b"{\"text\":\"hi\",\"id\":.5}",
        b"{\"text\":\"hi\",\"id\":+1}",
        b"{\"text\":\"hi\",\"id\":NaN}",
        b"{\"text\":\"hi\",\"x\":[1,]}",
        b"{\"text\":\"hi\",\"x\":[}]}",
        b"{\"text\":\"\xff\"}",
        b"{\"x\":\"\xed\xa0\x80\",\"text\":\"hi\"}",
        b"\xef\xbb\xbf{\"text\":\"hi\"}",
        b"{\"text\":\"hi\"}\0",
    ];
    for text in cases {
        assert_eq!(parse(text), Err(Rejected::NotJson), "{:?}", String::from_utf8_lossy(text));
    }
}

#[test]
fn what_is_no_request_is_refused_with_its_code_and_id() {
    use Refusal::{BadText, Malformed, UnknownType};
    let cases = [
        ("", Malformed),
        (r#""type":"message""#, Malformed),
        (r#""text":null"#, Malformed),
        (r#""text":["hi"]"#, Malformed),
        (r#""text":[104,105]"#, Malformed),
        (r#""text":7"#, Malformed),
        (r#""text":"hi","base64":"aGk=""#, Malformed),
        (r#""text":"hi","kind":"binary""#, Malformed),
        (r#""text":"hi","kind":"json""#, Malformed),
        (r#""base64":"aGk=","kind":"json""#, Malformed),
        (r#""base64":"aGk=","kind":null"#, Malformed),
        (r#""text":"hi","room":7"#, Malformed),
        (r#""text":"hi","room":null"#, Malformed),
        (r#""text":"hi","room":"\ud800""#, Malformed),
        (r#""text":"hi","type":7"#, Malformed),
        (r#""text":"hi","type":null"#, Malformed),
        (r#""text":"hi","text":"hi""#, Malformed),
        (r#""text":"hi","t\u0065xt":"ho""#, Malformed),
        (r#""type":"message","type":"history","text":"hi""#, Malformed),
        (r#""text":"hi","room":"a","room":"b""#, Malformed),
        // Base64 that is not the standard one, or not all of it.
        (r#""base64":7"#, Malformed),
        (r#""base64":"aGk""#, Malformed),
        (r#""base64":"aGl=""#, Malformed),
        (r#""base64":"_wAB-w==""#, Malformed),
        (r#""base64":"aG k=""#, Malformed),
        (r#""base64":"aGk=\n""#, Malformed),
        (r#""base64":"aGk=aGk=""#, Malformed),
        (r#""base64":"====""#, Malformed),
        (r#""base64":"\ud800""#, Malformed),
        (r#""base64":"é""#, Malformed),
        (r#""text":"\ud800""#, BadText),
        (r#""text":"\udc00\ud800""#, BadText),
        (r#""text":"a\ud83d b""#, BadText),
        (r#""text":"\ud800\ud800\udc00""#, BadText),
        (r#""base64":"/w==","kind":"text""#, BadText),
        (r#""base64":"7aCA","kind":"text""#, BadText),
        (r#""type":"signals","text":"hi""#, UnknownType),
        (r#""type":"members""#, UnknownType),
        (r#""type":"leave","room":"a""#, UnknownType),
        (r#""type":"Message","text":"hi""#, UnknownType),
        (r#""type":"","text":"hi""#, UnknownType),
        (r#""type":"\ud800","text":"hi""#, UnknownType),
        (r#""type":"history","limit":0"#, Malformed),
        (r#""type":"history","limit":-1"#, Malformed),
        (r#""type":"history","limit":-0"#, Malformed),
        (r#""type":"history","limit":1.5"#, Malformed),
        (r#""type":"history","limit":10.0"#, Malformed),
        (r#""type":"history","limit":1e2"#, Malformed),
        (r#""type":"history","limit":"10""#, Malformed),
        (r#""type":"history","limit":null"#, Malformed),
        (r#""type":"history","before":42"#, Malformed),
        (r#""type":"history","before":"\udc00""#, Malformed),
        (r#""type":"history","room":{}"#, Malformed),
    ];
    for (fields, code) in cases {
        let comma = if fields.is_empty() { "" } else { "," };
        // The id is known wherever it is.
        for object in
            [format!(r#"{{"id":"x7"{comma}{fields}}}"#), format!(r#"{{{fields}{comma}"id":"x7"}}"#)]
        {
            assert_eq!(refusal(&object), (Some(r#""x7""#), code), "{object}");
        }
        let without = format!("{{{fields}}}");
        assert_eq!(refusal(&without).0, None, "{without}");
    }
}

#[test]
fn an_id_that_cannot_be_echoed_is_refused_without() {
    let long = [format!("\"{}\"", "a".repeat(63)), "1".repeat(65), format!("-{}", "1".repeat(64))];
    let others = ["null", "true", "[]", "{}", "[1]", "1.5", "1e2", "1E2", "-1.0", "0.5"];
    for id in long.iter().map(String::as_str).chain(others) {
        for object in [
            format!(r#"{{"id":{id},"text":"hi"}}"#),
            format!(r#"{{"text":7,"id":{id}}}"#),
            format!(r#"{{"type":"history","id":{id}}}"#),
        ] {
            assert_eq!(refusal(&object), (None, Refusal::Malformed), "{object}");
        }
    }
    // Which of two would be answered?
    assert_eq!(refusal(r#"{"id":1,"id":1,"text":"hi"}"#), (None, Refusal::Malformed));
    assert_eq!(refusal(r#"{"type":"history"}"#), (None, Refusal::Malformed));
    for id in [format!("\"{}\"", "a".repeat(62)), "1".repeat(64)] {
        let object = format!(r#"{{"id":{id},"text":"hi"}}"#);
        assert_eq!(parse(object.as_bytes()), publish(Some(&id), None, Kind::Text, b"hi"));
    }
}

#[test]
fn an_object_has_64_fields_at_most() {
    let object = |fields: usize| {
        let further: String = (2..fields).map(|index| format!(r#""x{index}":{index},"#)).collect();
        format!(r#"{{"text":"hi",{further}"id":7}}"#)
    };
    let allowed = object(64);
    assert_eq!(parse(allowed.as_bytes()), publish(Some("7"), None, Kind::Text, b"hi"));
    assert_eq!(refusal(&object(65)), (Some("7"), Refusal::Malformed));
    assert_eq!(refusal(&object(100_000)), (Some("7"), Refusal::Malformed));
    // Also those whose names are no Unicode.
    let object = object(65).replace("\"x", r#""\ud800"#);
    assert_eq!(refusal(&object), (Some("7"), Refusal::Malformed));
}

#[test]
fn a_text_without_escapes_is_not_copied() {
    let is_borrowed = |object: &[u8]| match parse(object) {
        Ok(Request::Publish {
            payload: Cow::Borrowed(_), room: Some(Cow::Borrowed(_)), ..
        }) => true,
        Ok(Request::Publish { .. }) => false,
        other => panic!("{other:?}"),
    };
    assert!(is_borrowed(r#"{"text":"a é 😀","room":"é"}"#.as_bytes()));
    assert!(!is_borrowed(r#"{"text":"a\n","room":"é"}"#.as_bytes()));
}

/// Makes values of about `len` bytes on which a parser could spend too much time or stack.
fn long_values(len: usize) -> Vec<String> {
    let digits = "7".repeat(len);
    vec![
        format!("{}{}", "[".repeat(len), "]".repeat(len)),
        format!("{}1{}", r#"{"a":"#.repeat(len / 5), "}".repeat(len / 5)),
        format!("-{digits}.{digits}e-{digits}"),
        format!("\"{}\"", r"\u0061".repeat(len / 6)),
        format!("[{}1]", "1,".repeat(len / 2)),
        digits,
    ]
}

#[test]
fn neither_depth_nor_length_costs_more_than_a_look_at_each_byte() {
    let started = Instant::now();
    for value in long_values(2_000_000) {
        let object = format!(r#"{{"x":{value},"text":"hi"}}"#);
        assert!(parse(object.as_bytes()) == text("hi"));
        // The end of what is open is missing.
        for part in [&value[..value.len() / 2], &object[..value.len() / 2]] {
            assert!(parse(part.as_bytes()) == Err(Rejected::NotJson));
        }
    }
    for value in long_values(100_000) {
        for known in ["text", "type", "id", "room", "base64", "kind"] {
            let object = format!(r#"{{"{known}":{value},"id":7}}"#);
            let is_text = known == "text" && value.starts_with('"');
            let is_refused = matches!(parse(object.as_bytes()), Err(Rejected::Refused { .. }));
            assert_eq!(is_refused, !is_text, "{known}");
        }
        let object = format!(r#"{{"type":"history","id":7,"limit":{value}}}"#);
        match parse(object.as_bytes()) {
            Ok(Request::History { limit, .. }) => assert!(limit == 1_000 && value.starts_with('7')),
            other => assert!(matches!(other, Err(Rejected::Refused { id: Some("7"), .. }))),
        }
    }
    // Work that is quadratic in any of them takes hours.
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}

use base64ct::{Base64, Encoding};
use serde_json::Value;

use super::{
    MessageHead, MessageObject, Reason, Refusal, SentAs, append_broadcast, append_closing,
    append_direct, append_dropped, append_dropped_roomless, append_entered, append_history,
    append_live, append_message, append_ping, append_refused, append_removed, append_sent,
    append_welcome, max_len, parse_message,
};
use crate::{
    frame::{Kind, append_text_with, data_frame, text_payload},
    position::Position,
};

const MESSAGE: MessageObject<'static> = MessageObject {
    room: "lobby",
    position: Position { epoch: 14, offset: 42 },
    client: Some("c7f"),
    name: Some("ana"),
    is_claimed: true,
    key: None,
    time: 1_795_600_000_000,
    kind: Kind::Text,
    payload: b"hi",
};

const LARGEST: Position = Position { epoch: u64::MAX, offset: u64::MAX };

/// Names of rooms that JSON or its reader could trip over.
const ROOMS: [&str; 8] = [
    "lobby",
    "\"",
    "\\",
    "\\\"",
    "a\",\"position\":\"e-7",
    "\\\\",
    "é\u{1F600}",
    "\",\"position\":\"e-7\\",
];

/// What is appended behind other bytes, as one frame.
fn frame(append: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut buffer = b"before".to_vec();
    append_text_with(&mut buffer, append);
    buffer.split_off(6)
}

/// The object in the frame that is appended.
fn object(append: impl FnOnce(&mut Vec<u8>)) -> String {
    let frame = frame(append);
    let payload = text_payload(&frame).unwrap();
    assert_eq!(frame, data_frame(Kind::Text, payload));
    let text = str::from_utf8(payload).unwrap().to_owned();
    serde_json::from_str::<Value>(&text).unwrap();
    text
}

/// The payload that an object has in either form.
pub(super) fn payload_of(object: &Value) -> Vec<u8> {
    let Some(base64) = object["base64"].as_str() else {
        return object["text"].as_str().unwrap().as_bytes().to_vec();
    };
    let mut payload = vec![0; base64.len()];
    Base64::decode(base64, &mut payload).unwrap().to_vec()
}

fn message(message: MessageObject<'_>) -> String {
    object(|buffer| append_message(buffer, &message))
}

#[test]
fn a_message_is_these_bytes() {
    let all = r#"{"type":"message","room":"lobby","position":"e-42","client":"c7f","name":"ana","claimed":true,"time":1795600000000,"text":"hi"}"#;
    assert_eq!(message(MESSAGE), all);
    assert_eq!(
        message(MessageObject { is_claimed: false, ..MESSAGE }),
        all.replace(r#""claimed":true,"#, "")
    );
    assert_eq!(
        message(MessageObject { name: None, ..MESSAGE }),
        all.replace(r#""name":"ana","claimed":true,"#, "")
    );
    let host = MessageObject { client: None, name: None, position: Position::NONE, ..MESSAGE };
    assert_eq!(
        message(host),
        r#"{"type":"message","room":"lobby","time":1795600000000,"text":"hi"}"#
    );
    assert_eq!(
        message(MessageObject { kind: Kind::Binary, payload: &[0xFF, 0, 1, 0xFB], ..host }),
        r#"{"type":"message","room":"lobby","time":1795600000000,"base64":"/wAB+w=="}"#
    );
    // As text this were 9 bytes, and base64 has 8.
    assert_eq!(
        message(MessageObject { payload: b"\x01abc", ..host }),
        r#"{"type":"message","room":"lobby","time":1795600000000,"base64":"AWFiYw==","kind":"text"}"#
    );
    // Here both have 8.
    assert_eq!(
        message(MessageObject { payload: b"\x01ab", room: "\"é\\", ..host }),
        r#"{"type":"message","room":"\"é\\","time":1795600000000,"base64":"AWFi","kind":"text"}"#
    );
    assert_eq!(
        message(MessageObject { payload: b"a\n\n\nb\"\"", ..host }),
        r#"{"type":"message","room":"lobby","time":1795600000000,"text":"a\n\n\nb\"\""}"#
    );
}

#[test]
fn a_text_is_base64_only_where_its_escapes_are_longer() {
    // 1 byte is 2 with its escape and 4 as base64; 7 are 14 and 12.
    for (payload, is_text) in [
        ("", true),
        ("\"", true),
        ("\"\"", true),
        ("\"\"\"", false),
        ("\"\"a", false),
        ("\"aa", true),
        ("\"\"aa", true),
        ("\"\"\"\"", true),
        ("\"\"\"\"\"", false),
        ("\u{1}", false),
        ("\u{7F}\u{80}\u{2028}", true),
    ] {
        let object = message(MessageObject { payload: payload.as_bytes(), ..MESSAGE });
        assert_eq!(object.contains(r#""text":""#), is_text, "{object}");
        assert_eq!(object.contains(r#","kind":"text"}"#), !is_text, "{object}");
    }
}

#[test]
fn a_string_has_no_escapes_but_those_that_json_requires() {
    let removed = |room: &str| object(|buffer| append_removed(buffer, room));
    for char in (0..0x20).filter_map(char::from_u32) {
        let expected = match char {
            '\n' => r"\n".to_owned(),
            '\r' => r"\r".to_owned(),
            '\t' => r"\t".to_owned(),
            '\u{8}' => r"\b".to_owned(),
            '\u{C}' => r"\f".to_owned(),
            other => format!(r"\u{:04x}", other as u32),
        };
        assert_eq!(
            removed(&format!("a{char}b")),
            format!(r#"{{"type":"removed","room":"a{expected}b"}}"#)
        );
    }
    assert_eq!(removed("\"\\"), r#"{"type":"removed","room":"\"\\"}"#);
    let plain = "/ \u{7F} \u{80} é \u{2028} \u{1F600}";
    assert_eq!(removed(plain), format!(r#"{{"type":"removed","room":"{plain}"}}"#));
}

#[test]
fn the_other_objects_are_these_bytes() {
    let position = Position { epoch: 14, offset: 31 };
    type Append = fn(&mut Vec<u8>);
    let objects: [(Append, &str); 16] = [
        (
            |b| append_broadcast(b, 7, Kind::Text, b"hi"),
            r#"{"type":"broadcast","time":7,"text":"hi"}"#,
        ),
        (
            |b| append_direct(b, 7, Kind::Binary, b"hi"),
            r#"{"type":"direct","time":7,"base64":"aGk="}"#,
        ),
        (
            |b| append_direct(b, u64::MAX, Kind::Text, b"\0\0"),
            r#"{"type":"direct","time":18446744073709551615,"base64":"AAA=","kind":"text"}"#,
        ),
        (|b| append_live(b, "lobby"), r#"{"type":"live","room":"lobby"}"#),
        (|b| append_removed(b, "a\"b"), r#"{"type":"removed","room":"a\"b"}"#),
        (append_ping, r#"{"type":"ping"}"#),
        (
            |b| append_closing(b, 1001, "the server \"stops\"", 4_200),
            r#"{"type":"closing","code":1001,"reason":"the server \"stops\"","retry":4200}"#,
        ),
        (
            |b| {
                append_sent(
                    b,
                    r#""7""#,
                    Some("lobby"),
                    Position { epoch: 14, offset: 43 },
                    SentAs::Itself,
                )
            },
            r#"{"type":"sent","id":"7","room":"lobby","position":"e-43"}"#,
        ),
        (
            |b| append_sent(b, "-7", None, Position::NONE, SentAs::Changed),
            r#"{"type":"sent","id":-7,"changed":true}"#,
        ),
        (
            |b| append_refused(b, Some(r#""7""#), Refusal::TooLarge, "it is too \"large\""),
            r#"{"type":"refused","id":"7","code":"too_large","reason":"it is too \"large\"","retry":false}"#,
        ),
        (
            |b| append_refused(b, None, Refusal::Busy, "later"),
            r#"{"type":"refused","code":"busy","reason":"later","retry":true}"#,
        ),
        (
            |b| {
                let (after, before) = (50, 61);
                let at = |offset| Position { epoch: 14, offset };
                append_dropped(b, r#""a\"b""#, at(after), at(before), 10);
            },
            r#"{"type":"dropped","room":"a\"b","after":"e-50","before":"e-61","count":10}"#,
        ),
        (
            |b| append_dropped(b, r#""lobby""#, Position::NONE, Position::NONE, 3),
            r#"{"type":"dropped","room":"lobby","count":3}"#,
        ),
        (|b| append_dropped_roomless(b, 3), r#"{"type":"dropped","count":3}"#),
        (
            |b| append_history(b, "9", "lobby", [], false),
            r#"{"type":"history","id":9,"room":"lobby","messages":[],"more":false}"#,
        ),
        (
            |b| {
                let other = MessageObject { client: None, name: None, payload: b"ho", ..MESSAGE };
                append_history(b, r#""9""#, "lobby", [MESSAGE, other], true);
            },
            r#"{"type":"history","id":"9","room":"lobby","messages":[{"type":"message","room":"lobby","position":"e-42","client":"c7f","name":"ana","claimed":true,"time":1795600000000,"text":"hi"},{"type":"message","room":"lobby","position":"e-42","time":1795600000000,"text":"ho"}],"more":true}"#,
        ),
    ];
    for (append, expected) in objects {
        assert_eq!(object(append), expected);
    }
    for (recovered, expected) in [
        (None, ""),
        (Some(Ok(())), r#","recovered":true"#),
        (Some(Err(Reason::Epoch)), r#","recovered":false,"reason":"epoch""#),
        (Some(Err(Reason::Trimmed)), r#","recovered":false,"reason":"trimmed""#),
        (Some(Err(Reason::Ahead)), r#","recovered":false,"reason":"ahead""#),
        (Some(Err(Reason::NoHistory)), r#","recovered":false,"reason":"no_history""#),
        (Some(Err(Reason::Invalid)), r#","recovered":false,"reason":"invalid""#),
    ] {
        assert_eq!(
            object(|buffer| append_entered(buffer, "lobby", position, recovered)),
            format!(r#"{{"type":"entered","room":"lobby","position":"e-31"{expected}}}"#)
        );
        assert_eq!(
            object(|buffer| append_entered(buffer, "lobby", Position::NONE, recovered)),
            format!(r#"{{"type":"entered","room":"lobby"{expected}}}"#)
        );
    }
    for (ms, seconds) in [
        (25_000, "25"),
        (250, "0.25"),
        (1_500, "1.5"),
        (1, "0.001"),
        (10_010, "10.01"),
        (0, "0"),
        (u64::MAX, "18446744073709551.615"),
    ] {
        assert_eq!(
            object(|buffer| append_welcome(buffer, "c7f", ms)),
            format!(r#"{{"type":"welcome","version":1,"client":"c7f","ping":{seconds}}}"#)
        );
    }
}

#[test]
fn a_refusal_says_whether_to_try_again() {
    for (code, name, may_retry) in [
        (Refusal::Malformed, "malformed", false),
        (Refusal::UnknownType, "unknown_type", false),
        (Refusal::Forbidden, "forbidden", false),
        (Refusal::TooLarge, "too_large", false),
        (Refusal::BadText, "bad_text", false),
        (Refusal::NotInRoom, "not_in_room", false),
        (Refusal::Refused, "refused", false),
        (Refusal::Overdue, "overdue", true),
        (Refusal::Busy, "busy", true),
        (Refusal::Unavailable, "unavailable", true),
        (Refusal::Unknown, "unknown", false),
        (Refusal::Stopping, "stopping", true),
    ] {
        assert_eq!(
            object(|buffer| append_refused(buffer, Some("1"), code, "why")),
            format!(
                r#"{{"type":"refused","id":1,"code":"{name}","reason":"why","retry":{may_retry}}}"#
            )
        );
    }
}

#[test]
fn no_message_is_longer_than_four_thirds_of_its_payload_and_1_kib() {
    assert_eq!([0, 1, 3, 4, 300].map(max_len), [1_024, 1_028, 1_028, 1_032, 1_424]);
    let rooms = ["r".repeat(128), "\"".repeat(128), "\\".repeat(128), "\u{7F}".repeat(128)];
    let names = ["\u{1}".repeat(128), "\"".repeat(128), "\n".repeat(128), "é".repeat(64)];
    let (client, key) = ("c".repeat(64), "\"".repeat(64));
    let mut longest_rest = 0;
    for len in 0..300_usize {
        let payloads = ["\u{1}", "\"", "\n", "a", "\u{1F600}", "\u{1}a", "\"aa"].map(|text| {
            let text = text.repeat(len.div_ceil(text.len()));
            text.as_bytes()[..text.floor_char_boundary(len)].to_vec()
        });
        for (payload, (room, name)) in
            payloads.iter().flat_map(|it| rooms.iter().zip(&names).map(move |pair| (it, pair)))
        {
            for kind in [Kind::Text, Kind::Binary] {
                let message = MessageObject {
                    room,
                    position: LARGEST,
                    client: Some(&client),
                    name: Some(name),
                    is_claimed: true,
                    key: Some(&key),
                    time: u64::MAX,
                    kind,
                    payload,
                };
                let frames = [
                    frame(|buffer| append_message(buffer, &message)),
                    frame(|buffer| append_broadcast(buffer, u64::MAX, kind, payload)),
                    frame(|buffer| append_direct(buffer, u64::MAX, kind, payload)),
                ];
                for frame in frames {
                    assert!(frame.len() <= max_len(payload.len()), "{len} {kind:?} {payload:?}");
                    let value: Value =
                        serde_json::from_slice(text_payload(&frame).unwrap()).unwrap();
                    assert_eq!(payload_of(&value), *message.payload);
                    longest_rest =
                        longest_rest.max(frame.len().saturating_sub(payload.len().div_ceil(3) * 4));
                }
            }
        }
    }
    assert!(longest_rest > 1_000, "the longest is among them: {longest_rest}");
}

#[test]
fn control_characters_in_a_name_are_replaced() {
    let object = message(MessageObject { name: Some("a\u{1}\nb\u{7F}"), ..MESSAGE });
    assert!(object.contains("\"name\":\"a\u{FFFD}\u{FFFD}b\u{7F}\","), "{object}");
}

#[test]
fn the_head_of_a_message_is_read_back_from_its_frame() {
    for room in ROOMS {
        let token = serde_json::to_string(room).unwrap();
        for position in [Position::NONE, Position { epoch: 1, offset: 0 }, LARGEST] {
            for (client, name) in [(None, None), (Some("c7f"), None), (Some("c7f"), Some(room))] {
                // Of every length of header.
                for len in [0, 20, 300, 70_000] {
                    let payload = "x".repeat(len);
                    let payload = payload.as_bytes();
                    let message =
                        MessageObject { room, position, client, name, payload, ..MESSAGE };
                    let frame = frame(|buffer| append_message(buffer, &message));
                    let head = MessageHead::Room { token: &token, position };
                    assert_eq!(parse_message(&frame), Some(head));
                }
            }
        }
    }
    for payload in [&b""[..], br#","room":"a""#, &[b'"'; 300], &[b'x'; 70_000]] {
        for kind in [Kind::Text, Kind::Binary] {
            let broadcast = frame(|buffer| append_broadcast(buffer, 7, kind, payload));
            let direct = frame(|buffer| append_direct(buffer, 7, kind, payload));
            for frame in [broadcast, direct] {
                assert_eq!(parse_message(&frame), Some(MessageHead::Other));
            }
        }
    }
}

#[test]
fn no_other_frame_is_a_message() {
    let message = r#"{"type":"message","room":"a","position":"e-1","time":1,"text":""}"#;
    for text in ROOMS.into_iter().chain([message, "message", "broadcast", "direct"]) {
        let id = &serde_json::to_string(text).unwrap();
        let room = MessageObject { room: text, ..MESSAGE };
        let others = [
            frame(|b| append_history(b, id, text, [room, room], true)),
            frame(|b| append_welcome(b, text, 25_000)),
            frame(|b| append_entered(b, text, LARGEST, Some(Err(Reason::Epoch)))),
            frame(|b| append_entered(b, text, LARGEST, None)),
            frame(|b| append_live(b, text)),
            frame(|b| append_removed(b, text)),
            frame(append_ping),
            frame(|b| append_closing(b, 1001, text, 4_200)),
            frame(|b| append_sent(b, id, Some(text), LARGEST, SentAs::Duplicate)),
            frame(|b| append_refused(b, Some(id), Refusal::Refused, text)),
            frame(|b| append_dropped(b, id, LARGEST, LARGEST, 10)),
            data_frame(Kind::Binary, message.as_bytes()),
            crate::frame::close_frame(1000, text.get(..20).unwrap_or(text)).to_vec(),
            crate::frame::PING.to_vec(),
        ];
        for frame in others {
            assert_eq!(parse_message(&frame), None, "{:?}", String::from_utf8_lossy(&frame));
        }
    }
    // Nor is a part of one.
    let whole = frame(|buffer| append_message(buffer, &MESSAGE));
    assert!((0..whole.len()).all(|end| parse_message(&whole[..end]).is_none()));
}

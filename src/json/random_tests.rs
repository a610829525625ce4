//! Random objects against serde_json's reading of them, and random bytes.
//!
//! A failure prints its seed; `JSON_SEED=… cargo test --lib json` repeats it.

use std::{borrow::Cow, collections::hash_map::RandomState, hash::BuildHasher};

use serde_json::{Value, json};

use super::{
    MessageHead, MessageObject, Rejected, Request, SentAs, append_broadcast, append_direct,
    append_history, append_message, append_refused, append_sent, max_len, object_tests::payload_of,
    parse, parse_message, refusal::Refusal,
};
use crate::{
    frame::{Kind, append_text_with, text_payload},
    position::Position,
    published::Key,
};

const RUNS: usize = 3_000;

/// Random numbers that a seed repeats (SplitMix64).
struct Random(u64);

impl Random {
    fn new() -> Self {
        let given = std::env::var("JSON_SEED").ok().and_then(|text| text.parse().ok());
        let seed = given.unwrap_or_else(|| RandomState::new().hash_one(0));
        println!("JSON_SEED={seed}");
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// Makes a text of at most `max` bytes, with many characters that JSON escapes.
    fn text(&mut self, max: usize) -> String {
        let len = self.below(max + 1);
        let is_plain = self.once_in(2);
        let mut text = String::new();
        while text.len() + 4 <= len {
            let char = match self.below(if is_plain { 3 } else { 8 }) {
                0 => char::from_u32(0x80 + self.below(0x1_0000) as u32).unwrap_or('é'),
                1 | 2 => (b'a' + self.below(26) as u8) as char,
                3 => '"',
                4 => '\\',
                5 => '\u{1F600}',
                _ => self.below(0x21) as u8 as char,
            };
            text.push(char);
        }
        text
    }

    /// A room's name: no control characters.
    fn room(&mut self) -> String {
        self.text(128).replace(|char: char| char.is_control(), ",")
    }

    fn position(&mut self) -> Position {
        if self.once_in(4) {
            Position::NONE
        } else {
            Position { epoch: self.number() | 1, offset: self.number() }
        }
    }

    fn number(&mut self) -> u64 {
        let shift = self.below(64);
        self.next() >> shift
    }

    fn payload(&mut self) -> (Kind, Vec<u8>) {
        let max = if self.once_in(100) { 200_000 } else { 400 };
        if self.once_in(3) {
            return (Kind::Binary, (0..self.below(max)).map(|_| self.next() as u8).collect());
        }
        (Kind::Text, self.text(max).into_bytes())
    }
}

/// What an object says, in the words of serde_json.
fn expected(kind: &str, fields: Value, value: &Value, payload: Kind, bytes: &[u8]) -> Value {
    let mut expected = fields;
    expected["type"] = kind.into();
    let is_base64 = value.get("base64").is_some();
    assert_eq!(payload_of(value), bytes);
    if is_base64 {
        expected["base64"] = value["base64"].clone();
        if payload == Kind::Text {
            expected["kind"] = "text".into();
        }
    } else {
        assert_eq!(payload, Kind::Text);
        expected["text"] = value["text"].clone();
    }
    expected
}

fn value(frame: &[u8]) -> Value {
    serde_json::from_slice(text_payload(frame).unwrap()).unwrap()
}

#[test]
fn what_is_sent_says_what_was_to_be_said() {
    let mut random = Random::new();
    for _ in 0..RUNS {
        let (room, name, client) = (random.room(), random.text(128), random.room());
        let (kind, payload) = random.payload();
        let key = random.text(64).replace(char::is_control, "");
        let message = MessageObject {
            room: &room,
            position: random.position(),
            client: (!random.once_in(3)).then_some(&client[..client.floor_char_boundary(64)]),
            name: (!random.once_in(3)).then_some(&name),
            is_claimed: random.once_in(2),
            key: random.once_in(3).then_some(&key),
            time: random.number(),
            kind,
            payload: &payload,
        };
        let mut fields = json!({"room": room, "time": message.time});
        if !message.position.is_none() {
            fields["position"] = message.position.to_string().into();
        }
        if let Some(key) = message.key {
            fields["key"] = key.into();
        }
        if let Some(client) = message.client {
            fields["client"] = client.into();
        }
        if message.name.is_some() {
            fields["name"] = name.replace(|char: char| char < ' ', "\u{FFFD}").into();
            if message.is_claimed {
                fields["claimed"] = true.into();
            }
        }
        let mut frame = Vec::new();
        append_text_with(&mut frame, |frame| append_message(frame, &message));
        assert!(frame.len() <= max_len(payload.len()));
        let sent = value(&frame);
        assert_eq!(sent, expected("message", fields, &sent, kind, &payload));
        let token = serde_json::to_string(&room).unwrap();
        let head = MessageHead::Room { token: &token, position: message.position };
        assert_eq!(parse_message(&frame), Some(head));

        let count = random.below(5);
        let (mut history, has_more) = (Vec::new(), random.once_in(2));
        append_text_with(&mut history, |history| {
            append_history(history, "7", &room, std::iter::repeat_n(message, count), has_more);
        });
        let messages = vec![sent; count];
        let answer = json!({"type": "history", "id": 7, "room": room, "messages": messages, "more": has_more});
        assert_eq!(value(&history), answer);
        assert_eq!(parse_message(&history), None);

        for (name, append) in [
            ("broadcast", append_broadcast as fn(&mut Vec<u8>, u64, Kind, &[u8])),
            ("direct", append_direct),
        ] {
            let mut frame = Vec::new();
            append_text_with(&mut frame, |frame| append(frame, message.time, kind, &payload));
            assert!(frame.len() <= max_len(payload.len()));
            let sent = value(&frame);
            assert_eq!(sent, expected(name, json!({"time": message.time}), &sent, kind, &payload));
            assert_eq!(parse_message(&frame), Some(MessageHead::Other));
        }
    }
}

#[test]
fn what_a_client_is_sent_it_can_send_back() {
    let mut random = Random::new();
    for _ in 0..RUNS {
        let (kind, payload) = random.payload();
        let (room, id) = (random.room(), random.text(9));
        let id = serde_json::to_string(&id).unwrap();
        let key = Key::new(&random.text(64).replace(char::is_control, "")).ok();
        let mut frame = Vec::new();
        let message = MessageObject {
            room: &room,
            position: random.position(),
            client: None,
            name: None,
            is_claimed: false,
            key: key.as_ref().map(Key::as_str),
            time: random.number(),
            kind,
            payload: &payload,
        };
        append_text_with(&mut frame, |frame| append_message(frame, &message));
        let object = text_payload(&frame).unwrap();
        let object = [&object[..object.len() - 1], b",\"id\":", id.as_bytes(), b"}"].concat();
        let request = Request::Publish {
            id: Some(&id),
            room: Some(Cow::Borrowed(&room)),
            kind,
            payload: Cow::Borrowed(&payload),
            key,
        };
        assert_eq!(parse(&object), Ok(request));
    }
}

/// Whether serde_json's values differ from RFC 8259 in this text: numbers that are too large, nesting, surrogates.
fn is_beyond_values(text: &[u8]) -> bool {
    let has_long_number = text.iter().any(|byte| b"eE".contains(byte));
    has_long_number || text.windows(2).any(|pair| pair == b"\\u")
}

fn check(text: &[u8]) {
    let parsed = parse(text);
    let is_object = serde_json::from_slice::<Value>(text).is_ok_and(|value| value.is_object());
    let shown = String::from_utf8_lossy(text);
    if is_object || !is_beyond_values(text) {
        assert_eq!(parsed != Err(Rejected::NotJson), is_object, "{shown}");
    }
    let id = match &parsed {
        Ok(
            Request::Publish { id, kind, payload, .. } | Request::Signal { id, kind, payload, .. },
        ) => {
            assert!(*kind == Kind::Binary || str::from_utf8(payload).is_ok(), "{shown}");
            *id
        }
        Ok(Request::History { id, limit, .. }) => {
            assert!((1..=1_000).contains(limit), "{shown}");
            Some(*id)
        }
        Err(Rejected::Refused { id, .. }) => *id,
        Err(Rejected::NotJson) => None,
    };
    // An id is JSON, whatever it is: the answers with it are, too.
    let mut answers = Vec::new();
    append_text_with(&mut answers, |it| append_refused(it, id, Refusal::Refused, "why"));
    serde_json::from_slice::<&serde_json::value::RawValue>(text_payload(&answers).unwrap())
        .unwrap();
    if let Some(id) = id {
        let mut answers = Vec::new();
        append_text_with(&mut answers, |it| {
            append_sent(it, id, None, Position::NONE, SentAs::Itself)
        });
        serde_json::from_slice::<&serde_json::value::RawValue>(text_payload(&answers).unwrap())
            .unwrap();
    }
}

#[test]
fn no_bytes_of_a_client_do_harm() {
    let mut random = Random::new();
    let objects = [
        r#"{"type":"message","id":"7","room":"a\"b","text":"hi \u00e9\ud83d\ude00\n"}"#,
        r#"{"base64":"/wAB+w==","kind":"text","id":-7,"key":"k"}"#,
        r#"{"type":"history","id":9,"room":"lobby","before":"e-42","limit":100}"#,
        r#"{"type":"signal","room":"lobby","text":"typing","to":"host"}"#,
        r#"{"x":[1,{"text":null},true,false,-0.5,[[]]],"id":"\ud800","text":""}"#,
    ];
    const PIECES: &[u8] = b"{}[]\",:\\/u0123456789abdefnrt-+. \n\x00\x7f\x80\xed\xff";
    for _ in 0..RUNS * 10 {
        let mut text = objects[random.below(objects.len())].as_bytes().to_vec();
        for _ in 0..=random.below(4) {
            let at = random.below(text.len() + 1);
            let end = (at + random.below(9)).min(text.len());
            let piece = PIECES[random.below(PIECES.len())];
            match random.below(6) {
                0 => text.insert(at, piece),
                1 => text.truncate(at),
                2 => _ = text.drain(at..end),
                3 if at < text.len() => text[at] = piece,
                4 => text.extend_from_within(at..end),
                _ => {
                    let part = text[at..end].to_vec();
                    let to = random.below(text.len() + 1);
                    text.splice(to..to, part);
                }
            }
        }
        check(&text);
        let len = random.below(40);
        let is_any = random.once_in(4);
        let mut bytes: Vec<u8> = (0..len)
            .map(|_| if is_any { random.next() as u8 } else { PIECES[random.below(PIECES.len())] })
            .collect();
        check(&bytes);
        // What is no frame of ours is no message, and does no harm.
        let _ = parse_message(&bytes);
        bytes.splice(0..0, *b"\x81\x20{\"type\":\"message\",\"room\":\"");
        let _ = parse_message(&bytes);
    }
}

use std::time::Duration;

use super::{chunk::CHUNK_OVERHEAD, *};
use crate::{
    fanout::command::RoomHead,
    frame::{self, Kind},
    message::Message,
    past::PastGiven,
    position::Position,
    published::Published,
};

fn frames(texts: &[&str]) -> Bytes {
    let mut buffer = Vec::new();
    for text in texts {
        frame::append_data(&mut buffer, Kind::Text, text.as_bytes());
    }
    buffer.into()
}

/// Returns how many messages whole frames hold.
fn count_frames(mut frames: &[u8]) -> u64 {
    let mut count = 0;
    while !frames.is_empty() {
        frames = &frames[frame::first_len(frames)..];
        count += 1;
    }
    count
}

fn rest(outbox: &mut Outbox) -> Vec<u8> {
    let mut bytes = Vec::new();
    while !outbox.is_empty() {
        let front = outbox.front().iter().flat_map(|slice| slice.to_vec()).collect::<Vec<_>>();
        outbox.advance(front.len(), Instant::now());
        bytes.extend(front);
    }
    assert_eq!((outbox.size(), outbox.controls(), outbox.pongs), (0, 0, 0));
    bytes
}

#[test]
fn a_message_that_was_begun_is_never_dropped() {
    let all = frames(&["one", "two", "three", "four"]);
    for taken in 0..all.len() {
        let mut outbox = Outbox::new(Form::Plain);
        outbox.push(&all, taken, false, Instant::now());
        let dropped = outbox.drop_all();
        let end = Form::Plain.end_at(&all, taken);
        assert_eq!(dropped, count_frames(&all[end..]), "{taken} bytes taken");
        assert_eq!(rest(&mut outbox), &all[taken..end], "{taken} bytes taken");
    }
}

#[test]
fn of_an_event_stream_no_oldest_messages_are_dropped() {
    for form in [Form::Events, Form::EventsJson] {
        let all = Bytes::from_static(b"id: 7-1\ndata: one\n\nid: 7-2\ndata: two\n\n");
        let mut outbox = Outbox::new(form);
        let now = Instant::now();
        outbox.push(&all, 0, false, now);
        assert_eq!(outbox.trim(10), 0);
        assert_eq!(outbox.drop_older_than(Duration::ZERO, now), 0);
        assert_eq!(rest(&mut outbox), all);
    }
}

#[test]
fn a_past_that_was_read_or_not_says_when_the_client_comes_back() {
    let replay = |past| Replay::new(RoomHead::of(1), Form::Events, past);
    for is_read in [true, false] {
        let (mut outbox, now) = (Outbox::new(Form::Events), Instant::now());
        let mut place = replay(PastGiven::loading(7));
        place.set_retry(1234);
        outbox.push_replay(place, now);
        if is_read {
            outbox.load(7, replay(PastGiven::none()), now);
        } else {
            outbox.give_up_loading(now);
        }
        let text = String::from_utf8(rest(&mut outbox)).unwrap();
        assert!(text.starts_with("retry: 1234\n\n"), "{text}");
    }
}

#[test]
fn what_is_dropped_is_not_kept_by_what_was_begun() {
    let all = frames(&["one", "two"]);
    let mut outbox = Outbox::new(Form::Plain);
    outbox.push(&all, 1, false, Instant::now());
    assert!(!all.is_unique());
    assert_eq!(outbox.drop_all(), 1);
    assert!(all.is_unique());
    assert_eq!(rest(&mut outbox), frames(&["one"])[1..]);
}

#[test]
fn a_message_that_was_begun_later_is_never_dropped() {
    let all = frames(&["one", "two", "three", "four"]);
    for first in 0..all.len() {
        for second in 0..all.len() - first {
            let mut outbox = Outbox::new(Form::Plain);
            outbox.push(&all, first, false, Instant::now());
            outbox.advance(second, Instant::now());
            outbox.drop_all();
            let taken = first + second;
            assert_eq!(rest(&mut outbox), &all[taken..Form::Plain.end_at(&all, taken)]);
        }
    }
}

#[test]
fn a_write_of_many_chunks_may_be_cut_anywhere() {
    let texts: Vec<_> = (0..MAX_SLICES + 9).map(|number| number.to_string()).collect();
    let chunks: Vec<_> = texts.iter().map(|text| frames(&[text, "and more"])).collect();
    let all = chunks.concat();
    for first in (0..all.len()).step_by(41) {
        let mut outbox = Outbox::new(Form::Plain);
        for chunk in &chunks {
            outbox.push(chunk, 0, false, Instant::now());
        }
        outbox.advance(first, Instant::now());
        outbox.drop_all();
        assert_eq!(rest(&mut outbox), &all[first..Form::Plain.end_at(&all, first)]);
    }
}

#[test]
fn the_oldest_messages_make_room_for_the_newest() {
    let mut outbox = Outbox::new(Form::Plain);
    outbox.push(&frames(&["one", "two"]), 0, false, Instant::now());
    outbox.push(&Bytes::from_static(frame::PING), 0, true, Instant::now());
    outbox.push(&frames(&["three"]), 0, false, Instant::now());
    assert_eq!(outbox.trim(outbox.size() - 1), 1);
    assert_eq!(outbox.controls(), 1);
    let mut expected = frames(&["two"]).to_vec();
    expected.extend_from_slice(frame::PING);
    expected.extend_from_slice(&frames(&["three"]));
    assert_eq!(rest(&mut outbox), expected);
}

#[test]
fn while_a_pong_waits_the_last_ping_alone_is_answered_behind_it() {
    let now = Instant::now();
    let pong = |outbox: &mut Outbox, text| outbox.push_pong(&frames(&[text]), now);
    let mut outbox = Outbox::new(Form::Plain);
    outbox.push(&frames(&["message"]), 0, false, now);
    for text in ["1", "2", "3"] {
        pong(&mut outbox, text);
    }
    assert_eq!((outbox.drop_all(), outbox.controls()), (1, 1), "no pong is dropped");
    assert_eq!(rest(&mut outbox), frames(&["1", "3"]));

    for text in ["4", "5", "6"] {
        pong(&mut outbox, text);
    }
    outbox.push(&Bytes::from_static(frame::PING), 0, true, now);
    pong(&mut outbox, "7");
    let expected = [&frames(&["4", "6"])[..], frame::PING, &frames(&["7"])].concat();
    assert_eq!(rest(&mut outbox), expected, "the last before the next control frame");

    // A socket that takes a part of what is before the first answer does not make room for another.
    outbox.push(&frames(&["message"]), 0, false, now);
    pong(&mut outbox, "8");
    pong(&mut outbox, "9");
    outbox.advance(1, now);
    pong(&mut outbox, "10");
    assert_eq!(rest(&mut outbox), [&frames(&["message"])[1..], &frames(&["8", "10"])].concat());
}

#[test]
fn only_what_is_too_old_is_dropped() {
    let start = Instant::now();
    let second = Duration::from_secs(1);
    let mut outbox = Outbox::new(Form::Plain);
    outbox.push(&frames(&["old", "old"]), 0, false, start);
    outbox.push(&frames(&["new"]), 0, false, start + second);
    assert_eq!(outbox.drop_older_than(second, start + second), 2);
    assert_eq!(rest(&mut outbox), frames(&["new"]));
}

#[test]
fn what_just_fits_into_the_bound_stays() {
    for form in [Form::Plain, Form::Json] {
        let mut outbox = Outbox::new(form);
        outbox.push(&objects(&["1"]), 0, false, Instant::now());
        outbox.push(&objects(&["2"]), 0, false, Instant::now());
        let size = outbox.size();
        assert_eq!((outbox.trim(size), outbox.size()), (0, size));
    }
}

#[test]
fn with_replays_too_everything_is_written_once_and_in_order_or_counted_as_dropped() {
    let mut state: u64 = 7;
    let mut below = |most: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % most
    };
    for _ in 0..300 {
        let mut outbox = Outbox::new(Form::Plain);
        let (mut pushed, mut dropped, mut written) = (0, 0, Vec::new());
        let text = |number: u64| {
            let len = [8, 8, 100, 40_000][(number % 4) as usize];
            format!("{number:0len$}").into_bytes()
        };
        for _ in 0..100 {
            let now = Instant::now();
            match below(8) {
                0..3 => {
                    let mut frames = Vec::new();
                    for _ in 0..=below(3) {
                        frame::append_data(&mut frames, Kind::Text, &text(pushed));
                        pushed += 1;
                    }
                    outbox.push(&frames.into(), 0, false, now);
                }
                3 => {
                    let count = below(12);
                    let message =
                        |number| Published::of(Message::new(Kind::Text, &text(number)).unwrap());
                    let messages = (pushed..pushed + count).map(message).collect();
                    pushed += count;
                    let past = PastGiven::of(messages);
                    let replay = Replay::new(RoomHead::of(1), Form::Plain, past);
                    outbox.push_replay(replay, now);
                }
                4..7 => {
                    let front: Vec<u8> =
                        outbox.front().iter().flat_map(|slice| slice.to_vec()).collect();
                    assert!(outbox.is_empty() == front.is_empty(), "what waits can be written");
                    let taken = below(front.len() as u64 + 1) as usize;
                    written.extend_from_slice(&front[..taken]);
                    outbox.advance(taken, now);
                }
                _ if below(4) > 0 => dropped += outbox.trim(below(100_000) as usize),
                _ => dropped += outbox.drop_all(),
            }
            let counted = outbox.chunks.iter().filter(|chunk| !chunk.kind.is_replay());
            assert_eq!(
                outbox.size(),
                counted.map(|it| it.bytes.len() + CHUNK_OVERHEAD).sum::<usize>()
            );
        }
        written.extend(rest(&mut outbox));
        assert!(outbox.replays.is_empty());
        assert_eq!(count_frames(&written) + dropped, pushed);
        let (mut left, mut last) = (&written[..], None);
        while !left.is_empty() {
            let (first, behind) = left.split_at(frame::first_len(left));
            let number: u64 = std::str::from_utf8(frame::payload(first)).unwrap().parse().unwrap();
            assert!(Some(number) > last, "{number} behind {last:?}");
            (left, last) = (behind, Some(number));
        }
    }
}

/// Frames of the JSON form: a number is a message of the room `a` at that offset, a word another object.
fn objects(said: &[&str]) -> Bytes {
    let mut buffer = Vec::new();
    for word in said {
        let object = match (word.parse::<u64>(), *word) {
            (Ok(offset), _) => {
                let position = Position { epoch: 14, offset };
                format!(r#"{{"type":"message","room":"a","position":"{position}","text":"x"}}"#)
            }
            (_, "broadcast") => r#"{"type":"broadcast","time":1,"text":"x"}"#.to_owned(),
            _ => format!(r#"{{"type":"{word}","room":"a"}}"#),
        };
        frame::append_data(&mut buffer, Kind::Text, object.as_bytes());
    }
    buffer.into()
}

/// What the frames of the JSON form say, as `objects` takes it; what is told of dropped messages with its numbers.
fn said(mut frames: &[u8]) -> Vec<String> {
    let mut said = Vec::new();
    while !frames.is_empty() {
        let (first, rest) = frames.split_at(frame::first_len(frames));
        let object: serde_json::Value = serde_json::from_slice(frame::payload(first)).unwrap();
        let text = |field: &str| object[field].as_str().unwrap_or_default().to_owned();
        said.push(match &*text("type") {
            "message" => text("position").replace("e-", ""),
            "dropped" => format!("{}({}){}", text("after"), object["count"], text("before")),
            other => other.to_owned(),
        });
        frames = rest;
    }
    said
}

fn json() -> Outbox {
    Outbox::new(Form::Json)
}

#[test]
fn drops_are_told_in_one_place_until_the_client_begins_to_receive_that() {
    let (start, second) = (Instant::now(), Duration::from_secs(1));
    let mut outbox = json();
    let at = |seconds: u32| start + second * seconds;
    let words = [["1", "sent"], ["2", "removed"], ["3", "ping"], ["4", "refused"], ["5", "6"]];
    for (index, said) in (0..).zip(&words) {
        outbox.push(&objects(said), 0, false, at(index));
    }
    assert_eq!(outbox.drop_older_than(second, at(1)), 1);
    // A socket that takes nothing changes nothing.
    assert!(outbox.front().len() > 3);
    outbox.advance(0, at(1));
    assert_eq!(outbox.drop_older_than(second, at(2)), 1);
    let told = outbox.front()[0].to_vec();
    assert_eq!(said(&told), ["e-0(2)e-3"]);
    outbox.advance(1, at(2));
    assert_eq!(outbox.drop_older_than(second, at(3)), 1);
    assert_eq!(outbox.drop_older_than(second, at(4)), 1);
    outbox.advance(0, at(4));
    let all = [&told[..1], &rest(&mut outbox)].concat();
    let expected = ["e-0(2)e-3", "sent", "removed", "e-2(2)e-5", "ping", "refused", "5", "6"];
    assert_eq!(said(&all), expected);
}

#[test]
fn what_is_kept_shares_memory_and_counts_for_the_bound() {
    // Miri takes minutes for as many as make several blocks.
    let count = if cfg!(miri) { 20 } else { 2000 };
    let now = Instant::now();
    let mut outbox = json();
    for offset in 0..count {
        outbox.push(&objects(&[&offset.to_string(), "broadcast", "sent"]), 0, false, now);
    }
    assert_eq!(outbox.trim(0), 2 * count as u64);
    let bytes: usize = outbox.front().iter().map(|slice| slice.len()).sum();
    assert_eq!(outbox.front().len(), 1 + (count * objects(&["sent"]).len()).div_ceil(4096 - 30));
    assert!((bytes..bytes + 5000).contains(&outbox.size()), "{} for {bytes}", outbox.size());
    let received = said(&rest(&mut outbox));
    let told = [format!("({count})"), format!("e-0({count})e-{count}"), "sent".to_owned()];
    assert_eq!(received[..3], told);
    assert_eq!(received.len(), count + 2);
}

#[test]
fn what_is_kept_is_copied_but_for_a_long_answer_with_which_nothing_else_is_kept() {
    // A little more than what is not copied.
    let (short, long) = ("history".repeat(200), "history".repeat(10_000));
    let cases: [(&[&str], &[bool]); 3] =
        [(&[&short], &[true]), (&[&long], &[false]), (&[&long, &long], &[true, false])];
    for (said, expected) in cases {
        let mut outbox = json();
        outbox.push(&objects(&["1"]), 0, false, Instant::now());
        let answers = objects(said);
        let memory = answers.as_ptr_range();
        outbox.push(&answers, 0, false, Instant::now());
        drop(answers);
        assert_eq!(outbox.trim(0), 1);
        let front = outbox.front();
        let is_copied = front[1..].iter().map(|slice| !memory.contains(&slice.as_ptr()));
        assert_eq!(is_copied.collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_client_that_is_closed_loses_everything_but_what_it_has_begun_to_receive() {
    let all = objects(&["1", "sent", "2", "entered", "live", "broadcast"]);
    for is_trimmed in [false, true] {
        for taken in 0..all.len() {
            let mut outbox = json();
            outbox.push(&all, 0, false, Instant::now());
            outbox.push(&Bytes::from_static(frame::PING), 0, true, Instant::now());
            let mut begun =
                outbox.front().iter().flat_map(|slice| slice.to_vec()).collect::<Vec<_>>();
            begun.truncate(taken);
            outbox.advance(taken, Instant::now());
            let trimmed = if is_trimmed { outbox.trim(0) } else { 0 };
            let dropped = trimmed + outbox.drop_all();
            begun.extend(rest(&mut outbox));
            let begun = begun.strip_suffix(frame::PING).unwrap();
            assert_eq!(begun.len(), Form::Plain.end_at(&all, taken));
            let received =
                said(begun).into_iter().filter(|it| ["1", "2", "broadcast"].contains(&&**it));
            assert_eq!(received.count() as u64 + dropped, 3, "{taken} bytes taken");
        }
    }
}

use super::*;
use crate::frame::Kind;

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
        let mut outbox = Outbox::default();
        outbox.push(&all, taken, false, Instant::now());
        let dropped = outbox.drop_all();
        let end = frame_end(&all, taken);
        assert_eq!(dropped, count_frames(&all[end..]), "{taken} bytes taken");
        assert_eq!(rest(&mut outbox), &all[taken..end], "{taken} bytes taken");
    }
}

#[test]
fn what_is_dropped_is_not_kept_by_what_was_begun() {
    let all = frames(&["one", "two"]);
    let mut outbox = Outbox::default();
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
            let mut outbox = Outbox::default();
            outbox.push(&all, first, false, Instant::now());
            outbox.advance(second, Instant::now());
            outbox.drop_all();
            let taken = first + second;
            assert_eq!(rest(&mut outbox), &all[taken..frame_end(&all, taken)]);
        }
    }
}

#[test]
fn a_write_of_many_chunks_may_be_cut_anywhere() {
    let texts: Vec<_> = (0..MAX_SLICES + 9).map(|number| number.to_string()).collect();
    let chunks: Vec<_> = texts.iter().map(|text| frames(&[text, "and more"])).collect();
    let all = chunks.concat();
    for first in (0..all.len()).step_by(41) {
        let mut outbox = Outbox::default();
        for chunk in &chunks {
            outbox.push(chunk, 0, false, Instant::now());
        }
        outbox.advance(first, Instant::now());
        outbox.drop_all();
        assert_eq!(rest(&mut outbox), &all[first..frame_end(&all, first)]);
    }
}

#[test]
fn the_oldest_messages_make_room_for_the_newest() {
    let mut outbox = Outbox::default();
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
    let mut outbox = Outbox::default();
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
}

#[test]
fn only_what_is_too_old_is_dropped() {
    let start = Instant::now();
    let second = Duration::from_secs(1);
    let mut outbox = Outbox::default();
    outbox.push(&frames(&["old", "old"]), 0, false, start);
    outbox.push(&frames(&["new"]), 0, false, start + second);
    assert_eq!(outbox.drop_older_than(second, start + second), 2);
    assert_eq!(rest(&mut outbox), frames(&["new"]));
}

use super::*;
use crate::{fanout::command::RoomId, frame::Kind, message::Message, published::Published};

/// What a lane holds, message by message: position in the sequence, offset, frame, excluded client.
#[derive(Default)]
struct Model(Vec<(u64, u64, Vec<u8>, Option<ClientId>)>);

impl Model {
    /// Returns the frames that a client lacks that has everything before a position and an offset.
    fn lacks(&self, sequence: u64, offset: u64, client: Option<ClientId>) -> Vec<u8> {
        let lacking = self.0.iter().filter(|(position, number, _, hidden)| {
            *position >= sequence && *number >= offset && (client.is_none() || *hidden != client)
        });
        lacking.flat_map(|(_, _, frame, _)| frame.clone()).collect()
    }
}

fn delivery(offset: u64, len: usize, exclude: Option<ClientId>) -> Delivery {
    let message = Message::new(Kind::Binary, &vec![offset as u8; len]).unwrap();
    Delivery { room: RoomId(1), offset, message: Published::of(message), exclude, answer: None }
}

/// Returns the position of an offset in the sequence: other lanes have those between.
fn position(offset: u64) -> u64 {
    3 * offset
}

/// Makes a buffer with messages from an offset on, of which the first ones are forgotten. Some segments are
/// sealed.
fn filled(first: u64, lens: &[usize], forgotten: u64) -> (Segments, Model) {
    let (mut segments, mut model) = (Segments::default(), Model::default());
    for (offset, len) in (first..).zip(lens) {
        let exclude = (offset % 3 == 0).then(|| ClientId::new(offset % 2 + 1, 0));
        let delivery = delivery(offset, *len, exclude);
        let frame = Form::Plain.encode_direct(&delivery.message.message).to_vec();
        model.0.push((position(offset), offset, frame, exclude));
        segments.push(Form::Plain, &RoomHead::of(1), &delivery, position(offset));
        if offset % 4 == 0 {
            let run = segments.run(segments.end() - 1).unwrap();
            segments.keep(&run, 0, |_, _| ());
        }
    }
    segments.sort_hidden();
    segments.forget(forgotten);
    model.0.drain(..forgotten as usize);
    (segments, model)
}

/// Returns all that is written to a client that has everything before a position and an offset.
fn written(segments: &Segments, sequence: u64, offset: u64, client: Option<ClientId>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut from = segments.find(sequence, offset);
    while let Some(run) = segments.run(from) {
        assert!(run.long.is_some() || segments.frames(&run).len() <= MAX_WRITE + 40_010);
        match client {
            Some(client) if segments.hides(client, &run.entries) => {
                let hidden: Vec<_> = segments.hidden(client, run.entries.clone()).collect();
                for entry in run.entries.clone().filter(|entry| !hidden.contains(entry)) {
                    bytes.extend_from_slice(segments.frame(entry));
                }
            }
            _ => bytes.extend_from_slice(segments.frames(&run)),
        }
        from = run.entries.end;
    }
    assert_eq!(from, segments.end());
    bytes
}

/// Short and long messages, and more than one write takes.
const LENS: [&[usize]; 3] =
    [&[0, 5, 200, 7, 1, 0, 3, 300, 2, 9], &[5, 40_000, 3, 40_000, 40_000, 8, 9], &[30_000; 11]];

#[test]
fn what_a_subscriber_lacks_is_written_once_and_in_order() {
    for lens in LENS {
        for forgotten in 0..lens.len() as u64 {
            let (segments, model) = filled(10, lens, forgotten);
            let hidden = model.0.iter().filter(|(.., hidden)| hidden.is_some()).count();
            let notes = hidden * HIDDEN_COST + model.0.len() * size_of::<Entry>();
            assert_eq!(segments.size(), model.lacks(0, 0, None).len() + notes);
            let clients = [None, Some(ClientId::new(1, 0)), Some(ClientId::new(2, 0))];
            for offset in 9..11 + lens.len() as u64 {
                for client in clients {
                    for (sequence, from) in
                        [(position(offset), 0), (0, offset), (position(13) + 1, offset)]
                    {
                        let lacking = model.lacks(sequence, from, client);
                        assert!(written(&segments, sequence, from, client) == lacking);
                    }
                }
            }
        }
    }
}

#[test]
fn offsets_that_do_not_follow_each_other_are_counted_apart() {
    let mut segments = Segments::default();
    // The last subscriber left behind the first message, and the next one came before the second.
    for offset in [5, 8] {
        segments.push(Form::Plain, &RoomHead::of(1), &delivery(offset, 3, None), position(offset));
    }
    for (from, count) in [(5, 2), (6, 1), (8, 1), (9, 0)] {
        assert_eq!(segments.end() - segments.find(0, from), count, "from {from}");
    }
}

#[test]
fn what_is_kept_is_what_the_socket_did_not_take() {
    for forgotten in [0, 1, 3] {
        let (segments, _) = filled(10, LENS[0], forgotten);
        for entry in forgotten..segments.end() {
            let run = segments.run(entry).unwrap();
            let frames = segments.frames(&run);
            for taken in 0..frames.len() {
                let mut kept = Vec::new();
                segments.keep(&run, taken, |bytes, taken| kept.extend_from_slice(&bytes[taken..]));
                assert_eq!(kept, frames[taken..]);
            }
        }
    }
}

#[test]
fn clients_that_keep_the_same_share_it_also_with_those_that_lacked_less() {
    for lens in LENS {
        let (mut segments, _) = filled(10, lens, 0);
        let kept = |segments: &Segments, from: u64| {
            let mut kept = Vec::new();
            let mut from = Some(from);
            while let Some(run) = from.and_then(|from| segments.run(from)) {
                segments.keep(&run, 0, |bytes, _| kept.push(bytes.as_ptr()));
                from = Some(run.entries.end);
            }
            kept
        };
        let (all, rest) = (kept(&segments, 0), kept(&segments, 3));
        assert_eq!(all, kept(&segments, 0));
        assert_eq!(all[all.len() - rest.len() + 1..], rest[1..]);
        // Also when the first ones are forgotten.
        segments.forget(3);
        assert_eq!(rest, kept(&segments, 3));
    }
}

#[test]
fn a_message_that_comes_behind_kept_bytes_is_not_in_them() {
    let mut segments = Segments::default();
    segments.push(Form::Plain, &RoomHead::of(1), &delivery(1, 3, None), 1);
    segments.keep(&segments.run(0).unwrap(), 0, |_, _| ());
    segments.push(Form::Plain, &RoomHead::of(1), &delivery(2, 5, None), 2);
    let run = segments.run(0).unwrap();
    assert_eq!(run.messages(), 2);
    let mut kept = Vec::new();
    segments.keep(&run, 0, |bytes, taken| kept.extend_from_slice(&bytes[taken..]));
    assert_eq!(kept, segments.frames(&run));
}

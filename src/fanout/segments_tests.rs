use super::*;
use crate::{fanout::command::RoomId, frame::Kind, message::Message, published::Published};

/// What a lane holds, entry by entry.
#[derive(Default)]
struct Model(Vec<Held>);

struct Held {
    /// Its position in the sequence.
    position: u64,
    offset: u64,
    frame: Vec<u8>,
    hidden: Option<ClientId>,
    is_signal: bool,
}

impl Model {
    /// Returns the entries that a client lacks that has everything before a position and an offset.
    fn entries(&self, sequence: u64, offset: u64, who: Who) -> impl Iterator<Item = &Held> {
        self.0.iter().filter(move |held| {
            let is_hidden = who.client.is_some() && held.hidden == who.client
                || who.is_lagging && held.is_signal;
            held.position >= sequence && held.offset >= offset && !is_hidden
        })
    }

    fn lacks(&self, sequence: u64, offset: u64, who: Who) -> Vec<u8> {
        self.entries(sequence, offset, who).flat_map(|held| held.frame.clone()).collect()
    }
}

/// Who is written to.
#[derive(Clone, Copy, Default)]
struct Who {
    client: Option<ClientId>,
    is_lagging: bool,
}

fn delivery(offset: u64, len: usize, exclude: Option<ClientId>) -> Delivery {
    let message = Message::new(Kind::Binary, &vec![offset as u8; len]).unwrap();
    Delivery {
        room: RoomId(1),
        number: offset,
        offset,
        message: Published::of(message),
        exclude,
        answer: None,
        is_signal: false,
    }
}

/// Returns the position of an offset in the sequence: other lanes have those between.
fn position(offset: u64) -> u64 {
    3 * offset
}

/// Makes a buffer with messages from an offset on, and signals before some of them, of which the first entries are
/// forgotten. Some segments are sealed.
fn filled(first: u64, lens: &[usize], forgotten: u64) -> (Segments, Model) {
    let (mut segments, mut model) = (Segments::default(), Model::default());
    let mut push = |segments: &mut Segments, delivery: &Delivery, position| {
        let (start, before) = (segments.end(), segments.signal_bytes());
        // The plain form has long messages apart, and no signals.
        let form = if delivery.is_signal { Form::Json } else { Form::Plain };
        segments.push(form, &RoomHead::of(1), delivery, position);
        let frame = segments.frame(start).to_vec();
        assert_eq!(segments.signal_bytes() > before, delivery.is_signal);
        let Delivery { offset, exclude: hidden, is_signal, .. } = *delivery;
        model.0.push(Held { position, offset, frame, hidden, is_signal });
    };
    for (offset, len) in (first..).zip(lens) {
        let exclude = (offset % 3 == 0).then(|| ClientId::new(offset % 2 + 1, 0));
        for number in 0..offset % 3 {
            let exclude = (number == 1).then(|| ClientId::new(1, 0));
            let signal = Delivery { is_signal: true, ..delivery(offset, 4, exclude) };
            push(&mut segments, &signal, position(offset) - 2 + number);
        }
        push(&mut segments, &delivery(offset, *len, exclude), position(offset));
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
fn written(segments: &Segments, sequence: u64, offset: u64, who: Who) -> Vec<u8> {
    let mut bytes = Vec::new();
    let Who { client, is_lagging } = who;
    // Nobody has published under this.
    let client = client.unwrap_or_else(|| ClientId::new(1 << 40, 0));
    let mut from = segments.find(sequence, offset);
    while let Some(run) = segments.run(from) {
        assert!(run.long.is_some() || segments.frames(&run).len() <= MAX_WRITE + 40_010);
        if segments.hides(client, is_lagging, &run.entries) {
            for entry in segments.visible(client, is_lagging, run.entries.clone()) {
                bytes.extend_from_slice(segments.frame(entry));
            }
        } else {
            bytes.extend_from_slice(segments.frames(&run));
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
            let hidden = model.0.iter().filter(|held| held.hidden.is_some()).count();
            let notes = hidden * HIDDEN_COST + model.0.len() * size_of::<Entry>();
            assert_eq!(segments.size(), model.lacks(0, 0, Who::default()).len() + notes);
            let signals = model.0.iter().filter(|held| held.is_signal);
            let bytes = signals.map(|held| held.frame.len()).sum::<usize>();
            assert_eq!(segments.signal_bytes(), bytes);
            let clients = [None, Some(ClientId::new(1, 0)), Some(ClientId::new(2, 0))];
            let all =
                clients.map(|client| [false, true].map(|is_lagging| Who { client, is_lagging }));
            for offset in 9..11 + lens.len() as u64 {
                for client in all.into_iter().flatten() {
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
        let third = segments.entries_of(2).start;
        let kept = |segments: &Segments, from: u64| {
            let mut kept = Vec::new();
            let mut from = Some(from);
            while let Some(run) = from.and_then(|from| segments.run(from)) {
                segments.keep(&run, 0, |bytes, _| kept.push(bytes.as_ptr()));
                from = Some(run.entries.end);
            }
            kept
        };
        let (all, rest) = (kept(&segments, 0), kept(&segments, third));
        assert_eq!(all, kept(&segments, 0));
        assert_eq!(all[all.len() - rest.len() + 1..], rest[1..]);
        // Also when the first ones are forgotten.
        segments.forget(third);
        assert_eq!(rest, kept(&segments, third));
    }
}

#[test]
fn a_message_that_comes_behind_kept_bytes_is_not_in_them() {
    let mut segments = Segments::default();
    segments.push(Form::Plain, &RoomHead::of(1), &delivery(1, 3, None), 1);
    segments.keep(&segments.run(0).unwrap(), 0, |_, _| ());
    segments.push(Form::Plain, &RoomHead::of(1), &delivery(2, 5, None), 2);
    let run = segments.run(0).unwrap();
    assert_eq!(run.messages(12), (2, 12));
    let mut kept = Vec::new();
    segments.keep(&run, 0, |bytes, taken| kept.extend_from_slice(&bytes[taken..]));
    assert_eq!(kept, segments.frames(&run));
}

#[test]
fn what_counts_as_messages_are_the_messages_and_their_bytes() {
    for lens in LENS {
        for forgotten in [0, 3, 6] {
            let (segments, model) = filled(10, lens, forgotten);
            let (mut from, mut counted) = (forgotten, (0, 0));
            while let Some(run) = segments.run(from) {
                let (messages, bytes) = run.messages(segments.frames(&run).len());
                counted = (counted.0 + messages, counted.1 + bytes);
                from = run.entries.end;
            }
            let lagging = Who { client: None, is_lagging: true };
            let messages = model.entries(0, 0, lagging);
            let expected = messages
                .fold((0, 0), |(count, bytes), held| (count + 1, bytes + held.frame.len() as u64));
            assert_eq!(counted, expected);
        }
    }
}

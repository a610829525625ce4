//! What was published to a room and is not written to all its subscribers on a shard yet: frames, one
//! behind the other, so that whatever a subscriber lacks is one run of bytes.

use std::ops::Range;

use bytes::Bytes;
use once_cell::unsync::OnceCell;

use super::inbox::Delivery;
use crate::{event::ClientId, frame, message::Message};

/// How many bytes of frames go into one write at the most.
const MAX_RUN: usize = 256 * 1024;

/// How many speakers of one turn are worth knowing.
const MAX_SPEAKERS: usize = 16;

/// What it costs to note that a message is not for its sender, in bytes.
const HIDDEN_COST: usize = size_of::<(ClientId, u64)>();

/// The messages of one room that wait on one shard.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    frames: Vec<u8>,
    batches: Vec<Batch>,
    /// Whom messages are not for, and their offsets: sorted once the batch is whole.
    hidden: Vec<(ClientId, u64)>,
    /// The numbers of those subscribers who have said something in the last batch, once each; one more
    /// than `MAX_SPEAKERS` if they are more.
    speakers: Vec<u32>,
    /// Whether nothing is to be added to the last batch, since somebody may have been written it.
    is_whole: bool,
    /// What waits, in bytes: frames, and the notes of whom they are not for.
    size: usize,
}

/// Messages that came together. Their offsets follow each other; those of two batches need not, since a
/// message is not sent to a shard that has no subscribers. Whoever is there now came after such a gap.
#[derive(Debug)]
struct Batch {
    /// The offset of the first, and the one behind the last.
    offsets: Range<u64>,
    /// Where in the backlog's frames they are; nowhere if it is a long message, which is alone.
    place: Range<usize>,
    /// Their frames, counted by reference, for all who cannot take them at once.
    kept: OnceCell<Bytes>,
}

/// What a subscriber lacks, as far as it goes into one write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) offsets: Range<u64>,
    place: Range<usize>,
    /// The number of the batch, if it is a long message.
    long: Option<usize>,
}

impl Backlog {
    /// Appends a message.
    pub(super) fn push(&mut self, delivery: &Delivery) {
        let Delivery { offset, message, exclude, speaker, .. } = delivery;
        let hidden = exclude.map(|client| (client, *offset));
        self.size += message.frame_len() + hidden.map_or(0, |_| HIDDEN_COST);
        let begins = std::mem::take(&mut self.is_whole);
        if begins {
            self.speakers.clear();
        }
        self.append(*offset, message, begins);
        self.hidden.extend(hidden);
        if let Some(number) = speaker
            && self.speakers.len() <= MAX_SPEAKERS
            && !self.speakers.contains(number)
        {
            self.speakers.push(*number);
        }
    }

    fn append(&mut self, offset: u64, message: &Message, begins: bool) {
        let start = self.frames.len();
        let needs_other = |batch: &Batch| {
            let is_full = batch.place.len() + message.frame_len() > MAX_RUN;
            let is_behind_a_gap = batch.offsets.end != offset;
            let is_alone = batch.is_long() || message.long_frame().is_some();
            begins || is_full || is_behind_a_gap || is_alone
        };
        if self.batches.last().is_none_or(needs_other) {
            self.batches.push(Batch::new(offset, start));
        }
        let Some(batch) = self.batches.last_mut() else { return };
        batch.offsets.end = offset + 1;
        match message.long_frame() {
            Some(frame) => batch.kept = OnceCell::with_value(frame.clone()),
            None => message.append_frame(&mut self.frames),
        }
        batch.place.end = self.frames.len();
    }

    /// Notes that what came together is all there.
    pub(super) fn seal(&mut self) {
        if !self.is_whole {
            self.is_whole = true;
            // What was there before is in order: this merges.
            self.hidden.sort();
        }
    }

    /// Who has said something in the last batch; nobody if these are many.
    pub(super) fn speakers(&self) -> impl Iterator<Item = usize> + use<'_> {
        let are_few = self.speakers.len() <= MAX_SPEAKERS;
        let speakers = self.speakers.iter().filter(move |_| are_few);
        speakers.map(|number| *number as usize)
    }

    /// What waits, in bytes.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// What it takes, whether or not something waits, in bytes.
    pub(super) fn memory(&self) -> usize {
        let (batches, hidden) = (self.batches.capacity(), self.hidden.capacity());
        self.frames.capacity() + batches * size_of::<Batch>() + hidden * HIDDEN_COST
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// How many batches there are.
    pub(super) fn batches(&self) -> usize {
        self.batches.len()
    }

    /// The offset behind the last message.
    pub(super) fn end(&self) -> u64 {
        self.batches.last().map_or(0, |batch| batch.offsets.end)
    }

    /// What a subscriber lacks that has everything before an offset; `None` if that is nothing.
    pub(super) fn run(&self, from: u64) -> Option<Run> {
        let number = self.batches.partition_point(|batch| batch.offsets.end <= from);
        let first = self.batches.get(number)?;
        if first.is_long() {
            let (offsets, place) = (first.offsets.clone(), first.place.clone());
            return Some(Run { offsets, place, long: Some(number) });
        }
        let mut run =
            Run { offsets: first.offsets.clone(), place: first.place.clone(), long: None };
        // Some of the batch may be from before it subscribed.
        while run.offsets.start < from {
            run.offsets.start += 1;
            run.place.start += frame::first_len(&self.frames[run.place.clone()]);
        }
        for batch in &self.batches[number + 1..] {
            let is_full = batch.place.end - run.place.start > MAX_RUN;
            if is_full || batch.is_long() || batch.offsets.start != run.offsets.end {
                break;
            }
            run.offsets.end = batch.offsets.end;
            run.place.end = batch.place.end;
        }
        Some(run)
    }

    /// The frames of a run.
    pub(super) fn frames(&self, run: &Run) -> &[u8] {
        match run.long {
            Some(number) => self.batches[number].kept.get().map_or(&[], |frame| frame),
            None => &self.frames[run.place.clone()],
        }
    }

    /// Calls `each` with what is left of a run's frames when the first `taken` bytes are sent, counted by
    /// reference, and with how many bytes of it are sent. Who must keep the same frames shares them.
    pub(super) fn keep(&self, run: &Run, taken: usize, mut each: impl FnMut(&Bytes, usize)) {
        if let Some(frame) = run.long.and_then(|number| self.batches[number].kept.get()) {
            return each(frame, taken);
        }
        let sent = run.place.start + taken;
        let first = self.batches.partition_point(|batch| batch.place.end <= sent);
        for batch in &self.batches[first..] {
            let start = batch.place.start.max(run.place.start);
            let end = batch.place.end.min(run.place.end);
            if start >= end {
                break;
            }
            let copy = || Bytes::copy_from_slice(&self.frames[batch.place.clone()]);
            let kept = batch.kept.get_or_init(copy);
            let part = start - batch.place.start..end - batch.place.start;
            each(&kept.slice(part), sent.saturating_sub(start));
        }
    }

    /// Whether some of a run is not for a client.
    pub(super) fn hides(&self, run: &Run, client: ClientId) -> bool {
        let from = (client, run.offsets.start);
        let next = self.hidden.partition_point(|hidden| *hidden < from);
        let next = self.hidden.get(next);
        next.is_some_and(|(other, offset)| *other == client && run.offsets.contains(offset))
    }

    /// The frames of a run that are for a client, and how many they are.
    pub(super) fn select(&self, run: &Run, client: ClientId) -> (Bytes, u64) {
        let next = self.hidden.partition_point(|hidden| *hidden < (client, run.offsets.start));
        let mut hidden = self.hidden[next..].iter().peekable();
        let mut frames = self.frames(run);
        let mut selected = Vec::new();
        let mut messages = 0;
        for offset in run.offsets.clone() {
            let (frame, rest) = frames.split_at(frame::first_len(frames));
            frames = rest;
            if hidden.next_if_eq(&&(client, offset)).is_none() {
                selected.extend_from_slice(frame);
                messages += 1;
            }
        }
        (selected.into(), messages)
    }

    /// Forgets the first batches, or all if there are fewer.
    pub(super) fn forget(&mut self, batches: usize) {
        if batches >= self.batches.len() {
            return self.clear();
        }
        let (mut offset, mut end) = (0, 0);
        for batch in self.batches.drain(..batches) {
            self.size -= batch.size();
            (offset, end) = (batch.offsets.end, batch.place.end);
        }
        self.frames.drain(..end);
        for batch in &mut self.batches {
            batch.place = batch.place.start - end..batch.place.end - end;
        }
        let before = self.hidden.len();
        self.hidden.retain(|(_, hidden)| *hidden >= offset);
        self.size -= (before - self.hidden.len()) * HIDDEN_COST;
    }

    fn clear(&mut self) {
        self.frames.clear();
        self.batches.clear();
        self.hidden.clear();
        self.speakers.clear();
        self.is_whole = false;
        self.size = 0;
    }
}

impl Batch {
    fn new(offset: u64, start: usize) -> Self {
        Self { offsets: offset..offset, place: start..start, kept: OnceCell::new() }
    }

    fn is_long(&self) -> bool {
        self.place.is_empty()
    }

    fn size(&self) -> usize {
        if self.is_long() { self.kept.get().map_or(0, Bytes::len) } else { self.place.len() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{frame::Kind, shard::inbox::RoomId};

    /// What a backlog is to hold, message by message.
    #[derive(Default)]
    struct Model(Vec<(u64, Bytes, Option<ClientId>)>);

    impl Model {
        fn lacks(&self, from: u64, client: Option<ClientId>) -> Vec<u8> {
            let lacking = self.0.iter().filter(|(offset, _, hidden)| {
                *offset >= from && (client.is_none() || *hidden != client)
            });
            lacking.flat_map(|(_, frame, _)| frame.to_vec()).collect()
        }
    }

    fn delivery(offset: u64, len: usize, exclude: Option<ClientId>) -> Delivery {
        let message = Message::new(Kind::Binary, &vec![offset as u8; len]);
        Delivery { room: RoomId(1), offset, message, exclude, speaker: None }
    }

    /// A backlog with messages from an offset on, of which some batches are forgotten again.
    fn filled(first: u64, lens: &[usize], forgotten: usize) -> (Backlog, Model) {
        let (mut backlog, mut model) = (Backlog::default(), Model::default());
        let mut ends = Vec::new();
        for (offset, len) in (first..).zip(lens) {
            let exclude = (offset % 3 == 0).then(|| ClientId::new(offset % 2 + 1, 0));
            let delivery = delivery(offset, *len, exclude);
            model.0.push((offset, delivery.message.frame(), exclude));
            backlog.push(&delivery);
            if offset % 4 == 0 {
                backlog.seal();
            }
            ends.truncate(backlog.batches() - 1);
            ends.push(offset + 1);
        }
        backlog.seal();
        backlog.forget(forgotten);
        if let Some(last) = forgotten.checked_sub(1) {
            let end = ends.get(last).copied().unwrap_or(u64::MAX);
            model.0.retain(|(offset, ..)| *offset >= end);
        }
        (backlog, model)
    }

    /// All that a subscriber is written that has everything before an offset.
    fn written(backlog: &Backlog, mut from: u64, client: Option<ClientId>) -> Vec<u8> {
        let mut bytes = Vec::new();
        while let Some(run) = backlog.run(from) {
            assert!(run.place.len() <= MAX_RUN && !run.offsets.is_empty());
            match client.filter(|client| backlog.hides(&run, *client)) {
                Some(client) => bytes.extend_from_slice(&backlog.select(&run, client).0),
                None => bytes.extend_from_slice(backlog.frames(&run)),
            }
            from = run.offsets.end;
        }
        assert!(from >= backlog.end());
        bytes
    }

    /// Short and long messages, and more than goes into one write.
    const LENS: [&[usize]; 3] =
        [&[0, 5, 200, 7, 1, 0, 3, 300, 2, 9], &[5, 40_000, 3, 40_000, 40_000, 8, 9], &[30_000; 11]];

    #[test]
    fn whatever_a_subscriber_lacks_is_written_once_and_in_order() {
        for lens in LENS {
            for forgotten in 0..lens.len() {
                let (backlog, model) = filled(10, lens, forgotten);
                let hidden = model.0.iter().filter(|(_, _, hidden)| hidden.is_some()).count();
                assert_eq!(backlog.size(), model.lacks(0, None).len() + hidden * HIDDEN_COST);
                let clients = [None, Some(ClientId::new(1, 0)), Some(ClientId::new(2, 0))];
                for from in 9..11 + lens.len() as u64 {
                    for client in clients {
                        assert!(written(&backlog, from, client) == model.lacks(from, client));
                    }
                }
            }
        }
    }

    #[test]
    fn messages_that_do_not_follow_each_other_are_counted_apart() {
        let mut backlog = Backlog::default();
        // The last subscriber left behind the first, and the next came before the second.
        for offset in [5, 8] {
            backlog.push(&delivery(offset, 3, None));
        }
        backlog.seal();
        let message = Message::new(Kind::Binary, &[8; 3]);
        assert_eq!(written(&backlog, 8, None), message.frame());
        assert_eq!(backlog.run(5).unwrap().offsets, 5..6);
    }

    #[test]
    fn what_is_kept_is_what_the_socket_did_not_take() {
        let (backlog, _) = filled(10, LENS[0], 0);
        for from in 10..20 {
            let run = backlog.run(from).unwrap();
            let frames = backlog.frames(&run);
            for taken in 0..frames.len() {
                let mut kept = Vec::new();
                backlog.keep(&run, taken, |bytes, taken| kept.extend_from_slice(&bytes[taken..]));
                assert_eq!(kept, frames[taken..]);
            }
        }
    }

    #[test]
    fn who_keeps_the_same_shares_it_also_with_those_who_lacked_less() {
        for lens in LENS {
            let (backlog, _) = filled(10, lens, 0);
            let kept = |from: u64| {
                let mut kept = Vec::new();
                let mut from = Some(from);
                while let Some(run) = from.and_then(|from| backlog.run(from)) {
                    backlog.keep(&run, 0, |bytes, _| kept.push(bytes.as_ptr()));
                    from = Some(run.offsets.end);
                }
                kept
            };
            let (all, rest) = (kept(10), kept(13));
            assert_eq!(all, kept(10));
            assert_eq!(all[all.len() - rest.len() + 1..], rest[1..]);
        }
    }

    #[test]
    fn speakers_are_those_of_the_last_batch_unless_they_are_many() {
        let mut backlog = Backlog::default();
        let mut say = |numbers: &[u32]| {
            for number in numbers {
                let offset = backlog.end().max(1);
                backlog.push(&Delivery { speaker: Some(*number), ..delivery(offset, 1, None) });
            }
            backlog.seal();
            backlog.speakers().collect::<Vec<_>>()
        };
        assert_eq!(say(&[7, 3, 7]), [7, 3]);
        assert_eq!(say(&[5]), [5]);
        let many: Vec<u32> = (0..=MAX_SPEAKERS as u32).collect();
        assert!(say(&many).is_empty());
    }
}

//! The messages of one lane that some of its subscribers lack: consecutive frames, so that what a subscriber
//! lacks is one run of bytes.
//!
//! Invariant: entries are in the order of the shard's sequence, and of the room's deliveries. Entries and bytes
//! are numbered from when the buffer was new, so that numbers stay valid when the first ones are dropped.
//!
//! Signals are among the messages, in segments of their own: a client that lags gets the messages alone.

use std::{collections::VecDeque, ops::Range};

use bytes::Bytes;
use once_cell::unsync::OnceCell;

use super::{
    command::{Delivery, RoomHead},
    form::{Encoded, Form},
};
use crate::event::ClientId;

/// How many bytes of frames one write takes at most, unless a single message is longer.
pub(super) const MAX_WRITE: usize = 256 * 1024;

/// The memory for hiding a message from its sender, in bytes.
const HIDDEN_COST: usize = size_of::<(ClientId, u64)>();

/// The messages that wait in one lane.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    /// The frames of all short messages, numbered from `start` on.
    frames: Vec<u8>,
    start: u64,
    /// One for each message, numbered from `first` on.
    entries: VecDeque<Entry>,
    first: u64,
    segments: Vec<Segment>,
    /// The entries that are hidden from their senders, which have echo off. Sorted before look-ups.
    hidden: Vec<(ClientId, u64)>,
    is_hidden_sorted: bool,
    /// How many bytes of the frames are signals; 0 if there are none.
    signal_bytes: usize,
    /// What waits, in bytes: frames, entries and hidden entries.
    size: usize,
}

/// A message's position in the shard's sequence, and where its frame ends.
#[derive(Debug, Clone, Copy)]
struct Entry {
    sequence: u64,
    end: u64,
}

/// Messages that lagging clients keep as one copy. The numbers of deliveries in a segment are consecutive. Between segments there
/// may be gaps: while a shard has no subscriber, a room's messages do not go there. Or signals, which all have the
/// number of the message that comes next.
#[derive(Debug)]
struct Segment {
    first: u64,
    start: u64,
    /// The number of the first message among the room's deliveries.
    delivery: u64,
    /// A reference-counted copy of the frames, which all clients share whose sockets did not take them. It
    /// seals the segment: a later message would not be in the copy.
    kept: OnceCell<Bytes>,
    /// Whether it is one long message, which `kept` holds and `frames` does not.
    is_long: bool,
    has_signals: bool,
}

impl Segment {
    /// Returns the number of the first entry that is not before a delivery, if there are enough.
    fn first_from(&self, delivery: u64) -> u64 {
        match delivery.saturating_sub(self.delivery) {
            0 => self.first,
            _ if self.has_signals => u64::MAX,
            before => self.first.saturating_add(before),
        }
    }

    /// Whether an entry behind its last one belongs to it.
    fn continues(&self, entry: u64, delivery: u64, is_signal: bool) -> bool {
        let before = if is_signal { 0 } else { entry - self.first };
        self.has_signals == is_signal && self.delivery + before == delivery
    }
}

/// What a subscriber lacks, up to one write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    pub(super) entries: Range<u64>,
    bytes: Range<u64>,
    /// The index of the segment, if it is a long message.
    long: Option<usize>,
    /// How many of the entries are signals, and their bytes.
    signals: u64,
    signal_bytes: u64,
}

impl Run {
    /// Returns how many messages it holds, and how many bytes of frames they have, if all of them have `len`.
    pub(super) fn messages(&self, len: usize) -> (u64, u64) {
        let entries = self.entries.end - self.entries.start;
        (entries - self.signals, len as u64 - self.signal_bytes)
    }
}

impl Segments {
    /// Appends a message at a position of the shard's sequence.
    pub(super) fn push(&mut self, form: Form, room: &RoomHead, delivery: &Delivery, sequence: u64) {
        let Delivery { number, offset, message, exclude, is_signal, .. } = delivery;
        let (entry, start) = (self.end(), self.frames.len());
        let encoded = if *is_signal {
            form.append_signal(room, message, &mut self.frames);
            self.signal_bytes += self.frames.len() - start;
            Encoded::Appended
        } else {
            form.encode(room, *offset, message, &mut self.frames)
        };
        let len = match &encoded {
            Encoded::Appended => self.frames.len() - start,
            Encoded::Whole(frame) => frame.len(),
        };
        self.begin_segment(entry, start, (*number, *is_signal), len, encoded);
        let end = self.start + self.frames.len() as u64;
        self.entries.push_back(Entry { sequence, end });
        self.size += len + size_of::<Entry>();
        if let Some(client) = exclude {
            self.hidden.push((*client, entry));
            self.is_hidden_sorted = false;
            self.size += HIDDEN_COST;
        }
    }

    /// Begins a segment with an entry, unless it belongs to the last one.
    fn begin_segment(
        &mut self,
        entry: u64,
        start: usize,
        (delivery, is_signal): (u64, bool),
        len: usize,
        encoded: Encoded,
    ) {
        let start = self.start + start as u64;
        let is_long = matches!(encoded, Encoded::Whole(_));
        if let Some(last) = self.segments.last() {
            let is_sealed = last.kept.get().is_some();
            let is_full = (start - last.start) as usize + len > MAX_WRITE;
            let is_apart = !last.continues(entry, delivery, is_signal);
            if !(is_sealed || is_full || is_apart || is_long) {
                return;
            }
        }
        let kept = match encoded {
            Encoded::Appended => OnceCell::new(),
            Encoded::Whole(frame) => OnceCell::with_value(frame),
        };
        let (first, has_signals) = (entry, is_signal);
        self.segments.push(Segment { first, start, delivery, kept, is_long, has_signals });
    }

    /// Returns how much waits, in bytes.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Returns how many bytes of signals wait.
    pub(super) fn signal_bytes(&self) -> usize {
        self.signal_bytes
    }

    /// Whether an entry is a signal.
    pub(super) fn is_signal(&self, entry: u64) -> bool {
        self.signal_bytes > 0 && self.segments[self.segment_of(entry)].has_signals
    }

    /// Returns how much memory is allocated, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.frames.capacity()
            + self.entries.capacity() * size_of::<Entry>()
            + self.segments.capacity() * size_of::<Segment>()
            + self.hidden.capacity() * HIDDEN_COST
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the number behind the last entry.
    pub(super) fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// Returns the position in the sequence behind the last message; 0 if there is none.
    pub(super) fn tail(&self) -> u64 {
        self.entries.back().map_or(0, |entry| entry.sequence + 1)
    }

    /// Returns the first entry that is neither before a position in the sequence nor before a delivery of the
    /// room; `end` if there is none.
    pub(super) fn find(&self, sequence: u64, delivery: u64) -> u64 {
        // Most subscribers lack everything from the first entry on.
        let index = match self.entries.front() {
            Some(first) if first.sequence >= sequence => 0,
            _ => self.entries.partition_point(|entry| entry.sequence < sequence),
        };
        let mut entry = self.first + index as u64;
        if entry == self.end() {
            return entry;
        }
        let mut number = self.segment_of(entry);
        // A subscriber that joined meanwhile lacks nothing from before its first delivery.
        while let Some(segment) = self.segments.get(number) {
            let end = self.entries_of(number).end;
            let first = segment.first_from(delivery);
            if first < end {
                return entry.max(first);
            }
            number += 1;
            entry = end;
        }
        entry
    }

    /// Returns what follows from an entry on, up to one write; `None` if nothing does.
    pub(super) fn run(&self, from: u64) -> Option<Run> {
        if from >= self.end() {
            return None;
        }
        let number = self.segment_of(from);
        if self.segments[number].is_long {
            let start = self.segments[number].start;
            let (entries, bytes, long) = (from..from + 1, start..start, Some(number));
            return Some(Run { entries, bytes, long, signals: 0, signal_bytes: 0 });
        }
        let start = self.start_of(from);
        let (entries, bytes, long) = (from..from, start..start, None);
        let mut run = Run { entries, bytes, long, signals: 0, signal_bytes: 0 };
        for number in number..self.segments.len() {
            let end = self.bytes_of(number).end;
            let is_full = (end - start) as usize > MAX_WRITE && !run.entries.is_empty();
            if is_full || self.segments[number].is_long {
                break;
            }
            let entries = run.entries.end..self.entries_of(number).end;
            if self.segments[number].has_signals {
                run.signals += entries.end - entries.start;
                run.signal_bytes += end - run.bytes.end;
            }
            run.entries.end = entries.end;
            run.bytes.end = end;
        }
        Some(run)
    }

    /// Returns the frames of a run.
    pub(super) fn frames(&self, run: &Run) -> &[u8] {
        match run.long {
            Some(number) => self.segments[number].kept.get().map_or(&[], |frame| frame),
            None => &self.frames[self.range(&run.bytes)],
        }
    }

    /// Calls `each` with the reference-counted frames of a run of which the socket took the first `taken` bytes,
    /// and with how many bytes of each it took. Subscribers that keep the same frames share them.
    pub(super) fn keep(&self, run: &Run, taken: usize, mut each: impl FnMut(&Bytes, usize)) {
        if let Some(frame) = run.long.and_then(|number| self.segments[number].kept.get()) {
            return each(frame, taken);
        }
        let sent = run.bytes.start + taken as u64;
        let mut number = self.segment_of(run.entries.start);
        while number < self.segments.len() && self.segments[number].first < run.entries.end {
            let bytes = self.bytes_of(number);
            let part = bytes.start.max(run.bytes.start)..bytes.end.min(run.bytes.end);
            if part.end > sent {
                let copy = || Bytes::copy_from_slice(&self.frames[self.range(&bytes)]);
                let kept = self.segments[number].kept.get_or_init(copy);
                let part_of =
                    (part.start - bytes.start) as usize..(part.end - bytes.start) as usize;
                each(&kept.slice(part_of), sent.saturating_sub(part.start) as usize);
            }
            number += 1;
        }
    }

    /// Returns the positions of entries in the shard's sequence.
    pub(super) fn sequences(&self, entries: &Range<u64>) -> impl DoubleEndedIterator<Item = u64> {
        let index = |entry: u64| (entry - self.first) as usize;
        let entries = index(entries.start)..index(entries.end);
        self.entries.range(entries).map(|entry| entry.sequence)
    }

    /// Returns the frame of an entry.
    pub(super) fn frame(&self, entry: u64) -> &[u8] {
        match self.long(entry) {
            Some(frame) => frame,
            None => &self.frames[self.range(&(self.start_of(entry)..self.end_of(entry)))],
        }
    }

    /// Returns the frame of an entry, if it is a long message.
    pub(super) fn long(&self, entry: u64) -> Option<&Bytes> {
        let segment = &self.segments[self.segment_of(entry)];
        segment.kept.get().filter(|_| segment.is_long)
    }

    /// Returns the number of the first message among the room's deliveries; 0 if there is none.
    pub(super) fn first_delivery(&self) -> u64 {
        self.segments.first().map_or(0, |segment| segment.delivery)
    }

    /// Whether some of the entries are hidden from a client: its own, or signals if it lags.
    pub(super) fn hides(&self, client: ClientId, is_lagging: bool, entries: &Range<u64>) -> bool {
        (!self.hidden.is_empty() && self.hidden(client, entries.clone()).next().is_some())
            || (is_lagging && self.signal_bytes > 0)
    }

    /// Returns which of the entries are for a client: not hidden, and no signals if it lags.
    pub(super) fn visible(
        &self,
        client: ClientId,
        is_lagging: bool,
        entries: Range<u64>,
    ) -> impl Iterator<Item = u64> {
        let mut hidden = self.hidden(client, entries.clone()).peekable();
        entries.filter(move |entry| {
            hidden.next_if_eq(entry).is_none() && !(is_lagging && self.is_signal(*entry))
        })
    }

    /// Sorts the hidden entries, as look-ups need.
    pub(super) fn sort_hidden(&mut self) {
        if !self.is_hidden_sorted {
            self.is_hidden_sorted = true;
            // Nearly sorted: new entries follow sorted ones, so the sort is a merge.
            self.hidden.sort();
        }
    }

    /// Returns which of the entries are hidden from a client.
    fn hidden(&self, client: ClientId, entries: Range<u64>) -> impl Iterator<Item = u64> {
        debug_assert!(self.is_hidden_sorted, "it is looked up in order");
        let next = self.hidden.partition_point(|hidden| *hidden < (client, entries.start));
        let own = self.hidden[next..].iter().take_while(move |(other, _)| *other == client);
        own.map(|(_, entry)| *entry).take_while(move |entry| *entry < entries.end)
    }

    /// Forgets all entries before one: every subscriber has them.
    pub(super) fn forget(&mut self, before: u64) {
        if before >= self.end() {
            return self.clear();
        }
        let count = before.saturating_sub(self.first) as usize;
        if count == 0 {
            return;
        }
        let number = self.segment_of(before);
        let end = self.start_of(before);
        self.signal_bytes -= self.signal_bytes_before(number, end);
        for long in self.segments.drain(..number).filter(|segment| segment.is_long) {
            self.size -= long.kept.get().map_or(0, Bytes::len);
        }
        let segment = &mut self.segments[0];
        if segment.first < before {
            let sent = (end - segment.start) as usize;
            if let Some(kept) = segment.kept.take() {
                segment.kept = OnceCell::with_value(kept.slice(sent..));
            }
            if !segment.has_signals {
                segment.delivery += before - segment.first;
            }
            segment.first = before;
            segment.start = end;
        }
        self.entries.drain(..count);
        self.first = before;
        let dropped = (end - self.start) as usize;
        self.frames.drain(..dropped);
        self.start = end;
        self.size -= dropped + count * size_of::<Entry>();
        let hidden = self.hidden.len();
        self.hidden.retain(|(_, entry)| *entry >= before);
        self.size -= (hidden - self.hidden.len()) * HIDDEN_COST;
    }

    fn clear(&mut self) {
        self.first = self.end();
        self.start += self.frames.len() as u64;
        self.frames.clear();
        self.entries.clear();
        self.segments.clear();
        self.hidden.clear();
        self.is_hidden_sorted = true;
        self.signal_bytes = 0;
        self.size = 0;
    }

    /// Returns how many bytes of signals are in the segments up to one, and before a place in that.
    fn signal_bytes_before(&self, number: usize, end: u64) -> usize {
        if self.signal_bytes == 0 {
            return 0;
        }
        let of_signals = (0..=number).filter(|number| self.segments[*number].has_signals);
        let bytes = of_signals.map(|number| self.bytes_of(number));
        bytes.map(|bytes| (bytes.end.min(end).saturating_sub(bytes.start)) as usize).sum()
    }

    /// Returns the index of the segment of an entry that exists.
    fn segment_of(&self, entry: u64) -> usize {
        match &self.segments[..] {
            [_] => 0,
            // Most subscribers lack only the newest.
            [.., last] if entry >= last.first => self.segments.len() - 1,
            all => all.partition_point(|segment| segment.first <= entry) - 1,
        }
    }

    fn entries_of(&self, number: usize) -> Range<u64> {
        let end = self.segments.get(number + 1).map_or(self.end(), |next| next.first);
        self.segments[number].first..end
    }

    fn bytes_of(&self, number: usize) -> Range<u64> {
        let all = self.start + self.frames.len() as u64;
        let end = self.segments.get(number + 1).map_or(all, |next| next.start);
        self.segments[number].start..end
    }

    /// Returns where the frame of an entry begins.
    fn start_of(&self, entry: u64) -> u64 {
        match entry.checked_sub(self.first + 1) {
            Some(before) => self.entries[before as usize].end,
            None => self.start,
        }
    }

    fn end_of(&self, entry: u64) -> u64 {
        self.entries[(entry - self.first) as usize].end
    }

    fn range(&self, bytes: &Range<u64>) -> Range<usize> {
        (bytes.start - self.start) as usize..(bytes.end - self.start) as usize
    }
}

#[cfg(test)]
#[path = "segments_tests.rs"]
mod tests;

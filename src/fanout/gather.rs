//! Brings one client up to date: writes what it lacks of all its lanes, in the shard's sequence.
//!
//! What a client lacks of one lane is written from the lane's own buffer. What it lacks of several is merged
//! into one buffer first. Clients that lack the same share the last run or merge.

use std::ops::Range;

use bytes::Bytes;
use once_cell::unsync::OnceCell;
use slab::Slab;

use super::{
    command::{Cost, WRITE, write_cost},
    frames::Frames,
    lane::Lane,
    outbound::{Delivered, Outbound},
    segments::{MAX_WRITE, Run, Segments},
    slot::{LaneKey, Slot},
};

/// The cost of visiting a client that lacks nothing.
const VISIT: Cost = WRITE / 32;

/// Buffers for bringing clients up to date, and the last results, which the next client can often share.
#[derive(Debug, Default)]
pub(super) struct Gather {
    /// What the current client lacks, by lane. A field, so that its memory is reused.
    parts: Vec<Part>,
    pieces: Vec<Piece>,
    merged: Merged,
    /// The last run that was found, and the cursor of its client: clients with that cursor lack the same.
    last_run: Option<(u64, Run)>,
    pub(super) delivered: Delivered,
}

/// What a client lacks of one lane.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    lane: LaneKey,
    entries: Range<u64>,
    /// The positions of the first and the last entry in the shard's sequence. They are unique, so two parts
    /// with the same ones hold the same messages.
    sequences: (u64, u64),
}

/// A frame that was sent to one client, and its position in the shard's sequence.
#[derive(Debug)]
pub(super) struct PendingSend {
    pub(super) sequence: u64,
    pub(super) frame: Bytes,
    /// Whether it counts as a message.
    pub(super) is_message: bool,
}

/// One message of a merge: its position in the shard's sequence, and the index of its part and its entry, or
/// `SEND` and the index of its send.
type Piece = (u64, u32, u64);
const SEND: u32 = u32::MAX;

/// Longer frames are written by themselves, not copied into a merge.
const MAX_MERGED: usize = 32 * 1024;

/// Messages of several lanes in one buffer.
#[derive(Debug, Default)]
struct Merged {
    /// The parts that are merged; empty if no other client can share the merge.
    parts: Vec<Part>,
    frames: Vec<u8>,
    /// What of it are messages.
    messages: Delivered,
    kept: OnceCell<Bytes>,
}

impl Merged {
    fn clear(&mut self) {
        self.parts.clear();
        self.frames.clear();
        self.messages = Delivered::default();
        self.kept = OnceCell::new();
    }

    fn append(&mut self, frame: &[u8], is_message: bool) {
        self.frames.extend_from_slice(frame);
        self.messages.add(delivered(frame, is_message));
    }

    /// Writes what is merged. Returns the cost.
    fn write(&self, out: &Outbound, delivered: &mut Delivered) -> Cost {
        if self.frames.is_empty() {
            return 0;
        }
        let frames = Frames::merged(&self.frames, &self.kept);
        out.deliver_uncounted(&frames, self.messages, delivered);
        write_cost(self.frames.len())
    }
}

impl Gather {
    /// Forgets the last run, since lanes have changed.
    pub(super) fn reset(&mut self) {
        self.last_run = None;
    }

    /// Writes what a client lacks of a lane, if no other lane holds anything for it.
    pub(super) fn write_lane(
        &mut self,
        segments: &Segments,
        out: &Outbound,
        from: u64,
        tail: u64,
    ) -> Cost {
        let cursor = out.cursor();
        out.set_cursor(tail);
        if segments.tail() <= cursor || !out.is_open() {
            return VISIT;
        }
        // Of the clients that joined before the first message, those with the same cursor lack the same.
        let joined_before = from <= segments.first_delivery();
        let last_run = self.last_run.take_if(|(sequence, _)| joined_before && *sequence == cursor);
        let run = match last_run {
            Some((_, run)) => Some(run),
            None => segments.run(segments.find(cursor, from)),
        };
        let Some(mut run) = run else { return VISIT };
        if segments.hides(out.id(), out.has_outbox(), &(run.entries.start..segments.end())) {
            return self.write_selected(segments, out, run.entries.start);
        }
        let mut cost = self.write_run(segments, out, &run);
        if joined_before {
            self.last_run = Some((cursor, run.clone()));
        }
        while let Some(next) = segments.run(run.entries.end) {
            cost += self.write_run(segments, out, &next);
            run = next;
        }
        cost
    }

    fn write_run(&mut self, segments: &Segments, out: &Outbound, run: &Run) -> Cost {
        let frames = Frames::of(segments, run);
        let (messages, bytes) = run.messages(frames.len());
        let messages = Delivered { messages, bytes };
        out.deliver_uncounted(&frames, messages, &mut self.delivered);
        write_cost(frames.len())
    }

    /// Writes what of one lane is not hidden from a client.
    #[cold]
    fn write_selected(&mut self, segments: &Segments, out: &Outbound, from: u64) -> Cost {
        self.merged.clear();
        let mut cost = VISIT;
        for entry in segments.visible(out.id(), out.has_outbox(), from..segments.end()) {
            cost += self.merge_entry(out, segments, entry);
        }
        cost += self.merged.write(out, &mut self.delivered);
        self.merged.clear();
        cost
    }

    /// Writes everything that a client lacks: of its lanes, and what was sent to it. `dirty` are the lanes in
    /// which something waits, `tail` is the end of the shard's sequence.
    pub(super) fn write_all(
        &mut self,
        lanes: &Slab<Lane>,
        dirty: impl ExactSizeIterator<Item = LaneKey> + Clone,
        tail: u64,
        out: &Outbound,
        sends: &[PendingSend],
    ) -> Cost {
        let cursor = out.cursor();
        out.set_cursor(tail);
        if !out.is_open() {
            return VISIT;
        }
        let mut parts = std::mem::take(&mut self.parts);
        parts.clear();
        if cursor < tail {
            out.each_slot(dirty, |slot| parts.extend(Part::of(lanes, slot, cursor)));
        }
        let cost = self.write_parts(lanes, out, &parts, sends);
        self.parts = parts;
        VISIT + cost
    }

    fn write_parts(
        &mut self,
        lanes: &Slab<Lane>,
        out: &Outbound,
        parts: &[Part],
        sends: &[PendingSend],
    ) -> Cost {
        let is_lagging = out.has_outbox();
        let hides = |part: &Part| part.segments(lanes).hides(out.id(), is_lagging, &part.entries);
        match (parts, sends) {
            ([], []) => 0,
            ([], [PendingSend { frame, is_message, .. }]) => {
                let messages = delivered(frame, *is_message);
                out.deliver_uncounted(&Frames::from(frame), messages, &mut self.delivered);
                write_cost(frame.len())
            }
            ([part], []) if !hides(part) => {
                let (segments, mut cost, mut from) = (part.segments(lanes), 0, part.entries.start);
                while let Some(run) = segments.run(from) {
                    cost += self.write_run(segments, out, &run);
                    from = run.entries.end;
                }
                cost
            }
            (_, []) if self.merged.parts == parts && !parts.iter().any(hides) => {
                self.merged.write(out, &mut self.delivered)
            }
            _ => self.write_merged(lanes, out, parts, sends),
        }
    }

    /// Merges the parts of a client and what was sent to it, and writes them.
    fn write_merged(
        &mut self,
        lanes: &Slab<Lane>,
        out: &Outbound,
        parts: &[Part],
        sends: &[PendingSend],
    ) -> Cost {
        self.merged.clear();
        let hides_any = self.collect(lanes, out, parts, sends);
        let pieces = std::mem::take(&mut self.pieces);
        let mut cost = 0;
        for (_, source, number) in &pieces {
            cost += match parts.get(*source as usize).map(|part| part.segments(lanes)) {
                Some(segments) => self.merge_entry(out, segments, *number),
                None => {
                    let PendingSend { frame, is_message, .. } = &sends[*number as usize];
                    let long = Some(frame).filter(|frame| frame.len() > MAX_MERGED);
                    self.merge(out, frame, long, *is_message)
                }
            };
        }
        let is_shared = cost == 0 && !hides_any && sends.is_empty();
        self.pieces = pieces;
        cost += self.merged.write(out, &mut self.delivered);
        if is_shared {
            self.merged.parts.extend_from_slice(parts);
        }
        cost
    }

    /// Collects the messages for the client, in the shard's sequence. Returns whether some of its parts' are
    /// hidden from it.
    fn collect(
        &mut self,
        lanes: &Slab<Lane>,
        out: &Outbound,
        parts: &[Part],
        sends: &[PendingSend],
    ) -> bool {
        self.pieces.clear();
        let mut hides_any = false;
        for (source, part) in (0..).zip(parts) {
            let segments = part.segments(lanes);
            let entries = segments.sequences(&part.entries).zip(part.entries.clone());
            let pieces = entries.map(|(position, entry)| (position, source, entry));
            let is_lagging = out.has_outbox();
            if !segments.hides(out.id(), is_lagging, &part.entries) {
                self.pieces.extend(pieces);
                continue;
            }
            hides_any = true;
            let visible = segments.visible(out.id(), is_lagging, part.entries.clone());
            let mut visible = visible.peekable();
            self.pieces.extend(pieces.filter(|(.., entry)| visible.next_if_eq(entry).is_some()));
        }
        let numbered = (0..).zip(sends);
        self.pieces.extend(numbered.map(|(number, send)| (send.sequence, SEND, number)));
        if parts.len() + usize::from(!sends.is_empty()) > 1 {
            // Each part is in order: this merges them.
            self.pieces.sort();
        }
        hides_any
    }

    fn merge_entry(&mut self, out: &Outbound, segments: &Segments, entry: u64) -> Cost {
        let is_message = !segments.is_signal(entry);
        self.merge(out, segments.frame(entry), segments.long(entry), is_message)
    }

    /// Adds a message to the merge, and first writes what is merged if the message does not fit beside it. A
    /// long one, which is in memory of its own, is written by itself. Returns the cost.
    fn merge(
        &mut self,
        out: &Outbound,
        frame: &[u8],
        long: Option<&Bytes>,
        is_message: bool,
    ) -> Cost {
        let mut cost = 0;
        if long.is_some() || self.merged.frames.len() + frame.len() > MAX_WRITE {
            cost += self.merged.write(out, &mut self.delivered);
            self.merged.clear();
        }
        let Some(long) = long else {
            self.merged.append(frame, is_message);
            return cost;
        };
        let messages = delivered(long, is_message);
        out.deliver_uncounted(&Frames::from(long), messages, &mut self.delivered);
        cost + write_cost(long.len())
    }
}

/// Returns what a frame counts as delivered.
fn delivered(frame: &[u8], is_message: bool) -> Delivered {
    let bytes = if is_message { frame.len() as u64 } else { 0 };
    Delivered { messages: is_message.into(), bytes }
}

impl Part {
    /// Returns what a client lacks of a lane, if anything.
    fn of(lanes: &Slab<Lane>, slot: Slot, cursor: u64) -> Option<Self> {
        let lane = lanes.get(slot.lane.index())?;
        let segments = lane.segments.as_ref().filter(|segments| segments.tail() > cursor)?;
        let from = lane.subscribers.get(slot.number())?.from;
        let entries = segments.find(cursor, from)..segments.end();
        let sequences = {
            let mut sequences = segments.sequences(&entries);
            let first = sequences.next()?;
            (first, sequences.next_back().unwrap_or(first))
        };
        Some(Self { lane: slot.lane, entries, sequences })
    }

    fn segments<'a>(&self, lanes: &'a Slab<Lane>) -> &'a Segments {
        let segments = lanes[self.lane.index()].segments.as_ref();
        segments.expect("a part is of a lane in which something waits")
    }
}

//! The order of a room that a broker keeps, as one server sees it: what was delivered to its subscribers, what is
//! missing in between, and the pasts that are being read for clients that have entered.
//!
//! Invariant: subscribers get the messages of an epoch by consecutive offsets. Where that cannot be, because the epoch is
//! another one or what is missing is not kept, those whose form has it are told.
//!
//! Everything is under the room's lock. One read is under way at a time, for all who wait.

use std::sync::Arc;

use super::{held::Held, load::Load, pending::OVERDUE, reach::RoomReach};
use crate::{
    broker::{Page, Progress, Range, Stored, Unavailable},
    event::ClientId,
    fanout::command::{Command, Loaded, Reentry, Reservation, RoomHead},
    json::{Reason, Refusal},
    past::{PastGiven, PastWanted},
    position::Position,
};

/// After how many checks a client that waits for the past is told that it cannot be read. Less than `OVERDUE`, so that a
/// broker that does not answer at all delays nobody for longer.
pub(super) const LOAD_CHECKS: u64 = OVERDUE / 2;

/// How many reads one call makes whose answers are there at once. The next check continues.
const MAX_READS: usize = 1024;

/// A room's order, up to what has arrived here.
#[derive(Debug, Default)]
pub(super) struct Remote {
    /// The last number that lanes were given. It goes on when the epoch changes.
    number: u64,
    /// Whether the room has subscribers, so that messages are delivered.
    is_wanted: bool,
    /// Where the room's subscribers are; `None` until the broker has said where the room stands.
    standing: Option<Standing>,
    /// The largest offset of the epoch that is known of.
    seen: u64,
    /// Whether another epoch was seen, or nobody knows whether a delivery was lost.
    is_doubtful: bool,
    held: Held,
    loads: Vec<Load>,
    reading: Option<Reading>,
    /// The clients that have more than was delivered here, since they come from another server, and up to which offset.
    ahead: Vec<(ClientId, u64)>,
    /// Whether the last read failed: the next check tries again.
    has_failed: bool,
    /// Whether subscribers were told that they are in the room, and not where it stands.
    is_blind: bool,
}

#[derive(Debug)]
struct Standing {
    head: Arc<RoomHead>,
    /// The offset of the last message that was delivered.
    delivered: u64,
}

#[derive(Debug)]
struct Reading {
    /// Larger than the numbers of the loads that it was asked for.
    number: u64,
    range: Range,
    /// Whether the doubt is younger, so that the answer does not end it.
    is_stale: bool,
}

impl Remote {
    /// Returns where the room stands here.
    pub(super) fn position(&self) -> Position {
        let standing = self.standing.as_ref();
        standing.map_or(Position::NONE, |it| Position::of(it.head.epoch, it.delivered))
    }

    /// Returns the last number that lanes were given.
    pub(super) fn last_number(&self) -> u64 {
        self.number
    }

    /// Begins a membership: messages are delivered from here on, and the past is read if the client wants any.
    /// `proceed` follows, when the client's shard has been told.
    pub(super) fn enter(
        &mut self,
        reach: RoomReach<'_>,
        client: ClientId,
        wanted: &PastWanted,
    ) -> Reservation {
        if !self.is_wanted {
            self.is_wanted = true;
            reach.set_interest(true);
        }
        self.ahead.retain(|(other, _)| *other != client);
        let mut from = self.number + 1;
        let wants_nothing =
            wanted.since.is_none() && wanted.most.min(wanted.last.unwrap_or(0)) == 0;
        let Some(standing) = &self.standing else {
            let room = without_epoch(reach.room);
            if wants_nothing && !wanted.is_told {
                let past = PastGiven::nothing(Position::NONE, u64::MAX);
                return Reservation { from, past, room };
            }
            let number = reach.link.pending.next_load();
            self.loads.push(Load::new(number, client, *wanted));
            return Reservation { from, past: PastGiven::loading(number), room };
        };
        let room = Arc::clone(&standing.head);
        let top = self.position();
        let mut load = Load::new(0, client, *wanted);
        load.plan(top);
        if load.is_complete() {
            let past = load.finish(top.epoch);
            return Reservation { from, past, room };
        }
        if load.is_ahead {
            // It has everything up to there, if the room has been there.
            from += load.end - top.offset;
            self.ahead.push((client, load.end));
        }
        load.number = reach.link.pending.next_load();
        let past = PastGiven::loading(load.number);
        self.loads.push(load);
        Reservation { from, past, room }
    }

    /// Ends the delivery of messages: the last subscriber has left.
    pub(super) fn leave(&mut self, reach: RoomReach<'_>) {
        reach.set_interest(false);
        // What was to come behind the past of a client that is still there must not wait for it.
        for load in std::mem::take(&mut self.loads) {
            self.give_up(reach, load, Reason::Unavailable);
        }
        *self = Self { number: self.number, ..Self::default() };
        // Nobody waits for their deliveries any more.
        reach.settle_stored(|position| Some(Ok(position)));
    }

    /// Takes a message that the broker delivers.
    pub(super) fn deliver(&mut self, reach: RoomReach<'_>, position: Position, stored: Stored) {
        if !self.is_wanted {
            return;
        }
        let own = self.position();
        if self.standing.is_none() || own.epoch != position.epoch {
            self.doubt();
            self.held.insert(position, stored);
        } else {
            self.seen = self.seen.max(position.offset);
            if position.offset == own.offset + 1 {
                self.fan_out(reach, position.offset, &stored);
                self.release_held(reach);
            } else if position.offset > own.offset {
                self.held.insert(position, stored);
            }
        }
        self.proceed(reach);
    }

    /// Takes the position of a client's message that is stored. Returns whether it was delivered, or will not be.
    pub(super) fn is_delivered(&mut self, reach: RoomReach<'_>, position: Position) -> bool {
        let own = self.position();
        if !self.is_wanted || (own.epoch == position.epoch && position.offset <= own.offset) {
            return true;
        }
        if self.standing.is_some() {
            if own.epoch != position.epoch {
                self.doubt();
            } else if !reach.link.broker.is_reliable() {
                self.seen = self.seen.max(position.offset);
            }
        }
        false
    }

    /// Takes the answer to a read.
    pub(super) fn answer(
        &mut self,
        reach: RoomReach<'_>,
        number: u64,
        outcome: Result<Page, Unavailable>,
    ) {
        if self.reading.as_ref().is_some_and(|reading| reading.number == number) {
            self.take(reach, outcome);
            self.proceed(reach);
        }
    }

    /// Tries again what has failed, and gives up what has waited for too long. Called about once a second.
    pub(super) fn check(&mut self, reach: RoomReach<'_>) {
        self.has_failed = false;
        for load in &mut self.loads {
            load.checks += 1;
        }
        let overdue: Vec<_> = self.loads.extract_if(.., |load| load.checks > LOAD_CHECKS).collect();
        for load in overdue {
            self.give_up(reach, load, Reason::Unavailable);
        }
        if self.standing.is_some() && !reach.link.broker.is_reliable() {
            self.doubt();
        }
        self.proceed(reach);
    }

    /// Notes that the broker must say where the room stands.
    fn doubt(&mut self) {
        self.is_doubtful = true;
        if let Some(reading) = &mut self.reading {
            reading.is_stale = true;
        }
    }

    /// Reads what is missing, unless a read is under way.
    pub(super) fn proceed(&mut self, reach: RoomReach<'_>) {
        for _ in 0..MAX_READS {
            if self.reading.is_some() || self.has_failed {
                return;
            }
            let Some((range, max_count)) = self.missing(reach) else { return };
            let (number, progress) = reach.read(range, max_count);
            self.reading = Some(Reading { number, range, is_stale: false });
            match progress {
                Progress::Pending => return,
                Progress::Done(outcome) => self.take(reach, outcome),
            }
        }
        self.has_failed = true;
    }

    /// Returns the next range to read, if there is one.
    fn missing(&self, reach: RoomReach<'_>) -> Option<(Range, usize)> {
        if !self.is_wanted {
            return None;
        }
        let Some(Standing { delivered, .. }) = &self.standing else {
            return Some((Range::Before(u64::MAX), 0));
        };
        let has_gap = self.seen > *delivered || self.is_doubtful;
        let of_loads = self.loads.iter().map(|load| load.next - 1);
        let after = of_loads.chain(has_gap.then_some(*delivered)).min()?;
        Some((Range::After(after), reach.all.context.options.history_messages.max(1)))
    }

    fn take(&mut self, reach: RoomReach<'_>, outcome: Result<Page, Unavailable>) {
        let Some(Reading { number, range, is_stale }) = self.reading.take() else { return };
        let Ok(page) = outcome else {
            self.has_failed = true;
            return;
        };
        let top = page.top;
        let known = self.standing.as_ref().map(|standing| standing.head.epoch);
        if !is_stale {
            self.is_doubtful = false;
            self.held.retain(|held| held.epoch == top.epoch);
        }
        if known == Some(top.epoch) {
            self.seen = self.seen.max(top.offset);
            if let Range::After(after) = range {
                self.catch_up(reach, after, &page);
                self.release_held(reach);
                self.feed_loads(reach, number, after, &page);
            }
        } else {
            // The first that was delivered of the epoch is the next, if it was delivered in time.
            let first_held = self.held.first_of(top.epoch).unwrap_or(u64::MAX);
            let offset = top.offset.min(first_held.saturating_sub(1));
            self.begin(reach, Position { offset, ..top }, known.is_some());
            self.seen = top.offset;
            self.release_held(reach);
        }
        if is_stale {
            return;
        }
        let own = self.position();
        reach.settle_stored(|position| match position.epoch == own.epoch {
            true => (position.offset <= own.offset).then_some(Ok(position)),
            false => Some(Err(Refusal::Unknown)),
        });
    }

    /// Begins an epoch at a position.
    fn begin(&mut self, reach: RoomReach<'_>, position: Position, is_other: bool) {
        if is_other {
            // What they wait for cannot be read any more.
            for load in std::mem::take(&mut self.loads) {
                self.give_up(reach, load, Reason::Epoch);
            }
            return self.reenter(reach, position, Some(Reason::Epoch));
        }
        let reason = std::mem::take(&mut self.is_blind).then_some(Reason::Unavailable);
        let next = self.number + u64::from(reason.is_some()) + 1;
        let mut loads = std::mem::take(&mut self.loads);
        for load in &mut loads {
            load.plan(position);
            let ahead = load.end - position.offset;
            if ahead > 0 || reason.is_some() {
                // Behind what the others are told, which does not concern it.
                self.resume(reach, load.client, next + ahead);
            }
        }
        self.reenter(reach, position, reason);
        let ahead = loads.iter().filter(|load| load.is_ahead);
        self.ahead.extend(ahead.map(|load| (load.client, load.end)));
        self.loads = loads;
        self.finish_loads(reach);
    }

    /// Goes on from a position, and tells the subscribers if they have missed messages.
    fn reenter(&mut self, reach: RoomReach<'_>, position: Position, reason: Option<Reason>) {
        // Only what is told has a number: who enters behind it is not told.
        self.number += u64::from(reason.is_some());
        let Position { epoch, offset } = position;
        let is_other = self.position().epoch != epoch;
        for (client, end) in std::mem::take(&mut self.ahead) {
            // The numbers of the offsets change.
            if is_other || end <= offset {
                self.resume(reach, client, self.number);
            } else {
                self.resume(reach, client, self.number + 1 + (end - offset));
                self.ahead.push((client, end));
            }
        }
        let head = Arc::new(RoomHead { epoch, ..reach.room.clone() });
        self.standing = Some(Standing { head: Arc::clone(&head), delivered: offset });
        reach.reenter(&Reentry { room: head, number: self.number, position, reason });
    }

    /// Delivers what a page has of what comes next. What is not kept any more is passed over.
    fn catch_up(&mut self, reach: RoomReach<'_>, after: u64, page: &Page) {
        let own = self.position();
        if after > own.offset {
            return;
        }
        let lost = match page.messages.is_empty() {
            true => page.top.offset,
            false => page.first.saturating_sub(1),
        };
        if lost > own.offset {
            self.reenter(reach, Position { offset: lost, ..own }, Some(Reason::Trimmed));
        }
        for (offset, stored) in page.numbered() {
            if offset == self.position().offset + 1 {
                self.fan_out(reach, offset, stored);
            }
        }
    }

    fn fan_out(&mut self, reach: RoomReach<'_>, offset: u64, stored: &Stored) {
        let Some(standing) = &mut self.standing else { return };
        self.number += 1;
        standing.delivered = offset;
        self.ahead.retain(|(_, end)| *end > offset);
        reach.deliver(self.number, Position::of(standing.head.epoch, offset), stored);
    }

    /// Delivers what was held and comes next.
    fn release_held(&mut self, reach: RoomReach<'_>) {
        if self.held.is_empty() {
            return;
        }
        let mut own = self.position();
        while let Some(stored) = self.held.take(Position { offset: own.offset + 1, ..own }) {
            self.fan_out(reach, own.offset + 1, &stored);
            own = self.position();
        }
        self.held.retain(|held| held.epoch != own.epoch || held.offset > own.offset);
    }

    /// Gives the loads that a read was asked for what they lack.
    fn feed_loads(&mut self, reach: RoomReach<'_>, read: u64, after: u64, page: &Page) {
        let own = self.position();
        let mut resumed = Vec::new();
        for load in self.loads.iter_mut().filter(|load| load.number < read) {
            if !load.is_ahead {
                load.feed(after, page);
            } else if own.offset.max(page.top.offset) >= load.end {
                // The room has been where the client comes from.
                load.next = load.end + 1;
                load.is_ahead = false;
            } else {
                load.refuse_position(own.offset);
                resumed.push(load.client);
                self.ahead.retain(|(client, _)| *client != load.client);
            }
        }
        let from = self.number + 1;
        resumed.into_iter().for_each(|client| self.resume(reach, client, from));
        self.finish_loads(reach);
    }

    fn finish_loads(&mut self, reach: RoomReach<'_>) {
        let epoch = self.position().epoch;
        let complete: Vec<_> = self.loads.extract_if(.., |load| load.is_complete()).collect();
        for mut load in complete {
            let past = load.finish(epoch);
            self.hand_over(reach, &load, past);
        }
    }

    fn give_up(&mut self, reach: RoomReach<'_>, mut load: Load, reason: Reason) {
        let own = self.position();
        self.is_blind |= own.is_none();
        if load.is_ahead && load.end > own.offset {
            load.end = own.offset;
            self.resume(reach, load.client, self.number + 1);
            self.ahead.retain(|(client, _)| *client != load.client);
        }
        let past = load.give_up(own.epoch, reason);
        self.hand_over(reach, &load, past);
    }

    fn hand_over(&self, reach: RoomReach<'_>, load: &Load, past: PastGiven) {
        let epoch = self.position().epoch;
        let room = Arc::new(RoomHead { epoch, ..reach.room.clone() });
        let loaded = Loaded { load: load.number, room, past };
        reach.all.push(load.client, Command::Loaded(load.client, Box::new(loaded)));
    }

    /// Has a client's live messages begin with another number.
    fn resume(&self, reach: RoomReach<'_>, client: ClientId, from: u64) {
        reach.all.push(client, Command::Resume(client, reach.room.id, from));
    }

    /// Returns how many messages are held, and how many pasts are being read.
    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.held.len(), self.loads.len())
    }
}

fn without_epoch(room: &RoomHead) -> Arc<RoomHead> {
    Arc::new(room.clone())
}

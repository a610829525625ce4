//! One shard's part of every room: the messages that wait for its subscribers, and how far each subscriber is.
//!
//! Each delivery gets a position in the shard's sequence, and each client has one cursor in it. A round over a
//! lane's subscribers brings one client after the other up to date, in all its lanes at once. So a client
//! that must be up to date now (it leaves a room, it is closed) costs one write, its own.
//!
//! Invariant: everything here lives on the shard's thread, except [`Inbox`](inbox::Inbox) and
//! [`ShardHandle`](shard_handle::ShardHandle). [`Fanout`] has no interior mutability, so that nothing can
//! change a lane during a round over it.

pub(crate) mod answers;
pub(crate) mod command;
pub(crate) mod form;
mod frames;
mod gather;
mod id_set;
pub(crate) mod inbox;
mod lagging;
mod lane;
pub(crate) mod load;
mod memory;
pub(crate) mod outbound;
mod outbox;
mod pages;
pub(crate) mod replay;
mod roster;
mod segments;
pub(crate) mod sender_commands;
pub(crate) mod shard_handle;
mod slot;

use std::{collections::VecDeque, rc::Rc, sync::Arc};

use bytes::Bytes;
use rustc_hash::FxHashMap;
use slab::Slab;

pub(crate) use self::slot::Slot;
use self::{
    command::{Cost, Delivery, Reentry, RoomHead, RoomId},
    form::Form,
    gather::{Gather, PendingSend},
    lane::Lane,
    memory::Memory,
    outbound::Outbound,
    slot::LaneKey,
};
use crate::{context::Context, event::ClientId, sys};

/// While this many bytes of signals wait in a lane, further ones are dropped; with small outboxes it is less, so that
/// what one visit writes of them fits.
const MAX_SIGNALS: usize = 16 * 1024;

/// What it costs to pass a number that no subscriber has.
const EMPTY: Cost = 1;

/// The lanes of one shard.
#[derive(Debug)]
pub(crate) struct Fanout {
    lanes: Slab<Lane>,
    by_room: FxHashMap<RoomId, RoomLanes>,
    everyone: Arc<RoomHead>,
    /// The lanes in which something waits, the next to be written first. Each is there once.
    dirty: VecDeque<LaneKey>,
    /// The position of the next delivery in the shard's sequence.
    tail: u64,
    /// What was sent to single clients, and the order in which these clients are written to.
    pending_sends: FxHashMap<ClientId, PendingSends>,
    send_order: VecDeque<ClientId>,
    memory: Memory,
    gather: Gather,
    /// How many bytes of signals may wait in a lane before further ones are dropped.
    max_signals: usize,
    /// Signals that were dropped and are not counted yet.
    dropped_signals: u64,
}

/// A room's lanes, by form: one look-up for each message.
type RoomLanes = [Option<LaneKey>; Form::COUNT];

/// What was sent to one client and waits to be written: later messages for it leave in the same write.
#[derive(Debug)]
struct PendingSends {
    out: Rc<Outbound>,
    frames: Vec<PendingSend>,
}

impl Fanout {
    /// Makes one for clients whose outboxes hold `outbox_size` bytes.
    pub(crate) fn new(outbox_size: usize) -> Self {
        Self {
            lanes: Slab::new(),
            by_room: FxHashMap::default(),
            everyone: Arc::new(RoomHead { id: RoomId::EVERYONE, name: "".into(), epoch: 0 }),
            dirty: VecDeque::new(),
            // Above the cursor of a client that has received nothing.
            tail: 1,
            pending_sends: FxHashMap::default(),
            send_order: VecDeque::new(),
            memory: Memory::default(),
            gather: Gather::default(),
            max_signals: MAX_SIGNALS.min(outbox_size / 4),
            dropped_signals: 0,
        }
    }

    /// Adds a client to a room's subscribers, from an offset on. Returns the slot by which it is removed.
    pub(crate) fn subscribe(
        &mut self,
        room: &Arc<RoomHead>,
        out: &Rc<Outbound>,
        from: u64,
    ) -> Slot {
        let slot = self.add(room, out, from);
        out.add_slot(slot);
        slot
    }

    /// Delivers a room's messages to a subscriber from another number on.
    pub(crate) fn resume(&mut self, slot: Slot, from: u64) {
        if let Some(lane) = self.lanes.get_mut(slot.lane.index()) {
            lane.resume(slot.number(), from);
        }
    }

    /// Replaces what is known of a room, and tells those of its subscribers, whose form has it, that they have missed
    /// messages: behind what was delivered before.
    pub(crate) fn reenter(&mut self, reentry: &Reentry) {
        for key in self.lanes_of(reentry.room.id) {
            let lane = &mut self.lanes[key.index()];
            lane.room = Arc::clone(&reentry.room);
            let (name, form) = (&reentry.room.name, lane.form);
            let told =
                reentry.reason.and_then(|why| form.entered_anew(name, reentry.position, why));
            let Some(frame) = told else { continue };
            for out in lane.subscribed_before(reentry.number) {
                self.send(&out, frame.clone(), false);
            }
        }
    }

    /// Removes a client from a room's subscribers. What it lacks of the room is not written any more.
    pub(crate) fn unsubscribe(&mut self, out: &Outbound, slot: Slot) {
        out.remove_slot(slot);
        self.remove(slot);
    }

    fn add(&mut self, room: &Arc<RoomHead>, out: &Rc<Outbound>, from: u64) -> Slot {
        let (lanes, form) = (&mut self.lanes, out.form());
        let lane = *self.by_room.entry(room.id).or_default()[form as usize]
            .get_or_insert_with(|| LaneKey::new(lanes.insert(Lane::new(Arc::clone(room), form))));
        Slot::new(lane, lanes[lane.index()].subscribe(out, from))
    }

    fn remove(&mut self, slot: Slot) {
        let Some(lane) = self.lanes.get_mut(slot.lane.index()) else { return };
        lane.unsubscribe(slot.number());
        if !lane.is_empty() {
            return;
        }
        if lane.segments.is_some() {
            self.memory.forget(&mut lane.segments, u64::MAX);
            self.dirty.retain(|dirty| *dirty != slot.lane);
        }
        if let Some(of_room) = self.by_room.get_mut(&lane.room.id) {
            of_room[lane.form as usize] = None;
            if of_room.iter().all(Option::is_none) {
                self.by_room.remove(&lane.room.id);
            }
        }
        self.lanes.remove(slot.lane.index());
    }

    /// Adds a client to those that receive broadcasts, from an offset on.
    pub(crate) fn subscribe_to_broadcasts(&mut self, out: &Rc<Outbound>, from: u64) {
        let slot = self.add(&Arc::clone(&self.everyone), out, from);
        out.set_broadcasts(Some(slot));
    }

    /// Removes a client from those that receive broadcasts. Returns whether it was among them.
    pub(crate) fn unsubscribe_from_broadcasts(&mut self, out: &Outbound) -> bool {
        let slot = out.set_broadcasts(None);
        if let Some(slot) = slot {
            self.remove(slot);
        }
        slot.is_some()
    }

    /// Puts a message into the lanes of its room; a signal into those whose form says more than messages, while
    /// they have space for it.
    pub(crate) fn push(&mut self, delivery: &Delivery) {
        let mut has_space = true;
        for key in self.lanes_of(delivery.room) {
            let lane = &mut self.lanes[key.index()];
            if delivery.is_signal {
                if !lane.form.says_more() {
                    continue;
                }
                let waiting = lane.segments.as_ref().map_or(0, |segments| segments.signal_bytes());
                if waiting >= self.max_signals {
                    has_space = false;
                    continue;
                }
            }
            if self.memory.push(&mut lane.segments, (lane.form, &lane.room), delivery, self.tail) {
                self.dirty.push_back(key);
            }
        }
        self.dropped_signals += u64::from(!has_space);
        self.tail += 1;
    }

    /// Queues a frame for one client, behind everything that was pushed before. What is no message does not count as
    /// one.
    pub(crate) fn send(&mut self, out: &Rc<Outbound>, frame: Bytes, is_message: bool) {
        self.memory.add(frame.len() + size_of::<PendingSend>());
        let order = &mut self.send_order;
        let pending_sends = self.pending_sends.entry(out.id()).or_insert_with(|| {
            order.push_back(out.id());
            PendingSends { out: Rc::clone(out), frames: Vec::new() }
        });
        pending_sends.frames.push(PendingSend { sequence: self.tail, frame, is_message });
        self.tail += 1;
    }

    /// Writes everything that a client lacks. Returns the cost.
    pub(crate) fn flush(&mut self, out: &Outbound) -> Cost {
        for lane in &self.dirty {
            sort_hidden(&mut self.lanes[lane.index()]);
        }
        self.write_all(out)
    }

    fn write_all(&mut self, out: &Outbound) -> Cost {
        let Self { lanes, dirty, tail, pending_sends, memory, gather, .. } = self;
        let frames = take_pending_sends(pending_sends, memory, out);
        gather.write_all(lanes, dirty.iter().copied(), *tail, out, &frames)
    }

    /// Whether so much waits that no commands are taken from the inbox.
    pub(crate) fn has_backlog(&self) -> bool {
        self.memory.has_backlog()
    }

    /// Whether so much waits that no command is applied.
    pub(crate) fn is_full(&self) -> bool {
        self.memory.is_full()
    }

    /// Whether so much waits that not even an express delivery is added for a room.
    pub(crate) fn is_full_for(&self, room: RoomId) -> bool {
        let is_full =
            |lane: LaneKey| self.memory.is_full_for(self.lanes[lane.index()].segments.as_deref());
        self.memory.is_full_for(None) || self.lanes_of(room).any(is_full)
    }

    fn lanes_of(&self, room: RoomId) -> impl Iterator<Item = LaneKey> + use<> {
        self.by_room.get(&room).copied().unwrap_or_default().into_iter().flatten()
    }

    /// Whether nothing waits, and nothing is counted that does not.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.is_clean() && self.memory.is_empty()
    }

    /// Returns the sizes of its tables.
    #[cfg(test)]
    pub(crate) fn table_sizes(&self) -> [(&'static str, usize); 5] {
        [
            ("lanes", self.lanes.len()),
            ("lanes by room", self.by_room.len()),
            ("dirty lanes", self.dirty.len()),
            ("pending sends", self.pending_sends.len()),
            ("order of sends", self.send_order.len()),
        ]
    }

    /// Returns how much waits, in bytes.
    #[cfg(test)]
    pub(crate) fn size(&self) -> usize {
        self.memory.size()
    }

    /// Takes how many bytes were written since this was last asked for.
    pub(crate) fn take_drained(&mut self) -> usize {
        self.memory.take_drained()
    }

    /// Whether nothing waits.
    pub(crate) fn is_clean(&self) -> bool {
        self.dirty.is_empty() && self.pending_sends.is_empty()
    }

    /// Continues the rounds over the lanes in which something waits, up to a budget. A lane whose round is not
    /// done comes behind the others. Returns what is left of the budget.
    pub(crate) fn write(&mut self, mut budget: Cost) -> Cost {
        let mut has_broadcasts = false;
        for lane in &self.dirty {
            let lane = &mut self.lanes[lane.index()];
            sort_hidden(lane);
            has_broadcasts |= lane.room.id == RoomId::EVERYONE;
        }
        // Sends get at most half of it, so that they cannot starve rooms.
        let mut send_budget = budget / 2;
        while send_budget > 0
            && let Some(id) = self.send_order.pop_front()
        {
            // A round or a flush may have written it.
            let Some(pending_sends) = self.pending_sends.get(&id) else { continue };
            let out = Rc::clone(&pending_sends.out);
            let cost = self.write_all(&out);
            send_budget = send_budget.saturating_sub(cost);
            budget = budget.saturating_sub(cost);
        }
        while budget > 0
            && let Some(lane) = self.dirty.front().copied()
        {
            let is_done = self.write_lane(lane, has_broadcasts, &mut budget);
            self.dirty.pop_front();
            if !is_done {
                self.dirty.push_back(lane);
            }
        }
        budget
    }

    /// Adds what was delivered to the counters.
    pub(crate) fn count_delivered(&mut self, context: &Context) {
        self.gather.delivered.count(context);
        if self.dropped_signals > 0 {
            context.counters.signals_dropped.add(std::mem::take(&mut self.dropped_signals));
        }
    }

    /// Continues the round over a lane's subscribers. The lane is dirty. Returns whether nothing waits in it
    /// any more.
    fn write_lane(&mut self, key: LaneKey, has_broadcasts: bool, budget: &mut Cost) -> bool {
        let Self { lanes, dirty, tail, pending_sends, memory, gather, .. } = self;
        gather.reset();
        let is_only_dirty = dirty.len() == 1;
        loop {
            let lane = &mut lanes[key.index()];
            let Some(segments) = &lane.segments else { return true };
            if lane.next == 0 {
                lane.round_end = segments.end();
            }
            let (end, mut next) = (lane.end, lane.next);
            let lane = &lanes[key.index()];
            while next < end && *budget > 0 {
                let number = next;
                next += 1;
                // Hides a cache miss behind this write: the kernel evicts most of the cache in it.
                if let Some(following) = lane.subscribers.get(next) {
                    sys::prefetch(&*following.out);
                }
                let Some(subscriber) = lane.subscribers.get(number) else {
                    *budget = budget.saturating_sub(EMPTY);
                    continue;
                };
                let out = &subscriber.out;
                let lacks_this_lane_only =
                    is_only_dirty || (!has_broadcasts && out.is_in_one_room());
                let cost = if lacks_this_lane_only
                    && (pending_sends.is_empty() || !pending_sends.contains_key(&out.id()))
                {
                    let Some(segments) = &lane.segments else { break };
                    gather.write_lane(segments, out, subscriber.from, *tail)
                } else {
                    let frames = take_pending_sends(pending_sends, memory, out);
                    gather.write_all(lanes, dirty.iter().copied(), *tail, out, &frames)
                };
                *budget = budget.saturating_sub(cost);
            }
            let lane = &mut lanes[key.index()];
            lane.next = next;
            if next < end {
                return false;
            }
            lane.next = 0;
            gather.reset();
            memory.forget(&mut lane.segments, lane.round_end);
        }
    }
}

/// Takes what was sent to a client and is not written yet.
fn take_pending_sends(
    pending_sends: &mut FxHashMap<ClientId, PendingSends>,
    memory: &mut Memory,
    out: &Outbound,
) -> Vec<PendingSend> {
    if pending_sends.is_empty() {
        return Vec::new();
    }
    let frames = pending_sends
        .remove(&out.id())
        .map(|pending_sends| pending_sends.frames)
        .unwrap_or_default();
    frames.iter().for_each(|send| memory.remove(send.frame.len() + size_of::<PendingSend>()));
    frames
}

/// Sorts which entries a lane hides from their senders, as look-ups need.
fn sort_hidden(lane: &mut Lane) {
    if let Some(segments) = &mut lane.segments {
        segments.sort_hidden();
    }
}

//! A room in one wire form on one shard: its subscribers, and the messages that wait for them.

use std::{rc::Rc, sync::Arc};

use slab::Slab;

use super::{command::RoomHead, form::Form, outbound::Outbound, segments::Segments};

/// One lane.
///
/// Invariant: the subscribers before `next` have every entry before `round_end`.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) room: Arc<RoomHead>,
    pub(super) form: Form,
    pub(super) subscribers: Slab<Subscriber>,
    /// All subscribers have smaller numbers.
    pub(super) end: usize,
    /// The subscriber that is visited next.
    pub(super) next: usize,
    /// The end of the entries when the round began: when it is done, every subscriber has all before it.
    pub(super) round_end: u64,
    // Boxed: a lane in which nothing waits takes the space of a pointer.
    pub(super) segments: Option<Box<Segments>>,
}

#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) out: Rc<Outbound>,
    /// The number of the first message that it receives, among the room's deliveries.
    pub(super) from: u64,
}

impl Lane {
    pub(super) fn new(room: Arc<RoomHead>, form: Form) -> Self {
        let subscribers = Slab::new();
        Self { room, form, subscribers, end: 0, next: 0, round_end: 0, segments: None }
    }

    /// Adds a subscriber that receives the messages from a number on. Returns its own number.
    pub(super) fn subscribe(&mut self, out: &Rc<Outbound>, from: u64) -> usize {
        let number = self.subscribers.insert(Subscriber { out: Rc::clone(out), from });
        self.end = self.end.max(number + 1);
        number
    }

    /// Has a subscriber receive the messages from another number on.
    pub(super) fn resume(&mut self, number: usize, from: u64) {
        if let Some(subscriber) = self.subscribers.get_mut(number) {
            subscriber.from = from;
        }
    }

    /// Returns those who have subscribed before a number was given to something.
    pub(super) fn subscribed_before(&self, number: u64) -> Vec<Rc<Outbound>> {
        let all = self.subscribers.iter().map(|(_, subscriber)| subscriber);
        let before = all.filter(|subscriber| subscriber.from <= number);
        before.map(|subscriber| Rc::clone(&subscriber.out)).collect()
    }

    pub(super) fn unsubscribe(&mut self, number: usize) {
        self.subscribers.try_remove(number);
        // A round visits the empty numbers below `end` too.
        while self.end > 0 && !self.subscribers.contains(self.end - 1) {
            self.end -= 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.subscribers.is_empty()
    }
}

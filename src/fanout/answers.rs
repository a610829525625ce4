//! What clients are still to be told about what they sent, where that takes time: one client's answers keep the order of
//! what they answer.
//!
//! Invariant: what a client is told while an earlier answer is awaited waits behind that.

use std::{cell::RefCell, collections::VecDeque, sync::Arc};

use bytes::Bytes;
use rustc_hash::FxHashMap;

use super::command::HistoryRequest;
use crate::event::ClientId;

/// While this many answers to a client are awaited or wait behind one, the client is not read.
const MAX_AWAITED: usize = 64;

/// What is known of an answer before it can be made.
#[derive(Debug)]
pub(crate) enum Awaited {
    /// Whether a message is stored.
    Sent {
        /// What the client calls it, as raw JSON.
        id: Option<Box<str>>,
        room: Arc<str>,
        /// Whether the host has changed it.
        is_changed: bool,
    },
    /// Earlier messages of a room, after the offset `floor`.
    History { request: Box<HistoryRequest>, room: Arc<str>, floor: u64 },
}

/// What a shard's clients are still to be told. A client that awaits nothing has no entry.
#[derive(Debug)]
pub(crate) struct Answers<E>(RefCell<FxHashMap<ClientId, VecDeque<AnswerSlot<E>>>>);

#[derive(Debug)]
enum AnswerSlot<E> {
    /// What is known of an answer that is awaited, and its number.
    Awaited(u64, E),
    /// An answer; `None` if the client need not be told.
    Ready(Option<Bytes>),
}

impl<E> Default for Answers<E> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<E> Answers<E> {
    /// Notes that an answer is awaited under a number.
    pub(crate) fn expect(&self, client: ClientId, number: u64, expected: E) {
        let slot = AnswerSlot::Awaited(number, expected);
        self.0.borrow_mut().entry(client).or_default().push_back(slot);
    }

    /// Returns the answer, unless an earlier one is awaited: then it waits behind that.
    pub(crate) fn pass(&self, client: ClientId, frame: Bytes) -> Option<Bytes> {
        let mut answers = self.0.borrow_mut();
        let Some(slots) = answers.get_mut(&client) else { return Some(frame) };
        slots.push_back(AnswerSlot::Ready(Some(frame)));
        None
    }

    /// Makes the answer that is awaited under a number; `make` is told whether it waits for an earlier one. Returns what the
    /// client is told now, in order.
    pub(crate) fn settle(
        &self,
        client: ClientId,
        number: u64,
        make: impl FnOnce(E, bool) -> Option<Bytes>,
    ) -> Vec<Bytes> {
        let mut answers = self.0.borrow_mut();
        let Some(slots) = answers.get_mut(&client) else { return Vec::new() };
        let is_it = |slot: &AnswerSlot<E>| matches!(slot, AnswerSlot::Awaited(other, _) if *other == number);
        if let Some(index) = slots.iter().position(is_it)
            && let AnswerSlot::Awaited(_, expected) =
                std::mem::replace(&mut slots[index], AnswerSlot::Ready(None))
        {
            slots[index] = AnswerSlot::Ready(make(expected, index > 0));
        }
        let mut ready = Vec::new();
        while let Some(slot) = slots.pop_front() {
            match slot {
                AnswerSlot::Ready(frame) => ready.extend(frame),
                awaited => {
                    slots.push_front(awaited);
                    break;
                }
            }
        }
        if slots.is_empty() {
            answers.remove(&client);
        }
        ready
    }

    /// Whether so many answers to a client are awaited that it is not read.
    pub(crate) fn is_full(&self, client: ClientId) -> bool {
        let answers = self.0.borrow();
        // As a rule there are none, and then the client is not looked up.
        !answers.is_empty() && answers.get(&client).is_some_and(|slots| slots.len() >= MAX_AWAITED)
    }

    /// Forgets a client that has left.
    pub(crate) fn remove(&self, client: ClientId) {
        self.0.borrow_mut().remove(&client);
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.borrow().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_in_the_order_of_what_they_answer_whatever_is_known_first() {
        let answers: Answers<&'static str> = Answers::default();
        let (client, other) = (ClientId::new(1, 0), ClientId::new(2, 0));
        let frame = |text: &'static str| Bytes::from_static(text.as_bytes());
        let make = |text, _| Some(frame(text));
        assert_eq!(answers.pass(client, frame("first")), Some(frame("first")));
        answers.expect(client, 1, "a");
        answers.expect(client, 2, "b");
        assert_eq!(answers.pass(client, frame("c")), None);
        answers.expect(client, 3, "d");
        assert_eq!(answers.pass(other, frame("of another")), Some(frame("of another")));
        assert!(answers.settle(client, 2, make).is_empty());
        assert!(answers.settle(client, 7, make).is_empty(), "nothing is awaited under it");
        assert_eq!(answers.settle(client, 1, make), ["a", "b", "c"].map(frame));
        assert_eq!(answers.settle(client, 3, |_, _| None), [] as [Bytes; 0]);
        assert_eq!(answers.pass(client, frame("last")), Some(frame("last")));
        assert_eq!(answers.len(), 0);
    }

    #[test]
    fn a_client_that_awaits_sixty_four_answers_is_not_read() {
        let answers: Answers<()> = Answers::default();
        let client = ClientId::new(1, 0);
        answers.expect(client, 1, ());
        for _ in 0..62 {
            assert_eq!(answers.pass(client, Bytes::new()), None);
        }
        assert!(!answers.is_full(client));
        answers.expect(client, 2, ());
        assert!(answers.is_full(client));
        assert_eq!(answers.settle(client, 1, |(), _| None).len(), 62);
        assert!(!answers.is_full(client));
        answers.remove(client);
        assert_eq!(answers.len(), 0);
    }
}

//! Messages that wait for the host's review.
//!
//! Invariant: one client's messages are published in the order in which it sent them, whatever the order of
//! the decisions; no other client waits for them. The call that takes a message out of the table of
//! [`decisions`](crate::decisions) decides on it.

use std::{
    cell::RefCell,
    collections::VecDeque,
    future::poll_fn,
    rc::Rc,
    sync::Arc,
    task::{Poll, Waker},
    time::Instant,
};

use rustc_hash::FxHashMap;
use tokio::sync::Notify;

use super::Shard;
use crate::{
    event::{ClientId, DecisionId, Event},
    fanout::command::{Answer, Command, RoomId, Verdict},
    json::{Refusal, Refused},
    keys::{Keyed, Known, Reservation},
    message::Message,
    options::Overdue,
    position::Position,
    rooms::{client::Client, sender::Ack},
};

/// While this many messages or bytes of a client are undecided, it is not read. The bounds are soft: what one
/// read of its socket held can exceed them.
const MAX_MESSAGES: usize = 64;
const MAX_BYTES: usize = 1024 * 1024;

/// How many deadlines of decided messages are kept, at least, before they are removed.
const MAX_DECIDED: usize = 1024;

/// The messages of a shard's clients that wait for review.
#[derive(Debug, Default)]
pub(crate) struct Reviews {
    state: RefCell<State>,
    /// Wakes the task that watches the deadlines.
    earlier: Notify,
}

#[derive(Debug, Default)]
struct State {
    clients: FxHashMap<ClientId, Queue>,
    /// The deadlines of all messages, earliest first: all have the same timeout.
    due: VecDeque<(Instant, ClientId, DecisionId)>,
    last_number: u64,
}

/// One client's messages, oldest first.
#[derive(Debug)]
struct Queue {
    client: Rc<Client>,
    waiting: VecDeque<Waiting>,
    bytes: usize,
    /// The task that ends the connection, if it waits for all decisions.
    ending: Option<Waker>,
}

/// A message, and the decision on it, if that came before those on earlier messages.
#[derive(Debug)]
struct Waiting {
    decision: DecisionId,
    /// The room that it was sent to, if the client was in one.
    room: Option<(RoomId, Arc<str>)>,
    message: Message,
    /// Its key. A message that repeats another one's is not reviewed: it waits for what becomes of the first.
    keyed: Option<Keyed>,
    /// What the client calls it, as raw JSON, if it wants an answer.
    id: Option<Box<str>>,
    verdict: Option<Verdict>,
    /// What answers what the client has sent behind it, which is not reviewed.
    answers: Vec<Command>,
}

impl Reviews {
    /// Asks the host about a client's message to a room, or to none. If it has an id, the client is told what became
    /// of it. Of a message whose key is known the host is not asked.
    pub(crate) fn ask(
        &self,
        shard: &Shard,
        client: &Rc<Client>,
        room: Option<(RoomId, Arc<str>)>,
        message: Message,
        id: Option<&str>,
        keyed: Option<Keyed>,
    ) {
        let name = room.as_ref().map(|(_, name)| Arc::clone(name)).unwrap_or_default();
        let mut state = self.state.borrow_mut();
        state.last_number += 1;
        let decision = DecisionId::new(state.last_number, shard.index);
        let reserved = keyed.as_ref().map_or(Reservation::First, |keyed| {
            shard.rooms.reserve_key(keyed, client.id(), decision)
        });
        if let Reservation::Known(known) = reserved {
            drop(state);
            return self.answer_known(shard, client, &name, id, known);
        }
        let event = Event::MessageRequest {
            client: client.id(),
            identity: client.identity(),
            room: name,
            decision,
            message: message.clone(),
        };
        let queue = state.clients.entry(client.id()).or_insert_with(|| Queue {
            client: Rc::clone(client),
            waiting: VecDeque::new(),
            bytes: 0,
            ending: None,
        });
        let len = message.data().len();
        queue.bytes += len;
        queue.waiting.push_back(Waiting {
            decision,
            room,
            message,
            keyed,
            id: id.map(Into::into),
            verdict: None,
            answers: Vec::new(),
        });
        if reserved == Reservation::Repeat {
            return;
        }
        let at = shard.shared.clock.update() + shard.context.options.review_timeout;
        state.due.push_back((at, client.id(), decision));
        let undecided = &shard.handle.undecided.reviews;
        undecided.add(decision, client.id());
        // Deadlines of decided messages are removed when they are due. With a long timeout that is late.
        if state.due.len() > 2 * undecided.len() + MAX_DECIDED {
            state.due.retain(|(_, _, decision)| undecided.has(*decision));
        }
        drop(state);
        if !shard.context.events.push_message(event, &shard.context.counters) {
            // The event was dropped, so the host cannot decide.
            shard.handle.undecided.reviews.take(decision);
            self.decide(shard, client.id(), decision, Verdict::Refuse(Refusal::Busy.into()));
        }
        self.earlier.notify_one();
    }

    /// Answers a client's message whose key is known, behind what answers its earlier messages.
    fn answer_known(
        &self,
        shard: &Shard,
        client: &Client,
        room: &str,
        id: Option<&str>,
        known: Known,
    ) {
        let frame = match known {
            Known::Reused => {
                shard.context.counters.messages_refused.add(1);
                client.out().form().refused(id, Refusal::KeyReused)
            }
            Known::Same(position) => {
                shard.context.counters.duplicates.add(1);
                id.map(|id| Ack { id, is_changed: false }.encode_duplicate(room, position))
            }
        };
        if let Some(frame) = frame {
            let client_id = client.id();
            self.answer(shard, client, Command::Answer(Answer { client: client_id, frame }));
        }
    }

    /// Notes a decision, and publishes the client's messages up to the first undecided one.
    pub(crate) fn decide(
        &self,
        shard: &Shard,
        client: ClientId,
        decision: DecisionId,
        verdict: Verdict,
    ) {
        let mut state = self.state.borrow_mut();
        let Some(queue) = state.clients.get_mut(&client) else { return };
        // Sorted: the ids of a client's messages rise.
        if let Ok(index) = queue.waiting.binary_search_by_key(&decision, |it| it.decision) {
            queue.waiting[index].verdict = Some(verdict);
        }
        let client = Rc::clone(&queue.client);
        let mut decided = Vec::new();
        while let Some(first) = queue.waiting.pop_front_if(|it| it.verdict.is_some()) {
            queue.bytes -= first.bytes();
            decided.push(first);
        }
        if let Some(ending) = queue.ending.take() {
            ending.wake();
        }
        // It may not have been read because too much was undecided.
        client.out().transport().reschedule();
        if queue.waiting.is_empty() {
            state.clients.remove(&client.id());
        }
        drop(state);
        for mut waiting in decided {
            let answers = std::mem::take(&mut waiting.answers);
            let (id, decision) = (waiting.id.take(), waiting.decision);
            let keyed = waiting.keyed.take();
            let outcome = waiting.publish(shard, &client, id.as_deref(), keyed.as_ref());
            if let Err(why) = &outcome {
                shard.context.counters.messages_refused.add(1);
                client.out().form().refused_for(id.as_deref(), why).inspect(|frame| {
                    client.answer(&shard.rooms, frame.clone());
                });
            }
            if let Some(keyed) = keyed {
                shard.rooms.settle_key(&keyed, decision, &outcome);
            }
            answers.into_iter().for_each(|answer| client.push_answer(&shard.rooms, answer));
        }
    }

    /// Pushes a command that answers a client, behind what answers its earlier messages.
    pub(crate) fn answer(&self, shard: &Shard, client: &Client, command: Command) {
        if let Some(queue) = self.state.borrow_mut().clients.get_mut(&client.id())
            && let Some(last) = queue.waiting.back_mut()
        {
            queue.bytes += answer_bytes(&command);
            last.answers.push(command);
            return;
        }
        client.push_answer(&shard.rooms, command);
    }

    /// Whether a client has so many undecided messages that it is not read.
    pub(crate) fn is_full(&self, client: ClientId) -> bool {
        let state = self.state.borrow();
        state.clients.get(&client).is_some_and(Queue::is_full)
    }

    /// Waits until all messages of a client are decided.
    pub(crate) async fn all_decided(&self, client: ClientId) {
        poll_fn(|cx| match self.state.borrow_mut().clients.get_mut(&client) {
            Some(queue) => {
                queue.ending = Some(cx.waker().clone());
                Poll::Pending
            }
            None => Poll::Ready(()),
        })
        .await;
    }

    /// Forgets the messages of a client that has left.
    pub(crate) fn forget(&self, shard: &Shard, client: ClientId) {
        let Some(queue) = self.state.borrow_mut().clients.remove(&client) else { return };
        for waiting in &queue.waiting {
            shard.handle.undecided.reviews.take(waiting.decision);
            if let Some(keyed) = &waiting.keyed {
                let stopping = Err(Refusal::Stopping.into());
                shard.rooms.settle_key(keyed, waiting.decision, &stopping);
            }
        }
        shard.context.counters.messages_refused.add(queue.waiting.len() as u64);
    }

    /// Returns the numbers of clients with undecided messages, and of deadlines.
    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize) {
        let state = self.state.borrow();
        (state.clients.len(), state.due.len())
    }

    fn pop_due(&self, now: Instant) -> Option<(Instant, ClientId, DecisionId)> {
        self.state.borrow_mut().due.pop_front_if(|(at, ..)| *at <= now)
    }

    fn first_due(&self) -> Option<Instant> {
        self.state.borrow().due.front().map(|(at, ..)| *at)
    }
}

impl Waiting {
    /// Returns what it counts for the bound of its queue.
    fn bytes(&self) -> usize {
        self.message.data().len() + self.answers.iter().map(answer_bytes).sum::<usize>()
    }

    /// Publishes a message that is decided, if the host has allowed it. Returns where it is.
    ///
    /// # Errors
    /// Why it is not published.
    fn publish(
        self,
        shard: &Shard,
        client: &Client,
        id: Option<&str>,
        keyed: Option<&Keyed>,
    ) -> Result<Position, Refused> {
        let (message, is_changed) = match self.verdict {
            Some(Verdict::Allow) => (self.message, false),
            Some(Verdict::Change(message)) => (message, true),
            Some(Verdict::Duplicate(position)) => {
                let ack = id.map(|id| Ack { id, is_changed: false });
                let room = self.room.map(|(_, name)| name).unwrap_or_default();
                client.answer_duplicate(&shard.rooms, &room, ack, position);
                return Ok(position);
            }
            Some(Verdict::Refuse(why)) => return Err(why),
            None => return Err(Refusal::Refused.into()),
        };
        let ack = id.map(|id| Ack { id, is_changed });
        let room = self.room.map(|(id, _)| id);
        Ok(client.publish_in(&shard.rooms, room, message, ack, keyed)?)
    }
}

/// Returns what an answer that waits counts for the bound of its queue.
fn answer_bytes(command: &Command) -> usize {
    size_of::<Command>() + command.bytes()
}

impl Queue {
    fn is_full(&self) -> bool {
        self.waiting.len() >= MAX_MESSAGES || self.bytes >= MAX_BYTES
    }
}

/// Decides on messages that the host has not decided on in time, as the option `overdue` says, while the shard
/// runs.
pub(super) async fn run(shard: Rc<Shard>) {
    loop {
        let Some(at) = shard.reviews.first_due() else {
            shard.reviews.earlier.notified().await;
            continue;
        };
        shard.deadlines.until(at).await;
        while let Some((_, client, decision)) = shard.reviews.pop_due(shard.shared.now()) {
            if shard.handle.undecided.reviews.take(decision).is_some() {
                shard.context.counters.reviews_timed_out.add(1);
                let verdict = match shard.context.options.overdue {
                    Overdue::Refuse => Verdict::Refuse(Refusal::Overdue.into()),
                    Overdue::Allow => Verdict::Allow,
                };
                shard.reviews.decide(&shard, client, decision, verdict);
            }
        }
    }
}

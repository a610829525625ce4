//! Messages that the host has not decided on yet.
//!
//! Invariant: one client's messages go on in the order in which it sent them, whatever the order of the
//! decisions; nobody else waits for them. Whoever takes a decision out of [`Undecided`] makes it: the
//! host's call, the deadline, or the end of the server.

use std::{
    cell::RefCell,
    collections::VecDeque,
    future::poll_fn,
    rc::Rc,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
    time::Instant,
};

use rustc_hash::FxHashMap;
use tokio::sync::Notify;

use super::{Shard, client::Client};
use crate::{
    event::{ClientId, DecisionId, Event},
    message::Message,
    options::Overdue,
};

/// How many messages of a client may be undecided, and of how many bytes, before it is not read any
/// more. Soft: what one read of its socket held is taken.
const MAX_MESSAGES: usize = 64;
const MAX_BYTES: usize = 1024 * 1024;

/// How many deadlines of decided messages are kept at least before they are looked for.
const MAX_DECIDED: usize = 1024;

/// The decisions of a shard that nobody has made, for all threads.
#[derive(Debug, Default)]
pub(crate) struct Undecided(Mutex<FxHashMap<DecisionId, ClientId>>);

impl Undecided {
    /// Takes a decision, to make it. Returns whose message it is about.
    pub(crate) fn take(&self, decision: DecisionId) -> Option<ClientId> {
        self.lock().remove(&decision)
    }

    fn lock(&self) -> MutexGuard<'_, FxHashMap<DecisionId, ClientId>> {
        // A std mutex, held for one look-up.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What becomes of a message.
#[derive(Debug)]
pub(crate) enum Verdict {
    Allow,
    /// Another message takes its place.
    Change(Message),
    Refuse,
}

/// The messages of a shard's clients that wait.
#[derive(Debug, Default)]
pub(crate) struct Reviews {
    state: RefCell<State>,
    /// Wakes the task that watches the deadlines.
    earlier: Notify,
}

#[derive(Debug, Default)]
struct State {
    clients: FxHashMap<ClientId, Queue>,
    /// All decisions, the one that is due first: every one has the same time.
    due: VecDeque<(Instant, ClientId, DecisionId)>,
    last_number: u64,
}

/// One client's messages, oldest first.
#[derive(Debug)]
struct Queue {
    client: Rc<Client>,
    waiting: VecDeque<Waiting>,
    bytes: usize,
    /// The connection's task, if it waits for fewer.
    reader: Option<Waker>,
}

/// A message, and what was decided on it if those before it are not.
#[derive(Debug)]
struct Waiting {
    decision: DecisionId,
    /// The room that it was said in; empty if the client was in none.
    room: Arc<str>,
    message: Message,
    verdict: Option<Verdict>,
}

impl Reviews {
    /// Asks the host about a message of a client to the room that it speaks to: that is where it goes,
    /// whatever room the client speaks to when it is decided.
    pub(crate) fn ask(&self, shard: &Shard, client: &Rc<Client>, message: Message) {
        let room = client.seats().first().unwrap_or_default();
        let mut state = self.state.borrow_mut();
        state.last_number += 1;
        let decision = DecisionId::new(state.last_number, shard.index);
        let event = Event::MessageRequest {
            client: client.id(),
            identity: client.identity(),
            room: Arc::clone(&room),
            decision,
            message: message.clone(),
        };
        let queue = state.clients.entry(client.id()).or_insert_with(|| Queue {
            client: Rc::clone(client),
            waiting: VecDeque::new(),
            bytes: 0,
            reader: None,
        });
        let len = message.data().len();
        queue.bytes += len;
        queue.waiting.push_back(Waiting { decision, room, message, verdict: None });
        let at = Instant::now() + shard.context.options.review_timeout;
        state.due.push_back((at, client.id(), decision));
        let mut undecided = shard.link.undecided.lock();
        undecided.insert(decision, client.id());
        // Those that were decided are found when they are due; with long times that is late.
        if state.due.len() > 2 * undecided.len() + MAX_DECIDED {
            state.due.retain(|(_, _, decision)| undecided.contains_key(decision));
        }
        drop(undecided);
        drop(state);
        if !shard.context.events.push_message(event, len, &shard.context.counters) {
            // The host will not hear of it, so it cannot decide.
            shard.link.undecided.take(decision);
            self.decide(shard, client.id(), decision, Verdict::Refuse);
        }
        self.earlier.notify_one();
    }

    /// Notes a decision, and lets the client's messages go on as far as they are decided.
    pub(crate) fn decide(
        &self,
        shard: &Shard,
        client: ClientId,
        decision: DecisionId,
        verdict: Verdict,
    ) {
        let mut state = self.state.borrow_mut();
        let Some(queue) = state.clients.get_mut(&client) else { return };
        // Ids rise.
        if let Ok(index) = queue.waiting.binary_search_by_key(&decision, |it| it.decision) {
            queue.waiting[index].verdict = Some(verdict);
        }
        let client = Rc::clone(&queue.client);
        let mut decided = Vec::new();
        while let Some(first) = queue.waiting.pop_front_if(|it| it.verdict.is_some()) {
            queue.bytes -= first.message.data().len();
            decided.push(first);
        }
        if let Some(reader) = queue.reader.take() {
            reader.wake();
        }
        if queue.waiting.is_empty() {
            state.clients.remove(&client.id());
        }
        drop(state);
        for Waiting { room, message, verdict, .. } in decided {
            let message = match verdict {
                Some(Verdict::Allow) => Some(message),
                Some(Verdict::Change(message)) => Some(message),
                Some(Verdict::Refuse) | None => None,
            };
            let is_published = message.is_some_and(|message| client.publish_in(&room, message));
            if !is_published {
                shard.context.counters.messages_refused.add(1);
            }
        }
    }

    /// Whether a client has so many undecided messages that it is not to be read.
    pub(crate) fn is_full(&self, client: ClientId) -> bool {
        let state = self.state.borrow();
        state.clients.get(&client).is_some_and(Queue::is_full)
    }

    /// Waits until a client may be read again.
    pub(crate) async fn space(&self, client: ClientId) {
        self.until(client, |queue| !queue.is_full()).await;
    }

    /// Waits until all messages of a client are decided.
    pub(crate) async fn settled(&self, client: ClientId) {
        self.until(client, |_| false).await;
    }

    /// Waits until a condition holds of a client's messages, or none waits.
    async fn until(&self, client: ClientId, condition: impl Fn(&Queue) -> bool) {
        poll_fn(|cx| match self.state.borrow_mut().clients.get_mut(&client) {
            Some(queue) if !condition(queue) => {
                queue.reader = Some(cx.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        })
        .await;
    }

    /// Forgets the messages of a client that has left.
    pub(crate) fn forget(&self, shard: &Shard, client: ClientId) {
        let Some(queue) = self.state.borrow_mut().clients.remove(&client) else { return };
        for waiting in &queue.waiting {
            shard.link.undecided.take(waiting.decision);
        }
        shard.context.counters.messages_refused.add(queue.waiting.len() as u64);
    }

    fn pop_due(&self, now: Instant) -> Option<(Instant, ClientId, DecisionId)> {
        self.state.borrow_mut().due.pop_front_if(|(at, ..)| *at <= now)
    }

    fn first_due(&self) -> Option<Instant> {
        self.state.borrow().due.front().map(|(at, ..)| *at)
    }
}

impl Queue {
    fn is_full(&self) -> bool {
        self.waiting.len() >= MAX_MESSAGES || self.bytes >= MAX_BYTES
    }
}

/// Decides on what the host has not decided on in time, as the option says, for as long as the shard
/// works.
pub(super) async fn run(shard: Rc<Shard>) {
    loop {
        let Some(at) = shard.reviews.first_due() else {
            shard.reviews.earlier.notified().await;
            continue;
        };
        shard.time_limits.until(at).await;
        while let Some((_, client, decision)) = shard.reviews.pop_due(Instant::now()) {
            if shard.link.undecided.take(decision).is_some() {
                shard.context.counters.reviews_timed_out.add(1);
                let verdict = match shard.context.options.overdue {
                    Overdue::Refuse => Verdict::Refuse,
                    Overdue::Allow => Verdict::Allow,
                };
                shard.reviews.decide(&shard, client, decision, verdict);
            }
        }
    }
}

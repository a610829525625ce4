//! Brokers for tests: a store that several servers share, and how each server's part of it behaves.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, Weak},
    time::Duration,
};

use super::super::random::Random;
use crate::{
    broker::{
        Append, AppendError, Broker, Origin, Page, Progress, Range, Read, Sink, Stored,
        Unavailable, Window,
    },
    event::ClientId,
    message::Message,
    position::Position,
    published::Published,
};

/// How a broker behaves. Each number is one in how many times it happens; 0 is never.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Behaviour {
    /// Whether everything is done at once.
    pub(super) is_immediate: bool,
    pub(super) is_unreliable: bool,
    /// Deliveries that come before earlier ones, twice, or not at all.
    pub(super) reorders: usize,
    pub(super) doubles: usize,
    pub(super) loses: usize,
    /// Calls that fail: nothing was done, or nobody knows.
    pub(super) fails: usize,
    pub(super) is_unsure: usize,
    /// A text that is not stored, and one of which nobody knows.
    pub(super) refuses: Option<&'static str>,
    pub(super) forgets: Option<&'static str>,
}

/// What all servers share.
#[derive(Debug)]
pub(super) struct Store {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    rooms: BTreeMap<Arc<str>, Room>,
    nodes: Vec<Node>,
    behaviour: Behaviour,
    random: Random,
    last_epoch: u64,
    window: usize,
    /// Everything that was ever stored, by room, epoch and offset.
    log: BTreeMap<(Arc<str>, u64, u64), Stored>,
    reads: usize,
}

#[derive(Debug)]
struct Room {
    epoch: u64,
    top: u64,
    kept: VecDeque<Stored>,
}

#[derive(Debug)]
struct Node {
    sink: Weak<dyn Sink>,
    interest: BTreeSet<Arc<str>>,
    /// What it was asked for and what it has to tell, in order.
    asked: VecDeque<Asked>,
    told: VecDeque<Told>,
}

#[derive(Debug)]
enum Asked {
    Append(Append),
    Read(Read),
}

#[derive(Debug, Clone)]
enum Told {
    Deliver(Arc<str>, Position, Stored),
    Appended(u64, Result<Position, AppendError>),
    Read(u64, Arc<Mutex<Option<Result<Page, Unavailable>>>>),
}

/// One server's part.
#[derive(Debug)]
pub(super) struct NodeBroker {
    store: Arc<Store>,
    node: usize,
}

impl Store {
    pub(super) fn new(behaviour: Behaviour, seed: u64) -> Arc<Self> {
        let state = State {
            rooms: BTreeMap::new(),
            nodes: Vec::new(),
            behaviour,
            random: Random::new(seed),
            last_epoch: 1000,
            window: 0,
            log: BTreeMap::new(),
            reads: 0,
        };
        Arc::new(Self { state: Mutex::new(state) })
    }

    /// Adds a server.
    pub(super) fn node(self: &Arc<Self>) -> Arc<NodeBroker> {
        let mut state = self.lock();
        let sink: Weak<NoSink> = Weak::new();
        let node = state.nodes.len();
        state.nodes.push(Node {
            sink,
            interest: BTreeSet::new(),
            asked: VecDeque::new(),
            told: VecDeque::new(),
        });
        drop(state);
        Arc::new(NodeBroker { store: Arc::clone(self), node })
    }

    pub(super) fn set_behaviour(&self, behaviour: Behaviour) {
        self.lock().behaviour = behaviour;
    }

    /// Does something that a server has asked for, or tells it something. Returns whether there was anything.
    pub(super) fn step(&self, node: usize) -> bool {
        let told = {
            let mut state = self.lock();
            if node >= state.nodes.len() {
                // In memory.
                return false;
            }
            let has_both =
                !state.nodes[node].asked.is_empty() && !state.nodes[node].told.is_empty();
            let asks_first =
                if has_both { state.random.once_in(2) } else { state.nodes[node].told.is_empty() };
            if asks_first {
                let Some(asked) = state.nodes[node].asked.pop_front() else { return false };
                state.act(node, asked);
                return true;
            }
            state.next_told(node)
        };
        self.tell(node, told);
        true
    }

    /// Does something for a server, but delivers nothing to it.
    pub(super) fn step_but_deliveries(&self, node: usize) {
        let mut state = self.lock();
        if let Some(asked) = state.nodes[node].asked.pop_front() {
            return state.act(node, asked);
        }
        let is_no_delivery = |told: &Told| !matches!(told, Told::Deliver(..));
        let index = state.nodes[node].told.iter().position(is_no_delivery);
        let told = index.and_then(|index| state.nodes[node].told.remove(index));
        drop(state);
        self.tell(node, told);
    }

    /// Does something for a server, but answers no read.
    pub(super) fn step_but_reads(&self, node: usize) -> bool {
        let mut state = self.lock();
        let is_no_read = |asked: &Asked| !matches!(asked, Asked::Read(_));
        if let Some(index) = state.nodes[node].asked.iter().position(is_no_read) {
            let asked = state.nodes[node].asked.remove(index).expect("it is there");
            state.act(node, asked);
            return true;
        }
        let is_no_answer = |told: &Told| !matches!(told, Told::Read(..));
        let index = state.nodes[node].told.iter().position(is_no_answer);
        let told = index.and_then(|index| state.nodes[node].told.remove(index));
        drop(state);
        let is_something = told.is_some();
        self.tell(node, told);
        is_something
    }

    /// Returns how many reads there were.
    pub(super) fn reads(&self) -> usize {
        self.lock().reads
    }

    /// Does everything.
    pub(super) fn settle(&self) -> bool {
        let nodes = self.lock().nodes.len();
        let mut has_done = false;
        while (0..nodes).any(|node| self.step(node)) {
            has_done = true;
        }
        has_done
    }

    /// Loses the last messages of a room, and so begins another epoch.
    pub(super) fn lose_tail(&self, room: &str, count: usize) {
        let mut state = self.lock();
        state.last_epoch += 1;
        let epoch = state.last_epoch;
        if let Some(room) = state.rooms.get_mut(room) {
            let lost = count.min(room.kept.len());
            room.kept.truncate(room.kept.len() - lost);
            room.top -= lost as u64;
            room.epoch = epoch;
            // What is left has positions of the new epoch too.
            let kept: Vec<_> = room.kept.iter().cloned().collect();
            let first = room.top + 1 - kept.len() as u64;
            let name: Arc<str> = state.name(epoch);
            for (offset, stored) in (first..).zip(kept) {
                state.log.insert((Arc::clone(&name), epoch, offset), stored);
            }
        }
    }

    /// Forgets the oldest messages of a room.
    pub(super) fn forget(&self, room: &str, count: usize) {
        if let Some(room) = self.lock().rooms.get_mut(room) {
            let count = count.min(room.kept.len());
            room.kept.drain(..count);
        }
    }

    /// Notes what was stored in the memory of a server.
    pub(super) fn note(
        &self,
        room: &str,
        position: Position,
        message: Message,
        from: Option<(u64, ClientId)>,
    ) {
        let (node, client) = from.map_or((0, None), |(node, client)| (node, Some(client)));
        let origin = Origin { node, number: position.offset, client, is_excluded: false };
        let stored = Stored { published: Published::of(message), origin };
        let mut state = self.lock();
        let Position { epoch, offset } = position;
        let kept = state.room(&room.into());
        (kept.epoch, kept.top) = (epoch, offset.max(kept.top));
        state.log.insert((room.into(), epoch, offset), stored);
    }

    /// Returns where a room stands.
    pub(super) fn top(&self, room: &str) -> Position {
        let state = self.lock();
        let room = state.rooms.get(room);
        room.map_or(Position::NONE, |room| Position { epoch: room.epoch, offset: room.top })
    }

    /// Returns the text that was stored at a position.
    pub(super) fn text(&self, room: &str, position: Position) -> Option<String> {
        self.stored(room, position).map(|stored| text(&stored))
    }

    pub(super) fn stored(&self, room: &str, position: Position) -> Option<Stored> {
        let key = (room.into(), position.epoch, position.offset);
        self.lock().log.get(&key).cloned()
    }

    /// Returns how often a text was stored, not counting copies in later epochs.
    pub(super) fn count(&self, room: &str, wanted: &str) -> usize {
        let state = self.lock();
        let of_room = state.log.iter().filter(|((name, ..), _)| **name == *room);
        let numbers: BTreeSet<_> = of_room
            .filter(|(_, stored)| text(stored) == wanted)
            .map(|(_, stored)| (stored.origin.node, stored.origin.number))
            .collect();
        numbers.len()
    }

    fn tell(&self, node: usize, told: Option<Told>) {
        // Without the lock: the sink calls the broker.
        let sink = self.lock().nodes[node].sink.upgrade();
        let (Some(sink), Some(told)) = (sink, told) else { return };
        match told {
            Told::Deliver(room, position, stored) => sink.deliver(&room, position, stored),
            Told::Appended(number, outcome) => sink.appended(number, outcome),
            Told::Read(number, outcome) => {
                let outcome = outcome.lock().unwrap().take();
                outcome.into_iter().for_each(|outcome| sink.read(number, outcome));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn name(&self, epoch: u64) -> Arc<str> {
        let found = self.rooms.iter().find(|(_, room)| room.epoch == epoch);
        Arc::clone(found.expect("a room has it").0)
    }

    fn happens(&mut self, once_in: usize) -> bool {
        once_in > 0 && self.random.once_in(once_in)
    }

    fn room(&mut self, name: &Arc<str>) -> &mut Room {
        let last_epoch = &mut self.last_epoch;
        self.rooms.entry(Arc::clone(name)).or_insert_with(|| {
            *last_epoch += 1;
            Room { epoch: *last_epoch, top: 0, kept: VecDeque::new() }
        })
    }

    fn act(&mut self, node: usize, asked: Asked) {
        match asked {
            Asked::Append(append) => {
                let number = append.number;
                let has = |wanted: Option<&str>| {
                    wanted.is_some_and(|it| append.messages.iter().any(|stored| text(stored) == it))
                };
                let (refuses, forgets) = (has(self.behaviour.refuses), has(self.behaviour.forgets));
                if refuses || self.happens(self.behaviour.fails) {
                    let told = Told::Appended(number, Err(AppendError::Unavailable));
                    return self.nodes[node].told.push_back(told);
                }
                let is_unsure = forgets || self.happens(self.behaviour.is_unsure);
                let is_stored = !is_unsure || self.random.once_in(2);
                let mut position = Position::NONE;
                if is_stored {
                    let (last, deliveries) = self.store(append);
                    position = last;
                    for delivery in deliveries {
                        self.deliver(&delivery);
                    }
                }
                let outcome = if is_unsure { Err(AppendError::Unknown) } else { Ok(position) };
                self.nodes[node].told.push_back(Told::Appended(number, outcome));
            }
            Asked::Read(read) => {
                let number = read.number;
                let is_failing = self.happens(self.behaviour.fails);
                let outcome = if is_failing { Err(Unavailable) } else { Ok(self.page(&read)) };
                let outcome = Arc::new(Mutex::new(Some(outcome)));
                self.nodes[node].told.push_back(Told::Read(number, outcome));
            }
        }
    }

    fn store(&mut self, append: Append) -> (Position, Vec<Told>) {
        let window = self.window;
        let name = append.room;
        let mut deliveries = Vec::new();
        let mut position = Position::NONE;
        for stored in append.messages {
            let room = self.room(&name);
            room.top += 1;
            room.kept.push_back(stored.clone());
            while room.kept.len() > window {
                room.kept.pop_front();
            }
            position = Position { epoch: room.epoch, offset: room.top };
            let key = (Arc::clone(&name), position.epoch, position.offset);
            self.log.insert(key, stored.clone());
            deliveries.push(Told::Deliver(Arc::clone(&name), position, stored));
        }
        (position, deliveries)
    }

    fn deliver(&mut self, delivery: &Told) {
        let Told::Deliver(room, ..) = delivery else { return };
        for node in 0..self.nodes.len() {
            if !self.nodes[node].interest.contains(room) || self.happens(self.behaviour.loses) {
                continue;
            }
            let copies = 1 + usize::from(self.happens(self.behaviour.doubles));
            for _ in 0..copies {
                self.nodes[node].told.push_back(delivery.clone());
            }
        }
    }

    fn next_told(&mut self, node: usize) -> Option<Told> {
        let len = self.nodes[node].told.len();
        let index = if self.happens(self.behaviour.reorders) { self.random.below(len) } else { 0 };
        self.nodes[node].told.remove(index)
    }

    fn page(&mut self, read: &Read) -> Page {
        self.reads += 1;
        let room = self.room(&read.room);
        let top = Position { epoch: room.epoch, offset: room.top };
        let first_kept = room.top + 1 - room.kept.len() as u64;
        let (first, last) = match read.range {
            Range::After(after) => {
                let first = first_kept.max(after.saturating_add(1));
                (first, room.top.min(first.saturating_add(read.max_count as u64) - 1))
            }
            Range::Before(end) => {
                let last = room.top.min(end.saturating_sub(1));
                let count = read.max_count as u64;
                (first_kept.max((last + 1).saturating_sub(count)), last)
            }
        };
        let mut messages = Vec::new();
        let mut bytes = 0;
        for offset in first..=last {
            let stored = &room.kept[(offset - first_kept) as usize];
            bytes += stored.published.message.data().len();
            if bytes > read.max_bytes && !messages.is_empty() {
                break;
            }
            messages.push(stored.clone());
        }
        Page { top, first, messages }
    }
}

impl Broker for NodeBroker {
    fn start(&self, sink: Weak<dyn Sink>, window: &Window) {
        let mut state = self.store.lock();
        state.nodes[self.node].sink = sink;
        let Window { messages, bytes, age } = *window;
        state.window = if bytes == 0 || age.is_zero() { 0 } else { messages };
    }

    fn is_reliable(&self) -> bool {
        !self.store.lock().behaviour.is_unreliable
    }

    fn append(&self, append: Append) -> Progress<Result<Position, AppendError>> {
        let mut state = self.store.lock();
        if !state.behaviour.is_immediate {
            state.nodes[self.node].asked.push_back(Asked::Append(append));
            return Progress::Pending;
        }
        let (position, deliveries) = state.store(append);
        let nodes = state.nodes.len();
        drop(state);
        for delivery in deliveries {
            let Told::Deliver(room, ..) = &delivery else { continue };
            for node in 0..nodes {
                let is_interested = self.store.lock().nodes[node].interest.contains(room);
                if is_interested {
                    self.store.tell(node, Some(delivery.clone()));
                }
            }
        }
        Progress::Done(Ok(position))
    }

    fn read(&self, read: Read) -> Progress<Result<Page, Unavailable>> {
        let mut state = self.store.lock();
        if state.behaviour.is_immediate {
            return Progress::Done(Ok(state.page(&read)));
        }
        state.nodes[self.node].asked.push_back(Asked::Read(read));
        Progress::Pending
    }

    fn interest(&self, room: &Arc<str>, is_on: bool) {
        let mut state = self.store.lock();
        let interest = &mut state.nodes[self.node].interest;
        if is_on {
            assert!(interest.insert(Arc::clone(room)), "interest in {room} twice");
        } else {
            assert!(interest.remove(room), "no interest in {room}");
        }
    }

    fn trim(&self) {}

    fn flush(&self) {}
}

fn text(stored: &Stored) -> String {
    stored.published.message.as_text().expect("text").to_owned()
}

/// Before a server has begun.
#[derive(Debug)]
struct NoSink;

impl Sink for NoSink {
    fn deliver(&self, _: &str, _: Position, _: Stored) {}
    fn appended(&self, _: u64, _: Result<Position, AppendError>) {}
    fn read(&self, _: u64, _: Result<Page, Unavailable>) {}
    fn wait_for_space(&self, _: Duration) -> bool {
        true
    }
}

//! Who is in which room: for the host, and for the clients that watch.
//!
//! A client is a member of a room from when its shard has put it there until it leaves. If its connection ends, and it has
//! an identity, its place is kept for a while; a client of the same identity that enters meanwhile takes it over.
//!
//! Invariant: under the table's lock a place changes together with the events that the host gets of it and with what the
//! watchers of the room are told. So what the host is told of a room, and what each watcher is told, is the truth at some
//! time, in order. A room is known here by its name: it may be forgotten and come again while places are away.

mod place;
mod room;
#[cfg(test)]
mod size_tests;
mod telling;
#[cfg(test)]
mod tests;
mod timers;
mod watch;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

pub use self::place::Member;
pub(crate) use self::{
    place::Known,
    telling::Update,
    watch::{Delta, Told},
};
use self::{
    place::{IdentityHasher, IdentityKey},
    room::RoomMembers,
    telling::unwatch,
    timers::{Due, TimerKey, Timers},
};
use crate::{
    context::Context,
    event::{ClientId, Event},
    fanout::{command::RoomHead, form::Form},
    options::Members,
};

/// How many times as many places as clients may be kept for those that are away. Beyond it the oldest are given up.
const AWAY_PER_CONNECTION: usize = 16;

/// How many places are given up while the lock is held.
const MAX_EXPIRED: usize = 256;

/// The members of all rooms of a server.
#[derive(Debug)]
pub(crate) struct MemberTable {
    context: Arc<Context>,
    shards: usize,
    // A std mutex: it is never held across an await, and the critical section is some look-ups.
    state: Mutex<State>,
    /// Wakes the gatherer, when something is due earlier.
    earlier: Notify,
}

#[derive(Debug)]
struct State {
    rooms: HashMap<Arc<str>, Box<RoomMembers>>,
    hasher: IdentityHasher,
    timers: Timers,
    /// The rooms whose watchers are told at the next tick, and those that are still to be told at this one.
    dirty: Vec<Arc<str>>,
    telling: Vec<Arc<str>>,
    last_tick: Option<Instant>,
    /// The number of the last watch.
    last_watch: u64,
    is_stopping: bool,
}

impl MemberTable {
    /// Makes the table of a server, if an option asks for one.
    pub(crate) fn new(context: &Arc<Context>, shards: usize) -> Option<Self> {
        let options = &context.options;
        if options.members == Members::Off && !options.occupancy {
            return None;
        }
        let state = State {
            rooms: HashMap::new(),
            hasher: IdentityHasher::default(),
            timers: Timers::new(options.max_connections.saturating_mul(AWAY_PER_CONNECTION)),
            dirty: Vec::new(),
            telling: Vec::new(),
            last_tick: None,
            last_watch: 0,
            is_stopping: false,
        };
        let context = Arc::clone(context);
        Some(Self { context, shards, state: Mutex::new(state), earlier: Notify::new() })
    }

    /// Whether members are kept, and not only whether a room has any.
    pub(crate) fn keeps_places(&self) -> bool {
        self.context.options.members != Members::Off
    }

    /// Notes that a client has entered a room. `beside` is another room that it is in, if it is in one. Returns the
    /// number of its watch, if it watches.
    pub(crate) fn enter(
        &self,
        room: &RoomHead,
        client: ClientId,
        beside: Option<&str>,
        watch: Option<Form>,
        known: impl FnOnce() -> Arc<Known>,
    ) -> Option<u64> {
        let mut state = self.lock();
        // Shared by its memberships.
        let shared = beside.and_then(|beside| state.rooms.get(beside)?.places().get(&client));
        let known = match shared {
            _ if !self.keeps_places() => None,
            Some(shared) => Some(Arc::clone(shared)),
            None => Some(known()),
        };
        let State { rooms, hasher, timers, .. } = &mut *state;
        let name = &room.name;
        let members = rooms
            .entry(Arc::clone(name))
            .or_insert_with(|| RoomMembers::new(Arc::clone(name), room.id));
        if members.places().contains_key(&client) {
            return None;
        }
        members.id = room.id;
        members.clients += 1;
        if let Some(vacancy) = members.vacancy.take() {
            timers.remove(vacancy);
        }
        if self.context.options.occupancy && !members.is_occupied {
            members.is_occupied = true;
            self.report(Event::RoomOccupied { room: Arc::clone(name) });
        }
        if let Some(known) = known {
            let identity = hasher.key(&known);
            members.insert(Arc::clone(&known));
            if !take_over(members, timers, &known, identity) && members.add_identity(identity) {
                self.report_entered(name, &known);
            }
            self.note_dirty(&mut state, name);
        }
        watch.map(|form| self.add_watch(&mut state, name, client, form))
    }

    /// Notes that a client has left a room. If it `may_return`, its place is kept for a while.
    pub(crate) fn leave(
        &self,
        room: &str,
        client: ClientId,
        may_return: bool,
        watch: Option<Form>,
    ) {
        let mut state = self.lock();
        let grace = if state.is_stopping { Duration::ZERO } else { self.grace() };
        // What is due at a time that the clock cannot represent is never due.
        let due = || self.now().checked_add(grace);
        let State { rooms, hasher, timers, .. } = &mut *state;
        let Some(members) = rooms.get_mut(room) else { return };
        let first_timer = timers.first();
        if self.keeps_places() {
            let known = members.places().get(&client).cloned();
            let Some(known) = known.filter(|_| !members.is_away(client)) else { return };
            let identity = hasher.key(&known);
            match (identity, due()) {
                (Some(identity), Some(due)) if may_return && !grace.is_zero() => {
                    let timer = timers.add(due, &members.name, Due::Place { client, identity });
                    members.set_away(client, identity, timer);
                }
                _ => self.give_up(members, &known, identity),
            }
        }
        if let Some(form) = watch {
            unwatch(members, client, form);
        }
        members.clients = members.clients.saturating_sub(1);
        if members.clients == 0 && self.context.options.occupancy {
            match due() {
                Some(due) if !grace.is_zero() => {
                    members.vacancy = Some(timers.add(due, &members.name, Due::Vacancy));
                }
                _ => self.vacate(members),
            }
        }
        let is_earlier = timers.first() != first_timer;
        let name = Arc::clone(&members.name);
        self.note_dirty(&mut state, &name);
        forget_if_over(&mut state, &name);
        self.expire_some(&mut state, None);
        if is_earlier {
            self.earlier.notify_one();
        }
    }

    /// Notes that something else is known of a client, in all its rooms.
    pub(crate) fn change<'a>(&self, rooms: impl Iterator<Item = &'a Arc<str>>, known: &Arc<Known>) {
        if !self.keeps_places() {
            return;
        }
        let mut state = self.lock();
        for name in rooms {
            let State { rooms, hasher, timers, .. } = &mut *state;
            let Some(members) = rooms.get_mut(name) else { continue };
            let client = known.client;
            let Some(before) = members.places().get(&client).cloned() else { continue };
            if members.is_away(client) {
                continue;
            }
            let (was, identity) = (hasher.key(&before), hasher.key(known));
            members.insert(Arc::clone(known));
            if was != identity {
                if members.remove_identity(was) {
                    self.report_left(name, &before);
                }
                if !take_over(members, timers, known, identity) && members.add_identity(identity) {
                    self.report_entered(name, known);
                }
            }
            self.note_dirty(&mut state, name);
        }
    }

    /// Returns the members of a room, and those that are away, in the order of their ids; `None` if the server stops.
    pub(crate) fn list(&self, room: &str) -> Option<Vec<Member>> {
        let state = self.lock();
        if state.is_stopping {
            return None;
        }
        let Some(members) = state.rooms.get(room) else { return Some(Vec::new()) };
        let places = members.places().values();
        let all: Vec<_> =
            places.map(|known| (Arc::clone(known), members.is_away(known.client))).collect();
        drop(state);
        let mut list: Vec<_> =
            all.iter().map(|(known, is_away)| known.as_member(*is_away)).collect();
        list.sort_unstable_by_key(|member| member.client);
        Some(list)
    }

    /// Returns how many there are; `None` if the server stops.
    pub(crate) fn count(&self, room: &str) -> Option<usize> {
        let state = self.lock();
        let count = state.rooms.get(room).map_or(0, |members| members.places().len());
        (!state.is_stopping).then_some(count)
    }

    /// Gives up some of the places whose time is over. Returns whether there may be more.
    pub(crate) fn expire(&self) -> bool {
        let now = self.now();
        self.expire_some(&mut self.lock(), Some(now))
    }

    /// Notes that the server stops: nobody is awaited any more, nor told.
    pub(crate) fn stop(&self) {
        let mut state = self.lock();
        state.is_stopping = true;
        while let Some((timer, room, due)) = state.timers.pop() {
            self.carry_out(&mut state, timer, &room, due);
        }
        state.dirty = Vec::new();
        state.telling = Vec::new();
        drop(state);
        self.earlier.notify_one();
    }

    /// Tells the host that all who are left have left, since the server has ended.
    pub(crate) fn end(&self) {
        self.stop();
        let mut state = self.lock();
        let State { rooms, hasher, .. } = &mut *state;
        for members in rooms.values_mut() {
            let clients: Vec<_> = members.places().values().cloned().collect();
            for known in clients {
                let identity = hasher.key(&known);
                self.give_up(members, &known, identity);
            }
            self.vacate(members);
        }
        rooms.clear();
    }

    /// Returns the sizes of the tables: rooms, timers, rooms whose watchers are told next.
    #[cfg(test)]
    pub(crate) fn sizes(&self) -> [usize; 3] {
        let state = self.lock();
        [state.rooms.len(), state.timers.len(), state.dirty.len() + state.telling.len()]
    }

    /// Carries out some of what is due at a time; without one, what is too much. Returns whether there may be more.
    fn expire_some(&self, state: &mut State, now: Option<Instant>) -> bool {
        for _ in 0..MAX_EXPIRED {
            let Some((timer, room, due)) = state.timers.pop_due(now) else { return false };
            self.carry_out(state, timer, &room, due);
        }
        true
    }

    fn carry_out(&self, state: &mut State, timer: TimerKey, room: &Arc<str>, due: Due) {
        let Some(members) = state.rooms.get_mut(room) else { return };
        match due {
            Due::Place { client, identity } => {
                let is_kept = members.clear_away(client, identity) == Some(timer);
                debug_assert!(is_kept, "a timer is removed with what it is for");
                if let Some(known) = members.places().get(&client).cloned() {
                    self.give_up(members, &known, Some(identity));
                }
            }
            Due::Vacancy => {
                members.vacancy = None;
                self.vacate(members);
            }
        }
        self.note_dirty(state, room);
        forget_if_over(state, room);
    }

    /// Removes a place.
    fn give_up(
        &self,
        members: &mut RoomMembers,
        known: &Arc<Known>,
        identity: Option<IdentityKey>,
    ) {
        members.remove(known.client);
        if members.remove_identity(identity) {
            self.report_left(&members.name, known);
        }
    }

    fn vacate(&self, members: &mut RoomMembers) {
        if std::mem::take(&mut members.is_occupied) {
            self.report(Event::RoomVacated { room: Arc::clone(&members.name) });
        }
    }

    fn report_entered(&self, room: &Arc<str>, known: &Known) {
        let (client, identity, room) = (known.client, known.identity.clone(), Arc::clone(room));
        self.report(Event::MemberEntered { client, identity, room });
    }

    fn report_left(&self, room: &Arc<str>, known: &Known) {
        let (client, identity, room) = (known.client, known.identity.clone(), Arc::clone(room));
        self.report(Event::MemberLeft { client, identity, room });
    }

    fn report(&self, event: Event) {
        self.context.events.push_unwoken(event);
    }

    fn grace(&self) -> Duration {
        self.context.options.member_grace
    }

    fn now(&self) -> Instant {
        self.context.age_clock.now()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is consistent at every point where a panic could be thrown.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has a client that was added take over the place of one of the same identity that is away. Returns false if there is
/// none.
fn take_over(
    members: &mut RoomMembers,
    timers: &mut Timers,
    known: &Known,
    identity: Option<IdentityKey>,
) -> bool {
    let Some(identity) = identity else { return false };
    let Some(was) = members.first_away(known, identity) else { return false };
    if let Some(timer) = members.clear_away(was, identity) {
        timers.remove(timer);
    }
    // The identity has as many places as before.
    members.remove(was);
    if let Some(watch) = &mut members.watch {
        watch.note_returned(known.client, was);
    }
    true
}

fn forget_if_over(state: &mut State, room: &Arc<str>) {
    if state.rooms.get(room).is_some_and(|members| members.is_over()) {
        state.rooms.remove(room);
    }
}

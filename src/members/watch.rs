//! What those who watch a room's members are told: a list once, then what has changed since they were last told.
//!
//! Invariant: after each update a watcher that applies what it was told has the list as it is, or knows the count alone.

use std::{
    collections::hash_map::Entry,
    sync::Arc,
    time::{Duration, Instant},
};

use rustc_hash::FxHashMap;

use super::place::Known;
use crate::{
    event::ClientId,
    fanout::form::{Form, OBJECT_FORMS},
};

/// With more members than this the count alone is told, until there are at most `LISTED_AGAIN`. Unit tests meet the bounds
/// with fewer.
const MOST_LISTED: usize = if cfg!(test) { 12 } else { 200 };
const LISTED_AGAIN: usize = if cfg!(test) { 9 } else { 150 };

/// If more members than this have changed since the last update, the list is told in place of the changes.
const MOST_CHANGES: usize = if cfg!(test) { 8 } else { 200 };

/// The count alone is told at most this often.
const COUNT_INTERVAL: Duration = Duration::from_secs(1);

/// Those who watch a room, and what they were told.
#[derive(Debug)]
pub(super) struct Watch {
    /// How many watch, by shard and form.
    watchers: Box<[[u32; OBJECT_FORMS.len()]]>,
    /// Those that were told nothing yet, and the numbers of their watches.
    new: FxHashMap<ClientId, u64>,
    mode: Mode,
    changes: Changes,
    /// Whether the room is among those that are told next.
    pub(super) is_dirty: bool,
}

#[derive(Debug, Clone, Copy)]
enum Mode {
    List,
    /// The count that was told last, and when; none if not all were told the same.
    Count(Option<usize>, Instant),
}

/// What has changed since the last update.
#[derive(Debug)]
enum Changes {
    Few(Box<Few>),
    Many,
}

#[derive(Debug, Default)]
struct Few {
    /// What was told of each member that has changed; none if it was not there.
    before: FxHashMap<ClientId, Option<Arc<Known>>>,
    /// The clients that have taken over a place, and whose it was.
    returned: FxHashMap<ClientId, ClientId>,
}

impl Default for Changes {
    fn default() -> Self {
        Self::Few(Box::default())
    }
}

/// What a watcher is told.
#[derive(Debug)]
pub(crate) enum Told {
    /// All members.
    List(Vec<Arc<Known>>),
    /// How many they are.
    Count,
    /// What has changed.
    Changes(Delta),
}

/// What has changed.
#[derive(Debug, Default)]
pub(crate) struct Delta {
    /// Those that have come, or are called something else now.
    pub(crate) joined: Vec<Arc<Known>>,
    pub(crate) left: Vec<ClientId>,
    /// Those that have taken over a place, and whose it was.
    pub(crate) returned: Vec<(Arc<Known>, ClientId)>,
}

/// What the watchers of a room are told at one time.
#[derive(Debug)]
pub(super) struct News {
    pub(super) to_old: Option<Told>,
    pub(super) to_new: Option<Told>,
    pub(super) new: FxHashMap<ClientId, u64>,
}

impl Watch {
    pub(super) fn new(shards: usize) -> Self {
        Self {
            watchers: vec![[0; _]; shards].into(),
            new: FxHashMap::default(),
            mode: Mode::List,
            changes: Changes::default(),
            is_dirty: false,
        }
    }

    pub(super) fn add(&mut self, client: ClientId, form: Form, number: u64) {
        if let Some(count) = self.count_of(client, form) {
            *count += 1;
            self.new.insert(client, number);
        }
    }

    pub(super) fn remove(&mut self, client: ClientId, form: Form) {
        if let Some(count) = self.count_of(client, form) {
            *count = count.saturating_sub(1);
        }
        self.new.remove(&client);
    }

    pub(super) fn has_watchers(&self) -> bool {
        self.watchers.iter().flatten().any(|count| *count > 0)
    }

    fn count_of(&mut self, client: ClientId, form: Form) -> Option<&mut u32> {
        Some(&mut self.watchers.get_mut(client.shard())?[form.object_index()?])
    }

    /// Returns how many watch, by shard and form.
    pub(super) fn watchers(&self) -> &[[u32; OBJECT_FORMS.len()]] {
        &self.watchers
    }

    /// Notes that a member changes: what it is now, before it does.
    pub(super) fn note(&mut self, client: ClientId, before: Option<&Arc<Known>>) {
        let (Mode::List, Changes::Few(few)) = (self.mode, &mut self.changes) else { return };
        let is_full = few.before.len() >= MOST_CHANGES;
        match few.before.entry(client) {
            Entry::Occupied(_) => {}
            Entry::Vacant(_) if is_full => self.changes = Changes::Many,
            Entry::Vacant(entry) => _ = entry.insert(before.cloned()),
        }
    }

    /// Notes that a client has taken over the place of another one.
    pub(super) fn note_returned(&mut self, client: ClientId, was: ClientId) {
        if let Changes::Few(few) = &mut self.changes
            && few.before.contains_key(&client)
        {
            few.returned.insert(client, was);
        }
    }

    /// Returns what the watchers are told of the members, and whether more follows later.
    pub(super) fn update(
        &mut self,
        now: Instant,
        members: &FxHashMap<ClientId, Arc<Known>>,
    ) -> (News, bool) {
        let count = members.len();
        let list = || {
            let mut list: Vec<_> = members.values().cloned().collect();
            list.sort_unstable_by_key(|known| known.client);
            Told::List(list)
        };
        let new = std::mem::take(&mut self.new);
        let changes = std::mem::take(&mut self.changes);
        let mut is_left = false;
        let to_old = match self.mode {
            Mode::List if count <= MOST_LISTED => match changes {
                Changes::Many => Some(list()),
                Changes::Few(few) => few.delta(members).map(Told::Changes),
            },
            Mode::Count(..) if count <= LISTED_AGAIN => {
                self.mode = Mode::List;
                Some(list())
            }
            Mode::List => {
                self.mode = Mode::Count(Some(count), now);
                Some(Told::Count)
            }
            Mode::Count(told, _) if told == Some(count) => None,
            Mode::Count(_, at) if now.saturating_duration_since(at) < COUNT_INTERVAL => {
                is_left = true;
                if !new.is_empty() {
                    // They are told another count than the others.
                    self.mode = Mode::Count(None, at);
                }
                None
            }
            Mode::Count(..) => {
                self.mode = Mode::Count(Some(count), now);
                Some(Told::Count)
            }
        };
        let is_listed = matches!(self.mode, Mode::List);
        let to_new = (!new.is_empty()).then(|| if is_listed { list() } else { Told::Count });
        let watching: usize = self.watchers.iter().flatten().map(|count| *count as usize).sum();
        let to_old = to_old.filter(|_| watching > new.len());
        (News { to_old, to_new, new }, is_left)
    }
}

impl Few {
    /// Returns what has changed, if anything has: what came and went meanwhile is left out.
    fn delta(&self, members: &FxHashMap<ClientId, Arc<Known>>) -> Option<Delta> {
        let mut delta = Delta::default();
        let mut taken_over = Vec::new();
        for (client, before) in &self.before {
            match (before, members.get(client)) {
                (None, Some(now)) => match self.origin(*client, members) {
                    Some(was) => {
                        taken_over.push(was);
                        delta.returned.push((Arc::clone(now), was));
                    }
                    None => delta.joined.push(Arc::clone(now)),
                },
                (Some(before), Some(now)) if before.name != now.name => {
                    delta.joined.push(Arc::clone(now));
                }
                (Some(_), None) => delta.left.push(*client),
                (Some(_), Some(_)) | (None, None) => {}
            }
        }
        taken_over.sort_unstable();
        delta.left.retain(|client| taken_over.binary_search(client).is_err());
        delta.left.sort_unstable();
        delta.joined.sort_unstable_by_key(|known| known.client);
        delta.returned.sort_unstable_by_key(|(known, _)| known.client);
        let Delta { joined, left, returned } = &delta;
        let is_empty = joined.is_empty() && left.is_empty() && returned.is_empty();
        (!is_empty).then_some(delta)
    }

    /// Returns whose place a client has, of those that were told: the place may have been taken over several times
    /// since.
    fn origin(
        &self,
        client: ClientId,
        members: &FxHashMap<ClientId, Arc<Known>>,
    ) -> Option<ClientId> {
        let mut was = *self.returned.get(&client)?;
        // A client that was not told of has come later than whose place it took: there is no circle.
        while self.before.get(&was)?.is_none() {
            was = *self.returned.get(&was)?;
        }
        (!members.contains_key(&was)).then_some(was)
    }
}

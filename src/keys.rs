//! The keys that were published with lately: a publication with a known key is not published again.
//!
//! Invariant: a key is checked and noted in one step, under the lock of the room that is published to. So of any number of
//! publications with one key, from whatever threads, one is published.
//!
//! A key is known within its room and its scope. A message that waits for review reserves its key: the same message that
//! comes again meanwhile waits for what becomes of the first.

use std::{
    collections::{VecDeque, hash_map::Entry},
    hash::{BuildHasher, Hasher, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustc_hash::FxHashMap;

use crate::{
    event::{ClientId, DecisionId},
    message::Message,
    position::Position,
    published::Key,
    stats::Counters,
    sys::CoarseInstant,
};

/// For how long a key is known after its message was published.
const KNOWN_FOR: Duration = Duration::from_secs(5 * 60);

/// How many keys of published messages are known at most.
const MAX_KEYS: usize = 100_000;

/// How many keys that are known for too long one publication forgets.
const MAX_FORGOTTEN: usize = 4;

/// The keys of one server.
#[derive(Debug)]
pub(crate) struct Keys {
    /// Keys are kept as hashes of 128 bits, which are random, so that nobody can choose two keys with one hash.
    seeds: [RandomState; 2],
    most: usize,
    // A std mutex: it is held for a look-up. No other lock is taken under it.
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    /// The keys of published messages, the oldest first. One that was noted again is there twice. They are apart from the
    /// index, which is small, so that a publication finds nearly all that it needs in the processor's caches.
    noted: VecDeque<Noted>,
    /// The number of the first of them; the next ones have the numbers behind it.
    first: u32,
    /// By a half of a key's hash, the number under which it was noted last.
    index: FxHashMap<u64, u32>,
    reserved: FxHashMap<u128, Reserved>,
}

/// A key whose message was published.
#[derive(Debug)]
struct Noted {
    id: u128,
    payload: u64,
    position: Position,
    since: CoarseInstant,
}

/// A key whose message waits for review.
#[derive(Debug)]
struct Reserved {
    payload: u64,
    first: DecisionId,
    /// The same message again, in the order in which they came.
    repeats: Vec<Repeat>,
}

/// A message that waits for what becomes of an earlier one with the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Repeat {
    pub(crate) client: ClientId,
    pub(crate) decision: DecisionId,
}

/// Whose key it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope<'a> {
    Host,
    /// A client without an identity: all of these share their keys.
    Anonymous,
    Identity(&'a str),
}

/// The key of a publication.
#[derive(Debug, Clone)]
pub(crate) struct Keyed {
    /// As the message carries it.
    pub(crate) key: Key,
    pub(crate) known_by: KnownBy,
}

/// What the key of a publication is known by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KnownBy {
    /// The hash of the room, the scope and the key.
    id: u128,
    /// The hash of the message.
    payload: u64,
}

/// Why a message is not published: its key is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// As that of the same message, which is at a position.
    Same(Position),
    /// As that of another message.
    Reused,
}

/// What has become of a message that wants a review.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reservation {
    /// It is the first with its key.
    First,
    /// It waits for what becomes of the first.
    Repeat,
    Known(Known),
}

impl Default for Keys {
    fn default() -> Self {
        Self::with_most(MAX_KEYS)
    }
}

impl Keys {
    pub(crate) fn with_most(most: usize) -> Self {
        let seeds = [RandomState::new(), RandomState::new()];
        Self { seeds, most, table: Mutex::default() }
    }

    /// Returns what the key of a message to a room is known by.
    pub(crate) fn known_by(
        &self,
        room: &str,
        scope: Scope<'_>,
        key: &Key,
        message: &Message,
    ) -> KnownBy {
        let (kind, identity) = match scope {
            Scope::Host => (0_u64, ""),
            Scope::Anonymous => (1, ""),
            Scope::Identity(identity) => (2, identity),
        };
        // The lengths say where one ends and the next begins.
        let mut head = [0; 24];
        for (part, number) in
            head.chunks_exact_mut(8).zip([kind, room.len() as u64, identity.len() as u64])
        {
            part.copy_from_slice(&number.to_le_bytes());
        }
        let parts = [&head, room.as_bytes(), identity.as_bytes(), key.as_str().as_bytes()];
        let [high, low] =
            with_joined(parts, |bytes| self.seeds.each_ref().map(|it| hash(it, bytes)));
        let mut payload = self.seeds[0].build_hasher();
        payload.write_u64(message.kind() as u64);
        payload.write(message.data());
        let id = u128::from(high) << 64 | u128::from(low);
        KnownBy { id, payload: payload.finish() }
    }

    /// Notes the key of a message that is published at a position now. The caller holds the lock of its room.
    ///
    /// # Errors
    /// `Known`, and the message must not be published.
    pub(crate) fn publish(
        &self,
        key: KnownBy,
        position: Position,
        now: CoarseInstant,
        counters: &Counters,
    ) -> Result<(), Known> {
        let mut table = self.lock();
        if let Some(known) = table.find(key, now) {
            return Err(known);
        }
        let evicted = table.make_space(self.most, now);
        let KnownBy { id, payload } = key;
        table.push(Noted { id, payload, position, since: now });
        drop(table);
        if evicted > 0 {
            counters.keys_evicted.add(evicted);
        }
        Ok(())
    }

    /// Reserves the key of a message that waits for review, under the decision on it.
    pub(crate) fn reserve(
        &self,
        key: KnownBy,
        client: ClientId,
        decision: DecisionId,
        now: CoarseInstant,
    ) -> Reservation {
        let mut table = self.lock();
        if let Some(known) = table.find(key, now) {
            return Reservation::Known(known);
        }
        let KnownBy { id, payload } = key;
        if let Some(reserved) = table.reserved.get_mut(&id) {
            if reserved.payload != payload {
                return Reservation::Known(Known::Reused);
            }
            reserved.repeats.push(Repeat { client, decision });
            return Reservation::Repeat;
        }
        table.reserved.insert(id, Reserved { payload, first: decision, repeats: Vec::new() });
        Reservation::First
    }

    /// Gives back the key that was reserved under a decision: its message is published, or will not be. Returns the
    /// repeats, which wait for that.
    pub(crate) fn settle(&self, key: KnownBy, decision: DecisionId) -> Vec<Repeat> {
        let mut table = self.lock();
        let is_first = table.reserved.get(&key.id).is_some_and(|it| it.first == decision);
        let reserved = if is_first { table.reserved.remove(&key.id) } else { None };
        reserved.map_or_else(Vec::new, |reserved| reserved.repeats)
    }

    /// Returns how many keys are known, in how many entries, and how many are reserved.
    #[cfg(test)]
    pub(crate) fn sizes(&self) -> [usize; 3] {
        let table = self.lock();
        [table.index.len(), table.noted.len(), table.reserved.len()]
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // The table is consistent at every point where a panic could be thrown.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Returns what is known of a key.
    fn find(&self, key: KnownBy, now: CoarseInstant) -> Option<Known> {
        let number = *self.index.get(&half(key.id))?;
        let noted = self.noted.get(number.wrapping_sub(self.first) as usize)?;
        if noted.id != key.id || !is_known(noted.since, now) {
            return None;
        }
        let is_same = noted.payload == key.payload;
        Some(if is_same { Known::Same(noted.position) } else { Known::Reused })
    }

    fn push(&mut self, noted: Noted) {
        let number = self.first.wrapping_add(self.noted.len() as u32);
        self.index.insert(half(noted.id), number);
        self.noted.push_back(noted);
    }

    /// Forgets the oldest keys until one more fits, and a few that are known for too long. Returns how many were
    /// forgotten before their time.
    fn make_space(&mut self, most: usize, now: CoarseInstant) -> u64 {
        let mut evicted = 0;
        let mut forgotten = 0;
        while let Some(oldest) = self.noted.front() {
            let is_old = !is_known(oldest.since, now);
            let must_go = self.noted.len() >= most || (is_old && forgotten < MAX_FORGOTTEN);
            if !must_go {
                break;
            }
            let (half, number) = (half(oldest.id), self.first);
            self.noted.pop_front();
            self.first = number.wrapping_add(1);
            forgotten += 1;
            // It may have been noted again since.
            if let Entry::Occupied(entry) = self.index.entry(half)
                && *entry.get() == number
            {
                entry.remove();
                evicted += u64::from(!is_old);
            }
        }
        evicted
    }
}

/// Returns the half of a key's hash that the index has. If two keys had one half, the later one would be known.
fn half(id: u128) -> u64 {
    id as u64
}

fn hash(seed: &RandomState, bytes: &[u8]) -> u64 {
    let mut hasher = seed.build_hasher();
    hasher.write(bytes);
    hasher.finish()
}

/// Calls a function with parts in one piece: hashing that takes half of the time that the parts would.
fn with_joined<T>(parts: [&[u8]; 4], act: impl FnOnce(&[u8]) -> T) -> T {
    let len = parts.iter().map(|part| part.len()).sum();
    let mut bytes = [0; 128];
    if len > bytes.len() {
        return act(&parts.concat());
    }
    let mut rest = &mut bytes[..];
    for part in parts {
        let (place, after) = rest.split_at_mut(part.len());
        place.copy_from_slice(part);
        rest = after;
    }
    act(&bytes[..len])
}

fn is_known(since: CoarseInstant, now: CoarseInstant) -> bool {
    now.since(since) < KNOWN_FOR
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;

//! Where forgotten rooms stood: a room that comes again goes on from there, so a client that had everything still has
//! everything.

use std::{
    hash::{BuildHasher, RandomState},
    mem,
    time::{Duration, Instant},
};

use rustc_hash::FxHashMap;

use crate::position::Position;

/// For how long it is remembered at least where a room stood.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

/// How many rooms one generation holds that have stored messages.
const MAX_STORED: usize = 65_536;

/// How many rooms one generation holds that have stored none. Clients make up such rooms without publishing: they
/// displace each other, and no room that has had messages.
const MAX_EMPTY: usize = 16_384;

/// The last positions of forgotten rooms.
#[derive(Debug)]
pub(super) struct Forgotten {
    stored: Generations,
    empty: Generations,
    /// Names are kept as hashes of 128 bits, which are random, so that nobody can choose two names with one hash.
    keys: [RandomState; 2],
}

/// Positions in two generations: the older one is dropped whole, when the younger is full or a day old. So a position is
/// kept for one to two days and costs no more than its entry.
#[derive(Debug)]
struct Generations {
    young: Generation,
    old: Generation,
    /// When the young generation began.
    since: Instant,
    /// How many rooms one generation holds.
    most: usize,
}

type Generation = FxHashMap<u128, Position>;

impl Forgotten {
    pub(super) fn new(now: Instant) -> Self {
        let keys = [RandomState::new(), RandomState::new()];
        Self {
            stored: Generations::new(MAX_STORED, now),
            empty: Generations::new(MAX_EMPTY, now),
            keys,
        }
    }

    /// Remembers where a room stood.
    pub(super) fn insert(&mut self, name: &str, position: Position, now: Instant) {
        let key = self.key(name);
        let kind = if position.offset > 0 { &mut self.stored } else { &mut self.empty };
        kind.insert(key, position, now);
    }

    /// Takes where a room stood, if that is known.
    pub(super) fn take(&mut self, name: &str, now: Instant) -> Option<Position> {
        self.stored.age(now);
        self.empty.age(now);
        if self.stored.len() + self.empty.len() == 0 {
            return None;
        }
        // Only one of them has it: a room that comes again is taken out.
        let key = self.key(name);
        self.stored.take(key).or_else(|| self.empty.take(key))
    }

    fn key(&self, name: &str) -> u128 {
        let [high, low] = self.keys.each_ref().map(|keys| u128::from(keys.hash_one(name)));
        high << 64 | low
    }
}

impl Generations {
    fn new(most: usize, now: Instant) -> Self {
        let (young, old) = Default::default();
        Self { young, old, since: now, most }
    }

    fn insert(&mut self, key: u128, position: Position, now: Instant) {
        self.age(now);
        if self.young.len() >= self.most {
            self.begin(now);
        }
        self.young.insert(key, position);
    }

    fn take(&mut self, key: u128) -> Option<Position> {
        self.young.remove(&key).or_else(|| self.old.remove(&key))
    }

    /// Drops what is too old.
    fn age(&mut self, now: Instant) {
        let age = now.saturating_duration_since(self.since);
        if age >= 2 * REMEMBERED {
            (self.young, self.old) = Default::default();
            self.since = now;
        } else if age >= REMEMBERED {
            self.begin(self.since + REMEMBERED);
        }
    }

    fn begin(&mut self, since: Instant) {
        self.old = mem::take(&mut self.young);
        self.since = since;
    }

    fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(offset: u64) -> Position {
        Position { epoch: 7, offset }
    }

    #[test]
    fn where_a_room_stood_is_known_for_a_day_and_not_for_ever() {
        let day = REMEMBERED;
        assert_eq!(day, Duration::from_secs(86_400), "as documented");
        let second = Duration::from_secs(1);
        for after in [Duration::ZERO, day / 2, day - second, day, day * 3 / 2, 5 * day] {
            // Also if others are looked up in between.
            for between in [day / 10, day, 10 * day] {
                let known_after = |time: Duration| {
                    let begun = Instant::now();
                    let mut forgotten = Forgotten::new(begun);
                    let inserted = begun + after;
                    forgotten.insert("a", position(5), inserted);
                    for count in 1..=time.div_duration_f64(between) as u32 {
                        assert_eq!(forgotten.take("b", inserted + between * count), None);
                    }
                    let known = forgotten.take("a", inserted + time);
                    assert_eq!(forgotten.take("a", inserted + time), None, "it is taken once");
                    known
                };
                assert_eq!(known_after(day), Some(position(5)), "{after:?} {between:?}");
                assert_eq!(known_after(2 * day), None, "{after:?} {between:?}");
            }
        }
    }

    #[test]
    fn a_room_is_known_by_its_name_alone_and_the_latest_counts() {
        let now = Instant::now();
        let mut forgotten = Forgotten::new(now);
        for number in 1..1000 {
            forgotten.insert(&number.to_string(), position(number), now);
        }
        forgotten.insert("7", position(77), now);
        assert_eq!(forgotten.take("1000", now), None);
        for number in (1..1000).filter(|number| *number != 7) {
            assert_eq!(forgotten.take(&number.to_string(), now), Some(position(number)));
        }
        assert_eq!(forgotten.take("7", now), Some(position(77)));
    }

    #[test]
    fn the_latest_of_very_many_are_known_and_no_more_are_kept() {
        const COUNT: u64 = 400_000;
        for (has_stored, known, kept) in [(true, 65_536, 131_072), (false, 16_384, 32_768)] {
            let now = Instant::now();
            let mut forgotten = Forgotten::new(now);
            let position = |number| Position { epoch: number, offset: u64::from(has_stored) };
            for number in 1..=COUNT {
                forgotten.insert(&number.to_string(), position(number), now);
                let len = forgotten.stored.len() + forgotten.empty.len();
                assert!(len <= kept, "as documented: {len}");
            }
            for number in COUNT - known + 1..=COUNT {
                assert_eq!(forgotten.take(&number.to_string(), now), Some(position(number)));
            }
        }
        assert_eq!(mem::size_of::<(u128, Position)>(), 32);
    }

    #[test]
    fn rooms_that_have_stored_nothing_displace_no_room_that_has() {
        let now = Instant::now();
        let mut forgotten = Forgotten::new(now);
        forgotten.insert("stored", position(1), now);
        forgotten.insert("empty", position(0), now);
        for number in 0..1_000_000 {
            forgotten.insert(&number.to_string(), position(0), now);
        }
        assert_eq!(forgotten.take("stored", now), Some(position(1)));
        assert_eq!(forgotten.take("empty", now), None);
        // A room may change from one kind to the other and back, as it comes again.
        for offset in [0, 1, 1, 0, 0] {
            forgotten.insert("a", position(offset), now);
            assert_eq!(forgotten.take("a", now), Some(position(offset)));
            assert_eq!(forgotten.take("a", now), None, "it is taken once");
        }
    }
}

//! A set of numbers that are never 0. Nearly all such sets hold one: further ones are behind a pointer.

use std::num::NonZero;

use rustc_hash::FxHashSet;

/// The ids of rooms or of clients.
#[derive(Debug, Default)]
pub(super) struct IdSet {
    first: Option<NonZero<u64>>,
    more: Option<Box<FxHashSet<u64>>>,
}

impl IdSet {
    pub(super) fn has(&self, id: u64) -> bool {
        self.first == NonZero::new(id) || self.more.as_ref().is_some_and(|more| more.contains(&id))
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.more.as_ref().map_or(0, |more| more.len())
    }

    /// Adds an id that is not in the set.
    pub(super) fn insert(&mut self, id: u64) {
        if self.first.is_none() {
            self.first = NonZero::new(id);
        } else {
            self.more.get_or_insert_default().insert(id);
        }
    }

    pub(super) fn remove(&mut self, id: u64) {
        if self.first == NonZero::new(id) {
            self.first = None;
        } else if let Some(more) = &mut self.more {
            more.remove(&id);
            self.more.take_if(|more| more.is_empty());
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u64> {
        let more = self.more.iter().flat_map(|more| more.iter().copied());
        self.first.map(NonZero::get).into_iter().chain(more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_added_and_not_removed() {
        let mut set = IdSet::default();
        for id in 1..=5 {
            set.insert(id);
        }
        for gone in [1, 3] {
            assert!(set.has(gone));
            set.remove(gone);
            assert!(!set.has(gone));
        }
        set.insert(6);
        let mut all: Vec<_> = set.iter().collect();
        all.sort_unstable();
        assert_eq!((all, set.len()), (vec![2, 4, 5, 6], 4));
        for id in [2, 4, 5, 6, 7] {
            set.remove(id);
        }
        assert_eq!((set.len(), set.more.is_none()), (0, true));
    }
}

//! The pages of replays that were encoded last, for one shard: clients that come back at once from the same place share
//! them.
//!
//! A page depends on the room, the wire form and the offset of its first message, and on nothing else: what a room has
//! at an offset does not change.

use std::{
    cell::RefCell,
    collections::VecDeque,
    sync::{Arc, Weak},
};

use bytes::Bytes;

use super::{command::RoomId, form::Form};

/// How many pages are known.
const MAX_PAGES: usize = 8;

/// How many bytes of pages stay in memory though no client has them, and how long a page may be that does.
const MAX_BYTES: usize = 256 * 1024;
const MAX_KEPT: usize = 64 * 1024;

/// The room, the wire form, and the offset of the first message.
type Key = (RoomId, Form, u64);

/// The pages that were encoded last, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Pages(RefCell<VecDeque<Entry>>);

#[derive(Debug)]
struct Entry {
    key: Key,
    /// How many messages it holds.
    count: usize,
    /// Whether there were more.
    is_full: bool,
    page: Shared,
}

#[derive(Debug)]
enum Shared {
    Kept(Bytes),
    /// A long message, for as long as a client has it.
    Known(Weak<Vec<u8>>),
}

/// A page that outboxes have in common.
struct Owner(Arc<Vec<u8>>);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Pages {
    /// Returns the page of a client that lacks `most` messages from the first on, and how many of them it holds.
    pub(super) fn get(&self, key: Key, most: usize) -> Option<(usize, Bytes)> {
        let pages = self.0.borrow();
        // One that is short because its client lacked no more would make this one's pages small.
        let fits = |entry: &Entry| entry.count == most || (entry.is_full && entry.count < most);
        let mut fitting = pages.iter().filter(|entry| entry.key == key && fits(entry));
        fitting.find_map(|entry| {
            let page = match &entry.page {
                Shared::Kept(page) => page.clone(),
                Shared::Known(page) => Bytes::from_owner(Owner(page.upgrade()?)),
            };
            Some((entry.count, page))
        })
    }

    /// Adds a page with the first `count` of the `most` messages that its client lacks. Returns what the client is
    /// written.
    pub(super) fn add(&self, key: Key, (count, most): (usize, usize), page: Bytes) -> Bytes {
        if !page.is_unique() {
            // The message's own frame, which all share.
            return page;
        }
        let (page, shared) = if page.len() <= MAX_KEPT {
            (page.clone(), Shared::Kept(page))
        } else {
            let owned = Arc::new(Vec::from(page));
            let known = Shared::Known(Arc::downgrade(&owned));
            (Bytes::from_owner(Owner(owned)), known)
        };
        let mut pages = self.0.borrow_mut();
        pages.retain(|entry| (entry.key, entry.count) != (key, count));
        pages.push_back(Entry { key, count, is_full: count < most, page: shared });
        while pages.len() > MAX_PAGES || kept(&pages) > MAX_BYTES {
            pages.pop_front();
        }
        page
    }
}

/// Returns how many bytes of pages stay in memory.
fn kept(pages: &VecDeque<Entry>) -> usize {
    let lens = pages.iter().map(|entry| match &entry.page {
        Shared::Kept(page) => page.len(),
        Shared::Known(_) => 0,
    });
    lens.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_pages_stay_in_memory_and_a_long_one_for_as_long_as_somebody_has_it() {
        let pages = Pages::default();
        let key = |offset| (RoomId(1), Form::Json, offset);
        let page = |len| Bytes::from(vec![7; len]);
        for offset in 0..10 {
            drop(pages.add(key(offset), (1, 2), page(60_000)));
        }
        let known: Vec<_> = (0..10).filter(|offset| pages.get(key(*offset), 2).is_some()).collect();
        assert_eq!(known, [6, 7, 8, 9], "240,000 bytes");
        for offset in 10..30 {
            drop(pages.add(key(offset), (1, 2), page(10)));
        }
        assert_eq!((0..30).filter(|offset| pages.get(key(*offset), 2).is_some()).count(), 8);

        let long = pages.add(key(50), (1, 1), page(100_000));
        let (count, other) = pages.get(key(50), 1).unwrap();
        assert_eq!((count, other.as_ptr()), (1, long.as_ptr()));
        drop((long, other));
        assert!(pages.get(key(50), 1).is_none());
    }

    #[test]
    fn a_page_is_for_its_room_form_and_place_and_for_clients_that_lack_as_much() {
        let pages = Pages::default();
        let key = (RoomId(1), Form::Json, 5);
        // One that was full, and one whose client lacked no more.
        pages.add(key, (20, 40), Bytes::from_static(b"full").to_vec().into());
        pages.add(key, (7, 7), Bytes::from_static(b"last").to_vec().into());
        let get = |key, most| pages.get(key, most).map(|(count, _)| count);
        for (most, expected) in
            [(6, None), (7, Some(7)), (8, None), (19, None), (20, Some(20)), (90, Some(20))]
        {
            assert_eq!(get(key, most), expected, "{most}");
        }
        assert_eq!(get((RoomId(2), Form::Json, 5), 20), None);
        assert_eq!(get((RoomId(1), Form::Plain, 5), 20), None);
        assert_eq!(get((RoomId(1), Form::Json, 6), 20), None);
    }
}

//! A room's last messages, bounded by count, by bytes and by age.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use crate::{
    options::Options,
    published::{Key, Published},
    sys::CoarseInstant,
};

/// What keeping one message costs beside its payload, in bytes. Without it, empty messages would be free.
const MESSAGE_OVERHEAD: usize = 128;

/// The last messages of one room, oldest first.
#[derive(Debug, Default)]
pub(crate) struct History {
    entries: VecDeque<Entry>,
    bytes: usize,
    /// When it was last checked for messages that are too old.
    checked_at: Option<CoarseInstant>,
}

#[derive(Debug)]
struct Entry {
    message: Published,
    stored: CoarseInstant,
    /// What keeping its author costs, unless the entry before has the same, and its key.
    extra_cost: usize,
}

impl Entry {
    fn cost(&self) -> usize {
        self.message.message.kept() + MESSAGE_OVERHEAD + self.extra_cost
    }
}

impl History {
    /// Appends messages, and drops the oldest while a bound is exceeded, possibly some of the new ones, but never
    /// the last: a client that reconnects gets at least that. Messages that share memory are appended together and dropped
    /// in order, so the last of them accounts for all.
    pub(crate) fn append(
        &mut self,
        messages: impl IntoIterator<Item = Published>,
        now: CoarseInstant,
        options: &Options,
    ) {
        if !options.has_history() {
            return;
        }
        for message in messages {
            let key_cost = message.key.as_ref().map_or(0, Key::size);
            let extra_cost = self.author_cost(&message) + key_cost;
            let entry = Entry { message, stored: now, extra_cost };
            self.bytes += entry.cost();
            self.entries.push_back(entry);
            while self.entries.len() > options.history_messages
                || (self.bytes > options.history_size && self.entries.len() > 1)
            {
                self.forget_oldest();
            }
        }
        // The coarse clock stands still between most messages: then nothing new is too old.
        if self.checked_at != Some(now) {
            self.checked_at = Some(now);
            self.forget_older_than(options.history_age, now);
        }
    }

    /// Returns what a new message's author costs: nothing if the last message has the same. A room in which each message
    /// is another client's would else keep far more than it counts.
    fn author_cost(&self, message: &Published) -> usize {
        let Some(author) = &message.author else { return 0 };
        let last = self.entries.back().and_then(|last| last.message.author.as_ref());
        if last.is_some_and(|last| Arc::ptr_eq(last, author)) { 0 } else { author.size() }
    }

    /// Returns up to `count` of the last messages, oldest first.
    pub(crate) fn last(&self, count: usize) -> Vec<Published> {
        let skipped = self.entries.len().saturating_sub(count);
        self.entries.iter().skip(skipped).map(|entry| entry.message.clone()).collect()
    }

    /// Returns the messages from one on, oldest first.
    pub(crate) fn oldest_first(&self, from: usize) -> impl Iterator<Item = &Published> {
        self.entries.range(from.min(self.entries.len())..).map(|entry| &entry.message)
    }

    /// Returns the messages, newest first.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = &Published> {
        self.entries.iter().rev().map(|entry| &entry.message)
    }

    /// Drops the oldest message, if there is one.
    pub(crate) fn forget_oldest(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.bytes -= entry.cost();
        }
    }

    /// Returns how many messages it holds.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns what the messages cost, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns after what time the last message is older than `age`; `None` if there is no message.
    pub(crate) fn left(&self, age: Duration, now: CoarseInstant) -> Option<Duration> {
        self.entries.back().map(|last| age.saturating_sub(now.since(last.stored)))
    }

    /// Drops the messages that are older than `age`.
    pub(crate) fn forget_older_than(&mut self, age: Duration, now: CoarseInstant) {
        // Nothing is older than the clock.
        let Some(since) = now.ago(age) else { return };
        while self.entries.front().is_some_and(|oldest| oldest.stored < since) {
            self.forget_oldest();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{frame::Kind, message::Message, published::Author};

    fn texts(history: &mut History, count: usize, now: CoarseInstant) -> Vec<String> {
        history.forget_older_than(Duration::from_secs(60), now);
        let messages = history.last(count);
        messages.iter().map(|it| it.message.as_text().unwrap().to_owned()).collect()
    }

    fn append(history: &mut History, text: &str, now: CoarseInstant, options: &Options) {
        let message = Message::new(Kind::Text, text.as_bytes()).unwrap();
        history.append([Published::of(message)], now, options);
    }

    #[test]
    fn the_oldest_go_first_by_count_and_by_bytes() {
        let now = CoarseInstant(1_000_000_000);
        let mut options = Options { history_messages: 3, ..Options::default() };
        let mut history = History::default();
        for text in ["a", "b", "c", "d"] {
            append(&mut history, text, now, &options);
        }
        assert_eq!(texts(&mut history, 10, now), ["b", "c", "d"]);
        assert_eq!(texts(&mut history, 2, now), ["c", "d"]);

        options.history_size = 2 * MESSAGE_OVERHEAD + 2;
        append(&mut history, "e", now, &options);
        assert_eq!(texts(&mut history, 10, now), ["d", "e"]);
        assert_eq!(history.bytes(), 2 * MESSAGE_OVERHEAD + 2);
    }

    #[test]
    fn the_last_message_is_kept_though_it_is_over_the_bound() {
        let now = CoarseInstant(1_000_000_000);
        let options = Options { history_size: 1000, ..Options::default() };
        let mut history = History::default();
        for text in ["a", "b"] {
            append(&mut history, text, now, &options);
        }
        let long = "c".repeat(2000);
        append(&mut history, &long, now, &options);
        assert_eq!(texts(&mut history, 10, now), [&*long]);
        append(&mut history, "d", now, &options);
        assert_eq!(texts(&mut history, 10, now), ["d"]);
    }

    #[test]
    fn messages_that_share_memory_count_for_as_long_as_one_of_them_is_kept() {
        let now = CoarseInstant(1_000_000_000);
        let options = Options { history_messages: 3, ..Options::default() };
        let mut history = History::default();
        let payloads = [&b"aa"[..], b"bb", b"cc", b"dd"];
        let messages = Message::together(Kind::Text, payloads.into_iter());
        history.append(messages.map(Published::of), now, &options);
        assert_eq!(texts(&mut history, 10, now), ["bb", "cc", "dd"]);
        assert_eq!(history.bytes(), 3 * MESSAGE_OVERHEAD + 8);
        append(&mut history, "e", now, &options);
        append(&mut history, "f", now, &options);
        assert_eq!(history.bytes(), 3 * MESSAGE_OVERHEAD + 8 + 2);
        append(&mut history, "g", now, &options);
        assert_eq!(history.bytes(), 3 * MESSAGE_OVERHEAD + 3);
    }

    #[test]
    fn authors_count_once_for_messages_that_follow_each_other() {
        let now = CoarseInstant(1_000_000_000);
        let options = Options { history_messages: 4, ..Options::default() };
        let author = |client: &str| {
            Arc::new(Author { client: Some(client.into()), name: None, identity: None })
        };
        let (one, other) = (author("1.1"), author("1.2"));
        let mut history = History::default();
        let mut bytes_after = |author: Option<&Arc<Author>>| {
            let message = Message::new(Kind::Text, b"").unwrap();
            let published = Published { author: author.cloned(), ..Published::of(message) };
            history.append([published], now, &options);
            history.bytes() - history.len() * MESSAGE_OVERHEAD
        };
        let size = one.size();
        assert!((80..200).contains(&size), "{size}");
        let counted = [Some(&one), Some(&one), Some(&other), None].map(&mut bytes_after);
        assert_eq!(counted, [size, size, 2 * size, 2 * size]);
        // The first of each is forgotten with what it counts.
        let counted = [Some(&one), None, None, None].map(bytes_after);
        assert_eq!(counted, [2 * size, 2 * size, size, size]);
        assert_eq!(history.bytes(), 4 * MESSAGE_OVERHEAD + size);
    }

    #[test]
    fn a_key_counts_with_its_message() {
        let now = CoarseInstant(1_000_000_000);
        let options = Options { history_messages: 1, ..Options::default() };
        let mut history = History::default();
        let message = Published::of(Message::new(Kind::Text, b"").unwrap());
        let key = Some(Key::new(&"k".repeat(64)).unwrap());
        history.append([Published { key, ..message.clone() }], now, &options);
        assert_eq!(history.bytes(), MESSAGE_OVERHEAD + 64 + 24);
        history.append([message], now, &options);
        assert_eq!(history.bytes(), MESSAGE_OVERHEAD);
    }

    #[test]
    fn a_message_is_forgotten_when_it_is_too_old() {
        let options = Options::default();
        let start = CoarseInstant(1_000_000_000);
        let mut history = History::default();
        append(&mut history, "old", start, &options);
        let later = CoarseInstant(start.0 + 61_000_000_000);
        append(&mut history, "new", later, &options);
        assert_eq!(texts(&mut history, 10, later), ["new"]);
    }

    #[test]
    fn a_new_message_displaces_those_that_are_too_old_though_nobody_reads() {
        let options = Options { history_age: Duration::from_secs(60), ..Options::default() };
        let start = CoarseInstant(1_000_000_000);
        let mut history = History::default();
        for (seconds, kept) in [(0, 1), (0, 2), (60, 3), (61, 2), (200, 1)] {
            append(&mut history, "x", CoarseInstant(start.0 + seconds * 1_000_000_000), &options);
            assert_eq!(history.len(), kept, "after {seconds} s");
        }
    }

    #[test]
    fn a_history_of_none_keeps_none() {
        let none: [fn(&mut Options); 3] = [
            |options| options.history_messages = 0,
            |options| options.history_size = 0,
            |options| options.history_total = 0,
        ];
        for set in none {
            let mut options = Options::default();
            set(&mut options);
            let mut history = History::default();
            append(&mut history, "a", CoarseInstant(1_000_000_000), &options);
            assert!(history.is_empty());
        }
    }
}

//! What of a room's past a client gets when it enters the room: a pure function of what it asks for and of what the
//! room keeps.

use std::{
    collections::HashMap,
    ops::Deref,
    sync::{Arc, Weak},
};

use crate::{json::Reason, position::Position, published::Published};

/// The longest text of a position that a client may come back with, in bytes.
const MAX_SINCE: usize = 64;

/// How much of a room's past a client may have when it enters the room: of the messages that the room keeps from before
/// ([`Config::history_messages`](crate::Config::history_messages) and what follows it).
///
/// The client receives the past first, and then what is published after it has entered: nothing is missing between them,
/// and nothing comes twice. A client that comes back with a position lacks what was published after it. If all that is
/// within the bound, the client gets exactly that; otherwise it gets as much as the bound allows.
///
/// A plain client receives the past as messages like all others. A client of the JSON form is also told where the past
/// begins (`entered`) and that it is over (`live`), and if it came back, whether it recovers (`recovered`) or why not
/// (`reason`: `trimmed` if it lacks more than the bound allows or the room keeps). Such a client may also ask for earlier
/// messages (`history`), and gets none that this bound keeps from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Past {
    /// Nothing: the client receives what is published after it has entered.
    #[default]
    None,
    /// The last messages, up to this number. With 0 it is nothing.
    Last(usize),
    /// Everything that the room keeps.
    All,
}

impl Past {
    /// Returns the number of messages at most.
    pub(crate) fn most(self) -> usize {
        match self {
            Self::None => 0,
            Self::Last(count) => count,
            Self::All => usize::MAX,
        }
    }
}

/// For how many rooms beside the one of its path a client may say where it was.
const MAX_ROOMS: usize = 256;

/// By room: the position up to which a client has everything, in rooms that it has not entered yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SinceIn {
    rooms: HashMap<Box<str>, Since>,
    /// Whether the client has named more rooms than are kept: those count as unreadable.
    has_more: bool,
    /// Where it was in the first room that it enters, whichever that is.
    first: Option<Since>,
}

impl SinceIn {
    pub(crate) fn insert(&mut self, room: &str, since: Since) {
        if self.rooms.len() < MAX_ROOMS || self.rooms.contains_key(room) {
            self.rooms.insert(room.into(), since);
        } else {
            self.has_more = true;
        }
    }

    pub(crate) fn get(&self, room: &str) -> Option<Since> {
        let known = self.rooms.get(room).copied().or(self.first);
        known.or_else(|| self.has_more.then_some(Since::Unreadable))
    }

    /// Says where it was in the first room that it enters, if it does not say so by the room's name.
    pub(crate) fn insert_first(&mut self, since: Since) {
        self.first = Some(since);
    }

    /// Forgets where it was in a room that it enters.
    pub(crate) fn remove(&mut self, room: &str) {
        self.rooms.remove(room);
        self.first = None;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rooms.is_empty() && !self.has_more && self.first.is_none()
    }
}

/// What a client wants of a room's past, and how much of it the client may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PastWanted {
    /// Where the client has everything up to.
    pub(crate) since: Option<Since>,
    /// How many of the last messages it wants, if it cannot recover.
    pub(crate) last: Option<usize>,
    /// How many of the last messages it may have.
    pub(crate) most: usize,
    /// Whether it is told where it stands, so that it may come back.
    pub(crate) is_told: bool,
}

/// The position that a client comes back with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    Position(Position),
    /// A text that is no position.
    Unreadable,
}

impl Since {
    pub(crate) fn parse(text: &str) -> Self {
        let position = if text.len() <= MAX_SINCE { text.parse().ok() } else { None };
        position.map_or(Self::Unreadable, Self::Position)
    }

    /// Returns the position, which is none if the text is none.
    pub(crate) fn position(self) -> Position {
        match self {
            Self::Position(position) => position,
            Self::Unreadable => Position::NONE,
        }
    }
}

/// The last messages of a room. Clients that come at the same time share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct LastMessages {
    // Absent if there are none, which is the usual case.
    shared: Option<Arc<Vec<Published>>>,
    /// How many of the shared ones come before.
    skipped: usize,
}

impl LastMessages {
    /// Makes messages that no other client shares yet.
    pub(crate) fn of(messages: Vec<Published>) -> Self {
        let shared = (!messages.is_empty()).then(|| Arc::new(messages));
        Self { shared, skipped: 0 }
    }
}

impl Deref for LastMessages {
    type Target = [Published];

    fn deref(&self) -> &[Published] {
        self.shared.as_ref().map_or(&[], |shared| &shared[self.skipped..])
    }
}

/// The last messages that were given to a client of a room, while some client has them: the next gets the same.
#[derive(Debug, Default)]
pub(crate) struct LastGiven {
    /// The offset of the last of them.
    end: u64,
    messages: Weak<Vec<Published>>,
}

impl LastGiven {
    /// Returns the last `count` messages of a room that stands at the offset `end`; `collect` makes them.
    pub(crate) fn get(
        &mut self,
        end: u64,
        count: usize,
        collect: impl FnOnce() -> Vec<Published>,
    ) -> LastMessages {
        if count == 0 {
            return LastMessages::default();
        }
        let shared = self.messages.upgrade().filter(|_| self.end == end);
        let shared = shared.filter(|shared| shared.len() >= count).unwrap_or_else(|| {
            let made = Arc::new(collect());
            *self = Self { end, messages: Arc::downgrade(&made) };
            made
        });
        LastMessages { skipped: shared.len().saturating_sub(count), shared: Some(shared) }
    }
}

/// What a client gets of a room's past.
#[derive(Debug)]
pub(crate) struct PastGiven {
    pub(crate) messages: LastMessages,
    /// Where it stands before these messages.
    pub(crate) position: Position,
    /// It may read the messages after this offset.
    pub(crate) floor: u64,
    /// The position that it came back with.
    pub(crate) since: Option<Since>,
    /// Whether it recovers what it lacks, if it came back with a position.
    pub(crate) recovery: Option<Result<(), Reason>>,
    /// The number under which all of this is being read, if it is not known yet.
    pub(crate) load: Option<u64>,
}

impl PastGiven {
    /// Whether it is written at once, or has a place in what is.
    pub(crate) fn is_replayed(&self) -> bool {
        !self.messages.is_empty() || self.load.is_some()
    }

    /// Nothing, and the client stands at a position.
    pub(crate) fn nothing(position: Position, floor: u64) -> Self {
        let messages = LastMessages::default();
        Self { messages, position, floor, since: None, recovery: None, load: None }
    }

    /// What is still being read under a number.
    pub(crate) fn loading(load: u64) -> Self {
        // It may read nothing until that is known.
        Self { load: Some(load), ..Self::nothing(Position::NONE, u64::MAX) }
    }

    /// What a client gets whose past could not be read: it is told so, if its form says more than messages.
    pub(crate) fn unavailable(position: Position, floor: u64) -> Self {
        Self { recovery: Some(Err(Reason::Unavailable)), ..Self::nothing(position, floor) }
    }
}

impl PastWanted {
    /// What a client gets that the host puts into a room: as much as the host says, or what the client lacks if that
    /// is less.
    pub(crate) fn of_host(past: Past, since: Option<Since>) -> Self {
        let most = past.most();
        Self { since, last: Some(most), most, is_told: true }
    }

    /// Nothing of the past.
    pub(crate) const NONE: Self = Self { since: None, last: None, most: 0, is_told: false };

    /// Returns how many of a room's last messages the client gets, and whether it recovers. The room stands at `top`
    /// and keeps the last `kept` messages.
    pub(crate) fn of(&self, top: Position, kept: usize) -> (usize, Option<Result<(), Reason>>) {
        let most = kept.min(self.most);
        let Some(since) = self.since else { return (most.min(self.last.unwrap_or(0)), None) };
        let recovered = self.recover(since, top, most);
        let count = recovered.unwrap_or(most.min(self.last.unwrap_or(usize::MAX)));
        (count, Some(recovered.map(drop)))
    }

    /// Returns how many messages a client lacks that comes back with a position.
    fn recover(&self, since: Since, top: Position, most: usize) -> Result<usize, Reason> {
        let Since::Position(since) = since else { return Err(Reason::Invalid) };
        if top.is_none() {
            return Err(Reason::NoHistory);
        }
        if since.epoch != top.epoch {
            return Err(Reason::Epoch);
        }
        let lacking = top.offset.checked_sub(since.offset).ok_or(Reason::Ahead)?;
        usize::try_from(lacking).ok().filter(|it| *it <= most).ok_or(Reason::Trimmed)
    }
}

#[cfg(test)]
impl PastGiven {
    pub(crate) fn none() -> Self {
        Self::of(Vec::new())
    }

    pub(crate) fn of(messages: Vec<Published>) -> Self {
        Self { messages: LastMessages::of(messages), ..Self::nothing(Position::NONE, 0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{frame::Kind, message::Message};

    const TOP: Position = Position { epoch: 7, offset: 20 };

    fn wanted(since: Option<Since>, last: Option<usize>, most: usize) -> PastWanted {
        PastWanted { since, last, most, is_told: true }
    }

    fn at(epoch: u64, offset: u64) -> Option<Since> {
        Some(Since::Position(Position { epoch, offset }))
    }

    #[test]
    fn a_client_gets_exactly_what_it_lacks_or_is_told_why_not() {
        let of = |since| wanted(since, None, usize::MAX).of(TOP, 10);
        assert_eq!(of(at(7, 20)), (0, Some(Ok(()))));
        assert_eq!(of(at(7, 19)), (1, Some(Ok(()))));
        assert_eq!(of(at(7, 10)), (10, Some(Ok(()))));
        for (since, why) in [
            (at(7, 9), Reason::Trimmed),
            (at(7, 0), Reason::Trimmed),
            (at(7, 21), Reason::Ahead),
            (at(7, u64::MAX), Reason::Ahead),
            (at(8, 20), Reason::Epoch),
            (at(0, 0), Reason::Epoch),
            (Some(Since::Unreadable), Reason::Invalid),
        ] {
            assert_eq!(of(since), (10, Some(Err(why))), "{since:?}");
        }
        let without = |since| wanted(since, None, 5).of(Position::NONE, 0);
        assert_eq!(without(at(7, 9)), (0, Some(Err(Reason::NoHistory))));
        assert_eq!(without(at(0, 0)), (0, Some(Err(Reason::NoHistory))));
    }

    #[test]
    fn the_number_of_last_messages_counts_only_where_nothing_is_recovered() {
        let of = |since, last, most| wanted(since, last, most).of(TOP, 10);
        assert_eq!(of(None, None, usize::MAX), (0, None));
        assert_eq!(of(None, Some(3), usize::MAX), (3, None));
        assert_eq!(of(None, Some(11), usize::MAX), (10, None));
        assert_eq!(of(at(7, 12), Some(3), usize::MAX), (8, Some(Ok(()))));
        assert_eq!(of(at(8, 12), Some(3), usize::MAX), (3, Some(Err(Reason::Epoch))));
        assert_eq!(of(at(8, 12), Some(0), usize::MAX), (0, Some(Err(Reason::Epoch))));
    }

    #[test]
    fn nobody_gets_more_than_it_may_have() {
        let of = |since, last, most| wanted(since, last, most).of(TOP, 10);
        assert_eq!(of(None, Some(9), 4), (4, None));
        assert_eq!(of(at(7, 16), None, 4), (4, Some(Ok(()))));
        assert_eq!(of(at(7, 15), None, 4), (4, Some(Err(Reason::Trimmed))));
        assert_eq!(of(at(7, 15), Some(2), 4), (2, Some(Err(Reason::Trimmed))));
        // A client that lacks nothing recovers, even if it may have nothing of the past.
        assert_eq!(of(at(7, 20), None, 0), (0, Some(Ok(()))));
        assert_eq!(of(at(7, 19), None, 0), (0, Some(Err(Reason::Trimmed))));
        assert_eq!(of(None, Some(9), 0), (0, None));
    }

    #[test]
    fn a_text_of_more_than_64_bytes_is_no_position() {
        assert_eq!(Since::parse("7-12"), at(7, 12).unwrap());
        assert_eq!(Since::parse(""), Since::Unreadable);
        assert_eq!(Since::parse(&format!("7-{:0>70}", 12)), Since::Unreadable);
    }

    #[test]
    fn clients_that_come_at_the_same_time_share_a_rooms_last_messages() {
        let message = |number: u8| Published::of(Message::new(Kind::Binary, &[number]).unwrap());
        let made = |count: u8| move || (10 - count..10).map(message).collect::<Vec<_>>();
        let mut given = LastGiven::default();
        let get = |given: &mut LastGiven, end, count: u8| given.get(end, count.into(), made(count));
        let five = get(&mut given, 10, 5);
        // Fewer are the last of these, and more are made.
        let three = get(&mut given, 10, 3);
        assert_eq!((five.len(), three.len()), (5, 3));
        assert!(std::ptr::eq(&five[2..], &*three));
        let six = get(&mut given, 10, 6);
        assert!(!std::ptr::eq(&six[1..], &*five));
        assert_eq!(
            six.iter().map(|it| it.message.data()[0]).collect::<Vec<_>>(),
            [4, 5, 6, 7, 8, 9]
        );
        // Others are given of a room that has grown, and when nobody has these any more.
        assert!(!std::ptr::eq(&*get(&mut given, 11, 6), &*six));
        drop(get(&mut given, 12, 2));
        assert_eq!(get(&mut given, 12, 1).len(), 1);
        assert!(get(&mut given, 12, 0).is_empty());
    }
}

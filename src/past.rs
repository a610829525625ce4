//! What of a room's past a client gets when it enters the room: a pure function of what it asks for and of what the
//! room keeps.

use crate::{position::Position, published::Published};

/// The longest text of a position that a client may come back with, in bytes.
const MAX_SINCE: usize = 64;

/// What a client wants of a room's past, and how much of it the client may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PastWanted {
    /// Where the client has everything up to.
    pub(crate) since: Option<Since>,
    /// How many of the last messages it wants, if it cannot recover.
    pub(crate) last: Option<usize>,
    /// How many of the last messages it may have.
    pub(crate) most: usize,
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
}

/// Why a client does not get exactly what it lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotRecovered {
    /// The room is another one: its history began anew.
    Epoch,
    /// Some of what it lacks is not kept any more, or is not for it.
    Trimmed,
    /// It claims to have messages that the room has not stored.
    Ahead,
    /// Rooms keep no messages.
    NoHistory,
    /// It is not a position.
    Invalid,
}

/// What a client gets of a room's past.
#[derive(Debug)]
pub(crate) struct Past {
    pub(crate) messages: Vec<Published>,
    /// Where it stands before these messages.
    pub(crate) position: Position,
    /// Whether it recovers what it lacks, if it came back with a position.
    pub(crate) recovery: Option<Result<(), NotRecovered>>,
}

impl PastWanted {
    /// Nothing of the past.
    pub(crate) const NONE: Self = Self { since: None, last: None, most: 0 };

    /// The last `count` messages.
    pub(crate) fn last(count: usize) -> Self {
        Self { since: None, last: Some(count), most: usize::MAX }
    }

    /// Returns how many of a room's last messages the client gets, and whether it recovers. The room stands at `top`
    /// and keeps the last `kept` messages.
    pub(crate) fn of(
        &self,
        top: Position,
        kept: usize,
    ) -> (usize, Option<Result<(), NotRecovered>>) {
        let most = kept.min(self.most);
        let Some(since) = self.since else { return (most.min(self.last.unwrap_or(0)), None) };
        let recovered = self.recover(since, top, most);
        let count = recovered.unwrap_or(most.min(self.last.unwrap_or(usize::MAX)));
        (count, Some(recovered.map(drop)))
    }

    /// Returns how many messages a client lacks that comes back with a position.
    fn recover(&self, since: Since, top: Position, most: usize) -> Result<usize, NotRecovered> {
        let Since::Position(since) = since else { return Err(NotRecovered::Invalid) };
        if top.is_none() {
            return Err(NotRecovered::NoHistory);
        }
        if since.epoch != top.epoch {
            return Err(NotRecovered::Epoch);
        }
        let lacking = top.offset.checked_sub(since.offset).ok_or(NotRecovered::Ahead)?;
        usize::try_from(lacking).ok().filter(|it| *it <= most).ok_or(NotRecovered::Trimmed)
    }
}

#[cfg(test)]
impl Past {
    pub(crate) fn none() -> Self {
        Self { messages: Vec::new(), position: Position::NONE, recovery: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOP: Position = Position { epoch: 7, offset: 20 };

    fn at(epoch: u64, offset: u64) -> Option<Since> {
        Some(Since::Position(Position { epoch, offset }))
    }

    #[test]
    fn a_client_gets_exactly_what_it_lacks_or_is_told_why_not() {
        let of = |since| PastWanted { since, last: None, most: usize::MAX }.of(TOP, 10);
        assert_eq!(of(at(7, 20)), (0, Some(Ok(()))));
        assert_eq!(of(at(7, 19)), (1, Some(Ok(()))));
        assert_eq!(of(at(7, 10)), (10, Some(Ok(()))));
        for (since, why) in [
            (at(7, 9), NotRecovered::Trimmed),
            (at(7, 0), NotRecovered::Trimmed),
            (at(7, 21), NotRecovered::Ahead),
            (at(7, u64::MAX), NotRecovered::Ahead),
            (at(8, 20), NotRecovered::Epoch),
            (at(0, 0), NotRecovered::Epoch),
            (Some(Since::Unreadable), NotRecovered::Invalid),
        ] {
            assert_eq!(of(since), (10, Some(Err(why))), "{since:?}");
        }
        let without = |since| PastWanted { since, last: None, most: 5 }.of(Position::NONE, 0);
        assert_eq!(without(at(7, 9)), (0, Some(Err(NotRecovered::NoHistory))));
        assert_eq!(without(at(0, 0)), (0, Some(Err(NotRecovered::NoHistory))));
    }

    #[test]
    fn the_number_of_last_messages_counts_only_where_nothing_is_recovered() {
        let of = |since, last, most| PastWanted { since, last, most }.of(TOP, 10);
        assert_eq!(of(None, None, usize::MAX), (0, None));
        assert_eq!(of(None, Some(3), usize::MAX), (3, None));
        assert_eq!(of(None, Some(11), usize::MAX), (10, None));
        assert_eq!(of(at(7, 12), Some(3), usize::MAX), (8, Some(Ok(()))));
        assert_eq!(of(at(8, 12), Some(3), usize::MAX), (3, Some(Err(NotRecovered::Epoch))));
        assert_eq!(of(at(8, 12), Some(0), usize::MAX), (0, Some(Err(NotRecovered::Epoch))));
    }

    #[test]
    fn nobody_gets_more_than_it_may_have() {
        let of = |since, last, most| PastWanted { since, last, most }.of(TOP, 10);
        assert_eq!(of(None, Some(9), 4), (4, None));
        assert_eq!(of(at(7, 16), None, 4), (4, Some(Ok(()))));
        assert_eq!(of(at(7, 15), None, 4), (4, Some(Err(NotRecovered::Trimmed))));
        assert_eq!(of(at(7, 15), Some(2), 4), (2, Some(Err(NotRecovered::Trimmed))));
        // Whoever lacks nothing recovers also where nothing of the past may be had.
        assert_eq!(of(at(7, 20), None, 0), (0, Some(Ok(()))));
        assert_eq!(of(at(7, 19), None, 0), (0, Some(Err(NotRecovered::Trimmed))));
        assert_eq!(of(None, Some(9), 0), (0, None));
    }

    #[test]
    fn a_text_of_more_than_64_bytes_is_no_position() {
        assert_eq!(Since::parse("7-12"), at(7, 12).unwrap());
        assert_eq!(Since::parse(""), Since::Unreadable);
        assert_eq!(Since::parse(&format!("7-{:0>70}", 12)), Since::Unreadable);
    }
}

//! What a host reads and drops of the rooms' histories.

use super::Handle;
use crate::{
    error::Result,
    position::Position,
    rooms::HostCall,
    stored::{HistoryPage, Range},
};

impl Handle {
    /// Reads a part of what a room keeps, up to `limit` messages, the oldest first: who said what, and when. All is as it
    /// was at one moment, under the room's lock: also [`HistoryPage::position`], from which a client or a later page goes
    /// on without a gap.
    ///
    /// With [`Range::After`] the messages are what a client lacks that comes back with the position, the first of them
    /// first; [`HistoryPage::gap`] tells what such a client would be told. To read all that a room keeps, begin with
    /// `After(Position::NONE)` and go on behind the last message while [`HistoryPage::has_more`]; or begin with
    /// [`Range::Last`] and go on before the first.
    ///
    /// A page has at most what the room keeps ([`Config::history_messages`](crate::Config::history_messages) and what
    /// follows it), and at most 10,000 messages, and 16 MiB of payloads or one message. The payloads are shared with the
    /// room: they stay in memory while the page does, and the room may forget them. A room that does not exist keeps
    /// nothing; this does not make it.
    ///
    /// # Errors
    /// [`Error::InvalidRoom`](crate::Error::InvalidRoom), [`Error::Stopped`](crate::Error::Stopped).
    pub fn history(&self, room: &str, range: Range, limit: usize) -> Result<HistoryPage> {
        self.shared.rooms.history(room, range, limit, &HostCall::of(self))
    }

    /// Drops the messages of a room up to a position, that of the position included. They are not replayed any more, nor
    /// in pages, and count no more in [`Config::history_total`](crate::Config::history_total). With the room's own
    /// position ([`position`](Self::position)) it keeps nothing.
    ///
    /// Positions stay as they are. A client that comes back with an earlier one is told `trimmed`, and gets what the room
    /// keeps; one that comes back with `up_to` or a later one gets what it lacks. A replay that is under way goes on as it
    /// began. Nothing happens if the messages are gone already, or there is no such room.
    ///
    /// # Errors
    /// [`Error::InvalidRoom`](crate::Error::InvalidRoom); [`Error::InvalidArgument`](crate::Error::InvalidArgument) for
    /// [`Position::NONE`], a position of another history, and one that the room has not reached; [`Error::Stopped`](crate::Error::Stopped).
    pub fn trim(&self, room: &str, up_to: Position) -> Result<()> {
        self.shared.rooms.trim(room, up_to)
    }

    /// Drops all that a room keeps, and begins a new history: from here on its positions have another epoch, so that no
    /// earlier position leads anywhere. A client that comes back with one is told `epoch`, and gets what the room keeps
    /// by then.
    ///
    /// Clients that are in the room stay, and receive what is published to it. Those of the JSON form are told behind the
    /// last message of the old history that they are in another one: `entered` with the new position, `"recovered":false`
    /// and the reason `epoch`; clients of events get the event `gap`. Plain clients are told nothing. A replay that is
    /// under way goes on as it began, and comes before that. To drop messages and leave positions as they are, use
    /// [`trim`](Self::trim).
    ///
    /// Offsets go on, so that two messages of a room never have the same. A room without clients is forgotten, also where
    /// it stood. A message with a key that is still known stays a duplicate of the earlier one. Without history nothing
    /// happens.
    ///
    /// # Errors
    /// [`Error::InvalidRoom`](crate::Error::InvalidRoom), [`Error::QueueFull`](crate::Error::QueueFull) as for
    /// [`publish`](Self::publish): then nothing has changed. [`Error::Stopped`](crate::Error::Stopped).
    pub fn forget(&self, room: &str) -> Result<()> {
        self.shared.rooms.forget_history(room, &HostCall::of(self))
    }
}

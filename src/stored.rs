//! What a host reads of a room's past: a page of the messages that the room keeps.

use std::sync::Arc;

use crate::{event::ClientId, message::Message, position::Position};

/// Which messages of those that a room keeps, for [`Handle::history`](crate::Handle::history).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Range {
    /// The last ones.
    #[default]
    Last,
    /// The first ones behind a position: what a client that has everything up to there lacks.
    /// [`Position::NONE`] is the place before the oldest message that is kept.
    After(Position),
    /// The last ones before a position, without the message at the position.
    Before(Position),
}

/// A part of what a room keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryPage {
    /// The messages, the oldest first. Their offsets are consecutive.
    pub messages: Vec<StoredMessage>,
    /// Whether the room keeps more messages in the direction of the range: later ones with
    /// [`Range::After`], else earlier ones.
    pub has_more: bool,
    /// Where the room stood when the page was read: the position of its last message, in this page or not.
    /// [`Position::NONE`] if rooms have no history.
    pub position: Position,
    /// Why the page does not begin right behind the position of [`Range::After`], if so: a client that comes back with
    /// it is told the same. The page then begins with the oldest message that the room keeps. With [`Range::Before`],
    /// why the position is none of the room's.
    pub gap: Option<Gap>,
}

/// Why what comes next behind a position is not in a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Gap {
    /// The position is of another history: of another room, or of one that was forgotten.
    Epoch,
    /// What comes next is not kept any more.
    Trimmed,
    /// The room has not come that far.
    Ahead,
    /// Rooms have no history.
    NoHistory,
}

/// A message that a room keeps, and who published it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StoredMessage {
    /// Where it is in the room's history.
    pub position: Position,
    /// The client that published it, which may have left; `None` for the host.
    pub client: Option<ClientId>,
    /// What the host called its publisher then. Clients are not told.
    pub identity: Option<Arc<str>>,
    /// The name that clients of the JSON form see with it.
    pub name: Option<Arc<str>>,
    /// Whether the client itself said that this is its name.
    pub is_name_claimed: bool,
    /// Its key, if its publisher gave it one.
    pub key: Option<String>,
    /// When it was published, in milliseconds since 1970 by the system's clock. For display: the clock may have been set
    /// back.
    pub time: u64,
    /// The message.
    pub message: Message,
}

impl PartialEq for StoredMessage {
    /// Two are the same if they have one position: no position is used twice.
    fn eq(&self, other: &Self) -> bool {
        self.position == other.position
    }
}

impl Eq for StoredMessage {}

//! What a host asks for beside a message, and what it is told.

use std::fmt;

use crate::{error::Error, position::Position};

/// How a message is published, for [`publish_with`](crate::Handle::publish_with) and
/// [`publish_to`](crate::Handle::publish_to). The default is what [`publish`](crate::Handle::publish) does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PublishOptions<'a> {
    /// On whose behalf it is published: what the host calls a client
    /// ([`set_identity`](crate::Handle::set_identity)). At most 256 bytes. Clients do not see it. It is kept with the
    /// message, and the key is one of its keys.
    pub identity: Option<&'a str>,
    /// The name under which clients of the JSON form see the message: 1 to 128 bytes without control characters. Such a
    /// message has no `client`.
    pub name: Option<&'a str>,
    /// A name of the message that the host chooses, so that the message is published once however often the host tries:
    /// 1 to 64 bytes without control characters. Clients of the JSON form see it.
    ///
    /// It is known for five minutes after the message was published, within its room and the identity (the host's own, if
    /// there is none), which shares the keys of clients with that identity. A server knows the last 100,000 keys:
    /// [`Stats::keys_evicted`](crate::Stats::keys_evicted) counts those that it has forgotten earlier.
    pub key: Option<&'a str>,
    /// Whether the room's history does not get the message. It is delivered in the room's order to the clients that are
    /// in the room now, has no position, and nobody recovers it.
    pub without_history: bool,
}

/// Where a message of the host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// Its position in the room's history: [`Position::NONE`] if rooms have no history, or it was published without.
    pub position: Position,
    /// Whether its key was known: the message was published before, at this position, and not again.
    pub is_duplicate: bool,
}

/// Why a message was published to some rooms only, or to none.
#[derive(Debug)]
#[non_exhaustive]
pub struct PublishToError {
    /// Where it is in the rooms that it was published to, from the first on.
    pub published: Vec<Published>,
    /// Why it was not published to the next room.
    pub error: Error,
    /// The index of the room whose name is wrong.
    pub(crate) wrong: Option<usize>,
}

impl fmt::Display for PublishToError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.error.to_string();
        write!(f, "the message was published to {} rooms: ", self.published.len())?;
        match self.wrong {
            Some(index) => write!(f, "rooms[{index}]{}", text.trim_start_matches("room")),
            None => f.write_str(&text),
        }
    }
}

impl std::error::Error for PublishToError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

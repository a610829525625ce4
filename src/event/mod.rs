//! What the host is told.

mod queue;

use std::{fmt, net::SocketAddr, sync::Arc};

pub(crate) use self::queue::EventQueue;
use crate::message::Message;

/// The name of one connection: never 0, never used twice by a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(u64);

impl ClientId {
    /// Makes the id that a number stands for. Any number may be asked for: calls with one that is
    /// not of a client fail with [`Error::ClientNotFound`](crate::Error::ClientNotFound).
    #[must_use]
    pub fn from_u64(id: u64) -> Self {
        Self(id)
    }

    /// Makes the id of a shard's client. There are at most 256 shards.
    pub(crate) fn new(number: u64, shard: usize) -> Self {
        Self(number << 8 | shard as u64)
    }

    /// The shard that the client is on, if there is such a client.
    pub(crate) fn shard(self) -> usize {
        (self.0 & 0xFF) as usize
    }

    /// The id as a number.
    #[must_use]
    pub fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a client asked for when it connected.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// The client's address and port.
    pub addr: SocketAddr,
    /// The path as it was sent, percent-encoded, without the query.
    pub path: String,
    /// The query as it was sent, without the question mark; empty if there was none.
    pub query: String,
    /// The headers in the order in which they were sent, names in lower case. Values are bytes:
    /// HTTP does not promise UTF-8.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Request {
    /// The first value of a header, whose name is compared without regard to case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let (_, value) = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(value)
    }
}

/// Something that happened on a server.
///
/// The events of one client come in the order `Connected`, any number of `Message` and
/// `MessagesDropped`, `Disconnected`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A client has connected and is in its room.
    Connected {
        /// The client.
        client: ClientId,
        /// The room that it is in.
        room: Arc<str>,
        /// What it asked for.
        request: Arc<Request>,
    },
    /// A client published a message, which is on its way to the room.
    Message {
        /// The client.
        client: ClientId,
        /// The room.
        room: Arc<str>,
        /// The message's place in the room's order: 1 for the first.
        offset: u64,
        /// The message.
        message: Message,
    },
    /// The oldest messages that waited for a slow consumer were dropped
    /// ([`SlowConsumer::DropOldest`](crate::SlowConsumer::DropOldest)).
    MessagesDropped {
        /// The slow consumer.
        client: ClientId,
        /// How many messages it will not see.
        count: u64,
    },
    /// A client has left. It is in no room any more.
    Disconnected {
        /// The client.
        client: ClientId,
        /// The close code: the client's own, or the one that it was closed with. 1005 if its close
        /// frame held none, 1006 if the connection ended without one (RFC 6455, 7.4.1).
        code: u16,
        /// The close frame's reason, or what ended the connection.
        reason: Arc<str>,
    },
    /// A listener could not accept connections, for want of descriptors as a rule. It goes on
    /// trying. Reported once for each run of failures.
    AcceptFailed {
        /// The address that it listens on.
        addr: SocketAddr,
        /// What the operating system said.
        error: Arc<str>,
    },
    /// Message events were dropped here, because the host did not take events in time.
    EventsDropped {
        /// How many.
        count: u64,
    },
    /// The server has stopped. The last event.
    Stopped,
}

//! The events that the host gets.

mod queue;
mod request;

use std::{fmt, net::SocketAddr, sync::Arc};

pub(crate) use self::queue::EventQueue;
pub use self::request::Request;
use crate::{message::Message, position::Position};

/// The id of one connection: never 0, never used twice by a server. Clients of two servers may have the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(u64);

impl ClientId {
    /// Makes an id from its number. Any number is allowed: a call with the number of no client
    /// fails with [`Error::ClientNotFound`](crate::Error::ClientNotFound).
    #[must_use]
    pub fn from_u64(id: u64) -> Self {
        Self(id)
    }

    /// Makes the id of a client on a shard. There are at most 256 shards.
    pub(crate) fn new(number: u64, shard: usize) -> Self {
        Self(number << 8 | shard as u64)
    }

    /// Returns the shard that the client is on, if there is such a client.
    pub(crate) fn shard(self) -> usize {
        (self.0 & 0xFF) as usize
    }

    /// Returns the id as a number.
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

/// The id of one decision of the host on a message: never 0, never used twice by a server. Decisions of two servers
/// may have the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DecisionId(u64);

impl DecisionId {
    /// Makes an id from its number. Any number is allowed: a call with the number of no decision
    /// fails with [`Error::DecisionNotFound`](crate::Error::DecisionNotFound).
    #[must_use]
    pub fn from_u64(id: u64) -> Self {
        Self(id)
    }

    /// Makes the id of a decision on a shard.
    pub(crate) fn new(number: u64, shard: usize) -> Self {
        Self(number << 8 | shard as u64)
    }

    /// Returns the shard that the message is on, if there is such a decision.
    pub(crate) fn shard(self) -> usize {
        (self.0 & 0xFF) as usize
    }

    /// Returns the id as a number.
    #[must_use]
    pub fn as_u64(self) -> u64 {
        self.0
    }
}

/// How a client receives messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Form {
    /// A WebSocket whose messages are the messages themselves.
    Plain,
    /// A WebSocket whose messages are objects.
    Json,
    /// Server-sent events over HTTP, of the messages themselves or of objects. Such a client sends nothing, and is in one
    /// room.
    Events,
}

/// Something that happened on a server.
///
/// The events of one client come in this order: `ConnectRequest` (if the host decides on clients),
/// `Connected`, any number of `MessageRequest`, `Message`, `Signal`, `Joined`, `Left` and `MessagesDropped`,
/// `Disconnected`. If the host joins a client to rooms before it accepts it, those `Joined` come
/// before `Connected`. A client that is not admitted has no `Connected`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A client asks to be connected, and waits for [`Handle::accept`](crate::Handle::accept) or
    /// [`Handle::reject`](crate::Handle::reject)
    /// ([`Config::admission_timeout`](crate::Config::admission_timeout)).
    ConnectRequest {
        /// The client.
        client: ClientId,
        /// The room that it asks for.
        room: Arc<str>,
        /// How it will receive messages.
        form: Form,
        /// Its request.
        request: Arc<Request>,
    },
    /// A client has connected and is in its room.
    Connected {
        /// The client.
        client: ClientId,
        /// The client's identity ([`Handle::set_identity`](crate::Handle::set_identity)).
        identity: Option<Arc<str>>,
        /// The room that it is in and publishes to; empty if it is in none.
        room: Arc<str>,
        /// How it receives messages.
        form: Form,
        /// Its request.
        request: Arc<Request>,
    },
    /// A client sent a message, which waits for [`Handle::allow`](crate::Handle::allow) or
    /// [`Handle::refuse`](crate::Handle::refuse)
    /// ([`Config::review_timeout`](crate::Config::review_timeout)). If it is published, `Message`
    /// follows.
    MessageRequest {
        /// The client.
        client: ClientId,
        /// What the host calls it.
        identity: Option<Arc<str>>,
        /// The room that the message is for.
        room: Arc<str>,
        /// The id of the decision.
        decision: DecisionId,
        /// The message.
        message: Message,
    },
    /// A client published a message, which is being delivered to the room.
    Message {
        /// The client.
        client: ClientId,
        /// What the host calls it.
        identity: Option<Arc<str>>,
        /// The room. Empty if the client is in none: then the message goes to the host alone.
        room: Arc<str>,
        /// Where the message is in the room's history; [`Position::NONE`] if the room has none, or without a room.
        position: Position,
        /// The message.
        message: Message,
    },
    /// The oldest messages that waited for a slow consumer were dropped
    /// ([`SlowConsumer::DropOldest`](crate::SlowConsumer::DropOldest)).
    MessagesDropped {
        /// The slow consumer.
        client: ClientId,
        /// How many messages it does not get.
        count: u64,
    },
    /// The host has put a client into a room ([`Handle::join`](crate::Handle::join)).
    Joined {
        /// The client.
        client: ClientId,
        /// What the host calls it.
        identity: Option<Arc<str>>,
        /// The room.
        room: Arc<str>,
    },
    /// The host has taken a client out of a room ([`Handle::leave`](crate::Handle::leave)).
    Left {
        /// The client.
        client: ClientId,
        /// What the host calls it.
        identity: Option<Arc<str>>,
        /// The room.
        room: Arc<str>,
    },
    /// A client has disconnected, or was not admitted. It is in no room any more. Its socket may
    /// stay open for some seconds, and counts as a connection until then: the server writes what
    /// waits for the client and awaits its close frame.
    Disconnected {
        /// The client.
        client: ClientId,
        /// What the host calls it.
        identity: Option<Arc<str>>,
        /// The close code: the client's own, or the one that it was closed with. 1005 if its close
        /// frame had no code, 1006 if the connection ended without a close frame (RFC 6455, 7.4.1). A client
        /// of events that leaves has 1006.
        code: u16,
        /// The close frame's reason, or what ended the connection.
        reason: Arc<str>,
    },
    /// Somebody has come to a room: the first client of an identity, or a client without one
    /// ([`Config::members`](crate::Config::members)). A client enters its room before it counts as connected, so this
    /// comes before its `Connected`. What the host calls a client changes who is in its rooms.
    MemberEntered {
        /// The client.
        client: ClientId,
        /// What the host calls it.
        identity: Option<Arc<str>>,
        /// The room.
        room: Arc<str>,
    },
    /// Somebody is not in a room any more: no client of the identity is there, nor was for
    /// [`Config::member_grace`](crate::Config::member_grace), or a client without identity has left. Of each identity in
    /// each room, and of each client without one, `MemberEntered` and `MemberLeft` take turns.
    MemberLeft {
        /// The identity's last client there.
        client: ClientId,
        /// What the host calls it.
        identity: Option<Arc<str>>,
        /// The room.
        room: Arc<str>,
    },
    /// A room has got its first client ([`Config::occupancy`](crate::Config::occupancy)). Of each room, `RoomOccupied` and
    /// `RoomVacated` take turns.
    RoomOccupied {
        /// The room.
        room: Arc<str>,
    },
    /// A room has no client, and had none for [`Config::member_grace`](crate::Config::member_grace). When the server
    /// stops, each room is vacated before `Stopped`.
    RoomVacated {
        /// The room.
        room: Arc<str>,
    },
    /// A listener could not accept connections, usually for lack of descriptors. It keeps trying.
    /// Reported once for each run of failures.
    AcceptFailed {
        /// The address that it listens on.
        addr: SocketAddr,
        /// The operating system's text.
        error: Arc<str>,
    },
    /// Message events were dropped at this point, because the host did not take events in time.
    EventsDropped {
        /// How many.
        count: u64,
    },
    /// The server has stopped. This is the last event.
    Stopped,
    /// A client has signalled to the others in a room, or to the host alone
    /// ([`Config::signal_rate`](crate::Config::signal_rate)). While half of the event queue is full, signals are dropped,
    /// and counted in [`Stats::signals_dropped`](crate::Stats::signals_dropped).
    Signal {
        /// The client.
        client: ClientId,
        /// What the host calls it.
        identity: Option<Arc<str>>,
        /// The room; empty if the client is in none: then the signal was for the host.
        room: Arc<str>,
        /// What it said: at most 4 KiB.
        message: Message,
    },
}

impl Event {
    /// Returns roughly what its message or request keeps in memory, in bytes.
    fn bytes(&self) -> usize {
        match self {
            Self::ConnectRequest { request, .. } | Self::Connected { request, .. } => {
                request.size()
            }
            Self::MessageRequest { message, .. }
            | Self::Message { message, .. }
            | Self::Signal { message, .. } => message.data().len(),
            _ => 0,
        }
    }

    /// Returns the identity of the event's client, if the event is about a client and the host has
    /// set one.
    #[must_use]
    pub fn identity(&self) -> Option<&str> {
        match self {
            Self::Connected { identity, .. }
            | Self::MessageRequest { identity, .. }
            | Self::Message { identity, .. }
            | Self::Signal { identity, .. }
            | Self::Joined { identity, .. }
            | Self::Left { identity, .. }
            | Self::MemberEntered { identity, .. }
            | Self::MemberLeft { identity, .. }
            | Self::Disconnected { identity, .. } => identity.as_deref(),
            _ => None,
        }
    }
}

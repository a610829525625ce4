//! What a shard is told to do: plain data, so that what a command owes to the order is in one table.

use std::{
    net::{SocketAddr, TcpStream},
    sync::Arc,
};

use bytes::Bytes;

use super::load::LoadGuard;
use crate::{
    context::Permit,
    event::{ClientId, DecisionId},
    frame,
    message::Message,
};

/// The number of a room; the same on all shards, never used twice by a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct RoomId(pub(crate) u64);

impl RoomId {
    /// The room that every client is in: broadcasts go there.
    pub(crate) const EVERYONE: Self = Self(0);
}

/// One message on its way to the subscribers of a room on one shard.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) room: RoomId,
    /// The message's place in the room's order.
    pub(crate) offset: u64,
    pub(crate) message: Message,
    /// The sender, if it does not receive its own message.
    pub(crate) exclude: Option<ClientId>,
}

/// A connection that the listener has accepted, on its way to its shard.
#[derive(Debug)]
pub(crate) struct AcceptedStream {
    pub(crate) stream: TcpStream,
    pub(crate) addr: SocketAddr,
    /// Counts it among the handshakes.
    pub(crate) permit: Permit,
    /// Counts it among the shard's connections.
    pub(crate) load: LoadGuard,
}

/// A close frame, and what the host is told of it.
#[derive(Debug)]
pub(crate) struct CloseFrame {
    pub(crate) frame: Bytes,
    pub(crate) disconnect: Disconnect,
}

impl CloseFrame {
    pub(crate) fn new(code: u16, reason: &str) -> Self {
        let frame = frame::close_frame(code, reason);
        Self { frame, disconnect: Disconnect { code, reason: reason.into() } }
    }
}

/// Why a connection ends, as in `Event::Disconnected`.
#[derive(Debug, Clone)]
pub(crate) struct Disconnect {
    pub(crate) code: u16,
    pub(crate) reason: Arc<str>,
}

/// A subscriber's place in a room, counted by the room and not taken by the client yet. The shard that
/// receives it takes the place or gives it back.
#[derive(Debug)]
pub(crate) struct Reservation {
    pub(crate) room: RoomId,
    /// The first message that the client receives.
    pub(crate) from: u64,
    /// Messages from before that.
    pub(crate) history: Vec<Message>,
}

/// Why a client is not admitted: the answer to its request.
#[derive(Debug)]
pub(crate) struct Rejection {
    pub(crate) status: u16,
    pub(crate) text: String,
}

/// The host's decision on a message.
#[derive(Debug)]
pub(crate) enum Verdict {
    Allow,
    /// Publishes another message in its place.
    Change(Message),
    Refuse,
}

/// What a shard is told to do, in the order of its inbox.
#[derive(Debug)]
pub(crate) enum Command {
    /// Delivers a message to a room's subscribers.
    Deliver(Delivery),
    /// Delivers a message to one client.
    Send(ClientId, Message),
    /// Closes a connection because its client broke the protocol, or closed it.
    Close(ClientId, CloseFrame),
    /// Closes a connection because the host says so.
    Disconnect(ClientId, CloseFrame),
    /// Puts a client into a room.
    Join(ClientId, Box<Reservation>),
    /// Takes a client out of a room.
    Leave(ClientId, RoomId),
    SetEcho(ClientId, bool),
    SetIdentity(ClientId, Arc<str>),
    /// Admits a client: to the room that it asked for, and to broadcasts from an offset on.
    Admit(ClientId, Option<Box<Reservation>>, u64),
    /// Answers a client's request with an error.
    Reject(ClientId, Box<Rejection>),
    /// Carries out a decision on a message.
    Decide(ClientId, DecisionId, Verdict),
    /// Serves a connection.
    Accept(Box<AcceptedStream>),
    /// Ends a shard that cannot go on.
    Fail,
    /// Drains and ends. Nothing follows.
    Stop,
}

/// What a tick may spend, in sixty-fourths of a write to a socket.
pub(crate) type Cost = usize;

/// The cost of one write.
pub(crate) const WRITE: Cost = 64;

/// A write of as many bytes costs one more.
pub(crate) const WRITE_SIZE: usize = 16 * 1024;

/// The cost of a write of `len` bytes.
pub(crate) fn write_cost(len: usize) -> Cost {
    WRITE + len * WRITE / WRITE_SIZE
}

impl Command {
    /// The client to which everything must be written that it lacks before the command is carried out. The
    /// others need not wait: their order does not change.
    ///
    /// - `Deliver`: a broadcast's room is a lane like any other, and lanes are merged in their order.
    /// - `Send`: it has a place in the shard's sequence, as a delivery has.
    /// - `Close`, `Disconnect`: nothing follows the close frame.
    /// - `Leave`: the client is owed what was published before.
    /// - `Join`, `Admit`: a replay is a send. Without history, the first offset was fixed under the room's
    ///   lock, and nothing need be written.
    /// - `SetEcho`, `SetIdentity`: they count when a message is published, not when it is delivered.
    pub(crate) fn flushes(&self) -> Option<ClientId> {
        match self {
            Self::Close(client, _) | Self::Disconnect(client, _) | Self::Leave(client, _) => {
                Some(*client)
            }
            Self::Join(client, reservation) | Self::Admit(client, Some(reservation), _) => {
                (!reservation.history.is_empty()).then_some(*client)
            }
            _ => None,
        }
    }

    /// The client whose bytes wait until the command is carried out: what it sends after the host's call
    /// has returned is handled after the call.
    pub(crate) fn holds(&self) -> Option<ClientId> {
        match self {
            Self::Disconnect(client, _)
            | Self::Join(client, _)
            | Self::Leave(client, _)
            | Self::SetEcho(client, _)
            | Self::SetIdentity(client, _)
            | Self::Admit(client, ..) => Some(*client),
            _ => None,
        }
    }

    /// What carrying it out costs, beside what it flushes.
    pub(crate) fn cost(&self) -> Cost {
        match self {
            Self::Deliver(_) => 1,
            // It is copied, and written later.
            Self::Send(_, message) => 1 + write_cost(message.data().len()) / 64,
            Self::Close(..) | Self::Disconnect(..) | Self::Reject(..) => WRITE,
            Self::Join(_, reservation) if reservation.history.is_empty() => WRITE / 4,
            Self::Join(..) | Self::Admit(..) => WRITE,
            Self::Leave(..) => WRITE / 4,
            Self::SetEcho(..) | Self::SetIdentity(..) => WRITE / 16,
            // It may publish a message that waits behind other decided ones.
            Self::Decide(..) => WRITE / 4,
            Self::Accept(_) => 8 * WRITE,
            Self::Fail | Self::Stop => 0,
        }
    }

    /// Roughly what it keeps in memory beside itself, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Deliver(Delivery { message, .. })
            | Self::Send(_, message)
            | Self::Decide(_, _, Verdict::Change(message)) => message.data().len(),
            _ => 0,
        }
    }
}

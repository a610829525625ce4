//! What a shard is told to do: plain data, so that one table says of each command what must be written before
//! it, whose input it holds, and what it costs.

use std::{
    net::{Shutdown, SocketAddr, TcpStream},
    sync::Arc,
};

use bytes::Bytes;

use rustc_hash::FxHashMap;

use super::load::LoadGuard;
use crate::{
    broker::Page,
    context::Permit,
    event::{ClientId, DecisionId},
    frame,
    json::{Reason, Refusal, Refused},
    message::Message,
    past::PastGiven,
    position::Position,
    published::{Name, Published},
};

/// The number of a room; the same on all shards, never used twice by a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct RoomId(pub(crate) u64);

impl RoomId {
    /// The broadcast room, which every client is in.
    pub(crate) const EVERYONE: Self = Self(0);
}

/// A room, as its subscribers know it.
#[derive(Debug, Clone)]
pub(crate) struct RoomHead {
    pub(crate) id: RoomId,
    pub(crate) name: Arc<str>,
    /// Which history; 0 if the room has none, and so no positions.
    pub(crate) epoch: u64,
}

impl RoomHead {
    /// Whether it is the broadcast room.
    pub(crate) fn is_everyone(&self) -> bool {
        self.id == RoomId::EVERYONE
    }
}

#[cfg(test)]
impl RoomHead {
    /// Makes the head of a room without positions.
    pub(crate) fn of(id: u64) -> Arc<Self> {
        Arc::new(Self { id: RoomId(id), name: format!("room {id}").into(), epoch: 0 })
    }
}

/// One message, or one signal, on its way to the subscribers of a room on one shard.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) room: RoomId,
    /// The message's number in the room's lanes, which counts every delivery. A signal has the number of the message that
    /// comes next: so those get it who get that.
    pub(crate) number: u64,
    /// The message's offset in the room's history; 0 if it is not stored there.
    pub(crate) offset: u64,
    pub(crate) message: Published,
    /// The sender, if it does not receive its own message.
    pub(crate) exclude: Option<ClientId>,
    /// On the sender's shard, what the sender is told behind the message.
    pub(crate) answer: Option<Box<Answer>>,
    /// Whether it is a signal: no lane of the plain form has it, and no client that lags gets it.
    pub(crate) is_signal: bool,
}

/// What a client is told about something that it sent.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) client: ClientId,
    pub(crate) frame: Bytes,
}

/// An accepted socket that no shard serves yet. Dropping it ends the connection, also if a fork of the process has a
/// copy of its descriptor.
#[derive(Debug)]
pub(crate) struct UnservedSocket(Option<TcpStream>);

impl UnservedSocket {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self(Some(stream))
    }

    /// Takes the socket, in order to serve it.
    pub(crate) fn take(mut self) -> Option<TcpStream> {
        self.0.take()
    }
}

impl Drop for UnservedSocket {
    fn drop(&mut self) {
        if let Some(stream) = &self.0 {
            // It fails if the client has ended it already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// A connection that the listener has accepted, on its way to its shard.
#[derive(Debug)]
pub(crate) struct AcceptedStream {
    pub(crate) stream: UnservedSocket,
    pub(crate) addr: SocketAddr,
    /// Counts it among the handshakes.
    pub(crate) permit: Permit,
    /// Counts it among the shard's connections.
    pub(crate) load: LoadGuard,
}

/// Close code of a client that may come back later: it reads too slowly, or there is no room for it.
pub(crate) const TRY_AGAIN_LATER: u16 = 1013;

/// A close frame, and how the host is told.
#[derive(Debug)]
pub(crate) struct CloseFrame {
    /// Whether it answers the client's own, so that nothing else is said.
    pub(crate) is_answer: bool,
    pub(crate) frame: Bytes,
    pub(crate) disconnect: Disconnect,
}

impl CloseFrame {
    pub(crate) fn new(code: u16, reason: &str) -> Self {
        let frame = frame::close_frame(code, reason);
        Self { is_answer: false, frame, disconnect: Disconnect { code, reason: reason.into() } }
    }
}

/// Why a connection ends, as in `Event::Disconnected`.
#[derive(Debug, Clone)]
pub(crate) struct Disconnect {
    pub(crate) code: u16,
    pub(crate) reason: Arc<str>,
}

/// A membership that the room has counted and the client does not have yet. The shard that receives it adds it
/// to the client or undoes the count.
#[derive(Debug)]
pub(crate) struct Reservation {
    pub(crate) room: Arc<RoomHead>,
    /// The number in the room's lanes of the first message that the client receives.
    pub(crate) from: u64,
    pub(crate) past: PastGiven,
}

/// Why a client is not admitted: the answer to its request.
#[derive(Debug)]
pub(crate) struct Rejection {
    pub(crate) status: u16,
    pub(crate) text: String,
    /// Further headers, encoded: each line ends with CRLF.
    pub(crate) headers: String,
}

/// The host's decision on a message.
#[derive(Debug)]
pub(crate) enum Verdict {
    Allow,
    /// Publishes another message in its place.
    Change(Message),
    /// Why it is not published.
    Refuse(Refused),
    /// It repeats an earlier message, which is at this position.
    Duplicate(Position),
}

/// A client's request for earlier messages of a room.
#[derive(Debug)]
pub(crate) struct HistoryRequest {
    /// What the client calls it, as raw JSON.
    pub(crate) id: Box<str>,
    pub(crate) room: RoomId,
    /// The offset before which the messages are.
    pub(crate) before: Option<u64>,
    /// Which history.
    pub(crate) epoch: u64,
    pub(crate) limit: usize,
}

/// That a room's subscribers stand somewhere else than behind the last message that they got.
#[derive(Debug, Clone)]
pub(crate) struct Reentry {
    /// The room from here on.
    pub(crate) room: Arc<RoomHead>,
    /// Its place among the numbers of the room's lanes. Who has subscribed later is not concerned.
    pub(crate) number: u64,
    /// Where the subscribers stand.
    pub(crate) position: Position,
    /// Why they have missed messages, if they have.
    pub(crate) reason: Option<Reason>,
}

/// What of a room's past a client gets that has entered the room before.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The number under which it was read.
    pub(crate) load: u64,
    /// The room as it was when the client entered.
    pub(crate) room: Arc<RoomHead>,
    pub(crate) past: PastGiven,
}

/// What has become of what a client sent.
#[derive(Debug)]
pub(crate) enum Settled {
    /// It is stored, and on its way to the client too. There is no position if the client was told of a later one.
    Sent(Position),
    Refused(Refusal),
    /// What was asked for.
    Page(Page),
}

/// What the clients of a shard that watch a room's members are told.
#[derive(Debug)]
pub(crate) struct MembersTold {
    pub(crate) room: RoomId,
    /// By the index of the form that has objects.
    pub(crate) frames: [MembersFrames; 2],
    /// Those that were told nothing before, and the numbers of their watches.
    pub(crate) new: FxHashMap<ClientId, u64>,
}

/// What those of one form are told.
#[derive(Debug, Default, Clone)]
pub(crate) struct MembersFrames {
    pub(crate) to_old: Option<Bytes>,
    pub(crate) to_new: Option<Bytes>,
}

/// What a shard is told to do.
#[derive(Debug)]
pub(crate) enum Command {
    /// Delivers a message to a room's subscribers.
    Deliver(Delivery),
    /// Delivers a message to one client.
    Send(ClientId, Message),
    /// Delivers a signal to one client, unless it lags.
    Signal(ClientId, Message),
    /// Answers a client, behind what its earlier messages have become.
    Answer(Answer),
    /// Sends earlier messages to a client. They are read when it is applied, so that what waits in an inbox is small.
    History(ClientId, Box<HistoryRequest>),
    /// Closes a connection because its client broke the protocol, or closed it.
    Close(ClientId, CloseFrame),
    /// Closes a connection because the host says so.
    Disconnect(ClientId, CloseFrame),
    /// Puts a client into a room.
    Join(ClientId, Box<Reservation>),
    /// Takes a client out of a room.
    Leave(ClientId, RoomId),
    /// Begins a replay whose past has been read.
    Loaded(ClientId, Box<Loaded>),
    /// Delivers a room's messages to a subscriber from another number on.
    Resume(ClientId, RoomId, u64),
    /// Has a room's subscribers stand somewhere else, and tells them if they have missed messages.
    Reenter(Box<Reentry>),
    /// Tells a client what has become of what it sent, by the number under which that is awaited.
    Settle(ClientId, u64, Box<Settled>),
    SetEcho(ClientId, bool),
    /// Sets what the host calls a client, or that it has no name for it.
    SetIdentity(ClientId, Option<Arc<str>>),
    SetName(ClientId, Option<Name>),
    /// Sets whether a client may watch the members of its rooms.
    SetMembers(ClientId, bool),
    /// Tells clients that watch a room's members what has changed.
    Members(Box<MembersTold>),
    /// Admits a client: to the room that it asked for, and to broadcasts from an offset on; under a subprotocol that the
    /// host has chosen.
    Admit(ClientId, Option<Box<Reservation>>, u64, Option<Box<str>>),
    /// Answers a client's request with an error.
    Reject(ClientId, Box<Rejection>),
    /// Applies a decision on a message.
    Decide(ClientId, DecisionId, Verdict),
    /// Serves a connection that the listener accepted.
    Accept(Box<AcceptedStream>),
    /// Ends a shard of which a part failed.
    Fail,
    /// Panics on the shard's thread.
    #[cfg(test)]
    Panic,
    /// Drains and ends. Nothing follows.
    Stop,
}

/// What a tick may spend. A write to a socket costs `WRITE`.
pub(crate) type Cost = usize;

/// The cost of one short write.
pub(crate) const WRITE: Cost = 64;

/// A long write costs one `WRITE` more for each of this many bytes.
pub(crate) const WRITE_SIZE: usize = 16 * 1024;

/// Returns the cost of a write of `len` bytes.
pub(crate) fn write_cost(len: usize) -> Cost {
    WRITE + len * WRITE / WRITE_SIZE
}

impl MembersTold {
    fn bytes(&self) -> usize {
        let frames = self.frames.iter().flat_map(|frames| [&frames.to_old, &frames.to_new]);
        let frames = frames.flatten().map(Bytes::len).sum::<usize>();
        frames + self.new.len() * size_of::<(ClientId, u64)>()
    }
}

impl Command {
    /// Returns the client that must be flushed before the command is applied: everything that it lacks is
    /// written to it. No other client needs a flush, since its order does not change.
    ///
    /// - `Deliver`: a broadcast's room is a lane like any other, and lanes are merged in their order.
    /// - `Send`, `Signal`, `Answer`, `History`, `Settle`, `Reenter`, `Members`: it has a position in the shard's sequence, as a delivery has.
    /// - `Close`, `Disconnect`: nothing follows the close frame.
    /// - `Leave`: the client gets what was published before.
    /// - `Join`, `Admit`: a history is written at once, so what was published before comes first. Without a
    ///   history nothing need be written: the first offset was fixed under the room's lock.
    /// - `Loaded`: the place of the history has been there since the client entered the room.
    /// - `SetEcho`, `SetIdentity`, `SetName`: they affect what the client publishes, not what it receives.
    /// - `SetMembers`: what the client is told of members has no place among messages.
    pub(crate) fn flushes(&self) -> Option<ClientId> {
        match self {
            Self::Close(client, _) | Self::Disconnect(client, _) | Self::Leave(client, _) => {
                Some(*client)
            }
            Self::Join(client, reservation) | Self::Admit(client, Some(reservation), ..) => {
                reservation.past.is_replayed().then_some(*client)
            }
            _ => None,
        }
    }

    /// Returns the client whose input is held until the command is applied: so what it sends after the host's
    /// call has returned is handled after the call.
    pub(crate) fn holds_input_of(&self) -> Option<ClientId> {
        match self {
            Self::Disconnect(client, _)
            | Self::Join(client, _)
            | Self::Leave(client, _)
            | Self::SetEcho(client, _)
            | Self::SetIdentity(client, _)
            | Self::SetName(client, _)
            | Self::Admit(client, ..) => Some(*client),
            _ => None,
        }
    }

    /// Whether it changes what the host's threads know of a client.
    pub(crate) fn concerns_roster(&self) -> bool {
        matches!(self, Self::Reject(..)) || self.holds_input_of().is_some()
    }

    /// Returns what applying it costs, beside what it flushes.
    pub(crate) fn cost(&self) -> Cost {
        match self {
            Self::Deliver(_) => 1,
            // It is copied now, and written later at the cost of a write.
            Self::Send(_, message) | Self::Signal(_, message) => {
                1 + write_cost(message.data().len()) / 64
            }
            Self::Answer(answer) => 1 + write_cost(answer.frame.len()) / 64,
            Self::History(..) => 4 * WRITE,
            Self::Close(..) | Self::Disconnect(..) | Self::Reject(..) => WRITE,
            Self::Join(_, reservation) if !reservation.past.is_replayed() => WRITE / 4,
            Self::Join(..) | Self::Admit(..) => WRITE,
            Self::Leave(..) => WRITE / 4,
            Self::Loaded(..) | Self::Reenter(_) => WRITE,
            Self::Resume(..) | Self::Settle(..) => WRITE / 16,
            Self::SetEcho(..)
            | Self::SetIdentity(..)
            | Self::SetName(..)
            | Self::SetMembers(..)
            | Self::Members(_) => WRITE / 16,
            // It may publish a message that waits behind other decided ones.
            Self::Decide(..) => WRITE / 4,
            Self::Accept(_) => 8 * WRITE,
            Self::Fail | Self::Stop => 0,
            #[cfg(test)]
            Self::Panic => 0,
        }
    }

    /// Returns roughly what it keeps in memory beside itself, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Deliver(Delivery { message, .. }) => message.message.data().len(),
            Self::Answer(answer) => answer.frame.len(),
            Self::Members(told) => told.bytes(),
            Self::Send(_, message)
            | Self::Signal(_, message)
            | Self::Decide(_, _, Verdict::Change(message)) => message.data().len(),
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read, net::TcpListener};

    use super::*;

    #[test]
    fn an_accepted_socket_that_nobody_serves_ends_though_a_fork_has_a_copy_of_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connect = || {
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            (client, listener.accept().unwrap().0)
        };
        let (mut client, accepted) = connect();
        let _copy = accepted.try_clone().unwrap();
        drop(UnservedSocket::new(accepted));
        assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
        // One that is served goes on.
        let (client, accepted) = connect();
        let served = UnservedSocket::new(accepted).take();
        client.set_nonblocking(true).unwrap();
        let nothing = (&client).read(&mut [0; 1]).unwrap_err();
        assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
        drop(served);
    }
}

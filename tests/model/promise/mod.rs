//! What may a client's stream be? A model of what is promised, apart from sockets and servers.
//!
//! A [`World`] records what was done and what came of it: the deeds of the host's threads, what each
//! client said and received, and what the host was told. [`check`] says which promise the record breaks.

mod direct;
mod moves;
mod order;
mod room;
mod stream;
#[cfg(test)]
mod tests;

use std::{fmt, str::FromStr};

/// Who published a message, and which of its deeds or messages it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Tag {
    pub(crate) by: Publisher,
    /// Of a thread of the host, the number of the deed; of a client, of the message.
    pub(crate) number: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Publisher {
    Host(usize),
    Client(usize),
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.by {
            Publisher::Host(thread) => write!(f, "h{thread}.{}", self.number),
            Publisher::Client(client) => write!(f, "c{client}.{}", self.number),
        }
    }
}

impl FromStr for Tag {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (by, number) = text.split_once('.').ok_or(())?;
        let index = by.get(1..).and_then(|index| index.parse().ok()).ok_or(())?;
        let by = match by.as_bytes()[0] {
            b'h' => Publisher::Host(index),
            b'c' => Publisher::Client(index),
            _ => return Err(()),
        };
        Ok(Self { by, number: number.parse().map_err(drop)? })
    }
}

/// What a thread of the host did, one call after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    /// It published to a room, and was told the offset.
    Publish {
        room: usize,
        offset: u64,
    },
    /// It published to a room in a batch, the messages of one number behind each other. The first
    /// thread alone does so.
    Batch {
        room: usize,
        run: usize,
    },
    Broadcast,
    Send {
        client: usize,
    },
    /// It knows from here on that the client is connected.
    Meet {
        client: usize,
    },
    /// The client was not in the room before.
    Join {
        client: usize,
        room: usize,
    },
    /// The client was in the room before.
    Leave {
        client: usize,
        room: usize,
    },
    Disconnect {
        client: usize,
        code: u16,
    },
    /// A call that failed, or that changes nothing here.
    Nothing,
}

/// Whether a client receives what it says itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Echo {
    On,
    Off,
    /// The host changes it.
    Changes,
}

/// One client, what it received, and what the host was told of it.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    /// The thread of the host that joins it to rooms and disconnects it, alone.
    pub(crate) owner: usize,
    /// The room that its path names.
    pub(crate) room: usize,
    /// How many messages of the room's past it asked for.
    pub(crate) history: usize,
    pub(crate) echo: Echo,
    /// Whether it was connected before the host's threads began.
    pub(crate) is_first: bool,
    /// How many messages it said, before its close frame if it sent one of its own.
    pub(crate) said: usize,
    pub(crate) own_close: Option<u16>,
    /// Whether it dropped its connection.
    pub(crate) has_vanished: bool,
    /// Whether it left so much unread for so long that the server may have cut it.
    pub(crate) may_be_cut: bool,
    pub(crate) received: Vec<Tag>,
    /// The code of the close frame that it received.
    pub(crate) closed: Option<u16>,
    /// The rooms and offsets of its messages, as the host was told of them; no room is `None`.
    pub(crate) heard: Vec<(Option<usize>, u64)>,
    /// The rooms that the host was told it joined and left.
    pub(crate) moves: Vec<(Move, usize)>,
    /// How many messages the host was told it would not see.
    pub(crate) dropped: u64,
    /// The code that the host was told it left with.
    pub(crate) left: Option<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Move {
    In,
    Out,
}

/// What happened on one server, from its start until it was stopped.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) rooms: usize,
    /// How many messages each room had before the first client came.
    pub(crate) past: u64,
    /// Whether slow consumers lose messages; otherwise they are closed with 1013.
    pub(crate) drops: bool,
    pub(crate) threads: Vec<Vec<Deed>>,
    pub(crate) clients: Vec<Client>,
}

/// The code of a server that stops, and of a slow consumer.
const GOING_AWAY: u16 = 1001;
const TRY_AGAIN_LATER: u16 = 1013;

/// Says which promise was broken, if one was.
///
/// # Errors
/// The promise, in words, with whom it was made to.
pub(crate) fn check(world: &World) -> Result<(), String> {
    let orders = order::orders(world)?;
    for number in 0..world.clients.len() {
        let broken = |why| format!("client {number}: {why}\n{}", world.clients[number]);
        moves::check(world, number).map_err(broken)?;
        stream::check(world, &orders, number).map_err(broken)?;
    }
    Ok(())
}

impl Client {
    /// Whether it was there until the server stopped.
    fn stayed(&self) -> bool {
        self.closed == Some(GOING_AWAY)
    }

    /// Whether its connection ended because it said so, and for no other reason.
    fn closed_itself(&self) -> bool {
        self.closed.is_some() && self.closed == self.own_close
    }
}

impl World {
    /// When a thread of the host has met a client, as the number of the deed.
    fn met(&self, thread: usize, client: usize) -> usize {
        let deeds = &self.threads[thread];
        let met = deeds.iter().position(|deed| *deed == Deed::Meet { client });
        met.unwrap_or(deeds.len())
    }

    /// When its owner disconnected a client, and with which code.
    fn disconnected(&self, client: usize) -> Option<(usize, u16)> {
        let deeds = self.threads[self.clients[client].owner].iter().enumerate();
        let mut codes = deeds.filter_map(|(number, deed)| match deed {
            Deed::Disconnect { client: it, code } if *it == client => Some((number, *code)),
            _ => None,
        });
        codes.next()
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { owner, room, history, echo, is_first, said, own_close, .. } = self;
        writeln!(f, "  of thread {owner}, room {room}, history {history}, echo {echo:?},")?;
        writeln!(f, "  first {is_first}, said {said}, own close {own_close:?},")?;
        writeln!(f, "  vanished {}, may be cut {},", self.has_vanished, self.may_be_cut)?;
        let Self { received, closed, heard, moves, dropped, left, .. } = self;
        let (received, heard) = (received.len(), heard.len());
        writeln!(f, "  received {received}, closed {closed:?}, heard {heard}, left {left:?},")?;
        write!(f, "  dropped {dropped}, moves {moves:?}")
    }
}

//! What stores and orders messages outside a room's lock: a file or a service that several servers share.
//!
//! A room in memory needs none of this (`rooms/room.rs`): its order is a number under its lock. With a
//! [`Broker`], a message goes to `append`, and comes to every server that is interested in its room through
//! [`Sink::deliver`], to its own sender's server too.
//!
//! What the rooms rely on:
//! - A room has an epoch, and its messages have the offsets 1, 2, 3 and so on. A broker that may have lost messages
//!   that it has stored begins another epoch: no offset of an epoch is ever used for two messages.
//! - What is appended to one room by one server is stored in the order of the calls, with several under way.
//! - What a read answers holds: it has every message that was stored before the read was asked for.
//!
//! What they do not rely on: deliveries may come late, twice, in another order, or not at all.

use std::{
    fmt::Debug,
    sync::{Arc, Weak},
    time::Duration,
};

use crate::{event::ClientId, position::Position, published::Published};

/// Stores and orders the messages of rooms.
///
/// A shard's thread calls it, so no call may wait: what takes time is done on a thread of the broker's own, and comes
/// through the [`Sink`]. Only `append` may call the sink before it returns; the others are called under a room's
/// lock. A broker calls the sink without a lock that `read`, `interest` or `trim` takes.
pub(crate) trait Broker: Send + Sync + Debug {
    /// Begins. Called once, before everything else.
    fn start(&self, sink: Weak<dyn Sink>, window: &Window);

    /// Whether each message of a room is delivered while a server is interested in the room. If not, the rooms compare
    /// where they stand about once a second.
    fn is_reliable(&self) -> bool;

    /// Stores messages of one room, one behind the other, or none of them. The outcome is the position of the last; if it
    /// is not `Done`, it comes through `Sink::appended`.
    fn append(&self, append: Append) -> Progress<Result<Position, AppendError>>;

    /// Reads a part of what a room keeps. The outcome, if it is not `Done`, comes through `Sink::read`. A room that does not
    /// exist has an epoch too, and keeps it when it begins.
    fn read(&self, read: Read) -> Progress<Result<Page, Unavailable>>;

    /// Begins or ends the delivery of a room's messages.
    fn interest(&self, room: &Arc<str>, is_on: bool);

    /// Asks the broker to drop what is older than the window. Called about once a second.
    fn trim(&self);

    /// Asks the broker to finish what it was asked to append: the server stops, and nothing more is appended.
    fn flush(&self);
}

/// Stands for a broker that a server has. Only tests have one yet: in the library there is no value of this, so that the
/// compiler leaves out all code that needs one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HasBroker(Proof);

#[derive(Debug, Clone, Copy)]
enum Proof {
    #[cfg(test)]
    Test,
}

#[cfg(test)]
impl HasBroker {
    pub(crate) const TEST: Self = Self(Proof::Test);
}

/// What a broker tells: implemented by the rooms of a server. No call fails, and calls about what is not awaited any more
/// have no effect.
pub(crate) trait Sink: Send + Sync + Debug {
    /// Delivers a message of a room in which the server is interested.
    fn deliver(&self, room: &str, position: Position, stored: Stored);

    /// Tells the outcome of an `append`.
    fn appended(&self, number: u64, outcome: Result<Position, AppendError>);

    /// Tells the outcome of a `read`.
    fn read(&self, number: u64, outcome: Result<Page, Unavailable>);

    /// Waits until the shards have taken most of what was delivered, at most for `timeout`. Returns whether they have. A
    /// broker calls it before it delivers more, on its own thread.
    fn wait_for_space(&self, timeout: Duration) -> bool;
}

/// What a call has come to.
#[derive(Debug)]
pub(crate) enum Progress<T> {
    Done(T),
    Pending,
}

/// What a room keeps at most: the options `history_messages`, `history_size` and `history_age`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
    pub(crate) age: Duration,
}

/// A message as a broker stores and delivers it. Its key, and the identity that scopes it, are in `published`: the rooms look
/// up the keys of rooms in memory alone, and a broker that several servers share checks them where it stores.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) published: Published,
    pub(crate) origin: Origin,
}

/// Where a message comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The server.
    pub(crate) node: u64,
    /// The number of the `append` there.
    pub(crate) number: u64,
    /// The client; `None` for the host.
    pub(crate) client: Option<ClientId>,
    /// Whether the client does not receive its own message.
    pub(crate) is_excluded: bool,
}

/// Messages to be stored.
#[derive(Debug)]
pub(crate) struct Append {
    pub(crate) number: u64,
    pub(crate) room: Arc<str>,
    pub(crate) messages: Vec<Stored>,
}

/// Why messages are not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AppendError {
    /// None of them is stored, nor will be.
    Unavailable,
    /// Nobody knows whether they are stored.
    Unknown,
}

/// The broker cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unavailable;

/// A request to read a part of a room's messages.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) number: u64,
    pub(crate) room: Arc<str>,
    pub(crate) range: Range,
    /// How many messages are wanted at most, and how many bytes of payloads: at least one message comes if there is one
    /// and any are wanted.
    pub(crate) max_count: usize,
    pub(crate) max_bytes: usize,
}

/// Which messages of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Range {
    /// The first ones after an offset.
    After(u64),
    /// The last ones before an offset.
    Before(u64),
}

/// A part of what a room keeps.
#[derive(Debug)]
pub(crate) struct Page {
    /// The position of the room's last message.
    pub(crate) top: Position,
    /// Messages with consecutive offsets, the first of which has the offset `first`.
    pub(crate) first: u64,
    pub(crate) messages: Vec<Stored>,
}

impl Page {
    /// Returns the messages with their offsets.
    pub(crate) fn numbered(&self) -> impl DoubleEndedIterator<Item = (u64, &Stored)> {
        let offset = |index: usize| self.first + index as u64;
        self.messages.iter().enumerate().map(move |(index, stored)| (offset(index), stored))
    }
}

//! What a client's message means. Nothing below this module knows a protocol: shards and rooms move messages.
//! A connection has one protocol for all of its life.

mod plain;

use std::rc::Rc;

pub(crate) use self::plain::{Plain, PlainOptions};
use crate::{frame::Kind, rooms::client::Client, shard::Shard};

/// One connection's protocol.
pub(crate) trait Protocol {
    /// Acts on a whole message, whose text is UTF-8. Never waits: the connection reads only while the inboxes
    /// have space. Returns false if there is no memory for the message.
    fn message(&self, shard: &Shard, client: &Rc<Client>, kind: Kind, payload: &[u8]) -> bool;
}

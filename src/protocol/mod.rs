//! What a message of a client means. The engine below moves bytes and knows no protocol. A connection has
//! one protocol, which its path names.

mod plain;

use std::rc::Rc;

pub(crate) use self::plain::{Plain, PlainOptions};
use crate::{frame::Kind, rooms::client::Client, shard::Shard};

/// One connection's protocol.
pub(crate) trait Protocol {
    /// Acts on a whole message, whose text is UTF-8. Never waits: the connection has waited until the rooms
    /// take more.
    fn message(&self, shard: &Shard, client: &Rc<Client>, kind: Kind, payload: &[u8]);
}

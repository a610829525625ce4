//! What a message of a client means.
//!
//! The engine below moves bytes and knows no protocol; a protocol speaks to rooms through its client's
//! seats. A connection has one protocol, which its path names.

mod plain;

use std::rc::Rc;

pub(crate) use self::plain::{Plain, PlainOptions};
use crate::{
    frame::Kind,
    shard::{Shard, client::Client},
};

/// One connection's protocol.
pub(crate) trait Protocol {
    /// Acts on a whole message, whose text is known to be UTF-8. Never waits: the connection has
    /// waited until the rooms take more.
    fn message(&mut self, shard: &Shard, client: &Rc<Client>, kind: Kind, payload: &[u8]);
}

//! A message as it was published: what a room stores and delivers.

use std::sync::Arc;

use crate::message::Message;

/// The longest name of a client or a room, in bytes.
const MAX_NAME: usize = 128;

/// What an allocation costs beside its bytes.
const ALLOCATION: usize = 24;

/// A message, who published it, and when. Cloning it is cheap.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    pub(crate) message: Message,
    /// The client that published it; `None` for the host.
    pub(crate) author: Option<Arc<Author>>,
    /// When it was published, in milliseconds since 1970, by the system's clock. For display: the clock may be set
    /// back.
    pub(crate) time: u64,
}

/// What other clients are told of the client that published a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Author {
    /// Names the connection: no other connection has it, also not after a restart or on another server.
    pub(crate) client: Box<str>,
    pub(crate) name: Option<Name>,
}

impl Author {
    /// Returns roughly what it keeps in memory, in bytes.
    pub(crate) fn size(&self) -> usize {
        let name = self.name.as_ref().map_or(0, |name| name.text.len() + ALLOCATION);
        size_of::<Self>() + self.client.len() + name + 2 * ALLOCATION
    }
}

/// What a client is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) text: Arc<str>,
    /// Whether the client itself says so, and not the host.
    pub(crate) is_claimed: bool,
}

/// Checks the name of a client or a room: 1 to 128 bytes, no control characters.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_name(name: &str) -> Result<(), &'static str> {
    match name.len() {
        0 => Err("it is empty"),
        1..=MAX_NAME if name.chars().any(char::is_control) => Err("it has control characters"),
        1..=MAX_NAME => Ok(()),
        _ => Err("it is longer than 128 bytes"),
    }
}

#[cfg(test)]
impl Published {
    /// Makes what the host published, at no time.
    pub(crate) fn of(message: Message) -> Self {
        Self { message, author: None, time: 0 }
    }
}

//! A message as it was published: what a room stores and delivers.

use std::sync::Arc;

use triomphe::ThinArc;

use crate::message::Message;

/// The longest name of a client or a room, in bytes.
const MAX_NAME: usize = 128;

/// The longest key of a message, in bytes.
const MAX_KEY: usize = 64;

/// What an allocation costs beside its bytes.
const ALLOCATION: usize = 24;

/// A message, who published it, and when. Cloning it is cheap.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    pub(crate) message: Message,
    /// Who published it; `None` for the host where it does not say as whom.
    pub(crate) author: Option<Arc<Author>>,
    /// What its publisher calls it.
    pub(crate) key: Option<Key>,
    /// When it was published, in milliseconds since 1970, by the system's clock. For display: the clock may be set
    /// back.
    pub(crate) time: u64,
}

/// Who published a message, and what other clients are told of that.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Author {
    /// Names the connection: no other connection has it, also not after a restart or on another server. `None` for the
    /// host.
    pub(crate) client: Option<Box<str>>,
    pub(crate) name: Option<Name>,
    /// What the host calls the publisher. Clients are not told.
    pub(crate) identity: Option<Arc<str>>,
}

impl Author {
    /// Returns roughly what it keeps in memory, in bytes.
    pub(crate) fn size(&self) -> usize {
        let name = self.name.as_ref().map_or(0, |name| name.text.len() + ALLOCATION);
        let client = self.client.as_ref().map_or(0, |client| client.len() + ALLOCATION);
        let identity = self.identity.as_ref().map_or(0, |identity| identity.len() + ALLOCATION);
        size_of::<Self>() + client + name + identity + ALLOCATION
    }
}

/// What a publisher calls a message, so that it is published once. Cloning it is cheap.
// As thin as a pointer: most messages have none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key(ThinArc<(), u8>);

impl Key {
    /// Makes a key of a text.
    ///
    /// # Errors
    /// What is wrong with it, and what is allowed.
    pub(crate) fn new(text: &str) -> Result<Self, &'static str> {
        match text.len() {
            0 => Err("it is empty; use 1 to 64 bytes"),
            1..=MAX_KEY if has_control(text) => {
                Err("it has control characters; use 1 to 64 bytes without them")
            }
            1..=MAX_KEY => Ok(Self(ThinArc::from_header_and_slice((), text.as_bytes()))),
            _ => Err("it is longer than 64 bytes; use 1 to 64"),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        // It was made of a text.
        str::from_utf8(&self.0.slice).unwrap_or_default()
    }

    /// Returns roughly what it keeps in memory, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.0.slice.len() + ALLOCATION
    }
}

/// What a client is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) text: Arc<str>,
    /// Whether the client itself says so, and not the host.
    pub(crate) is_claimed: bool,
}

/// Whether a text has control characters.
fn has_control(text: &str) -> bool {
    // Nearly all texts are printable ASCII, which is checked much sooner.
    !text.bytes().all(|byte| (b' '..0x7F).contains(&byte)) && text.chars().any(char::is_control)
}

/// Checks the name of a client or a room: 1 to 128 bytes, no control characters.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_name(name: &str) -> Result<(), &'static str> {
    match name.len() {
        0 => Err("it is empty"),
        1..=MAX_NAME if has_control(name) => Err("it has control characters"),
        1..=MAX_NAME => Ok(()),
        _ => Err("it is longer than 128 bytes"),
    }
}

#[cfg(test)]
impl Published {
    /// Makes what the host published, at no time.
    pub(crate) fn of(message: Message) -> Self {
        Self { message, author: None, key: None, time: 0 }
    }
}

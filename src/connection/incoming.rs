//! What a client sent, and which rule it broke: the types that the reader and the parser emit.

use std::sync::Arc;

use bytes::Bytes;

use crate::{frame::Kind, protocol::Fault};

/// What a client sent that needs an action. Pongs need none.
#[derive(Debug)]
pub(crate) enum Incoming<'a> {
    /// A whole message; text is UTF-8.
    Message(Kind, &'a [u8]),
    /// A ping, with the frame that answers it.
    Ping(Bytes),
    /// A close frame, with the frame that answers it. Nothing follows.
    Close { code: u16, reason: Arc<str>, answer: Bytes },
}

/// A rule that a client broke, or why its message cannot be taken. Its connection is closed with the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Violation {
    /// Close code 1002.
    Protocol(&'static str),
    /// Close code 1007.
    Utf8,
    /// Close code 1009.
    TooLarge,
    /// The connection takes text alone. Close code 1003.
    Binary,
    /// The text is no JSON object. Close code 1007.
    NotJson,
    /// No rule: the server has no memory for the message. Close code 1013.
    NoMemory,
}

impl From<Fault> for Violation {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::NoMemory => Self::NoMemory,
            Fault::NotJson => Self::NotJson,
            Fault::Binary => Self::Binary,
        }
    }
}

impl Violation {
    /// Returns the close code (RFC 6455, 7.4.1).
    pub(crate) fn code(self) -> u16 {
        match self {
            Self::Protocol(_) => 1002,
            Self::Binary => 1003,
            Self::Utf8 | Self::NotJson => 1007,
            Self::TooLarge => 1009,
            Self::NoMemory => 1013,
        }
    }

    /// Returns the reason in the close frame.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Protocol(why) => why,
            Self::Utf8 => "the text is not UTF-8",
            Self::TooLarge => "the message is too long",
            Self::Binary => "send JSON as text; binary data goes in the field base64",
            Self::NotJson => "the text is not a JSON object",
            Self::NoMemory => "the server has no memory for the message",
        }
    }
}

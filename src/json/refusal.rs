//! Why what a client sent is refused: the codes of the object `refused`.

use std::sync::Arc;

/// Why what a client sent is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Refusal {
    /// It is JSON, and no object that the server understands.
    Malformed,
    /// The server knows no such `type`.
    UnknownType,
    /// The payload is longer than `max_message_size`.
    TooLarge,
    /// The text is no Unicode: it has half of a surrogate pair, or its base64 is not UTF-8.
    BadText,
    /// The client is not in that room.
    NotInRoom,
    /// The server does not do that for clients.
    Forbidden,
    /// The host has refused the message.
    Refused,
    /// The host did not decide in time.
    Overdue,
    /// Another message has its key.
    KeyReused,
    /// The server has too much to do.
    Busy,
    /// What keeps the messages cannot be reached.
    Unavailable,
    /// It is not known whether the message was stored.
    Unknown,
    /// The server is stopping.
    Stopping,
}

impl Refusal {
    /// Returns the code on the wire.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownType => "unknown_type",
            Self::TooLarge => "too_large",
            Self::BadText => "bad_text",
            Self::NotInRoom => "not_in_room",
            Self::Forbidden => "forbidden",
            Self::Refused => "refused",
            Self::Overdue => "overdue",
            Self::KeyReused => "key_reused",
            Self::Busy => "busy",
            Self::Unavailable => "unavailable",
            Self::Unknown => "unknown",
            Self::Stopping => "stopping",
        }
    }

    /// Returns what it says to people, where nothing more precise is known.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "it is not an object that the server understands",
            Self::UnknownType => "the server knows no such type",
            Self::TooLarge => "the message is too long",
            Self::BadText => "the text is not valid Unicode",
            Self::NotInRoom => "you are not in this room",
            Self::Forbidden => "the server does not allow it",
            Self::Refused => "the host refused it",
            Self::Overdue => "the host did not decide in time",
            Self::KeyReused => "another message has this `key`: send each message with its own",
            Self::Busy => "the server has too much to do",
            Self::Unavailable => "the messages cannot be stored now",
            Self::Unknown => {
                "nobody knows whether it is stored: look for it before you send it again"
            }
            Self::Stopping => "the server is stopping",
        }
    }

    /// Whether the same may be accepted later.
    pub(crate) fn may_retry(self) -> bool {
        matches!(self, Self::Overdue | Self::Busy | Self::Unavailable | Self::Stopping)
    }
}

/// That what a client sent is refused, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) code: Refusal,
    /// What it says to people, if that is not what the code says.
    pub(crate) reason: Option<Arc<str>>,
}

impl Refused {
    /// Returns what it says to people.
    pub(crate) fn reason(&self) -> &str {
        self.reason.as_deref().unwrap_or(self.code.reason())
    }
}

impl From<Refusal> for Refused {
    fn from(code: Refusal) -> Self {
        Self { code, reason: None }
    }
}

//! The errors of this crate, one variant for each thing that a caller can act on.
//!
//! The texts name the argument that is wrong, as in `room: it is empty`, and say what to do next. They are for people: match on the variant, never on the text.

use std::{fmt, io, sync::Arc};

/// The result of every call of this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// One or more options are out of their limits. `start` finds all of them at once.
    InvalidConfig(Vec<Problem>),
    /// The server cannot listen on an address: it is in use, not of this machine, or privileged.
    Listen {
        /// The address as it was configured.
        addr: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The operating system has no thread, descriptor or memory left for the server, or no memory for a long message.
    Resources {
        /// What was asked for, such as `a worker thread`.
        what: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// The name of a room breaks the rules: 1 to 128 bytes of UTF-8 without control characters, and not `.` or `..`.
    InvalidRoom(&'static str),
    /// The name of a client breaks the rules: at most 128 bytes of UTF-8 without control characters.
    InvalidName(&'static str),
    /// An endpoint must not send this close code (RFC 6455, 7.4): use 1000 to 1003, 1007 to 1013 or
    /// 3000 to 4999.
    InvalidCloseCode(u16),
    /// This HTTP status does not refuse a request: use 204, or 400 to 599.
    InvalidHttpStatus(u16),
    /// A header of an answer breaks the rules of HTTP, or is one that libchat sets itself.
    InvalidHeader(&'static str),
    /// An argument has a value that is not allowed.
    InvalidArgument {
        /// The argument's name.
        what: &'static str,
        /// What is wrong with it, and what is allowed.
        why: &'static str,
    },
    /// The text of a message is not UTF-8.
    InvalidUtf8,
    /// An argument is longer than its limit.
    TooLarge {
        /// The argument's name, such as `data`.
        what: &'static str,
        /// The length, in bytes.
        size: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The client is in as many rooms as it may be
    /// ([`Config::max_rooms_per_client`](crate::Config::max_rooms_per_client)): in one, if it receives events
    /// ([`Form::Events`](crate::Form::Events)).
    TooManyRooms {
        /// How many rooms it may be in.
        limit: usize,
    },
    /// The key was used for another message within the last five minutes. Nothing was published.
    KeyReused,
    /// There is no such client: it has left, or never existed.
    ClientNotFound,
    /// There is no such decision to make: it was made before, or its time is over.
    DecisionNotFound,
    /// The server is stopping or has stopped.
    Stopped,
    /// A part of the server could not go on, so the server has stopped by itself. Start another.
    Failed {
        /// Which part, and what happened to it, such as the text of a panic. The log says it too.
        why: Arc<str>,
    },
    /// The given time was not enough. The call may have had a part of its effect: see the call.
    TimedOut,
    /// More waits to be delivered than the server may keep, and did so for the whole publish
    /// timeout. Nothing was published.
    QueueFull,
    /// The call was made inside the handler that it would wait for.
    InHandler,
    /// The server was started without an option that the call needs; the text names the option.
    Unsupported(&'static str),
}

/// An option that is out of its limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The option's name, as in [`Config`](crate::Config).
    pub option: &'static str,
    /// What is wrong with its value, and which values are allowed.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.option, self.text)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidConfig(problems) => {
                for (index, problem) in problems.iter().enumerate() {
                    let separator = if index == 0 { "" } else { "; " };
                    write!(f, "{separator}{problem}")?;
                }
                Ok(())
            }
            Self::Listen { addr, source } => {
                write!(f, "cannot listen on {addr}: {source}")?;
                let advice = match source.kind() {
                    io::ErrorKind::AddrInUse if addr.starts_with("[::]") => {
                        "; another program has the port, or another address of listen: choose another port, or set \
                         ipv6_only if only IPv4's is taken"
                    }
                    io::ErrorKind::AddrInUse => {
                        "; another program has the port, or another address of listen: choose another port (0 takes \
                         a free one)"
                    }
                    io::ErrorKind::AddrNotAvailable => "; choose an address of this machine",
                    io::ErrorKind::PermissionDenied => {
                        "; ports below 1024 need a privilege, choose a higher one"
                    }
                    _ if is_out_of_resources(source) => "; raise the limits of the process",
                    _ => "",
                };
                f.write_str(advice)
            }
            Self::Resources { what, source } => {
                write!(f, "cannot get {what}: {source}; raise the limits of the process")
            }
            Self::InvalidRoom(why) => write!(f, "room: {why}; use 1 to 128 bytes of UTF-8 without control characters, and not . or .."),
            Self::InvalidName(why) => {
                write!(f, "name: {why}; use 1 to 128 bytes without control characters")
            }
            Self::InvalidCloseCode(code) => write!(
                f,
                "code: {code} must not be sent; use 1000 to 1003, 1007 to 1013 or 3000 to 4999"
            ),
            Self::InvalidHttpStatus(status) => {
                write!(f, "http_status: {status} does not refuse a request; use 204, or 400 to 599")
            }
            Self::InvalidHeader(why) => write!(f, "headers: {why}"),
            Self::InvalidArgument { what, why } => write!(f, "{what}: {why}"),
            Self::InvalidUtf8 => f.write_str("data: the text is not UTF-8; send it as binary"),
            Self::TooLarge { what, size, limit } => {
                write!(f, "{what}: {size} bytes are too many: {limit} are allowed")
            }
            Self::TooManyRooms { .. } => f.write_str(
                "the client is in as many rooms as it may be: one with events, else max_rooms_per_client; let it leave \
                 one first",
            ),
Self::KeyReused => {
                f.write_str("key: another message has it; publish each message with its own")
            }
            Self::ClientNotFound => f.write_str("client: there is no such client; it may have left"),
            Self::DecisionNotFound => {
                f.write_str("decision: there is no such decision; it was made before, or its time is over")
            }
            Self::Stopped => f.write_str("the server has stopped"),
            Self::Failed { why } => {
                write!(f, "a part of the server could not go on, so it has stopped: {why}; start another")
            }
            Self::TimedOut => f.write_str("the time given was not enough"),
            Self::QueueFull => f.write_str("too much waits to be delivered; publish again later"),
            Self::InHandler => f.write_str(
                "called inside the event handler that it would wait for; use request_stop",
            ),
            Self::Unsupported(why) => f.write_str(why),
        }
    }
}

impl Error {
    /// Makes the error of a message for which there is no memory.
    pub(crate) fn no_memory() -> Self {
        let source = io::Error::from_raw_os_error(libc::ENOMEM);
        Self::Resources { what: "memory for the message", source }
    }

    /// Returns whether the operating system had no thread, descriptor or memory left.
    #[must_use]
    pub fn is_out_of_resources(&self) -> bool {
        match self {
            Self::Resources { .. } => true,
            Self::Listen { source, .. } => is_out_of_resources(source),
            _ => false,
        }
    }
}

fn is_out_of_resources(error: &io::Error) -> bool {
    let errors = [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::ENOBUFS];
    error.raw_os_error().is_some_and(|number| errors.contains(&number))
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Listen { source, .. } | Self::Resources { source, .. } => Some(source),
            _ => None,
        }
    }
}

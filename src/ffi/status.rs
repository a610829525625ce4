//! `chat_status`: the result of a call, and the status of each `Error`.

use std::{
    ffi::{CStr, c_char},
    io,
};

use super::guard::guard;
use crate::error::Error;

/// The result of a call: 0 is success, errors are negative. A number is never reused. Later
/// versions may add statuses.
///
/// Functions: chat_status_name, chat_status_message.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum chat_status {
    /// Success.
    CHAT_OK = 0,
    /// An argument or an option has a value that is not allowed.
    CHAT_ERR_INVALID_ARGUMENT = -1,
    /// A pointer that must not be NULL is NULL.
    CHAT_ERR_NULL_ARGUMENT = -2,
    /// A text is not UTF-8. Send it as CHAT_BINARY.
    CHAT_ERR_INVALID_UTF8 = -3,
    /// A message or text is longer than its limit, or a buffer is too short.
    CHAT_ERR_TOO_LARGE = -4,
    /// There is no such client, decision, header or listener. A client may just have left; a
    /// decision may have been made before, or its time is over.
    CHAT_ERR_NOT_FOUND = -5,
    /// The server is stopping or has stopped.
    CHAT_ERR_STOPPED = -6,
    /// The given time was not enough.
    CHAT_ERR_TIMED_OUT = -7,
    /// Too much waits to be delivered. Nothing was done: publish again later.
    CHAT_ERR_QUEUE_FULL = -8,
    /// The call was made inside the handler that it would wait for. Inside a log handler, every
    /// function of a server returns this.
    CHAT_ERR_IN_HANDLER = -9,
    /// The server belongs to another process, and this process was forked from that one.
    CHAT_ERR_FORKED = -10,
    /// The server was started without the option that the call needs.
    CHAT_ERR_UNSUPPORTED = -11,
    /// The client is in as many rooms as it may be: one with events, else max_rooms_per_client. Let
    /// it leave one first.
    CHAT_ERR_TOO_MANY_ROOMS = -12,
    /// A part of the server could not go on, so the server has stopped by itself.
    /// chat_last_error_message and the log say which part, and why.
    CHAT_ERR_FAILED = -13,
    /// The key was used for another message. Nothing was published: publish each message with its own
    /// key.
    CHAT_ERR_KEY_REUSED = -14,
    /// The port is in use.
    CHAT_ERR_ADDRESS_IN_USE = -20,
    /// The address does not belong to this machine.
    CHAT_ERR_ADDRESS_UNAVAILABLE = -21,
    /// The operating system does not permit it, for example a port below 1024.
    CHAT_ERR_PERMISSION_DENIED = -22,
    /// The operating system has no thread, descriptor or memory left.
    CHAT_ERR_RESOURCE_LIMIT = -23,
    /// The operating system reported another error.
    CHAT_ERR_IO = -24,
    /// A bug in libchat. The call had no effect, or only a part of it.
    CHAT_ERR_PANIC = -99,
}

use chat_status::*;

impl From<&Error> for chat_status {
    fn from(error: &Error) -> Self {
        match error {
            Error::InvalidConfig(_)
            | Error::InvalidRoom(_)
            | Error::InvalidName(_)
            | Error::InvalidCloseCode(_)
            | Error::InvalidHttpStatus(_)
            | Error::InvalidHeader(_)
            | Error::InvalidArgument { .. } => CHAT_ERR_INVALID_ARGUMENT,
            _ if error.is_out_of_resources() => CHAT_ERR_RESOURCE_LIMIT,
            Error::Listen { source, .. } => listen_status(source),
            Error::Resources { .. } => CHAT_ERR_RESOURCE_LIMIT,
            Error::InvalidUtf8 => CHAT_ERR_INVALID_UTF8,
            Error::TooLarge { .. } => CHAT_ERR_TOO_LARGE,
            Error::TooManyRooms { .. } => CHAT_ERR_TOO_MANY_ROOMS,
            Error::ClientNotFound | Error::DecisionNotFound => CHAT_ERR_NOT_FOUND,
            Error::Stopped => CHAT_ERR_STOPPED,
            Error::Failed { .. } => CHAT_ERR_FAILED,
            Error::KeyReused => CHAT_ERR_KEY_REUSED,
            Error::TimedOut => CHAT_ERR_TIMED_OUT,
            Error::QueueFull => CHAT_ERR_QUEUE_FULL,
            Error::InHandler => CHAT_ERR_IN_HANDLER,
            Error::Unsupported(_) => CHAT_ERR_UNSUPPORTED,
        }
    }
}

fn listen_status(source: &io::Error) -> chat_status {
    match source.kind() {
        io::ErrorKind::AddrInUse => CHAT_ERR_ADDRESS_IN_USE,
        io::ErrorKind::AddrNotAvailable => CHAT_ERR_ADDRESS_UNAVAILABLE,
        io::ErrorKind::PermissionDenied => CHAT_ERR_PERMISSION_DENIED,
        _ => CHAT_ERR_IO,
    }
}

/// The number, name and meaning of each status.
const STATUSES: [(chat_status, &CStr, &CStr); 21] = [
    (CHAT_OK, c"CHAT_OK", c"done"),
    (
        CHAT_ERR_INVALID_ARGUMENT,
        c"CHAT_ERR_INVALID_ARGUMENT",
        c"an argument or an option has a value that is not allowed",
    ),
    (CHAT_ERR_NULL_ARGUMENT, c"CHAT_ERR_NULL_ARGUMENT", c"a pointer that must not be NULL is NULL"),
    (CHAT_ERR_INVALID_UTF8, c"CHAT_ERR_INVALID_UTF8", c"a text is not UTF-8; send it as binary"),
    (
        CHAT_ERR_TOO_LARGE,
        c"CHAT_ERR_TOO_LARGE",
        c"a message or text is longer than its limit, or a buffer is too short",
    ),
    (
        CHAT_ERR_NOT_FOUND,
        c"CHAT_ERR_NOT_FOUND",
        c"no such client, decision, header or listener; a client may have left, or a time is over",
    ),
    (CHAT_ERR_STOPPED, c"CHAT_ERR_STOPPED", c"the server has stopped"),
    (CHAT_ERR_TIMED_OUT, c"CHAT_ERR_TIMED_OUT", c"the time given was not enough"),
    (
        CHAT_ERR_QUEUE_FULL,
        c"CHAT_ERR_QUEUE_FULL",
        c"too much waits to be delivered; publish again later",
    ),
    (
        CHAT_ERR_IN_HANDLER,
        c"CHAT_ERR_IN_HANDLER",
        c"the call was made inside the handler that it would wait for",
    ),
    (
        CHAT_ERR_FORKED,
        c"CHAT_ERR_FORKED",
        c"the server belongs to another process, and this one was forked from it",
    ),
    (
        CHAT_ERR_UNSUPPORTED,
        c"CHAT_ERR_UNSUPPORTED",
        c"the server was started without the option that the call needs",
    ),
    (
        CHAT_ERR_TOO_MANY_ROOMS,
        c"CHAT_ERR_TOO_MANY_ROOMS",
        c"the client is in as many rooms as it may be: one with events, else max_rooms_per_client; \
          let it leave one first",
    ),
    (
        CHAT_ERR_FAILED,
        c"CHAT_ERR_FAILED",
        c"a part of the server could not go on, so it has stopped; the log says why",
    ),
    (
        CHAT_ERR_KEY_REUSED,
        c"CHAT_ERR_KEY_REUSED",
        c"another message has this key; publish each message with its own",
    ),
    (CHAT_ERR_ADDRESS_IN_USE, c"CHAT_ERR_ADDRESS_IN_USE", c"the port is in use"),
    (
        CHAT_ERR_ADDRESS_UNAVAILABLE,
        c"CHAT_ERR_ADDRESS_UNAVAILABLE",
        c"the address does not belong to this machine",
    ),
    (
        CHAT_ERR_PERMISSION_DENIED,
        c"CHAT_ERR_PERMISSION_DENIED",
        c"the operating system does not permit it",
    ),
    (
        CHAT_ERR_RESOURCE_LIMIT,
        c"CHAT_ERR_RESOURCE_LIMIT",
        c"the operating system has no thread, descriptor or memory left",
    ),
    (CHAT_ERR_IO, c"CHAT_ERR_IO", c"the operating system reported an error"),
    (CHAT_ERR_PANIC, c"CHAT_ERR_PANIC", c"a bug in libchat"),
];

fn find(status: i32) -> (&'static CStr, &'static CStr) {
    let found = STATUSES.iter().find(|(known, ..)| *known as i32 == status);
    found.map_or((c"CHAT_ERR_UNKNOWN", c"a status of a later version"), |(_, name, message)| {
        (name, message)
    })
}

/// Returns the name of a status, such as "CHAT_ERR_STOPPED"; "CHAT_ERR_UNKNOWN" for an unknown
/// number. The text is NUL-terminated and belongs to the library: do not free it. Never fails.
#[unsafe(no_mangle)]
pub extern "C" fn chat_status_name(status: i32) -> *const c_char {
    guard(|| find(status).0.as_ptr())
}

/// Returns what a status means, as text for people. The text is NUL-terminated and belongs to the
/// library: do not free it. Never fails.
#[unsafe(no_mangle)]
pub extern "C" fn chat_status_message(status: i32) -> *const c_char {
    guard(|| find(status).1.as_ptr())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_of_the_header_has_a_name() {
        let header = include_str!("../../include/libchat.h");
        let mut found = 0;
        for line in header.lines() {
            let Some((name, number)) = line.trim().trim_end_matches(',').split_once(" = ") else {
                continue;
            };
            if name == "CHAT_OK" || name.starts_with("CHAT_ERR_") {
                assert_eq!(find(number.parse().unwrap()).0.to_str(), Ok(name));
                found += 1;
            }
        }
        assert_eq!(found, STATUSES.len());
    }
}

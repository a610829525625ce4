//! What the server sends: each function appends one object. Whether it is the payload of a frame or the data of an event
//! is the caller's to say.
//!
//! The order of the fields is fixed; `head.rs` relies on it.

use super::{
    refusal::Refusal,
    text,
    writer::{Writer, append_object, append_untyped},
};
use crate::{frame::Kind, position::Position};

/// How many bytes the frame of a message has beside its payload, at most.
const MAX_SENT_FIELDS: usize = 1_024;

/// What the object of a message says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MessageObject<'a> {
    /// The room: at most 128 bytes, no control characters.
    pub(crate) room: &'a str,
    /// Left out if it is none.
    pub(crate) position: Position,
    /// The sender as the wire knows it, at most 64 bytes without control characters; `None` for the host's messages.
    pub(crate) client: Option<&'a str>,
    /// The sender's name: at most 128 bytes. A control character in it is written as U+FFFD.
    pub(crate) name: Option<&'a str>,
    /// Whether only the sender says that this is its name.
    pub(crate) is_claimed: bool,
    /// What the sender calls it: at most 64 bytes, no control characters.
    pub(crate) key: Option<&'a str>,
    /// Milliseconds since 1970, UTC.
    pub(crate) time: u64,
    pub(crate) kind: Kind,
    pub(crate) payload: &'a [u8],
}

/// What the object of a signal says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SignalObject<'a> {
    /// The room; `None` for a signal of the host to this client.
    pub(crate) room: Option<&'a str>,
    /// The sender as the wire knows it; `None` for the host's.
    pub(crate) client: Option<&'a str>,
    /// The sender's name, and whether only the sender says that this is its name.
    pub(crate) name: Option<(&'a str, bool)>,
    pub(crate) kind: Kind,
    pub(crate) payload: &'a [u8],
}

/// What the object of a room's members says of one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MemberObject<'a> {
    /// The client as the wire knows it.
    pub(crate) client: &'a str,
    /// Its name, and whether only the client says that this is its name.
    pub(crate) name: Option<(&'a str, bool)>,
    /// Whose place it has taken over.
    pub(crate) was: Option<&'a str>,
}

/// What is said of a room's members: without any of the lists, the number alone.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct MembersObject<'a> {
    /// All of them.
    pub(crate) list: Option<&'a [MemberObject<'a>]>,
    /// Those that have come, left, or taken over a place. What is empty is left out.
    pub(crate) joined: &'a [MemberObject<'a>],
    pub(crate) left: &'a [MemberObject<'a>],
    pub(crate) returned: &'a [MemberObject<'a>],
}

/// Why a client does not get all that it has missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The room's history is another one.
    Epoch,
    /// What comes next is not kept any more.
    Trimmed,
    /// The room has not come that far.
    Ahead,
    /// The room has no history.
    NoHistory,
    /// It is no position.
    Invalid,
    /// What keeps the messages could not be reached.
    Unavailable,
}

impl Reason {
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Epoch => "epoch",
            Self::Trimmed => "trimmed",
            Self::Ahead => "ahead",
            Self::NoHistory => "no_history",
            Self::Invalid => "invalid",
            Self::Unavailable => "unavailable",
        }
    }
}

/// Returns how long the frame of a message, a broadcast or a direct message is at most, in bytes: 4/3 of the payload
/// and 1 KiB.
pub(crate) fn max_len(payload: usize) -> usize {
    text::base64_len(payload) + MAX_SENT_FIELDS
}

/// Appends a message of a room.
pub(crate) fn append_message(buffer: &mut Vec<u8>, message: &MessageObject<'_>) {
    append_object(buffer, "message", |object| write_message(object, message));
}

fn write_message(object: &mut Writer<'_>, message: &MessageObject<'_>) {
    object.string("room", message.room);
    object.position("position", message.position);
    if let Some(client) = message.client {
        object.string("client", client);
    }
    write_name(object, message.name.map(|name| (name, message.is_claimed)));
    if let Some(key) = message.key {
        object.string("key", key);
    }
    object.number("time", message.time);
    object.payload(message.kind, message.payload);
}

/// Appends a signal.
pub(crate) fn append_signal(buffer: &mut Vec<u8>, signal: &SignalObject<'_>) {
    append_object(buffer, "signal", |object| write_signal(object, signal));
}

pub(super) fn write_signal(object: &mut Writer<'_>, signal: &SignalObject<'_>) {
    if let Some(room) = signal.room {
        object.string("room", room);
    }
    if let Some(client) = signal.client {
        object.string("client", client);
    }
    write_name(object, signal.name);
    object.payload(signal.kind, signal.payload);
}

/// Writes a sender's name, and whether only the sender says that this is its name.
fn write_name(object: &mut Writer<'_>, name: Option<(&str, bool)>) {
    let Some((name, is_claimed)) = name else { return };
    // An escape of six bytes for each would break the bound of `max_len`.
    let is_control = |char: char| char < ' ';
    if name.contains(is_control) {
        object.string("name", &name.replace(is_control, "\u{FFFD}"));
    } else {
        object.string("name", name);
    }
    if is_claimed {
        object.bool("claimed", true);
    }
}

/// Appends a message to all clients.
pub(crate) fn append_broadcast(buffer: &mut Vec<u8>, time: u64, kind: Kind, payload: &[u8]) {
    append_roomless(buffer, "broadcast", time, kind, payload);
}

/// Appends a message to this client.
pub(crate) fn append_direct(buffer: &mut Vec<u8>, time: u64, kind: Kind, payload: &[u8]) {
    append_roomless(buffer, "direct", time, kind, payload);
}

fn append_roomless(buffer: &mut Vec<u8>, object: &str, time: u64, kind: Kind, payload: &[u8]) {
    append_object(buffer, object, |object| {
        object.number("time", time);
        object.payload(kind, payload);
    });
}

/// Appends the answer to a request for history; `id` is the client's, as raw JSON.
pub(crate) fn append_history<'a>(
    buffer: &mut Vec<u8>,
    id: &str,
    room: &str,
    messages: impl IntoIterator<Item = MessageObject<'a>>,
    has_more: bool,
) {
    append_object(buffer, "history", |object| {
        object.raw("id", id);
        object.string("room", room);
        object.array("messages", |buffer| {
            for (index, message) in messages.into_iter().enumerate() {
                if index > 0 {
                    buffer.push(b',');
                }
                append_object(buffer, "message", |object| write_message(object, &message));
            }
        });
        object.bool("more", has_more);
    });
}

/// Appends the first object of a connection.
pub(crate) fn append_welcome(buffer: &mut Vec<u8>, client: &str, ping_ms: u64) {
    append_object(buffer, "welcome", |object| {
        object.number("version", 1);
        object.string("client", client);
        object.seconds("ping", ping_ms);
    });
}

/// Appends that the client is in a room; `recovered` is there if the client has said where it was.
pub(crate) fn append_entered(
    buffer: &mut Vec<u8>,
    room: &str,
    position: Position,
    recovered: Option<Result<(), Reason>>,
) {
    append_object(buffer, "entered", |object| {
        object.string("room", room);
        object.position("position", position);
        if let Some(recovered) = recovered {
            object.bool("recovered", recovered.is_ok());
            if let Err(reason) = recovered {
                object.string("reason", reason.code());
            }
        }
    });
}

/// Appends that the replay of a room is over.
pub(crate) fn append_live(buffer: &mut Vec<u8>, room: &str) {
    append_object(buffer, "live", |object| object.string("room", room));
}

/// Appends who is in a room, or what has changed.
pub(crate) fn append_members(
    buffer: &mut Vec<u8>,
    room: &str,
    count: usize,
    members: &MembersObject<'_>,
) {
    append_object(buffer, "members", |object| {
        object.string("room", room);
        object.number("count", count as u64);
        if let Some(list) = members.list {
            write_members(object, "list", list);
        }
        let changes =
            [("joined", members.joined), ("left", members.left), ("returned", members.returned)];
        for (name, changed) in changes.into_iter().filter(|(_, changed)| !changed.is_empty()) {
            write_members(object, name, changed);
        }
    });
}

fn write_members(object: &mut Writer<'_>, name: &str, members: &[MemberObject<'_>]) {
    object.array(name, |buffer| {
        for (index, member) in members.iter().enumerate() {
            if index > 0 {
                buffer.push(b',');
            }
            append_untyped(buffer, |object| {
                object.string("client", member.client);
                write_name(object, member.name);
                if let Some(was) = member.was {
                    object.string("was", was);
                }
            });
        }
    });
}

/// Appends that the host has taken the client out of a room.
pub(crate) fn append_removed(buffer: &mut Vec<u8>, room: &str) {
    append_object(buffer, "removed", |object| object.string("room", room));
}

/// Appends a heartbeat.
pub(crate) fn append_ping(buffer: &mut Vec<u8>) {
    append_object(buffer, "ping", |_| {});
}

/// Appends that the connection ends, and after how many milliseconds the client may come back.
pub(crate) fn append_closing(buffer: &mut Vec<u8>, code: u16, reason: &str, retry_ms: u64) {
    append_object(buffer, "closing", |object| {
        write_closing(object, code, reason, Some(retry_ms));
    });
}

/// Appends that the host ends a connection that has no close frame.
pub(crate) fn append_closed(buffer: &mut Vec<u8>, code: u16, reason: &str) {
    append_object(buffer, "closed", |object| write_closing(object, code, reason, None));
}

pub(super) fn write_closing(
    object: &mut Writer<'_>,
    code: u16,
    reason: &str,
    retry_ms: Option<u64>,
) {
    object.number("code", code.into());
    object.string("reason", reason);
    if let Some(retry_ms) = retry_ms {
        object.number("retry", retry_ms);
    }
}

/// How a message has come to be on its way to everyone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SentAs {
    /// As the client sent it.
    Itself,
    /// Changed by the host.
    Changed,
    /// Before: the client, or another one of its identity, has sent it again.
    Duplicate,
}

/// Appends that a message is on its way to everyone; `id` is the client's, as raw JSON.
pub(crate) fn append_sent(
    buffer: &mut Vec<u8>,
    id: &str,
    room: Option<&str>,
    position: Position,
    sent_as: SentAs,
) {
    append_object(buffer, "sent", |object| {
        object.raw("id", id);
        if let Some(room) = room {
            object.string("room", room);
        }
        object.position("position", position);
        match sent_as {
            SentAs::Itself => {}
            SentAs::Changed => object.bool("changed", true),
            SentAs::Duplicate => object.bool("duplicate", true),
        }
    });
}

/// Appends that what a client sent is refused; `id` is the client's, as raw JSON.
pub(crate) fn append_refused(buffer: &mut Vec<u8>, id: Option<&str>, code: Refusal, reason: &str) {
    append_object(buffer, "refused", |object| {
        if let Some(id) = id {
            object.raw("id", id);
        }
        object.string("code", code.code());
        object.string("reason", reason);
        object.bool("retry", code.may_retry());
    });
}

/// Returns a room's name as raw JSON.
pub(crate) fn room_token(name: &str) -> String {
    let mut token = Vec::new();
    text::append_string(&mut token, name);
    String::from_utf8(token).unwrap_or_default()
}

/// Appends that broadcasts and direct messages were dropped.
pub(crate) fn append_dropped_roomless(buffer: &mut Vec<u8>, count: u64) {
    append_object(buffer, "dropped", |object| object.number("count", count));
}

/// Appends that messages of a room were dropped: `count`, between the two positions; `room` is raw JSON.
pub(crate) fn append_dropped(
    buffer: &mut Vec<u8>,
    room: &str,
    after: Position,
    before: Position,
    count: u64,
) {
    append_object(buffer, "dropped", |object| {
        object.raw("room", room);
        object.position("after", after);
        object.position("before", before);
        object.number("count", count);
    });
}

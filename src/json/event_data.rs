//! What an event says that has a name: the data of server-sent events that are no messages, as an object without a type.

use super::{
    object::{Reason, SignalObject, write_closing, write_signal},
    writer::append_untyped,
};
use crate::position::Position;

/// Appends that a client does not get all that it has missed. `requested` is where it said that it was; an empty string
/// if that was no position.
pub(crate) fn append_gap_data(buffer: &mut Vec<u8>, requested: Position, reason: Reason) {
    append_untyped(buffer, |object| {
        if requested.is_none() {
            object.string("requested", "");
        } else {
            object.position("requested", requested);
        }
        object.string("reason", reason.code());
    });
}

/// Appends why the stream ends, and after how many milliseconds the client may come back, if it may.
pub(crate) fn append_ending_data(
    buffer: &mut Vec<u8>,
    code: u16,
    reason: &str,
    retry_ms: Option<u64>,
) {
    append_untyped(buffer, |object| write_closing(object, code, reason, retry_ms));
}

/// Appends a signal.
pub(crate) fn append_signal_data(buffer: &mut Vec<u8>, signal: &SignalObject<'_>) {
    append_untyped(buffer, |object| write_signal(object, signal));
}

/// Appends which room the host has taken the client out of.
pub(crate) fn append_removed_data(buffer: &mut Vec<u8>, room: &str) {
    append_untyped(buffer, |object| object.string("room", room));
}

//! The JSON form: the objects that the server sends and those that a client sends.
//!
//! Pure functions of bytes. One object is one text frame or the data of one server-sent event, without spaces, its fields
//! in one order: the outbox reads the head of a message back from the frame (`head.rs`).

mod event_data;
mod fields;
mod head;
mod object;
mod refusal;
mod request;
mod text;
mod writer;

#[cfg(test)]
mod object_tests;
#[cfg(test)]
mod random_tests;
#[cfg(test)]
mod request_tests;

pub(crate) use {
    event_data::{append_ending_data, append_gap_data, append_removed_data, append_signal_data},
    head::{MessageHead, is_entered, is_message, is_signal, parse_message},
    object::{
        MemberObject, MembersObject, MessageObject, Reason, SentAs, SignalObject, append_broadcast,
        append_closed, append_closing, append_direct, append_dropped, append_dropped_roomless,
        append_entered, append_history, append_live, append_members, append_message, append_ping,
        append_refused, append_removed, append_sent, append_signal, append_welcome, max_len,
        room_token,
    },
    refusal::{Refusal, Refused},
    request::{Rejected, Request, parse},
    text::append_base64,
};

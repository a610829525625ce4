//! What a host does with one client: decide on it and on its messages, send to it, its rooms, its end.

use std::ffi::c_char;

use super::{
    boundary::{attempt, bytes, text},
    event::{chat_client_id, chat_decision_id, kind},
    server::{chat_server, own},
    status::chat_status,
};
use crate::event::{ClientId, DecisionId};

/// Sends a message to one client. `kind` is CHAT_TEXT or CHAT_BINARY.
///
/// Statuses: CHAT_ERR_NOT_FOUND, CHAT_ERR_INVALID_ARGUMENT for an unknown kind,
/// CHAT_ERR_INVALID_UTF8, CHAT_ERR_TOO_LARGE, CHAT_ERR_QUEUE_FULL, CHAT_ERR_STOPPED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_send(
    server: *mut chat_server,
    client: chat_client_id,
    kind: u32,
    data: *const u8,
    data_len: usize,
) -> chat_status {
    attempt(|| {
        // SAFETY: the header asks for a server that is not freed before this returns.
        let (server, kind) = (unsafe { own(server)? }, self::kind(kind)?);
        // SAFETY: the header asks for `data_len` readable bytes.
        let data = unsafe { bytes(data, data_len, server.max_message_size())? };
        Ok(server.send(ClientId::from_u64(client), kind, data)?)
    })
}

/// Closes a client's connection, after what it was sent before. A client that waits for admission is
/// rejected with HTTP 403 and the reason. With a close code of 1000 to 1003,
/// 1007 to 1013 or 3000 to 4999 and a reason of at most 123 bytes, which may be empty.
///
/// Statuses: CHAT_ERR_NOT_FOUND, CHAT_ERR_INVALID_ARGUMENT for another code, CHAT_ERR_INVALID_UTF8,
/// CHAT_ERR_TOO_LARGE, CHAT_ERR_STOPPED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_disconnect(
    server: *mut chat_server,
    client: chat_client_id,
    code: u16,
    reason: *const c_char,
    reason_len: usize,
) -> chat_status {
    attempt(|| {
        // SAFETY: the header asks for a server that is not freed before this returns.
        let server = unsafe { own(server)? };
        // SAFETY: the header asks for `reason_len` readable bytes.
        let reason = unsafe { text(reason, reason_len)? };
        Ok(server.disconnect(ClientId::from_u64(client), code, reason)?)
    })
}

/// Lets a client be connected that a CHAT_EVENT_CONNECT_REQUEST told of
/// (chat_config_set_admission_timeout). It gets what is published to its room from here on. From any
/// thread, also in a handler. What else the answer says is said before: chat_server_set_identity,
/// chat_server_join and chat_server_leave (also of the room that it asks for), chat_server_set_echo,
/// chat_server_send.
///
/// Statuses: CHAT_ERR_NOT_FOUND if the client has left, was decided on before, or the time is over;
/// CHAT_ERR_STOPPED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_accept(
    server: *mut chat_server,
    client: chat_client_id,
) -> chat_status {
    attempt(|| {
        // SAFETY: the header asks for a server that is not freed before this returns.
        let server = unsafe { own(server)? };
        Ok(server.accept(ClientId::from_u64(client))?)
    })
}

/// Refuses a client that a CHAT_EVENT_CONNECT_REQUEST told of: its request is answered with
/// `http_status`, 400 to 599, and a text of at most 1,024 bytes, which may be empty. From any thread,
/// also in a handler.
///
/// Statuses: CHAT_ERR_NOT_FOUND if the client has left, was decided on before, or the time is over;
/// CHAT_ERR_INVALID_ARGUMENT for another status, CHAT_ERR_INVALID_UTF8, CHAT_ERR_TOO_LARGE,
/// CHAT_ERR_STOPPED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_reject(
    server: *mut chat_server,
    client: chat_client_id,
    http_status: u16,
    reason: *const c_char,
    reason_len: usize,
) -> chat_status {
    attempt(|| {
        // SAFETY: the header asks for a server that is not freed before this returns.
        let server = unsafe { own(server)? };
        // SAFETY: the header asks for `reason_len` readable bytes.
        let reason = unsafe { text(reason, reason_len)? };
        Ok(server.reject(ClientId::from_u64(client), http_status, reason)?)
    })
}

/// Puts a client into a room, beside those that it is in: it receives what is published to the room from
/// here on. It speaks to the room that it joined first of those that it is in. The host gets
/// CHAT_EVENT_JOINED, unless the client is in the room already.
///
/// Statuses: CHAT_ERR_NOT_FOUND, CHAT_ERR_INVALID_ARGUMENT for a name that no room has,
/// CHAT_ERR_INVALID_UTF8, CHAT_ERR_TOO_LARGE, CHAT_ERR_TOO_MANY_ROOMS if it is in as many rooms as it may
/// be (chat_config_set_max_rooms_per_client), CHAT_ERR_QUEUE_FULL, CHAT_ERR_STOPPED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_join(
    server: *mut chat_server,
    client: chat_client_id,
    room: *const c_char,
    room_len: usize,
) -> chat_status {
    attempt(|| {
        // SAFETY: the header asks for a server that is not freed before this returns.
        let server = unsafe { own(server)? };
        // SAFETY: the header asks for `room_len` readable bytes.
        let room = unsafe { text(room, room_len)? };
        Ok(server.join(ClientId::from_u64(client), room)?)
    })
}

/// Takes a client out of a room: it receives nothing that is published to the room from here on. A client
/// that is in no room any more speaks to the host alone. The host gets CHAT_EVENT_LEFT, unless the client
/// is not in the room.
///
/// Statuses: as of chat_server_join.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_leave(
    server: *mut chat_server,
    client: chat_client_id,
    room: *const c_char,
    room_len: usize,
) -> chat_status {
    attempt(|| {
        // SAFETY: the header asks for a server that is not freed before this returns.
        let server = unsafe { own(server)? };
        // SAFETY: the header asks for `room_len` readable bytes.
        let room = unsafe { text(room, room_len)? };
        Ok(server.leave(ClientId::from_u64(client), room)?)
    })
}

/// Sets what the host calls a client, such as the name of its user: all later events of the client carry
/// it. At most 256 bytes of UTF-8; clients do not see it.
///
/// Statuses: CHAT_ERR_NOT_FOUND, CHAT_ERR_INVALID_UTF8, CHAT_ERR_TOO_LARGE, CHAT_ERR_QUEUE_FULL,
/// CHAT_ERR_STOPPED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_set_identity(
    server: *mut chat_server,
    client: chat_client_id,
    identity: *const c_char,
    identity_len: usize,
) -> chat_status {
    attempt(|| {
        // SAFETY: the header asks for a server that is not freed before this returns.
        let server = unsafe { own(server)? };
        // SAFETY: the header asks for `identity_len` readable bytes.
        let identity = unsafe { text(identity, identity_len)? };
        Ok(server.set_identity(ClientId::from_u64(client), identity)?)
    })
}

/// Sets whether a client receives its own messages, whatever the option or its query said.
///
/// Statuses: CHAT_ERR_NOT_FOUND, CHAT_ERR_QUEUE_FULL, CHAT_ERR_STOPPED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_set_echo(
    server: *mut chat_server,
    client: chat_client_id,
    echo: bool,
) -> chat_status {
    attempt(|| {
        // SAFETY: the header asks for a server that is not freed before this returns.
        let server = unsafe { own(server)? };
        Ok(server.set_echo(ClientId::from_u64(client), echo)?)
    })
}

/// Lets a message be published that a CHAT_EVENT_MESSAGE_REQUEST told of
/// (chat_config_set_review_timeout), from any thread, also in a handler. It goes to the event's room, when
/// what the same client sent before is decided; if the host has taken the client out of that room since,
/// or the server stops before, it is counted in `messages_refused`. A client that leaves meanwhile stays
/// in its rooms, and its CHAT_EVENT_DISCONNECTED waits, until its messages are decided.
///
/// Statuses: CHAT_ERR_NOT_FOUND if it was decided before or the time is over, CHAT_ERR_STOPPED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_allow(
    server: *mut chat_server,
    decision: chat_decision_id,
) -> chat_status {
    attempt(|| {
        // SAFETY: the header asks for a server that is not freed before this returns.
        let server = unsafe { own(server)? };
        Ok(server.allow(DecisionId::from_u64(decision))?)
    })
}

/// Does what chat_server_allow does, with another message in the place of the client's. `kind` is
/// CHAT_TEXT or CHAT_BINARY.
///
/// Statuses: as of chat_server_allow; CHAT_ERR_INVALID_ARGUMENT for an unknown kind,
/// CHAT_ERR_INVALID_UTF8, CHAT_ERR_TOO_LARGE, with which the message is still to be decided on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_allow_changed(
    server: *mut chat_server,
    decision: chat_decision_id,
    kind: u32,
    data: *const u8,
    data_len: usize,
) -> chat_status {
    attempt(|| {
        // SAFETY: the header asks for a server that is not freed before this returns.
        let (server, kind) = (unsafe { own(server)? }, self::kind(kind)?);
        // SAFETY: the header asks for `data_len` readable bytes.
        let data = unsafe { bytes(data, data_len, server.max_message_size())? };
        Ok(server.allow_changed(DecisionId::from_u64(decision), kind, data)?)
    })
}

/// Lets a message not be published that a CHAT_EVENT_MESSAGE_REQUEST told of. Its sender is not told:
/// say so with chat_server_send.
///
/// Statuses: as of chat_server_allow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_refuse(
    server: *mut chat_server,
    decision: chat_decision_id,
) -> chat_status {
    attempt(|| {
        // SAFETY: the header asks for a server that is not freed before this returns.
        let server = unsafe { own(server)? };
        Ok(server.refuse(DecisionId::from_u64(decision))?)
    })
}

//! What a host does with one client: decides on it and on its messages, sends to it, changes its
//! rooms, closes it.

use std::ffi::c_char;

use super::{
    boundary::{attempt, bytes, flag, text},
    event::{chat_client_id, chat_decision_id, kind},
    server::{chat_server, own},
    status::chat_status,
};
use crate::event::{ClientId, DecisionId};

/// Sends a message to one client. `kind` is CHAT_TEXT or CHAT_BINARY.
///
/// Statuses: CHAT_ERR_NOT_FOUND, CHAT_ERR_INVALID_ARGUMENT for an unknown kind,
/// CHAT_ERR_INVALID_UTF8, CHAT_ERR_TOO_LARGE, CHAT_ERR_QUEUE_FULL, CHAT_ERR_RESOURCE_LIMIT,
/// CHAT_ERR_STOPPED.
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

/// Closes a client's connection after the messages that were sent to it before, and does not wait
/// for the client. What the client sends after this call has returned is not heard. `code` is a
/// close code of 1000 to 1003, 1007 to 1013 or 3000 to 4999; the reason is at most 123 bytes long and
/// may be empty. A client that waits for admission is rejected with HTTP 403 and the reason.
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

/// Accepts the client of a CHAT_EVENT_CONNECT_REQUEST (chat_config_set_admission_timeout):
/// completes its handshake. The client receives what is published to its room from this call on.
/// Any thread may call this, also in a handler.
///
/// What else the host decides about the client, it does before this call: chat_server_set_identity,
/// chat_server_join and chat_server_leave (also of the room that the client asks for),
/// chat_server_set_echo, chat_server_send. A client that the host has joined to the room that it
/// asks for gets no history of that room.
///
/// Statuses: CHAT_ERR_NOT_FOUND if the client has left, was decided on before, or its time is over;
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

/// A header of the answer to a client that is rejected, for chat_server_reject.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct chat_header {
    /// The name: letters, digits and hyphens.
    pub name: *const c_char,
    /// The length of `name` in bytes.
    pub name_len: usize,
    /// The value, without line breaks and other control characters.
    pub value: *const c_char,
    /// The length of `value` in bytes.
    pub value_len: usize,
}

/// The most headers that one call takes.
const MAX_HEADERS: usize = 64;

/// Rejects the client of a CHAT_EVENT_CONNECT_REQUEST: answers its request with `http_status`, 400
/// to 599, and a text of at most 1,024 bytes, which may be empty. Any thread may call this, also in
/// a handler.
///
/// `headers` is an array of `header_count` further headers of the answer, such as `Retry-After`: at
/// most 64, with at most 8 KiB in all; NULL with 0 means none. A header that HTTP requires with the
/// status is added if it is not among them: `WWW-Authenticate: Bearer` with 401, `Allow: GET` with
/// 405, `Proxy-Authenticate: Basic` with 407, `Upgrade: websocket` with 426.
///
/// Statuses: CHAT_ERR_NOT_FOUND if the client has left, was decided on before, or its time is over;
/// CHAT_ERR_INVALID_ARGUMENT for another status, and for a header that breaks the rules of HTTP or
/// that libchat sets itself (Connection, Content-Length, Content-Type, Date, Transfer-Encoding,
/// Upgrade); CHAT_ERR_INVALID_UTF8, CHAT_ERR_TOO_LARGE, CHAT_ERR_STOPPED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_reject(
    server: *mut chat_server,
    client: chat_client_id,
    http_status: u16,
    reason: *const c_char,
    reason_len: usize,
    headers: *const chat_header,
    header_count: usize,
) -> chat_status {
    attempt(|| {
        // SAFETY: the header asks for a server that is not freed before this returns.
        let server = unsafe { own(server)? };
        // SAFETY: the header asks for `reason_len` readable bytes, and for `header_count` headers whose texts can
        // be read.
        let (reason, headers) =
            unsafe { (text(reason, reason_len)?, self::headers(headers, header_count)?) };
        Ok(server.reject(ClientId::from_u64(client), http_status, reason, &headers)?)
    })
}

/// Returns the headers that C passes as an array.
///
/// # Safety
/// If `headers` is not NULL and `count` is at most `MAX_HEADERS`, `count` headers can be read from it, and their
/// texts, unchanged, for `'a`.
unsafe fn headers<'a>(
    headers: *const chat_header,
    count: usize,
) -> Result<Vec<(&'a str, &'a str)>, chat_status> {
    if count == 0 {
        return Ok(Vec::new());
    }
    if headers.is_null() {
        return Err(chat_status::CHAT_ERR_NULL_ARGUMENT);
    }
    if count > MAX_HEADERS {
        return Err(chat_status::CHAT_ERR_TOO_LARGE);
    }
    if !headers.is_aligned() {
        return Err(chat_status::CHAT_ERR_INVALID_ARGUMENT);
    }
    // SAFETY: not NULL, aligned, and readable as the caller promises.
    let headers = unsafe { std::slice::from_raw_parts(headers, count) };
    let read = |header: &chat_header| {
        // SAFETY: the caller's promise.
        unsafe {
            let name = text(header.name, header.name_len)?;
            Ok((name, text(header.value, header.value_len)?))
        }
    };
    headers.iter().map(read).collect()
}

/// Puts a client into a room, in addition to the rooms that it is in. The client receives what is
/// published to the room from this call on. What the client sends is published to one of its rooms:
/// the one that it joined first; this holds for all that it sends after the call has returned. The
/// host gets CHAT_EVENT_JOINED, unless the client is already in the room.
///
/// Statuses: CHAT_ERR_NOT_FOUND, CHAT_ERR_INVALID_ARGUMENT for a name that no room can have,
/// CHAT_ERR_INVALID_UTF8, CHAT_ERR_TOO_LARGE, CHAT_ERR_TOO_MANY_ROOMS if the client is in as many
/// rooms as it may be (chat_config_set_max_rooms_per_client), CHAT_ERR_QUEUE_FULL, CHAT_ERR_STOPPED.
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

/// Takes a client out of a room. The client receives nothing that is published to the room from
/// this call on, and what it sends after the call has returned does not go there. What a client in no
/// room sends goes to the host alone. The host gets CHAT_EVENT_LEFT, unless the client is not in the
/// room.
///
/// Statuses: those of chat_server_join but CHAT_ERR_TOO_MANY_ROOMS.
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

/// Sets a client's identity: the host's name for it, such as the name of its user. All later events
/// of the client carry it, and so does the event of every message that the client sends after the call
/// has returned. At most 256 bytes of UTF-8. Clients do not see it.
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

/// Sets whether a client receives its own messages: those that it sends after the call has returned.
/// This overrides the option and the client's query. `echo` is 0 or 1.
///
/// Statuses: CHAT_ERR_NOT_FOUND, CHAT_ERR_INVALID_ARGUMENT for another number, CHAT_ERR_QUEUE_FULL,
/// CHAT_ERR_STOPPED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_set_echo(
    server: *mut chat_server,
    client: chat_client_id,
    echo: u32,
) -> chat_status {
    attempt(|| {
        // SAFETY: the header asks for a server that is not freed before this returns.
        let server = unsafe { own(server)? };
        Ok(server.set_echo(ClientId::from_u64(client), flag(echo)?)?)
    })
}

/// Allows the message of a CHAT_EVENT_MESSAGE_REQUEST (chat_config_set_review_timeout): publishes
/// it to the event's room, as soon as the client's earlier messages are decided. Any thread may
/// call this, also in a handler.
///
/// The message is not published, and counts in `messages_refused`, if by then the host has taken
/// the client out of that room or the server stops. A client that disconnects before its messages
/// are decided stays in its rooms until they are; its CHAT_EVENT_DISCONNECTED follows them.
///
/// Statuses: CHAT_ERR_NOT_FOUND if the message was decided on before or its time is over,
/// CHAT_ERR_STOPPED.
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

/// Does what chat_server_allow does, but publishes another message in place of the client's. `kind`
/// is CHAT_TEXT or CHAT_BINARY.
///
/// Statuses: those of chat_server_allow; CHAT_ERR_INVALID_ARGUMENT for an unknown kind,
/// CHAT_ERR_INVALID_UTF8 and CHAT_ERR_TOO_LARGE: after these three the message still waits for a
/// decision.
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

/// Refuses the message of a CHAT_EVENT_MESSAGE_REQUEST: it is not published. Its sender is not
/// told; use chat_server_send to tell it.
///
/// Statuses: those of chat_server_allow.
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

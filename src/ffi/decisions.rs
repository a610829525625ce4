//! What a host decides: on a client that asks to be connected, on a message that waits for review.

use std::ffi::c_char;

use super::{
    boundary::{attempt, bytes, text},
    event::{chat_client_id, chat_decision_id, kind},
    failure::Failure,
    past::past,
    server::{chat_server, own},
    status::chat_status,
};
use crate::event::{ClientId, DecisionId};

/// Accepts the client of a CHAT_EVENT_CONNECT_REQUEST (chat_config_set_admission_timeout):
/// completes its handshake. The client receives what is published to its room from this call on,
/// and first as much of the room's past as it asks for with `?history=` or `?since=`;
/// chat_server_accept_with_past bounds that. Any thread may call this, also in a handler.
///
/// What else the host decides about the client, it does before this call: chat_server_set_identity,
/// chat_server_set_name, chat_server_join and chat_server_leave (also of the room that the client
/// asks for), chat_server_set_echo, chat_server_set_subprotocol, chat_server_send. A client that the
/// host has joined to the room that it asks for gets the past that the host gave there: with
/// chat_server_join, none.
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

/// Accepts a client as chat_server_accept does, which is this with CHAT_PAST_ALL, and bounds what
/// the client may have of the past of the room that it asks for: of the messages that the room
/// keeps (chat_config_set_history_messages). `past` is a number of messages: 0 is nothing,
/// CHAT_PAST_ALL is all. Any thread may call this, also in a handler.
///
/// Within `past` the client gets what it asks for: with `?history=N` the last N messages, with
/// `?since=POSITION` what was published after that position, and nothing if it asks for nothing. If
/// it lacks more, it gets the last `past` messages, or the last N if it also has `?history=N` and
/// that is less; a client of the JSON form is told that it does not recover (`"recovered":false`,
/// with the reason `trimmed`). The header `Last-Event-ID` of a client of events counts as
/// `?since=POSITION`. A client of the JSON form can ask for earlier messages (`history`), and gets
/// none that `past` keeps from it. The bound does not concern rooms that the host joins the client
/// to.
///
/// Statuses: those of chat_server_accept.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_accept_with_past(
    server: *mut chat_server,
    client: chat_client_id,
    past: u64,
) -> chat_status {
    attempt(|| {
        // SAFETY: the header asks for a server that is not freed before this returns.
        let server = unsafe { own(server)? };
        Ok(server.accept_with_past(ClientId::from_u64(client), self::past(past))?)
    })
}

/// Chooses the subprotocol that the answer to the client of a CHAT_EVENT_CONNECT_REQUEST names, before
/// chat_server_accept: one that the client offers in its header `Sec-WebSocket-Protocol`, compared as
/// it is. So a page can offer names of its own, such as one that carries a token beside one that the
/// host chooses. The last call counts. Without a call the answer names `libchat.json` if the client
/// offers it, and else none. Any thread may call this, also in a handler.
///
/// It does not change how the client receives messages (`form`). A client that offers `libchat.json`
/// among others speaks the JSON form under that name, and can have no other; with `?format=json` in
/// its address it speaks the JSON form under any name, or under none.
///
/// Statuses: CHAT_ERR_INVALID_ARGUMENT if the client does not offer it, or offers `libchat.json` too
/// without `?format=json`, or is one of events; CHAT_ERR_NOT_FOUND if the client has left, was
/// decided on before, or its time is over; CHAT_ERR_INVALID_UTF8, CHAT_ERR_TOO_LARGE,
/// CHAT_ERR_STOPPED. In all cases nothing has changed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_set_subprotocol(
    server: *mut chat_server,
    client: chat_client_id,
    name: *const c_char,
    name_len: usize,
) -> chat_status {
    attempt(|| {
        // SAFETY: the header asks for a server that is not freed before this returns.
        let server = unsafe { own(server)? };
        // SAFETY: the header asks for `name_len` readable bytes.
        let name = unsafe { text(name, name_len, "name")? };
        Ok(server.set_subprotocol(ClientId::from_u64(client), name)?)
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
/// to 599, and a text of at most 1,024 bytes, which may be empty; or with 204 ("stop asking", for an
/// EventSource) and no text: `reason` is not sent then. Any thread may call this, also in a handler.
///
/// `headers` is an array of `header_count` further headers of the answer, such as `Retry-After`: at
/// most 64, with at most 8 KiB in all; NULL with 0 means none. A header that HTTP requires with the
/// status is added if it is not among them: `WWW-Authenticate: Bearer` with 401, `Allow: GET` with
/// 405, `Proxy-Authenticate: Basic` with 407, `Upgrade: websocket` with 426.
///
/// Any status ends an EventSource for ever (CHAT_FORM_EVENTS). A host that means "later" calls
/// chat_server_accept, and then chat_server_disconnect with 1013.
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
            unsafe { (text(reason, reason_len, "reason")?, self::headers(headers, header_count)?) };
        Ok(server.reject(ClientId::from_u64(client), http_status, reason, &headers)?)
    })
}

/// Returns the headers that C passes as an array.
///
/// # Safety If `headers` is not NULL and `count` is at most `MAX_HEADERS`, `count` headers can be
/// read from it, and their texts, unchanged, for `'a`.
unsafe fn headers<'a>(
    headers: *const chat_header,
    count: usize,
) -> Result<Vec<(&'a str, &'a str)>, Failure> {
    if count == 0 {
        return Ok(Vec::new());
    }
    if headers.is_null() {
        return Err(Failure::null("headers"));
    }
    if count > MAX_HEADERS {
        let why = format!("{count} headers are too many: {MAX_HEADERS} are allowed");
        return Err(Failure::argument(chat_status::CHAT_ERR_TOO_LARGE, "header_count", why));
    }
    if !headers.is_aligned() {
        return Err(Failure::invalid("headers", "it is not aligned as an array of chat_header is"));
    }
    // SAFETY: not NULL, aligned, and readable as the caller promises.
    let headers = unsafe { std::slice::from_raw_parts(headers, count) };
    let read = |header: &chat_header| {
        // SAFETY: the caller's promise.
        unsafe {
            let name = text(header.name, header.name_len, "headers")?;
            Ok((name, text(header.value, header.value_len, "headers")?))
        }
    };
    headers.iter().map(read).collect()
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
        let data = unsafe { bytes(data, data_len, server.max_message_size(), "data")? };
        Ok(server.allow_changed(DecisionId::from_u64(decision), kind, data)?)
    })
}

/// Refuses the message of a CHAT_EVENT_MESSAGE_REQUEST: it is not published. A sender of the JSON
/// form is told (`refused`), a plain one is not: use chat_server_send to tell it.
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

/// Refuses a message as chat_server_refuse does, and tells a sender of the JSON form why: the object
/// `refused` has the text `reason`, for people to read. At most 256 bytes of UTF-8; an empty one is as
/// none.
///
/// Statuses: those of chat_server_allow; CHAT_ERR_INVALID_UTF8 and CHAT_ERR_TOO_LARGE: after these two
/// the message still waits for a decision.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_refuse_with(
    server: *mut chat_server,
    decision: chat_decision_id,
    reason: *const c_char,
    reason_len: usize,
) -> chat_status {
    attempt(|| {
        // SAFETY: the header asks for a server that is not freed before this returns.
        let server = unsafe { own(server)? };
        // SAFETY: the header asks for `reason_len` readable bytes.
        let reason = unsafe { text(reason, reason_len, "reason")? };
        Ok(server.refuse_with(DecisionId::from_u64(decision), reason)?)
    })
}

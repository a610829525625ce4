//! What a host does with one client: sends to it, changes its rooms, its echo and what it is called, closes it.

use std::ffi::c_char;

use super::{
    boundary::{attempt, bytes, flag, text},
    event::{chat_client_id, kind},
    past::past,
    position::chat_position,
    server::{chat_server, own},
    status::chat_status,
};
use crate::{event::ClientId, position::Position};

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
        let data = unsafe { bytes(data, data_len, server.max_message_size(), "data")? };
        Ok(server.send(ClientId::from_u64(client), kind, data)?)
    })
}

/// Closes a client's connection after the messages that were sent to it before, and does not wait
/// for the client. What the client sends after this call has returned is not heard. `code` is a
/// close code of 1000 to 1003, 1007 to 1013 or 3000 to 4999; the reason is at most 123 bytes long
/// and may be empty. A client that waits for admission is rejected with HTTP 403 and the reason.
///
/// A client of events gets the event `closing` with 1001, 1011, 1012 and 1013, and comes back; with
/// every other code it gets `closed`.
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
        let reason = unsafe { text(reason, reason_len, "reason")? };
        Ok(server.disconnect(ClientId::from_u64(client), code, reason)?)
    })
}

/// Puts a client into a room, in addition to the rooms that it is in. The client receives what is
/// published to the room from this call on. What the client sends is published to one of its rooms:
/// the one that it joined first; this holds for all that it sends after the call has returned. The
/// host gets CHAT_EVENT_JOINED, unless the client is already in the room.
///
/// The client gets nothing of the room's past: chat_server_join_with_past gives it.
///
/// Statuses: CHAT_ERR_NOT_FOUND, CHAT_ERR_INVALID_ARGUMENT for a name that no room can have,
/// CHAT_ERR_INVALID_UTF8, CHAT_ERR_TOO_LARGE, CHAT_ERR_TOO_MANY_ROOMS if the client is in as many
/// rooms as it may be (chat_config_set_max_rooms_per_client; a client of events in one: let it leave
/// that first), CHAT_ERR_QUEUE_FULL, CHAT_ERR_STOPPED.
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
        let room = unsafe { text(room, room_len, "room")? };
        Ok(server.join(ClientId::from_u64(client), room)?)
    })
}

/// Puts a client into a room as chat_server_join does, which is this with 0, and gives it the last
/// `past` messages that the room keeps (chat_config_set_history_messages): 0 is none, CHAT_PAST_ALL
/// is all. The client need not have asked for them. It receives them first, and then what is
/// published from this call on: nothing is missing between them, and nothing comes twice.
///
/// A client that comes back gets what it lacks, if that is at most `past` messages, and otherwise
/// the last `past`. `*since` is the position up to which it has everything, such as that of the
/// room when a page was rendered (chat_server_position). If `since` is NULL, or both fields are 0,
/// the server uses the position that the client sent for this room (`?since.ROOM=POSITION`; for the
/// room of its path also `?since=`), once: when the client first enters it, whichever call puts it
/// there. What a client of events sends as `Last-Event-ID` or `?since=` counts for the room that it
/// enters first. A position of another room or of a history that is gone is no error: the client
/// does not recover.
///
/// A plain client receives the past as messages like all others. A client of the JSON form is told
/// where the past begins (`entered`), whether it recovers (`recovered`, and the `reason` if not)
/// and that the past is over (`live`); it gets no earlier message either if it asks for them
/// (`history`). A client that is in the room already gets nothing.
///
/// Statuses: those of chat_server_join.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_join_with_past(
    server: *mut chat_server,
    client: chat_client_id,
    room: *const c_char,
    room_len: usize,
    past: u64,
    since: Option<&chat_position>,
) -> chat_status {
    attempt(|| {
        // SAFETY: the header asks for a server that is not freed before this returns.
        let server = unsafe { own(server)? };
        // SAFETY: the header asks for `room_len` readable bytes.
        let room = unsafe { text(room, room_len, "room")? };
        let since = since.copied().map(Position::from);
        Ok(server.join_with_past(ClientId::from_u64(client), room, self::past(past), since)?)
    })
}

/// Takes a client out of a room. The client receives nothing that is published to the room from
/// this call on, and what it sends after the call has returned does not go there. What a client in
/// no room sends goes to the host alone. The host gets CHAT_EVENT_LEFT, unless the client is not in
/// the room.
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
        let room = unsafe { text(room, room_len, "room")? };
        Ok(server.leave(ClientId::from_u64(client), room)?)
    })
}

/// Sets a client's identity: the host's name for it, such as the name of its user. All later events
/// of the client carry it, and so does the event of every message that the client sends after the
/// call has returned. At most 256 bytes of UTF-8. Clients do not see it; what they see is the name
/// (chat_server_set_name). Several clients may have one identity: chat_server_send_to_identity and
/// the calls like it reach them all, this client from when this call has returned. An empty identity
/// takes the identity back: the client then has none.
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
        let identity = unsafe { text(identity, identity_len, "identity")? };
        Ok(server.set_identity(ClientId::from_u64(client), identity)?)
    })
}

/// Sets the name under which other clients see a client's messages: all that it sends after the
/// call has returned. At most 128 bytes of UTF-8 without control characters. By default a client
/// has the name that it claims itself with `?name=`, or none. The host's name replaces a claimed
/// one. An empty name takes the name back, the host's and the claimed one: the client then has
/// none.
///
/// Clients of the JSON form see names, and of claimed ones that they are claimed
/// (`"claimed":true`); plain clients see none. A message that a room keeps keeps its name. Several
/// clients may have one name: what the host knows a client by is the identity.
///
/// Statuses: CHAT_ERR_NOT_FOUND, CHAT_ERR_INVALID_ARGUMENT for a longer name or one with control
/// characters, CHAT_ERR_INVALID_UTF8, CHAT_ERR_TOO_LARGE, CHAT_ERR_QUEUE_FULL, CHAT_ERR_STOPPED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_set_name(
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
        Ok(server.set_name(ClientId::from_u64(client), name)?)
    })
}

/// Sets whether a client receives its own messages: those that it sends after the call has
/// returned. This overrides the option and the client's query. As chat_config_set_echo, it does not
/// count for a room's past. `echo` is 0 or 1.
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
        Ok(server.set_echo(ClientId::from_u64(client), flag(echo, "echo")?)?)
    })
}

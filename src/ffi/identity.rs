//! What a host does with all connections of one identity.

use std::{ffi::c_char, mem::MaybeUninit, slice};

use super::{
    boundary::{attempt, bytes, required, text, write},
    event::{chat_client_id, kind},
    failure::Failure,
    server::{chat_server, own},
    status::chat_status,
};

/// Sends a message to all connections of an identity (chat_server_set_identity), whatever rooms they
/// are in. `kind` is CHAT_TEXT or CHAT_BINARY. `*reached` is how many connections they are: 0 is no
/// error. `reached` may be NULL.
///
/// A connection counts from the chat_server_set_identity that has given it the identity until that
/// of another one, a chat_server_disconnect, or its end. One that waits for admission counts, and
/// receives the message when it is accepted. An empty identity is nobody's.
///
/// Statuses: CHAT_ERR_INVALID_ARGUMENT for an unknown kind, CHAT_ERR_INVALID_UTF8,
/// CHAT_ERR_TOO_LARGE also for an identity of more than 256 bytes, CHAT_ERR_RESOURCE_LIMIT,
/// CHAT_ERR_QUEUE_FULL if too much waits for any of them: nothing was sent then, to no one;
/// CHAT_ERR_STOPPED: a part may have been sent.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_send_to_identity(
    server: *mut chat_server,
    identity: *const c_char,
    identity_len: usize,
    kind: u32,
    data: *const u8,
    data_len: usize,
    reached: Option<&mut MaybeUninit<usize>>,
) -> chat_status {
    attempt(|| {
        // SAFETY: the header asks for a server that is not freed before this returns.
        let (server, kind) = (unsafe { own(server)? }, self::kind(kind)?);
        // SAFETY: the header asks for `identity_len` readable bytes.
        let identity = unsafe { text(identity, identity_len, "identity")? };
        // SAFETY: the header asks for `data_len` readable bytes.
        let data = unsafe { bytes(data, data_len, server.max_message_size(), "data")? };
        write(reached, server.send_to_identity(identity, kind, data)?);
        Ok(())
    })
}

/// Closes all connections of an identity, each as chat_server_disconnect does, and does not wait for
/// them. `*reached` is how many they are; `reached` may be NULL. One that waits for admission is
/// rejected with HTTP 403 and the reason.
///
/// When this has returned, the identity has no connection: one that is closed with
/// chat_server_disconnect or with this does not count any more, though its CHAT_EVENT_DISCONNECTED
/// may come later, and still carries the identity.
///
/// Statuses: CHAT_ERR_INVALID_ARGUMENT for a code that chat_server_disconnect does not take,
/// CHAT_ERR_INVALID_UTF8, CHAT_ERR_TOO_LARGE also for an identity of more than 256 bytes,
/// CHAT_ERR_STOPPED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_disconnect_identity(
    server: *mut chat_server,
    identity: *const c_char,
    identity_len: usize,
    code: u16,
    reason: *const c_char,
    reason_len: usize,
    reached: Option<&mut MaybeUninit<usize>>,
) -> chat_status {
    attempt(|| {
        // SAFETY: the header asks for a server that is not freed before this returns.
        let server = unsafe { own(server)? };
        // SAFETY: the header asks for `identity_len` and for `reason_len` readable bytes.
        let (identity, reason) = unsafe {
            (text(identity, identity_len, "identity")?, text(reason, reason_len, "reason")?)
        };
        write(reached, server.disconnect_identity(identity, code, reason)?);
        Ok(())
    })
}

/// Puts all connections of an identity into a room, each as chat_server_join does. `*reached` is how
/// many of them are in the room then; those that were there already are among them. `reached` may be
/// NULL. All enter between the same messages, and get nothing of the room's past: to give it, call
/// chat_server_join_with_past for each of chat_server_identity_clients.
///
/// A client of events is in one room: one that is in another stays there, and does not count.
///
/// Statuses: CHAT_ERR_TOO_MANY_ROOMS if any other connection of the identity is in as many rooms as
/// it may be (chat_config_set_max_rooms_per_client); to put those into the room that have a place,
/// call chat_server_join for each of chat_server_identity_clients. CHAT_ERR_INVALID_ARGUMENT for a
/// name that no room can have, CHAT_ERR_INVALID_UTF8, CHAT_ERR_TOO_LARGE also for an identity of
/// more than 256 bytes, CHAT_ERR_QUEUE_FULL, CHAT_ERR_STOPPED. In all cases nothing has changed for
/// any of them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_join_identity(
    server: *mut chat_server,
    identity: *const c_char,
    identity_len: usize,
    room: *const c_char,
    room_len: usize,
    reached: Option<&mut MaybeUninit<usize>>,
) -> chat_status {
    attempt(|| {
        // SAFETY: the header asks for a server that is not freed before this returns.
        let server = unsafe { own(server)? };
        // SAFETY: the header asks for `identity_len` and for `room_len` readable bytes.
        let (identity, room) =
            unsafe { (text(identity, identity_len, "identity")?, text(room, room_len, "room")?) };
        write(reached, server.join_identity(identity, room)?);
        Ok(())
    })
}

/// Takes all connections of an identity out of a room, each as chat_server_leave does. `*reached` is
/// how many of them were in the room; `reached` may be NULL. One that waits for admission to the
/// room does not ask for it any more, and counts.
///
/// Statuses: CHAT_ERR_INVALID_ARGUMENT for a name that no room can have, CHAT_ERR_INVALID_UTF8,
/// CHAT_ERR_TOO_LARGE also for an identity of more than 256 bytes, CHAT_ERR_QUEUE_FULL: in these
/// cases nothing has changed. CHAT_ERR_STOPPED: a part may have left.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_leave_identity(
    server: *mut chat_server,
    identity: *const c_char,
    identity_len: usize,
    room: *const c_char,
    room_len: usize,
    reached: Option<&mut MaybeUninit<usize>>,
) -> chat_status {
    attempt(|| {
        // SAFETY: the header asks for a server that is not freed before this returns.
        let server = unsafe { own(server)? };
        // SAFETY: the header asks for `identity_len` and for `room_len` readable bytes.
        let (identity, room) =
            unsafe { (text(identity, identity_len, "identity")?, text(room, room_len, "room")?) };
        write(reached, server.leave_identity(identity, room)?);
        Ok(())
    })
}

/// Writes the clients that have an identity now, in no particular order: those whom
/// chat_server_send_to_identity would reach. Those that wait for admission are among them. `clients`
/// is an array of `capacity` ids; it may be NULL if `capacity` is 0. `*count` is how many clients
/// there are, also if the array is too short for them: then nothing is written to the array. Their
/// number may have changed when the host calls again with a longer one.
///
/// Statuses: CHAT_ERR_TOO_LARGE if there are more than `capacity`, and for an identity of more than
/// 256 bytes (then `*count` is 0); CHAT_ERR_INVALID_UTF8, CHAT_ERR_STOPPED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_identity_clients(
    server: *mut chat_server,
    identity: *const c_char,
    identity_len: usize,
    clients: *mut chat_client_id,
    capacity: usize,
    count: Option<&mut MaybeUninit<usize>>,
) -> chat_status {
    attempt(|| {
        let count = required(count, "count")?.write(0);
        // SAFETY: the header asks for a server that is not freed before this returns.
        let server = unsafe { own(server)? };
        // SAFETY: the header asks for `identity_len` readable bytes.
        let identity = unsafe { text(identity, identity_len, "identity")? };
        if clients.is_null() && capacity > 0 {
            return Err(Failure::null("clients"));
        }
        if !clients.is_aligned() {
            return Err(Failure::invalid(
                "clients",
                "it is not aligned as an array of chat_client_id is",
            ));
        }
        let found = server.identity_clients(identity)?;
        *count = found.len();
        if found.len() > capacity {
            let why =
                format!("{capacity} ids fit, and there are {}; pass a longer array", found.len());
            return Err(Failure::argument(chat_status::CHAT_ERR_TOO_LARGE, "capacity", why));
        }
        if !found.is_empty() {
            // SAFETY: not NULL, aligned, and the header asks for `capacity` ids that can be written, of which
            // these are not more. They are initialised before they are read.
            let out = unsafe {
                slice::from_raw_parts_mut(
                    clients.cast::<MaybeUninit<chat_client_id>>(),
                    found.len(),
                )
            };
            for (out, client) in out.iter_mut().zip(found) {
                out.write(client.as_u64());
            }
        }
        Ok(())
    })
}

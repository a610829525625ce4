//! Signals: what clients are told that is stored nowhere.

use std::ffi::c_char;

use super::{
    boundary::{attempt, bytes, text},
    event::{chat_client_id, kind},
    server::{chat_server, own},
    status::chat_status,
};
use crate::event::ClientId;

/// Tells the clients in a room something that is stored nowhere and has no position, such as that
/// somebody types: a signal. It comes in the order of the room's messages. Clients of the JSON form
/// and of events get it; plain WebSocket clients get none. A client that lags is passed over, and is
/// told nothing of it. `kind` is CHAT_TEXT or CHAT_BINARY. At most 4 KiB, or the longest message if
/// that is shorter (chat_config_set_max_message_size).
///
/// This never waits. Where too much waits already, the signal is dropped and counted
/// (signals_dropped of chat_stats), and this returns CHAT_OK, as it does if nobody is in the room.
/// Statuses: CHAT_ERR_INVALID_ARGUMENT for a name that no room can have or an unknown kind,
/// CHAT_ERR_INVALID_UTF8, CHAT_ERR_TOO_LARGE, CHAT_ERR_RESOURCE_LIMIT, CHAT_ERR_STOPPED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_signal(
    server: *mut chat_server,
    room: *const c_char,
    room_len: usize,
    kind: u32,
    data: *const u8,
    data_len: usize,
) -> chat_status {
    attempt(|| {
        // SAFETY: the header asks for a server that is not freed before this returns.
        let (server, kind) = (unsafe { own(server)? }, self::kind(kind)?);
        // SAFETY: the header asks for `room_len` and `data_len` readable bytes.
        let (room, data) = unsafe {
            (
                text(room, room_len, "room")?,
                bytes(data, data_len, server.max_signal_size(), "data")?,
            )
        };
        Ok(server.signal(room, kind, data)?)
    })
}

/// Sends a signal to one client, as chat_server_signal does to a room. A client that lags or waits
/// for admission is passed over. `kind` is CHAT_TEXT or CHAT_BINARY.
///
/// Statuses: CHAT_ERR_NOT_FOUND, CHAT_ERR_INVALID_ARGUMENT for an unknown kind,
/// CHAT_ERR_INVALID_UTF8, CHAT_ERR_TOO_LARGE, CHAT_ERR_RESOURCE_LIMIT, CHAT_ERR_STOPPED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_signal_client(
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
        let data = unsafe { bytes(data, data_len, server.max_signal_size(), "data")? };
        Ok(server.signal_client(ClientId::from_u64(client), kind, data)?)
    })
}

//! Who is in a room: `chat_members`, and what a client may be told of it.

use std::{ffi::c_char, mem::MaybeUninit, ptr};

use super::{
    boundary::{attempt, flag, required, text, text_parts},
    event::chat_client_id,
    guard::guard,
    server::{chat_server, own},
    status::chat_status,
};
use crate::{ClientId, Member};

/// A client in a room: one of a chat_members, which owns it and all that it points to. Texts are
/// never NULL and are not NUL-terminated. Later versions may add fields at the end, so a host must
/// not make arrays of this struct.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct chat_member {
    /// The client.
    pub client: chat_client_id,
    /// The client's identity (chat_server_set_identity); empty if the host has not set one.
    pub identity: *const c_char,
    /// The length of `identity` in bytes.
    pub identity_len: usize,
    /// What other clients are told that it is called (chat_server_set_name); empty if it has no
    /// name.
    pub name: *const c_char,
    /// The length of `name` in bytes.
    pub name_len: usize,
    /// 1 if only the client itself says that this is its name, else 0.
    pub is_name_claimed: u32,
    /// 1 if its connection has ended and its place waits for it to come back
    /// (chat_config_set_member_grace), else 0.
    pub is_away: u32,
}

/// The members of a room at one time, in the order of their clients' ids.
///
/// The host owns it and frees it with chat_members_free. Several threads may read it at once.
///
/// Functions: chat_server_members, chat_members_len, chat_members_get, chat_members_free.
pub struct chat_members {
    entries: Vec<chat_member>,
    /// What `entries` points into.
    _members: Vec<Member>,
}

impl chat_members {
    fn new(members: Vec<Member>) -> Self {
        Self { entries: members.iter().map(describe).collect(), _members: members }
    }
}

fn describe(member: &Member) -> chat_member {
    let (identity, identity_len) = text_parts(member.identity.as_deref().unwrap_or_default());
    let (name, name_len) = text_parts(member.name.as_deref().unwrap_or_default());
    chat_member {
        client: member.client.as_u64(),
        identity,
        identity_len,
        name,
        name_len,
        is_name_claimed: member.is_name_claimed.into(),
        is_away: member.is_away.into(),
    }
}

/// Returns who is in a room: each client, and each whose connection has ended and whose place is
/// kept (chat_config_set_member_grace). An identity with several connections is there several times.
/// Nobody is in a room that does not exist.
///
/// `*out` is a list, which may be empty: the host owns it and frees it with chat_members_free.
/// Statuses: CHAT_ERR_UNSUPPORTED if no members are kept (chat_config_set_members);
/// CHAT_ERR_INVALID_ARGUMENT for a name that no room can have, CHAT_ERR_INVALID_UTF8,
/// CHAT_ERR_TOO_LARGE, CHAT_ERR_STOPPED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_members(
    server: *mut chat_server,
    room: *const c_char,
    room_len: usize,
    out: Option<&mut MaybeUninit<*mut chat_members>>,
) -> chat_status {
    attempt(|| {
        // SAFETY: the header asks for a server that is not freed before this returns.
        let (server, out) = (unsafe { own(server)? }, required(out, "out")?);
        // SAFETY: the header asks for `room_len` readable bytes.
        let room = unsafe { text(room, room_len, "room")? };
        let members = chat_members::new(server.members(room)?);
        out.write(Box::into_raw(Box::new(members)));
        Ok(())
    })
}

/// Returns in `*count` how many are in a room: the length of what chat_server_members returns, at
/// the cost of a look-up. Statuses: those of chat_server_members.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_member_count(
    server: *mut chat_server,
    room: *const c_char,
    room_len: usize,
    count: Option<&mut MaybeUninit<usize>>,
) -> chat_status {
    attempt(|| {
        // SAFETY: the header asks for a server that is not freed before this returns.
        let (server, count) = (unsafe { own(server)? }, required(count, "count")?);
        // SAFETY: the header asks for `room_len` readable bytes.
        let room = unsafe { text(room, room_len, "room")? };
        count.write(server.member_count(room)?);
        Ok(())
    })
}

/// Sets whether a client may be told of the members of its rooms: 1 or 0, whatever
/// chat_config_set_members says. It is told if it has also asked for it (`?members=true`) and is a
/// client of the JSON form, on a WebSocket or as events. One that is allowed gets a list of each of
/// its rooms. One that is not allowed any more is told nothing more of members.
///
/// Statuses: CHAT_ERR_UNSUPPORTED if no members are kept (chat_config_set_members);
/// CHAT_ERR_NOT_FOUND, CHAT_ERR_INVALID_ARGUMENT for another value, CHAT_ERR_QUEUE_FULL,
/// CHAT_ERR_STOPPED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_set_members(
    server: *mut chat_server,
    client: chat_client_id,
    may_watch: u32,
) -> chat_status {
    attempt(|| {
        // SAFETY: the header asks for a server that is not freed before this returns.
        let (server, may_watch) = (unsafe { own(server)? }, flag(may_watch, "may_watch")?);
        Ok(server.set_members(ClientId::from_u64(client), may_watch)?)
    })
}

/// Returns how many members a list has; 0 if `members` is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn chat_members_len(members: Option<&chat_members>) -> usize {
    guard(|| members.map_or(0, |members| members.entries.len()))
}

/// Returns a member of a list by its index, which counts from 0. The member belongs to the list and
/// is valid until the list is freed. Returns NULL if there is no member with this index or `members`
/// is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn chat_members_get(
    members: Option<&chat_members>,
    index: usize,
) -> *const chat_member {
    guard(|| {
        let member = members.and_then(|members| members.entries.get(index));
        member.map_or(ptr::null(), ptr::from_ref)
    })
}

/// Frees a list and all that its members point to. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn chat_members_free(members: Option<Box<chat_members>>) {
    guard(|| drop(members));
}

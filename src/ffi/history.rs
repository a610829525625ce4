//! What a host reads and drops of the rooms' histories: `chat_history`, a page of what a room keeps.

use std::{ffi::c_char, mem::MaybeUninit, ptr};

use super::{
    boundary::{attempt, parts, required, text, text_parts, write},
    event::{chat_client_id, chat_kind},
    failure::Failure,
    guard::guard,
    position::chat_position,
    server::{chat_server, own},
    status::chat_status,
};
use crate::{
    position::Position,
    stored::{Gap, HistoryPage, Range, StoredMessage},
};

/// Which messages of those that a room keeps: for chat_server_history.
#[repr(u32)]
#[derive(Debug, Clone, Copy)]
pub enum chat_range {
    /// The last ones. The position is not used, and may be NULL.
    CHAT_RANGE_LAST = 0,
    /// The first ones after a position: what a client that has everything up to there lacks. With
    /// both fields 0, or NULL, the oldest that are kept.
    CHAT_RANGE_AFTER = 1,
    /// The last ones before a position, without the message at the position. With both fields 0, or
    /// NULL, none.
    CHAT_RANGE_BEFORE = 2,
}

/// Why a page does not begin right after the position of CHAT_RANGE_AFTER, or, with
/// CHAT_RANGE_BEFORE, why the position is none of the room's. A client that comes back with the
/// position is told the same. Later versions may add values.
#[repr(u32)]
#[derive(Debug, Clone, Copy)]
pub enum chat_gap {
    /// There is no gap.
    CHAT_GAP_NONE = 0,
    /// The position is of another history: of another room, or of one that was forgotten.
    CHAT_GAP_EPOCH = 1,
    /// What comes next is not kept any more.
    CHAT_GAP_TRIMMED = 2,
    /// The room has not come that far.
    CHAT_GAP_AHEAD = 3,
    /// Rooms have no history.
    CHAT_GAP_NO_HISTORY = 4,
}

/// A page of the messages that a room keeps.
///
/// The host owns it and frees it with chat_history_free. One thread at a time may use it.
///
/// Functions: chat_server_history, chat_history_len, chat_history_get, chat_history_has_more,
/// chat_history_gap, chat_history_position, chat_history_free.
pub struct chat_history {
    messages: Vec<chat_stored_message>,
    /// What `messages` points into.
    page: HistoryPage,
}

/// A message that a room keeps, and who published it. The library hands it out; later versions may
/// add fields at the end.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct chat_stored_message {
    /// Where the message is in the room's history.
    pub position: chat_position,
    /// The client that published it, which may have left; 0 for the host.
    pub client: chat_client_id,
    /// When it was published, in milliseconds since 1970 by the system's clock. For display: the
    /// clock may have been set back.
    pub time: u64,
    /// What the host called its publisher then; empty if nothing. Clients are not told.
    pub identity: *const c_char,
    /// The length of `identity` in bytes.
    pub identity_len: usize,
    /// The name that clients of the JSON form see with it; empty if there is none.
    pub name: *const c_char,
    /// The length of `name` in bytes.
    pub name_len: usize,
    /// Its key; empty if its publisher gave it none.
    pub key: *const c_char,
    /// The length of `key` in bytes.
    pub key_len: usize,
    /// The payload.
    pub data: *const u8,
    /// The length of `data` in bytes.
    pub data_len: usize,
    /// CHAT_TEXT or CHAT_BINARY.
    pub kind: u32,
    /// 1 if the client itself said that `name` is its name.
    pub is_name_claimed: u32,
}

impl chat_history {
    pub(super) fn new(page: HistoryPage) -> Self {
        Self { messages: page.messages.iter().map(describe).collect(), page }
    }
}

/// Describes a message for C. The texts and the payload do not move with it.
fn describe(stored: &StoredMessage) -> chat_stored_message {
    let (identity, identity_len) = text_parts(stored.identity.as_deref().unwrap_or_default());
    let (name, name_len) = text_parts(stored.name.as_deref().unwrap_or_default());
    let (key, key_len) = text_parts(stored.key.as_deref().unwrap_or_default());
    let (data, data_len) = parts(stored.message.data());
    chat_stored_message {
        position: stored.position.into(),
        client: stored.client.map_or(0, |client| client.as_u64()),
        time: stored.time,
        identity,
        identity_len,
        name,
        name_len,
        key,
        key_len,
        data,
        data_len,
        kind: chat_kind::from(stored.message.kind()) as u32,
        is_name_claimed: stored.is_name_claimed.into(),
    }
}

fn range(number: u32, position: Position) -> Result<Range, Failure> {
    const LAST: u32 = chat_range::CHAT_RANGE_LAST as u32;
    const AFTER: u32 = chat_range::CHAT_RANGE_AFTER as u32;
    const BEFORE: u32 = chat_range::CHAT_RANGE_BEFORE as u32;
    match number {
        LAST => Ok(Range::Last),
        AFTER => Ok(Range::After(position)),
        BEFORE => Ok(Range::Before(position)),
        _ => {
            let why = format!(
                "{number} is none of CHAT_RANGE_LAST, CHAT_RANGE_AFTER and CHAT_RANGE_BEFORE"
            );
            Err(Failure::invalid("range", why))
        }
    }
}

/// Reads a part of what a room keeps, up to `limit` messages, the oldest first: who said what, and
/// when. `range` is CHAT_RANGE_LAST, CHAT_RANGE_AFTER or CHAT_RANGE_BEFORE; `*position` is the
/// position of the latter two, and may be NULL for none. All is as it was at one moment, also
/// chat_history_position, from which a client or a later page goes on without a gap.
///
/// To read all that a room keeps, begin with CHAT_RANGE_AFTER and NULL, and go on after the last
/// message while chat_history_has_more; or begin with CHAT_RANGE_LAST and go on before the first. A
/// page has at most what the room keeps (chat_config_set_history_messages and what follows it), and
/// at most 10,000 messages, and 16 MiB of payloads or one message. The payloads are shared with the
/// room: they stay in memory until the page is freed, and the room may forget them. A room that does
/// not exist keeps nothing.
///
/// `*out` is the page: the host owns it and frees it with chat_history_free. Any thread may call
/// this, also in a handler.
///
/// Statuses: CHAT_ERR_INVALID_ARGUMENT for a name that no room can have and an unknown range,
/// CHAT_ERR_INVALID_UTF8, CHAT_ERR_TOO_LARGE, CHAT_ERR_STOPPED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_history(
    server: *mut chat_server,
    room: *const c_char,
    room_len: usize,
    range: u32,
    position: Option<&chat_position>,
    limit: usize,
    out: Option<&mut MaybeUninit<*mut chat_history>>,
) -> chat_status {
    attempt(|| {
        // SAFETY: the header asks for a server that is not freed before this returns.
        let (server, out) = (unsafe { own(server)? }, required(out, "out")?);
        // SAFETY: the header asks for `room_len` readable bytes.
        let room = unsafe { text(room, room_len, "room")? };
        let range = self::range(range, position.map_or(Position::NONE, |it| (*it).into()))?;
        let page = chat_history::new(server.history(room, range, limit)?);
        out.write(Box::into_raw(Box::new(page)));
        Ok(())
    })
}

/// Returns how many messages a page holds; 0 if `history` is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn chat_history_len(history: Option<&chat_history>) -> usize {
    guard(|| history.map_or(0, |history| history.messages.len()))
}

/// Returns a message of a page by its index, which counts from 0, the oldest. It belongs to the page,
/// and it and all that it points to are valid until the page is freed. Returns NULL if there is no
/// message with this index or `history` is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn chat_history_get(
    history: Option<&chat_history>,
    index: usize,
) -> *const chat_stored_message {
    guard(|| {
        let message = history.and_then(|history| history.messages.get(index));
        message.map_or(ptr::null(), ptr::from_ref)
    })
}

/// Returns 1 if the room keeps more messages in the direction of the range: later ones with
/// CHAT_RANGE_AFTER, else earlier ones. Returns 0 if not, or if `history` is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn chat_history_has_more(history: Option<&chat_history>) -> u32 {
    guard(|| history.is_some_and(|history| history.page.has_more).into())
}

/// Returns the CHAT_GAP_... of a page; CHAT_GAP_NONE if `history` is NULL. After a gap a page of
/// CHAT_RANGE_AFTER begins with the oldest message that the room keeps.
#[unsafe(no_mangle)]
pub extern "C" fn chat_history_gap(history: Option<&chat_history>) -> u32 {
    guard(|| {
        let gap = match history.and_then(|history| history.page.gap) {
            None => chat_gap::CHAT_GAP_NONE,
            Some(Gap::Epoch) => chat_gap::CHAT_GAP_EPOCH,
            Some(Gap::Trimmed) => chat_gap::CHAT_GAP_TRIMMED,
            Some(Gap::Ahead) => chat_gap::CHAT_GAP_AHEAD,
            Some(Gap::NoHistory) => chat_gap::CHAT_GAP_NO_HISTORY,
        };
        gap as u32
    })
}

/// Writes where the room stood when the page was read: the position of its last message, in the page
/// or not. Both fields are 0 if rooms have no history.
#[unsafe(no_mangle)]
pub extern "C" fn chat_history_position(
    history: Option<&chat_history>,
    position: Option<&mut MaybeUninit<chat_position>>,
) -> chat_status {
    attempt(|| {
        let history = required(history, "history")?;
        write(Some(required(position, "position")?), history.page.position.into());
        Ok(())
    })
}

/// Frees a page, and all that its messages point to. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn chat_history_free(history: Option<Box<chat_history>>) {
    guard(|| drop(history));
}

/// Drops the messages of a room up to a position, that of the position included. They are not
/// replayed any more, nor in pages, and count no more in chat_config_set_history_total. With the
/// room's own position (chat_server_position) the room keeps nothing.
///
/// Positions stay as they are. A client that comes back with an earlier one is told `trimmed`, and
/// gets what the room keeps; one that comes back with `*up_to` or a later one gets what it lacks. A
/// replay that is under way goes on as it began. Nothing happens if the messages are gone already,
/// or there is no such room. Any thread may call this, also in a handler.
///
/// Statuses: CHAT_ERR_INVALID_ARGUMENT for a name that no room can have, and for a position that is
/// none, is of another history, or that the room has not reached; CHAT_ERR_INVALID_UTF8,
/// CHAT_ERR_TOO_LARGE, CHAT_ERR_STOPPED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_trim(
    server: *mut chat_server,
    room: *const c_char,
    room_len: usize,
    up_to: Option<&chat_position>,
) -> chat_status {
    attempt(|| {
        // SAFETY: the header asks for a server that is not freed before this returns.
        let (server, up_to) = (unsafe { own(server)? }, required(up_to, "up_to")?);
        // SAFETY: the header asks for `room_len` readable bytes.
        let room = unsafe { text(room, room_len, "room")? };
        Ok(server.trim(room, (*up_to).into())?)
    })
}

/// Drops all that a room keeps, and begins a new history: from here on its positions have another
/// epoch, so that no earlier position leads anywhere. A client that comes back with one is told
/// `epoch`, and gets what the room keeps by then.
///
/// Clients that are in the room stay, and receive what is published to it. Those of the JSON form
/// are told, behind the last message of the old history, that they are in another one: `entered`
/// with the new position, `"recovered":false` and the reason `epoch`; clients of events get the
/// event `gap`. Plain clients are told nothing. A replay that is under way goes on as it began, and
/// comes before that. To drop messages and leave positions as they are, use chat_server_trim.
///
/// Offsets go on, so that two messages of a room never have the same. A room without clients is
/// forgotten, also where it stood. A message with a key that is still known stays a duplicate of the
/// earlier one. Without history nothing happens. Any thread may call this, also in a handler.
///
/// Statuses: CHAT_ERR_INVALID_ARGUMENT for a name that no room can have, CHAT_ERR_INVALID_UTF8,
/// CHAT_ERR_TOO_LARGE, CHAT_ERR_QUEUE_FULL as for chat_server_publish: then nothing has changed.
/// CHAT_ERR_STOPPED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_forget(
    server: *mut chat_server,
    room: *const c_char,
    room_len: usize,
) -> chat_status {
    attempt(|| {
        // SAFETY: the header asks for a server that is not freed before this returns.
        let server = unsafe { own(server)? };
        // SAFETY: the header asks for `room_len` readable bytes.
        let room = unsafe { text(room, room_len, "room")? };
        Ok(server.forget(room)?)
    })
}

//! Publishing a message with more than its payload, and to several rooms.

use std::{
    ffi::c_char,
    mem::{MaybeUninit, offset_of},
    ptr,
};

use super::{
    boundary::{attempt, bytes, flag, text, write},
    event::kind,
    failure::Failure,
    position::chat_position,
    server::{chat_server, own},
    status::chat_status,
};
use crate::{
    error::Error,
    publish_options::{PublishOptions, Published},
};

/// How a message is published, for chat_server_publish_with and chat_server_publish_to. Set the
/// whole struct to zero first, and then `size`: later versions may add fields at the end, and a
/// field that is zero changes nothing.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct chat_publish_options {
    /// `sizeof(chat_publish_options)`: it tells the library which fields the host's struct has.
    pub size: usize,
    /// On whose behalf the message is published: what the host calls a client
    /// (chat_server_set_identity), at most 256 bytes; NULL for the host itself. Clients do not see
    /// it. It is kept with the message, and the key is one of its keys.
    pub identity: *const c_char,
    /// The length of `identity` in bytes.
    pub identity_len: usize,
    /// The name under which clients of the JSON form see the message: 1 to 128 bytes without control
    /// characters; NULL for none. Such a message has no `client`.
    pub name: *const c_char,
    /// The length of `name` in bytes.
    pub name_len: usize,
    /// A name of the message that the host chooses, so that the message is published once however
    /// often the host tries: 1 to 64 bytes without control characters; NULL for none. Clients of the
    /// JSON form see it. It is known for five minutes after the message was published, within its
    /// room and the identity, which shares the keys of clients with that identity; without an identity
    /// it is the host's own. A server knows the last 100,000 keys: `keys_evicted` of chat_stats
    /// counts those that it has forgotten earlier.
    pub key: *const c_char,
    /// The length of `key` in bytes.
    pub key_len: usize,
    /// 1 if the room's history does not get the message, else 0. It is delivered in the room's order
    /// to the clients that are in the room now, has no position, and nobody recovers it.
    pub without_history: u32,
    /// Must be 0. A later header may use it.
    pub reserved: u32,
}

/// The size of the struct in the first header, in bytes.
const LEAST_SIZE: usize = offset_of!(chat_publish_options, reserved) + size_of::<u32>();

/// Publishes a message to a room, as chat_server_publish does, and as `options` says; NULL is the
/// default. With a key that is known nothing is published, and the call succeeds: `*is_duplicate` is
/// 1, and `*position` is where the message is. So a host that does not know whether a call had an
/// effect makes it again. `position` and `is_duplicate` may be NULL.
///
/// A client's message with the same identity and key that waits for review does not hold this call
/// up: the host's message is published, and the client's becomes the duplicate.
///
/// Statuses: those of chat_server_publish; CHAT_ERR_INVALID_ARGUMENT for a key or a name that breaks
/// the rules, for a `size` that is no size of the struct and a `reserved` that is not 0;
/// CHAT_ERR_TOO_LARGE for an identity of more than 256 bytes; CHAT_ERR_KEY_REUSED if the key was used
/// for another message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_publish_with(
    server: *mut chat_server,
    room: *const c_char,
    room_len: usize,
    kind: u32,
    data: *const u8,
    data_len: usize,
    options: *const chat_publish_options,
    position: Option<&mut MaybeUninit<chat_position>>,
    is_duplicate: Option<&mut MaybeUninit<u32>>,
) -> chat_status {
    attempt(|| {
        // SAFETY: the header asks for a server that is not freed before this returns.
        let (server, kind) = (unsafe { own(server)? }, self::kind(kind)?);
        // SAFETY: the header asks for `room_len` and `data_len` readable bytes, and for options whose
        // texts can be read.
        let (room, data, options) = unsafe {
            let data = bytes(data, data_len, server.max_message_size(), "data")?;
            (text(room, room_len, "room")?, data, self::options(options)?)
        };
        let published = server.publish_with(room, kind, data, &options)?;
        write(position, published.position.into());
        write(is_duplicate, published.is_duplicate.into());
        Ok(())
    })
}

/// A room, for chat_server_publish_to. This struct never grows.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct chat_room_name {
    /// The room's name.
    pub name: *const c_char,
    /// The length of `name` in bytes.
    pub name_len: usize,
}

/// Publishes one message to `count` rooms, one after the other, as chat_server_publish_with does to
/// each. The payload is kept once for all of them. NULL with a `count` of 0 is allowed.
///
/// `*published`, if `published` is not NULL, is the number of rooms that the message was published
/// to, from the first on. `positions` and `duplicates`, if they are not NULL, are arrays of `count`
/// elements: for each of these rooms the position of the message there, and 1 if it was there before,
/// else 0. All three are written on failure too.
///
/// Statuses: those of chat_server_publish_with. On failure the message was published to no room,
/// except with CHAT_ERR_QUEUE_FULL, CHAT_ERR_KEY_REUSED and CHAT_ERR_STOPPED, which can come after
/// some rooms. With a key the host can make the same call again. The call waits for at most one
/// publish_timeout.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_publish_to(
    server: *mut chat_server,
    rooms: *const chat_room_name,
    count: usize,
    kind: u32,
    data: *const u8,
    data_len: usize,
    options: *const chat_publish_options,
    published: Option<&mut MaybeUninit<usize>>,
    positions: *mut chat_position,
    duplicates: *mut u32,
) -> chat_status {
    attempt(|| {
        let mut published = published;
        write(published.as_deref_mut(), 0);
        if !positions.is_aligned() {
            let why = "it is not aligned as an array of chat_position is";
            return Err(Failure::invalid("positions", why));
        }
        if !duplicates.is_aligned() {
            let why = "it is not aligned as an array of uint32_t is";
            return Err(Failure::invalid("duplicates", why));
        }
        // SAFETY: the header asks for a server that is not freed before this returns.
        let (server, kind) = (unsafe { own(server)? }, self::kind(kind)?);
        // SAFETY: the header asks for `count` rooms and `data_len` bytes that can be read, and for
        // options whose texts can be.
        let (rooms, data, options) = unsafe {
            let data = bytes(data, data_len, server.max_message_size(), "data")?;
            (self::rooms(rooms, count)?, data, self::options(options)?)
        };
        let mut done = 0;
        let each = |one: Published| {
            // SAFETY: the header asks for arrays of `count` elements, one for each room.
            unsafe {
                if !positions.is_null() {
                    positions.add(done).write(one.position.into());
                }
                if !duplicates.is_null() {
                    duplicates.add(done).write(one.is_duplicate.into());
                }
            }
            done += 1;
        };
        let result = server.publish_to_each(&rooms, kind, data, &options, each);
        write(published, done);
        result.map_err(|(wrong, error)| match wrong {
            Some(index) => Failure::of_room(index, &error.into()),
            None => error.into(),
        })
    })
}

/// Reads the names of an array of rooms.
///
/// # Safety
/// `rooms` is NULL, or `count` structs can be read, and the names that they point to for `'a`.
unsafe fn rooms<'a>(rooms: *const chat_room_name, count: usize) -> Result<Vec<&'a str>, Failure> {
    if count == 0 {
        return Ok(Vec::new());
    }
    if rooms.is_null() {
        return Err(Failure::null("rooms"));
    }
    let len = count.checked_mul(size_of::<chat_room_name>());
    if len.is_none_or(|len| isize::try_from(len).is_err()) {
        let why = format!("{count} rooms are more than memory can hold");
        return Err(Failure::argument(chat_status::CHAT_ERR_TOO_LARGE, "count", why));
    }
    if !rooms.is_aligned() {
        return Err(Failure::invalid(
            "rooms",
            "it is not aligned as an array of chat_room_name is",
        ));
    }
    let mut names = Vec::new();
    for index in 0..count {
        // SAFETY: in bounds of what the caller promises.
        let name = unsafe {
            let room = *rooms.add(index);
            text(room.name, room.name_len, "room")
                .map_err(|failure| Failure::of_room(index, &failure))?
        };
        // The host's array may be very long.
        names.try_reserve(1).map_err(|_| Error::no_memory())?;
        names.push(name);
    }
    Ok(names)
}

/// Reads the options of a host whose struct may be longer or shorter than the library's.
///
/// # Safety
/// `from` is NULL, or as many bytes as its first field says can be read, and the texts that it points
/// to for `'a`.
unsafe fn options<'a>(from: *const chat_publish_options) -> Result<PublishOptions<'a>, Failure> {
    if from.is_null() {
        return Ok(PublishOptions::default());
    }
    if !from.is_aligned() {
        return Err(Failure::invalid("options", "it is not aligned as a chat_publish_options is"));
    }
    // SAFETY: every version of the struct begins with its size.
    let size = unsafe { from.cast::<usize>().read() };
    if size < LEAST_SIZE || !size.is_multiple_of(align_of::<chat_publish_options>()) {
        let why = format!("{size} is no size of the struct; pass sizeof(chat_publish_options)");
        return Err(Failure::invalid("size", why));
    }
    let mut options = MaybeUninit::<chat_publish_options>::zeroed();
    let len = size.min(size_of::<chat_publish_options>());
    // SAFETY: the caller's struct has `size` bytes, of which `len` fit into the library's; all of its
    // fields may be zero.
    let options = unsafe {
        ptr::copy_nonoverlapping(from.cast::<u8>(), options.as_mut_ptr().cast(), len);
        options.assume_init()
    };
    if options.reserved != 0 {
        let why = format!("{} is not 0; set the whole struct to zero first", options.reserved);
        return Err(Failure::invalid("reserved", why));
    }
    // SAFETY: the caller's promise.
    unsafe {
        Ok(PublishOptions {
            identity: optional(options.identity, options.identity_len, "identity")?,
            name: optional(options.name, options.name_len, "name")?,
            key: optional(options.key, options.key_len, "key")?,
            without_history: flag(options.without_history, "without_history")?,
        })
    }
}

/// Returns a text that may be left out.
///
/// # Safety
/// As for [`text`].
unsafe fn optional<'a>(
    data: *const c_char,
    len: usize,
    name: &'static str,
) -> Result<Option<&'a str>, Failure> {
    // SAFETY: the caller's promise.
    let text = unsafe { text(data, len, name)? };
    Ok((!data.is_null()).then_some(text))
}

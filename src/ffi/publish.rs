//! Messages to all clients, to a room, and many messages in one call.

use std::{
    ffi::c_char,
    mem::{MaybeUninit, offset_of},
    ptr,
};

use super::{
    boundary::{attempt, bytes, required, text, write},
    event::kind,
    failure::Failure,
    position::chat_position,
    server::{chat_server, own},
    status::chat_status,
};
use crate::{batch::Publication, error::Error};

/// Broadcasts a message to every client of this server, whatever its rooms. The message is in no
/// room's order or history. The calls of one thread reach each client in the order in which they
/// were made. `kind` is CHAT_TEXT or CHAT_BINARY.
///
/// Statuses: CHAT_ERR_INVALID_ARGUMENT for an unknown kind, CHAT_ERR_INVALID_UTF8,
/// CHAT_ERR_TOO_LARGE, CHAT_ERR_QUEUE_FULL, CHAT_ERR_RESOURCE_LIMIT, CHAT_ERR_STOPPED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_broadcast(
    server: *mut chat_server,
    kind: u32,
    data: *const u8,
    data_len: usize,
) -> chat_status {
    attempt(|| {
        // SAFETY: the header asks for a server that is not freed before this returns.
        let (server, kind) = (unsafe { own(server)? }, self::kind(kind)?);
        // SAFETY: the header asks for `data_len` readable bytes.
        let data = unsafe { bytes(data, data_len, server.max_message_size(), "data")? };
        Ok(server.broadcast(kind, data)?)
    })
}

/// Publishes a message to a room: the message gets its place in the room's order, is delivered to
/// every client in the room, and is added to the room's history. The name of a room is 1 to 128
/// bytes of UTF-8 without control characters, and not `.` or `..`, which clients take for steps in a
/// path; the room of the path `/` is `lobby`. `kind` is CHAT_TEXT or CHAT_BINARY.
///
/// `*position`, if `position` is not NULL, is where the message is in the room's history; both fields
/// are 0 if rooms have no history.
/// Statuses: CHAT_ERR_INVALID_ARGUMENT for a name that no room can have or an unknown kind,
/// CHAT_ERR_INVALID_UTF8, CHAT_ERR_TOO_LARGE, CHAT_ERR_QUEUE_FULL, CHAT_ERR_RESOURCE_LIMIT,
/// CHAT_ERR_STOPPED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_publish(
    server: *mut chat_server,
    room: *const c_char,
    room_len: usize,
    kind: u32,
    data: *const u8,
    data_len: usize,
    position: Option<&mut MaybeUninit<chat_position>>,
) -> chat_status {
    attempt(|| {
        // SAFETY: the header asks for a server that is not freed before this returns.
        let (server, kind) = (unsafe { own(server)? }, self::kind(kind)?);
        // SAFETY: the header asks for `room_len` and `data_len` readable bytes.
        let (room, data) = unsafe {
            (
                text(room, room_len, "room")?,
                bytes(data, data_len, server.max_message_size(), "data")?,
            )
        };
        write(position, server.publish(room, kind, data)?.into());
        Ok(())
    })
}

/// Tells where a room stands: the position of the last message that it has stored. What is published
/// later comes after it, and a client that connects with `?since=POSITION` gets all of that. Both
/// fields are 0 if rooms have no history.
///
/// The room need not exist: it begins at this position, unless it comes into being more than a day
/// later, or 65,536 other rooms were forgotten meanwhile (16,384 if the room has never stored a
/// message). Statuses: CHAT_ERR_INVALID_ARGUMENT for a
/// name that no room can have, CHAT_ERR_INVALID_UTF8, CHAT_ERR_STOPPED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_position(
    server: *mut chat_server,
    room: *const c_char,
    room_len: usize,
    position: Option<&mut MaybeUninit<chat_position>>,
) -> chat_status {
    attempt(|| {
        // SAFETY: the header asks for a server that is not freed before this returns.
        let (server, position) = (unsafe { own(server)? }, required(position, "position")?);
        // SAFETY: the header asks for `room_len` readable bytes.
        let room = unsafe { text(room, room_len, "room")? };
        position.write(server.position(room)?.into());
        Ok(())
    })
}

/// The most messages that memory is reserved for in advance, whatever count a host passes.
const MAX_RESERVED: usize = 1024;

/// One message for chat_server_publish_batch. Set the whole struct to zero first: later versions
/// may add fields at the end, and a field that is zero changes nothing.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct chat_message {
    /// The room's name.
    pub room: *const c_char,
    /// The length of `room` in bytes.
    pub room_len: usize,
    /// The payload, which must be UTF-8 if `kind` is CHAT_TEXT.
    pub data: *const u8,
    /// The length of `data` in bytes.
    pub data_len: usize,
    /// CHAT_TEXT or CHAT_BINARY.
    pub kind: u32,
    /// Must be 0. A later header may use it.
    pub reserved: u32,
}

/// The size of the struct in the first header, in bytes, which is the smallest that a host can
/// have. The struct of a later header is longer; that of a header older than the library is shorter
/// than the library's.
const LEAST_SIZE: usize = offset_of!(chat_message, reserved) + size_of::<u32>();

/// Publishes `count` messages in their order, each as chat_server_publish does. This costs less
/// than as many calls, above all if messages to the same room follow each other: up to 256 of these
/// get consecutive offsets, and no message of another publisher comes between them.
///
/// `messages` is an array. `stride` is `sizeof(chat_message)`: it tells the library which fields
/// the host's struct has. NULL with a `count` of 0 is allowed. `*published`, if `published` is not
/// NULL, is the number of messages that were published, from the first on. `positions`, if it is not
/// NULL, is an array of `count` positions: those of the messages that were published are written, in
/// their order. Both are written on failure too.
///
/// Statuses: CHAT_ERR_INVALID_ARGUMENT for a stride that is no size of the struct or a `reserved`
/// that is not 0; for any of the messages, the statuses of chat_server_publish. On failure no
/// message was published, except with CHAT_ERR_QUEUE_FULL and CHAT_ERR_STOPPED, which can come
/// after some messages were. The whole batch waits for at most one publish_timeout.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_publish_batch(
    server: *mut chat_server,
    messages: *const chat_message,
    stride: usize,
    count: usize,
    published: Option<&mut MaybeUninit<usize>>,
    positions: *mut chat_position,
) -> chat_status {
    attempt(|| {
        let mut published = published;
        write(published.as_deref_mut(), 0);
        if !positions.is_aligned() {
            let why = "it is not aligned as an array of chat_position is";
            return Err(Failure::invalid("positions", why));
        }
        // SAFETY: the header asks for a server that is not freed before this returns.
        let server = unsafe { own(server)? };
        // SAFETY: the header asks for `count` messages that are `stride` bytes apart.
        let messages = unsafe { strided(messages, stride, count)? };
        let mut batch: Vec<Publication<'_>> = Vec::with_capacity(count.min(MAX_RESERVED));
        for (index, message) in messages.enumerate() {
            // SAFETY: the header asks for messages whose rooms and payloads can be read.
            let publication =
                unsafe { publication(&message, batch.last(), server.max_message_size()) };
            let publication = publication.map_err(|failure| Failure::of_message(index, failure))?;
            // The host's array may be very long.
            batch.try_reserve(1).map_err(|_| Error::no_memory())?;
            batch.push(publication);
        }
        let mut done = 0;
        let result = server.publish_runs(&batch, |last, count| {
            if !positions.is_null() {
                for (index, position) in (done..).zip(last.run(count)) {
                    // SAFETY: the header asks for an array of `count` positions, one for each message.
                    unsafe { positions.add(index).write(position.into()) };
                }
            }
            done += count;
        });
        write(published, done);
        result.map_err(|(index, error)| {
            let failure = Failure::from(error);
            match index {
                Some(index) => Failure::of_message(index, failure),
                None => failure,
            }
        })
    })
}

/// Reads the structs of an array whose elements are `stride` bytes long. A field that the host's
/// struct does not have is 0.
///
/// # Safety
/// `messages` is NULL, or `count` structs can be read for as long as the iterator lives.
pub(super) unsafe fn strided(
    messages: *const chat_message,
    stride: usize,
    count: usize,
) -> Result<impl Iterator<Item = chat_message>, Failure> {
    if stride < LEAST_SIZE || !stride.is_multiple_of(align_of::<chat_message>()) {
        let why = format!("{stride} is no size of chat_message; pass sizeof(chat_message)");
        return Err(Failure::invalid("stride", why));
    }
    if messages.is_null() && count > 0 {
        return Err(Failure::null("messages"));
    }
    if stride.checked_mul(count).is_none_or(|len| isize::try_from(len).is_err()) {
        let why = format!("{count} messages are more than memory can hold");
        return Err(Failure::argument(chat_status::CHAT_ERR_TOO_LARGE, "count", why));
    }
    if !messages.is_aligned() {
        let why = "it is not aligned as an array of chat_message is";
        return Err(Failure::invalid("messages", why));
    }
    let len = stride.min(size_of::<chat_message>());
    Ok((0..count).map(move |index| {
        let mut message = MaybeUninit::<chat_message>::zeroed();
        // SAFETY: in bounds of what the caller promises, of which `len` bytes fit into the library's
        // struct; all of its fields may be zero.
        unsafe {
            let from = messages.byte_add(index * stride).cast::<u8>();
            ptr::copy_nonoverlapping(from, message.as_mut_ptr().cast(), len);
            message.assume_init()
        }
    }))
}

/// Checks one message of a batch.
///
/// # Safety
/// The message's room can be read for `'a`, and so can its payload, unless that is over the limit.
unsafe fn publication<'a>(
    message: &chat_message,
    before: Option<&Publication<'a>>,
    limit: usize,
) -> Result<Publication<'a>, Failure> {
    let kind = kind(message.kind)?;
    if message.reserved != 0 {
        let why = format!("{} is not 0; set the whole struct to zero first", message.reserved);
        return Err(Failure::invalid("reserved", why));
    }
    // Most messages of a batch point to the same bytes for their room, which are checked once.
    let same = before.map(|before| before.room).filter(|room| {
        ptr::eq(room.as_ptr(), message.room.cast()) && room.len() == message.room_len
    });
    // SAFETY: the caller's promise.
    let (room, data) = unsafe {
        let room = same.map_or_else(|| text(message.room, message.room_len, "room"), Ok)?;
        (room, bytes(message.data, message.data_len, limit, "data")?)
    };
    Ok(Publication { room, kind, data })
}

//! `chat_events`: a batch of events that the host takes, and the headers of an event's request.

use std::{ffi::c_char, mem::MaybeUninit, ptr};

use super::{
    boundary::{attempt, parts, required, text, text_parts, write},
    event::{View, chat_event, request},
    failure::Failure,
    guard::guard,
    status::chat_status,
};
use crate::event::Event;

/// A batch of events, in order.
///
/// The host owns it and frees it with chat_events_free. One thread at a time may use it.
///
/// Functions: chat_server_next_events, chat_events_len, chat_events_get, chat_events_free.
pub struct chat_events {
    view: View,
    /// The events that `view` points into.
    _events: Vec<Event>,
}

impl chat_events {
    pub(super) fn new(events: Vec<Event>) -> Self {
        Self { view: View::new(&events), _events: events }
    }
}

/// Returns how many events a batch holds; 0 if `events` is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn chat_events_len(events: Option<&chat_events>) -> usize {
    guard(|| events.map_or(0, |events| events.view.pointers().len()))
}

/// Returns an event of a batch by its index, which counts from 0. The event belongs to the batch
/// and is valid until the batch is freed. Returns NULL if there is no event with this index or
/// `events` is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn chat_events_get(events: Option<&chat_events>, index: usize) -> *const chat_event {
    guard(|| {
        let event = events.and_then(|events| events.view.pointers().get(index));
        event.copied().unwrap_or(ptr::null())
    })
}

/// Frees a batch and all that its events point to. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn chat_events_free(events: Option<Box<chat_events>>) {
    guard(|| drop(events));
}

/// Finds a header of the client's request by name, in a CONNECT_REQUEST or CONNECTED event, and
/// returns its first value. Upper and lower case are the same in the name. `event` is a pointer
/// that the library handed out.
///
/// The value is bytes: HTTP does not guarantee UTF-8. It is valid as long as the event. Statuses:
/// CHAT_ERR_NOT_FOUND if the client sent no such header or the event is of another type; for the
/// name, CHAT_ERR_INVALID_UTF8 and CHAT_ERR_TOO_LARGE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_event_header(
    event: Option<&chat_event>,
    name: *const c_char,
    name_len: usize,
    value: Option<&mut MaybeUninit<*const c_char>>,
    value_len: Option<&mut MaybeUninit<usize>>,
) -> chat_status {
    attempt(|| {
        let (event, value, value_len) = (
            required(event, "event")?,
            required(value, "value")?,
            required(value_len, "value_len")?,
        );
        // SAFETY: the header asks for `name_len` readable bytes.
        let name = unsafe { text(name, name_len, "name")? };
        // SAFETY: the event is one that the library handed out and that is still valid.
        let request = unsafe { request(event)? };
        let found = request
            .header(name)
            .ok_or_else(|| Failure::not_found("name", "the client sent no such header"))?;
        let (data, len) = parts(found);
        value.write(data.cast());
        value_len.write(len);
        Ok(())
    })
}

/// Reads a header of the client's request by index, from 0 to the event's `header_count` - 1.
/// Headers are in the order in which the client sent them; names are in lower case. Name and value
/// are valid as long as the event.
///
/// An output that is not needed may be NULL. Statuses: CHAT_ERR_NOT_FOUND if there is no header
/// with this index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_event_header_at(
    event: Option<&chat_event>,
    index: usize,
    name: Option<&mut MaybeUninit<*const c_char>>,
    name_len: Option<&mut MaybeUninit<usize>>,
    value: Option<&mut MaybeUninit<*const c_char>>,
    value_len: Option<&mut MaybeUninit<usize>>,
) -> chat_status {
    attempt(|| {
        let event = required(event, "event")?;
        // SAFETY: the event is one that the library handed out and that is still valid.
        let request = unsafe { request(event)? };
        let (key, bytes) = request.headers.get(index).ok_or_else(|| {
            let count = request.headers.len();
            Failure::not_found("index", format!("{index} is no header; there are {count}"))
        })?;
        let (data, len) = text_parts(key);
        write(name, data);
        write(name_len, len);
        let (data, len) = parts(bytes);
        write(value, data.cast());
        write(value_len, len);
        Ok(())
    })
}

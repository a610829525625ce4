//! `chat_events`: a batch that was pulled, and what is looked up in an event rather than read.

use std::{ffi::c_char, mem::MaybeUninit, ptr};

use super::{
    boundary::{attempt, parts, required, text, text_parts, write},
    event::{View, chat_event, request},
    guard::guard,
    status::chat_status,
};
use crate::event::Event;

/// A batch of events that was pulled, in order.
///
/// The host owns it and frees it with chat_events_free. One thread at a time.
///
/// Functions: chat_server_next_events, chat_events_len, chat_events_get, chat_events_free.
pub struct chat_events {
    view: View,
    /// What `view` points into.
    _events: Vec<Event>,
}

impl chat_events {
    pub(super) fn new(events: Vec<Event>) -> Self {
        Self { view: View::new(&events), _events: events }
    }
}

/// How many events a batch holds; 0 if `events` is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn chat_events_len(events: Option<&chat_events>) -> usize {
    guard(|| events.map_or(0, |events| events.view.pointers().len()))
}

/// An event of a batch, counted from 0: valid until the batch is freed, not to be freed by itself.
/// NULL if there is none with this index or `events` is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn chat_events_get(events: Option<&chat_events>, index: usize) -> *const chat_event {
    guard(|| {
        let event = events.and_then(|events| events.view.pointers().get(index));
        event.copied().unwrap_or(ptr::null())
    })
}

/// Frees a batch, and with it all that its events point to. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn chat_events_free(events: Option<Box<chat_events>>) {
    guard(|| drop(events));
}

/// Finds a header of the client's request in a CONNECT_REQUEST or CONNECTED event: its first value,
/// under a name that is compared without regard to case. `event` is the pointer that the library
/// handed out.
///
/// The value is bytes, which HTTP does not promise to be UTF-8; it is valid as long as the event.
/// Statuses: CHAT_ERR_NOT_FOUND if the client sent none or the event is another; those of texts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_event_header(
    event: Option<&chat_event>,
    name: *const c_char,
    name_len: usize,
    value: Option<&mut MaybeUninit<*const c_char>>,
    value_len: Option<&mut MaybeUninit<usize>>,
) -> chat_status {
    attempt(|| {
        let (event, value, value_len) = (required(event)?, required(value)?, required(value_len)?);
        // SAFETY: the header asks for `name_len` readable bytes.
        let name = unsafe { text(name, name_len)? };
        // SAFETY: the event is one that the library handed out and that is still valid.
        let request = unsafe { request(event)? };
        let found = request.header(name).ok_or(chat_status::CHAT_ERR_NOT_FOUND)?;
        let (data, len) = parts(found);
        value.write(data.cast());
        value_len.write(len);
        Ok(())
    })
}

/// Reads a header of the client's request by its index, from 0 to the event's `header_count` - 1, in
/// the order in which they were sent, names in lower case.
///
/// Outputs that are not wanted may be NULL. Statuses: CHAT_ERR_NOT_FOUND if there are not as many.
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
        let event = required(event)?;
        // SAFETY: the event is one that the library handed out and that is still valid.
        let request = unsafe { request(event)? };
        let (key, bytes) = request.headers.get(index).ok_or(chat_status::CHAT_ERR_NOT_FOUND)?;
        let (data, len) = text_parts(key);
        write(name, data);
        write(name_len, len);
        let (data, len) = parts(bytes);
        write(value, data.cast());
        write(value_len, len);
        Ok(())
    })
}

//! `chat_event`: what happened, as a C struct that is only handed out by pointer, so that it can
//! grow.

use std::{
    ffi::{c_char, c_void},
    net::SocketAddr,
    ptr,
    sync::Arc,
};

use super::{
    boundary::{parts, text_parts},
    status::chat_status,
};
use crate::{
    event::{Event, Request},
    frame::Kind,
};

/// The name of one client's connection: never 0, never used twice by a server.
pub type chat_client_id = u64;

/// The name of one decision on a client's message: never 0, never used twice by a server.
pub type chat_decision_id = u64;

/// Whether a message is text or bytes.
#[repr(u32)]
#[derive(Debug, Clone, Copy)]
pub enum chat_kind {
    /// UTF-8 text.
    CHAT_TEXT = 1,
    /// Bytes of any value.
    CHAT_BINARY = 2,
}

/// What a chat_event says has happened. The events of one client come in the order CONNECT_REQUEST (if
/// the host decides on connections), CONNECTED, any number of MESSAGE_REQUEST, MESSAGE, JOINED,
/// LEFT and MESSAGES_DROPPED, DISCONNECTED. JOINED comes before CONNECTED for what the host says before it
/// accepts the client, and a client that is not admitted has no CONNECTED.
///
/// Further ones may come: a host passes over those that it does not know.
#[repr(u32)]
#[derive(Debug, Clone, Copy)]
pub enum chat_event_type {
    /// A client asks to be connected, and waits for chat_server_accept or chat_server_reject
    /// (chat_config_set_admission_timeout): client, room (the one that it asks for), addr, path,
    /// query, headers.
    CHAT_EVENT_CONNECT_REQUEST = 1,
    /// A client has connected and is in its room: client, identity, room, addr, path, query, headers.
    CHAT_EVENT_CONNECTED = 2,
    /// A client published a message, which is on its way to the room: client, identity, room, offset,
    /// kind, data. Of a client that is in no room, the room is empty and the offset 0: it speaks to
    /// the host alone.
    CHAT_EVENT_MESSAGE = 3,
    /// The host has put a client into a room (chat_server_join): client, identity, room.
    CHAT_EVENT_JOINED = 4,
    /// The host has taken a client out of a room (chat_server_leave): client, identity, room.
    CHAT_EVENT_LEFT = 5,
    /// A client has left, or was not admitted, and is in no room any more: client, identity, code,
    /// reason.
    CHAT_EVENT_DISCONNECTED = 6,
    /// Message events were dropped here, because the host did not take events in time: count.
    CHAT_EVENT_EVENTS_DROPPED = 7,
    /// The server has stopped. The last event.
    CHAT_EVENT_STOPPED = 8,
    /// The oldest messages that waited for a slow consumer were dropped: client, count.
    CHAT_EVENT_MESSAGES_DROPPED = 9,
    /// A listener could not accept connections, for want of descriptors as a rule, and goes on
    /// trying: addr (the listener's), reason (the operating system's words). Reported once for each
    /// run of failures.
    CHAT_EVENT_ACCEPT_FAILED = 10,
    /// A client sent a message, which waits for chat_server_allow, chat_server_allow_changed or
    /// chat_server_refuse (chat_config_set_review_timeout): client, identity, room, decision, kind,
    /// data. If it is published, CHAT_EVENT_MESSAGE follows.
    CHAT_EVENT_MESSAGE_REQUEST = 11,
}

/// The headers of a client's request, which chat_event_header and chat_event_header_at read.
pub struct chat_headers {
    _opaque: [u8; 0],
}

/// Something that happened on a server.
///
/// The library owns it and all that it points to: valid until the handler returns, or until the
/// chat_events that it is from is freed. Fields that do not belong to the event's type are 0 or
/// empty; texts are never NULL, and not NUL-terminated. Further fields may be added at the end, so
/// a host must not make arrays of this struct.
///
/// Functions: chat_event_header, chat_event_header_at.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct chat_event {
    /// What happened: a CHAT_EVENT_... value.
    pub r#type: u32,
    /// MESSAGE, MESSAGE_REQUEST: CHAT_TEXT or CHAT_BINARY.
    pub kind: u32,
    /// The client, in all events of one.
    pub client: chat_client_id,
    /// MESSAGE: its place in the room's order, 1 for the first.
    pub offset: u64,
    /// EVENTS_DROPPED, MESSAGES_DROPPED: how many.
    pub count: u64,
    /// CONNECT_REQUEST, CONNECTED, MESSAGE, MESSAGE_REQUEST, JOINED, LEFT: the room.
    pub room: *const c_char,
    /// The length of `room` in bytes.
    pub room_len: usize,
    /// MESSAGE, MESSAGE_REQUEST: the payload, which is UTF-8 if `kind` is CHAT_TEXT.
    pub data: *const u8,
    /// The length of `data` in bytes.
    pub data_len: usize,
    /// CONNECT_REQUEST, CONNECTED: the client's address and port. ACCEPT_FAILED: the listener's.
    pub addr: *const c_char,
    /// The length of `addr` in bytes.
    pub addr_len: usize,
    /// CONNECT_REQUEST, CONNECTED: the path as the client sent it, percent-encoded, without the query.
    pub path: *const c_char,
    /// The length of `path` in bytes.
    pub path_len: usize,
    /// CONNECT_REQUEST, CONNECTED: the query as the client sent it, without the question mark.
    pub query: *const c_char,
    /// The length of `query` in bytes.
    pub query_len: usize,
    /// CONNECT_REQUEST, CONNECTED: the headers, for chat_event_header; NULL in other events.
    pub headers: *const chat_headers,
    /// CONNECT_REQUEST, CONNECTED: how many headers there are.
    pub header_count: usize,
    /// DISCONNECTED: the close frame's reason, or what ended the connection. ACCEPT_FAILED: what the
    /// operating system said.
    pub reason: *const c_char,
    /// The length of `reason` in bytes.
    pub reason_len: usize,
    /// DISCONNECTED: the close code, the client's own or the one that it was closed with; 1005 if
    /// its close frame held none, 1006 if the connection ended without one.
    pub code: u16,
    /// CONNECTED, MESSAGE, MESSAGE_REQUEST, JOINED, LEFT, DISCONNECTED: what the host calls the
    /// client (chat_server_set_identity); empty if it has not said.
    pub identity: *const c_char,
    /// The length of `identity` in bytes.
    pub identity_len: usize,
    /// MESSAGE_REQUEST: the decision's name.
    pub decision: chat_decision_id,
}

/// Is called with events: `events` points to `count` of them, in order, at least one. They are valid
/// until it returns. See the threads at the top of this file for what it may do.
pub type chat_event_fn = Option<
    unsafe extern "C" fn(user_data: *mut c_void, events: *const *const chat_event, count: usize),
>;

/// Is called when libchat will not use `user_data` again.
pub type chat_drop_fn = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// Events as C sees them. Points into the `Event`s that it was made of and must not outlive them:
/// moving them is harmless, since all texts and messages are behind pointers of their own.
pub(super) struct View {
    /// Points into `entries`.
    pointers: Vec<*const chat_event>,
    _entries: Vec<chat_event>,
    /// Addresses as text, which an `Event` does not hold.
    _addrs: Vec<Box<str>>,
}

impl View {
    pub(super) fn new(events: &[Event]) -> Self {
        let mut addrs = Vec::new();
        let entries: Vec<_> = events.iter().map(|event| describe(event, &mut addrs)).collect();
        Self {
            pointers: entries.iter().map(ptr::from_ref).collect(),
            _entries: entries,
            _addrs: addrs,
        }
    }

    pub(super) fn pointers(&self) -> &[*const chat_event] {
        &self.pointers
    }
}

/// An address as text, which an `Event` does not hold.
fn addr_text(addr: SocketAddr, addrs: &mut Vec<Box<str>>) -> (*const c_char, usize) {
    // First moved, then pointed to.
    addrs.push(addr.to_string().into());
    addrs.last().map_or_else(|| text_parts(""), |text| text_parts(text))
}

fn describe(event: &Event, addrs: &mut Vec<Box<str>>) -> chat_event {
    let describe_request = |entry: &mut chat_event, request: &Arc<Request>, addrs: &mut _| {
        (entry.addr, entry.addr_len) = addr_text(request.addr, addrs);
        (entry.path, entry.path_len) = text_parts(&request.path);
        (entry.query, entry.query_len) = text_parts(&request.query);
        entry.headers = Arc::as_ptr(request).cast();
        entry.header_count = request.headers.len();
    };
    let mut entry = empty(chat_event_type::CHAT_EVENT_STOPPED);
    if let Some(identity) = event.identity() {
        (entry.identity, entry.identity_len) = text_parts(identity);
    }
    match event {
        Event::ConnectRequest { client, room, request } => {
            entry.r#type = chat_event_type::CHAT_EVENT_CONNECT_REQUEST as u32;
            entry.client = client.as_u64();
            (entry.room, entry.room_len) = text_parts(room);
            describe_request(&mut entry, request, addrs);
        }
        Event::Connected { client, room, request, .. } => {
            entry.r#type = chat_event_type::CHAT_EVENT_CONNECTED as u32;
            entry.client = client.as_u64();
            (entry.room, entry.room_len) = text_parts(room);
            describe_request(&mut entry, request, addrs);
        }
        Event::Joined { client, room, .. } => {
            entry.r#type = chat_event_type::CHAT_EVENT_JOINED as u32;
            entry.client = client.as_u64();
            (entry.room, entry.room_len) = text_parts(room);
        }
        Event::Left { client, room, .. } => {
            entry.r#type = chat_event_type::CHAT_EVENT_LEFT as u32;
            entry.client = client.as_u64();
            (entry.room, entry.room_len) = text_parts(room);
        }
        Event::Message { client, room, offset, message, .. } => {
            entry.r#type = chat_event_type::CHAT_EVENT_MESSAGE as u32;
            entry.client = client.as_u64();
            (entry.room, entry.room_len) = text_parts(room);
            entry.offset = *offset;
            entry.kind = chat_kind::from(message.kind()) as u32;
            (entry.data, entry.data_len) = parts(message.data());
        }
        Event::MessageRequest { client, room, decision, message, .. } => {
            entry.r#type = chat_event_type::CHAT_EVENT_MESSAGE_REQUEST as u32;
            entry.client = client.as_u64();
            (entry.room, entry.room_len) = text_parts(room);
            entry.decision = decision.as_u64();
            entry.kind = chat_kind::from(message.kind()) as u32;
            (entry.data, entry.data_len) = parts(message.data());
        }
        Event::MessagesDropped { client, count } => {
            entry.r#type = chat_event_type::CHAT_EVENT_MESSAGES_DROPPED as u32;
            entry.client = client.as_u64();
            entry.count = *count;
        }
        Event::Disconnected { client, code, reason, .. } => {
            entry.r#type = chat_event_type::CHAT_EVENT_DISCONNECTED as u32;
            entry.client = client.as_u64();
            entry.code = *code;
            (entry.reason, entry.reason_len) = text_parts(reason);
        }
        Event::AcceptFailed { addr, error } => {
            entry.r#type = chat_event_type::CHAT_EVENT_ACCEPT_FAILED as u32;
            (entry.addr, entry.addr_len) = addr_text(*addr, addrs);
            (entry.reason, entry.reason_len) = text_parts(error);
        }
        Event::EventsDropped { count } => {
            entry.r#type = chat_event_type::CHAT_EVENT_EVENTS_DROPPED as u32;
            entry.count = *count;
        }
        Event::Stopped => {}
    }
    entry
}

fn empty(kind: chat_event_type) -> chat_event {
    let (text, _) = text_parts("");
    let (data, _) = parts(b"");
    chat_event {
        r#type: kind as u32,
        kind: 0,
        client: 0,
        offset: 0,
        count: 0,
        room: text,
        room_len: 0,
        data,
        data_len: 0,
        addr: text,
        addr_len: 0,
        path: text,
        path_len: 0,
        query: text,
        query_len: 0,
        headers: ptr::null(),
        header_count: 0,
        reason: text,
        reason_len: 0,
        code: 0,
        identity: text,
        identity_len: 0,
        decision: 0,
    }
}

impl From<Kind> for chat_kind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Text => Self::CHAT_TEXT,
            Kind::Binary => Self::CHAT_BINARY,
        }
    }
}

/// The kind that a number of C's stands for.
pub(super) fn kind(number: u32) -> Result<Kind, chat_status> {
    [Kind::Text, Kind::Binary]
        .into_iter()
        .find(|kind| chat_kind::from(*kind) as u32 == number)
        .ok_or(chat_status::CHAT_ERR_INVALID_ARGUMENT)
}

/// The request that a CONNECT_REQUEST or CONNECTED event tells of.
///
/// # Safety
/// The event is one that [`View`] made, and what that was made of still lives.
pub(super) unsafe fn request(event: &chat_event) -> Result<&Request, chat_status> {
    // SAFETY: `headers` is NULL or was made of the `Request` of an event that still lives.
    let request = unsafe { event.headers.cast::<Request>().as_ref() };
    request.ok_or(chat_status::CHAT_ERR_NOT_FOUND)
}

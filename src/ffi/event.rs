//! `chat_event`: an event as a C struct. C gets it only by pointer, so that it can grow.

use std::{
    ffi::{c_char, c_void},
    net::SocketAddr,
    ptr,
    sync::Arc,
};

use super::{
    boundary::{parts, text_parts},
    failure::Failure,
    held_request::HeldRequest,
    position::chat_position,
};
use crate::{
    event::{Event, Form, Request},
    frame::Kind,
    position::Position,
};

/// The id of one client's connection: never 0, never used twice by a server. Clients of two servers
/// may have the same id.
pub type chat_client_id = u64;

/// The id of one decision on a client's message: never 0, never used twice by a server. Decisions of
/// two servers may have the same id.
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

/// How a client receives messages.
///
/// Later versions may add forms: a host must expect others.
#[repr(u32)]
#[derive(Debug, Clone, Copy)]
pub enum chat_event_form {
    /// A WebSocket whose messages are the messages themselves.
    CHAT_FORM_PLAIN = 1,
    /// A WebSocket whose messages are objects.
    CHAT_FORM_JSON = 2,
    /// Server-sent events over HTTP, of the messages themselves or of objects. Such a client sends
    /// nothing, and is in one room.
    CHAT_FORM_EVENTS = 3,
}

/// What a chat_event reports. The events of one client come in this order: CONNECT_REQUEST (if the
/// host decides on clients), CONNECTED, any number of MESSAGE_REQUEST, MESSAGE, SIGNAL, JOINED, LEFT
/// and MESSAGES_DROPPED, DISCONNECTED. If the host joins a client to rooms before it accepts it, those
/// JOINED come before CONNECTED. A client that is not admitted has no CONNECTED.
///
/// Later versions may add events: a host must ignore those that it does not know.
#[repr(u32)]
#[derive(Debug, Clone, Copy)]
pub enum chat_event_type {
    /// A client asks to be connected, and waits for chat_server_accept or chat_server_reject
    /// (chat_config_set_admission_timeout). Fields: client, room (which it asks for), form, addr,
    /// path, query, headers.
    CHAT_EVENT_CONNECT_REQUEST = 1,
    /// A client has connected and is in its room. Fields: client, identity, room, form, addr, path,
    /// query, headers.
    CHAT_EVENT_CONNECTED = 2,
    /// A client published a message, which is being delivered to the room. Fields: client,
    /// identity, room, position, kind, data. The message of a client in no room goes to the host
    /// alone: then room is empty and there is no position.
    CHAT_EVENT_MESSAGE = 3,
    /// The host has put a client into a room (chat_server_join). Fields: client, identity, room.
    CHAT_EVENT_JOINED = 4,
    /// The host has taken a client out of a room (chat_server_leave). Fields: client, identity,
    /// room.
    CHAT_EVENT_LEFT = 5,
    /// A client has disconnected, or was not admitted, and is in no room any more. Its socket may
    /// stay open for some seconds, and counts as a connection until then: the server writes what
    /// waits for the client and awaits its close frame. A client of events that leaves has the code
    /// 1006. Fields: client, identity, code, reason.
    CHAT_EVENT_DISCONNECTED = 6,
    /// Message events were dropped at this point, because the host did not take events in time.
    /// Fields: count.
    CHAT_EVENT_EVENTS_DROPPED = 7,
    /// The server has stopped. This is the last event.
    CHAT_EVENT_STOPPED = 8,
    /// The oldest messages that waited for a slow consumer were dropped. Fields: client, count.
    CHAT_EVENT_MESSAGES_DROPPED = 9,
    /// A listener could not accept connections, usually for lack of descriptors. It keeps trying.
    /// Reported once for each run of failures. Fields: addr (of the listener), reason (the
    /// operating system's text).
    CHAT_EVENT_ACCEPT_FAILED = 10,
    /// A client sent a message, which waits for chat_server_allow, chat_server_allow_changed or
    /// chat_server_refuse (chat_config_set_review_timeout). Fields: client, identity, room,
    /// decision, kind, data. If the message is published, CHAT_EVENT_MESSAGE follows.
    CHAT_EVENT_MESSAGE_REQUEST = 11,
    /// A client has signalled to the others in a room, or to the host alone
    /// (chat_config_set_signal_rate). Fields: client, identity, room (empty if the client is in
    /// none), kind, data. While half of the event queue is full, signals are dropped, and counted in
    /// `signals_dropped`.
    CHAT_EVENT_SIGNAL = 12,
    /// Somebody has come to a room: the first client of an identity, or a client without one
    /// (chat_config_set_members). A client enters its room before it counts as connected, so this
    /// comes before its CONNECTED. Fields: client, identity, room.
    CHAT_EVENT_MEMBER_ENTERED = 13,
    /// Somebody is not in a room any more: no client of the identity is there, nor was for the
    /// member grace, or a client without identity has left. Fields: client (the last one of the
    /// identity), identity, room.
    CHAT_EVENT_MEMBER_LEFT = 14,
    /// A room has got its first client (chat_config_set_occupancy). Of each room, ROOM_OCCUPIED and
    /// ROOM_VACATED take turns. Fields: room.
    CHAT_EVENT_ROOM_OCCUPIED = 15,
    /// A room has no client, and had none for the member grace. When the server stops, each room is
    /// vacated before STOPPED. Fields: room.
    CHAT_EVENT_ROOM_VACATED = 16,
}

/// The headers of a client's request, for chat_event_header and chat_event_header_at.
pub struct chat_headers {
    _opaque: [u8; 0],
}

/// An event: something that happened on a server.
///
/// The library owns the event and all that it points to. They are valid until the handler returns,
/// or until the chat_events that holds the event is freed. Fields that do not belong to the event's
/// type are 0 or empty. Texts are never NULL and are not NUL-terminated. Later versions may add
/// fields at the end, so a host must not make arrays of this struct.
///
/// Functions: chat_event_header, chat_event_header_at, chat_event_query, chat_event_cookie,
/// chat_event_bearer.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct chat_event {
    /// The type of the event: a CHAT_EVENT_... value.
    pub r#type: u32,
    /// MESSAGE, MESSAGE_REQUEST, SIGNAL: CHAT_TEXT or CHAT_BINARY.
    pub kind: u32,
    /// The client, in every event about one client.
    pub client: chat_client_id,
    /// MESSAGE: where the message is in the room's history; all 0 without a room, or without history.
    pub position: chat_position,
    /// EVENTS_DROPPED, MESSAGES_DROPPED: how many.
    pub count: u64,
    /// CONNECT_REQUEST, CONNECTED, MESSAGE, MESSAGE_REQUEST, SIGNAL, JOINED, LEFT,
    /// MEMBER_ENTERED, MEMBER_LEFT, ROOM_OCCUPIED, ROOM_VACATED: the room.
    pub room: *const c_char,
    /// The length of `room` in bytes.
    pub room_len: usize,
    /// MESSAGE, MESSAGE_REQUEST, SIGNAL: the payload, which is UTF-8 if `kind` is CHAT_TEXT.
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
    /// CONNECT_REQUEST, CONNECTED: the number of headers.
    pub header_count: usize,
    /// DISCONNECTED: the close frame's reason, or what ended the connection. ACCEPT_FAILED: the
    /// operating system's text.
    pub reason: *const c_char,
    /// The length of `reason` in bytes.
    pub reason_len: usize,
    /// DISCONNECTED: the close code, which is the client's own or the one that it was closed with;
    /// 1005 if its close frame had no code, 1006 if the connection ended without a close frame.
    pub code: u16,
    /// CONNECTED, MESSAGE, MESSAGE_REQUEST, SIGNAL, JOINED, LEFT, DISCONNECTED,
    /// MEMBER_ENTERED, MEMBER_LEFT: the client's identity (chat_server_set_identity); empty if the host has not set
    /// one.
    pub identity: *const c_char,
    /// The length of `identity` in bytes.
    pub identity_len: usize,
    /// MESSAGE_REQUEST: the id of the decision, for chat_server_allow, chat_server_allow_changed
    /// and chat_server_refuse.
    pub decision: chat_decision_id,
    /// CONNECT_REQUEST, CONNECTED: how the client receives messages: a CHAT_FORM_... value.
    pub form: u32,
}

/// An event handler. `events` points to `count` events, in order, at least one; they are valid
/// until the handler returns. "Threads" at the top of this file says what a handler may do.
pub type chat_event_fn = Option<
    unsafe extern "C" fn(user_data: *mut c_void, events: *const *const chat_event, count: usize),
>;

/// A function that is called when the library will not use `user_data` again.
pub type chat_drop_fn = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// Events as C sees them. A view points into the `Event`s that it was made of, and must not outlive
/// them. They may be moved: all their texts and messages are on the heap.
pub(super) struct View {
    /// Points into `entries`.
    pointers: Vec<*const chat_event>,
    _entries: Vec<chat_event>,
    _kept: Kept,
}

/// What entries point to that an `Event` does not hold. All of it is boxed, so that a pointer to it stays valid when a
/// vector grows.
#[derive(Default)]
struct Kept {
    /// Addresses as text.
    addrs: Vec<Box<str>>,
    #[allow(clippy::vec_box, reason = "entries point to them")]
    requests: Vec<Box<HeldRequest>>,
}

impl View {
    pub(super) fn new(events: &[Event]) -> Self {
        let mut kept = Kept::default();
        let entries: Vec<_> = events.iter().map(|event| describe(event, &mut kept)).collect();
        Self {
            pointers: entries.iter().map(ptr::from_ref).collect(),
            _entries: entries,
            _kept: kept,
        }
    }

    pub(super) fn pointers(&self) -> &[*const chat_event] {
        &self.pointers
    }
}

impl Kept {
    /// Returns an address as text.
    fn addr_text(&mut self, addr: SocketAddr) -> (*const c_char, usize) {
        self.addrs.push(addr.to_string().into());
        self.addrs.last().map_or_else(|| text_parts(""), |text| text_parts(text))
    }

    /// Returns a request for what C reads of it.
    fn request(&mut self, request: &Arc<Request>) -> *const chat_headers {
        self.requests.push(Box::new(HeldRequest::new(request)));
        self.requests.last().map_or(ptr::null(), |held| ptr::from_ref::<HeldRequest>(held).cast())
    }
}

fn describe(event: &Event, kept: &mut Kept) -> chat_event {
    let describe_request = |entry: &mut chat_event, request: &Arc<Request>, kept: &mut Kept| {
        (entry.addr, entry.addr_len) = kept.addr_text(request.addr);
        (entry.path, entry.path_len) = text_parts(&request.path);
        (entry.query, entry.query_len) = text_parts(&request.query);
        entry.headers = kept.request(request);
        entry.header_count = request.headers.len();
    };
    let mut entry = empty(chat_event_type::CHAT_EVENT_STOPPED);
    if let Some(identity) = event.identity() {
        (entry.identity, entry.identity_len) = text_parts(identity);
    }
    match event {
        Event::ConnectRequest { client, room, form, request } => {
            entry.r#type = chat_event_type::CHAT_EVENT_CONNECT_REQUEST as u32;
            entry.form = chat_event_form::from(*form) as u32;
            entry.client = client.as_u64();
            (entry.room, entry.room_len) = text_parts(room);
            describe_request(&mut entry, request, kept);
        }
        Event::Connected { client, room, form, request, .. } => {
            entry.r#type = chat_event_type::CHAT_EVENT_CONNECTED as u32;
            entry.form = chat_event_form::from(*form) as u32;
            entry.client = client.as_u64();
            (entry.room, entry.room_len) = text_parts(room);
            describe_request(&mut entry, request, kept);
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
        Event::Message { client, room, position, message, .. } => {
            entry.r#type = chat_event_type::CHAT_EVENT_MESSAGE as u32;
            entry.client = client.as_u64();
            (entry.room, entry.room_len) = text_parts(room);
            entry.position = (*position).into();
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
        Event::MemberEntered { client, room, .. } => {
            entry.r#type = chat_event_type::CHAT_EVENT_MEMBER_ENTERED as u32;
            entry.client = client.as_u64();
            (entry.room, entry.room_len) = text_parts(room);
        }
        Event::MemberLeft { client, room, .. } => {
            entry.r#type = chat_event_type::CHAT_EVENT_MEMBER_LEFT as u32;
            entry.client = client.as_u64();
            (entry.room, entry.room_len) = text_parts(room);
        }
        Event::RoomOccupied { room } => {
            entry.r#type = chat_event_type::CHAT_EVENT_ROOM_OCCUPIED as u32;
            (entry.room, entry.room_len) = text_parts(room);
        }
        Event::RoomVacated { room } => {
            entry.r#type = chat_event_type::CHAT_EVENT_ROOM_VACATED as u32;
            (entry.room, entry.room_len) = text_parts(room);
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
            (entry.addr, entry.addr_len) = kept.addr_text(*addr);
            (entry.reason, entry.reason_len) = text_parts(error);
        }
        Event::EventsDropped { count } => {
            entry.r#type = chat_event_type::CHAT_EVENT_EVENTS_DROPPED as u32;
            entry.count = *count;
        }
        Event::Stopped => {}
        Event::Signal { client, room, message, .. } => {
            entry.r#type = chat_event_type::CHAT_EVENT_SIGNAL as u32;
            entry.client = client.as_u64();
            (entry.room, entry.room_len) = text_parts(room);
            entry.kind = chat_kind::from(message.kind()) as u32;
            (entry.data, entry.data_len) = parts(message.data());
        }
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
        position: Position::NONE.into(),
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
        form: 0,
    }
}

impl From<Form> for chat_event_form {
    fn from(form: Form) -> Self {
        match form {
            Form::Plain => Self::CHAT_FORM_PLAIN,
            Form::Json => Self::CHAT_FORM_JSON,
            Form::Events => Self::CHAT_FORM_EVENTS,
        }
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

/// Returns the kind that a number from C stands for.
pub(super) fn kind(number: u32) -> Result<Kind, Failure> {
    [Kind::Text, Kind::Binary]
        .into_iter()
        .find(|kind| chat_kind::from(*kind) as u32 == number)
        .ok_or_else(|| {
            Failure::invalid("kind", format!("{number} is neither CHAT_TEXT nor CHAT_BINARY"))
        })
}

/// Returns the request of a CONNECT_REQUEST or CONNECTED event.
///
/// # Safety
/// A [`View`] that still lives made the event.
pub(super) unsafe fn request(event: &chat_event) -> Result<&Request, Failure> {
    // SAFETY: the caller's promise.
    Ok(&unsafe { held_request(event)? }.request)
}

/// Returns the request of an event, and what was decoded of it.
///
/// # Safety
/// A [`View`] that still lives made the event.
pub(super) unsafe fn held_request(event: &chat_event) -> Result<&HeldRequest, Failure> {
    // SAFETY: `headers` is NULL, or points to a `HeldRequest` of the view that made the event.
    let request = unsafe { event.headers.cast::<HeldRequest>().as_ref() };
    request.ok_or_else(|| {
        let why = "it has no request; CONNECT_REQUEST and CONNECTED have one";
        Failure::not_found("event", why)
    })
}

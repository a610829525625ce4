//! The boundary without sockets: pointers and structs of every length, passed and freed as C does.
//! The tests are small enough for miri, which finds undefined behaviour.

use std::{
    ffi::{CStr, c_char, c_void},
    mem::MaybeUninit,
    ptr, slice,
    sync::Arc,
};

use super::{
    boundary::{copy_struct, copy_text},
    config::*,
    error::*,
    event::{View, chat_event, chat_event_type},
    events::*,
    publish::chat_message,
    stats::chat_stats,
    status::chat_status::{self, *},
    version::CHAT_ABI_VERSION,
};
use crate::{
    error::Error,
    event::{ClientId, DecisionId, Event, Form, Request},
    frame::Kind,
    message::Message,
    position::Position,
    stats::Stats,
};

/// One event of each kind.
fn all_events() -> Vec<Event> {
    let client = ClientId::new(1, 0);
    let identity: Option<Arc<str>> = Some("ana".into());
    let room: Arc<str> = "lobby".into();
    let addr = "127.0.0.1:1234".parse().unwrap();
    let headers = vec![("host".to_owned(), b"here".to_vec()), ("x-empty".to_owned(), Vec::new())];
    let request = Arc::new(Request { addr, path: "/".to_owned(), query: String::new(), headers });
    let message = Message::new(Kind::Text, b"hello").unwrap();
    let long = Message::new(Kind::Binary, &[7; 40_000]).unwrap();
    let decision = DecisionId::new(1, 0);
    let position = Position { epoch: 7, offset: 1 };
    vec![
        Event::ConnectRequest {
            client,
            room: room.clone(),
            form: Form::Plain,
            request: request.clone(),
        },
        Event::Joined { client, identity: None, room: room.clone() },
        Event::Connected {
            client,
            identity: identity.clone(),
            room: room.clone(),
            form: Form::Events,
            request,
        },
        Event::MessageRequest {
            client,
            identity: identity.clone(),
            room: room.clone(),
            decision,
            message: message.clone(),
        },
        Event::Message {
            client,
            identity: identity.clone(),
            room: room.clone(),
            position,
            message,
        },
        Event::Message {
            client,
            identity: None,
            room: "".into(),
            position: Position::NONE,
            message: long,
        },
        Event::MessagesDropped { client, count: 3 },
        Event::Left { client, identity: identity.clone(), room },
        Event::Disconnected { client, identity, code: 1000, reason: "bye".into() },
        Event::AcceptFailed { addr, error: "no descriptors".into() },
        Event::EventsDropped { count: 4 },
        Event::Stopped,
    ]
}

/// Returns the bytes that C sees.
fn shown<'a>(data: *const c_char, len: usize) -> &'a [u8] {
    assert!(!data.is_null());
    // SAFETY: the library promises as many bytes for as long as the events live, which they do here.
    unsafe { slice::from_raw_parts(data.cast(), len) }
}

/// Reads everything that an event points to.
fn read(event: &chat_event) -> usize {
    let texts = [
        (event.room, event.room_len),
        (event.data.cast(), event.data_len),
        (event.addr, event.addr_len),
        (event.path, event.path_len),
        (event.query, event.query_len),
        (event.reason, event.reason_len),
        (event.identity, event.identity_len),
    ];
    texts.iter().map(|(data, len)| shown(*data, *len).len()).sum()
}

#[test]
fn a_batch_of_every_event_can_be_read_to_its_end_and_freed() {
    // The batch moves after the view was made, as in `next_events`.
    let batch = Box::new(chat_events::new(all_events()));
    let count = chat_events_len(Some(&batch));
    assert_eq!(count, 12);
    let mut bytes = 0;
    for index in 0..count {
        // SAFETY: an event of the batch, which lives.
        let event = unsafe { &*chat_events_get(Some(&batch), index) };
        bytes += read(event);
    }
    assert!(bytes > 40_000);
    assert!(chat_events_get(Some(&batch), count).is_null());
    chat_events_free(Some(batch));
    chat_events_free(None);
}

#[test]
fn headers_are_found_in_an_event_and_in_a_copy_of_it() {
    let events = all_events();
    let view = View::new(&events);
    // SAFETY: an event of the view, which lives.
    let event = unsafe { *view.pointers()[2] };
    assert_eq!(event.r#type, chat_event_type::CHAT_EVENT_CONNECTED as u32);
    let (mut value, mut len) = (MaybeUninit::uninit(), MaybeUninit::uninit());
    let name = "HOST";
    // SAFETY: texts and outputs are of this test, and the event's request lives.
    unsafe {
        let (name, name_len) = (name.as_ptr().cast(), name.len());
        let found =
            chat_event_header(Some(&event), name, name_len, Some(&mut value), Some(&mut len));
        assert_eq!(found, CHAT_OK);
        assert_eq!(shown(value.assume_init(), len.assume_init()), b"here");
        let (mut key, mut key_len) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        let (key, key_len) = (&mut key, &mut key_len);
        let found = chat_event_header_at(Some(&event), 1, Some(key), Some(key_len), None, None);
        assert_eq!(found, CHAT_OK);
        assert_eq!(shown(key.assume_init(), key_len.assume_init()), b"x-empty");
        let none = chat_event_header_at(Some(&event), 2, None, None, None, None);
        assert_eq!(none, CHAT_ERR_NOT_FOUND);
        let stopped = &*view.pointers()[11];
        let none = chat_event_header_at(Some(stopped), 0, None, None, None, None);
        assert_eq!(none, CHAT_ERR_NOT_FOUND);
    }
}

#[test]
fn structs_of_every_length_are_filled_as_far_as_both_sides_know_them() {
    let stats = chat_stats::from(Stats { connections: 7, ..Stats::default() });
    for size in 1..size_of::<chat_stats>() + 20 {
        let mut bytes = vec![0xFF_u8; size];
        // SAFETY: as many bytes can be written, and bytes are aligned for anything that is copied so.
        let status = unsafe { copy_struct(&stats, bytes.as_mut_ptr().cast(), size) };
        assert!(status.is_ok());
        assert_eq!(bytes[0], 7);
        assert!(bytes[1..].iter().all(|byte| *byte == 0), "{size} bytes");
    }
    let mut text = [0xFF_u8; 5];
    // SAFETY: as many bytes can be written.
    unsafe {
        let copied = copy_text("full", text.as_mut_ptr().cast(), 4);
        assert_eq!(copied.map_err(|failure| failure.status), Err(CHAT_ERR_TOO_LARGE));
        assert!(copy_text("full", text.as_mut_ptr().cast(), 5).is_ok());
    }
    assert_eq!(&text, b"full\0");
}

#[test]
fn messages_of_hosts_with_other_headers_are_read_as_far_as_they_go() {
    #[repr(C)]
    struct Later {
        message: chat_message,
        more: [u64; 2],
    }
    let (room, data) = ("room", b"data");
    let message = chat_message {
        room: room.as_ptr().cast(),
        room_len: room.len(),
        data: data.as_ptr(),
        data_len: data.len(),
        kind: 1,
        reserved: 0,
    };
    let array = [Later { message, more: [!0; 2] }, Later { message, more: [!0; 2] }];
    let stride = size_of::<Later>();
    let read = |stride: usize, count: usize| {
        // SAFETY: two structs lie there, each as long as the stride that passes.
        let messages = unsafe { super::publish::strided(array.as_ptr().cast(), stride, count) };
        let lengths = messages.map(|messages| messages.map(|it| it.room_len).collect::<Vec<_>>());
        lengths.map_err(|failure| failure.status)
    };
    assert_eq!(read(stride, 2), Ok(vec![4, 4]));
    assert_eq!(read(stride, 0), Ok(vec![]));
    assert_eq!(read(size_of::<chat_message>() - 8, 2), Err(CHAT_ERR_INVALID_ARGUMENT));
    assert_eq!(read(stride - 1, 2), Err(CHAT_ERR_INVALID_ARGUMENT));
    assert_eq!(read(stride, usize::MAX), Err(CHAT_ERR_TOO_LARGE));
}

unsafe extern "C" fn count_drop(count: *mut c_void) {
    // SAFETY: the test's own counter.
    unsafe { *count.cast::<u32>() += 1 };
}

unsafe extern "C" fn ignore(_: *mut c_void, _: *const *const chat_event, _: usize) {}

#[test]
fn what_a_config_keeps_is_given_back_once() {
    let mut dropped = 0_u32;
    let counter = ptr::from_mut(&mut dropped).cast::<c_void>();
    assert!(chat_config_new(CHAT_ABI_VERSION + 1).is_none());
    let mut config = chat_config_new(CHAT_ABI_VERSION).unwrap();
    for listen in ["127.0.0.1:0", "[::1]:0"] {
        // SAFETY: as many bytes can be read.
        let status = unsafe {
            chat_config_add_listen(Some(&mut config), listen.as_ptr().cast(), listen.len())
        };
        assert_eq!(status, CHAT_OK);
    }
    for expected in [0, 1] {
        let set = chat_config_set_event_handler(
            Some(&mut config),
            Some(ignore),
            counter,
            Some(count_drop),
        );
        assert_eq!(set, CHAT_OK);
        // SAFETY: nobody else has the counter now.
        assert_eq!(unsafe { *counter.cast::<u32>() }, expected, "the one before is given back");
    }
    chat_config_free(Some(config));
    assert_eq!(dropped, 2);
}

#[test]
fn an_error_is_read_and_freed() {
    let source = std::io::Error::from_raw_os_error(libc::EADDRINUSE);
    let failure = Error::Listen { addr: "x\0y".to_owned(), source }.into();
    let error = Box::new(chat_error::new(&failure));
    assert_eq!(chat_error_status(Some(&error)), chat_status::CHAT_ERR_ADDRESS_IN_USE);
    assert_eq!(chat_error_os_code(Some(&error)), libc::EADDRINUSE);
    // SAFETY: NUL-terminated, and the error lives.
    let text = unsafe { CStr::from_ptr(chat_error_message(Some(&error))) };
    assert!(text.to_str().unwrap().contains("x\\0y"));
    chat_error_free(Some(error));
    chat_error_free(None);
}

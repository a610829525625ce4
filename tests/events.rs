//! What the host is told: in order, by pulling or by a handler in which everything is allowed.

mod peer;

use std::{
    sync::{
        Arc, Mutex, OnceLock, Weak,
        mpsc::{self, Sender},
    },
    thread,
    time::Duration,
};

use chat::{Config, Error, Event, Handle, Kind, Server};
use peer::{
    PATIENCE, Peer,
    frames::{BINARY, CLOSE, TEXT, close_payload, masked},
    host::{Events, server, server_with},
};

#[test]
fn a_client_connects_and_talks_and_leaves_in_this_order() {
    let server = server_with(|config| {
        config.event_queue(100);
    });
    let mut events = Events::of(&server);
    let mut client = Peer::connect(server.local_addr());
    let lines = ["X-Token: geheim", "Cookie: a=b", "Cookie: c=d", "x-bytes: caf\u{e9}"];
    let response = client.upgrade("/rooms/caf%C3%A9?history=0&token=a%20b", &lines);
    assert_eq!(response.status, 101);
    let Event::Connected { client: id, room, request, .. } = events.next() else { panic!() };
    assert_eq!(&*room, "café");
    assert_eq!(request.addr, client.stream.local_addr().unwrap());
    assert_eq!(request.path, "/rooms/caf%C3%A9");
    assert_eq!(request.query, "history=0&token=a%20b");
    assert_eq!(request.header("X-TOKEN"), Some(&b"geheim"[..]));
    assert_eq!(request.header("x-bytes"), Some("café".as_bytes()));
    assert_eq!(request.header("cookie"), Some(&b"a=b"[..]), "the first of two");
    assert_eq!(request.header("x-absent"), None);
    let names: Vec<_> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
    let sent = [
        "host",
        "upgrade",
        "connection",
        "sec-websocket-key",
        "sec-websocket-version",
        "x-token",
        "cookie",
        "cookie",
        "x-bytes",
    ];
    assert_eq!(names, sent);

    client.say("erste");
    client.send(BINARY, b"\x00\xff");
    for (wanted, kind, data) in [(1, Kind::Text, &b"erste"[..]), (2, Kind::Binary, b"\x00\xff")] {
        let Event::Message { client, room, position, message, .. } = events.next() else {
            panic!()
        };
        assert_eq!((client, &*room, position.offset), (id, "café", wanted));
        assert_eq!((message.kind(), message.data()), (kind, data));
        assert_eq!(message.as_text(), (kind == Kind::Text).then_some("erste"));
    }
    client.send(CLOSE, &close_payload(3000, b"tsch\xc3\xbcss"));
    let Event::Disconnected { client, code, reason, .. } = events.next() else { panic!() };
    assert_eq!((client, code, &*reason), (id, 3000, "tschüss"));
    server.stop(PATIENCE).unwrap();
    assert!(matches!(events.next(), Event::Stopped));
}

#[test]
fn an_end_that_comes_with_the_last_words_is_seen() {
    let server = server_with(|config| {
        config.event_queue(100).ping_interval(Duration::ZERO);
    });
    let mut events = Events::of(&server);
    for words in [&b"last words"[..], &[b'x'; 20_000]] {
        let client = Peer::join(server.local_addr(), "/");
        let id = events.connected();
        // Both in one packet, and so in one event of the kernel's.
        let socket = socket2::SockRef::from(&client.stream);
        let frame = masked(TEXT, words);
        assert_eq!(socket.send_with_flags(&frame, libc::MSG_MORE).unwrap(), frame.len());
        socket.shutdown(std::net::Shutdown::Write).unwrap();
        let message = |event| match event {
            Event::Message { client, message, .. } if client == id => Some(message),
            _ => None,
        };
        assert_eq!(events.find("its words", message).data(), words);
        let (code, reason) = events.left(id);
        assert_eq!((code, reason.as_str()), (1006, "the connection ended without a close frame"));
    }
}

#[test]
fn a_server_without_an_event_queue_says_so() {
    let server = server();
    assert!(matches!(server.next_events(PATIENCE), Err(Error::Unsupported(_))));
}

#[test]
fn waiting_for_events_ends_in_time_and_at_the_stop() {
    let server = server_with(|config| {
        config.event_queue(100);
    });
    assert!(matches!(server.next_events(Duration::from_millis(10)), Err(Error::TimedOut)));
    let handle = server.handle();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| handle.next_events(Duration::MAX));
        server.stop(PATIENCE).unwrap();
        let events = waiting.join().unwrap().unwrap();
        assert!(matches!(events[..], [Event::Stopped]), "{events:?}");
    });
    for _ in 0..2 {
        assert!(matches!(handle.next_events(Duration::MAX), Err(Error::Stopped)));
    }
}

/// A server whose handler answers to messages with what they ask for.
fn obedient_server(told: Sender<String>) -> Server {
    let told = Mutex::new(told);
    server_with(|config| {
        config.event_handler(move |handle, events| {
            for event in events {
                let Event::Message { client, message, room, .. } = event else { continue };
                let done = match message.as_text() {
                    Some("publish") => handle.publish(room, Kind::Text, b"published").map(drop),
                    Some("send") => handle.send(*client, Kind::Text, b"sent"),
                    Some("broadcast") => handle.broadcast(Kind::Text, b"broadcast"),
                    Some("disconnect") => handle.disconnect(*client, 4001, "as you wish"),
                    Some("panic") => panic!("as the test wants"),
                    _ => Ok(()),
                };
                let done = format!("{done:?} {}", thread::current().name().unwrap_or_default());
                told.lock().expect("not poisoned").send(done).expect("the test listens");
            }
        });
    })
}

#[test]
fn a_handler_may_publish_and_send_and_disconnect() {
    let (told, results) = mpsc::channel();
    let server = obedient_server(told);
    let mut client = Peer::join(server.local_addr(), "/?echo=false");
    for (order, answer) in [("publish", "published"), ("send", "sent"), ("broadcast", "broadcast")]
    {
        client.say(order);
        assert_eq!(client.text(), answer);
        assert!(results.recv_timeout(PATIENCE).unwrap().starts_with("Ok(()) libchat-"));
    }
    client.say("disconnect");
    assert_eq!(client.closed(), (4001, "as you wish".to_owned()));
    client.answer_close(4001);
}

#[test]
fn a_panic_in_the_handler_is_survived() {
    let (told, results) = mpsc::channel();
    let server = obedient_server(told);
    let mut client = Peer::join(server.local_addr(), "/?echo=false");
    for _ in 0..3 {
        client.say("panic");
        // The batch of the panic counts as handled, and the first "send" may have been in it.
        peer::eventually("the handler runs again", || {
            client.say("send");
            results.recv_timeout(Duration::from_millis(100)).is_ok()
        });
        assert_eq!(client.text(), "sent");
    }
    client.leave();
    server.stop(PATIENCE).unwrap();
}

#[test]
fn a_handler_that_blocks_delays_no_socket() {
    let (release, blocked) = mpsc::channel::<()>();
    let blocked = Mutex::new(blocked);
    let server = server_with(|config| {
        config.event_handler(move |_, _| {
            let _ = blocked.lock().expect("not poisoned").recv();
        });
    });
    let mut client = Peer::join(server.local_addr(), "/");
    for _ in 0..100 {
        client.is_served();
    }
    client.leave();
    drop(release);
    server.stop(PATIENCE).unwrap();
}

#[test]
fn the_handler_gets_every_event_once_in_order_and_none_after_the_stop() {
    let (told, seen) = mpsc::channel();
    let told = Mutex::new(told);
    let server = server_with(|config| {
        config.event_handler(move |_, events| {
            let told = told.try_lock().expect("never twice at once");
            for event in events {
                told.send(event.clone()).expect("the test listens");
            }
        });
    });
    let mut client = Peer::join(server.local_addr(), "/?echo=false");
    for number in 0..1000 {
        client.say(&number.to_string());
    }
    client.leave();
    server.stop(PATIENCE).unwrap();
    drop(server);
    // The sender is gone with the handler, so this ends.
    let events: Vec<_> = seen.iter().collect();
    assert_eq!(events.len(), 1003);
    assert!(matches!(events[0], Event::Connected { .. }));
    for (number, event) in events[1..1001].iter().enumerate() {
        let Event::Message { position, message, .. } = event else { panic!("{event:?}") };
        assert_eq!(position.offset, number as u64 + 1);
        assert_eq!(message.as_text(), Some(&*number.to_string()));
    }
    assert!(matches!(events[1001], Event::Disconnected { code: 1000, .. }));
    assert!(matches!(events[1002], Event::Stopped));
}

/// Starts a server whose handler gets the server itself, and calls `then` at the first message.
fn server_in_its_handler(
    then: impl Fn(&Mutex<Option<Server>>, &Handle) + Send + Sync + 'static,
) -> Arc<OnceLock<Mutex<Option<Server>>>> {
    let slot: Arc<OnceLock<Mutex<Option<Server>>>> = Arc::default();
    let weak: Weak<_> = Arc::downgrade(&slot);
    let server = Config::new()
        .listen("127.0.0.1:0")
        .event_handler(move |handle, events| {
            if events.iter().any(|event| matches!(event, Event::Message { .. })) {
                let slot = weak.upgrade().expect("the test holds it");
                then(slot.get().expect("set before the first message"), handle);
            }
        })
        .start()
        .expect("a free port");
    assert!(slot.set(Mutex::new(Some(server))).is_ok());
    slot
}

#[test]
fn stop_in_the_handler_fails_and_request_stop_works() {
    let (told, results) = mpsc::channel();
    let told = Mutex::new(told);
    let slot = server_in_its_handler(move |slot, handle| {
        let slot = slot.lock().expect("not poisoned");
        let result = slot.as_ref().expect("not taken").stop(PATIENCE);
        told.lock().expect("not poisoned").send(result).expect("the test listens");
        handle.request_stop();
    });
    let addr = slot.get().unwrap().lock().unwrap().as_ref().unwrap().local_addr();
    let mut client = Peer::join(addr, "/?echo=false");
    client.say("stop");
    assert!(matches!(results.recv_timeout(PATIENCE).unwrap(), Err(Error::InHandler)));
    assert_eq!(client.closed().0, 1001);
    client.answer_close(1001);
    let server = slot.get().unwrap().lock().unwrap().take().unwrap();
    server.stop(PATIENCE).unwrap();
}

#[test]
fn a_server_may_be_dropped_in_its_own_handler() {
    let slot = server_in_its_handler(|slot, _| {
        drop(slot.lock().expect("not poisoned").take());
    });
    let addr = slot.get().unwrap().lock().unwrap().as_ref().unwrap().local_addr();
    let mut client = Peer::join(addr, "/?echo=false");
    client.say("drop");
    client.drain();
    peer::eventually("nobody listens", || std::net::TcpListener::bind(addr).is_ok());
}

//! Stopping: everyone is told, the port is free at the return, and nothing is left behind.

mod peer;

use std::{
    io::ErrorKind,
    net::TcpListener,
    thread,
    time::{Duration, Instant},
};

use chat::{ClientId, Config, Error, Kind};
use peer::{
    PATIENCE, Peer,
    frames::{CLOSE, TEXT},
    host::{Events, server, server_with},
};

#[test]
fn the_port_is_free_when_stop_returns() {
    let mut config = Config::new();
    config.listen("127.0.0.1:0");
    let mut addr = None;
    for _ in 0..5 {
        // The same port each time, with connections of the time before still in the kernel.
        if let Some(addr) = addr {
            drop(TcpListener::bind(addr).expect("the port is free"));
            config = Config::new();
            config.listen(format!("{addr}"));
        }
        let server = config.start().unwrap();
        addr = Some(server.local_addr());
        let mut client = Peer::join(server.local_addr(), "/");
        client.is_served();
        thread::scope(|scope| {
            let stopped = scope.spawn(|| server.stop(PATIENCE));
            assert_eq!(client.closed().0, 1001);
            client.answer_close(1001);
            stopped.join().unwrap().unwrap();
        });
    }
}

#[test]
fn after_the_stop_every_call_says_so() {
    let server = server_with(|config| {
        config.event_queue(100);
    });
    let mut events = Events::of(&server);
    let addr = server.local_addr();
    let client = Peer::join(addr, "/");
    let id = events.connected();
    server.publish("lobby", Kind::Text, b"x").unwrap();
    client.leave();
    let handle = server.handle();
    server.stop(PATIENCE).unwrap();
    for _ in 0..2 {
        assert!(matches!(handle.publish("lobby", Kind::Text, b"x"), Err(Error::Stopped)));
        assert!(matches!(handle.broadcast(Kind::Text, b"x"), Err(Error::Stopped)));
        assert!(matches!(handle.send(id, Kind::Text, b"x"), Err(Error::Stopped)));
        let nobody = ClientId::from_u64(12345);
        assert!(matches!(handle.disconnect(nobody, 1000, ""), Err(Error::Stopped)));
        assert_eq!((handle.local_addr(), handle.stats().messages_published), (addr, 1));
        handle.request_stop();
        // The handle does not keep anything alive, and outlives the server.
        server.stop(PATIENCE).unwrap();
    }
    drop(server);
    assert!(matches!(handle.publish("lobby", Kind::Text, b"x"), Err(Error::Stopped)));
    assert_eq!(handle.stats().connections, 0);
}

#[test]
fn a_server_that_is_dropped_has_stopped() {
    let server = server();
    let addr = server.local_addr();
    let handle = server.handle();
    let mut client = Peer::join(addr, "/");
    client.is_served();
    drop(server);
    TcpListener::bind(addr).expect("the port is free");
    assert!(matches!(handle.broadcast(Kind::Text, b"x"), Err(Error::Stopped)));
    client.drain();
}

#[test]
fn a_client_that_never_answers_the_close_is_cut_at_the_deadline() {
    const DEADLINE: Duration = Duration::from_millis(500);
    let server = server_with(|config| {
        config.event_queue(100);
    });
    let mut events = Events::of(&server);
    let mut silent = Peer::join(server.local_addr(), "/");
    let id = events.connected();
    let mut half = Peer::connect(server.local_addr());
    half.write(b"GET / HTTP/1.1\r\n");
    let begun = Instant::now();
    assert!(matches!(server.stop(DEADLINE), Err(Error::TimedOut)));
    assert!(begun.elapsed() >= DEADLINE, "it had until the deadline");
    assert!(begun.elapsed() < DEADLINE + Duration::from_secs(2), "{:?}", begun.elapsed());
    // It has stopped all the same.
    assert_eq!(events.left(id).0, 1001);
    assert!(matches!(events.next(), chat::Event::Stopped));
    TcpListener::bind(server.local_addr()).expect("the port is free");
    assert_eq!(silent.closed().0, 1001);
    silent.drain();
    half.drain();
}

#[test]
fn a_client_that_closes_and_does_not_read_is_cut_at_the_deadline_too() {
    let server = server_with(|config| {
        config.outbox_size(64 << 20).outbox_age(Duration::from_secs(3600)).event_queue(100);
    });
    let mut events = Events::of(&server);
    let mut client = Peer::join_small(server.local_addr(), "/");
    let id = events.connected();
    for _ in 0..16 {
        server.publish("lobby", Kind::Binary, &[0; 1 << 20]).unwrap();
    }
    client.send(CLOSE, &1000_u16.to_be_bytes());
    // The server has its close frame, and the answer waits behind what the client does not read.
    assert_eq!(events.left(id).0, 1000);
    let begun = Instant::now();
    assert!(matches!(server.stop(Duration::from_millis(100)), Err(Error::TimedOut)));
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[test]
fn several_threads_may_stop_at_once() {
    let server = server();
    let mut client = Peer::join(server.local_addr(), "/");
    thread::scope(|scope| {
        let stops: Vec<_> = (0..4).map(|_| scope.spawn(|| server.stop(PATIENCE))).collect();
        assert_eq!(client.closed().0, 1001);
        client.answer_close(1001);
        for stop in stops {
            stop.join().unwrap().unwrap();
            TcpListener::bind(server.local_addr()).expect("each returns when it has stopped");
        }
    });
}

#[test]
fn a_requested_stop_is_a_stop() {
    let server = server_with(|config| {
        config.event_queue(100);
    });
    let mut client = Peer::join(server.local_addr(), "/");
    server.publish("lobby", Kind::Text, b"last").unwrap();
    server.request_stop();
    assert!(matches!(server.publish("lobby", Kind::Text, b"too late"), Err(Error::Stopped)));
    let last = client.frame();
    assert_eq!((last.head, last.text()), (TEXT, "last"));
    assert_eq!(client.closed().0, 1001);
    client.answer_close(1001);
    Events::of(&server)
        .find("Stopped", |event| matches!(event, chat::Event::Stopped).then_some(()));
    server.stop(PATIENCE).unwrap();
}

#[test]
fn while_it_stops_nobody_new_is_served() {
    let server = server();
    let mut silent = Peer::join(server.local_addr(), "/");
    let addr = server.local_addr();
    thread::scope(|scope| {
        let stopped = scope.spawn(|| server.stop(PATIENCE));
        assert_eq!(silent.closed().0, 1001);
        // The stop waits for the answer to the close; who comes now is refused in one way or other.
        match std::net::TcpStream::connect(addr) {
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionRefused),
            Ok(stream) => {
                use std::io::Write;
                let mut late = Peer::over(stream);
                let head = peer::upgrade_head(addr, "/", &[]);
                let _ = late.stream.write_all(head.as_bytes());
                match late.fill() {
                    Ok(0) => {}
                    Ok(_) => assert_eq!(late.response().status, 503),
                    Err(error) => assert!(peer::is_reset(&error), "{error}"),
                }
            }
        }
        silent.answer_close(1001);
        stopped.join().unwrap().unwrap();
    });
}

#[test]
fn threads_and_descriptors_are_back_to_what_they_were() {
    // In a process of its own, since the other tests come and go in this one.
    if std::env::var_os("LIBCHAT_COUNT").is_none() {
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "threads_and_descriptors_are_back_to_what_they_were"])
            .env("LIBCHAT_COUNT", "1")
            .status();
        return assert!(status.unwrap().success());
    }
    let count = |what: &str| std::fs::read_dir(format!("/proc/self/{what}")).unwrap().count();
    // A handle keeps nothing of a server that has ended.
    let mut handles = Vec::new();
    let mut run = || {
        let server = server();
        handles.push(server.handle());
        let mut client = Peer::join(server.local_addr(), "/");
        client.is_served();
        drop(server);
        client.drain();
    };
    run();
    let before = (count("task"), count("fd"));
    for _ in 0..20 {
        run();
    }
    // A thread that was joined leaves the list a moment later.
    peer::eventually("all threads and descriptors are gone", || {
        count("task") <= before.0 && count("fd") <= before.1
    });
}

//! A peer that vanished is gone within ping interval + ping timeout; one that answers stays.

mod peer;

use std::{
    os::fd::BorrowedFd,
    time::{Duration, Instant},
};

use chat::{Kind, Server, SlowConsumer};
use peer::{
    Peer,
    events::Stream,
    frames::{PING, PONG, TEXT},
    host::{Events, accepted_socket, server_with},
};
use socket2::SockRef;

const INTERVAL: Duration = Duration::from_millis(300);
const TIMEOUT: Duration = Duration::from_millis(700);

fn server() -> Server {
    server_with(|config| {
        config.ping_interval(INTERVAL).ping_timeout(TIMEOUT).event_queue(1000);
    })
}

#[test]
fn a_peer_that_does_not_answer_pings_is_cut_and_the_host_is_told_why() {
    let server = server();
    let mut events = Events::of(&server);
    let mut witness = Peer::join(server.local_addr(), "/?echo=false");
    events.connected();
    let begun = Instant::now();
    let mut vanished = Peer::join(server.local_addr(), "/");
    let id = events.connected();
    // It reads everything, and answers nothing.
    let ping = vanished.frame();
    assert_eq!(ping.head, PING);
    assert!(ping.payload.len() <= 125);
    assert!(begun.elapsed() >= INTERVAL / 2, "pinged before its time");
    let gone = loop {
        // The witness answers, and stays.
        if witness.frame().head == PING {
            witness.send(PONG, b"");
        }
        let left = events.now().into_iter().find_map(|event| match event {
            chat::Event::Disconnected { client, code, reason, .. } => Some((client, code, reason)),
            _ => None,
        });
        if let Some(gone) = left {
            break gone;
        }
    };
    assert!(begun.elapsed() >= TIMEOUT, "cut before its time");
    let (client, code, reason) = gone;
    assert_eq!((client, code), (id, 1006));
    assert!(!reason.is_empty());
    vanished.drain();
    assert_eq!(server.stats().ping_timeouts, 1);
    peer::eventually("the witness is left", || server.stats().connections == 1);
}

#[test]
fn an_idle_client_that_answers_stays() {
    let server = server();
    let begun = Instant::now();
    let mut client = Peer::join(server.local_addr(), "/");
    for round in 1..=8 {
        let ping = client.frame();
        assert_eq!(ping.head, PING);
        assert!(begun.elapsed() >= INTERVAL * round / 2, "pinged {round} times");
        client.send(PONG, &ping.payload);
    }
    client.is_served();
    assert_eq!(server.stats().ping_timeouts, 0);
}

#[test]
fn any_bytes_are_an_answer() {
    let server = server();
    let mut client = Peer::join(server.local_addr(), "/");
    let mut talk = [b"x".as_slice(), b"", b"y"].into_iter().cycle();
    let begun = Instant::now();
    let mut pings = 0;
    // It says something whenever it hears something, but never pongs.
    client.say("first");
    while begun.elapsed() < (INTERVAL + TIMEOUT) * 5 / 2 {
        match client.frame().head {
            PING => {
                pings += 1;
                client.send(TEXT, talk.next().unwrap());
            }
            TEXT => {}
            other => panic!("{other:#x}"),
        }
    }
    assert!(pings > 1, "it was asked");
    client.send(PING, b"still here");
    while client.frame().head != PONG {}
}

#[test]
fn a_client_that_only_receives_must_answer_too() {
    let server = server();
    let mut events = Events::of(&server);
    let mut frozen = Peer::join(server.local_addr(), "/");
    let id = events.connected();
    let begun = Instant::now();
    // What it is sent does not count: its machine may take it while its program is frozen.
    let code = loop {
        server.publish("lobby", Kind::Text, b"are you there?").unwrap();
        let next = server.next_events(Duration::from_millis(20)).unwrap_or_default();
        let left = next.into_iter().find_map(|event| match event {
            chat::Event::Disconnected { client, code, .. } if client == id => Some(code),
            _ => None,
        });
        if let Some(code) = left {
            break code;
        }
        assert!(begun.elapsed() < peer::PATIENCE, "it is still a client");
    };
    assert_eq!(code, 1006);
    frozen.drain();
}

#[test]
fn no_pings_are_sent_if_the_interval_is_zero() {
    let server = server_with(|config| {
        config.ping_interval(Duration::ZERO).ping_timeout(Duration::from_millis(10));
    });
    let pinged = server_with(|config| {
        config.ping_interval(Duration::from_millis(10)).ping_timeout(Duration::from_secs(10));
    });
    let mut quiet = Peer::join(server.local_addr(), "/");
    let mut clock = Peer::join(pinged.local_addr(), "/");
    // While another server pings 20 times, this one does not.
    for _ in 0..20 {
        let ping = clock.frame();
        assert_eq!(ping.head, PING);
        clock.send(PONG, &ping.payload);
    }
    quiet.say("first");
    assert_eq!(quiet.frame().text(), "first");
}

#[test]
#[expect(unsafe_code, reason = "the server's socket is known by its number only")]
fn data_that_nobody_takes_cuts_sooner_than_a_ping_but_later_than_the_outbox() {
    let server = server_with(|config| {
        config.ping_interval(Duration::from_secs(5)).ping_timeout(Duration::from_secs(7));
    });
    let client = Peer::join(server.local_addr(), "/");
    let number = accepted_socket(server.local_addr(), client.stream.local_addr().unwrap());
    // SAFETY: the connection stays open, and with it the descriptor, as long as `client`.
    let socket = unsafe { BorrowedFd::borrow_raw(number) };
    let timeout = SockRef::from(&socket).tcp_user_timeout().unwrap();
    assert_eq!(timeout, Some(Duration::from_secs(7 + 1)));
    // A slow consumer that is to stay must not be cut by its own machine's full window.
    let kept = server_with(|config| {
        config.slow_consumer(SlowConsumer::DropOldest);
    });
    let patient = Peer::join(kept.local_addr(), "/");
    let number = accepted_socket(kept.local_addr(), patient.stream.local_addr().unwrap());
    // SAFETY: as above, with `patient`.
    let socket = unsafe { BorrowedFd::borrow_raw(number) };
    assert_eq!(SockRef::from(&socket).tcp_user_timeout().unwrap(), None);
    drop(client);
}

#[test]
#[expect(unsafe_code, reason = "the server's socket is known by its number only")]
fn a_client_of_events_that_has_vanished_is_found_whatever_the_options_say() {
    for (policy, pings) in [
        (SlowConsumer::Disconnect, 0),
        (SlowConsumer::DropOldest, 25),
        (SlowConsumer::Disconnect, 25),
    ] {
        let server = server_with(|config| {
            config.slow_consumer(policy).ping_interval(Duration::from_secs(pings));
            config.ping_timeout(Duration::from_secs(7)).outbox_age(Duration::from_secs(3));
        });
        let addr = server.local_addr();
        let timeout = |peer: &Peer| {
            let number = accepted_socket(addr, peer.stream.local_addr().unwrap());
            // SAFETY: the server has the socket open until the test ends.
            let socket = unsafe { BorrowedFd::borrow_raw(number) };
            SockRef::from(&socket).tcp_user_timeout().unwrap()
        };
        let found = Some(Duration::from_secs(8));
        let stream = Stream::open(addr, "/");
        assert_eq!(timeout(&stream.peer), found, "{policy:?} {pings}");
        let socket = Peer::join(addr, "/");
        let is_kept = policy == SlowConsumer::DropOldest || pings == 0;
        assert_eq!(timeout(&socket), found.filter(|_| !is_kept), "{policy:?} {pings}");
    }
}

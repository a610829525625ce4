//! What the host says of one client costs that client alone, and not for longer than it takes.

mod peer;

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use chat::Event;
use peer::{
    Peer,
    frames::{CLOSE, masked},
    host::{Events, server_with},
    upgrade_head,
};

#[test]
fn clients_that_the_host_has_spoken_of_are_read_while_it_is_busy_with_another() {
    let server = server_with(|config| {
        config.workers(1).history_messages(0).event_queue(100_000);
        config.publish_timeout(Duration::from_secs(60));
    });
    let mut events = Events::of(&server);
    let mut client = |path: &str| {
        let peer = Peer::join(server.local_addr(), path);
        (peer, events.connected())
    };
    let (_busy, busy) = client("/rooms/busy");
    // More than may hold bytes back at once.
    let mut peers: Vec<_> = (0..20).map(|number| client(&format!("/rooms/{number}"))).collect();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    server.set_echo(busy, true).expect("the server runs");
                }
            });
        }
        for (peer, id) in &mut peers {
            server.set_echo(*id, true).expect("it is connected");
            peer.say("hello");
        }
        // Ends the threads too if one is not heard in time.
        let heard = thread::scope(|inner| {
            let reading = inner.spawn(|| {
                for (peer, _) in &mut peers {
                    assert_eq!(peer.text(), "hello");
                }
            });
            reading.join()
        });
        is_over.store(true, Ordering::Relaxed);
        assert!(heard.is_ok(), "a client is not heard while the host is busy with another");
    });
}

#[test]
fn a_clients_own_close_that_came_with_its_request_is_an_answer_to_the_hosts() {
    let server = server_with(|config| {
        config.workers(1).event_queue(10_000).admission_timeout(Duration::from_secs(60));
    });
    let mut events = Events::of(&server);
    for _ in 0..20 {
        let mut peer = Peer::connect(server.local_addr());
        let mut hello = upgrade_head(server.local_addr(), "/", &[]).into_bytes();
        hello.extend(masked(CLOSE, &1000_u16.to_be_bytes()));
        peer.write(&hello);
        let id = events.find("a request", |event| match event {
            Event::ConnectRequest { client, .. } => Some(client),
            _ => None,
        });
        server.accept(id).expect("it waits");
        // Its close frame is read before this is carried out, or not at all.
        let _ = server.disconnect(id, 4000, "enough");
        assert_eq!(peer.response().status, 101);
        let (_, code) = peer.until_closed();
        assert!(code == 4000 || code == 1000, "{code}");
        let begun = Instant::now();
        peer.drain();
        // Without the answer the server would wait for it for five seconds.
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    }
}

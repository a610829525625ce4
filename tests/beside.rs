//! What the host says of one client costs that client alone, and not for longer than it takes.

mod peer;

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use chat::{Kind, Publication};
use peer::{
    Peer,
    frames::CLOSE,
    host::{Events, server_with},
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
fn a_clients_own_close_that_waits_for_the_host_is_an_answer_to_the_servers() {
    let server = server_with(|config| {
        config.workers(1).history_messages(0).event_queue(10_000);
        config.outbox_size(64 << 20).outbox_age(Duration::from_secs(3600));
    });
    let mut events = Events::of(&server);
    let readers: Vec<_> =
        (0..100).map(|_| Peer::join(server.local_addr(), "/rooms/large?echo=false")).collect();
    readers.iter().for_each(|_| _ = events.connected());
    let mut peer = Peer::join(server.local_addr(), "/rooms/small");
    let id = events.connected();
    let publication = Publication { room: "large", kind: Kind::Binary, data: &[0; 1000] };
    server.publish_batch(&[publication; 5_000]).expect("there is space");
    server.disconnect(id, 4000, "enough").expect("it is connected");
    // It is read before the disconnect is carried out, and held.
    peer.send(CLOSE, &1000_u16.to_be_bytes());
    assert_eq!(peer.closed().0, 4000);
    let begun = Instant::now();
    peer.drain();
    // Without the answer the server would wait for it for five seconds.
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

//! With the policy that drops the oldest messages, the host is told of each that a client does not get,
//! however the client's connection ends, and however late the host takes its events.

mod peer;

use std::time::Duration;

use chat::{ClientId, Config, Event, Kind, Server, SlowConsumer};
use peer::{
    Peer, eventually,
    frames::CLOSE,
    host::{Events, server_with},
    upgrade_head,
};

const KIB: usize = 1024;

/// A server that keeps little for a client, whose host has space for `events` events.
fn server(events: usize, configure: impl FnOnce(&mut Config)) -> Server {
    server_with(|config| {
        config.max_message_size(16 * KIB).outbox_size(64 * KIB).event_queue(events);
        config.slow_consumer(SlowConsumer::DropOldest).outbox_age(Duration::from_secs(3600));
        config.workers(1).history_messages(0);
        configure(config);
    })
}

/// Publishes until many messages were dropped for a client that reads nothing.
fn publish_too_much(server: &Server) {
    let before = server.stats().messages_dropped;
    while server.stats().messages_dropped < before + 300 {
        server.publish("lobby", Kind::Binary, &[0; 8 * KIB]).expect("the server runs");
    }
}

/// Counts what the host is told of a client, up to its end. Nothing may be told of it afterwards.
fn told_until_left(events: &mut Events<'_>, wanted: ClientId) -> u64 {
    let mut told = 0;
    loop {
        match events.next() {
            Event::MessagesDropped { client, count } => {
                assert!(client == wanted && count > 0);
                told += count;
            }
            Event::Disconnected { client, .. } if client == wanted => return told,
            _ => {}
        }
    }
}

/// Ends the connection of a client. Returns how many messages it read, if it read all that was left for it.
type End = fn(&Server, ClientId, Peer) -> Option<usize>;

const ENDS: [(&str, End); 4] = [
    ("it breaks off", |_, _, peer| {
        drop(peer);
        None
    }),
    ("it leaves", |_, _, mut peer| {
        peer.send(CLOSE, &1000_u16.to_be_bytes());
        Some(peer.until_closed().0.len())
    }),
    ("the host closes it", |server, id, mut peer| {
        server.disconnect(id, 4000, "enough").expect("it is connected");
        let (received, _) = peer.until_closed();
        peer.answer_close(4000);
        Some(received.len())
    }),
    ("the server stops", |server, _, _peer| {
        let _ = server.stop(Duration::from_millis(100));
        None
    }),
];

#[test]
fn the_host_is_told_of_each_dropped_message_when_the_client_ends_in_whatever_way() {
    for (name, end) in ENDS {
        for is_behind_again in [true, false] {
            // The client's own Connected fills the queue: while it is there, nothing is told.
            let server = server(1, |_| ());
            let peer = Peer::join_small(server.local_addr(), "/");
            publish_too_much(&server);
            let mut events = Events::of(&server);
            let id = events.connected();
            if is_behind_again {
                publish_too_much(&server);
            }
            let received = end(&server, id, peer);
            let told = told_until_left(&mut events, id);
            let stats = server.stats();
            assert_eq!(told, stats.messages_dropped, "{name}");
            if let Some(received) = received {
                assert_eq!(received as u64 + told, stats.messages_delivered, "{name}");
            }
        }
    }
}

#[test]
fn what_is_dropped_for_a_client_that_waits_for_admission_is_told_too() {
    for outcome in ["accepted", "rejected", "gone", "late"] {
        let server = server(1, |config| {
            let timeout = if outcome == "late" { 200 } else { 60_000 };
            config.admission_timeout(Duration::from_millis(timeout));
        });
        let mut peer = Peer::connect(server.local_addr());
        peer.write(upgrade_head(server.local_addr(), "/", &[]).as_bytes());
        eventually("it asks", || server.stats().connections == 1);
        let mut events = Events::of(&server);
        let id = events.find("ConnectRequest", |event| match event {
            Event::ConnectRequest { client, .. } => Some(client),
            _ => None,
        });
        // The queue is full, of an event about nobody, while messages are dropped.
        server.join(id, "other").unwrap();
        for _ in 0..30 {
            server.send(id, Kind::Binary, &[0; 8 * KIB]).unwrap();
        }
        eventually("some are dropped", || server.stats().messages_dropped > 0);
        let mut received = 0;
        match outcome {
            "accepted" => {
                server.accept(id).unwrap();
                assert_eq!(peer.response().status, 101);
                peer.send(CLOSE, &1000_u16.to_be_bytes());
                received = peer.until_closed().0.len() as u64;
            }
            "rejected" => {
                server.reject(id, 403, "no", &[]).unwrap();
                assert_eq!(peer.response().status, 403);
            }
            "gone" => drop(peer),
            _ => assert_eq!(peer.response().status, 503),
        }
        let told = told_until_left(&mut events, id);
        assert_eq!(told, server.stats().messages_dropped, "{outcome}");
        if outcome == "accepted" {
            assert_eq!(received + told, 30);
        }
    }
}

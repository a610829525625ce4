//! One client's flood is its own affair: others are served while it lasts, and keep what is theirs.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod peer;

use std::{
    collections::HashMap,
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use chat::{Event, Kind, SlowConsumer};
use peer::{
    PATIENCE, Peer,
    frames::{PING, PONG, TEXT, masked},
    host::{Events, server_with},
};

/// Sends the same frames again and again until told to stop, for a while at the most, and never reads.
fn flood(mut client: Peer, frame: &[u8], stop: &Arc<AtomicBool>) -> thread::JoinHandle<()> {
    let chunk = frame.repeat((256 * 1024 / frame.len()).max(1));
    let stop = Arc::clone(stop);
    let begun = Instant::now();
    thread::spawn(move || {
        while !stop.load(Ordering::Relaxed)
            && begun.elapsed() < 2 * PATIENCE
            && client.stream.write_all(&chunk).is_ok()
        {}
    })
}

#[test]
fn others_are_served_while_a_client_floods() {
    let frames = [masked(TEXT, b""), masked(TEXT, &[b'x'; 20]), masked(PING, b"ping")];
    for frame in frames {
        let server = server_with(|config| {
            config.workers(1).history_messages(0);
        });
        let stop = Arc::new(AtomicBool::new(false));
        let flooder = Peer::join(server.local_addr(), "/rooms/flood?echo=false");
        let mut victim = Peer::join(server.local_addr(), "/rooms/quiet");
        let flooding = flood(flooder, &frame, &stop);
        // The flood goes on until all of these have come back.
        for turn in 0..20 {
            let text = format!("turn {turn}");
            victim.say(&text);
            assert_eq!(victim.text(), text);
        }
        stop.store(true, Ordering::Relaxed);
        flooding.join().unwrap();
    }
}

#[test]
fn others_are_served_while_a_client_floods_that_is_being_closed() {
    for frame in [masked(PING, &[b'x'; 125]), masked(PONG, b""), masked(TEXT, &[b'x'; 20])] {
        let server = server_with(|config| {
            config.workers(1).history_messages(0).event_queue(10_000);
        });
        let mut events = Events::of(&server);
        let stop = Arc::new(AtomicBool::new(false));
        let flooder = Peer::join(server.local_addr(), "/rooms/flood?echo=false");
        let id = events.connected();
        let mut victim = Peer::join(server.local_addr(), "/rooms/quiet");
        let flooding = flood(flooder, &frame, &stop);
        server.disconnect(id, 4000, "enough").unwrap();
        for _ in 0..20 {
            victim.is_served();
        }
        assert!(!flooding.is_finished(), "they had to wait until the flooder was cut");
        stop.store(true, Ordering::Relaxed);
        flooding.join().unwrap();
    }
}

#[test]
fn clients_that_flood_more_than_is_delivered_have_equal_shares() {
    const FLOODERS: usize = 200;
    const SHARE: usize = 3_000;
    let server = server_with(|config| {
        config.workers(1).history_messages(0).event_queue(1_000_000);
        config.slow_consumer(SlowConsumer::DropOldest);
    });
    let mut events = Events::of(&server);
    let stop = Arc::new(AtomicBool::new(false));
    let flooders: Vec<_> = (0..FLOODERS)
        .map(|number| Peer::join(server.local_addr(), &format!("/rooms/{number}")))
        .collect();
    let frame = masked(TEXT, &[b'x'; 20]);
    let flooding: Vec<_> =
        flooders.into_iter().map(|flooder| flood(flooder, &frame, &stop)).collect();
    let mut speaker = || {
        events.find("a message", |event| match event {
            Event::Message { client, .. } => Some(client),
            _ => None,
        })
    };
    // Until all of them have been read several times: at first more is read at once.
    let mut said = HashMap::new();
    let mut begun = 0;
    while begun < FLOODERS {
        let count = said.entry(speaker()).or_insert(0);
        *count += 1;
        begun += usize::from(*count == SHARE);
    }
    let mut shares = HashMap::new();
    for _ in 0..FLOODERS * SHARE {
        *shares.entry(speaker()).or_insert(0) += 1;
    }
    stop.store(true, Ordering::Relaxed);
    let least = shares.values().min().copied().unwrap();
    let most = shares.values().max().copied().unwrap();
    assert_eq!(shares.len(), FLOODERS);
    // In so short a time: one read is a tenth of it, and whoever comes first when all have been read is read
    // once more.
    assert!(SHARE / 2 < least && most < 2 * SHARE, "{least} to {most}");
    drop(server);
    for thread in flooding {
        thread.join().unwrap();
    }
}

#[test]
fn a_stop_is_over_at_its_deadline_whatever_is_sent_meanwhile() {
    let server = server_with(|config| {
        config.workers(1).history_messages(0);
    });
    let stop = Arc::new(AtomicBool::new(false));
    let flooding: Vec<_> = (0..2)
        .map(|_| {
            let flooder = Peer::join(server.local_addr(), "/rooms/flood?echo=false");
            flood(flooder, &masked(PING, &[b'x'; 125]), &stop)
        })
        .collect();
    let begun = Instant::now();
    // They may have been cut or not. What they send goes on for longer than the test has patience.
    let _ = server.stop(Duration::from_secs(1));
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    stop.store(true, Ordering::Relaxed);
    for thread in flooding {
        thread.join().unwrap();
    }
}

#[test]
fn connections_are_spread_evenly_over_the_workers_also_after_some_have_left() {
    const WORKERS: usize = 4;
    let server = server_with(|config| {
        config.workers(WORKERS).event_queue(1000);
    });
    let mut events = Events::of(&server);
    let mut join = || {
        let peer = Peer::join(server.local_addr(), "/?echo=false");
        // A client's number tells its worker.
        let worker = events.connected().as_u64() as usize & 0xff;
        (worker, peer)
    };
    let count = |clients: &[(usize, Peer)]| {
        let mut counts = [0; WORKERS];
        clients.iter().for_each(|(worker, _)| counts[*worker] += 1);
        counts
    };
    let mut clients: Vec<_> = (0..40).map(|_| join()).collect();
    assert_eq!(count(&clients), [10; WORKERS]);
    // Those of one worker leave, and half of another's.
    let mut left = 0;
    clients.retain(|(worker, _)| {
        let leaves = *worker == 1 || (*worker == 2 && left < 5);
        left += usize::from(leaves && *worker == 2);
        !leaves
    });
    peer::eventually("they have left", || server.stats().connections == 25);
    clients.extend((0..15).map(|_| join()));
    let counts = count(&clients);
    // The last to leave may have counted for a moment longer.
    assert!(counts.iter().all(|count| (9..=11).contains(count)), "{counts:?}");
}

#[test]
fn a_room_that_hoards_history_forgets_first_also_while_somebody_is_in_it() {
    let server = server_with(|config| {
        config.max_message_size(9_000).history_total(1_000_000).history_size(900_000).workers(1);
    });
    let _hoarder = Peer::join(server.local_addr(), "/rooms/hoard?echo=false");
    for _ in 0..95 {
        server.publish("hoard", Kind::Binary, &[0; 9_000]).unwrap();
    }
    let _witness = Peer::join(server.local_addr(), "/rooms/small");
    for number in 0..50 {
        server.publish("small", Kind::Binary, &[number; 9_000]).unwrap();
    }
    let mut late = Peer::join(server.local_addr(), "/rooms/small?history=50");
    for number in 0..50 {
        assert_eq!(late.message().payload, [number; 9_000]);
    }
}

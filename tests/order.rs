//! Fifty clients in several rooms: no loss, no doubles, each publisher's order, one order per room.

mod peer;

use std::{collections::HashMap, thread, time::Duration};

use peer::{PATIENCE, Peer, host::server_with};

const ROOMS: usize = 5;
const CLIENTS_PER_ROOM: usize = 10;
const MESSAGES: usize = 200;

/// Publishes all its messages, a few at a time, and returns everything that it received.
fn talk(mut client: Peer, room: usize, name: usize) -> Vec<String> {
    let total = CLIENTS_PER_ROOM * MESSAGES;
    let mut received = Vec::with_capacity(total);
    let mut sent = 0;
    while received.len() < total {
        if sent < MESSAGES && sent * CLIENTS_PER_ROOM <= received.len() + 100 {
            client.say(&format!("{room}/{name}/{sent}"));
            sent += 1;
        } else {
            received.push(client.text());
        }
    }
    assert_eq!(sent, MESSAGES);
    // A double would come before this.
    client.send(peer::frames::PING, b"");
    assert_eq!(client.frame().head, peer::frames::PONG);
    received
}

fn check_room(room: usize, orders: &[Vec<String>]) {
    for order in &orders[1..] {
        assert!(*order == orders[0], "two subscribers of room {room} saw different orders");
    }
    let mut next = HashMap::new();
    for text in &orders[0] {
        let (publisher, number) = text.rsplit_once('/').expect("as it was sent");
        assert!(publisher.starts_with(&format!("{room}/")), "{text} is in room {room}");
        let expected = next.entry(publisher).or_insert(0_usize);
        assert_eq!(number.parse(), Ok(*expected), "lost, doubled or out of order: {text}");
        *expected += 1;
    }
    assert_eq!(next.len(), CLIENTS_PER_ROOM);
    assert!(next.values().all(|count| *count == MESSAGES));
}

#[test]
fn fifty_clients_in_five_rooms_lose_nothing_and_see_one_order() {
    let server = server_with(|config| {
        // Without pings, which on a slow machine come where the answer to the client's is awaited.
        config.workers(4).ping_interval(Duration::ZERO);
    });
    // All are in their rooms before the first says anything.
    let clients: Vec<_> = (0..ROOMS * CLIENTS_PER_ROOM)
        .map(|index| (index % ROOMS, index / ROOMS))
        .map(|(room, name)| {
            (room, name, Peer::join(server.local_addr(), &format!("/rooms/{room}")))
        })
        .collect();
    let clients: Vec<_> = clients
        .into_iter()
        .map(|(room, name, client)| (room, thread::spawn(move || talk(client, room, name))))
        .collect();
    let mut orders = vec![Vec::new(); ROOMS];
    for (room, client) in clients {
        orders[room].push(client.join().unwrap());
    }
    for (room, orders) in orders.iter().enumerate() {
        check_room(room, orders);
    }
    let stats = server.stats();
    let published = (ROOMS * CLIENTS_PER_ROOM * MESSAGES) as u64;
    assert_eq!(stats.messages_received, published);
    assert_eq!(stats.messages_published, published);
    assert_eq!(stats.messages_delivered, published * CLIENTS_PER_ROOM as u64);
    assert_eq!((stats.messages_dropped, stats.slow_consumers), (0, 0));
    server.stop(PATIENCE).unwrap();
}

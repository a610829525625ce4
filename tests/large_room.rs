//! A large room is written to in parts, with looks at the sockets in between: nobody may notice.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod peer;

use std::{net::SocketAddr, thread, time::Duration};

use chat::{Kind, Server};
use peer::{PATIENCE, Peer, host::server_with};

const PATH: &str = "/rooms/large";
const LISTENERS: usize = 150;
const SPEAKERS: usize = 6;
const MESSAGES: usize = 200;
/// What each client that stays sees: the speakers', the host's, and the word that ends it.
const LAST: &str = "last/0";

/// Says more whenever it has heard itself, a few messages at a time. Returns all that it has heard.
fn speak(mut client: Peer, name: &str) -> Vec<String> {
    let mut heard = Vec::new();
    let mut sent = 0;
    while sent < 4 {
        client.say(&format!("{name}/{sent}"));
        sent += 1;
    }
    while heard.last().is_none_or(|text| text != LAST) {
        heard.push(client.text());
        let is_own = heard.last().is_some_and(|text| text.starts_with(name));
        if is_own && sent < MESSAGES {
            client.say(&format!("{name}/{sent}"));
            sent += 1;
        }
    }
    heard
}

/// Says all at once, and does not hear itself.
fn recite(mut client: Peer, name: &str) -> Vec<String> {
    for number in 0..MESSAGES {
        client.say(&format!("{name}/{number}"));
    }
    listen(client)
}

fn listen(mut client: Peer) -> Vec<String> {
    let mut heard = Vec::new();
    while heard.last().is_none_or(|text| text != LAST) {
        heard.push(client.text());
    }
    heard
}

/// The host's messages, of which every tenth is for everyone whatever the room.
fn host(server: &Server) {
    for number in 0..MESSAGES {
        let text = format!("host/{number}");
        if number % 10 == 9 {
            server.broadcast(Kind::Text, text.as_bytes()).unwrap();
        } else {
            server.publish("large", Kind::Text, text.as_bytes()).unwrap();
        }
    }
}

/// Clients that come while all speak, and others that leave.
fn come_and_go(addr: SocketAddr, mut leavers: Vec<Peer>) -> Vec<Peer> {
    let mut comers = Vec::new();
    for turn in 0..20 {
        comers.push(Peer::join(addr, &format!("{PATH}?history={turn}")));
        drop(leavers.pop());
    }
    comers
}

fn is_of_the_room(text: &str) -> bool {
    let number = text.strip_prefix("host/").map(|number| number.parse::<usize>().unwrap());
    number.is_none_or(|number| number % 10 != 9)
}

/// The numbers of one publisher's messages, as they came.
fn numbers(heard: &[String], name: &str) -> Vec<usize> {
    let own = heard.iter().filter_map(|text| text.strip_prefix(name)?.strip_prefix('/'));
    own.map(|number| number.parse().unwrap()).collect()
}

#[test]
fn all_see_one_order_whoever_speaks_comes_or_leaves() {
    for workers in [1, 2] {
        let server = server_with(|config| {
            config.workers(workers).ping_interval(Duration::ZERO);
        });
        let addr = server.local_addr();
        let join = |_| Peer::join(addr, PATH);
        let listeners: Vec<_> = (0..LISTENERS).map(join).collect();
        let leavers = (0..20).map(join).collect();
        let speakers: Vec<_> = (0..SPEAKERS).map(join).collect();
        let mute = Peer::join(addr, &format!("{PATH}?echo=false"));
        let mut witness = Peer::join(addr, PATH);
        let (mut heard, of_mute, comers) = thread::scope(|scope| {
            let speaking: Vec<_> = speakers
                .into_iter()
                .enumerate()
                .map(|(name, client)| scope.spawn(move || speak(client, &format!("s{name}"))))
                .collect();
            let reciting = scope.spawn(|| recite(mute, "mute"));
            let coming = scope.spawn(move || come_and_go(addr, leavers));
            host(&server);
            let comers = coming.join().unwrap();
            let before: Vec<_> = (0..(SPEAKERS + 2) * MESSAGES).map(|_| witness.text()).collect();
            server.publish("large", Kind::Text, LAST.as_bytes()).unwrap();
            let mut heard = vec![[before, listen(witness)].concat()];
            heard.extend(speaking.into_iter().map(|one| one.join().unwrap()));
            (heard, reciting.join().unwrap(), comers)
        });
        heard.extend(listeners.into_iter().map(listen));

        let in_room = |heard: &[String]| -> Vec<String> {
            heard.iter().filter(|text| is_of_the_room(text)).cloned().collect()
        };
        let order = in_room(&heard[0]);
        let every: Vec<usize> = (0..MESSAGES).collect();
        for heard in &heard {
            assert!(in_room(heard) == order, "two clients of the room saw different orders");
            for name in ["host", "mute", "s0", "s1", "s2", "s3", "s4", "s5"] {
                assert_eq!(numbers(heard, name), every, "{name}");
            }
        }
        let without_own: Vec<_> =
            order.iter().filter(|text| !text.starts_with("mute/")).cloned().collect();
        assert!(
            in_room(&of_mute) == without_own,
            "the one without echo misses something, or hears itself"
        );
        for comer in comers {
            let heard = in_room(&listen(comer));
            assert!(order.ends_with(&heard), "who came later misses something, or has it twice");
        }
        let stats = server.stats();
        assert_eq!((stats.messages_dropped, stats.slow_consumers), (0, 0));
        server.stop(PATIENCE).unwrap();
    }
}

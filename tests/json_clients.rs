//! Real clients that recover: their connections are cut at random bytes, and they show every message once and in order.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod peer;
mod support;
mod wire;

use std::{fs, process::Command, thread, time::Duration};

use chat::{Event, Handle, Kind, Past};
use peer::{
    PATIENCE,
    host::{Events, server_with},
};
use support::ROOT;
use wire::{
    Random, node, program::Program, recovering_javascript, relay::Relay, scratch, the_python,
};

/// How many messages each room gets, and how many may be on their way: fewer than a room keeps.
const COUNT: usize = 1_000;
const MAX_AHEAD: usize = 200;

/// The room of the path, and one that the host puts each client into.
const ROOMS: [&str; 2] = ["first room", "second&"];

/// Puts each client that connects into the second room, with all of its past.
fn join_all(handle: &Handle) {
    while let Ok(events) = handle.next_events(PATIENCE) {
        for event in events {
            if let Event::Connected { client, .. } = event {
                // Fails if the client has left meanwhile.
                _ = handle.join_with_past(client, ROOMS[1], Past::All, None);
            }
        }
    }
}

/// Starts a client whose connections are cut, publishes, and holds what it shows against what was published.
fn shows_every_message_once_and_in_order(client: impl FnOnce(&str) -> Command) {
    let mut random = Random::new();
    let server = server_with(|config| {
        config.event_queue(100_000).ping_interval(Duration::from_millis(200));
    });
    let handle = server.handle();
    let host = thread::spawn(move || join_all(&handle));
    let relay = Relay::start(server.local_addr(), random.fork(), 6_000);
    // Before the first position has come, a client asks for all that there is.
    let url = format!("ws://{}/rooms/first%20room?history=1000", relay.addr);
    let program = Program::start(&mut client(&url));
    let (mut published, mut shown) = ([0; 2], [0; 2]);
    while shown != [COUNT; 2] {
        for (room, name) in ROOMS.into_iter().enumerate() {
            while published[room] < COUNT && published[room] < shown[room] + MAX_AHEAD {
                published[room] += 1;
                // Nearly all of it comes in base64, since each quote would be escaped.
                let text = format!("{} {:\"<2$}", published[room], "", random.below(300) as usize);
                server.publish(name, Kind::Text, text.as_bytes()).unwrap();
            }
        }
        let line = program.line_or(|| format!("{shown:?} after {} cuts", relay.cuts()));
        let is_next = (0..2).find(|&room| {
            let next = shown[room] + 1;
            line == format!("message {} {next}", ROOMS[room])
        });
        let room = is_next.unwrap_or_else(|| panic!("{line}, after {shown:?}"));
        shown[room] += 1;
    }
    assert!(relay.cuts() > 50, "{} cuts", relay.cuts());
    server.publish(ROOMS[0], Kind::Text, b"end").unwrap();
    assert_eq!(program.end(), [""; 0], "behind the last message");
    drop(relay);
    server.stop(PATIENCE).unwrap();
    host.join().unwrap();
}

/// The JavaScript of the document as a program; its waits are shorter by `speed`.
fn javascript(url: &str, speed: &str) -> Command {
    let driver = fs::read_to_string(format!("{ROOT}/tests/wire/driver.js")).unwrap();
    let file = scratch(&format!("recover-{:?}", thread::current().id())).with_extension("js");
    fs::write(&file, format!("{}\n{driver}", recovering_javascript())).unwrap();
    let mut command = node();
    command.arg(&file).args([url, speed]);
    command
}

#[test]
fn the_javascript_of_the_document_shows_every_message_once_and_in_order() {
    shows_every_message_once_and_in_order(|url| javascript(url, "100"));
}

#[test]
fn a_client_of_pythons_websockets_shows_every_message_once_and_in_order() {
    shows_every_message_once_and_in_order(|url| {
        let mut command = Command::new(the_python());
        command.arg(format!("{ROOT}/tests/wire/recover.py")).arg(url);
        command
    });
}

#[test]
fn the_javascript_of_the_document_comes_back_when_the_server_says_and_then_at_random_times() {
    let (server, next) = (server_with(|_| ()), server_with(|_| ()));
    for server in [&server, &next] {
        server.publish("r", Kind::Text, b"kept").unwrap();
    }
    let relay = Relay::start(server.local_addr(), Random::new(), 0);
    let url = format!("ws://{}/rooms/r?history=1", relay.addr);
    let program = Program::start(javascript(&url, "10").arg("waits"));
    let wait = || -> f64 {
        let line = program.line();
        let wait = line.strip_prefix("wait ").unwrap_or_else(|| panic!("{line}"));
        wait.parse().unwrap()
    };
    assert_eq!(program.line(), "message r kept");
    server.stop(PATIENCE).unwrap();
    let closing = program.line();
    let retry = closing.strip_prefix("closing 1001 ").unwrap_or_else(|| panic!("{closing}"));
    let retry: f64 = retry.parse().unwrap();
    assert!((500. ..1_500.).contains(&retry), "{retry} ms, for one client");
    assert_eq!(wait(), retry);
    // Nobody listens any more.
    let waits: Vec<f64> = (0..7).map(|_| wait()).collect();
    let is_short = |(tries, wait): (i32, &f64)| *wait < 1_000. * 2_f64.powi(tries).min(30.);
    assert!((0..).zip(&waits).all(is_short), "{waits:?}");
    assert!(waits.iter().any(|wait| *wait > 1_000.) && !waits.contains(&retry), "{waits:?}");
    relay.lead_to(next.local_addr());
    let rest = std::iter::repeat_with(|| program.line()).find(|line| !line.starts_with("wait "));
    assert_eq!([rest.unwrap(), program.line()], ["missing r epoch", "message r kept"]);
    relay.cut();
    assert!(wait() < 1_000., "it begins anew");
}

#[test]
fn the_javascript_of_the_document_stays_while_heartbeats_come_and_ends_when_it_is_told() {
    // A line that is silent for 10.3 s is dead to it; here in 1.03 s.
    let interval = Duration::from_millis(300);
    let server = server_with(|config| _ = config.event_queue(100).ping_interval(interval));
    let url = format!("ws://{}/", server.local_addr());
    let start = || Program::start(javascript(&url, "10").arg("waits"));
    let program = start();
    let mut events = Events::of(&server);
    let client = events.connected();
    (0..6).for_each(|_| assert_eq!(program.line(), "ping"));
    server.disconnect(client, 4_000, "banned").unwrap();
    let end = std::iter::repeat_with(|| program.line()).find(|line| line != "ping");
    assert_eq!(end.unwrap(), "end 4000 banned");
    assert_eq!(program.end(), [""; 0]);
    let program = start();
    events.connected();
    server.publish("lobby", Kind::Text, b"close").unwrap();
    let lines = program.end();
    assert!(lines.iter().filter(|line| *line != "ping").eq(["end 1000 "]), "{lines:?}");
}

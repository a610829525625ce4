//! Deadlines, by a clock that the test advances: each has a lower and an upper bound.

use std::{
    io::Write,
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use super::{
    served::{Served, ask, masked, received},
    setting::{KIB, events, options, world},
};
use crate::{
    event::Event,
    frame::Kind,
    options::{Options, Overdue},
};

const SECOND: Duration = Duration::from_secs(1);
const MOMENT: Duration = Duration::from_millis(1);

/// A close frame of a client, with the code 1000.
const CLOSE: &[u8] = &[0x88, 0x82, 0, 0, 0, 0, 3, 232];

/// Passes time until a moment before a limit, and over it. Insists that something becomes true then.
fn is_true_at(
    served: &mut Served,
    limit: Duration,
    what: &str,
    mut is_true: impl FnMut(&mut Served) -> bool,
) {
    served.pass(limit - MOMENT);
    assert!(!is_true(served), "{what}: before its time");
    served.pass(MOMENT);
    assert!(is_true(served), "{what}: not at its time");
}

fn has_ended(stream: &mut UnixStream) -> bool {
    received(stream);
    matches!(std::io::Read::read(stream, &mut [0]), Ok(0))
}

fn connections(served: &Served) -> u64 {
    served.world.handle.stats().connections
}

/// What a client whose pings are looked at has done so far: when it was pinged, and when it ended.
#[derive(Default)]
struct Seen {
    pings: Vec<Duration>,
    end: Option<Duration>,
}

/// Watches clients for a time, in steps. Those of `answering` answer pings up to a time.
fn watch(
    served: &mut Served,
    clients: &mut [UnixStream],
    time: Duration,
    answers_until: Duration,
) -> Vec<Seen> {
    let step = Duration::from_millis(50);
    let mut seen: Vec<_> = clients.iter().map(|_| Seen::default()).collect();
    let mut now = Duration::ZERO;
    while now < time {
        served.pass(step);
        now += step;
        for (client, seen) in
            clients.iter_mut().zip(&mut seen).filter(|(_, seen)| seen.end.is_none())
        {
            if received(client).starts_with(&[0x89, 0]) {
                seen.pings.push(now);
                if now <= answers_until {
                    client.write_all(&[0x8a, 0x80, 0, 0, 0, 0]).unwrap();
                }
            }
            if matches!(std::io::Read::read(client, &mut [0]), Ok(0)) {
                seen.end = Some(now);
            }
        }
    }
    seen
}

#[test]
fn a_vanished_client_is_gone_within_ping_interval_and_ping_timeout() {
    let (interval, timeout) = (25 * SECOND, 10 * SECOND);
    let slack = Duration::from_millis(400);
    let mut served = Served::new(options());
    let mut clients: Vec<_> = (0..20).map(|_| served.join("/")).collect();
    // They answer for a minute.
    let seen = watch(&mut served, &mut clients, 120 * SECOND, 60 * SECOND);
    for seen in &seen {
        let first = seen.pings[0];
        assert!((interval / 2..=interval + slack).contains(&first), "first pinged at {first:?}");
        for two in seen.pings.windows(2) {
            let between = two[1] - two[0];
            assert!(between + slack >= interval && between <= interval + slack, "{between:?}");
        }
        let last_answer = *seen.pings.iter().rfind(|at| **at <= 60 * SECOND).unwrap();
        let end = seen.end.expect("it is gone");
        assert!(end <= last_answer + interval + timeout + slack, "{end:?} after {last_answer:?}");
        // From the ping that it did not answer on it had the timeout.
        let unanswered = *seen.pings.iter().find(|at| **at > 60 * SECOND).unwrap();
        assert!(end >= unanswered + timeout - slack, "{end:?}, pinged at {unanswered:?}");
    }
    assert_eq!((connections(&served), served.world.handle.stats().ping_timeouts), (0, 20));
}

#[test]
fn a_vanished_client_is_gone_in_time_though_it_is_pinged_more_often_than_it_may_take() {
    let options = Options { ping_interval: SECOND, ping_timeout: 10 * SECOND, ..options() };
    let mut served = Served::new(options);
    let mut clients: Vec<_> = (0..5).map(|_| served.join("/")).collect();
    let seen = watch(&mut served, &mut clients, 20 * SECOND, Duration::ZERO);
    for seen in &seen {
        let end = seen.end.expect("it is gone");
        assert!(end >= seen.pings[0] + 10 * SECOND - MOMENT * 50, "{end:?}");
        assert!(end <= 11 * SECOND + MOMENT * 100, "{end:?}");
    }
}

#[test]
fn a_client_that_is_not_read_because_of_its_undecided_messages_is_not_cut_for_a_ping() {
    let options = Options { review_timeout: 1000 * SECOND, event_queue: 1 << 16, ..options() };
    let mut served = Served::new(options);
    let mut full = served.join("/");
    let mut one = served.join("/");
    full.write_all(&masked("undecided").repeat(64)).unwrap();
    one.write_all(&masked("undecided")).unwrap();
    served.turns(2);
    // Neither answers. The server would not read the answer of one of them.
    (0..40).for_each(|_| served.pass(SECOND));
    assert_eq!(served.world.handle.stats().ping_timeouts, 1, "the other is read");
    assert!(has_ended(&mut one) && !has_ended(&mut full));
    (0..200).for_each(|_| served.pass(SECOND));
    assert!(!has_ended(&mut full));
    // When all is decided it must answer as everyone.
    for event in events(&served.world) {
        if let Event::MessageRequest { decision, .. } = event {
            let _ = served.world.handle.refuse(decision);
        }
    }
    (0..36).for_each(|_| served.pass(SECOND));
    assert!(has_ended(&mut full));
    assert_eq!(served.world.handle.stats().ping_timeouts, 2);
}

#[test]
fn a_handshake_has_until_handshake_timeout() {
    let mut served = Served::new(options());
    let mut silent = served.connect();
    let mut half = served.connect();
    half.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    served.turns(2);
    let mut answer = Vec::new();
    is_true_at(&mut served, 5 * SECOND, "an answer", |_| {
        answer.extend(received(&mut half));
        !answer.is_empty()
    });
    assert!(answer.starts_with(b"HTTP/1.1 408"));
    assert!(has_ended(&mut silent), "nothing came, and nothing is answered");
    // The answer has a second to be read.
    is_true_at(&mut served, SECOND, "the handshake is over", |served| {
        served.world.handle.stats().handshakes == 0
    });
    assert_eq!(served.world.handle.stats().connections_refused, 2);
}

#[test]
fn a_client_waits_for_its_admission_until_admission_timeout() {
    for (overdue, status) in [(Overdue::Refuse, "503"), (Overdue::Allow, "101")] {
        let options = Options {
            admission_timeout: 60 * SECOND,
            event_queue: 100,
            overdue,
            ping_interval: Duration::ZERO,
            ..options()
        };
        let mut served = Served::new(options);
        let mut client = served.connect();
        ask(&mut client, "/");
        served.turns(2);
        let mut answer = Vec::new();
        is_true_at(&mut served, 60 * SECOND, "an answer", |_| {
            answer.extend(received(&mut client));
            !answer.is_empty()
        });
        assert!(answer.starts_with(format!("HTTP/1.1 {status}").as_bytes()));
        assert_eq!(served.world.handle.stats().admissions_timed_out, 1);
    }
}

#[test]
fn a_message_waits_for_its_review_until_review_timeout() {
    let options = Options {
        review_timeout: 60 * SECOND,
        event_queue: 100,
        ping_interval: Duration::ZERO,
        ..options()
    };
    let mut served = Served::new(options);
    let mut client = served.join("/");
    // The second is said half the time later.
    client.write_all(&masked("first")).unwrap();
    served.turns(2);
    served.pass(30 * SECOND);
    client.write_all(&masked("second")).unwrap();
    served.turns(2);
    for count in 1..=2 {
        is_true_at(&mut served, 30 * SECOND, "refused", |served| {
            let stats = served.world.handle.stats();
            assert_eq!(stats.reviews_timed_out, stats.messages_refused);
            stats.messages_refused == count
        });
    }
}

#[test]
fn a_client_that_does_not_answer_the_close_is_cut_after_5_seconds() {
    let mut served = Served::new(Options { event_queue: 100, ..options() });
    let _client = served.join("/");
    let id = events(&served.world).into_iter().find_map(|event| match event {
        Event::Connected { client, .. } => Some(client),
        _ => None,
    });
    served.world.handle.disconnect(id.unwrap(), 4000, "enough").unwrap();
    served.turns(3);
    is_true_at(&mut served, 5 * SECOND, "it is cut", |served| connections(served) == 0);
}

#[test]
fn a_client_that_closes_and_does_not_read_is_cut_after_5_seconds() {
    let options = Options { outbox_age: 3600 * SECOND, ping_interval: Duration::ZERO, ..options() };
    let mut served = Served::new(options);
    let mut client = served.join("/");
    // More than the socket takes, then its close frame.
    for _ in 0..20 {
        served.world.handle.publish("lobby", Kind::Binary, &[0; 64 * KIB]).unwrap();
        served.turn();
    }
    client.write_all(CLOSE).unwrap();
    served.turns(4);
    is_true_at(&mut served, 5 * SECOND, "it is cut", |served| connections(served) == 0);
}

#[test]
fn what_a_client_sends_behind_its_close_is_read_for_a_second() {
    let mut served = Served::new(options());
    let mut client = served.join("/");
    client.write_all(&[CLOSE, &masked("too much")].concat()).unwrap();
    served.turns(4);
    assert!(has_ended(&mut client), "the server has nothing more to say");
    is_true_at(&mut served, SECOND, "it is cut", |served| connections(served) == 0);
    // One that leaves as the protocol wants it need not wait.
    let mut client = served.join("/");
    client.write_all(CLOSE).unwrap();
    served.turns(6);
    assert_eq!(connections(&served), 0);
}

#[test]
fn outboxes_of_many_clients_are_each_judged_at_their_own_time() {
    let mut served = Served::new(Options { ping_interval: Duration::ZERO, ..options() });
    let _clients: Vec<_> = (0..3)
        .map(|number| {
            let client = served.join(&format!("/rooms/{number}"));
            for _ in 0..10 {
                let room = number.to_string();
                served.world.handle.publish(&room, Kind::Binary, &[0; 64 * KIB]).unwrap();
            }
            served.turns(2);
            // Each begins to lag a second after the one before it.
            served.pass(SECOND);
            client
        })
        .collect();
    served.pass(SECOND);
    for count in 1..=3 {
        is_true_at(&mut served, SECOND, "judged", |served| {
            served.world.handle.stats().slow_consumers == count
        });
    }
}

#[test]
fn a_requested_stop_gives_clients_5_seconds() {
    let (world, _) = world(options(), usize::MAX);
    let before = Instant::now();
    world.handle.request_stop();
    let at = world.handle.shared.deadline.borrow().expect("it stops");
    assert!(at >= before + 5 * SECOND && at <= Instant::now() + 5 * SECOND);
    // A shorter time counts for all, and a longer one does not.
    world.handle.stop_by(before + SECOND);
    world.handle.stop_by(before + 20 * SECOND);
    assert_eq!(*world.handle.shared.deadline.borrow(), Some(before + SECOND));
}

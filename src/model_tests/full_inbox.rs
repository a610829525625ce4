//! A full inbox: the host's calls wait for `publish_timeout`, go on when there is space, end at a stop, and do
//! nothing if they fail.

use std::{
    rc::Rc,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::{random::Random, world::World};
use crate::{
    batch::Publication,
    error::{Error, Result},
    event::{ClientId, Event},
    fanout::form::Form,
    frame::Kind,
    handle::Handle,
    options::{Members, Options},
    position::Position,
    protocol::Protocol,
    publish_options::PublishOptions,
    transport::scripted::Scripted,
};

const TIMEOUT: Duration = Duration::from_millis(500);

/// A deadline that no test comes near, and what a call takes at most that does not wait for it.
pub(super) const LATE: Duration = Duration::from_secs(60);
pub(super) const AT_ONCE: Duration = Duration::from_secs(10);

type Call = fn(&Handle, ClientId) -> Result<()>;

/// All of the host's calls that wait for an inbox.
const CALLS: [(&str, Call); 15] = [
    ("publish", |host, _| host.publish("new", Kind::Text, b"publish").map(drop)),
    ("publish_batch", |host, _| {
        // More than is published at once, to three rooms: one wait for all of it.
        let to = |room| Publication { room, kind: Kind::Text, data: b"publish_batch" };
        let batch = [vec![to("a"); 300], vec![to("new"); 300], vec![to("newer"); 300]].concat();
        host.publish_batch(&batch).map_err(|failed| {
            assert!(failed.positions.is_empty());
            failed.error
        })?;
        Ok(())
    }),
    ("publish_with", |host, _| {
        let options = PublishOptions { key: Some("k"), ..PublishOptions::default() };
        host.publish_with("new", Kind::Text, b"publish_with", &options).map(drop)
    }),
    ("publish_to", |host, _| {
        let options = PublishOptions::default();
        let published = host.publish_to(&["new", "newer"], Kind::Text, b"publish_to", &options);
        published.map(drop).map_err(|failed| {
            assert!(failed.published.is_empty());
            failed.error
        })
    }),
    ("forget", |host, _| host.forget("a")),
    ("broadcast", |host, _| host.broadcast(Kind::Text, b"broadcast")),
    ("send", |host, client| host.send(client, Kind::Text, b"send")),
    ("join", |host, client| host.join(client, "new")),
    ("leave", |host, client| host.leave(client, "a")),
    ("set_echo", |host, client| host.set_echo(client, false)),
    ("set_name", |host, client| host.set_name(client, "named")),
    ("set_identity", |host, client| host.set_identity(client, "named")),
    ("send_to_identity", |host, client| {
        host.send_to_identity(&known(client), Kind::Text, b"to all").map(drop)
    }),
    ("join_identity", |host, client| host.join_identity(&known(client), "new").map(drop)),
    ("leave_identity", |host, client| host.leave_identity(&known(client), "a").map(drop)),
];

/// What a client is called from the start.
fn known(client: ClientId) -> String {
    format!("client {client}")
}

/// A world whose calls wait for so long, with a client in the room `a` of each shard.
fn world(workers: usize, publish_timeout: Duration) -> (World, Vec<ClientId>) {
    let options = Options { workers, publish_timeout, event_queue: 100, ..Options::default() };
    let mut world = World::with(options, Random::new(1));
    let connect =
        |index| world.connect_with(index, Scripted::new(usize::MAX), Form::Plain, true, "a");
    let clients: Vec<_> = (0..workers).map(connect).collect();
    for client in &clients {
        world.handle.set_identity(*client, &known(*client)).unwrap();
    }
    world.tick_once();
    (world, clients)
}

/// Fills the inbox of a client's shard, which does not tick. Returns how many commands it holds.
pub(super) fn fill(world: &World, client: ClientId) -> usize {
    let shard = &world.shards[client.shard()].0;
    let is_full = || shard.handle.inbox.is_full();
    let send = |_: &usize| world.handle.send(client, Kind::Text, b"").is_ok() && !is_full();
    (1..).find(|count| !send(count)).expect("it is full in the end")
}

/// Makes every call at once, calls `act` when `waiting` of them wait, and returns how each ended and what it took.
fn call_all(
    world: &mut World,
    client: ClientId,
    waiting: usize,
    act: impl FnOnce(&mut World),
) -> Vec<(&'static str, Result<()>, Duration)> {
    let handle = world.handle.clone();
    thread::scope(|scope| {
        let begin = |(name, call): (&'static str, Call)| {
            let handle = &handle;
            scope.spawn(move || {
                let begun = Instant::now();
                let outcome = call(handle, client);
                (name, outcome, begun.elapsed())
            })
        };
        let calls: Vec<_> = CALLS.into_iter().map(begin).collect();
        let count = |world: &World| {
            world.shards.iter().map(|(shard, _)| shard.handle.inbox.waiting()).sum::<usize>()
        };
        let begun = Instant::now();
        while count(world) < waiting {
            assert!(begun.elapsed() < AT_ONCE, "{} of {waiting} calls wait", count(world));
            thread::yield_now();
        }
        act(world);
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    })
}

/// The events that wait.
fn events(world: &World) -> Vec<Event> {
    let mut events = Vec::new();
    let _ = world.handle.shared.context.events.take(Duration::ZERO, &mut events);
    events
}

/// Tries until what is tested was in time. Scheduling is not ours: of several tries the best counts.
fn in_time(is_in_time: impl Fn() -> bool) {
    assert!((0..10).any(|_| is_in_time()), "never in time");
}

/// Checks that a call has waited for its time at least. Returns whether it was not much longer.
fn has_waited(name: &str, took: Duration) -> bool {
    assert!(took >= TIMEOUT, "{name} took {took:?}");
    took < TIMEOUT * 3 / 2
}

/// Checks that the calls on a full inbox have done nothing.
fn nothing_was_done(world: &mut World, clients: &[ClientId], sent: usize) {
    while world.shards.iter().any(|(shard, _)| shard.handle.inbox.is_full() || !shard.is_idle()) {
        world.tick_once();
    }
    (0..100).for_each(|_| world.tick_once());
    // Only the empty texts that have filled it.
    for client in clients {
        let received = world.peer(*client).script.received();
        assert!(received.chunks(2).all(|frame| frame == [0x81, 0]), "{received:?}");
    }
    let first = Rc::clone(&world.peer(clients[0]).client);
    assert_eq!((first.rooms(), first.identity()), (1, Some(known(clients[0]).into())));
    assert!(events(world).is_empty());
    // It speaks to the room that it was in, has its echo, and its offset is the first.
    let shard = Rc::clone(&world.shards[0].0);
    Protocol::Plain.message(&shard, &first, Kind::Text, b"hi").unwrap();
    (0..10).for_each(|_| world.tick_once());
    assert_eq!(world.peer(clients[0]).script.received(), b"\x81\x02hi");
    let told = events(world);
    assert!(
        matches!(&told[..], [Event::Message { room, position: Position { offset: 1, .. }, .. }] if &**room == "a"),
        "{told:?}"
    );
    for room in ["new", "newer"] {
        assert_eq!(world.handle.publish(room, Kind::Text, b"").unwrap().offset, 1);
    }
    assert_eq!(world.handle.stats().messages_delivered, sent as u64 + clients.len() as u64);
}

/// Fills the inboxes of all shards. Returns whether every call has waited as long as it should for them, having
/// done nothing.
fn all_calls_fail_in_time(workers: usize) -> bool {
    let (mut world, clients) = world(workers, TIMEOUT);
    let sent = clients.iter().map(|client| fill(&world, *client)).sum();
    assert_eq!(sent, workers * 16_384);
    let before = world.handle.stats();
    let mut is_in_time = true;
    for (name, outcome, took) in call_all(&mut world, clients[0], 0, |_| ()) {
        assert!(matches!(outcome, Err(Error::QueueFull)), "{name}: {outcome:?}");
        is_in_time &= has_waited(name, took);
    }
    assert_eq!(world.handle.stats(), before);
    nothing_was_done(&mut world, &clients, sent);
    is_in_time
}

#[test]
fn every_call_waits_publish_timeout_for_a_full_inbox_and_then_does_nothing() {
    in_time(|| all_calls_fail_in_time(1));
}

#[test]
fn a_call_waits_publish_timeout_once_though_several_inboxes_are_full() {
    in_time(|| all_calls_fail_in_time(2));
}

#[test]
fn with_a_publish_timeout_of_zero_every_call_fails_at_once() {
    in_time(|| {
        let (mut world, clients) = world(1, Duration::ZERO);
        let sent = fill(&world, clients[0]);
        let mut is_in_time = true;
        for (name, outcome, took) in call_all(&mut world, clients[0], 0, |_| ()) {
            assert!(matches!(outcome, Err(Error::QueueFull)), "{name}: {outcome:?}");
            is_in_time &= took < TIMEOUT;
        }
        nothing_was_done(&mut world, &clients, sent);
        is_in_time
    });
}

#[test]
fn a_call_waits_for_the_shards_that_it_concerns_alone() {
    let (mut world, clients) = world(2, Duration::ZERO);
    // All that is published goes to every shard; what is about a client goes to its own.
    fill(&world, clients[1]);
    for (name, outcome, _) in call_all(&mut world, clients[0], 0, |_| ()) {
        let concerns_all =
            ["publish", "publish_batch", "publish_with", "publish_to", "forget", "broadcast"];
        assert_eq!(outcome.is_err(), concerns_all.contains(&name), "{name}: {outcome:?}");
    }
    let stats = world.handle.stats();
    assert_eq!((stats.messages_published, stats.rooms), (0, 2), "it was joined to another");
}

#[test]
fn every_call_that_waits_goes_on_at_once_when_there_is_space() {
    let (mut world, clients) = world(2, LATE);
    fill(&world, clients[0]);
    let ended = call_all(&mut world, clients[0], CALLS.len(), |world| world.tick_shard(0));
    for (name, outcome, took) in ended {
        assert!(outcome.is_ok(), "{name}: {outcome:?}");
        assert!(took < AT_ONCE, "{name} took {took:?}");
    }
    let stats = world.handle.stats();
    assert_eq!(stats.messages_published, 1 + 900 + 1 + 2 + 1);
}

#[test]
fn a_stop_ends_every_call_that_waits() {
    let (mut world, clients) = world(2, LATE);
    fill(&world, clients[0]);
    let stop = |world: &mut World| world.handle.stop_by(Instant::now() + LATE);
    for (name, outcome, took) in call_all(&mut world, clients[0], CALLS.len(), stop) {
        assert!(matches!(outcome, Err(Error::Stopped)), "{name}: {outcome:?}");
        assert!(took < AT_ONCE, "{name} took {took:?}");
    }
    assert_eq!(world.handle.stats().messages_published, 0);
}

#[test]
fn a_batch_waits_publish_timeout_once_for_all_of_it_and_tells_how_much_was_published() {
    in_time(|| {
        let (mut world, clients) = world(1, TIMEOUT);
        fill(&world, clients[0]);
        let handle = world.handle.clone();
        let (failed, took) = thread::scope(|scope| {
            let publishing = scope.spawn(|| {
                // What is for the first room fills the inbox again.
                let long = vec![b'x'; 1024 * 1024];
                let to = |room, data| Publication { room, kind: Kind::Binary, data };
                let batch = [&[to("a", &long[..]); 16][..], &[to("new", b"x")]].concat();
                handle.publish_batch(&batch).unwrap_err()
            });
            let waiting = make_space_late(&mut world, 1);
            let failed = publishing.join().unwrap();
            (failed, waiting.elapsed())
        });
        assert!(matches!(failed.error, Error::QueueFull));
        assert_eq!((failed.positions.len(), world.handle.stats().messages_published), (16, 16));
        (0..500).for_each(|_| world.tick_once());
        assert_eq!(world.handle.publish("new", Kind::Text, b"").unwrap().offset, 1);
        took < TIMEOUT * 3 / 2
    });
}

/// Waits until so many calls wait for an inbox and three quarters of their time are over, and makes space in it.
/// Returns since when they have waited.
fn make_space_late(world: &mut World, waiting: usize) -> Instant {
    let shard = Rc::clone(&world.shards[0].0);
    while shard.handle.inbox.waiting() < waiting {
        thread::yield_now();
    }
    let begun = Instant::now();
    let _ = shard.handle.inbox.wait_for_space(begun + TIMEOUT * 3 / 4);
    world.tick_shard(0);
    begun
}

#[test]
fn a_call_that_waits_for_an_inbox_and_then_for_the_host_waits_publish_timeout_in_all() {
    in_time(|| {
        let (mut world, clients) = world(1, TIMEOUT);
        let client = clients[0];
        fill(&world, client);
        // More events than may wait while the host joins clients to rooms.
        let queue = &world.handle.shared.context.events;
        let room: Arc<str> = "a".into();
        while queue.wait_for_space(Instant::now()).is_ok() {
            queue.push(Event::Joined { client, identity: None, room: Arc::clone(&room) });
        }
        let make_space = |world: &mut World| _ = make_space_late(world, CALLS.len());
        let mut is_in_time = true;
        for (name, outcome, took) in call_all(&mut world, client, CALLS.len(), make_space) {
            if ["join_identity", "leave_identity"].contains(&name) && outcome.is_ok() {
                // Its identity has become another one before.
            } else if ["join", "leave", "join_identity", "leave_identity"].contains(&name) {
                assert!(matches!(outcome, Err(Error::QueueFull)), "{name}: {outcome:?}");
                is_in_time &= has_waited(name, took);
            } else {
                // Unless there was space too late, for what reason ever.
                is_in_time &= outcome.is_ok();
            }
        }
        (0..100).for_each(|_| world.tick_once());
        assert_eq!(world.peer(client).client.rooms(), 1, "it is where it was");
        is_in_time
    });
}

#[test]
fn while_members_are_kept_an_identity_is_set_when_the_host_has_taken_enough_events() {
    let options = Options {
        workers: 1,
        publish_timeout: Duration::ZERO,
        event_queue: 100,
        ..Options::default()
    };
    let mut world = World::with(Options { members: Members::Host, ..options }, Random::new(1));
    let client = world.connect_with(0, Scripted::new(usize::MAX), Form::Plain, true, "a");
    let queue = &world.handle.shared.context.events;
    while queue.wait_for_space(Instant::now()).is_ok() {
        queue.push(Event::Joined { client, identity: None, room: "a".into() });
    }
    let full = world.handle.set_identity(client, "ana");
    assert!(matches!(full, Err(Error::QueueFull)), "{full:?}");
    assert_eq!(world.handle.identity_clients("ana").unwrap(), []);
    events(&world);
    world.handle.set_identity(client, "ana").unwrap();
}

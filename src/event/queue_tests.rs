use std::thread;

use super::*;
use crate::{event::ClientId, frame::Kind, message::Message, position::Position};

const MIB: usize = 1 << 20;

/// A deadline that no test comes near, and what a wait takes at most that ends before it.
const LATE: Duration = Duration::from_secs(60);
const AT_ONCE: Duration = Duration::from_secs(10);

fn message(queue: &EventQueue, counters: &Counters) {
    let event = Event::Message {
        client: ClientId(1),
        identity: None,
        room: "lobby".into(),
        position: Position { epoch: 1, offset: 1 },
        message: Message::new(Kind::Text, b"hello").unwrap(),
    };
    queue.push_message(event, counters);
}

fn take(queue: &EventQueue, timeout: Duration) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    queue.take(timeout, &mut events).map(|()| events)
}

#[test]
fn messages_are_dropped_and_counted_when_full_and_disconnects_are_not() {
    let queue = EventQueue::new(2);
    let counters = Counters::default();
    for _ in 0..5 {
        message(&queue, &counters);
    }
    assert!(queue.is_full());
    queue.push(Event::Disconnected {
        client: ClientId(1),
        identity: None,
        code: 1000,
        reason: "".into(),
    });
    let events = take(&queue, Duration::ZERO).unwrap();
    assert!(matches!(
        events[..],
        [
            Event::Message { .. },
            Event::Message { .. },
            Event::EventsDropped { count: 3 },
            Event::Disconnected { .. }
        ]
    ));
    assert_eq!(counters.snapshot().events_dropped, 3);
}

#[test]
fn stopped_is_the_last_event() {
    let queue = EventQueue::new(2);
    queue.push(Event::Stopped);
    message(&queue, &Counters::default());
    assert!(matches!(take(&queue, Duration::ZERO).unwrap()[..], [Event::Stopped]));
    assert!(matches!(take(&queue, Duration::MAX), Err(Error::Stopped)));
}

#[test]
fn a_wait_for_events_ends_at_its_timeout() {
    let queue = EventQueue::new(2);
    assert!(matches!(take(&queue, Duration::from_millis(1)), Err(Error::TimedOut)));
    assert!(matches!(take(&EventQueue::new(0), Duration::ZERO), Err(Error::Unsupported(_))));
}

/// A message event whose offset is its number.
fn numbered(number: u64, message: &Message) -> Event {
    let (room, message) = ("lobby".into(), message.clone());
    Event::Message {
        client: ClientId(1),
        identity: None,
        room,
        position: Position { epoch: 1, offset: number },
        message,
    }
}

/// The numbers of message events.
fn numbers(events: &[Event]) -> Vec<u64> {
    let number = |event: &Event| match event {
        Event::Message { position, .. } => position.offset,
        other => panic!("{other:?}"),
    };
    events.iter().map(number).collect()
}

#[test]
fn a_million_events_are_taken_in_order_at_most_1024_at_once() {
    const COUNT: u64 = 1_000_000;
    let (queue, counters) = (EventQueue::new(1 << 24), Counters::default());
    let message = Message::new(Kind::Text, b"hello").unwrap();
    for number in 0..COUNT {
        assert!(queue.push_message(numbered(number, &message), &counters));
    }
    let mut next = 0;
    while next < COUNT {
        assert_eq!(queue.lock().bytes as u64, 5 * (COUNT - next));
        let taken = numbers(&take(&queue, Duration::ZERO).unwrap());
        assert_eq!(taken.len() as u64, (COUNT - next).min(1024));
        assert!(taken.iter().copied().eq(next..next + taken.len() as u64), "after {next}");
        next += taken.len() as u64;
    }
    assert!(matches!(take(&queue, Duration::ZERO), Err(Error::TimedOut)));
    assert_eq!(queue.lock().bytes, 0);
    assert!(queue.lock().events.capacity() <= 2 * 4096, "its memory is given back");
}

#[test]
fn of_several_takers_each_event_reaches_one_and_in_order() {
    const COUNT: u64 = 200_000;
    let (queue, counters) = (EventQueue::new(1 << 24), Counters::default());
    let message = Message::new(Kind::Text, b"hello").unwrap();
    thread::scope(|scope| {
        let takers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut all = Vec::new();
                    loop {
                        match take(&queue, LATE) {
                            Ok(mut taken) => {
                                assert!((1..=1024).contains(&taken.len()), "{}", taken.len());
                                taken.pop_if(|last| matches!(last, Event::Stopped));
                                all.extend(numbers(&taken));
                            }
                            Err(Error::Stopped) => return all,
                            Err(error) => panic!("{error}"),
                        }
                    }
                })
            })
            .collect();
        for number in 0..COUNT {
            queue.push_message(numbered(number, &message), &counters);
            if number % 700 == 0 {
                queue.wake();
            }
        }
        let stopped = Instant::now();
        queue.push(Event::Stopped);
        let mut all = Vec::new();
        for taker in takers {
            let taken = taker.join().unwrap();
            assert!(taken.is_sorted());
            all.extend(taken);
        }
        assert!(stopped.elapsed() < AT_ONCE, "all of them are woken");
        all.sort_unstable();
        assert!(all.into_iter().eq(0..COUNT));
    });
}

#[test]
fn messages_of_64_mib_wait_and_as_many_again_as_were_taken() {
    // A batch is half of it.
    let message = Message::new(Kind::Binary, &[0; 32 * 1024]).unwrap();
    let (queue, counters) = (EventQueue::new(1 << 20), Counters::default());
    let mut next = 0;
    let mut push = |count: u64| {
        (0..count).for_each(|_| {
            assert!(!queue.is_full());
            assert!(queue.push_message(numbered(next, &message), &counters), "{next}");
            next += 1;
        });
    };
    push(2048);
    for round in 1..=5 {
        assert!(queue.is_full(), "64 MiB wait");
        for _ in 0..3 {
            assert!(!queue.push_message(numbered(u64::MAX, &message), &counters));
        }
        assert_eq!(counters.snapshot().events_dropped, 3 * round);
        // A gap is told behind what waited when it arose.
        let mut taken = take(&queue, Duration::ZERO).unwrap();
        let gap = |event: &mut Event| matches!(event, Event::EventsDropped { count: 3 });
        let gaps = taken.extract_if(.., gap).count() as u64;
        let begin = numbers(&taken)[0];
        assert!(numbers(&taken).into_iter().eq(begin..begin + 1024 - gaps));
        push(1024 - gaps);
    }
}

#[test]
fn a_gap_is_told_where_it_is_though_not_all_is_taken_at_once() {
    let (queue, counters) = (EventQueue::new(2000), Counters::default());
    let short = Message::new(Kind::Text, b"").unwrap();
    for number in 0..2003 {
        queue.push_message(numbered(number, &short), &counters);
    }
    assert_eq!(numbers(&take(&queue, Duration::ZERO).unwrap()), (0..1024).collect::<Vec<_>>());
    assert!(queue.push_message(numbered(5000, &short), &counters));
    let rest = take(&queue, Duration::ZERO).unwrap();
    assert_eq!(numbers(&rest[..976]), (1024..2000).collect::<Vec<_>>());
    let [
        Event::EventsDropped { count: 3 },
        Event::Message { position: Position { offset: 5000, .. }, .. },
    ] = rest[976..]
    else {
        panic!("{:?}", &rest[976..])
    };
}

/// Has threads wait, calls `act` when all of them wait, and returns how each wait ended, which must be long before
/// `LATE`.
fn waits<T: Send>(
    queue: &EventQueue,
    threads: usize,
    wait: impl Fn(&EventQueue) -> T + Sync,
    act: impl FnOnce(),
) -> Vec<T> {
    thread::scope(|scope| {
        let waiting: Vec<_> = (0..threads).map(|_| scope.spawn(|| wait(queue))).collect();
        let count = || {
            let queue = queue.lock();
            queue.waiting + queue.waiting_for_space
        };
        while count() < threads {
            thread::yield_now();
        }
        let begun = Instant::now();
        act();
        let ended = waiting.into_iter().map(|waiting| waiting.join().unwrap()).collect();
        assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
        ended
    })
}

#[test]
fn a_waiting_host_is_woken_once_for_all_messages_of_a_tick() {
    let (queue, counters) = (EventQueue::new(10), Counters::default());
    let ended = waits(
        &queue,
        1,
        |queue| take(queue, LATE).unwrap().len(),
        || {
            message(&queue, &counters);
            // If it was woken by now it would not wait any more, and take one.
            (0..1000).for_each(|_| thread::yield_now());
            assert_eq!(queue.lock().waiting, 1);
            message(&queue, &counters);
            queue.wake();
        },
    );
    assert_eq!(ended, [2]);
}

#[test]
fn a_waiting_host_is_woken_by_what_must_not_be_lost() {
    let queue = EventQueue::new(10);
    let ended = waits(&queue, 1, |queue| take(queue, LATE).unwrap().len(), || joined(&queue));
    assert_eq!(ended, [1]);
}

#[test]
fn hosts_that_wait_get_one_event_each_and_all_are_told_of_the_stop() {
    let queue = EventQueue::new(10);
    let ended = waits(
        &queue,
        3,
        |queue| take(queue, LATE),
        || {
            queue.push(Event::Stopped);
        },
    );
    let taken = ended.iter().filter(|ended| matches!(ended, Ok(events) if events.len() == 1));
    assert_eq!(taken.count(), 1);
    let stopped = ended.iter().filter(|ended| matches!(ended, Err(Error::Stopped)));
    assert_eq!(stopped.count(), 2);
}

#[test]
fn a_wait_is_not_much_longer_than_its_timeout() {
    let timeout = Duration::from_millis(300);
    let queue = EventQueue::new(1);
    // Scheduling is not ours: of several tries the best counts.
    let is_in_time = |wait: &dyn Fn(&EventQueue) -> bool| {
        let is_in_time = || {
            let begun = Instant::now();
            assert!(wait(&queue));
            assert!(begun.elapsed() >= timeout, "{:?}", begun.elapsed());
            begun.elapsed() < timeout * 3 / 2
        };
        assert!((0..10).any(|_| is_in_time()));
    };
    is_in_time(&|queue| matches!(take(queue, timeout), Err(Error::TimedOut)));
    while queue.wait_for_space(Instant::now()).is_ok() {
        joined(&queue);
    }
    is_in_time(&|queue| {
        matches!(queue.wait_for_space(Instant::now() + timeout), Err(Error::QueueFull))
    });
}

fn joined(queue: &EventQueue) {
    queue.push(Event::Joined { client: ClientId(1), identity: None, room: "a".into() });
}

#[test]
fn calls_that_cause_events_wait_while_65536_more_wait_than_may() {
    let queue = EventQueue::new(10);
    for _ in 0..10 + 65_536 {
        assert!(queue.wait_for_space(Instant::now()).is_ok());
        joined(&queue);
    }
    let for_space = |queue: &EventQueue| queue.wait_for_space(Instant::now() + LATE);
    assert!(matches!(queue.wait_for_space(Instant::now()), Err(Error::QueueFull)));
    let ended = waits(&queue, 3, for_space, || drop(take(&queue, Duration::ZERO).unwrap()));
    assert!(ended.iter().all(Result::is_ok), "{ended:?}");
    while queue.wait_for_space(Instant::now()).is_ok() {
        joined(&queue);
    }
    let ended = waits(&queue, 3, for_space, || queue.close());
    assert!(ended.iter().all(|ended| matches!(ended, Err(Error::Stopped))), "{ended:?}");
    // A host that wants no events waits for none.
    assert!(EventQueue::new(0).wait_for_space(Instant::now()).is_ok());
}

#[test]
fn signals_take_half_of_the_queue_and_are_counted_beyond_it() {
    let counters = Counters::default();
    let signal = |queue: &EventQueue, len: usize| {
        let message = Message::new(Kind::Text, &vec![b'x'; len]).unwrap();
        let (client, identity, room) = (ClientId(1), None, "lobby".into());
        queue.push_signal(Event::Signal { client, identity, room, message }, &counters);
    };
    for (capacity, fit) in [(1, 1), (2, 1), (5, 3), (1000, 500)] {
        let queue = EventQueue::new(capacity);
        let before = counters.signals_dropped.get();
        (0..1000).for_each(|_| signal(&queue, 1));
        assert_eq!(counters.signals_dropped.get() - before, 1000 - fit);
        (0..1000).for_each(|_| message(&queue, &counters));
        let events = take(&queue, Duration::ZERO).unwrap();
        assert_eq!(
            events.iter().filter(|it| matches!(it, Event::Signal { .. })).count(),
            fit as usize
        );
        assert!(events.len() >= capacity, "and messages the rest");
    }
    let queue = EventQueue::new(1 << 20);
    (0..MAX_BYTES / MIB).for_each(|_| signal(&queue, MIB));
    let mut signals = 0;
    while let Ok(events) = take(&queue, Duration::ZERO) {
        signals += events.len();
    }
    assert_eq!(signals, MAX_BYTES / MIB / 2);
    let none = EventQueue::new(0);
    let before = counters.signals_dropped.get();
    signal(&none, 1);
    assert_eq!(counters.signals_dropped.get(), before, "a host without events misses none");
}

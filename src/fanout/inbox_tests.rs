use std::time::Duration;

use super::*;
use crate::{event::ClientId, frame::Kind, message::Message, published::Published};

fn send(size: usize) -> Command {
    Command::Send(ClientId::new(1, 0), Message::new(Kind::Binary, &vec![0; size]).unwrap())
}

fn delivery() -> Delivery {
    delivery_of(1)
}

fn delivery_of(size: usize) -> Delivery {
    let room = crate::fanout::command::RoomId(1);
    let message = Message::new(Kind::Binary, &vec![0; size]).unwrap();
    Delivery {
        room,
        number: 1,
        offset: 1,
        message: Published::of(message),
        exclude: None,
        answer: None,
        is_signal: false,
    }
}

fn take(inbox: &Inbox) -> usize {
    let mut commands = Vec::new();
    inbox.take(&mut Vec::new(), Some(&mut commands));
    commands.len()
}

/// A deadline that no test comes near.
fn late() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// Has threads wait for space, calls `act` when all of them wait, and returns how each wait ended, which must
/// be long before its deadline.
fn waits(inbox: &Inbox, threads: usize, act: impl FnOnce()) -> Vec<Result<()>> {
    std::thread::scope(|scope| {
        let waiting: Vec<_> =
            (0..threads).map(|_| scope.spawn(|| inbox.wait_for_space(late()))).collect();
        while inbox.waiting() < threads {
            std::thread::yield_now();
        }
        let begun = Instant::now();
        act();
        let ended = waiting.into_iter().map(|waiting| waiting.join().unwrap()).collect();
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        ended
    })
}

#[test]
fn publishers_wait_while_16384_commands_or_16_mib_of_them_wait() {
    for (size, count) in [(0, 16_384), (1, 16_384), (1024 * 1024, 16), (16 * 1024 * 1024, 1)] {
        let inbox = Inbox::default();
        // Twice: what is taken makes room for as much again.
        for _ in 0..2 {
            for _ in 0..count {
                assert!(!inbox.is_full() && inbox.wait_for_space(Instant::now()).is_ok());
                inbox.push(send(size)).unwrap();
            }
            assert!(inbox.is_full());
            let waited = inbox.wait_for_space(Instant::now() + Duration::from_millis(1));
            assert!(matches!(waited, Err(Error::QueueFull)));
            assert_eq!(take(&inbox), count);
        }
    }
}

#[test]
fn a_publisher_waits_until_its_deadline_and_not_much_longer() {
    let inbox = Inbox::default();
    inbox.push(send(16 * 1024 * 1024)).unwrap();
    let timeout = Duration::from_millis(300);
    // Scheduling is not ours: of several tries the best counts.
    let is_in_time = || {
        let begun = Instant::now();
        let waited = inbox.wait_for_space(begun + timeout);
        assert!(matches!(waited, Err(Error::QueueFull)));
        assert!(begun.elapsed() >= timeout, "{:?}", begun.elapsed());
        begun.elapsed() < timeout * 3 / 2
    };
    assert!((0..10).any(|_| is_in_time()));
}

#[test]
fn all_publishers_that_wait_resume_when_there_is_space() {
    for size in [0, 16 * 1024 * 1024] {
        let inbox = Inbox::default();
        while !inbox.is_full() {
            inbox.push(send(size)).unwrap();
        }
        // Express deliveries that are taken make no space for commands.
        inbox.deliver_express([delivery()].into_iter()).unwrap();
        inbox.take(&mut Vec::new(), None);
        assert!(inbox.is_full());
        let ended = waits(&inbox, 3, || assert!(take(&inbox) > 0));
        assert!(ended.iter().all(Result::is_ok), "{ended:?}");
        assert_eq!(inbox.waiting(), 0);
    }
}

#[test]
fn a_stop_ends_all_waits_for_space() {
    let inbox = Inbox::default();
    inbox.push(send(16 * 1024 * 1024)).unwrap();
    let ended = waits(&inbox, 3, || _ = inbox.push(Command::Stop).unwrap());
    // What they push then fails.
    assert!(ended.iter().all(Result::is_ok), "{ended:?}");
    assert!(inbox.push(send(0)).is_err());
    assert!(matches!(inbox.deliver([delivery()].into_iter()), Err(Error::Stopped)));
    assert!(matches!(inbox.deliver_express([delivery()].into_iter()), Err(Error::Stopped)));
}

/// Counts how often it is woken.
#[derive(Default)]
struct Wakes(std::sync::atomic::AtomicUsize);

impl std::task::Wake for Wakes {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_parked_shard_is_woken_once_whatever_comes() {
    let pushes: [&dyn Fn(&Inbox); 3] = [
        &|inbox| _ = inbox.push(send(1)).unwrap(),
        &|inbox| _ = inbox.deliver([delivery()].into_iter()).unwrap(),
        &|inbox| inbox.deliver_express([delivery()].into_iter()).unwrap(),
    ];
    for push in pushes {
        let (inbox, wakes) = (Inbox::default(), std::sync::Arc::<Wakes>::default());
        inbox.set_waker(std::sync::Arc::clone(&wakes).into());
        assert!(inbox.may_park());
        push(&inbox);
        push(&inbox);
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        assert!(!inbox.may_park(), "something waits");
    }
}

#[test]
fn clients_are_not_read_while_4096_express_deliveries_or_2_mib_of_them_wait() {
    for (size, count) in [(0, 4096), (1, 4096), (1024, 2048), (2 * 1024 * 1024, 1)] {
        let inbox = Inbox::default();
        for _ in 0..2 {
            for _ in 0..count {
                assert!(!inbox.is_express_full());
                inbox.deliver_express([delivery_of(size)].into_iter()).unwrap();
            }
            assert!(inbox.is_express_full() && !inbox.is_full());
            inbox.take(&mut Vec::new(), None);
            assert!(!inbox.is_express_full());
        }
    }
}

#[test]
fn nothing_follows_the_stop() {
    let inbox = Inbox::default();
    inbox.push(Command::Stop).unwrap();
    assert!(matches!(inbox.push(send(1)), Err(Command::Send(..))), "it comes back");
    assert_eq!(take(&inbox), 1);
}

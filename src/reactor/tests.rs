use std::{
    cell::Cell,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Instant,
};

use futures_util::FutureExt;
use tokio::task::JoinHandle;

use super::*;

/// A loop that never busy polls, one whose tries often find nothing, and one that never parks.
const BUSY_POLLS: [Duration; 3] =
    [Duration::ZERO, Duration::from_micros(5), Duration::from_secs(3600)];

/// Returns how often a test with another thread repeats. A loop that never parks gives up its core, if there is
/// only one, every few milliseconds.
fn repeats(busy_poll: Duration) -> usize {
    if busy_poll < Duration::from_secs(1) { 20_000 } else { 200 }
}

/// A loop, and its tasks.
struct Loop {
    reactor: Rc<Reactor>,
    tasks: LocalSet,
}

impl Loop {
    fn new() -> Self {
        Self::busy_polling(Duration::ZERO)
    }

    fn busy_polling(time: Duration) -> Self {
        Self { reactor: Reactor::new(time).unwrap(), tasks: LocalSet::new() }
    }

    /// Makes a watched socket, and returns it with its other end.
    fn pair(&self) -> (Rc<Stream>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let other = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (own, _) = listener.accept().unwrap();
        own.set_nonblocking(true).unwrap();
        (Rc::new(Stream::new(&self.reactor, own).unwrap()), other)
    }

    /// Runs until a condition holds, which is checked in each iteration.
    fn run_until(&mut self, mut holds: impl FnMut() -> bool) {
        let tick = || if holds() { Next::End(()) } else { Next::Park };
        self.reactor.run(&mut self.tasks, tick).unwrap();
    }

    /// Runs until a task is done, which did not panic.
    fn finish<T>(&mut self, task: JoinHandle<T>) -> T {
        self.run_until(|| task.is_finished());
        task.now_or_never().unwrap().unwrap()
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        self.reactor.clear();
    }
}

/// A handler that reads all that comes, `size` bytes at a time, and records it.
struct Recorder {
    stream: Rc<Stream>,
    size: usize,
    record: Rc<Record>,
}

/// What a recording handler has seen.
#[derive(Default)]
struct Record {
    calls: Cell<usize>,
    bytes: RefCell<Vec<u8>>,
    has_ended: Cell<bool>,
}

impl Record {
    fn len(&self) -> usize {
        self.bytes.borrow().len()
    }
}

impl Handler for Recorder {
    fn on_readable(self: Rc<Self>) {
        self.record.calls.set(self.record.calls.get() + 1);
        let mut buffer = vec![0; self.size];
        match self.stream.try_read(&mut buffer) {
            Ok(0) => self.record.has_ended.set(true),
            Ok(len) => {
                assert_ne!(buffer[0], b'!', "it panics on purpose");
                self.record.bytes.borrow_mut().extend(&buffer[..len]);
            }
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
        if self.stream.is_readable() && !self.record.has_ended.get() {
            self.stream.reschedule();
        }
    }

    fn on_writable(self: Rc<Self>) {}
}

/// Sets a recording handler that reads `size` bytes at a time.
fn record_reads(stream: &Rc<Stream>, size: usize) -> Rc<Record> {
    let (stream, record) = (Rc::clone(stream), Rc::<Record>::default());
    let recorder = Recorder { stream: Rc::clone(&stream), size, record: Rc::clone(&record) };
    stream.set_handler(Rc::new(recorder));
    record
}

#[test]
fn a_handler_sees_all_bytes_and_the_end_however_they_come() {
    for size in [4, 5, 100] {
        let mut own = Loop::new();
        let (stream, mut other) = own.pair();
        let record = record_reads(&stream, size);
        // The first call is not for an event.
        own.run_until(|| record.calls.get() > 0);
        // The end comes with the last bytes, in one event.
        other.write_all(b"0123456789").unwrap();
        other.shutdown(Shutdown::Write).unwrap();
        own.run_until(|| record.has_ended.get());
        assert_eq!(*record.bytes.borrow(), b"0123456789");
    }
}

#[test]
fn a_handler_with_more_to_read_is_called_once_in_an_iteration() {
    let mut own = Loop::new();
    let (stream, mut other) = own.pair();
    let record = record_reads(&stream, 1);
    let mut iterations = 0;
    own.run_until(|| {
        iterations += 1;
        let calls = record.calls.get();
        assert!(calls <= iterations, "{calls} calls in {iterations} iterations");
        // An event in each iteration, beside what is left.
        if iterations <= 100 {
            other.write_all(b"two").unwrap();
            stream.reschedule();
        }
        record.len() == 300
    });
}

#[test]
fn a_task_may_wait_for_a_socket_beside_handlers() {
    let mut own = Loop::new();
    let (called, mut to_called) = own.pair();
    let (waiting, mut to_waiting) = own.pair();
    let record = record_reads(&called, 4);
    let task = own.tasks.spawn_local(async move {
        let mut all: Vec<u8> = Vec::new();
        while all.len() < 5 {
            waiting.readable().await;
            let mut buffer = [0; 2];
            match waiting.try_read(&mut buffer) {
                Ok(len) => all.extend(&buffer[..len]),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
        all
    });
    let mut step = 0;
    own.run_until(|| {
        step += 1;
        match step {
            1 => to_waiting.write_all(b"abc").unwrap(),
            2 => to_called.write_all(b"x").unwrap(),
            3 => to_waiting.write_all(b"de").unwrap(),
            _ => {}
        }
        task.is_finished() && record.len() == 1
    });
    assert_eq!(own.finish(task), b"abcde");
}

/// A handler that counts its calls of `on_writable`.
#[derive(Default)]
struct Writer(Cell<usize>);

impl Handler for Writer {
    fn on_readable(self: Rc<Self>) {}

    fn on_writable(self: Rc<Self>) {
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn a_handler_is_told_when_a_full_socket_takes_more_and_not_otherwise() {
    let mut own = Loop::new();
    let (stream, mut other) = own.pair();
    let writer = Rc::<Writer>::default();
    stream.set_handler(Rc::clone(&writer) as Rc<dyn Handler>);
    stream.try_writable();
    let (mut written, mut seen, mut told) = (0, 0, 0);
    own.run_until(|| {
        if writer.0.get() == told {
            return false;
        }
        told += 1;
        assert_eq!(writer.0.get(), told, "once for each time that it was asked for");
        while let Ok(taken) = stream.try_write_with(|mut stream| stream.write(&[0; 1 << 16])) {
            written += taken;
        }
        stream.await_writable();
        // The other end reads only while the socket is full: nothing races.
        while seen < written {
            seen += other.read(&mut [0; 1 << 16]).unwrap();
        }
        told > 3
    });
}

#[test]
fn a_task_may_wait_until_a_socket_takes_more() {
    let mut own = Loop::new();
    let (stream, mut other) = own.pair();
    // With these buffers the kernel cannot take all of it.
    socket2::SockRef::from(stream.io()).set_send_buffer_size(64 << 10).unwrap();
    socket2::SockRef::from(&other).set_recv_buffer_size(64 << 10).unwrap();
    const LEN: usize = 8 << 20;
    let (full, is_full) = std::sync::mpsc::channel();
    let task = own.tasks.spawn_local(async move {
        let mut left = LEN;
        let mut waited = 0;
        while left > 0 {
            stream.writable().await;
            let bytes = vec![0; left.min(1 << 20)];
            match stream.try_write_with(|mut stream| stream.write(&bytes)) {
                Ok(taken) => left -= taken,
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    waited += 1;
                    let _ = full.send(());
                }
            }
        }
        assert!(waited > 0, "{LEN} bytes did not fill it");
    });
    let reader = thread::spawn(move || {
        // It reads when the socket is full, and not before.
        is_full.recv().unwrap();
        other.read_exact(&mut vec![0; LEN]).unwrap();
    });
    own.finish(task);
    reader.join().unwrap();
}

#[test]
fn a_handler_that_panics_is_removed_and_the_others_go_on() {
    let mut own = Loop::new();
    let (first, mut to_first) = own.pair();
    let (second, mut to_second) = own.pair();
    let of_first = record_reads(&first, 4);
    let of_second = record_reads(&second, 4);
    to_first.write_all(b"!").unwrap();
    own.run_until(|| Rc::strong_count(&of_first) == 1);
    to_first.write_all(b"!").unwrap();
    to_second.write_all(b"on").unwrap();
    own.run_until(|| of_second.len() == 2);
}

#[test]
fn no_notification_of_another_thread_is_lost() {
    BUSY_POLLS.into_iter().for_each(notifications_of_another_thread);
}

fn notifications_of_another_thread(busy_poll: Duration) {
    let count = repeats(busy_poll);
    let mut own = Loop::busy_polling(busy_poll);
    let (sent, seen) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let waker = own.reactor.waker();
    // The other thread waits for each to be seen, so that a lost one ends both.
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1..=count {
                sent.store(number, Ordering::Relaxed);
                waker.wake_by_ref();
                while seen.load(Ordering::Relaxed) < number {
                    thread::yield_now();
                }
            }
        });
        own.run_until(|| {
            let number = sent.load(Ordering::Relaxed);
            seen.store(number, Ordering::Relaxed);
            number == count
        });
    });
}

#[test]
fn no_task_that_another_thread_wakes_is_lost() {
    BUSY_POLLS.into_iter().for_each(wakes_of_another_thread);
}

fn wakes_of_another_thread(busy_poll: Duration) {
    let wakes = repeats(busy_poll);
    let mut own = Loop::busy_polling(busy_poll);
    let (to_task, mut from_thread) = tokio::sync::mpsc::channel(1);
    let (to_thread, mut from_task) = tokio::sync::mpsc::channel(1);
    let task = own.tasks.spawn_local(async move {
        while let Some(number) = from_thread.recv().await {
            to_thread.send(number).await.unwrap();
        }
    });
    let thread = thread::spawn(move || {
        for number in 0..wakes {
            to_task.blocking_send(number).unwrap();
            assert_eq!(from_task.blocking_recv(), Some(number));
        }
    });
    own.finish(task);
    thread.join().unwrap();
}

#[test]
fn no_event_is_lost_between_polling_and_parking() {
    BUSY_POLLS.into_iter().for_each(echoes_of_another_thread);
}

fn echoes_of_another_thread(busy_poll: Duration) {
    let bytes = repeats(busy_poll);
    let mut own = Loop::busy_polling(busy_poll);
    let (stream, mut other) = own.pair();
    let record = record_reads(&stream, 1);
    // The other thread waits for each byte to come back, so that a lost event ends both.
    let thread = thread::spawn(move || {
        for _ in 0..bytes {
            other.write_all(b"x").unwrap();
            other.read_exact(&mut [0]).unwrap();
        }
    });
    let mut answered = 0;
    own.run_until(|| {
        for _ in answered..record.len() {
            stream.try_write_with(|mut stream| stream.write(b"x")).unwrap();
        }
        answered = record.len();
        answered == bytes
    });
    thread.join().unwrap();
}

#[test]
fn a_future_that_is_pending_at_once_is_resumed_as_a_task() {
    let mut own = Loop::new();
    let (stream, mut other) = own.pair();
    let (to_it, mut from_test) = tokio::sync::mpsc::channel(1);
    let steps = Rc::<RefCell<Vec<u8>>>::default();
    let inner = Rc::clone(&steps);
    let entered = own.tasks.enter();
    Reactor::run_now(async move {
        inner.borrow_mut().push(b'a');
        let received = from_test.recv().await.unwrap();
        inner.borrow_mut().push(received);
        let mut buffer = [0];
        while stream.try_read(&mut buffer).is_err() {
            stream.readable().await;
        }
        inner.borrow_mut().push(buffer[0]);
    });
    drop(entered);
    assert_eq!(*steps.borrow(), b"a");
    let mut told = 0;
    own.run_until(|| {
        let len = steps.borrow().len();
        if std::mem::replace(&mut told, len) < len {
            match len {
                1 => to_it.try_send(b'b').unwrap(),
                2 => other.write_all(b"c").unwrap(),
                _ => {}
            }
        }
        len == 3
    });
    assert_eq!(*steps.borrow(), b"abc");
}

#[test]
fn a_future_that_panics_at_once_is_dropped() {
    let own = Loop::new();
    let kept = Rc::new(());
    let given = Rc::clone(&kept);
    let _entered = own.tasks.enter();
    Reactor::run_now(async move {
        assert_eq!(Rc::strong_count(&given), 1, "it panics on purpose");
    });
    assert_eq!(Rc::strong_count(&kept), 1);
}

#[test]
fn a_task_that_yields_is_resumed_after_a_poll() {
    let mut own = Loop::new();
    let (stream, mut other) = own.pair();
    let record = record_reads(&stream, 4);
    other.write_all(b"x").unwrap();
    let inner = Rc::clone(&own.reactor);
    let task = own.tasks.spawn_local(async move {
        while record.len() == 0 {
            inner.yield_now().await;
        }
    });
    own.finish(task);
}

#[test]
fn the_timer_fires_at_its_time_and_may_be_set_again() {
    let mut own = Loop::new();
    let timer = Timer::new(&own.reactor).unwrap();
    let task = own.tasks.spawn_local(async move {
        for _ in 0..3 {
            let at = Instant::now() + Duration::from_millis(5);
            while Instant::now() < at {
                timer.wait(at).await.unwrap();
            }
        }
    });
    own.finish(task);
}

#[test]
fn a_dropped_source_is_deregistered() {
    let own = Loop::new();
    let (stream, _other) = own.pair();
    let record = record_reads(&stream, 4);
    // The handler owns the other reference.
    drop(stream);
    assert_eq!(own.reactor.watched.borrow().len(), 1);
    own.reactor.clear();
    assert_eq!(own.reactor.watched.borrow().len(), 0);
    assert_eq!(Rc::strong_count(&record), 1);
}

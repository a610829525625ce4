//! Starts and stops a server.
//!
//! Invariant: a server owns its threads, and has ended when they have.

use std::{
    io,
    net::TcpListener,
    ops::Deref,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::{sync::watch, task::LocalSet};

use crate::{
    address::ListenAddr,
    bind::bind,
    connection,
    context::Context,
    end::{End, panic_text},
    error::{Error, Result},
    event::Event,
    fanout::shard_handle::ShardHandle,
    handle::{EventHandler, Handle, Shared},
    handshake, listener,
    log::Log,
    options::Options,
    origin::Pattern,
    reactor::{Reactor, Timer},
    rooms::Rooms,
    shard::Shard,
    startup::Startup,
    sys::{self, StandardStreams},
};

/// The stack of a shard's thread, in bytes. Given for each thread: std would read an environment variable otherwise.
const SHARD_STACK: usize = 2 * 1024 * 1024;

/// The stack of the thread that calls the event handler, in bytes: as large as that of a program's first thread
/// usually is, since it is the host's code that runs there.
const HANDLER_STACK: usize = 8 * 1024 * 1024;

/// What a server is started with: a configuration that has been checked.
pub(crate) struct Parts {
    pub(crate) listen: Vec<ListenAddr>,
    pub(crate) origins: Vec<Pattern>,
    pub(crate) options: Options,
    pub(crate) handler: Option<EventHandler>,
}

/// A running server. It owns its threads; dropping it stops it at once.
///
/// All calls of [`Handle`] can be made on it, from any thread.
#[derive(Debug)]
pub struct Server {
    handle: Handle,
    threads: Mutex<Vec<JoinHandle<()>>>,
    log: Log,
}

impl Deref for Server {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl Server {
    pub(crate) fn start(parts: Parts) -> Result<Self> {
        let Parts { listen, origins, options, handler } = parts;
        // Until all threads have made their descriptors.
        let _standard_streams = StandardStreams::occupy();
        let listeners = bind(&listen, &options)?;
        let addrs = listeners.iter().map(TcpListener::local_addr).collect::<Result<_, _>>();
        let addrs = addrs.map_err(|source| Error::Resources { what: "an address", source })?;
        let shards: Arc<[_]> =
            (0..options.workers).map(|_| Arc::new(ShardHandle::default())).collect();
        let context = Context::new(options, origins);
        let shared = Arc::new(Shared {
            rooms: Rooms::new(Arc::clone(&context), Arc::clone(&shards), None),
            context,
            shards,
            addrs,
            has_handler: handler.is_some(),
            deadline: watch::Sender::new(None),
            end: End::default(),
        });
        // Stops the threads that were started if one cannot be.
        let server = Self {
            handle: Handle { shared },
            threads: Mutex::default(),
            log: Log::of_this_thread(),
        };
        server.spawn_shards(listeners)?;
        if let Some(handler) = handler {
            server.spawn_dispatcher(handler)?;
        }
        let workers = server.handle.shared.shards.len();
        tracing::info!(addrs = ?server.local_addrs(), workers, "listening");
        Ok(server)
    }

    /// Returns a handle that can be cloned, kept and moved; it does not keep the server running.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Stops the server: no new connections, what was published is delivered, every client is
    /// closed with code 1001. Waits for the clients' answers up to `deadline`, and aborts the
    /// connections of those that are left. When this returns the server has no thread and no socket any
    /// more, the ports are free, and no handler runs; so it waits for a handler that does.
    ///
    /// The streams of clients that receive events ([`Form::Events`](crate::Form::Events)) end one after the other, a
    /// millisecond for each, over at most half of `deadline`: these clients come back by themselves, and not all at once.
    ///
    /// May be called any number of times, from any number of threads: each call returns when the
    /// server has ended, and a shorter deadline counts for all.
    ///
    /// # Errors
    /// [`Error::TimedOut`], once, if clients had to be aborted; [`Error::Failed`], with the reason, if a part of the
    /// server could not go on. The server has stopped all the same.
    /// [`Error::InHandler`] inside the event handler: use [`Handle::request_stop`] there.
    pub fn stop(&self, deadline: Duration) -> Result<()> {
        if self.handle.is_in_handler() {
            return Err(Error::InHandler);
        }
        let now = Instant::now();
        // A time that the clock cannot represent is replaced by one that never comes.
        let deadline = now.checked_add(deadline).unwrap_or(now + Duration::from_secs(1 << 32));
        self.handle.stop_by(deadline);
        self.join(|_| true);
        self.handle.shared.end.take_outcome()
    }

    /// Waits until the wanted threads have ended. A second caller waits for the first one, which holds the lock.
    fn join(&self, wanted: impl Fn(&JoinHandle<()>) -> bool) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..).filter(|thread| wanted(thread)) {
            if thread.join().is_err() {
                self.log.within(|| tracing::error!("a thread of the server panicked"));
            }
        }
    }

    fn own(&self, thread: JoinHandle<()>) {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
    }

    fn spawn(
        &self,
        name: String,
        stack: usize,
        body: impl FnOnce() + Send + 'static,
    ) -> Result<JoinHandle<()>> {
        let log = self.log.clone();
        let body = move || log.within(body);
        let thread = thread::Builder::new().name(name).stack_size(stack);
        // A thread inherits the signal mask of the thread that spawns it.
        let thread = sys::with_signals_blocked(|| thread.spawn(body));
        thread.map_err(|source| Error::Resources { what: "a thread", source })
    }

    fn spawn_shards(&self, listeners: Vec<TcpListener>) -> Result<()> {
        let shared = &self.handle.shared;
        let running = Arc::new(AtomicUsize::new(shared.shards.len()));
        let startup = Arc::new(Startup::default());
        let mut listeners = Some(listeners);
        for index in 0..shared.shards.len() {
            let shared = Arc::clone(shared);
            let running = Arc::clone(&running);
            let guard = startup.guard();
            // The first shard has the listeners.
            let listeners = listeners.take().unwrap_or_default();
            let thread = self.spawn(format!("libchat-{index}"), SHARD_STACK, move || {
                match event_loop(shared.context.options.busy_poll) {
                    Ok((reactor, timer)) => {
                        drop(guard);
                        let run = || run_shard(index, &reactor, timer, &shared, listeners);
                        // Only a log line can panic there, and the rest must know of the end all the same.
                        _ = catch_unwind(AssertUnwindSafe(run));
                    }
                    Err(source) => {
                        let what = "an event loop";
                        guard.fail(Error::Resources { what, source });
                    }
                }
                if running.fetch_sub(1, Ordering::AcqRel) == 1 {
                    shared.end.note_over(shared.context.counters.connections_accepted.get());
                    if let Some(members) = shared.rooms.members() {
                        members.end();
                    }
                    shared.context.events.push(Event::Stopped);
                }
            })?;
            self.own(thread);
        }
        startup.wait()
    }

    fn spawn_dispatcher(&self, handler: EventHandler) -> Result<()> {
        let handle = self.handle();
        let thread = self.spawn("libchat-events".to_owned(), HANDLER_STACK, move || {
            handle.note_dispatcher();
            let mut events = Vec::new();
            while handle.shared.context.events.take(Duration::MAX, &mut events).is_ok() {
                let call = AssertUnwindSafe(|| handler(&handle, &events));
                if catch_unwind(call).is_err() {
                    tracing::error!(events = events.len(), "the event handler panicked");
                }
                events.clear();
            }
        })?;
        self.own(thread);
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.handle.stop_by(Instant::now());
        if self.handle.is_in_handler() {
            // The thread that this runs on ends after the handler has returned.
            let current = thread::current().id();
            self.join(|thread| thread.thread().id() != current);
        } else {
            self.join(|_| true);
        }
    }
}

fn event_loop(busy_poll: Duration) -> io::Result<(Rc<Reactor>, Timer)> {
    let reactor = Reactor::new(busy_poll)?;
    let timer = Timer::new(&reactor)?;
    Ok((reactor, timer))
}

/// Runs a shard on this thread until the server stops. Its sockets are closed when this returns.
fn run_shard(
    index: usize,
    reactor: &Rc<Reactor>,
    timer: Timer,
    shared: &Arc<Shared>,
    own: Vec<TcpListener>,
) {
    let mut tasks = LocalSet::new();
    // Handlers of sockets spawn tasks too, outside of the tasks' own polls.
    let entered = tasks.enter();
    let handle = Arc::clone(&shared.shards[index]);
    let (context, rooms) = (Arc::clone(&shared.context), Arc::clone(&shared.rooms));
    let shard = Shard::new(index, context, handle, rooms, Rc::clone(reactor));
    for listener in own {
        let shards = Arc::clone(&shared.shards);
        shard.spawn_vital(listener::run(listener, Rc::clone(&shard), shards));
    }
    let accept = move |shard: &Rc<Shard>, accepted| {
        let handshake = handshake::run(Rc::clone(shard), accepted);
        Reactor::run_now(async move {
            if let Some(upgraded) = handshake.await {
                connection::start(upgraded);
            }
        });
    };
    let deadline = shared.deadline.subscribe();
    let run = AssertUnwindSafe(|| shard.run(&mut tasks, deadline, timer, accept));
    let ended = catch_unwind(run);
    // A shard that failed has connections left: their sockets are closed here, before the server counts as
    // stopped.
    drop(tasks);
    reactor.clear();
    drop(entered);
    let why = match ended {
        Ok(Ok(Some(had_to_abort))) => {
            if had_to_abort {
                shared.end.note_aborted();
            }
            return;
        }
        Ok(Ok(None)) => shard.take_failure(),
        Ok(Err(error)) => format!("its event loop failed: {error}"),
        Err(panic) => format!("it panicked: {}", panic_text(&*panic)),
    };
    let why = format!("thread libchat-{index}: {why}");
    shared.end.note_failed(&why);
    shared.end.note_aborted();
    // Its clients are gone, and no thread takes its inbox any more.
    Handle { shared: Arc::clone(shared) }.stop_by(Instant::now());
    // The inbox is closed. Its commands are dropped here: the sockets of accepted connections among them would stay
    // open for as long as a handle exists.
    shared.shards[index].inbox.take(&mut Vec::new(), Some(&mut Vec::new()));
    // Last: a log subscriber may panic, as what prints to a stream that is gone does.
    tracing::error!(%why, "a shard cannot go on: the server stops");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Config, fanout::command::Command, frame::Kind};

    const PATIENCE: Duration = Duration::from_secs(60);

    fn server() -> Server {
        Config::new().listen("127.0.0.1:0").workers(2).event_queue(10).start().unwrap()
    }

    #[test]
    fn a_shard_that_panics_ends_the_server_and_whoever_waits_is_told() {
        let server = server();
        assert!(matches!(server.wait(Duration::ZERO), Err(Error::TimedOut)));
        thread::scope(|scope| {
            let waiting = scope.spawn(|| server.wait(PATIENCE));
            server.shared.shards[1].inbox.push(Command::Panic).unwrap();
            let told = waiting.join().unwrap().unwrap_err();
            assert!(
                matches!(&told, Error::Failed { why } if &**why == "thread libchat-1: it panicked: a test wants it")
            );
            assert!(told.to_string().contains("it panicked: a test wants it; start another"));
        });
        assert!(matches!(server.next_events(PATIENCE).unwrap()[..], [Event::Stopped]));
        assert!(matches!(server.broadcast(Kind::Text, b"x"), Err(Error::Stopped)));
        // The port is free, and it stays told.
        TcpListener::bind(server.local_addr()).unwrap();
        for _ in 0..2 {
            assert!(matches!(server.wait(PATIENCE), Err(Error::Failed { .. })));
            assert!(matches!(server.stop(PATIENCE), Err(Error::Failed { .. })));
        }
    }

    /// A subscriber of a host whose own output fails.
    struct Panicking;

    impl tracing::Subscriber for Panicking {
        fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
            *metadata.level() == tracing::Level::ERROR
        }

        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }

        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

        fn event(&self, _: &tracing::Event<'_>) {
            panic!("it cannot write")
        }

        fn enter(&self, _: &tracing::span::Id) {}

        fn exit(&self, _: &tracing::span::Id) {}
    }

    #[test]
    fn a_server_whose_last_log_line_panics_ends_too_and_whoever_waits_is_told() {
        let server = tracing::subscriber::with_default(Panicking, server);
        server.shared.shards[1].inbox.push(Command::Panic).unwrap();
        assert!(matches!(server.wait(PATIENCE), Err(Error::Failed { .. })));
        assert!(matches!(server.next_events(PATIENCE).unwrap()[..], [Event::Stopped]));
        TcpListener::bind(server.local_addr()).unwrap();
        assert!(matches!(server.stop(PATIENCE), Err(Error::Failed { .. })));
    }

    #[test]
    fn a_server_that_was_stopped_has_ended_without_an_error() {
        let server = server();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| server.wait(Duration::MAX));
            server.request_stop();
            assert!(waiting.join().unwrap().is_ok());
        });
        assert!(server.stop(PATIENCE).is_ok());
        assert!(server.wait(Duration::ZERO).is_ok());
    }

    #[test]
    fn a_shard_that_panics_leaves_nobody_in_a_room() {
        let mut config = Config::new();
        config.listen("127.0.0.1:0").workers(2).event_queue(1000).occupancy(true);
        let server = config.members(crate::Members::Host).start().unwrap();
        let mut clients = Vec::new();
        for _ in 0..8 {
            let mut client = std::net::TcpStream::connect(server.local_addr()).unwrap();
            let request = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
            io::Write::write_all(&mut client, request.as_bytes()).unwrap();
            io::Read::read_exact(&mut client, &mut [0; 12]).unwrap();
            clients.push(client);
        }
        assert_eq!(server.member_count("lobby").unwrap(), 8);
        server.shared.shards[1].inbox.push(Command::Panic).unwrap();
        assert!(matches!(server.wait(PATIENCE), Err(Error::Failed { .. })));
        let mut events = Vec::new();
        while let Ok(more) = server.next_events(PATIENCE) {
            events.extend(more);
        }
        let count = |is: fn(&Event) -> bool| events.iter().filter(|event| is(event)).count();
        assert_eq!(count(|event| matches!(event, Event::MemberEntered { .. })), 8);
        assert_eq!(count(|event| matches!(event, Event::MemberLeft { .. })), 8);
        assert_eq!(count(|event| matches!(event, Event::RoomOccupied { .. })), 1);
        assert_eq!(count(|event| matches!(event, Event::RoomVacated { .. })), 1);
        assert!(matches!(events.last(), Some(Event::Stopped)));
        assert!(matches!(server.members("lobby"), Err(Error::Stopped)));
    }

    #[test]
    fn a_task_that_a_shard_needs_ends_the_shard_if_it_panics() {
        let reactor = Reactor::new(Duration::ZERO).unwrap();
        let context = Context::new(Options { workers: 1, ..Options::default() }, Vec::new());
        let shards: Arc<[_]> = Arc::new([Arc::<ShardHandle>::default()]);
        let rooms = Rooms::new(Arc::clone(&context), Arc::clone(&shards), None);
        let timer = Timer::new(&reactor).unwrap();
        let shard = Shard::new(0, context, Arc::clone(&shards[0]), rooms, Rc::clone(&reactor));
        let mut tasks = LocalSet::new();
        let entered = tasks.enter();
        shard.spawn_vital(async { panic!("a test wants it") });
        let deadline = watch::Sender::new(None);
        let ended = shard.run(&mut tasks, deadline.subscribe(), timer, |_, _| ());
        assert!(matches!(ended, Ok(None)));
        assert_eq!(shard.take_failure(), "a task that it needs panicked: a test wants it");
        drop(entered);
    }
}

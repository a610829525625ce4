//! Plays a case with real sockets and a real server, and records what happened.

mod case;
mod chance;
mod client;
mod host;
mod payload;
mod told;

use std::{
    net::SocketAddr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use chat::{ClientId, Handle, Server};

pub(crate) use self::{case::Case, chance::Chance};
use self::{
    case::{END, FINALE, KEEPER, Leaving, PAST, Progress, ROOMS},
    client::Remote,
    host::{Host, owner},
    told::Record,
};
use crate::promise::{Client, Deed, World};

/// How long anything may take before it is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// What all who take part share.
pub(crate) struct Stage<'a> {
    case: &'a Case,
    server: &'a Handle,
    record: Mutex<Record>,
    /// How many deeds the host's threads have done.
    done: AtomicUsize,
    is_finale: AtomicBool,
    /// How much each client has said, and whether it says nothing more.
    said: Vec<(AtomicUsize, AtomicBool)>,
}

impl Stage<'_> {
    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says who comes from an address.
    fn expect(&self, addr: SocketAddr, client: usize) {
        self.record().expected.insert(addr, client);
    }

    /// The clients that the host knows to be connected.
    fn connected(&self) -> Vec<(usize, ClientId)> {
        let mut connected: Vec<_> = self.record().ids.iter().map(|(one, id)| (*one, *id)).collect();
        connected.sort_unstable();
        connected
    }

    fn note_deed(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    fn progress(&self) -> Progress {
        if self.is_finale.load(Ordering::Acquire) {
            return FINALE;
        }
        self.done.load(Ordering::Relaxed) * END / (self.case.threads * self.case.deeds)
    }

    fn note_said(&self, client: usize, count: usize, is_quiet: bool) {
        let (said, quiet) = &self.said[client];
        said.store(count, Ordering::Relaxed);
        quiet.store(is_quiet, Ordering::Release);
    }

    /// Whether all is heard that clients have said, and those have left that leave.
    fn is_all_heard(&self) -> bool {
        let record = self.record();
        self.said.iter().enumerate().all(|(client, (said, is_quiet))| {
            let told = &record.clients[client];
            let leaves = match self.case.ways[client].leaves {
                Leaving::Never => false,
                Leaving::Closes(when, _) | Leaving::Vanishes(when) => when < FINALE,
            };
            let is_quiet = is_quiet.load(Ordering::Acquire);
            let is_heard = is_quiet && told.heard.len() == said.load(Ordering::Relaxed);
            told.left.is_some() || (is_heard && !leaves)
        })
    }
}

/// Stops the server at its end, which may be a panic, so that all who wait for something go on.
struct Stops<'a>(&'a Server);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.request_stop();
    }
}

/// Plays a case.
pub(crate) fn play(case: &Case, chance: &mut Chance) -> World {
    let server = case.server();
    let stage = Stage {
        case,
        server: &server,
        record: Mutex::new(Record::new(case.ways.len())),
        done: AtomicUsize::new(0),
        is_finale: AtomicBool::new(false),
        said: case.ways.iter().map(|_| <(AtomicUsize, AtomicBool)>::default()).collect(),
    };
    let mut hosts: Vec<_> =
        (0..case.threads).map(|number| Host::new(&stage, number, chance.other())).collect();
    let past = if case.has_history { PAST } else { 0 };
    for number in 0..past * ROOMS {
        hosts[0].publish_to(number % ROOMS);
    }
    let mut remotes: Vec<_> =
        (0..case.ways.len()).map(|number| Remote::new(&stage, number, chance.other())).collect();
    let (deeds, remotes) = thread::scope(|scope| {
        let _stops = Stops(&server);
        let listening = scope.spawn(|| told::listen(&stage));
        let first = remotes.iter_mut().filter(|remote| case.ways[remote.number].comes == 0);
        let first = first.map(Remote::connect).count();
        wait("the first are connected", || stage.connected().len() == first);
        hosts[owner(case, KEEPER)].meet();
        for room in 0..ROOMS {
            hosts[owner(case, KEEPER)].join_to(KEEPER, room);
        }
        let clients = scope.spawn(|| serve(remotes, &stage));
        let hosts: Vec<_> = hosts
            .into_iter()
            .map(|mut host| {
                scope.spawn(move || {
                    host.act();
                    host
                })
            })
            .collect();
        let hosts = hosts.into_iter().map(|host| host.join().expect("deeds"));
        let mut hosts: Vec<_> = hosts.collect();
        let is_broken = || clients.is_finished() || listening.is_finished();
        wait("all is heard", || stage.is_all_heard() || is_broken());
        assert!(!listening.is_finished(), "the server has ended of itself");
        stage.is_finale.store(true, Ordering::Release);
        for host in &mut hosts {
            host.say_last_words();
        }
        server.stop(PATIENCE).expect("nobody has to be cut");
        let deeds: Vec<_> = hosts.into_iter().map(|host| host.deeds).collect();
        (deeds, clients.join().expect("clients"))
    });
    let stats = server.stats();
    let record = stage.record();
    assert_eq!(stats.events_dropped, 0);
    if case.drops {
        let told: u64 = record.clients.iter().map(|told| told.dropped).sum();
        assert_eq!((told, stats.slow_consumers), (stats.messages_dropped, 0), "told and counted");
    }
    world(case, &record, past, deeds, remotes)
}

fn wait(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Lets all clients do what they do, until they have ended.
fn serve<'a>(mut remotes: Vec<Remote<'a>>, stage: &Stage<'_>) -> Vec<Remote<'a>> {
    let deadline = Instant::now() + 3 * PATIENCE;
    while remotes.iter().any(|remote| !remote.is_over) {
        assert!(Instant::now() < deadline, "a client has not ended");
        let progress = stage.progress();
        let mut is_busy = false;
        for remote in &mut remotes {
            is_busy |= remote.step(progress);
        }
        if !is_busy {
            thread::sleep(Duration::from_micros(200));
        }
    }
    remotes
}

fn world(
    case: &Case,
    record: &Record,
    past: usize,
    threads: Vec<Vec<Deed>>,
    remotes: Vec<Remote<'_>>,
) -> World {
    let clients = remotes.into_iter().map(|remote| {
        let (way, told) = (&case.ways[remote.number], record.clients[remote.number].clone());
        Client {
            owner: owner(case, remote.number),
            room: way.room,
            history: way.history,
            echo: way.echo,
            is_first: way.comes == 0,
            said: remote.said,
            own_close: remote.own_close,
            has_vanished: remote.has_vanished,
            may_be_cut: remote.may_be_cut(),
            closed: remote.closed,
            received: remote.received,
            heard: told.heard,
            moves: told.moves,
            dropped: told.dropped,
            left: told.left,
        }
    });
    let clients = clients.collect();
    World { rooms: ROOMS, past: past as u64, drops: case.drops, threads, clients }
}

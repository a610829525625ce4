//! All rooms of a server, by name: looked up, created, and forgotten when they are empty.
//!
//! Lock order: directory, room, the broadcast room, a shard's roster, inbox or event queue. The keys of publications
//! (`keys.rs`), what is pending at a broker (`pending.rs`), and a broker's own locks come last. The table of members
//! (`members`) is locked without any of the first four.

mod brokered;
pub(crate) mod client;
mod directory;
mod eviction;
mod forgotten;
mod held;
mod host_history;
mod load;
mod members;
mod memberships;
mod memory;
mod outcome;
mod part;
mod pending;
mod profile;
mod publishing;
mod reach;
mod remote;
pub(crate) mod room;
pub(crate) mod sender;
pub(crate) mod signals;
mod space;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use once_cell::unsync::OnceCell;
use tokio::sync::Notify;

#[cfg(test)]
pub(crate) use self::brokered::AwaitedAppend;
pub(crate) use self::brokered::CHECK_INTERVAL;
pub(crate) use self::publishing::{HostPublished, Particulars, Publishing};
use self::{
    directory::Directory,
    pending::Linked,
    reach::Reach,
    room::{ROOM_OVERHEAD, Room},
};
use crate::{
    broker::{Broker, HasBroker},
    context::Context,
    decisions::Applicant,
    error::{Error, Result},
    event::ClientId,
    fanout::{
        command::{Command, Reservation, RoomHead, RoomId},
        sender_commands::SenderCommands,
        shard_handle::ShardHandle,
    },
    members::MemberTable,
    past::PastWanted,
    position::Position,
    published::{self, Published},
};

/// How many bytes of payloads an answer with earlier messages has at most.
const MAX_HISTORY: usize = 256 * 1024;

/// The rooms of one server.
#[derive(Debug)]
pub(crate) struct Rooms {
    context: Arc<Context>,
    shards: Arc<[Arc<ShardHandle>]>,
    /// The room that every client is in: broadcasts go there. The directory does not list it.
    everyone: Arc<Room>,
    directory: Mutex<Directory>,
    /// What keeps the rooms, if they are not in memory.
    link: Option<Linked>,
    /// Who is in which room, if an option asks for that.
    members: Option<MemberTable>,
    /// Bytes that all rooms' histories keep, with their overhead.
    kept: AtomicUsize,
    /// Wakes the task that forgets rooms, when the first is to be forgotten earlier.
    earlier_expiry: Notify,
}

/// One call of the host, and its deadline: what may wait takes it. The clock is read only when the call must wait for the
/// first time.
#[derive(Debug)]
pub(crate) struct HostCall(OnceCell<Instant>);

/// The host's side: implemented by its handle, which no shard has. So a shard's thread cannot make a `HostCall`, and
/// nothing that it calls waits.
pub(crate) trait HostSide {}

impl HostCall {
    pub(crate) fn of(_: &impl HostSide) -> Self {
        Self(OnceCell::new())
    }

    /// Returns the deadline: `timeout` after the first call of this.
    pub(crate) fn get(&self, timeout: Duration) -> Instant {
        *self.0.get_or_init(|| Instant::now() + timeout)
    }
}

/// Checks a room's name: 1 to 128 bytes, no control characters, and not `.` or `..`, which clients take for steps in
/// a path.
pub(crate) fn check_name(name: &str) -> Result<()> {
    if matches!(name, "." | "..") {
        return Err(Error::InvalidRoom("clients take . and .. for steps in a path"));
    }
    published::check_name(name).map_err(Error::InvalidRoom)
}

impl Rooms {
    /// Makes the rooms of a server. Without a broker they are in memory.
    pub(crate) fn new(
        context: Arc<Context>,
        shards: Arc<[Arc<ShardHandle>]>,
        broker: Option<(Arc<dyn Broker>, HasBroker)>,
    ) -> Arc<Self> {
        let everyone =
            Arc::new(Room::new(RoomId::EVERYONE, "".into(), shards.len(), Position::NONE));
        let directory = Mutex::new(Directory::new(context.age_clock.now()));
        let members = MemberTable::new(&context, shards.len());
        let rooms = Arc::new(Self {
            context,
            shards,
            everyone,
            directory,
            link: broker.map(Linked::new),
            members,
            kept: AtomicUsize::new(0),
            earlier_expiry: Notify::new(),
        });
        if let Some(link) = &rooms.link {
            rooms.start_broker(&*link.broker, Arc::downgrade(&rooms));
        }
        rooms
    }

    /// Pushes a command that answers a client, behind what its earlier messages have become.
    pub(crate) fn answer(&self, client: ClientId, commands: &SenderCommands, command: Command) {
        let shard = client.shard();
        // Fails if the server stops: then the client is closed.
        if let Ok(number) = self.shards[shard].inbox.push(command) {
            commands.note(client, shard, number);
        }
    }

    /// Returns up to `count` of the messages of a room before an offset, as `Room::before` does.
    pub(crate) fn before(
        &self,
        room: &Room,
        end: Option<u64>,
        floor: u64,
        bounds: (usize, usize),
    ) -> (Arc<RoomHead>, Vec<(u64, Published)>, bool) {
        room.before(end, floor, bounds, &self.context, &self.kept)
    }

    /// Returns how many messages an answer with earlier ones has at most, and how many bytes of payloads, unless a single
    /// one is longer: about a third of an outbox, with what objects have beside payloads.
    pub(crate) fn history_bounds(&self, limit: usize) -> (usize, usize) {
        let outbox = self.context.options.outbox_size;
        (limit.min((outbox / 4096).max(1)), MAX_HISTORY.min(outbox / 8))
    }

    /// Returns where a room stands, also one that does not exist now: it goes on from there when it comes.
    ///
    /// # Errors
    /// `InvalidRoom`, `Stopped`; `QueueFull` if a broker does not say it in time.
    pub(crate) fn position(&self, name: &str, call: &HostCall) -> Result<Position> {
        check_name(name)?;
        let mut directory = self.lock();
        if directory.stopped {
            return Err(Error::Stopped);
        }
        if !self.context.options.has_history() {
            return Ok(Position::NONE);
        }
        if let Some(link) = &self.link {
            drop(directory);
            return self.read_position(link, name, call);
        }
        if let Some(room) = directory.get(name) {
            return Ok(room.position());
        }
        Ok(self.position_of_none(&mut directory, name))
    }

    /// Returns where a room stands that is not listed: it goes on from there when it comes.
    fn position_of_none(&self, directory: &mut Directory, name: &str) -> Position {
        if !self.context.options.has_history() {
            return Position::NONE;
        }
        let now = self.context.age_clock.now();
        let position = directory.first_position(name, now);
        directory.forgotten.insert(name, position, now);
        position
    }

    /// Admits a client to the room that it asks for and to broadcasts.
    ///
    /// # Errors
    /// `ClientNotFound`, `Stopped`.
    pub(crate) fn admit(&self, client: ClientId, applicant: Applicant) -> Result<()> {
        let shard = &self.shards[client.shard()];
        let Applicant { room, past, subprotocols } = applicant;
        // One command for both, under both rooms' locks: the client misses neither a message nor a broadcast
        // that is published from here on.
        let admit = |reservation| {
            self.reserve_broadcasts(client, |from| {
                let command = Command::Admit(client, reservation, from, subprotocols.into_chosen());
                // The room that it asks for is counted already: no limit applies.
                shard.push(command, usize::MAX)
            })
        };
        let Some(room) = room else { return admit(None).map(drop) };
        self.reserve(client, &room, &past, |room, reservation| {
            let number = admit(Some(Box::new(reservation)))?;
            room.note_command(client.shard(), number);
            Ok(())
        })
    }

    /// Reserves a membership in a room for a client of a shard, on any thread, and calls `send` with it under
    /// the room's lock: what `send` pushes to the shard's inbox comes behind every message that was published
    /// before, and ahead of every later one. If `send` fails, the reservation is undone.
    ///
    /// # Errors
    /// `Stopped`, and those of `send`.
    pub(crate) fn reserve<T>(
        &self,
        client: ClientId,
        name: &str,
        wanted: &PastWanted,
        send: impl FnOnce(&Arc<Room>, Reservation) -> Result<T>,
    ) -> Result<T> {
        let mut directory = self.lock();
        let room = self.look_up(&mut directory, name)?;
        let then = |reservation| send(&room, reservation);
        let (sent, idle_key) = room.subscribe(client, wanted, self.reach(), &self.kept, then)?;
        if let Some(key) = idle_key
            && directory.idle.remove(key).is_some()
        {
            self.kept.fetch_sub(ROOM_OVERHEAD, Ordering::Relaxed);
        }
        drop(directory);
        if sent.is_err() {
            self.remove_subscriber(&room, client.shard());
        }
        sent
    }

    /// Calls `send` under a room's lock, with what reserves a membership for a client. Each that it reserves must have been
    /// pushed to the client's shard when it returns: so all these clients enter the room between the same messages.
    ///
    /// # Errors
    /// `Stopped`, and those of `send`, which then has reserved nothing.
    pub(crate) fn reserve_many<T>(
        &self,
        name: &str,
        send: impl FnOnce(&Arc<Room>, &mut dyn FnMut(ClientId, &PastWanted) -> Reservation) -> Result<T>,
    ) -> Result<T> {
        let mut directory = self.lock();
        let room = self.look_up(&mut directory, name)?;
        let then =
            |reserve: &mut dyn FnMut(ClientId, &PastWanted) -> Reservation| send(&room, reserve);
        let (sent, idle_key) = room.subscribe_many(self.reach(), &self.kept, then)?;
        if let Some(key) = idle_key
            && directory.idle.remove(key).is_some()
        {
            self.kept.fetch_sub(ROOM_OVERHEAD, Ordering::Relaxed);
        }
        drop(directory);
        // The one that `subscribe_many` has counted.
        self.remove_subscriber(&room, 0);
        sent
    }

    /// Reserves a membership in the broadcast room, as `reserve` does in another. `send` gets the offset of the
    /// first broadcast that the client receives.
    ///
    /// # Errors
    /// `Stopped`, and those of `send`.
    pub(crate) fn reserve_broadcasts<T>(
        &self,
        client: ClientId,
        send: impl FnOnce(u64) -> Result<T>,
    ) -> Result<T> {
        let then = |reservation: Reservation| send(reservation.from);
        let (wanted, reach) = (PastWanted::NONE, self.reach());
        let (sent, _) = self.everyone.subscribe(client, &wanted, reach, &self.kept, then)?;
        if sent.is_err() {
            self.remove_broadcast_subscriber(client.shard());
        }
        sent
    }

    /// Counts one subscriber of broadcasts less on a shard.
    pub(crate) fn remove_broadcast_subscriber(&self, shard: usize) {
        self.everyone.unsubscribe(shard, self.reach());
    }

    /// Returns a room by its id. One with a reserved membership is always found.
    pub(crate) fn by_id(&self, room: RoomId) -> Option<Arc<Room>> {
        self.lock().get_by_id(room).cloned()
    }

    /// Returns a room by its name, if there is one.
    pub(crate) fn by_name(&self, name: &str) -> Option<Arc<Room>> {
        self.lock().get(name).cloned()
    }

    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    /// Closes all rooms, and calls `then` when every message that was published is in the inboxes: at once, unless a broker
    /// has still to store some.
    pub(crate) fn stop(&self, then: impl FnOnce() + Send + 'static) {
        let mut directory = self.lock();
        directory.stopped = true;
        for (_, room) in &directory.rooms {
            room.stop();
        }
        self.everyone.stop();
        drop(directory);
        if let Some(members) = &self.members {
            members.stop();
        }
        match &self.link {
            Some(link) => self.flush_broker(link, then),
            None => then(),
        }
    }

    /// Returns all rooms that are listed.
    fn all_rooms(&self) -> Vec<Arc<Room>> {
        self.lock().rooms.iter().map(|(_, room)| Arc::clone(room)).collect()
    }

    fn reach(&self) -> Reach<'_> {
        Reach { context: &self.context, shards: &self.shards }
    }

    /// Returns a room by its name; creates it if there is none.
    fn look_up(&self, directory: &mut Directory, name: &str) -> Result<Arc<Room>> {
        if directory.stopped {
            return Err(Error::Stopped);
        }
        if let Some(room) = directory.get(name) {
            return Ok(Arc::clone(room));
        }
        let (id, shards) = (RoomId(directory.next_number()), self.shards.len());
        let room = Arc::new(match &self.link {
            Some(link) => Room::remote(id, name.into(), shards, link.clone()),
            None if self.context.options.has_history() => {
                let position = directory.first_position(name, self.context.age_clock.now());
                Room::new(id, name.into(), shards, position)
            }
            None => Room::new(id, name.into(), shards, Position::NONE),
        });
        directory.insert(&room);
        self.context.counters.rooms.add(1);
        Ok(room)
    }

    /// Returns how many rooms are listed: all, by name, by id, and idle ones.
    #[cfg(test)]
    pub(crate) fn sizes(&self) -> [usize; 4] {
        self.lock().sizes()
    }

    /// Returns how many bytes count as kept, and how many are.
    #[cfg(test)]
    pub(crate) fn kept(&self) -> (usize, usize) {
        let directory = self.lock();
        let histories = directory.rooms.iter().map(|(_, room)| room.history_bytes());
        let kept = histories.sum::<usize>() + directory.idle.len() * ROOM_OVERHEAD;
        (self.kept.load(Ordering::Relaxed), kept)
    }

    fn lock(&self) -> MutexGuard<'_, Directory> {
        // The directory is consistent at every point where a panic could be thrown.
        self.directory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

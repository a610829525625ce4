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
mod reach;
mod remote;
pub(crate) mod room;
pub(crate) mod sender;
pub(crate) mod signals;

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
use self::{
    directory::Directory,
    pending::Linked,
    reach::Reach,
    room::{Messages, NotPublished, ROOM_OVERHEAD, Room, RoomClosed},
    sender::{PublishAs, Sender},
};
use crate::{
    broker::{Broker, HasBroker},
    context::Context,
    decisions::Applicant,
    error::{Error, Result},
    event::{ClientId, DecisionId},
    fanout::{
        command::{Command, Reservation, RoomHead, RoomId, Verdict},
        inbox::QueueKind,
        sender_commands::SenderCommands,
        shard_handle::ShardHandle,
    },
    json::{Refusal, Refused},
    keys::{Keyed, Known, Repeat, Reservation as KeyReservation, Scope},
    members::MemberTable,
    message::Message,
    past::PastWanted,
    position::Position,
    published::{self, Author, Key, Published},
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

/// What the host asks for with a message.
#[derive(Debug)]
pub(crate) struct Particulars<'a> {
    pub(crate) author: Option<Arc<Author>>,
    pub(crate) key: Option<Key>,
    /// Whose the key is.
    pub(crate) scope: Scope<'a>,
    pub(crate) is_unstored: bool,
}

/// Where a message of the host is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HostPublished {
    pub(crate) position: Position,
    /// Whether it was published before.
    pub(crate) is_duplicate: bool,
}

/// What becomes of a client's message.
#[derive(Debug)]
pub(crate) enum Publishing {
    /// It has this position, and is in every inbox.
    Now(Position),
    /// Its key is known.
    Known(Known),
    /// A broker stores it: the outcome comes to the client's shard under this number.
    Later(u64),
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

    /// Publishes a client's message to a room that it is in. Returns its position, or the number under which its outcome
    /// comes to the client's shard.
    ///
    /// # Errors
    /// `Stopped`.
    pub(crate) fn publish_from(
        &self,
        sender: &Sender<'_>,
        room: &Arc<Room>,
        message: Message,
    ) -> Result<Publishing> {
        if let Some(link) = &self.link {
            return self.append_from(link, sender, room, message).map(Publishing::Later);
        }
        let (context, shards) = (&self.context, &self.shards);
        let publisher = PublishAs::client(sender);
        let published = room.publish(context, shards, [message], &publisher, &self.kept);
        self.bound_history(room);
        match published {
            Ok(position) => Ok(Publishing::Now(position)),
            Err(NotPublished::Known(known)) => Ok(Publishing::Known(known)),
            // A room with a subscriber is not retired.
            Err(NotPublished::Closed(..)) => Err(Error::Stopped),
        }
    }

    /// Pushes a command that answers a client, behind what its earlier messages have become.
    pub(crate) fn answer(&self, client: ClientId, commands: &SenderCommands, command: Command) {
        let shard = client.shard();
        // Fails if the server stops: then the client is closed.
        if let Ok(number) = self.shards[shard].inbox.push(command) {
            commands.note(client, shard, number);
        }
    }

    /// Reserves the key of a client's message that waits for review.
    pub(crate) fn reserve_key(
        &self,
        keyed: &Keyed,
        client: ClientId,
        decision: DecisionId,
    ) -> KeyReservation {
        if self.has_broker() {
            // The broker checks keys, where all servers see them.
            return KeyReservation::First;
        }
        let now = self.context.age_clock.coarse_now();
        self.context.keys.reserve(keyed.known_by, client, decision, now)
    }

    /// Gives back the key of a client's message that was reviewed, and tells the repeats what has become of it: where it is
    /// (there is no position if a broker stores it), or why it is not published.
    pub(crate) fn settle_key(
        &self,
        keyed: &Keyed,
        decision: DecisionId,
        outcome: &Result<Position, Refused>,
    ) {
        for Repeat { client, decision } in self.context.keys.settle(keyed.known_by, decision) {
            let verdict = match outcome {
                Ok(position) => Verdict::Duplicate(*position),
                // That says nothing of the repeat's client, which may be in the room.
                Err(refused) if refused.code == Refusal::NotInRoom => {
                    let reason = "the same message of a client that has left the room was first: send it again";
                    Verdict::Refuse(Refused { code: Refusal::Busy, reason: Some(reason.into()) })
                }
                Err(refused) => Verdict::Refuse(refused.clone()),
            };
            // Fails if the shard ends: then the client is closed.
            let _ =
                self.shards[client.shard()].inbox.push(Command::Decide(client, decision, verdict));
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

    /// Publishes messages of the host to a room, which need not have subscribers. Waits while an inbox is
    /// full. Returns the position of the last.
    ///
    /// # Errors
    /// `InvalidRoom`, `QueueFull`, `Stopped`; then none of them was published. `TimedOut` if a broker does not say in time
    /// whether they were.
    pub(crate) fn publish(
        &self,
        name: &str,
        messages: impl Messages,
        call: &HostCall,
    ) -> Result<Position> {
        let published = self.publish_as(&PublishAs::default(), name, messages, call);
        published.map(|published| published.position)
    }

    /// Publishes a message of the host as it asks for.
    ///
    /// # Errors
    /// Those of `publish`, `KeyReused`.
    pub(crate) fn publish_with(
        &self,
        name: &str,
        message: Message,
        particulars: &Particulars<'_>,
        call: &HostCall,
    ) -> Result<HostPublished> {
        let Particulars { author, key, scope, is_unstored } = particulars;
        let keys = &self.context.keys;
        let key = key.as_ref().map(|key| (key, keys.known_by(name, *scope, key, &message)));
        let (author, is_unstored) = (author.as_ref(), *is_unstored);
        let publisher = PublishAs { sender: None, author, key, is_unstored };
        let published = self.publish_as(&publisher, name, [message], call)?;
        if published.is_duplicate {
            self.context.counters.duplicates.add(1);
        }
        Ok(published)
    }

    fn publish_as(
        &self,
        publisher: &PublishAs<'_>,
        name: &str,
        mut messages: impl Messages,
        call: &HostCall,
    ) -> Result<HostPublished> {
        if self.is_full() {
            check_name(name)?;
            self.wait_for_space(call)?;
        }
        if let Some(link) = &self.link {
            let position = self.publish_to_broker(link, publisher, name, messages, call)?;
            return Ok(HostPublished { position, is_duplicate: false });
        }
        loop {
            let room = self.room_for_host(name)?;
            match room.publish(&self.context, &self.shards, messages, publisher, &self.kept) {
                Ok(position) => {
                    self.bound_history(&room);
                    return Ok(HostPublished { position, is_duplicate: false });
                }
                Err(NotPublished::Known(Known::Same(position))) => {
                    return Ok(HostPublished { position, is_duplicate: true });
                }
                Err(NotPublished::Known(Known::Reused)) => return Err(Error::KeyReused),
                Err(NotPublished::Closed(RoomClosed::Stopped, _)) => return Err(Error::Stopped),
                // The directory forgot it after the look-up: another room may have the name now.
                Err(NotPublished::Closed(RoomClosed::Retired, unpublished)) => {
                    messages = unpublished;
                }
            }
        }
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

    /// Publishes a message of the host to every client.
    ///
    /// # Errors
    /// `QueueFull`, `Stopped`.
    pub(crate) fn broadcast(&self, message: Message, call: &HostCall) -> Result<()> {
        self.wait_for_space(call)?;
        let (everyone, host) = (&self.everyone, PublishAs::default());
        let published = everyone.publish(&self.context, &self.shards, [message], &host, &self.kept);
        published.map(drop).map_err(|_| Error::Stopped)
    }

    /// Whether an inbox is so full that the host must wait.
    pub(crate) fn is_full(&self) -> bool {
        self.has_too_much_pending() || self.shards.iter().any(|shard| shard.inbox.is_full())
    }

    /// Whether a broker has so much to store that nobody may publish.
    fn has_too_much_pending(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.pending.is_full())
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

    /// Whether a queue of an inbox is full, so that clients whose messages go there are not read.
    pub(crate) fn is_queue_full(&self, queue: QueueKind) -> bool {
        self.has_too_much_pending()
            || self.shards.iter().any(|shard| {
                let inbox = &shard.inbox;
                inbox.is_express_full() || (queue == QueueKind::Commands && inbox.is_full())
            })
    }

    /// The queue that a client's messages to a room go to: that of the commands, if one is pending on a shard
    /// that concerns the room, or that is a message of the same client.
    pub(crate) fn queue_of(&self, sender: &Sender<'_>, room: Option<&Room>) -> QueueKind {
        if self.has_broker() {
            return QueueKind::Commands;
        }
        let is_behind = self.shards.iter().enumerate().any(|(index, shard)| {
            room.is_some_and(|room| room.has_pending_command(index, shard))
                || sender.commands.has_pending(sender.id, index, shard)
        });
        if is_behind { QueueKind::Commands } else { QueueKind::Express }
    }

    /// Waits on a thread of the host until every inbox has space.
    fn wait_for_space(&self, call: &HostCall) -> Result<()> {
        if !self.is_full() {
            return Ok(());
        }
        let at = call.get(self.context.options.publish_timeout);
        if self.link.as_ref().is_some_and(|link| !link.pending.wait_for_space(at)) {
            return Err(Error::QueueFull);
        }
        self.shards.iter().try_for_each(|shard| shard.inbox.wait_for_space(at))
    }

    /// Waits in a task of a shard until a queue of every inbox has space.
    pub(crate) async fn space(&self, queue: QueueKind) {
        for shard in self.shards.iter() {
            shard.inbox.space(queue).await;
        }
        if let Some(link) = &self.link {
            link.pending.space().await;
        }
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

    /// Returns the room for a message of the host. A new one is idle, since it has no subscribers.
    fn room_for_host(&self, name: &str) -> Result<Arc<Room>> {
        let mut directory = self.lock();
        if directory.stopped {
            return Err(Error::Stopped);
        }
        if let Some(room) = directory.get(name) {
            return Ok(Arc::clone(room));
        }
        // The name of a room that exists was checked when it was made.
        check_name(name)?;
        if !self.context.options.has_history() {
            // No client receives the message, now or later: the directory need not keep the room.
            let id = RoomId(directory.next_number());
            return Ok(Arc::new(Room::new(id, name.into(), self.shards.len(), Position::NONE)));
        }
        let room = self.look_up(&mut directory, name)?;
        self.note_idle(&mut directory, &room, self.context.options.history_age, None);
        Ok(room)
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

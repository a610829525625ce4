//! All rooms of a server, by name: looked up, made, and forgotten when nobody needs them.
//!
//! Lock order: directory, room, inbox or event queue.

use std::{
    collections::{BTreeMap, HashMap},
    rc::Rc,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use bytes::BytesMut;
use slab::Slab;

use crate::{
    context::Context,
    error::{Error, Result},
    message::Message,
    room::{Messages, ROOM_OVERHEAD, Refused, Room},
    shard::{Link, Shard, client::Client, inbox::RoomId},
};

/// The longest name of a room, in bytes.
const MAX_NAME: usize = 128;

/// How many rooms are looked at to find one that keeps much.
const SAMPLE: usize = 64;

/// The rooms of one server.
#[derive(Debug)]
pub(crate) struct Rooms {
    context: Arc<Context>,
    shards: Vec<Arc<Link>>,
    everyone: Arc<Room>,
    directory: Mutex<Directory>,
    /// Bytes that all rooms' histories keep, with their overhead.
    kept: AtomicUsize,
}

#[derive(Debug, Default)]
struct Directory {
    /// Where in `rooms` each is.
    by_name: HashMap<Arc<str>, usize>,
    rooms: Slab<Arc<Room>>,
    /// Where in `rooms` the next look for one that keeps much begins.
    cursor: usize,
    /// Rooms without subscribers that have history, the one that has rested for longest first.
    idle: BTreeMap<u64, (Arc<Room>, Instant)>,
    /// The number of the last room, and of the last rest.
    last_number: u64,
    stopped: bool,
}

impl Directory {
    fn get(&self, name: &str) -> Option<&Arc<Room>> {
        self.rooms.get(*self.by_name.get(name)?)
    }

    fn insert(&mut self, room: &Arc<Room>) {
        let place = self.rooms.insert(Arc::clone(room));
        self.by_name.insert(Arc::clone(room.name()), place);
    }

    fn remove(&mut self, room: &Arc<Room>) {
        if let Some(place) = self.by_name.remove(room.name()) {
            self.rooms.try_remove(place);
        }
    }

    /// The room that keeps most among the next few: looking at all of them would take too long, and
    /// in time each has its turn.
    fn next_large(&mut self) -> Option<Arc<Room>> {
        let places = self.rooms.capacity().max(1);
        let from = self.cursor;
        self.cursor = (from + SAMPLE) % places;
        let sample = (from..from + SAMPLE.min(places))
            .filter_map(|place| self.rooms.get(place % places))
            .max_by_key(|room| room.history_bytes());
        sample.cloned()
    }

    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }
}

/// Checks a room's name: 1 to 128 bytes, no control characters.
pub(crate) fn check_name(name: &str) -> Result<()> {
    match name.len() {
        0 => Err(Error::InvalidRoom("it is empty")),
        1..=MAX_NAME if name.chars().any(char::is_control) => {
            Err(Error::InvalidRoom("it has control characters"))
        }
        1..=MAX_NAME => Ok(()),
        _ => Err(Error::InvalidRoom("it is longer than 128 bytes")),
    }
}

impl Rooms {
    pub(crate) fn new(context: Arc<Context>, shards: Vec<Arc<Link>>) -> Self {
        let everyone = Arc::new(Room::new(RoomId::EVERYONE, "".into(), shards.len()));
        let directory = Mutex::default();
        Self { context, shards, everyone, directory, kept: AtomicUsize::new(0) }
    }

    /// Publishes what a client sent to a room that it is in. Returns the message's offset.
    ///
    /// # Errors
    /// `Stopped`.
    pub(crate) fn publish_from(
        &self,
        client: &Client,
        room: &Arc<Room>,
        message: Message,
    ) -> Result<u64> {
        let sender = Some((client.id(), client.has_echo()));
        let published = room.publish(&self.context, &self.shards, [message], sender, &self.kept);
        self.bound_history(room);
        // A room with a subscriber is not retired.
        published.map_err(|_| Error::Stopped)
    }

    /// Publishes messages of the host to a room, which need not have subscribers. Waits while more
    /// is to be delivered than may be kept. Returns the offset of the last.
    ///
    /// # Errors
    /// `InvalidRoom`, `QueueFull`, `Stopped`; then none of them was published.
    pub(crate) fn publish(&self, name: &str, mut messages: impl Messages) -> Result<u64> {
        check_name(name)?;
        self.wait_for_space()?;
        loop {
            let room = self.room_for_host(name)?;
            match room.publish(&self.context, &self.shards, messages, None, &self.kept) {
                Ok(offset) => {
                    self.bound_history(&room);
                    return Ok(offset);
                }
                Err((Refused::Stopped, _)) => return Err(Error::Stopped),
                // Forgotten between the look-up and now: there is another one by that name, or none.
                Err((Refused::Retired, unpublished)) => messages = unpublished,
            }
        }
    }

    /// Publishes a message of the host to every client.
    ///
    /// # Errors
    /// `QueueFull`, `Stopped`.
    pub(crate) fn broadcast(&self, message: Message) -> Result<()> {
        self.wait_for_space()?;
        let published =
            self.everyone.publish(&self.context, &self.shards, [message], None, &self.kept);
        published.map(drop).map_err(|_| Error::Stopped)
    }

    /// Whether publishers are to wait.
    pub(crate) fn is_full(&self) -> bool {
        self.shards.iter().any(|link| link.inbox.is_full())
    }

    /// Waits until every shard takes more.
    pub(crate) fn wait_for_space(&self) -> Result<()> {
        if !self.is_full() {
            return Ok(());
        }
        let deadline = Instant::now() + self.context.options.publish_timeout;
        self.shards.iter().try_for_each(|link| link.inbox.wait_for_space(deadline))
    }

    /// Waits in a connection's task until every shard takes more.
    pub(crate) async fn space(&self) {
        for link in &self.shards {
            link.inbox.space().await;
        }
    }

    /// Adds a client to a room, and gives it up to `history` messages from before.
    ///
    /// # Errors
    /// `Stopped`.
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        shard: &Rc<Shard>,
        client: &Rc<Client>,
        name: &str,
        history: usize,
    ) -> Result<Subscription> {
        let mut directory = self.lock();
        let room = self.look_up(&mut directory, name)?;
        let (from, messages, idle) =
            room.subscribe(shard.index, history, &self.context, &self.kept)?;
        if let Some(idle) = idle
            && directory.idle.remove(&idle).is_some()
        {
            self.kept.fetch_sub(ROOM_OVERHEAD, Ordering::Relaxed);
        }
        drop(directory);
        self.replay(shard, client, &messages);
        Ok(self.subscription(shard, client, room, from))
    }

    /// Sends a client the last of the messages, as many as its outbox may hold, in one write.
    fn replay(&self, shard: &Rc<Shard>, client: &Rc<Client>, messages: &[Message]) {
        let mut len = 0;
        let fits = messages.iter().rev().take_while(|message| {
            len += message.frame_len();
            len <= self.context.options.outbox_size / 2
        });
        let count = fits.count();
        let mut frames = BytesMut::new();
        for message in &messages[messages.len() - count..] {
            message.append_frame(&mut frames);
        }
        if count > 0 {
            shard.drain_if(client, client.deliver(&frames.freeze(), count as u64));
        }
    }

    /// Lets a client receive what is broadcast to everyone.
    ///
    /// # Errors
    /// `Stopped`.
    pub(crate) fn subscribe_to_everyone(
        self: &Arc<Self>,
        shard: &Rc<Shard>,
        client: &Rc<Client>,
    ) -> Result<Subscription> {
        let (from, _, _) = self.everyone.subscribe(shard.index, 0, &self.context, &self.kept)?;
        Ok(self.subscription(shard, client, Arc::clone(&self.everyone), from))
    }

    fn subscription(
        self: &Arc<Self>,
        shard: &Rc<Shard>,
        client: &Rc<Client>,
        room: Arc<Room>,
        from: u64,
    ) -> Subscription {
        let number = shard.subscribe(room.id(), Rc::clone(client), from);
        Subscription { rooms: Arc::clone(self), shard: Rc::clone(shard), room, number }
    }

    /// Lets no more messages be published: each that was is in the inboxes when this returns.
    pub(crate) fn stop(&self) {
        let mut directory = self.lock();
        directory.stopped = true;
        for (_, room) in &directory.rooms {
            room.stop();
        }
        self.everyone.stop();
    }

    /// A room for a message of the host: an idle one if nobody is there to hear it.
    fn room_for_host(&self, name: &str) -> Result<Arc<Room>> {
        let mut directory = self.lock();
        if directory.stopped {
            return Err(Error::Stopped);
        }
        if let Some(room) = directory.get(name) {
            return Ok(Arc::clone(room));
        }
        if self.context.options.history_messages == 0 {
            // Nobody hears the message, now or later: nothing is worth keeping.
            let id = RoomId(directory.next_number());
            return Ok(Arc::new(Room::new(id, name.into(), self.shards.len())));
        }
        let room = self.look_up(&mut directory, name)?;
        self.rest(&mut directory, &room);
        self.forget_expired(&mut directory);
        Ok(room)
    }

    fn look_up(&self, directory: &mut Directory, name: &str) -> Result<Arc<Room>> {
        if directory.stopped {
            return Err(Error::Stopped);
        }
        if let Some(room) = directory.get(name) {
            return Ok(Arc::clone(room));
        }
        let id = RoomId(directory.next_number());
        let room = Arc::new(Room::new(id, name.into(), self.shards.len()));
        directory.insert(&room);
        self.context.counters.rooms.add(1);
        Ok(room)
    }

    fn leave(&self, room: &Arc<Room>, shard: usize) {
        let mut directory = self.lock();
        if !room.unsubscribe(shard) || room.id() == RoomId::EVERYONE {
            return;
        }
        if room.has_history(&self.context, &self.kept) {
            self.rest(&mut directory, room);
        } else {
            self.forget(&mut directory, room);
        }
        self.forget_expired(&mut directory);
    }

    /// Notes that a room has no subscribers.
    fn rest(&self, directory: &mut Directory, room: &Arc<Room>) {
        let idle = directory.next_number();
        room.rest(idle);
        directory.idle.insert(idle, (Arc::clone(room), Instant::now()));
        self.kept.fetch_add(ROOM_OVERHEAD, Ordering::Relaxed);
    }

    /// Forgets idle rooms whose last message is too old by now.
    fn forget_expired(&self, directory: &mut Directory) {
        let age = self.context.options.history_age;
        while let Some(longest) = directory.idle.first_entry() {
            if longest.get().1.elapsed() <= age {
                return;
            }
            let (room, _) = longest.remove();
            self.kept.fetch_sub(ROOM_OVERHEAD, Ordering::Relaxed);
            // The host may have published to it since.
            if room.has_history(&self.context, &self.kept) {
                self.rest(directory, &room);
            } else {
                self.forget(directory, &room);
            }
        }
    }

    fn forget(&self, directory: &mut Directory, room: &Arc<Room>) {
        room.retire(&self.kept);
        directory.remove(room);
        self.context.counters.rooms.sub(1);
    }

    /// Keeps all rooms' histories within their bound: idle rooms are forgotten first, then rooms that
    /// keep much forget their oldest messages, whoever made the last one.
    fn bound_history(&self, grown: &Arc<Room>) {
        let bound = self.context.options.history_total;
        if self.kept.load(Ordering::Relaxed) <= bound {
            return;
        }
        let mut directory = self.lock();
        while self.kept.load(Ordering::Relaxed) > bound
            && let Some((_, (room, _))) = directory.idle.pop_first()
        {
            self.kept.fetch_sub(ROOM_OVERHEAD, Ordering::Relaxed);
            self.forget(&mut directory, &room);
        }
        if self.kept.load(Ordering::Relaxed) > bound {
            let large = directory.next_large();
            drop(directory);
            // Somewhat below the bound, so that the next message does not look again.
            let slack = bound - bound / 64;
            if let Some(large) = large {
                large.shrink(&self.kept, slack);
            }
            grown.shrink(&self.kept, bound);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Directory> {
        // The directory is consistent at every point where a panic could be thrown.
        self.directory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client's place in a room, which it leaves when this is dropped.
#[derive(Debug)]
pub(crate) struct Subscription {
    rooms: Arc<Rooms>,
    shard: Rc<Shard>,
    room: Arc<Room>,
    number: usize,
}

impl Subscription {
    pub(crate) fn room(&self) -> &Arc<Room> {
        &self.room
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.shard.unsubscribe(self.room.id(), self.number);
        self.rooms.leave(&self.room, self.shard.index);
    }
}

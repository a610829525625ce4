//! All rooms of a server, by name: looked up, made, and forgotten when nobody needs them.
//!
//! Lock order: directory, room, the room of everyone, inbox or event queue.

mod directory;
mod forgetting;
mod subscription;

use std::{
    rc::Rc,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use once_cell::unsync::OnceCell;

pub(crate) use self::subscription::{Audience, Reservation};
use self::{directory::Directory, subscription::Place};
use crate::{
    context::Context,
    error::{Error, Result},
    message::Message,
    room::{Messages, ROOM_OVERHEAD, Refused, Room, Speaker},
    shard::{Link, Shard, client::Client, inbox::RoomId},
};

/// The longest name of a room, in bytes.
const MAX_NAME: usize = 128;

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

/// How long one call of the host waits, from when it must wait first.
#[derive(Debug, Default)]
pub(crate) struct Patience(OnceCell<Instant>);

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
        speaker: Speaker<'_>,
        room: &Arc<Room>,
        message: Message,
    ) -> Result<u64> {
        let (context, shards) = (&self.context, &self.shards);
        let published = room.publish(context, shards, [message], Some(speaker), &self.kept);
        self.bound_history(room);
        // A room with a subscriber is not retired.
        published.map_err(|_| Error::Stopped)
    }

    /// Publishes messages of the host to a room, which need not have subscribers. Waits while more
    /// is to be delivered than may be kept. Returns the offset of the last.
    ///
    /// # Errors
    /// `InvalidRoom`, `QueueFull`, `Stopped`; then none of them was published.
    pub(crate) fn publish(
        &self,
        name: &str,
        mut messages: impl Messages,
        patience: &Patience,
    ) -> Result<u64> {
        if self.is_full() {
            check_name(name)?;
            self.wait_for_space(patience)?;
        }
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
        self.wait_for_space(&Patience::default())?;
        let published =
            self.everyone.publish(&self.context, &self.shards, [message], None, &self.kept);
        published.map(drop).map_err(|_| Error::Stopped)
    }

    /// Whether publishers are to wait.
    pub(crate) fn is_full(&self) -> bool {
        self.shards.iter().any(|link| link.inbox.is_full())
    }

    /// Waits until every shard takes more.
    fn wait_for_space(&self, patience: &Patience) -> Result<()> {
        if !self.is_full() {
            return Ok(());
        }
        let timeout = self.context.options.publish_timeout;
        let deadline = *patience.0.get_or_init(|| Instant::now() + timeout);
        self.shards.iter().try_for_each(|link| link.inbox.wait_for_space(deadline))
    }

    /// Waits in a task of a connection until every shard takes more.
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
    ) -> Result<()> {
        let mut reserved = None;
        self.reserve(shard.index, name, history, |reservation| reserved = Some(reservation))?;
        if let Some(reserved) = reserved {
            Self::join(shard, client, reserved);
        }
        Ok(())
    }

    /// Makes a place in a room for a client of a shard, on any thread, and hands it to `send`: what
    /// it puts into the shard's inbox comes before every message that is published from here on, and
    /// behind every one that was. It must not drop the reservation.
    ///
    /// # Errors
    /// `Stopped`.
    pub(crate) fn reserve(
        self: &Arc<Self>,
        shard: usize,
        name: &str,
        history: usize,
        send: impl FnOnce(Reservation),
    ) -> Result<()> {
        let mut directory = self.lock();
        let room = self.look_up(&mut directory, name)?;
        // The place is made when it counts: dropping it takes the directory's lock.
        let (rooms, reserved) = (Arc::clone(self), Arc::clone(&room));
        let then = |from, messages| {
            let place = Place { rooms, room: reserved, shard };
            send(Reservation { place, from, messages });
        };
        let idle = room.subscribe(shard, history, &self.context, &self.kept, then)?;
        if let Some(idle) = idle
            && directory.idle.remove(&idle).is_some()
        {
            self.kept.fetch_sub(ROOM_OVERHEAD, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Makes a place among those who receive broadcasts, as `reserve` does in a room.
    ///
    /// # Errors
    /// `Stopped`.
    pub(crate) fn reserve_audience(
        self: &Arc<Self>,
        shard: usize,
        send: impl FnOnce(Audience),
    ) -> Result<()> {
        let rooms = Arc::clone(self);
        let then = |from, _| send(Audience::new(rooms, shard, from));
        self.everyone.subscribe(shard, 0, &self.context, &self.kept, then).map(drop)
    }

    /// Lets a client receive what is broadcast to everyone, until it leaves.
    ///
    /// # Errors
    /// `Stopped`.
    pub(crate) fn subscribe_to_everyone(
        self: &Arc<Self>,
        shard: &Shard,
        client: &Rc<Client>,
    ) -> Result<()> {
        let mut reserved = None;
        self.reserve_audience(shard.index, |audience| reserved = Some(audience))?;
        if let Some(audience) = reserved {
            audience.take(shard, client);
        }
        Ok(())
    }

    /// Puts a client into a room that was reserved for it, unless it is in it. Returns whether it was
    /// not.
    pub(crate) fn join(shard: &Rc<Shard>, client: &Rc<Client>, reserved: Reservation) -> bool {
        let seats = client.seats();
        if seats.has(reserved.room()) {
            return false;
        }
        let before = seats.more();
        seats.add(Box::new(reserved.take(shard, client)));
        shard.note_seats(before, seats.more());
        true
    }

    /// Takes a client out of a room. Returns whether it was in it.
    pub(crate) fn part(shard: &Shard, client: &Client, room: &str) -> bool {
        let before = client.seats().more();
        let seat = client.seats().remove(room);
        shard.note_seats(before, client.seats().more());
        seat.is_some()
    }

    /// Takes a client out of all its rooms.
    pub(crate) fn leave_all(&self, shard: &Shard, client: &Client) {
        shard.note_seats(client.seats().more(), 0);
        client.seats().clear();
        if let Some(number) = client.seats().set_everyone(None) {
            shard.unsubscribe(self.everyone.id(), number);
            self.everyone.unsubscribe(shard.index);
        }
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
        // The name of a room that exists was checked when it was made.
        check_name(name)?;
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

    fn lock(&self) -> MutexGuard<'_, Directory> {
        // The directory is consistent at every point where a panic could be thrown.
        self.directory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! What the rooms ask a broker for, and what it tells them.
//!
//! Invariant: no lock of a room or of the directory is held while something is appended.

use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use super::{
    HostCall, Rooms, check_name,
    outcome::Outcome,
    pending::{Link, Publisher, Reader, Sent, Taken},
    room::Room,
    sender::{PublishAs, Sender},
};
use crate::{
    broker::{
        Append, AppendError, Broker, Origin, Page, Progress, Range, Read, Sink, Stored,
        Unavailable, Window,
    },
    error::{Error, Result},
    event::ClientId,
    fanout::command::{Command, HistoryRequest, Settled},
    json::Refusal,
    message::Message,
    position::Position,
    published::Published,
    sys,
};

/// How often `check` is called.
pub(crate) const CHECK_INTERVAL: Duration = Duration::from_secs(1);

impl Rooms {
    /// Begins to speak with the broker.
    pub(super) fn start_broker(&self, broker: &dyn Broker, sink: Weak<Self>) {
        let options = &self.context.options;
        let window = Window {
            messages: options.history_messages,
            bytes: options.history_size,
            age: options.history_age,
        };
        broker.start(sink, &window);
    }

    /// Whether a broker keeps the rooms.
    pub(crate) fn has_broker(&self) -> bool {
        self.link.is_some()
    }

    /// Appends a client's message to a room. Returns the number under which its outcome comes.
    ///
    /// # Errors
    /// `Stopped`.
    pub(super) fn append_from(
        &self,
        link: &Link,
        sender: &Sender<'_>,
        room: &Room,
        message: Message,
    ) -> Result<u64> {
        let sent = Sent {
            client: sender.id,
            identity: sender.identity.clone(),
            message: self.context.events.is_enabled().then(|| message.clone()),
            is_answered: sender.is_answered,
        };
        let bytes = message.data().len();
        let publisher = Publisher::Client(sent);
        let name = Arc::clone(room.name());
        let number = link.pending.begin_append(name, bytes, publisher).ok_or(Error::Stopped)?;
        let key = sender.keyed.map(|keyed| keyed.key.clone());
        let (author, time) = (sender.author.clone(), sys::coarse_unix_ms());
        let published = Published { message, author, key, time };
        let origin = Origin {
            node: self.context.instance,
            number,
            client: Some(sender.id),
            is_excluded: sender.is_excluded,
        };
        let messages = vec![Stored { published, origin }];
        self.append(link, Append { number, room: Arc::clone(room.name()), messages });
        Ok(number)
    }

    /// Appends messages of the host to a room. Returns where their outcome comes.
    ///
    /// # Errors
    /// `InvalidRoom`, `Stopped`; `Unsupported` without a history: the broker delivers what it stores.
    pub(super) fn append_of_host(
        &self,
        link: &Link,
        host: &PublishAs<'_>,
        name: &str,
        messages: impl IntoIterator<Item = Message>,
    ) -> Result<AwaitedAppend> {
        check_name(name)?;
        if host.is_unstored {
            return Err(Error::Unsupported("this server's rooms store every message"));
        }
        let (outcome, time) = (Outcome::new(), sys::coarse_unix_ms());
        let messages: Vec<_> = messages.into_iter().collect();
        let bytes = messages.iter().map(|message| message.data().len()).sum();
        let count = messages.len() as u64;
        let publisher = Publisher::Host(Arc::clone(&outcome));
        let room: Arc<str> = name.into();
        let number = link.pending.begin_append(Arc::clone(&room), bytes, publisher);
        let number = number.ok_or(Error::Stopped)?;
        let origin =
            Origin { node: self.context.instance, number, client: None, is_excluded: false };
        let messages = messages.into_iter().map(|message| {
            let (author, key) = (host.author.cloned(), host.key.map(|(key, _)| key.clone()));
            let published = Published { message, author, key, time };
            Stored { published, origin }
        });
        let messages = messages.collect();
        self.append(link, Append { number, room, messages });
        Ok(AwaitedAppend { outcome, count })
    }

    fn append(&self, link: &Link, append: Append) {
        let number = append.number;
        if let Progress::Done(outcome) = link.broker.append(append) {
            self.appended(number, outcome);
        }
    }

    /// Publishes messages of the host to a room, and waits until they are stored. Returns the position of the last.
    ///
    /// # Errors
    /// `InvalidRoom`, `Stopped`, `QueueFull` if the broker cannot be reached: then none of them was published. `TimedOut`
    /// if it is not known whether they were.
    pub(super) fn publish_to_broker(
        &self,
        link: &Link,
        host: &PublishAs<'_>,
        name: &str,
        messages: impl IntoIterator<Item = Message>,
        call: &HostCall,
    ) -> Result<Position> {
        let awaited = self.append_of_host(link, host, name, messages)?;
        let outcome = awaited.outcome.wait(call.get(self.context.options.publish_timeout));
        let position = awaited.take(outcome)?;
        self.context.counters.messages_published.add(awaited.count);
        Ok(position)
    }

    /// Reads where a room stands.
    ///
    /// # Errors
    /// `QueueFull` if the broker cannot be reached, or not in time.
    pub(super) fn read_position(
        &self,
        link: &Link,
        name: &str,
        call: &HostCall,
    ) -> Result<Position> {
        let outcome = Outcome::new();
        let number = link.pending.begin_read(Reader::Host(Arc::clone(&outcome)));
        let range = Range::Before(u64::MAX);
        self.read_from(link, Read { number, room: name.into(), range, max_count: 0, max_bytes: 0 });
        match outcome.wait(call.get(self.context.options.publish_timeout)) {
            Some(Ok(page)) => Ok(page.top),
            _ => {
                link.pending.take_read(number);
                Err(Error::QueueFull)
            }
        }
    }

    /// Asks for earlier messages of a room for a client. Returns the number under which they come to its shard.
    pub(super) fn read_for(
        &self,
        link: &Link,
        client: ClientId,
        room: &Arc<str>,
        request: &HistoryRequest,
    ) -> u64 {
        let number = link.pending.begin_read(Reader::Client(client));
        let range = Range::Before(request.before.unwrap_or(u64::MAX));
        let (room, (max_count, max_bytes)) = (Arc::clone(room), self.history_bounds(request.limit));
        self.read_from(link, Read { number, room, range, max_count, max_bytes });
        number
    }

    pub(super) fn read_from(&self, link: &Link, read: Read) {
        let number = read.number;
        if let Progress::Done(outcome) = link.broker.read(read) {
            Sink::read(self, number, outcome);
        }
    }

    /// Gives up what the broker has not answered for too long, and lets the rooms read again what has failed. Called once in
    /// each `CHECK_INTERVAL`.
    pub(crate) fn check_broker(&self) {
        let Some(link) = self.link.as_deref() else { return };
        link.broker.trim();
        let (appends, reads) = link.pending.check();
        for number in appends {
            if let Some(taken) = link.pending.take_append(number) {
                self.tell(&taken, Err(AppendError::Unknown));
            }
        }
        for number in reads {
            Sink::read(self, number, Err(Unavailable));
        }
        for room in self.all_rooms() {
            room.with_remote(self.reach(), |remote, reach| remote.check(reach));
        }
        self.context.events.wake();
    }

    /// Tells who waits for an append what has become of it, whatever was delivered.
    fn tell(&self, taken: &Taken<'_>, outcome: Result<Position, AppendError>) {
        match &taken.append.publisher {
            Publisher::Host(awaited) => awaited.set(outcome),
            Publisher::Client(_) => {
                self.reach().settle(taken, outcome.map_err(refusal), false);
            }
        }
    }
}

#[cfg(test)]
impl Rooms {
    /// Publishes messages of the host, and does not wait until they are stored.
    pub(crate) fn begin_publish(
        &self,
        name: &str,
        messages: impl IntoIterator<Item = Message>,
    ) -> Result<AwaitedAppend> {
        let link = self.link.as_deref().expect("the rooms have a broker");
        self.append_of_host(link, &PublishAs::default(), name, messages)
    }

    /// Returns how many appends and reads the broker has not answered.
    pub(crate) fn pending_sizes(&self) -> (usize, usize) {
        self.link.as_deref().map_or((0, 0), |link| link.pending.sizes())
    }

    /// Returns how many messages are held, and how many pasts are being read.
    pub(crate) fn held_sizes(&self) -> (usize, usize) {
        let sizes = self
            .all_rooms()
            .into_iter()
            .filter_map(|room| room.with_remote(self.reach(), |remote, _| remote.sizes()));
        sizes.fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1))
    }
}

fn refusal(error: AppendError) -> Refusal {
    match error {
        AppendError::Unavailable => Refusal::Unavailable,
        AppendError::Unknown => Refusal::Unknown,
    }
}

/// The outcome of what the host publishes, which is on its way.
#[derive(Debug)]
pub(crate) struct AwaitedAppend {
    outcome: Arc<Outcome<Result<Position, AppendError>>>,
    count: u64,
}

impl AwaitedAppend {
    /// Returns what the host is told, without waiting; `None` if that is not known yet.
    #[cfg(test)]
    pub(crate) fn poll(&self) -> Option<Result<Position>> {
        self.outcome.take().map(|outcome| self.take(Some(outcome)))
    }

    fn take(&self, outcome: Option<Result<Position, AppendError>>) -> Result<Position> {
        match outcome {
            Some(Ok(position)) => Ok(position),
            Some(Err(AppendError::Unavailable)) => Err(Error::QueueFull),
            Some(Err(AppendError::Unknown)) | None => Err(Error::TimedOut),
        }
    }
}

impl Sink for Rooms {
    fn deliver(&self, room: &str, position: Position, stored: Stored) {
        let Some(room) = self.by_name(room) else { return };
        room.with_remote(self.reach(), |remote, reach| remote.deliver(reach, position, stored));
        self.context.events.wake();
    }

    fn appended(&self, number: u64, outcome: Result<Position, AppendError>) {
        let Some(link) = self.link.as_deref() else { return };
        // The host is told at once, and a client behind what it gets of the room.
        if let Ok(position) = outcome
            && let Some(room) = link.pending.tell_stored(number, position)
            && self.is_awaited(link, &room, number, position)
        {
            return;
        }
        if let Some(taken) = link.pending.take_append(number) {
            self.tell(&taken, outcome);
            self.context.events.wake();
        }
    }

    fn read(&self, number: u64, outcome: Result<Page, Unavailable>) {
        let Some(link) = self.link.as_deref() else { return };
        match link.pending.take_read(number) {
            Some(Reader::Room(room)) => {
                let Some(room) = self.by_id(room) else { return };
                room.with_remote(self.reach(), |remote, reach| {
                    remote.answer(reach, number, outcome);
                });
                self.context.events.wake();
            }
            Some(Reader::Host(awaited)) => awaited.set(outcome),
            Some(Reader::Client(client)) => {
                let refused = |Unavailable| Settled::Refused(Refusal::Unavailable);
                let settled = outcome.map_or_else(refused, Settled::Page);
                let command = Command::Settle(client, number, Box::new(settled));
                self.reach().push(client, command);
            }
            None => {}
        }
    }

    fn wait_for_space(&self, timeout: Duration) -> bool {
        let until = Instant::now() + timeout;
        self.shards.iter().all(|shard| shard.inbox.wait_for_space(until).is_ok())
    }
}

impl Rooms {
    /// Notes where a message is stored, if it is still to be delivered here. Returns whether it is.
    fn is_awaited(&self, link: &Link, room: &str, number: u64, position: Position) -> bool {
        let Some(room) = self.by_name(room) else { return false };
        let is_awaited = room.with_remote(self.reach(), |remote, reach| {
            let is_awaited = !remote.is_delivered(reach, position);
            if is_awaited {
                link.pending.note_stored(number, position);
                remote.proceed(reach);
            }
            is_awaited
        });
        is_awaited.unwrap_or(false)
    }

    /// Tells the broker that the server stops, and calls `then` when everything that was appended is stored, or is known not
    /// to be.
    pub(super) fn flush_broker(&self, link: &Link, then: impl FnOnce() + Send + 'static) {
        link.broker.flush();
        link.pending.close(then);
    }
}

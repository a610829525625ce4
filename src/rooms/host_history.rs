//! What the host reads and drops of the rooms' histories.

use std::sync::{Arc, atomic::Ordering};

use super::{
    HostCall, Rooms, check_name,
    outcome::Outcome,
    part::{Part, gap_after},
    pending::{Link, Reader},
    room::ROOM_OVERHEAD,
};
use crate::{
    broker::{Page, Range as Wanted, Read},
    context::Context,
    error::{Error, Result},
    fanout::command::RoomHead,
    position::Position,
    published::{Key, Published},
    stored::{Gap, HistoryPage, Range, StoredMessage},
};

/// How many messages one page has at most: the room is locked while they are listed.
const MAX_COUNT: usize = 10_000;

/// How many bytes of payloads one page has at most, unless a single message is longer.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// How many bytes one read of a broker answers at most, unless a single message is longer.
const MAX_READ: usize = 1024 * 1024;

impl Rooms {
    /// Reads a part of what a room keeps.
    ///
    /// # Errors
    /// `InvalidRoom`, `Stopped`; `QueueFull` if a broker does not answer in time.
    pub(crate) fn history(
        &self,
        name: &str,
        range: Range,
        limit: usize,
        call: &HostCall,
    ) -> Result<HistoryPage> {
        check_name(name)?;
        let mut directory = self.lock();
        if directory.stopped {
            return Err(Error::Stopped);
        }
        let bounds = (limit.min(MAX_COUNT), MAX_BYTES);
        if let Some(link) = &self.link {
            drop(directory);
            return self.read_history(link, name, range, bounds.0, call);
        }
        let room = directory.get(name).cloned();
        let Some(room) = room else {
            // It is known where it stands, though it keeps nothing. Under the same lock: no message comes in between.
            let position = self.position_of_none(&mut directory, name);
            let gap = match range {
                Range::Last => None,
                Range::After(at) | Range::Before(at) => gap_after(at, position, position.offset),
            };
            let gap =
                gap.filter(|gap| !(*gap == Gap::Trimmed && matches!(range, Range::Before(_))));
            return Ok(HistoryPage { messages: Vec::new(), has_more: false, position, gap });
        };
        drop(directory);
        let (head, position, part) = room.part(range, bounds, &self.context, &self.kept);
        Ok(page(&self.context, &head, position, part))
    }

    /// Reads a part of what a broker keeps of a room.
    ///
    /// # Errors
    /// `QueueFull` if it cannot be reached, or not in time.
    fn read_history(
        &self,
        link: &Link,
        name: &str,
        range: Range,
        count: usize,
        call: &HostCall,
    ) -> Result<HistoryPage> {
        let read = |range| self.read_page(link, name, range, count, call);
        let wanted = match range {
            Range::Last => Wanted::Before(u64::MAX),
            Range::After(position) => Wanted::After(position.offset),
            Range::Before(position) => Wanted::Before(position.offset),
        };
        let mut read_page = read(wanted)?;
        let top = read_page.top;
        let mut gap = match range {
            Range::Last => None,
            Range::After(position) | Range::Before(position) => gap_after(position, top, 0),
        };
        match (range, gap) {
            (Range::After(position), None) => {
                let is_next = read_page.first <= position.offset + 1;
                let lacks_none = position.offset == top.offset;
                let is_known = is_next || lacks_none || position.is_none() || count == 0;
                gap = (!is_known).then_some(Gap::Trimmed);
            }
            (Range::After(_), Some(_)) => read_page = read(Wanted::After(0))?,
            (Range::Before(_), Some(Gap::Epoch)) => read_page.messages.clear(),
            _ => {}
        }
        let numbered = read_page.numbered();
        let messages: Vec<_> =
            numbered.map(|(offset, stored)| (offset, stored.published.clone())).collect();
        let has_more = match range {
            Range::After(_) => messages.last().is_some_and(|(offset, _)| *offset < top.offset),
            // Whether the earlier ones are kept is known when they are asked for.
            _ => messages.first().is_some_and(|(offset, _)| *offset > 1),
        };
        // The name matters to nobody here.
        let head = RoomHead { id: self.everyone.id(), name: name.into(), epoch: top.epoch };
        Ok(page(&self.context, &head, top, Part { messages, has_more, gap }))
    }

    fn read_page(
        &self,
        link: &Link,
        name: &str,
        range: Wanted,
        max_count: usize,
        call: &HostCall,
    ) -> Result<Page> {
        let outcome = Outcome::new();
        let number = link.pending.begin_read(Reader::Host(Arc::clone(&outcome)));
        let read = Read { number, room: name.into(), range, max_count, max_bytes: MAX_READ };
        self.read_from(link, read);
        match outcome.wait(call.get(self.context.options.publish_timeout)) {
            Some(Ok(page)) => Ok(page),
            _ => {
                link.pending.take_read(number);
                Err(Error::QueueFull)
            }
        }
    }

    /// Drops the messages of a room up to a position.
    ///
    /// # Errors
    /// `InvalidRoom`, `Stopped`, `InvalidArgument` for a position that the room has not; `Unsupported` with a broker.
    pub(crate) fn trim(&self, name: &str, up_to: Position) -> Result<()> {
        check_name(name)?;
        let mut directory = self.lock();
        if directory.stopped {
            return Err(Error::Stopped);
        }
        if self.link.is_some() {
            return Err(Error::Unsupported(
                "a broker keeps the rooms; it drops what is old by itself",
            ));
        }
        if up_to.is_none() {
            let why = "it is no position; pass that of a message, or of the room";
            return Err(Error::InvalidArgument { what: "up_to", why });
        }
        // A room that does not exist keeps nothing.
        let Some(room) = directory.get(name).cloned() else { return Ok(()) };
        room.trim(up_to, &self.context, &self.kept).map_err(|gap| {
            let why = match gap {
                Gap::Ahead => "the room has not come that far; pass a position of this room",
                _ => "it is of another history; pass a position of this room, such as its own",
            };
            Error::InvalidArgument { what: "up_to", why }
        })?;
        // Nothing keeps a room that has neither clients nor messages.
        if let Some(key) = room.idle_key()
            && let Ok(position) = room.retire_if_empty(&self.context, &self.kept)
        {
            if directory.idle.remove(key).is_some() {
                self.kept.fetch_sub(ROOM_OVERHEAD, Ordering::Relaxed);
            }
            self.remove_retired(&mut directory, &room, position);
        }
        Ok(())
    }

    /// Drops the history of a room, and begins another one with a new epoch. Waits while an inbox is full: the room's
    /// subscribers are told.
    ///
    /// # Errors
    /// `InvalidRoom`, `QueueFull`, `Stopped`; `Unsupported` with a broker.
    pub(crate) fn forget_history(&self, name: &str, call: &HostCall) -> Result<()> {
        check_name(name)?;
        if self.link.is_none() {
            self.wait_for_space(call)?;
        }
        let mut directory = self.lock();
        if directory.stopped {
            return Err(Error::Stopped);
        }
        if self.link.is_some() {
            return Err(Error::Unsupported(
                "a broker keeps the rooms, and gives them their epochs",
            ));
        }
        if !self.context.options.has_history() {
            return Ok(());
        }
        if let Some(room) = directory.get(name).cloned() {
            match room.idle_key() {
                Some(key) => {
                    if directory.idle.remove(key).is_some() {
                        self.kept.fetch_sub(ROOM_OVERHEAD, Ordering::Relaxed);
                    }
                    self.forget(&mut directory, &room);
                }
                // Its subscribers stay.
                None => room.begin_epoch(directory.next_epoch(), &self.shards, &self.kept),
            }
        }
        // Also where it stood: a room that comes again has a new epoch.
        let now = self.context.age_clock.now();
        directory.forgotten.take(name, now);
        Ok(())
    }
}

/// Makes the page that the host gets.
fn page(context: &Context, room: &RoomHead, position: Position, part: Part) -> HistoryPage {
    let Part { messages, has_more, gap } = part;
    let stored = |(offset, published): (u64, Published)| {
        let Published { message, author, key, time } = published;
        let name = author.as_ref().and_then(|author| author.name.as_ref());
        StoredMessage {
            position: Position::of(room.epoch, offset),
            client: author.as_ref().and_then(|author| context.client_of(author.client.as_deref()?)),
            identity: author.as_ref().and_then(|author| author.identity.clone()),
            name: name.map(|name| Arc::clone(&name.text)),
            is_name_claimed: name.is_some_and(|name| name.is_claimed),
            key: key.as_ref().map(Key::as_str).map(str::to_owned),
            time,
            message,
        }
    };
    let messages = messages.into_iter().map(stored).collect();
    HistoryPage { messages, has_more, position, gap }
}

//! The rooms that one client is in.

use std::{
    cell::{Cell, RefCell},
    fmt,
    sync::Arc,
};

use super::client::Client;
use crate::{error::Result, message::Message};

/// A client's place in one room, which it leaves when this is dropped.
///
/// What a room is, the shard does not know: that is a floor above.
pub(crate) trait Seat {
    /// The room's name.
    fn room(&self) -> &Arc<str>;

    /// Publishes a message of the client to the room. Returns its offset.
    ///
    /// # Errors
    /// `Stopped`.
    fn publish(&self, client: &Client, message: Message) -> Result<u64>;
}

// Not asked of each seat: through it the formatting of all that a shard has would be a part of every
// program, 50 KB of it.
impl fmt::Debug for dyn Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Seat").field(self.room()).finish()
    }
}

/// A client's seats. Nearly all clients have one: further ones are behind a pointer.
#[derive(Debug, Default)]
pub(crate) struct Seats {
    rooms: RefCell<Rooms>,
    /// The client's number among those who receive broadcasts.
    everyone: Cell<Option<u32>>,
}

#[derive(Debug, Default)]
struct Rooms {
    /// The room that the client speaks to: of those that it is in, the one it joined first.
    first: Option<Box<dyn Seat>>,
    #[allow(clippy::box_collection)] // One word in each of a million clients, not three.
    more: Option<Box<Vec<Box<dyn Seat>>>>,
}

impl Rooms {
    fn iter(&self) -> impl Iterator<Item = &dyn Seat> {
        let more = self.more.iter().flat_map(|more| more.iter());
        self.first.iter().chain(more).map(|seat| &**seat)
    }
}

impl Seats {
    /// Adds a room that the client is not in yet.
    pub(crate) fn add(&self, seat: Box<dyn Seat>) {
        let mut rooms = self.rooms.borrow_mut();
        if rooms.first.is_none() {
            rooms.first = Some(seat);
        } else {
            rooms.more.get_or_insert_default().push(seat);
        }
    }

    /// In how many rooms the client is beside the first.
    pub(crate) fn more(&self) -> usize {
        self.rooms.borrow().more.as_ref().map_or(0, |more| more.len())
    }

    pub(crate) fn has(&self, room: &str) -> bool {
        self.rooms.borrow().iter().any(|seat| &**seat.room() == room)
    }

    /// Takes the client's seat in a room, which it leaves when that is dropped.
    pub(crate) fn remove(&self, room: &str) -> Option<Box<dyn Seat>> {
        let mut rooms = self.rooms.borrow_mut();
        let Rooms { first, more } = &mut *rooms;
        if first.as_ref().is_some_and(|seat| &**seat.room() == room) {
            let next = more.as_mut().filter(|more| !more.is_empty()).map(|more| more.remove(0));
            return std::mem::replace(first, next);
        }
        let more = more.as_mut()?;
        let index = more.iter().position(|seat| &**seat.room() == room)?;
        Some(more.remove(index))
    }

    /// Leaves all rooms.
    pub(crate) fn clear(&self) {
        // Dropped when nothing is borrowed any more.
        drop(self.rooms.take());
    }

    /// The room that the client speaks to.
    pub(crate) fn first(&self) -> Option<Arc<str>> {
        self.rooms.borrow().first.as_ref().map(|seat| Arc::clone(seat.room()))
    }

    /// Publishes a message of the client to one of its rooms; `None` if it is not in that.
    pub(crate) fn publish_in(
        &self,
        room: &str,
        client: &Client,
        message: Message,
    ) -> Option<Result<u64>> {
        let rooms = self.rooms.borrow();
        let seat = rooms.iter().find(|seat| &**seat.room() == room)?;
        Some(seat.publish(client, message))
    }

    /// Publishes a message of the client to the room that it speaks to. If it is in none, the message
    /// comes back.
    pub(crate) fn publish(
        &self,
        client: &Client,
        message: Message,
    ) -> Result<Result<u64>, Message> {
        match &self.rooms.borrow().first {
            Some(seat) => Ok(seat.publish(client, message)),
            None => Err(message),
        }
    }

    /// Notes the client's number among those who receive broadcasts. Returns the one before.
    pub(crate) fn set_everyone(&self, number: Option<usize>) -> Option<usize> {
        let number = number.and_then(|number| u32::try_from(number).ok());
        self.everyone.replace(number).map(|number| number as usize)
    }
}

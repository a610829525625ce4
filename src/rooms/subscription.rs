//! A client's place in a room, from its reservation to its end.

use std::{rc::Rc, sync::Arc};

use bytes::Bytes;

use super::Rooms;
use crate::{
    error::Result,
    message::Message,
    room::{Room, Speaker},
    shard::{Shard, client::Client, seats::Seat},
};

/// One of a room's subscribers on a shard, as far as the room counts it.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) rooms: Arc<Rooms>,
    pub(super) room: Arc<Room>,
    pub(super) shard: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.rooms.leave(&self.room, self.shard);
    }
}

/// A place in a room that the client's shard has not taken yet. Until then what is published waits in
/// the shard's inbox behind it.
#[derive(Debug)]
pub(crate) struct Reservation {
    pub(super) place: Place,
    /// The first message that the client is to see.
    pub(super) from: u64,
    /// Messages from before that.
    pub(super) messages: Vec<Message>,
}

impl Reservation {
    /// The room's name.
    pub(crate) fn room(&self) -> &str {
        self.place.room.name()
    }

    /// Puts the client into the room, on its shard's thread.
    pub(super) fn take(self, shard: &Rc<Shard>, client: &Rc<Client>) -> Subscription {
        let Self { place, from, messages } = self;
        replay(shard, client, &messages);
        let number = shard.subscribe(place.room.id(), Rc::clone(client), from);
        Subscription { shard: Rc::clone(shard), number, place }
    }
}

/// A place among those who receive broadcasts, that the client's shard has not taken yet.
#[derive(Debug)]
pub(crate) struct Audience {
    rooms: Arc<Rooms>,
    shard: usize,
    /// The first broadcast that the client is to see.
    from: u64,
    is_taken: bool,
}

impl Audience {
    pub(super) fn new(rooms: Arc<Rooms>, shard: usize, from: u64) -> Self {
        Self { rooms, shard, from, is_taken: false }
    }

    /// Lets the client receive what is broadcast, on its shard's thread, until it leaves.
    pub(crate) fn take(mut self, shard: &Shard, client: &Rc<Client>) {
        let number = shard.subscribe(self.rooms.everyone.id(), Rc::clone(client), self.from);
        client.seats().set_everyone(Some(number));
        self.is_taken = true;
    }
}

impl Drop for Audience {
    fn drop(&mut self) {
        if !self.is_taken {
            self.rooms.everyone.unsubscribe(self.shard);
        }
    }
}

/// Sends a client the last of the messages, as many as half its outbox may hold, in one write.
fn replay(shard: &Rc<Shard>, client: &Rc<Client>, messages: &[Message]) {
    let mut len = 0;
    let fits = messages.iter().rev().take_while(|message| {
        len += message.frame_len();
        len <= shard.context.options.outbox_size / 2
    });
    let count = fits.count();
    let mut frames = Vec::new();
    for message in &messages[messages.len() - count..] {
        message.append_frame(&mut frames);
    }
    if count > 0 {
        // Counted from the start: until the handshake is answered the outbox keeps all.
        let frames = Bytes::from(frames);
        shard.drain_if(client, client.deliver(&frames, count as u64));
    }
}

/// A client's place in a room, which it leaves when this is dropped.
#[derive(Debug)]
pub(super) struct Subscription {
    shard: Rc<Shard>,
    number: usize,
    // Dropped last: first nothing is delivered any more, then the room counts one less.
    place: Place,
}

impl Seat for Subscription {
    fn room(&self) -> &Arc<str> {
        self.place.room.name()
    }

    fn publish(&self, client: &Client, message: Message) -> Result<u64> {
        let speaker = Speaker { client, number: self.number };
        self.place.rooms.publish_from(speaker, &self.place.room, message)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.shard.unsubscribe(self.place.room.id(), self.number);
    }
}

//! A client: its identity, its memberships, and how it publishes.
//!
//! Lives on its shard's thread alone.

use std::{
    cell::{Cell, RefCell},
    fmt,
    rc::Rc,
    sync::Arc,
};

use super::{
    Rooms,
    memberships::{Membership, Memberships},
    room::{Room, Sender, report_message},
};
use crate::{
    context::Context,
    event::ClientId,
    fanout::{Fanout, command::RoomId, inbox::QueueKind, outbound::Outbound},
    message::Message,
    position::Position,
};

/// How much one read takes, in bytes, from a client whose frames are shorter than `SHORT_FRAME` on average. A
/// whole read buffer may hold ten thousand of them, and all other clients of the shard would wait.
const SMALL_READ: usize = 8 * 1024;
const SHORT_FRAME: usize = 128;

/// One client. There may be very many, most of them idle: fields that are rarely set are behind a pointer.
pub(crate) struct Client {
    out: Rc<Outbound>,
    /// Whether the client receives its own messages.
    echo: Cell<bool>,
    /// Whether the last read held short frames.
    has_short_frames: Cell<bool>,
    memberships: RefCell<Memberships>,
    /// What the host calls it. Boxed: most hosts name no clients.
    identity: Cell<Option<Box<Arc<str>>>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("out", &self.out).finish_non_exhaustive()
    }
}

impl Client {
    pub(crate) fn new(out: Rc<Outbound>, echo: bool) -> Rc<Self> {
        Rc::new(Self {
            out,
            echo: Cell::new(echo),
            has_short_frames: Cell::new(false),
            memberships: RefCell::default(),
            identity: Cell::default(),
        })
    }

    pub(crate) fn id(&self) -> ClientId {
        self.out.id()
    }

    /// Returns the outbound half of its connection.
    pub(crate) fn out(&self) -> &Rc<Outbound> {
        &self.out
    }

    /// Returns what the host calls it, if the host has set that.
    pub(crate) fn identity(&self) -> Option<Arc<str>> {
        let boxed = self.identity.take();
        let identity = boxed.as_deref().cloned();
        self.identity.set(boxed);
        identity
    }

    pub(crate) fn set_identity(&self, identity: Arc<str>) {
        self.identity.set(Some(Box::new(identity)));
    }

    pub(crate) fn set_echo(&self, echo: bool) {
        self.echo.set(echo);
    }

    /// Returns the id and the name of the room that it publishes to.
    pub(crate) fn room(&self) -> Option<(RoomId, Arc<str>)> {
        let memberships = self.memberships.borrow();
        memberships.first().map(|first| (first.room.id(), Arc::clone(first.room.name())))
    }

    pub(crate) fn is_in(&self, room: RoomId) -> bool {
        self.memberships.borrow().has(room)
    }

    /// Returns how many rooms it is in.
    pub(crate) fn rooms(&self) -> usize {
        self.memberships.borrow().len()
    }

    /// Adds a membership in a room that has counted the client as a subscriber already, and that it is not in
    /// yet. It receives the room's messages from an offset on.
    pub(crate) fn join(&self, fanout: &mut Fanout, room: Arc<Room>, from: u64) {
        let slot = fanout.subscribe(room.head(), &self.out, from);
        self.memberships.borrow_mut().add(Membership { room, slot });
    }

    /// Removes the membership in a room. Returns the room, which still counts the client as a subscriber;
    /// `None` if the client is not in it.
    pub(crate) fn leave(&self, fanout: &mut Fanout, room: RoomId) -> Option<Arc<Room>> {
        let left = self.memberships.borrow_mut().remove(room)?;
        fanout.unsubscribe(&self.out, left.slot);
        Some(left.room)
    }

    /// Removes the membership in the room that it publishes to, as `leave` does.
    pub(crate) fn leave_first(&self, fanout: &mut Fanout) -> Option<Arc<Room>> {
        let left = self.memberships.borrow_mut().pop()?;
        fanout.unsubscribe(&self.out, left.slot);
        Some(left.room)
    }

    /// The queue of the inboxes that its messages go to.
    pub(crate) fn queue(&self, rooms: &Rooms) -> QueueKind {
        let commands = &self.out.shared().sender_commands;
        let sender =
            Sender { id: self.id(), is_excluded: false, identity: None, author: None, commands };
        rooms.queue_of(&sender, self.memberships.borrow().first().map(|first| &*first.room))
    }

    /// Publishes a message to the client's room. If it is in none, the message goes to the host alone.
    pub(crate) fn publish(&self, rooms: &Rooms, message: Message) {
        let sender = self.sender(rooms.context());
        match self.memberships.borrow().first() {
            // Fails if the server stops: then the message is dropped.
            Some(first) => drop(rooms.publish_from(&sender, &first.room, message)),
            None => tell_host(rooms.context(), &sender, &message),
        }
    }

    /// Publishes a message to a room that the client was in when it sent it, or tells the host alone if it
    /// was in none. Returns false if it has left the room since, or the server stops.
    pub(crate) fn publish_in(&self, rooms: &Rooms, room: Option<RoomId>, message: Message) -> bool {
        let sender = self.sender(rooms.context());
        let Some(room) = room else {
            tell_host(rooms.context(), &sender, &message);
            return true;
        };
        let memberships = self.memberships.borrow();
        let published = memberships
            .get(room)
            .map(|membership| rooms.publish_from(&sender, &membership.room, message));
        published.is_some_and(|published| published.is_ok())
    }

    fn sender(&self, context: &Context) -> Sender<'_> {
        let identity = if context.events.is_enabled() { self.identity() } else { None };
        let commands = &self.out.shared().sender_commands;
        Sender { id: self.id(), is_excluded: !self.echo.get(), identity, author: None, commands }
    }

    /// Returns how much one read takes from the client, in bytes.
    pub(crate) fn read_size(&self) -> usize {
        if self.has_short_frames.get() { SMALL_READ } else { usize::MAX }
    }

    /// Notes how many bytes and frames one read held.
    pub(crate) fn note_read(&self, bytes: usize, frames: usize) {
        self.has_short_frames.set(frames * SHORT_FRAME > bytes);
    }
}

/// Tells the host of a message of a client that is in no room.
fn tell_host(context: &Context, sender: &Sender<'_>, message: &Message) {
    report_message(context, sender, &Arc::from(""), Position::NONE, message);
    context.events.wake();
}

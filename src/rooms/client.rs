//! A client: its identity, its memberships, and how it publishes.
//!
//! Lives on its shard's thread alone.

use std::{
    cell::{Cell, RefCell},
    fmt,
    rc::Rc,
    sync::Arc,
};

use bytes::Bytes;

use super::{
    Publishing, Rooms,
    memberships::{Membership, Memberships},
    profile::Profile,
    room::Room,
    sender::{Ack, Sender, report_message},
    signals,
};
use crate::{
    context::Context,
    event::ClientId,
    fanout::{
        Fanout,
        answers::Awaited,
        command::{Answer, Command, Loaded, RoomHead, RoomId},
        form::Form,
        inbox::QueueKind,
        outbound::Outbound,
        replay::Replay,
    },
    json::Refusal,
    keys::{Keyed, Known, Scope},
    members,
    message::Message,
    options::Members,
    position::Position,
    published::{Key, Name},
};

/// How much one read takes, in bytes, from a client whose frames are shorter than `SHORT_FRAME` on average. A
/// whole read buffer may hold ten thousand of them, and all other clients of the shard would wait.
const SMALL_READ: usize = 8 * 1024;
const SHORT_FRAME: usize = 128;

/// How many of a client's requests for earlier messages may be open.
const MAX_HISTORIES: u8 = 2;

/// One client. There may be very many, most of them idle: fields that are rarely set are behind a pointer.
pub(crate) struct Client {
    out: Rc<Outbound>,
    /// Whether the client receives its own messages.
    echo: Cell<bool>,
    /// Whether the last read held short frames.
    has_short_frames: Cell<bool>,
    /// How many of its requests for earlier messages are not answered yet.
    open_histories: Cell<u8>,
    /// Whether it has asked to be told of the members of its rooms, and what the host says to that.
    asks_members: Cell<bool>,
    may_watch: Cell<Option<bool>>,
    presence: Cell<Presence>,
    memberships: RefCell<Memberships>,
    profile: Profile,
}

/// How a client is a member of its rooms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    Here,
    /// The host closes its connection: it is not expected to come back.
    Dismissed,
    /// It is none any more, and leaves its rooms later.
    Gone,
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
            open_histories: Cell::new(0),
            asks_members: Cell::new(false),
            may_watch: Cell::new(None),
            presence: Cell::new(Presence::Here),
            memberships: RefCell::default(),
            profile: Profile::default(),
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
        self.profile.identity()
    }

    pub(crate) fn set_identity(&self, identity: Option<Arc<str>>) {
        self.profile.set_identity(identity);
    }

    /// Sets what other clients are told that it is called.
    pub(crate) fn set_name(&self, name: Option<Name>) {
        self.profile.set_name(name);
    }

    /// Returns what others may know of it as a member.
    pub(crate) fn known(&self) -> Arc<members::Known> {
        members::Known::new(self.id(), self.profile.identity(), self.profile.name())
    }

    /// Notes that it asks to be told of the members of its rooms.
    pub(crate) fn ask_members(&self) {
        self.asks_members.set(true);
    }

    /// Sets whether it may be told of them, whatever the option says.
    pub(crate) fn set_may_watch(&self, may: bool) {
        self.may_watch.set(Some(may));
    }

    /// Returns the form in which it is told of the members of its rooms, if it is told.
    pub(crate) fn watches_in(&self, context: &Context) -> Option<Form> {
        let members = context.options.members;
        let may = self.may_watch.get().unwrap_or(members == Members::Clients);
        let form = self.out.form();
        let is_told = self.asks_members.get() && may && members != Members::Off;
        (is_told && form.has_objects()).then_some(form)
    }

    /// Notes that the host closes its connection.
    pub(crate) fn dismiss(&self) {
        self.presence.set(Presence::Dismissed);
    }

    /// Notes that it is no member of its rooms any more. Returns false if that was noted before.
    pub(crate) fn set_gone(&self) -> bool {
        self.presence.replace(Presence::Gone) != Presence::Gone
    }

    /// Whether it is a member of its rooms.
    pub(crate) fn is_member(&self) -> bool {
        self.presence.get() != Presence::Gone
    }

    /// Whether it may come back, if it leaves a room now: its connection has ended, and not by the host.
    pub(crate) fn may_return(&self) -> bool {
        self.out.disconnect().is_some() && self.presence.get() != Presence::Dismissed
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

    /// Calls `act` with the rooms that it is in.
    pub(crate) fn with_rooms<T>(
        &self,
        act: impl FnOnce(&mut dyn Iterator<Item = &Arc<Room>>) -> T,
    ) -> T {
        act(&mut self.memberships.borrow().rooms())
    }

    /// Returns how many rooms it is in.
    pub(crate) fn rooms(&self) -> usize {
        self.memberships.borrow().len()
    }

    /// Adds a membership in a room that has counted the client as a subscriber already, and that it is not in
    /// yet. It receives the room's messages from a number of its lanes on, and may read those after the offset `floor`.
    pub(crate) fn join(
        &self,
        fanout: &mut Fanout,
        (room, head): (Arc<Room>, &Arc<RoomHead>),
        from: u64,
        floor: u64,
    ) {
        let slot = fanout.subscribe(head, &self.out, from);
        self.profile.set_floor(room.id(), floor);
        self.memberships.borrow_mut().add(Membership { room, slot });
    }

    /// Receives a room's messages from another number of its lane on.
    pub(crate) fn resume(&self, fanout: &mut Fanout, room: RoomId, from: u64) {
        if let Some(membership) = self.memberships.borrow().get(room) {
            fanout.resume(membership.slot, from);
        }
    }

    /// Takes what of a room's past was read for it under a number.
    pub(crate) fn load(&self, loaded: Loaded) {
        let Loaded { load, room, past } = loaded;
        self.profile.set_floor(room.id, past.floor);
        self.out.load(load, Replay::new(room, self.out.form(), past));
    }

    /// Removes the membership in a room. Returns the room, which still counts the client as a subscriber;
    /// `None` if the client is not in it.
    pub(crate) fn leave(&self, fanout: &mut Fanout, room: RoomId) -> Option<Arc<Room>> {
        let left = self.memberships.borrow_mut().remove(room)?;
        self.profile.set_floor(room, 0);
        fanout.unsubscribe(&self.out, left.slot);
        Some(left.room)
    }

    /// Removes the membership in the room that it publishes to, as `leave` does.
    pub(crate) fn leave_first(&self, fanout: &mut Fanout) -> Option<Arc<Room>> {
        let left = self.memberships.borrow_mut().pop()?;
        fanout.unsubscribe(&self.out, left.slot);
        Some(left.room)
    }

    /// Returns a room that it is in, by name: the room that it publishes to, if there is no name.
    pub(crate) fn room_named(&self, rooms: &Rooms, name: Option<&str>) -> Option<Arc<Room>> {
        let Some(name) = name else {
            return self.memberships.borrow().first().map(|first| Arc::clone(&first.room));
        };
        rooms.by_name(name).filter(|room| self.is_in(room.id()))
    }

    /// Returns a room that it is in, and the offset after which it may read the room's history.
    pub(crate) fn readable(&self, room: RoomId) -> Option<(Arc<Room>, u64)> {
        let memberships = self.memberships.borrow();
        let membership = memberships.get(room)?;
        Some((Arc::clone(&membership.room), self.profile.floor(room)))
    }

    /// The queue of the inboxes that its messages go to.
    pub(crate) fn queue(&self, rooms: &Rooms) -> QueueKind {
        if self.out.form().says_more() && self.rooms() > 1 {
            // It may publish to any of them.
            return QueueKind::Commands;
        }
        let commands = &self.out.shared().sender_commands;
        let sender = Sender {
            id: self.id(),
            is_excluded: false,
            identity: None,
            author: None,
            commands,
            is_answered: false,
            ack: None,
            keyed: None,
        };
        rooms.queue_of(&sender, self.memberships.borrow().first().map(|first| &*first.room))
    }

    /// Publishes a message to the room that the client publishes to. If it is in none, the message goes to the host
    /// alone.
    pub(crate) fn publish(&self, rooms: &Rooms, message: Message) {
        let sender = self.sender(rooms.context(), None);
        match self.memberships.borrow().first() {
            // Fails if the server stops: then the message is dropped.
            Some(first) => drop(rooms.publish_from(&sender, &first.room, message)),
            None => tell_host(rooms.context(), &sender, &message),
        }
    }

    /// Publishes a message to a room that the client was in when it sent it, or tells the host alone if it
    /// was in none. Then the client gets its `ack`, if it wants one. Returns where the message is; none if that is not
    /// known yet.
    ///
    /// # Errors
    /// `NotInRoom` if it has left the room since, `KeyReused`, `Stopping`.
    pub(crate) fn publish_in(
        &self,
        rooms: &Rooms,
        room: Option<RoomId>,
        message: Message,
        ack: Option<Ack<'_>>,
        keyed: Option<&Keyed>,
    ) -> Result<Position, Refusal> {
        let sender = Sender { keyed, ..self.sender(rooms.context(), ack) };
        let Some(room) = room else {
            tell_host(rooms.context(), &sender, &message);
            if let Some(ack) = ack {
                self.answer(rooms, ack.encode(None, Position::NONE));
            }
            return Ok(Position::NONE);
        };
        let memberships = self.memberships.borrow();
        let membership = memberships.get(room).ok_or(Refusal::NotInRoom)?;
        let room = &membership.room;
        match rooms.publish_from(&sender, room, message).map_err(|_| Refusal::Stopping)? {
            Publishing::Later(number) if sender.is_answered => {
                let (id, room) = (ack.map(|ack| ack.id.into()), Arc::clone(room.name()));
                let is_changed = ack.is_some_and(|ack| ack.is_changed);
                self.expect(number, Awaited::Sent { id, room, is_changed });
                Ok(Position::NONE)
            }
            Publishing::Later(_) => Ok(Position::NONE),
            Publishing::Now(position) => Ok(position),
            Publishing::Known(Known::Reused) => Err(Refusal::KeyReused),
            Publishing::Known(Known::Same(position)) => {
                self.answer_duplicate(rooms, room.name(), ack, position);
                Ok(position)
            }
        }
    }

    /// Tells the client that its message was published before, at a position, if it wants an answer.
    pub(crate) fn answer_duplicate(
        &self,
        rooms: &Rooms,
        room: &str,
        ack: Option<Ack<'_>>,
        position: Position,
    ) {
        rooms.context().counters.duplicates.add(1);
        if let Some(ack) = ack {
            self.answer(rooms, ack.encode_duplicate(room, position));
        }
    }

    /// Makes the key of a message of the client to a room.
    pub(crate) fn keyed(&self, rooms: &Rooms, room: &str, key: Key, message: &Message) -> Keyed {
        let identity = self.identity();
        let scope = identity.as_deref().map_or(Scope::Anonymous, Scope::Identity);
        let known_by = rooms.context().keys.known_by(room, scope, &key, message);
        Keyed { key, known_by }
    }

    /// Whether it may signal now, at most `rate` times a second; then that is counted.
    pub(crate) fn may_signal(&self, rate: u32) -> bool {
        self.profile.may_signal(rate, self.out.shared().now())
    }

    /// Signals to the other subscribers of a room that it is in, and to the host.
    pub(crate) fn signal(&self, rooms: &Rooms, room: &Room, message: &Message) {
        rooms.signal_from(&self.sender(rooms.context(), None), room, message);
    }

    /// Signals to the host alone, from a room that it is in, or from none.
    pub(crate) fn signal_host(&self, rooms: &Rooms, room: Option<&Room>, message: &Message) {
        let room = room.map(|room| Arc::clone(room.name())).unwrap_or_default();
        let context = rooms.context();
        signals::report(context, &self.sender(context, None), &room, message);
    }

    /// Notes that an answer is awaited under a number: what the client is told later waits behind it.
    pub(crate) fn expect(&self, number: u64, awaited: Awaited) {
        self.out.shared().answers.expect(self.id(), number, awaited);
    }

    /// Tells the client something, behind what its earlier messages have become.
    pub(crate) fn answer(&self, rooms: &Rooms, frame: Bytes) {
        self.push_answer(rooms, Command::Answer(Answer { client: self.id(), frame }));
    }

    /// Counts a request for earlier messages. Returns false if it cannot be answered now, because too many are open or
    /// the client has not read what came before: the answers are long, the host's calls would wait behind them, and
    /// the client would be closed for what it asked for.
    pub(crate) fn begin_history(&self, rooms: &Rooms) -> bool {
        let open = self.open_histories.get();
        let has_space = self.out.waiting_bytes() <= rooms.context().options.outbox_size / 4;
        let may_ask = open < MAX_HISTORIES && has_space;
        if may_ask {
            self.open_histories.set(open + 1);
        }
        may_ask
    }

    /// Counts an answer to such a request.
    pub(crate) fn end_history(&self) {
        self.open_histories.update(|open| open.saturating_sub(1));
    }

    /// Pushes a command that answers the client, behind what its earlier messages have become.
    pub(crate) fn push_answer(&self, rooms: &Rooms, command: Command) {
        let command = match (command, rooms.link.as_deref()) {
            (Command::Answer(Answer { client, frame }), Some(_)) => {
                // It may wait behind an answer that a broker has to give.
                let Some(frame) = self.out.shared().answers.pass(client, frame) else { return };
                Command::Answer(Answer { client, frame })
            }
            (Command::History(client, request), Some(link)) => match self.readable(request.room) {
                Some((room, floor)) => {
                    let room = Arc::clone(room.name());
                    let number = rooms.read_for(link, client, &room, &request);
                    return self.expect(number, Awaited::History { request, room, floor });
                }
                None => {
                    self.end_history();
                    let refused = self.out.form().refused(Some(&request.id), Refusal::NotInRoom);
                    return refused.into_iter().for_each(|frame| self.answer(rooms, frame));
                }
            },
            (command, _) => command,
        };
        rooms.answer(self.id(), &self.out.shared().sender_commands, command);
    }

    fn sender<'a>(&'a self, context: &Context, ack: Option<Ack<'a>>) -> Sender<'a> {
        Sender {
            id: self.id(),
            is_excluded: !self.echo.get(),
            identity: if context.events.is_enabled() { self.identity() } else { None },
            author: Some(self.profile.author(self.id(), context)),
            commands: &self.out.shared().sender_commands,
            is_answered: self.out.form().says_more(),
            ack,
            keyed: None,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_client_is_small() {
        assert_eq!(size_of::<Client>(), 56);
    }
}

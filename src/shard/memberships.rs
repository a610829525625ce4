//! How clients join rooms and leave them, on their shard's thread.

use std::{cell::RefCell, collections::VecDeque, rc::Rc, sync::Arc};

use super::Shard;
use crate::{
    error::Result,
    event::{ClientId, Event},
    fanout::{
        command::{Cost, Rejection, Reservation, RoomId, WRITE},
        replay::Replay,
    },
    past::PastWanted,
    rooms::{client::Client, room::Room},
};

/// How many rooms a client leaves at once. One that is in more leaves them over several ticks.
const MAX_AT_ONCE: usize = 32;

/// What a tick may spend on clients that leave many rooms.
const LEAVE_BUDGET: Cost = 16 * WRITE;

/// The cost of leaving a room.
const LEAVE_COST: Cost = WRITE / 4;

/// The clients that are leaving many rooms, first come, first served.
#[derive(Debug, Default)]
pub(super) struct Departures(RefCell<VecDeque<Departure>>);

/// A client that is leaving its rooms.
#[derive(Debug)]
struct Departure {
    client: Rc<Client>,
    /// What the host is told when the client has left them.
    event: Option<Event>,
}

impl Shard {
    /// Joins a client to the room that its request asks for, and replays what it wants of the past. It receives
    /// broadcasts from here on.
    ///
    /// # Errors
    /// `Stopped`.
    pub(crate) fn subscribe(
        &self,
        client: &Rc<Client>,
        room: Option<&str>,
        wanted: &PastWanted,
    ) -> Result<()> {
        self.rooms.reserve_broadcasts(client.id(), |from| {
            self.fanout.borrow_mut().subscribe_to_broadcasts(client.out(), from);
            Ok(())
        })?;
        let Some(room) = room else { return Ok(()) };
        // The client joins after the locks are released: what is published meanwhile waits in the inbox.
        let reserved = self.rooms.reserve(client.id(), room, wanted, |room, reservation| {
            Ok((Arc::clone(room), reservation))
        });
        let (room, reservation) = reserved?;
        // False if the host has joined it to the room that it asks for.
        self.join(client, room, reservation);
        Ok(())
    }

    /// Joins a client to a room in which it has a reservation. Returns false, and undoes the reservation, if it
    /// is in the room already or is closing.
    fn join(&self, client: &Rc<Client>, room: Arc<Room>, reservation: Reservation) -> bool {
        let Reservation { room: head, from, past } = reservation;
        if client.is_in(head.id) || !client.out().is_open() {
            self.rooms.remove_subscriber(&room, self.index);
            return false;
        }
        let (out, floor) = (client.out(), past.floor);
        if out.form().says_more() {
            // It is told that it enters, behind what came before.
            self.fanout.borrow_mut().flush(out);
        }
        out.replay(Replay::new(Arc::clone(&head), out.form(), past));
        let beside = self.rooms.members().and_then(|_| client.room()).map(|(_, name)| name);
        client.join(&mut self.fanout.borrow_mut(), (room, &head), from, floor);
        self.note_entered(client, &head, beside.as_deref());
        true
    }

    /// Applies the host's `join`.
    pub(super) fn apply_join(&self, id: ClientId, reservation: Reservation) {
        // A room with a reservation is not forgotten.
        let Some(room) = self.rooms.by_id(reservation.room.id) else { return };
        let name = Arc::clone(room.name());
        let Some(client) = self.client(id) else {
            return self.rooms.remove_subscriber(&room, self.index);
        };
        if self.join(&client, room, reservation) {
            let identity = client.identity();
            self.context.events.push(Event::Joined { client: id, identity, room: name });
        }
    }

    /// Applies the host's `leave`.
    pub(super) fn apply_leave(&self, id: ClientId, room: RoomId) {
        let Some(client) = self.client(id) else { return };
        let Some(room) = client.leave(&mut self.fanout.borrow_mut(), room) else { return };
        self.note_left(&client, &room);
        self.rooms.remove_subscriber(&room, self.index);
        let (identity, room) = (client.identity(), Arc::clone(room.name()));
        client.out().say(client.out().form().removed(&room));
        self.context.events.push(Event::Left { client: id, identity, room });
    }

    /// Joins an admitted client to its rooms, and resumes its handshake.
    pub(super) fn admit(
        &self,
        id: ClientId,
        reservation: Option<Reservation>,
        broadcasts: u64,
        subprotocol: Option<Box<str>>,
    ) {
        let room =
            reservation.as_ref().and_then(|reservation| self.rooms.by_id(reservation.room.id));
        let (Some(waiter), Some(client)) = (self.admission_waiters.take(id), self.client(id))
        else {
            // It has left meanwhile.
            room.inspect(|room| self.rooms.remove_subscriber(room, self.index));
            return self.rooms.remove_broadcast_subscriber(self.index);
        };
        if let (Some(room), Some(reservation)) = (room, reservation) {
            // False if the host has joined it to the room that it asks for.
            self.join(&client, room, reservation);
        }
        self.fanout.borrow_mut().subscribe_to_broadcasts(client.out(), broadcasts);
        // Fails if the handshake has ended.
        let _ = waiter.send(Ok(subprotocol));
    }

    /// Ends the handshake of a client that the host has rejected.
    pub(super) fn reject(&self, id: ClientId, rejection: Rejection) {
        if let Some(waiter) = self.admission_waiters.take(id) {
            // Fails if the handshake has ended.
            let _ = waiter.send(Err(rejection));
        }
    }

    /// Takes a client out of all its rooms, and out of the subscribers to broadcasts. If its rooms are many, it
    /// leaves them over several ticks.
    pub(crate) fn leave_all_rooms(&self, client: &Rc<Client>) {
        if self.fanout.borrow_mut().unsubscribe_from_broadcasts(client.out()) {
            self.rooms.remove_broadcast_subscriber(self.index);
        }
        let is_departing =
            self.departures.0.borrow().iter().any(|departure| departure.client.id() == client.id());
        if is_departing {
            return;
        }
        if client.rooms() <= MAX_AT_ONCE {
            while self.leave_first(client) {}
        } else {
            let departure = Departure { client: Rc::clone(client), event: None };
            self.departures.0.borrow_mut().push_back(departure);
            // The next tick continues it.
            self.reactor.waker().wake();
        }
    }

    /// Queues the event that a client has left, once it is in no room any more.
    pub(crate) fn report_left(&self, client: ClientId, event: Event) {
        let mut departures = self.departures.0.borrow_mut();
        let departing = departures.iter_mut().find(|departure| departure.client.id() == client);
        match departing {
            Some(departure) => departure.event = Some(event),
            None => self.context.events.push(event),
        }
    }

    fn leave_first(&self, client: &Client) -> bool {
        let room = client.leave_first(&mut self.fanout.borrow_mut());
        let is_left = room.is_some();
        if let Some(room) = room {
            self.note_left(client, &room);
            self.rooms.remove_subscriber(&room, self.index);
        }
        is_left
    }

    /// Takes departing clients out of some of their rooms. Returns whether any departure is left.
    pub(super) fn continue_departures(&self) -> bool {
        let mut budget = LEAVE_BUDGET;
        while budget > 0 {
            let first = self.departures.0.borrow().front().map(|first| Rc::clone(&first.client));
            let Some(client) = first else { return false };
            budget = budget.saturating_sub(LEAVE_COST);
            if self.leave_first(&client) {
                continue;
            }
            let departed = self.departures.0.borrow_mut().pop_front();
            if let Some(event) = departed.and_then(|departed| departed.event) {
                self.context.events.push(event);
            }
        }
        !self.departures.0.borrow().is_empty()
    }

    /// Takes all departing clients out of their rooms, since the shard ends.
    pub(super) fn finish_departures(&self) {
        while self.continue_departures() {}
    }
}

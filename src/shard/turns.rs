//! A shard's work, in turns: what came since the last one is put into the lanes, and these are written.

use std::{collections::VecDeque, ops::ControlFlow, rc::Rc, time::Instant};

use super::{
    Shard,
    inbox::{Arrival, Call, Item, RoomId},
    lane::Share,
};
use crate::{event::ClientId, message::Message, reactor::Next};

/// How many writes the share of a turn is at first, and at the most: a quarter of a millisecond, and two. A
/// turn costs a quarter of a write. Shares double from turn to turn, unless somebody speaks who is to hear
/// itself early and so can say more that is joined.
const FIRST_WRITES: usize = 32;
const MAX_WRITES: usize = 256;

/// How long a write takes, more or less, in nanoseconds.
const WRITE_NANOS: u128 = 5_000;

/// How many times as long as a look at the sockets took the turn behind it may take: what some clients send
/// without end must not keep a room waiting.
const WEIGHT: u128 = 4;

/// How many connections begin in a turn: each takes as long as eight writes, and others wait meanwhile.
const ACCEPTED: usize = 8;

/// How many sleeps behind a new connection come without looking longer before them: what it brings next comes
/// once, and in a crowd looking costs more than it brings (3% of what connections that come and go take).
const SKIPPED: u32 = 8;

/// The lanes in which something waits, in the order in which they have their turn. A room that was left by
/// all and joined again may be there twice.
type Waiting = VecDeque<RoomId>;

/// A shard's work that is under way.
#[derive(Debug)]
pub(super) struct Turns {
    /// What was taken of the inbox, the last first.
    items: Vec<Item>,
    waiting: Waiting,
    writes: usize,
    /// When the shard has begun to look at the sockets, if something waited meanwhile.
    looked: Option<Instant>,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self { items: Vec::new(), waiting: Waiting::new(), writes: FIRST_WRITES, looked: None }
    }

    /// Whether all that was taken has been worked off.
    fn are_over(&self) -> bool {
        self.waiting.is_empty() && self.items.is_empty()
    }
}

impl Shard {
    /// Has a turn: what has come is put into the lanes, and a share of what waits there is written. The
    /// sockets that are ready were read before: what arrived together leaves together.
    pub(super) fn turn(
        self: &Rc<Self>,
        turns: &mut Turns,
        accept: &impl Fn(&Rc<Self>, Arrival),
    ) -> Next<()> {
        let Turns { items, waiting, writes, looked } = turns;
        if waiting.is_empty() {
            *writes = FIRST_WRITES;
        }
        if items.is_empty() && !self.backlogs.borrow().are_enough() {
            self.link.inbox.take(items);
            items.reverse();
        }
        if self.failed.get() {
            return Next::End(());
        }
        let mut accepted = 0;
        while !self.backlogs.borrow().are_full()
            && accepted < ACCEPTED
            && let Some(item) = items.pop()
        {
            accepted += usize::from(matches!(item, Item::Accept(_)));
            let Item::Deliver(delivery) = item else {
                if self.act(item, waiting, accept).is_break() {
                    return Next::End(());
                }
                continue;
            };
            if self.must_write_before(delivery.room, waiting) {
                self.flush(waiting);
            }
            let mut lanes = self.lanes.borrow_mut();
            let Some(lane) = lanes.get_mut(&delivery.room) else { continue };
            if lane.push(&delivery, &mut self.backlogs.borrow_mut()) {
                waiting.push_back(delivery.room);
            }
        }
        if !waiting.is_empty() {
            let looking = looked.take().map_or(0, |begun| begun.elapsed().as_nanos());
            let weighed = usize::try_from(WEIGHT * looking / WRITE_NANOS).unwrap_or(usize::MAX);
            let share = self.write(waiting, (*writes).max(weighed));
            *writes = share.next.unwrap_or(MAX_WRITES.min(2 * *writes));
        }
        self.context.events.wake();
        *looked = (!waiting.is_empty()).then(Instant::now);
        if turns.are_over() && self.link.inbox.may_sleep() { Next::Sleep } else { Next::Look }
    }

    /// Does what is asked for beside messages to rooms, after all that came before it. Breaks at the stop.
    #[cold] // So that the code for messages lies together.
    fn act(
        self: &Rc<Self>,
        item: Item,
        waiting: &mut Waiting,
        accept: &impl Fn(&Rc<Self>, Arrival),
    ) -> ControlFlow<()> {
        if let Item::Accept(arrival) = item {
            self.reactor.skip_busy_poll(SKIPPED);
            accept(self, *arrival);
            return ControlFlow::Continue(());
        }
        self.flush(waiting);
        match item {
            Item::Send(id, message) => self.send(id, &message),
            Item::Close(id, closing) => {
                if let Some(client) = self.client(id) {
                    self.drain_if(&client, client.close(closing));
                }
            }
            Item::Call(Call(call)) => call(self),
            Item::Stop => {
                self.context.events.wake();
                return ControlFlow::Break(());
            }
            Item::Accept(_) | Item::Deliver(_) => {}
        }
        ControlFlow::Continue(())
    }

    /// Whether what waits is to be written before a message of a room is put behind it. A broadcast and a
    /// room's messages are in different lanes with the same clients, and so are rooms that share a client:
    /// one is written before the other, in the order of publishing.
    fn must_write_before(&self, room: RoomId, waiting: &Waiting) -> bool {
        let Some(last) = waiting.back() else { return false };
        let is_broadcast = (*last == RoomId::EVERYONE) != (room == RoomId::EVERYONE);
        let is_other = waiting.len() > 1 || *last != room;
        is_broadcast || (self.more_seats.get() > 0 && is_other)
    }

    /// Writes all that waits in the lanes.
    fn flush(self: &Rc<Self>, waiting: &mut Waiting) {
        self.write(waiting, usize::MAX);
    }

    /// Writes what waits in the lanes, so many times. Who is not done comes after the others.
    fn write(self: &Rc<Self>, waiting: &mut Waiting, writes: usize) -> Share {
        let mut share = Share { left: writes, next: None };
        let mut lanes = self.lanes.borrow_mut();
        let mut backlogs = self.backlogs.borrow_mut();
        while share.left > 0
            && let Some(room) = waiting.pop_front()
        {
            let Some(lane) = lanes.get_mut(&room) else { continue };
            let lagging = |client: &_| self.drain_if(client, true);
            if !lane.write(&mut share, &mut backlogs, &self.context, lagging) {
                waiting.push_back(room);
            }
        }
        share
    }

    fn send(self: &Rc<Self>, id: ClientId, message: &Message) {
        if let Some(client) = self.client(id) {
            self.drain_if(&client, client.deliver(&message.frame(), 1));
        }
    }
}

//! A shard's work, in turns: what came since the last one is put into the lanes, and these are written.

use std::{future::poll_fn, rc::Rc};

use super::{
    Shard,
    inbox::{Arrival, Call, Item, RoomId},
};
use crate::{event::ClientId, message::Message};

impl Shard {
    /// Works the inbox off, in turns. The sockets that are ready are read before each turn, since
    /// their tasks were woken before this one: what arrived together leaves together.
    pub(super) async fn flush_until_stopped(self: &Rc<Self>, accept: impl Fn(&Rc<Self>, Arrival)) {
        let mut items = Vec::new();
        let mut dirty = Vec::new();
        loop {
            poll_fn(|cx| self.link.inbox.poll_take(cx, &mut items)).await;
            if self.failed.get() {
                return;
            }
            for item in items.drain(..) {
                match item {
                    Item::Deliver(delivery) => {
                        // A broadcast and a room's messages are in different lanes with the same
                        // clients, and so are rooms that share a client: one is written before the
                        // other, in the order of publishing.
                        if dirty.last().is_some_and(|last| self.may_share(*last, delivery.room)) {
                            self.flush(&mut dirty);
                        }
                        let mut lanes = self.lanes.borrow_mut();
                        let Some(lane) = lanes.get_mut(&delivery.room) else { continue };
                        let room = delivery.room;
                        if lane.push(delivery) {
                            dirty.push(room);
                        }
                    }
                    Item::Send(id, message) => {
                        self.flush(&mut dirty);
                        self.send(id, &message);
                    }
                    Item::Close(id, closing) => {
                        self.flush(&mut dirty);
                        if let Some(client) = self.client(id) {
                            self.drain_if(&client, client.close(closing));
                        }
                    }
                    Item::Accept(arrival) => accept(self, *arrival),
                    Item::Call(Call(call)) => {
                        self.flush(&mut dirty);
                        call(self);
                    }
                    Item::Stop => {
                        self.flush(&mut dirty);
                        self.context.events.wake();
                        return;
                    }
                }
            }
            self.flush(&mut dirty);
            self.context.events.wake();
            if !self.link.inbox.is_empty() {
                // Lets the sockets that became ready meanwhile be read before the next turn.
                tokio::task::yield_now().await;
            }
        }
    }

    /// Whether a client may be in both of two rooms.
    fn may_share(&self, one: RoomId, other: RoomId) -> bool {
        let is_broadcast = (one == RoomId::EVERYONE) != (other == RoomId::EVERYONE);
        is_broadcast || (self.more_seats.get() > 0 && one != other)
    }

    /// Writes what waits in the lanes.
    fn flush(self: &Rc<Self>, dirty: &mut Vec<RoomId>) {
        if dirty.is_empty() {
            return;
        }
        let mut lanes = self.lanes.borrow_mut();
        let mut joiner = self.joiner.borrow_mut();
        for room in dirty.drain(..) {
            if let Some(lane) = lanes.get_mut(&room) {
                lane.flush(&mut joiner, &self.context, |client| self.drain_if(client, true));
            }
        }
    }

    fn send(self: &Rc<Self>, id: ClientId, message: &Message) {
        if let Some(client) = self.client(id) {
            self.drain_if(&client, client.deliver(&message.frame(), 1));
        }
    }
}

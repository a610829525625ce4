//! Applies commands about one client: the host's, and a client's own close.

use std::{rc::Rc, sync::Arc};

use bytes::Bytes;

use super::Shard;
use crate::{
    broker::Page,
    event::ClientId,
    fanout::{
        answers::Awaited,
        command::{Answer, Command, Cost, HistoryRequest, RoomHead, Settled, WRITE},
        form::Form,
    },
    json::Refusal,
    message::Message,
    position::Position,
    rooms::{client::Client, sender::Ack},
};

impl Shard {
    /// Applies a command on a client, after the flush that it requires. Returns the cost of the flush.
    #[cold] // Keeps the code that handles messages together in the instruction cache.
    pub(super) fn apply(self: &Rc<Self>, command: Command) -> Cost {
        let held = command.holds_input_of();
        let told = self.told_of(&command);
        let flushed = command.flushes().and_then(|id| self.client(id)).or(told.clone());
        let mut cost = flushed.map_or(0, |client| self.fanout.borrow_mut().flush(client.out()));
        if told.is_some() {
            cost += WRITE;
        }
        match command {
            Command::Send(id, message) => {
                if let Some(client) = self.client(id) {
                    let frame = client.out().form().encode_direct(&message);
                    self.fanout.borrow_mut().send(client.out(), frame, true);
                }
            }
            Command::Signal(id, message) => self.signal(id, &message),
            Command::Answer(answer) => self.answer(answer),
            Command::History(id, request) => self.answer_history(id, &request),
            Command::Close(id, close) => {
                if let Some(client) = self.client(id) {
                    client.out().close(close);
                }
            }
            Command::Disconnect(id, close) => {
                if let Some(client) = self.client(id).filter(|client| client.out().is_open()) {
                    client.dismiss();
                    client.out().close(close);
                }
            }
            Command::Join(id, reservation) => self.apply_join(id, *reservation),
            Command::Leave(id, room) => self.apply_leave(id, room),
            Command::Loaded(id, loaded) => {
                if let Some(client) = self.client(id) {
                    client.load(*loaded);
                }
            }
            Command::Resume(id, room, from) => {
                if let Some(client) = self.client(id) {
                    client.resume(&mut self.fanout.borrow_mut(), room, from);
                }
            }
            Command::Reenter(reentry) => self.fanout.borrow_mut().reenter(&reentry),
            Command::Settle(id, number, settled) => self.settle(id, number, *settled),
            Command::SetEcho(id, echo) => {
                if let Some(client) = self.client(id) {
                    client.set_echo(echo);
                }
            }
            Command::SetName(id, name) => {
                if let Some(client) = self.client(id) {
                    client.set_name(name);
                    cost += self.note_profile(&client);
                }
            }
            Command::SetIdentity(id, identity) => {
                if let Some(client) = self.client(id) {
                    client.set_identity(identity);
                    cost += self.note_profile(&client);
                }
            }
            Command::SetMembers(id, may) => cost += self.set_members(id, may),
            Command::Members(told) => cost += self.tell_watchers(&told),
            Command::Admit(id, reservation, broadcasts, subprotocol) => {
                let reservation = reservation.map(|reservation| *reservation);
                self.admit(id, reservation, broadcasts, subprotocol);
            }
            Command::Reject(id, rejection) => self.reject(id, *rejection),
            Command::Decide(id, decision, verdict) => {
                self.reviews.decide(self, id, decision, verdict);
            }
            Command::Deliver(_) | Command::Accept(_) | Command::Fail | Command::Stop => {}
            #[cfg(test)]
            Command::Panic => panic!("a test wants it"),
        }
        if let Some(id) = held {
            self.release(id);
        }
        cost
    }

    /// Returns the client of a command if it is told of that: what came before is written first.
    fn told_of(&self, command: &Command) -> Option<Rc<Client>> {
        let (Command::Join(id, _) | Command::Admit(id, ..) | Command::Leave(id, _)) = command
        else {
            return None;
        };
        self.client(*id).filter(|client| client.out().form().says_more())
    }

    /// Tells a client something, behind everything that was delivered before.
    pub(super) fn answer(&self, answer: Answer) {
        if let Some(client) = self.client(answer.client) {
            self.fanout.borrow_mut().send(client.out(), answer.frame, false);
        }
    }

    /// Tells a client something of the host, unless the client lags.
    fn signal(&self, id: ClientId, message: &Message) {
        let Some(client) = self.client(id).filter(|client| !client.out().has_outbox()) else {
            return;
        };
        if let Some(frame) = client.out().form().encode_signal(message) {
            self.fanout.borrow_mut().send(client.out(), frame, false);
        }
    }

    /// Tells a client what has become of what it sent, and the answers that waited behind that.
    fn settle(&self, id: ClientId, number: u64, settled: Settled) {
        let Some(client) = self.client(id) else { return };
        let form = client.out().form();
        let make = |awaited, is_late| match (awaited, settled) {
            (Awaited::Sent { id, room, is_changed }, Settled::Sent(position)) => {
                let id = id?;
                // Later messages of the room may have come before it.
                let position = if is_late { Position::NONE } else { position };
                Some(Ack { id: &id, is_changed }.encode(Some(&room), position))
            }
            (Awaited::Sent { id, .. }, Settled::Refused(code)) => form.refused(id.as_deref(), code),
            (Awaited::History { request, room, floor }, Settled::Page(page)) => {
                client.end_history();
                encode_page(form, &request, &room, floor, &page)
            }
            (Awaited::History { request, .. }, Settled::Refused(code)) => {
                client.end_history();
                form.refused(Some(&request.id), code)
            }
            // Nothing else is awaited under its number.
            (Awaited::Sent { .. }, Settled::Page(_))
            | (Awaited::History { .. }, Settled::Sent(_)) => None,
        };
        let mut fanout = self.fanout.borrow_mut();
        for frame in self.shared.answers.settle(id, number, make) {
            fanout.send(client.out(), frame, false);
        }
        // It may not have been read because it awaited too much.
        client.out().transport().reschedule();
    }

    /// Sends earlier messages of a room to a client that is in it.
    fn answer_history(&self, client: ClientId, request: &HistoryRequest) {
        let Some(asking) = self.client(client) else { return };
        asking.end_history();
        let form = asking.out().form();
        let frame = match asking.readable(request.room) {
            Some((room, floor)) => {
                let bounds = self.rooms.history_bounds(request.limit);
                let (head, messages, has_more) =
                    self.rooms.before(&room, request.before, floor, bounds);
                form.history(&request.id, &head, &messages, has_more)
            }
            None => form.refused(Some(&request.id), Refusal::NotInRoom),
        };
        if let Some(frame) = frame {
            self.answer(Answer { client, frame });
        }
    }

    /// Releases a client's input, which a command held that is applied.
    fn release(&self, id: ClientId) {
        self.handle.note_applied(id);
        if let Some(client) = self.client(id) {
            client.out().transport().reschedule();
        }
    }
}

/// Encodes the answer to a request for earlier messages that a broker has read.
fn encode_page(
    form: Form,
    request: &HistoryRequest,
    room: &Arc<str>,
    floor: u64,
    page: &Page,
) -> Option<Bytes> {
    let epoch = page.top.epoch;
    if request.before.is_some() && request.epoch != epoch {
        // The room's history has become another one meanwhile.
        return form.refused(Some(&request.id), Refusal::Unavailable);
    }
    let head = RoomHead { id: request.room, name: Arc::clone(room), epoch };
    let readable = page.numbered().filter(|(offset, _)| *offset > floor);
    let messages: Vec<_> =
        readable.map(|(offset, stored)| (offset, stored.published.clone())).collect();
    // Whether the earlier ones are kept is known when they are asked for.
    let has_more = messages.first().is_some_and(|(offset, _)| *offset > floor + 1);
    form.history(&request.id, &head, &messages, has_more)
}

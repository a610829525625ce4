//! Applies commands about one client: the host's, and a client's own close.

use std::rc::Rc;

use super::Shard;
use crate::{
    event::ClientId,
    fanout::command::{Answer, Command, Cost, HistoryRequest},
    json::Refusal,
};

/// How many bytes of payloads an answer with earlier messages has at most, unless a single one is longer.
const MAX_HISTORY: usize = 256 * 1024;

impl Shard {
    /// Applies a command on a client, after the flush that it requires. Returns the cost of the flush.
    #[cold] // Keeps the code that handles messages together in the instruction cache.
    pub(super) fn apply(self: &Rc<Self>, command: Command) -> Cost {
        let held = command.holds_input_of();
        let flushed = command.flushes().and_then(|id| self.client(id));
        let cost = flushed.map_or(0, |client| self.fanout.borrow_mut().flush(client.out()));
        match command {
            Command::Send(id, message) => {
                if let Some(client) = self.client(id) {
                    let frame = client.out().form().encode_direct(&message);
                    self.fanout.borrow_mut().send(client.out(), frame, true);
                }
            }
            Command::Answer(answer) => self.answer(answer),
            Command::History(id, request) => self.answer_history(id, &request),
            Command::Close(id, close) | Command::Disconnect(id, close) => {
                if let Some(client) = self.client(id) {
                    client.out().close(close);
                }
            }
            Command::Join(id, reservation) => self.apply_join(id, *reservation),
            Command::Leave(id, room) => self.apply_leave(id, room),
            Command::SetEcho(id, echo) => {
                if let Some(client) = self.client(id) {
                    client.set_echo(echo);
                }
            }
            Command::SetName(id, name) => {
                if let Some(client) = self.client(id) {
                    client.set_name(name);
                }
            }
            Command::SetIdentity(id, identity) => {
                if let Some(client) = self.client(id) {
                    client.set_identity(identity);
                }
            }
            Command::Admit(id, reservation, broadcasts) => {
                self.admit(id, reservation.map(|reservation| *reservation), broadcasts);
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

    /// Tells a client something, behind everything that was delivered before.
    pub(super) fn answer(&self, answer: Answer) {
        if let Some(client) = self.client(answer.client) {
            self.fanout.borrow_mut().send(client.out(), answer.frame, false);
        }
    }

    /// Sends earlier messages of a room to a client that is in it.
    fn answer_history(&self, client: ClientId, request: &HistoryRequest) {
        let Some(asking) = self.client(client) else { return };
        let form = asking.out().form();
        let frame = match asking.readable(request.room) {
            Some((room, floor)) => {
                let bounds = (request.limit, MAX_HISTORY);
                let (messages, has_more) = self.rooms.before(&room, request.before, floor, bounds);
                form.history(&request.id, room.head(), &messages, has_more)
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

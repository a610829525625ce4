//! A handshake that waits for the host's decision.
//!
//! Meanwhile the host reaches the client by its id: what it sends waits in the outbox, and rooms that it joins
//! the client to count at once. Nothing is answered, and no other client waits.

use std::{cell::Cell, pin::pin, rc::Rc, sync::Arc};

use futures_util::future::{Either, select};
use tokio::sync::oneshot;

use super::answer::Answer;
use crate::{
    connection::ClientGuard,
    decisions::Applicant,
    event::{Event, Request},
    fanout::command::Rejection,
    options::Overdue,
    protocol::PlainOptions,
    rooms::client::Client,
    shard::{Decision, Shard},
};

/// A client that is not connected yet, since the host decides on it. If this is dropped before that, the
/// client has left.
pub(super) struct Waiting {
    shard: Rc<Shard>,
    client: Rc<Client>,
    /// What the host is told if it is not connected; empty if it is.
    why: Cell<&'static str>,
}

impl Waiting {
    /// Asks the host.
    pub(super) fn begin(
        guard: &ClientGuard,
        options: &PlainOptions,
        request: Arc<Request>,
    ) -> (Self, oneshot::Receiver<Decision>) {
        let ClientGuard { shard, client } = guard;
        let (shard, client) = (Rc::clone(shard), Rc::clone(client));
        shard.add_applicant(&client);
        let applicant = Applicant { room: Some(options.room.clone()), history: options.history };
        shard.handle.undecided.admissions.add(client.id(), applicant);
        let decision = shard.admission_waiters.add(client.id());
        let (room, id) = (options.room.as_str().into(), client.id());
        shard.context.events.push(Event::ConnectRequest { client: id, room, request });
        let why = Cell::new("it left before it was admitted");
        (Self { shard, client, why }, decision)
    }

    /// Waits for the host's decision, as long as the option allows.
    pub(super) async fn decided(
        &self,
        mut decision: oneshot::Receiver<Decision>,
    ) -> Result<(), Answer> {
        let Self { shard, client, .. } = self;
        let timeout = shard.context.options.admission_timeout;
        let in_time = shard.deadlines.within(timeout, &mut decision);
        let first = match select(pin!(in_time), pin!(shard.stopped())).await {
            Either::Left((first, _)) => Some(first),
            Either::Right(_) => None,
        };
        let decided = match first {
            Some(Some(decided)) => decided.ok(),
            Some(None) => match shard.handle.undecided.admissions.take(client.id()) {
                Some(applicant) => return self.overdue(&applicant),
                // The host has decided, and its decision is in the shard's inbox.
                None => match select(decision, pin!(shard.stopped())).await {
                    Either::Left((decided, _)) => decided.ok(),
                    Either::Right(_) => None,
                },
            },
            None => None,
        };
        match decided {
            Some(Ok(())) => Ok(()),
            Some(Err(Rejection { status, text })) => {
                shard.context.counters.admissions_rejected.add(1);
                self.why.set("the host rejected it");
                Err(Answer::rejected(status, text))
            }
            None => {
                self.why.set("the server is stopping");
                Err(Answer::stopping())
            }
        }
    }

    /// Decides on a client that the host has not decided on in time, as the option says.
    fn overdue(&self, applicant: &Applicant) -> Result<(), Answer> {
        let Self { shard, client, .. } = self;
        // No decision of the host comes any more.
        shard.admission_waiters.take(client.id());
        shard.context.counters.admissions_timed_out.add(1);
        if shard.context.options.overdue == Overdue::Refuse {
            self.why.set("the host did not decide in time");
            return Err(Answer::limit("the server's host did not decide in time; try again"));
        }
        let joined = shard.subscribe(client, applicant.room.as_deref(), applicant.history);
        shard.handle.note_admitted(client.id(), client.room().map(|(room, _)| room));
        joined.map_err(|_stopped| {
            self.why.set("the server is stopping");
            Answer::stopping()
        })
    }

    /// Notes that the handshake is answered: the client leaves as one that was connected.
    pub(super) fn is_connected(&self) {
        self.why.set("");
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let reason = self.why.get();
        if reason.is_empty() {
            return;
        }
        let (shard, client) = (&self.shard, self.client.id());
        shard.handle.undecided.admissions.take(client);
        shard.admission_waiters.take(client);
        // What the host has sent it is in its outbox, and goes with it.
        shard.remove_client(client);
        self.client.out().report_dropped(true);
        let identity = self.client.identity();
        let reason = reason.into();
        let event = Event::Disconnected { client, identity, code: 1006, reason };
        shard.report_left(client, event);
    }
}

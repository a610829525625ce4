//! A handshake that waits for the host's decision.
//!
//! Meanwhile the host reaches the client by its id: what the host sends waits in the client's outbox, and the
//! host can join it to rooms. The request is not answered yet, and no other client waits.

use std::{cell::Cell, pin::pin, rc::Rc, sync::Arc};

use futures_util::future::{Either, select};
use tokio::sync::oneshot;

use super::answer::Answer;
use crate::{
    connection::ClientGuard,
    decisions::{Applicant, subprotocols::Subprotocols},
    event::{Event, Request},
    options::Overdue,
    protocol::Asked,
    rooms::client::Client,
    shard::{Decision, Shard},
};

/// A client that waits for admission. Dropping this before `set_connected` removes the client and tells the
/// host.
pub(super) struct PendingAdmission {
    shard: Rc<Shard>,
    client: Rc<Client>,
    /// The reason that the host is told if the client does not connect; empty once it is connected.
    reason: Cell<&'static str>,
}

impl PendingAdmission {
    /// Asks the host. Returns where its decision arrives, too.
    pub(super) fn begin(
        guard: &ClientGuard,
        asked: &Asked,
        request: Arc<Request>,
    ) -> (Self, oneshot::Receiver<Decision>) {
        let ClientGuard { shard, client, .. } = guard;
        let (shard, client) = (Rc::clone(shard), Rc::clone(client));
        shard.add_applicant(&client, asked.since_in(false));
        let subprotocols = Subprotocols::new(Arc::clone(&request), asked.form.is_event_stream());
        let room = Some(asked.room.clone());
        let applicant = Applicant { room, past: asked.past(), subprotocols };
        shard.handle.undecided.admissions.add(client.id(), applicant);
        let decision = shard.admission_waiters.add(client.id());
        let (room, id) = (asked.room.as_str().into(), client.id());
        let form = asked.form.as_public();
        shard.context.events.push(Event::ConnectRequest { client: id, room, form, request });
        let reason = Cell::new("it left before it was admitted");
        (Self { shard, client, reason }, decision)
    }

    /// Waits for the host's decision, at most for the option `admission_timeout`. Returns the subprotocol that the host has
    /// chosen.
    ///
    /// # Errors
    /// What is answered to a client that is not admitted.
    pub(super) async fn outcome(
        &self,
        mut decision: oneshot::Receiver<Decision>,
    ) -> Result<Option<Box<str>>, Answer> {
        let Self { shard, client, .. } = self;
        let timeout = shard.context.options.admission_timeout;
        let in_time = shard.deadlines.within(timeout, &mut decision);
        let first = match select(pin!(in_time), pin!(shard.stopped())).await {
            Either::Left((first, _)) => Some(first),
            Either::Right(_) => None,
        };
        let decided = match first {
            Some(Some(decided)) => decided.ok(),
            Some(None) => {
                if let Some(applicant) = shard.handle.undecided.admissions.take(client.id()) {
                    self.overdue(applicant)?;
                }
                // The decision, the host's or that of the option, is in the shard's inbox.
                match select(decision, pin!(shard.stopped())).await {
                    Either::Left((decided, _)) => decided.ok(),
                    Either::Right(_) => None,
                }
            }
            None => None,
        };
        match decided {
            Some(Ok(subprotocol)) => Ok(subprotocol),
            Some(Err(rejection)) => {
                shard.context.counters.admissions_rejected.add(1);
                self.reason.set("the host rejected it");
                Err(Answer::rejected(rejection))
            }
            None => {
                self.reason.set("the server is stopping");
                Err(Answer::stopping())
            }
        }
    }

    /// Decides on a client that the host has not decided on in time, as the option `overdue` says.
    fn overdue(&self, applicant: Applicant) -> Result<(), Answer> {
        let Self { shard, client, .. } = self;
        shard.context.counters.admissions_timed_out.add(1);
        if shard.context.options.overdue == Overdue::Refuse {
            self.reason.set("the host did not decide in time");
            return Err(Answer::limit("the server's host did not decide in time; try again"));
        }
        // Through the inbox, as the host's decision: behind what the host has asked for before.
        shard.rooms.admit(client.id(), applicant).map_err(|_stopped| {
            self.reason.set("the server is stopping");
            Answer::stopping()
        })
    }

    /// Notes that the client is connected: from here on its connection tells the host when it leaves.
    pub(super) fn set_connected(&self) {
        self.reason.set("");
    }
}

impl Drop for PendingAdmission {
    fn drop(&mut self) {
        let reason = self.reason.get();
        if reason.is_empty() {
            return;
        }
        let (shard, client) = (&self.shard, self.client.id());
        shard.handle.undecided.admissions.take(client);
        shard.admission_waiters.take(client);
        // What the host has sent to it is dropped with its outbox.
        shard.remove_client(client);
        self.client.out().report_dropped(true);
        let identity = self.client.identity();
        let reason = reason.into();
        let event = Event::Disconnected { client, identity, code: 1006, reason };
        shard.report_left(client, event);
    }
}

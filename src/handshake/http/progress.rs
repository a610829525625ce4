//! How far a kept connection is, and by when it must be further.
//!
//! Invariant: every phase has a deadline, by the shard's clock. A connection has a permit for a handshake, or is idle and
//! has one of a kept connection.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Instant,
};

use hyper::http::request::Parts;

use super::super::{LINGER, request::Stream};
use crate::{context::Permit, shard::Shard};

/// What a kept connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The client's next request, of which nothing has come. Its deadline is the option `handshake_timeout`. A kept
    /// connection has no permit for a handshake then.
    Idle,
    /// The rest of a request: of its head and its body. Its deadline is the option `handshake_timeout`.
    Request,
    /// That the client takes an answer.
    Answer,
}

/// What hyper's service, the socket that hyper writes to, and the owner of the connection share.
pub(super) struct Progress {
    shard: Rc<Shard>,
    phase: Cell<Phase>,
    deadline: Cell<Instant>,
    /// The permit for a handshake. An idle kept connection has none, so that it keeps no other client out.
    permit: Cell<Option<Permit>>,
    /// Present once an answer has left the connection open.
    kept: RefCell<Option<Permit>>,
    /// Whether a request has begun for which there is no permit.
    is_crowded_out: Cell<bool>,
    /// Whether a request's head is complete that is not answered. A client may ask before it takes the answer before.
    is_asked: Cell<bool>,
    /// Whether hyper has begun to write, and not written everything.
    owes: Cell<bool>,
    /// The head of a request for a stream, which is not hyper's business.
    stream: RefCell<Option<(Parts, Stream)>>,
}

impl Progress {
    /// Begins inside of a request, whose time ends at `deadline`.
    pub(super) fn new(shard: &Rc<Shard>, deadline: Instant, permit: Option<Permit>) -> Rc<Self> {
        Rc::new(Self {
            shard: Rc::clone(shard),
            phase: Cell::new(Phase::Request),
            deadline: Cell::new(deadline),
            permit: Cell::new(permit),
            kept: RefCell::default(),
            is_crowded_out: Cell::new(false),
            is_asked: Cell::new(false),
            owes: Cell::new(false),
            stream: RefCell::default(),
        })
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase.get()
    }

    pub(super) fn deadline(&self) -> Instant {
        self.deadline.get()
    }

    /// Whether the client lacks a part of what hyper has to say.
    pub(super) fn owes(&self) -> bool {
        self.owes.get()
    }

    /// Whether a request has begun for which there is no permit. Then the connection ends.
    pub(super) fn is_crowded_out(&self) -> bool {
        self.is_crowded_out.get()
    }

    /// Keeps the connection between requests, if there is room for it.
    pub(super) fn keep(&self) -> bool {
        let mut kept = self.kept.borrow_mut();
        if kept.is_none() {
            *kept = self.shard.context.permit_kept();
        }
        kept.is_some()
    }

    /// Returns the permit that the connection has.
    pub(super) fn take_permit(&self) -> Option<Permit> {
        self.permit.take().or_else(|| self.kept.take())
    }

    /// Notes that bytes of the client have come.
    pub(super) fn note_read(&self) {
        if self.phase.get() == Phase::Idle {
            self.resume();
            self.enter(Phase::Request);
        }
    }

    /// Notes that a request's head is complete.
    pub(super) fn note_head(&self) {
        self.is_asked.set(true);
        // The head may have come together with the request before it.
        self.note_read();
    }

    /// Notes that an answer is about to be written.
    pub(super) fn note_answer(&self) {
        self.is_asked.set(false);
        self.enter(Phase::Answer);
    }

    pub(super) fn note_write(&self) {
        self.owes.set(true);
    }

    /// Notes that everything is written.
    pub(super) fn note_flush(&self) {
        self.owes.set(false);
        if self.phase.get() == Phase::Answer {
            self.enter(if self.is_asked.get() { Phase::Request } else { Phase::Idle });
        }
        if self.phase.get() == Phase::Idle && self.kept.borrow().is_some() {
            self.permit.take();
        }
    }

    /// Takes a permit for the request that has begun.
    fn resume(&self) {
        let permit = self.permit.take().or_else(|| self.shard.context.permit_handshake());
        self.is_crowded_out.set(permit.is_none());
        self.permit.set(permit);
    }

    /// Keeps the head of a request for a stream, for the owner of the connection.
    pub(super) fn set_stream(&self, head: Parts, stream: Stream) {
        self.stream.replace(Some((head, stream)));
    }

    pub(super) fn has_stream(&self) -> bool {
        self.stream.borrow().is_some()
    }

    pub(super) fn take_stream(&self) -> Option<(Parts, Stream)> {
        self.stream.take()
    }

    fn enter(&self, phase: Phase) {
        let was_answer = self.phase.replace(phase) == Phase::Answer;
        let is_answer = phase == Phase::Answer;
        if was_answer != is_answer {
            self.shard.note_answer(is_answer);
        }
        let limit = if is_answer { LINGER } else { self.shard.context.options.handshake_timeout };
        let now = self.shard.shared.now();
        // A time that the clock cannot represent never comes: options are a day at most.
        self.deadline.set(now.checked_add(limit).unwrap_or(now));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.phase.get() == Phase::Answer {
            self.shard.note_answer(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::shard, *};

    #[test]
    fn a_client_that_asks_before_it_takes_an_answer_waits_for_the_next_one_then() {
        let shard = shard();
        let progress = Progress::new(&shard, shard.shared.now(), None);
        for (asks_again, then) in [(true, Phase::Request), (false, Phase::Idle)] {
            progress.note_head();
            progress.note_answer();
            progress.note_write();
            if asks_again {
                progress.note_head();
            }
            assert_eq!((progress.phase(), progress.owes()), (Phase::Answer, true));
            progress.note_flush();
            assert_eq!((progress.phase(), progress.owes()), (then, false));
        }
    }
}

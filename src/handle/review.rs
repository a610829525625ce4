//! The host's decision on a client's message.

use super::Handle;
use crate::{
    error::{Error, Result},
    event::DecisionId,
    fanout::command::{Command, Verdict},
    frame::Kind,
    json::{Refusal, Refused},
};

/// The longest reason of a refusal, in bytes.
const MAX_REASON: usize = 256;

impl Handle {
    /// Publishes the message of an [`Event::MessageRequest`](crate::Event::MessageRequest) to the event's room,
    /// as soon as the client's earlier messages are decided. If the host has taken the client out of that room
    /// since, or the server stops before, the message is counted in
    /// [`Stats::messages_refused`](crate::Stats::messages_refused) instead. A client that closes its connection
    /// meanwhile stays in its rooms, and `Disconnected` waits, until its messages are decided.
    ///
    /// # Errors
    /// [`Error::DecisionNotFound`] if it was decided before or the time is over; [`Error::Stopped`].
    pub fn allow(&self, decision: DecisionId) -> Result<()> {
        self.decide(decision, Verdict::Allow)
    }

    /// Publishes another message in place of the client's, as [`allow`](Self::allow) does.
    ///
    /// # Errors
    /// Those of [`allow`](Self::allow), [`Error::InvalidUtf8`] for text, [`Error::TooLarge`]; with these two
    /// the message still waits for a decision.
    pub fn allow_changed(&self, decision: DecisionId, kind: Kind, data: &[u8]) -> Result<()> {
        let message = self.message(kind, data)?;
        self.decide(decision, Verdict::Change(message))
    }

    /// Drops a message. A sender of the JSON form is told (`refused`), a plain one is not: use [`send`](Self::send)
    /// for that.
    ///
    /// # Errors
    /// Those of [`allow`](Self::allow).
    pub fn refuse(&self, decision: DecisionId) -> Result<()> {
        self.decide(decision, Verdict::Refuse(Refusal::Refused.into()))
    }

    /// Drops a message, as [`refuse`](Self::refuse) does, and tells a sender of the JSON form why: the reason is in the
    /// object `refused`, for people to read. At most 256 bytes; an empty one is as none.
    ///
    /// # Errors
    /// Those of [`allow`](Self::allow), and [`Error::TooLarge`]: then the message still waits for a decision.
    pub fn refuse_with(&self, decision: DecisionId, reason: &str) -> Result<()> {
        if reason.len() > MAX_REASON {
            return Err(Error::TooLarge { what: "reason", size: reason.len(), limit: MAX_REASON });
        }
        let reason = (!reason.is_empty()).then(|| reason.into());
        self.decide(decision, Verdict::Refuse(Refused { code: Refusal::Refused, reason }))
    }

    fn decide(&self, decision: DecisionId, verdict: Verdict) -> Result<()> {
        if self.is_stopping() {
            return Err(Error::Stopped);
        }
        let shard = self.shared.shards.get(decision.shard()).ok_or(Error::DecisionNotFound)?;
        let client = shard.undecided.reviews.take(decision).ok_or(Error::DecisionNotFound)?;
        self.push(shard, Command::Decide(client, decision, verdict)).map(drop)
    }
}

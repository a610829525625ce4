//! Slow consumers: what becomes of a client whose outbox is full, or too old.

use std::time::{Duration, Instant};

use super::{Flushed, Outbound, Phase};
use crate::{
    event::Event,
    fanout::{
        command::{CloseFrame, TRY_AGAIN_LATER},
        outbox::Outbox,
    },
    options::SlowConsumer,
};

/// When an outbox is checked again whose socket took a part of it: ticks write it meanwhile.
const CHECK_AGAIN: Duration = Duration::from_millis(1);

impl Outbound {
    pub(super) fn outbox_age(&self) -> Duration {
        self.shared.context.options.outbox_age
    }

    /// Returns what becomes of it if it is slow. A client of an event stream comes back by itself, and gets what it lacks:
    /// it is never left without messages that it is not told of.
    pub(super) fn slow_consumer(&self) -> SlowConsumer {
        if self.form.is_event_stream() {
            SlowConsumer::Disconnect
        } else {
            self.shared.context.options.slow_consumer
        }
    }

    /// Closes the client as a slow consumer. What it has not begun to receive is dropped, so that the close
    /// frame is what it reads next.
    pub(super) fn close_slow(&self, why: &str) {
        let context = &self.shared.context;
        context.counters.slow_consumers.add(1);
        let unsent = self.outbox.borrow_mut().as_mut().map_or(0, |outbox| outbox.drop_all());
        context.counters.messages_dropped.add(unsent);
        if let Some(others) = context.throttles.slow_consumers.pass() {
            tracing::info!(client = %self.id, why, others, "slow consumer disconnected");
        }
        let close = CloseFrame::new(TRY_AGAIN_LATER, &format!("slow consumer: {why}"));
        let (said, last) = self.last_frames(&close);
        let mut slot = self.outbox.borrow_mut();
        let outbox = slot.get_or_insert_with(|| Box::new(Outbox::new(self.form)));
        let now = self.shared.now();
        said.inspect(|said| outbox.push(said, 0, true, now));
        outbox.push(&last, 0, true, now);
        drop(slot);
        self.enter(Phase::Closing, close.disconnect);
    }

    /// Checks the age of the outbox: tries the socket first, then applies the policy to what has waited for too
    /// long.
    pub(crate) fn check_age(&self, now: Instant) {
        self.has_check_time.set(false);
        let flushed = self.flush();
        let next = match self.oldest() {
            None => return,
            // The socket may take more: the policy waits until that has been tried.
            Some(_) if matches!(flushed, Flushed::Part(_)) => now + CHECK_AGAIN,
            Some(oldest) if oldest + self.outbox_age() > now => oldest + self.outbox_age(),
            Some(_) => now + self.expire(now),
        };
        // The policy may have left nothing.
        if self.has_outbox() {
            self.has_check_time.set(true);
            self.shared.lagging.add(self.id, next);
        }
    }

    /// Returns since when the oldest byte waits.
    fn oldest(&self) -> Option<Instant> {
        let outbox = self.outbox.borrow();
        // What only the transport holds has no time of its own: it counts as new.
        outbox.as_ref().map(|outbox| outbox.oldest().unwrap_or(self.shared.now()))
    }

    /// Applies the policy to what has waited for too long. Returns the time until the next check.
    fn expire(&self, now: Instant) -> Duration {
        let age = self.outbox_age();
        if !self.is_open() {
            return age;
        }
        match self.slow_consumer() {
            SlowConsumer::Disconnect => {
                self.close_slow("it did not read for too long");
                age
            }
            SlowConsumer::DropOldest => {
                let mut slot = self.outbox.borrow_mut();
                let dropped = slot.as_mut().map_or(0, |outbox| outbox.drop_older_than(age, now));
                let owed = self.transport.owed();
                slot.take_if(|outbox| outbox.is_empty() && owed == 0);
                drop(slot);
                self.note_dropped(dropped);
                // The rest of a begun frame may be left, however old: a check at once would find it again.
                // The next check drops what has become too old behind it.
                age / 8
            }
        }
    }

    pub(super) fn note_dropped(&self, count: u64) {
        self.shared.context.counters.messages_dropped.add(count);
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.unreported.set(self.unreported.get().saturating_add(count));
        self.report_dropped(false);
    }

    /// Tells the host how many messages were dropped. Unless it `must`, it leaves that for later while the
    /// event queue is full.
    pub(crate) fn report_dropped(&self, must: bool) {
        let count = self.unreported.get();
        if count > 0 && (must || !self.shared.context.events.is_full()) {
            self.unreported.set(0);
            let event = Event::MessagesDropped { client: self.id, count: count.into() };
            self.shared.context.events.push(event);
        }
    }
}

//! The writing half of one connection: straight onto the socket, or into the outbox.
//!
//! Invariant: bytes reach the client in the order in which they were delivered, frames stay whole,
//! and nothing follows a close frame. Never waits.

use std::{
    io,
    net::Shutdown,
    time::{Duration, Instant},
};

use bytes::Bytes;
use socket2::SockRef;

use super::{Client, Phase};
use crate::{
    context::Context,
    event::Event,
    frame,
    options::SlowConsumer,
    shard::{
        frames::Frames,
        inbox::{Closing, End},
    },
    sys,
};

/// How many control frames wait at most before no further ping is queued behind them: those ask as
/// well. With the policy that drops messages a client that reads nothing may stay for long.
const MAX_WAITING_PINGS: usize = 64;

/// Close code of a slow consumer: "try again later".
const TRY_AGAIN_LATER: u16 = 1013;

/// What was delivered and is not counted yet.
#[derive(Debug, Default)]
pub(crate) struct Delivered {
    messages: u64,
    bytes: u64,
}

impl Delivered {
    pub(crate) fn count(&self, context: &Context) {
        context.counters.messages_delivered.add(self.messages);
        context.counters.bytes_delivered.add(self.bytes);
    }
}

impl Client {
    /// Writes whole data frames, `messages` of them. Returns whether the client's outbox has become
    /// non-empty, so that somebody must drain it.
    #[must_use]
    pub(crate) fn deliver(&self, frames: &Bytes, messages: u64) -> bool {
        let mut delivered = Delivered::default();
        let is_lagging = self.deliver_some(&Frames::from(frames), messages, &mut delivered);
        delivered.count(&self.context);
        is_lagging
    }

    /// Does what `deliver` does, and leaves it to the caller to count it: once for many clients.
    #[must_use]
    pub(crate) fn deliver_some(
        &self,
        frames: &Frames<'_>,
        messages: u64,
        delivered: &mut Delivered,
    ) -> bool {
        if !self.is_open() {
            return false;
        }
        delivered.messages += messages;
        delivered.bytes += frames.len() as u64;
        self.write(frames, false)
    }

    /// Answers a ping; of those that come while an answer waits in the outbox, the last one alone.
    #[must_use]
    pub(crate) fn pong(&self, frame: &Bytes) -> bool {
        if !self.is_open() {
            return false;
        }
        if let Some(outbox) = self.outbox.borrow_mut().as_mut() {
            outbox.push_pong(frame, Instant::now());
            return false;
        }
        self.write(&Frames::from(frame), true)
    }

    /// Sends a ping of a round, unless the client is closing.
    #[must_use]
    pub(crate) fn ping(&self, round: u32) -> bool {
        if !self.is_open() {
            // It has its own time to leave in, and is not asked any more.
            return false;
        }
        if self.asked.get() == 0 {
            self.asked.set(round);
        }
        let waiting = self.outbox.borrow().as_ref().map_or(0, |outbox| outbox.controls());
        let ping = Bytes::from_static(frame::PING);
        waiting < MAX_WAITING_PINGS && self.write(&Frames::from(&ping), true)
    }

    /// Sends a close frame after all that waits, and lets nothing follow it.
    #[must_use]
    pub(crate) fn close(&self, closing: Closing) -> bool {
        if !self.is_open() {
            return false;
        }
        let started = self.write(&Frames::from(&closing.frame), true);
        // The write may have found the connection broken.
        if self.is_open() {
            self.enter(Phase::Closing, closing.end);
        }
        started
    }

    /// Ends the connection without a close frame, or without waiting for the answer to it.
    pub(crate) fn cut(&self, code: u16, reason: &str) {
        if self.outbox.take().is_some() {
            // Wakes whoever waits for the socket to take more.
            let _ = SockRef::from(self.stream.io()).shutdown(Shutdown::Both);
        }
        self.enter(Phase::Cut, End { code, reason: reason.into() });
    }

    fn enter(&self, phase: Phase, end: End) {
        self.phase.set(phase);
        self.end.get_or_init(|| Box::new(end));
        self.stream.call_again();
    }

    fn write(&self, frames: &Frames<'_>, is_control: bool) -> bool {
        if self.outbox.borrow().is_some() {
            self.queue(frames, 0, is_control);
            return false;
        }
        // Past the stream, which is two more places in memory: with the layout of this struct about
        // 200 ns of the 5,600 that a delivery to one of 1,000 takes. If the socket is full, the drain's
        // own write finds out.
        match self.socket.send(frames) {
            Ok(taken) if taken == frames.len() => false,
            Ok(taken) => self.queue(frames, taken, is_control),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.queue(frames, 0, is_control)
            }
            Err(error) => {
                self.cut(1006, &format!("the connection broke: {error}"));
                false
            }
        }
    }

    /// Queues what the socket did not take. Returns whether the outbox was empty before.
    fn queue(&self, frames: &Frames<'_>, taken: usize, is_control: bool) -> bool {
        let options = &self.context.options;
        let mut slot = self.outbox.borrow_mut();
        let was_empty = slot.is_none();
        let outbox = slot.get_or_insert_default();
        // First queued, then judged: a frame that was begun must be among what is kept.
        let now = Instant::now();
        frames.keep(taken, |bytes, taken| outbox.push(bytes, taken, is_control, now));
        if is_control || outbox.size() <= options.outbox_size {
            return was_empty;
        }
        match options.slow_consumer {
            SlowConsumer::Disconnect => {
                drop(slot);
                self.close_slow("its outbox is full");
            }
            SlowConsumer::DropOldest => {
                let dropped = outbox.trim(options.outbox_size);
                drop(slot);
                self.note_dropped(dropped);
            }
        }
        was_empty
    }

    /// Closes the client as a slow consumer. What it has not begun to receive is not sent any more,
    /// so that the close frame is what it reads next.
    fn close_slow(&self, why: &str) {
        let context = &self.context;
        context.counters.slow_consumers.add(1);
        let unsent = self.outbox.borrow_mut().as_mut().map_or(0, |outbox| outbox.drop_all());
        context.counters.messages_dropped.add(unsent);
        if let Some(others) = context.throttles.slow_consumers.pass() {
            tracing::info!(client = %self.id, why, others, "slow consumer disconnected");
        }
        let closing = Closing::new(TRY_AGAIN_LATER, &format!("slow consumer: {why}"));
        let mut outbox = self.outbox.borrow_mut();
        outbox.get_or_insert_default().push(&closing.frame, 0, true, Instant::now());
        drop(outbox);
        self.enter(Phase::Closing, closing.end);
    }

    /// Writes what waits, as far as the socket takes it. Returns whether the outbox is empty.
    pub(crate) fn drain(&self) -> bool {
        loop {
            let mut slot = self.outbox.borrow_mut();
            let Some(outbox) = slot.as_mut() else { return true };
            let front = outbox.front();
            let write = |stream: &_| {
                SockRef::from(stream).send_vectored_with_flags(&front, sys::SEND_FLAGS)
            };
            match self.stream.try_write_with(write) {
                Ok(taken) => {
                    outbox.advance(taken);
                    if outbox.is_empty() {
                        *slot = None;
                        drop(slot);
                        self.report_dropped(false);
                        if !self.is_open() {
                            // Its ending waits for that.
                            self.stream.call_again();
                        }
                        return true;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(error) => {
                    drop(slot);
                    self.cut(1006, &format!("the connection broke: {error}"));
                    return true;
                }
            }
        }
    }

    /// Whether something waits for the socket to take it.
    pub(crate) fn has_outbox(&self) -> bool {
        self.outbox.borrow().is_some()
    }

    /// When the oldest byte that waits will be too old; `None` if the outbox is empty.
    pub(crate) fn outbox_deadline(&self) -> Option<Instant> {
        Some(self.outbox.borrow().as_ref()?.oldest()? + self.context.options.outbox_age)
    }

    /// Applies the policy to what has waited for too long. Returns how long to wait before the next
    /// look.
    pub(crate) fn expire(&self) -> Duration {
        let options = &self.context.options;
        if !self.is_open() {
            return options.outbox_age;
        }
        match options.slow_consumer {
            SlowConsumer::Disconnect => {
                self.close_slow("it did not read for too long");
                options.outbox_age
            }
            SlowConsumer::DropOldest => {
                let mut slot = self.outbox.borrow_mut();
                let dropped = slot
                    .as_mut()
                    .map_or(0, |outbox| outbox.drop_older_than(options.outbox_age, Instant::now()));
                let is_empty = slot.as_ref().is_some_and(|outbox| outbox.is_empty());
                if is_empty {
                    *slot = None;
                }
                drop(slot);
                self.note_dropped(dropped);
                // A frame that was begun may be all that is left: it waits for the socket, and is
                // looked at again with what has come behind it by then.
                options.outbox_age / 8
            }
        }
    }

    fn note_dropped(&self, count: u64) {
        self.context.counters.messages_dropped.add(count);
        self.unreported.set(self.unreported.get() + count);
        self.report_dropped(false);
    }

    /// Tells the host how many messages were dropped; later, unless it `must`, if events wait.
    pub(crate) fn report_dropped(&self, must: bool) {
        let count = self.unreported.get();
        if count > 0 && (must || !self.context.events.is_full()) {
            self.unreported.set(0);
            self.context.events.push(Event::MessagesDropped { client: self.id, count });
        }
    }
}

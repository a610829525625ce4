//! Writing to one connection: onto the socket, or into the outbox.
//!
//! Invariant: bytes reach the client in the order in which they were delivered, frames stay whole, and
//! nothing follows a close frame. Never waits.

use std::io;

use bytes::Bytes;

use super::{Outbound, Phase};
use crate::{
    context::Context,
    fanout::{
        command::{CloseFrame, Disconnect},
        form::Ending,
        frames::Frames,
        outbox::Outbox,
        replay::Replay,
    },
    frame,
    options::SlowConsumer,
};

/// Pings are not queued while this many control frames wait: those already probe the peer. The outbox's bound
/// would not help, since control frames are never dropped.
const MAX_WAITING_PINGS: usize = 64;

/// After how many milliseconds a client may come back at the earliest, over how many all clients are spread at least,
/// and how many come back in a millisecond at most.
const MIN_RETRY: u64 = 500;
const MIN_EVENTS_RETRY: u64 = 3_000;
const MIN_RETRY_SPREAD: u64 = 1_000;
const RETRIES_PER_MS: u64 = 5;

/// How much of one client's outbox is written at once, in bytes: other clients of the shard lag too.
const MAX_FLUSH: usize = 64 * 1024;

/// What was delivered and is not counted yet: messages, and the bytes of their frames.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Delivered {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

impl Delivered {
    pub(crate) fn add(&mut self, other: Self) {
        self.messages += other.messages;
        self.bytes += other.bytes;
    }

    /// Moves it to the counters.
    pub(crate) fn count(&mut self, context: &Context) {
        if self.messages > 0 {
            context.counters.messages_delivered.add(std::mem::take(&mut self.messages));
            context.counters.bytes_delivered.add(std::mem::take(&mut self.bytes));
        }
    }
}

/// How far an outbox was flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flushed {
    /// Nothing is left, or nothing can be written any more.
    All,
    /// The most that is written at once was written, of this many bytes: the socket may take more.
    Part(usize),
    /// The socket takes no more.
    Blocked,
}

impl Outbound {
    /// Writes the last messages of a room, as the socket takes them. They wait beside the outbox's bound.
    pub(crate) fn replay(&self, mut replay: Replay) {
        let is_empty = replay.len() == 0 && !self.form.says_more() && !replay.is_loading();
        if !self.is_open() || is_empty {
            return;
        }
        self.prepare(&mut replay);
        if !self.has_retry.replace(true) {
            replay.set_retry(self.shared.context.first_retry_ms(self.id));
        }
        let mut slot = self.outbox.borrow_mut();
        let is_lagging = slot.is_some();
        let outbox = slot.get_or_insert_with(|| Box::new(Outbox::new(self.form)));
        outbox.push_replay(replay, self.shared.now());
        self.count_replayed(outbox);
        drop(slot);
        if !is_lagging {
            self.start_lagging();
        }
    }

    /// Puts a replay in its place, whose past was read under a number.
    pub(crate) fn load(&self, load: u64, mut replay: Replay) {
        let mut slot = self.outbox.borrow_mut();
        let Some(outbox) = slot.as_mut().filter(|outbox| outbox.awaits(load)) else { return };
        self.prepare(&mut replay);
        outbox.load(load, replay, self.shared.now());
        self.count_replayed(outbox);
        drop(slot);
        self.start_lagging();
    }

    /// Counts a replay's messages, and has it share its pages.
    fn prepare(&self, replay: &mut Replay) {
        let counters = &self.shared.context.counters;
        counters.messages_delivered.add(replay.len() as u64);
        if !self.form.says_more() {
            // In any other form the bytes are known when they are encoded.
            counters.bytes_delivered.add(replay.bytes() as u64);
        }
        replay.share(&self.shared.pages);
    }

    /// Counts the messages of a replay that were encoded since this was last called.
    fn count_replayed(&self, outbox: &mut Outbox) {
        let bytes = outbox.take_replayed();
        if bytes > 0 && self.form.says_more() {
            self.shared.context.counters.bytes_delivered.add(bytes as u64);
        }
    }

    /// Writes whole data frames, which hold `messages`. These are counted in `delivered`, which the caller adds to the
    /// counters once for many clients.
    pub(crate) fn deliver_uncounted(
        &self,
        frames: &Frames<'_>,
        messages: Delivered,
        delivered: &mut Delivered,
    ) {
        if self.is_open() {
            delivered.add(messages);
            self.write(frames, false);
        }
    }

    /// Tells the client something that is no message, if its wire form has it: it is never dropped, but the client is
    /// closed if it is more than fits.
    pub(crate) fn say(&self, frame: Option<Bytes>) {
        if let Some(frame) = frame.filter(|_| self.is_open()) {
            self.write(&Frames::from(&frame), false);
        }
    }

    /// Starts to write to the socket, now that the handshake is answered.
    pub(crate) fn open(&self) {
        if !self.has_retry.replace(true) {
            // It is in no room, and may not be in one for long.
            self.say(self.form.retry(self.shared.context.first_retry_ms(self.id)));
        }
        let mut slot = self.outbox.borrow_mut();
        slot.take_if(|outbox| outbox.is_empty());
        if let Some(outbox) = slot.as_mut() {
            // The client could not read any of it before, so its age begins now.
            outbox.restart(self.shared.now());
            drop(slot);
            // Nearly always the socket takes all of it. A time for each of many that come together would cost memory.
            if self.flush() != Flushed::All {
                self.start_lagging();
            }
        }
    }

    /// Answers a ping. Of several that come while an answer waits in the outbox, only the last is answered.
    pub(crate) fn pong(&self, frame: &Bytes) {
        if !self.is_open() {
            return;
        }
        if let Some(outbox) = self.outbox.borrow_mut().as_mut() {
            outbox.push_pong(frame, self.shared.now());
            return;
        }
        self.write(&Frames::from(frame), true);
    }

    /// Sends a ping of a round, unless the client is closing.
    pub(crate) fn ping(&self, round: u32) {
        if !self.is_open() {
            // A closing client has a deadline of its own.
            return;
        }
        if self.form.is_event_stream() {
            // It cannot answer. What waits is a sign of life, and its age ends a client that is gone.
            if !self.has_outbox() {
                self.say(self.form.heartbeat());
            }
            return;
        }
        if self.pinged.get() == 0 {
            self.pinged.set(round);
        }
        if !self.has_outbox() {
            // What waits is a sign of life too, once it is written.
            self.say(self.form.heartbeat());
        }
        let waiting = self.outbox.borrow().as_ref().map_or(0, |outbox| outbox.controls());
        if waiting < MAX_WAITING_PINGS {
            self.write(&Frames::from(&Bytes::from_static(frame::PING)), true);
        }
    }

    /// Sends a close frame behind everything that waits. Nothing follows it.
    pub(crate) fn close(&self, close: CloseFrame) {
        if !self.is_open() {
            return;
        }
        if let Some(outbox) = self.outbox.borrow_mut().as_mut() {
            // It need not wait for a past that may never come.
            outbox.give_up_loading(self.shared.now());
        }
        let (said, last) = self.last_frames(&close);
        self.say(said);
        if !self.is_open() {
            // That was more than fits.
            return;
        }
        self.write(&Frames::from(&last), true);
        // The write may have found the connection broken.
        if self.is_open() {
            self.enter(Phase::Closing, close.disconnect);
        }
    }

    /// Encodes what is said at the end, and what comes last: a close frame, or the last event of a stream.
    pub(super) fn last_frames(&self, close: &CloseFrame) -> (Option<Bytes>, Bytes) {
        let Disconnect { code, reason } = &close.disconnect;
        // What a WebSocket's client learns from the code, that of an event stream learns from the event's name.
        let is_temporary = match code {
            1001 | 1012 | 1013 => true,
            1011 => self.form.is_event_stream(),
            _ => false,
        };
        let may_come_back = is_temporary && !close.is_answer;
        let retry_ms = may_come_back.then(|| self.retry_ms());
        let ending = self.form.ending(Ending { code: *code, reason, retry_ms });
        if self.form.is_event_stream() {
            (None, ending.unwrap_or_default())
        } else {
            (ending, close.frame.clone())
        }
    }

    /// Returns after how many milliseconds the client may come back: those of a server come back over a time that
    /// grows with their number.
    fn retry_ms(&self) -> u64 {
        let context = &self.shared.context;
        let spread = MIN_RETRY_SPREAD + context.counters.connections.get() / RETRIES_PER_MS;
        // Of an event stream it is longer than that for an end without a word.
        let least = if self.form.is_event_stream() { MIN_EVENTS_RETRY } else { MIN_RETRY };
        context.spread_ms(self.id, least..least + spread)
    }

    /// Ends the connection without a close frame, or without waiting for the answer to it.
    pub(crate) fn abort(&self, code: u16, reason: &str) {
        if self.outbox.take().is_some() {
            // The outbox is lost, so nothing may follow what the socket has taken. This also wakes the tasks
            // that wait for the socket.
            self.transport.abort();
        }
        self.enter(Phase::Aborted, Disconnect { code, reason: reason.into() });
    }

    pub(super) fn enter(&self, phase: Phase, disconnect: Disconnect) {
        self.phase.set(phase);
        self.disconnect.get_or_init(|| Box::new(disconnect));
        self.transport.reschedule();
    }

    fn write(&self, frames: &Frames<'_>, is_control: bool) {
        if self.outbox.borrow().is_some() {
            self.queue(frames, 0, is_control);
            return;
        }
        match self.transport.send(frames) {
            Ok(taken) if taken == frames.len() && self.transport.owed() == 0 => {}
            Ok(taken) => self.begin_outbox(frames, taken, is_control),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.begin_outbox(frames, 0, is_control);
            }
            Err(error) => self.abort(1006, &format!("the connection broke: {error}")),
        }
    }

    fn begin_outbox(&self, frames: &Frames<'_>, taken: usize, is_control: bool) {
        self.queue(frames, taken, is_control);
        self.start_lagging();
    }

    /// Has the outbox flushed when the socket takes more, and its age checked in time.
    fn start_lagging(&self) {
        self.transport.try_writable();
        if !self.has_check_time.replace(true) {
            self.shared.lagging.add(self.id, self.shared.now() + self.outbox_age());
        }
    }

    /// Returns how many bytes wait in the outbox, with the overhead of keeping them.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.outbox.borrow().as_ref().map_or(0, |outbox| self.outbox_len(outbox))
    }

    /// What the outbox counts as: what waits, and what the transport owes.
    fn outbox_len(&self, outbox: &Outbox) -> usize {
        outbox.size() + self.transport.owed()
    }

    /// Queues what the socket did not take.
    fn queue(&self, frames: &Frames<'_>, taken: usize, is_control: bool) {
        let options = &self.shared.context.options;
        let mut slot = self.outbox.borrow_mut();
        let outbox = slot.get_or_insert_with(|| Box::new(Outbox::new(self.form)));
        let is_first = outbox.is_empty();
        // Queued before the bound is checked: the rest of a begun frame must not be dropped.
        let now = self.shared.now();
        frames.keep(taken, |bytes, taken| outbox.push(bytes, taken, is_control, now));
        if is_control || self.outbox_len(outbox) <= options.outbox_size {
            return;
        }
        if is_first && self.form.is_event_stream() {
            // The lines of a text cost bytes: a message may be twice as long there, which the bound does not allow for.
            return;
        }
        match self.slow_consumer() {
            SlowConsumer::Disconnect => {
                drop(slot);
                self.close_slow("its outbox is full");
            }
            SlowConsumer::DropOldest => {
                let dropped =
                    outbox.trim(options.outbox_size.saturating_sub(self.transport.owed()));
                // The rest of a begun message does not count against what stays.
                let stays = outbox.size() - outbox.begun();
                let is_over = self.form.says_more() && stays > options.outbox_size;
                drop(slot);
                self.note_dropped(dropped);
                if is_over {
                    self.close_slow("its outbox is full of answers");
                }
            }
        }
    }

    /// Writes the outbox, up to a tick's share.
    pub(crate) fn flush(&self) -> Flushed {
        let mut written = 0;
        loop {
            let mut slot = self.outbox.borrow_mut();
            let Some(outbox) = slot.as_mut() else { return Flushed::All };
            if written >= MAX_FLUSH {
                return Flushed::Part(written);
            }
            let sent = match self.transport.flush() {
                Ok(()) if outbox.is_empty() => Ok(0),
                // It is flushed when the past has been read.
                Ok(()) if outbox.is_loading() => return Flushed::Blocked,
                Ok(()) => self.transport.send_slices(&outbox.front()),
                Err(error) => Err(error),
            };
            match sent {
                Ok(taken) => {
                    outbox.advance(taken, self.shared.now());
                    self.count_replayed(outbox);
                    written += taken;
                    if outbox.is_empty() && self.transport.owed() == 0 {
                        *slot = None;
                        drop(slot);
                        self.note_flushed();
                        return Flushed::All;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.transport.await_writable();
                    return Flushed::Blocked;
                }
                Err(error) => {
                    drop(slot);
                    self.abort(1006, &format!("the connection broke: {error}"));
                    return Flushed::All;
                }
            }
        }
    }

    fn note_flushed(&self) {
        self.report_dropped(false);
        if !self.is_open() {
            // The end of the connection waits for an empty outbox.
            self.transport.reschedule();
        }
    }

    /// Returns where the bytes are that wait, and how many they are.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> Vec<(usize, usize)> {
        let mut outbox = self.outbox.borrow_mut();
        let Some(outbox) = outbox.as_mut() else { return Vec::new() };
        outbox.front().iter().map(|slice| (slice.as_ptr().addr(), slice.len())).collect()
    }

    /// Whether something waits until the socket takes it.
    pub(crate) fn has_outbox(&self) -> bool {
        self.outbox.borrow().is_some()
    }
}

//! The writing half of one connection: straight onto the socket, or into the outbox.
//!
//! Invariant: bytes reach the client in the order in which they were delivered, frames stay whole,
//! and nothing follows a close frame. Never waits. Lives on its shard's thread alone.

use std::{
    cell::{Cell, OnceCell, RefCell},
    fmt,
    future::poll_fn,
    io,
    net::Shutdown,
    rc::Rc,
    sync::Arc,
    task::{Context as TaskContext, Poll, Waker},
    time::{Duration, Instant},
};

use bytes::Bytes;
use socket2::SockRef;
use tokio::net::TcpStream;

use super::{
    inbox::{Closing, End},
    outbox::Outbox,
    seats::Seats,
};
use crate::{
    context::Context,
    event::{ClientId, Event},
    frame,
    message::Message,
    options::SlowConsumer,
    sys::Socket,
};

/// Pongs are queued only while the outbox is shorter, in bytes: whoever sends pings and reads
/// nothing gets no answer, and costs no memory.
const PONG_BOUND: usize = 4 * 1024;

/// Close code of a slow consumer: "try again later".
pub(crate) const TRY_AGAIN_LATER: u16 = 1013;

/// How far a connection is on its way to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Messages pass.
    Open,
    /// A close frame is sent or queued; the peer's answer is awaited.
    Closing,
    /// Nothing can be written any more; the connection's task is to let go of it.
    Cut,
}

/// One connection, as far as it is written to. There may be very many, of which most rest: what is
/// rarely there is behind a pointer.
// Laid out as it stands: what a delivery reads is beside each other.
#[repr(C)]
pub(crate) struct Client {
    id: ClientId,
    /// The socket of `stream`, which is open for as long as this lives.
    socket: Socket,
    phase: Cell<Phase>,
    /// Whether the sender receives its own messages.
    echo: Cell<bool>,
    // Boxed, and absent while it is empty: nearly all clients have none at any time.
    outbox: RefCell<Option<Box<Outbox>>>,
    stream: Arc<TcpStream>,
    context: Arc<Context>,
    seats: Seats,
    /// What the host calls it.
    identity: Cell<Option<Box<Arc<str>>>>,
    /// Why it ends: what was said first.
    end: OnceCell<Box<End>>,
    /// Messages dropped that the host was not told of yet.
    unreported: Cell<u64>,
    /// The round of pings whose answer is awaited; 0 if none is.
    asked: Cell<u32>,
    /// The connection's task.
    reader: Cell<Option<Waker>>,
}

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

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("id", &self.id)
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Makes the writing half of a connection whose handshake is not answered yet: what is written
    /// waits in the outbox until `open`.
    pub(crate) fn new(
        id: ClientId,
        context: Arc<Context>,
        stream: Arc<TcpStream>,
        echo: bool,
    ) -> Rc<Self> {
        Rc::new(Self {
            id,
            socket: Socket::of(&stream),
            phase: Cell::new(Phase::Open),
            echo: Cell::new(echo),
            // Holds everything back until the handshake's answer is written.
            outbox: RefCell::new(Some(Box::default())),
            stream,
            context,
            seats: Seats::default(),
            identity: Cell::default(),
            end: OnceCell::new(),
            unreported: Cell::new(0),
            asked: Cell::new(0),
            reader: Cell::new(None),
        })
    }

    /// Lets what is written pass, now that the handshake is answered. Returns whether something waits
    /// already, so that somebody must drain it.
    #[must_use]
    pub(crate) fn open(&self) -> bool {
        let mut slot = self.outbox.borrow_mut();
        let waits = slot.as_ref().is_some_and(|outbox| !outbox.is_empty());
        if !waits {
            *slot = None;
        }
        waits
    }

    pub(crate) fn id(&self) -> ClientId {
        self.id
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// The rooms that it is in.
    pub(crate) fn seats(&self) -> &Seats {
        &self.seats
    }

    /// What the host calls it, if it has said.
    pub(crate) fn identity(&self) -> Option<Arc<str>> {
        let boxed = self.identity.take();
        let identity = boxed.as_deref().cloned();
        self.identity.set(boxed);
        identity
    }

    pub(crate) fn set_identity(&self, identity: Arc<str>) {
        self.identity.set(Some(Box::new(identity)));
    }

    pub(crate) fn set_echo(&self, echo: bool) {
        self.echo.set(echo);
    }

    /// Tells the host of a message of the client, in the room of that name.
    pub(crate) fn report_message(&self, room: &Arc<str>, offset: u64, message: &Message) {
        let (client, room, identity) = (self.id, Arc::clone(room), self.identity());
        let event = Event::Message { client, identity, room, offset, message: message.clone() };
        self.context.events.push_message(event, message.data().len(), &self.context.counters);
    }

    /// Wakes the host for what it was told outside of a shard's turn.
    pub(crate) fn wake_host(&self) {
        self.context.events.wake();
    }

    /// Whether the client receives what it sends itself.
    pub(crate) fn has_echo(&self) -> bool {
        self.echo.get()
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase.get()
    }

    pub(crate) fn is_open(&self) -> bool {
        self.phase() == Phase::Open
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.phase() == Phase::Cut
    }

    /// Why it ends, if it does.
    pub(crate) fn end(&self) -> Option<&End> {
        self.end.get().map(|end| &**end)
    }

    /// Notes that bytes of the client arrived: any are an answer to a ping.
    pub(crate) fn note_heard(&self) {
        self.asked.set(0);
    }

    /// The first round of pings that it has not answered.
    pub(crate) fn unanswered(&self) -> Option<u32> {
        Some(self.asked.get()).filter(|round| *round > 0)
    }

    /// Lets the connection's task be woken when the phase changes.
    pub(crate) fn register_reader(&self, cx: &TaskContext<'_>) {
        let mut reader = self.reader.take();
        match &mut reader {
            Some(waker) => waker.clone_from(cx.waker()),
            None => reader = Some(cx.waker().clone()),
        }
        self.reader.set(reader);
    }

    /// Waits until the client is not open any more.
    pub(crate) async fn closed(&self) {
        poll_fn(|cx| {
            if !self.is_open() {
                return Poll::Ready(());
            }
            self.register_reader(cx);
            Poll::Pending
        })
        .await;
    }

    /// Writes whole data frames, `messages` of them. Returns whether the client's outbox has become
    /// non-empty, so that somebody must drain it.
    #[must_use]
    pub(crate) fn deliver(&self, frames: &Bytes, messages: u64) -> bool {
        let mut delivered = Delivered::default();
        let is_lagging = self.deliver_some(frames, messages, &mut delivered);
        delivered.count(&self.context);
        is_lagging
    }

    /// Does what `deliver` does, and leaves it to the caller to count it: once for many clients.
    #[must_use]
    pub(crate) fn deliver_some(
        &self,
        frames: &Bytes,
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

    /// Answers a ping; not while the client does not take what it is sent.
    #[must_use]
    pub(crate) fn pong(&self, frame: &Bytes) -> bool {
        let is_short =
            self.outbox.borrow().as_ref().is_none_or(|outbox| outbox.size() < PONG_BOUND);
        is_short && self.is_open() && self.write(frame, true)
    }

    /// Sends a ping of a round.
    #[must_use]
    pub(crate) fn ping(&self, round: u32) -> bool {
        if self.asked.get() == 0 {
            self.asked.set(round);
        }
        self.is_open() && self.write(&Bytes::from_static(frame::PING), true)
    }

    /// Sends a close frame after all that waits, and lets nothing follow it.
    #[must_use]
    pub(crate) fn close(&self, closing: Closing) -> bool {
        if !self.is_open() {
            return false;
        }
        let started = self.write(&closing.frame, true);
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
            let _ = SockRef::from(&*self.stream).shutdown(Shutdown::Both);
        }
        self.enter(Phase::Cut, End { code, reason: reason.into() });
    }

    fn enter(&self, phase: Phase, end: End) {
        self.phase.set(phase);
        self.end.get_or_init(|| Box::new(end));
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    fn write(&self, frames: &Bytes, is_control: bool) -> bool {
        if self.outbox.borrow().is_some() {
            self.queue(frames, 0, is_control);
            return false;
        }
        // Past tokio's stream, which is two more places in memory: with the layout of this struct
        // about 200 ns of the 5,600 that a delivery to one of 1,000 takes. If the socket is full, the
        // drain's own write tells tokio.
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
    fn queue(&self, frames: &Bytes, taken: usize, is_control: bool) -> bool {
        let options = &self.context.options;
        let mut slot = self.outbox.borrow_mut();
        let was_empty = slot.is_none();
        let outbox = slot.get_or_insert_default();
        // First queued, then judged: a frame that was begun must be among what is kept.
        outbox.push(frames, taken, is_control, Instant::now());
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
            match self.stream.try_write(outbox.front()) {
                Ok(taken) => {
                    outbox.advance(taken);
                    if outbox.is_empty() {
                        *slot = None;
                        drop(slot);
                        self.report_dropped(false);
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

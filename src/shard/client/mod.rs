//! One connection, as its shard and the host know it: who it is, where it is, how far it is.
//!
//! Lives on its shard's thread alone.

mod writing;

use std::{
    cell::{Cell, RefCell},
    fmt,
    future::poll_fn,
    rc::Rc,
    sync::Arc,
    task::Poll,
    time::Instant,
};

use once_cell::unsync::OnceCell;

pub(crate) use self::writing::Delivered;
use super::{READ_BUFFER, inbox::End, outbox::Outbox, seats::Seats};
use crate::{
    context::Context,
    event::{ClientId, Event},
    message::Message,
    reactor::Stream,
    sys::Socket,
};

/// How much is read at once of a client whose frames are shorter than that on average, in bytes: the whole
/// buffer may hold ten thousand, and all others of the shard wait for as long as these take.
const SMALL_READ: usize = 8 * 1024;
const SHORT_FRAME: usize = 128;

/// How far a connection is on its way to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Messages pass.
    Open,
    /// A close frame is sent or queued; the peer's answer is awaited.
    Closing,
    /// Nothing can be written any more; the connection is to let go of it.
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
    /// Whether what was read last were short frames.
    has_short_frames: Cell<bool>,
    // Boxed, and absent while it is empty: nearly all clients have none at any time.
    outbox: RefCell<Option<Box<Outbox>>>,
    stream: Rc<Stream>,
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
        stream: Rc<Stream>,
        echo: bool,
    ) -> Rc<Self> {
        Rc::new(Self {
            id,
            socket: Socket::of(&*stream),
            phase: Cell::new(Phase::Open),
            echo: Cell::new(echo),
            has_short_frames: Cell::new(false),
            // Holds everything back until the handshake's answer is written.
            outbox: RefCell::new(Some(Box::default())),
            stream,
            context,
            seats: Seats::default(),
            identity: Cell::default(),
            end: OnceCell::new(),
            unreported: Cell::new(0),
            asked: Cell::new(0),
        })
    }

    /// Lets what is written pass, now that the handshake is answered. Returns whether something waits
    /// already, so that somebody must drain it.
    #[must_use]
    pub(crate) fn open(&self) -> bool {
        let mut slot = self.outbox.borrow_mut();
        slot.take_if(|outbox| outbox.is_empty());
        if let Some(outbox) = slot.as_mut() {
            // It could not have read any of it before.
            outbox.restart(Instant::now());
        }
        slot.is_some()
    }

    pub(crate) fn id(&self) -> ClientId {
        self.id
    }

    pub(crate) fn stream(&self) -> &Stream {
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
        let counters = &self.context.counters;
        self.context.events.push_message(event, message.data().len(), counters);
    }

    /// Publishes a message of the client to the room that it speaks to. In none, it speaks to the host
    /// alone.
    pub(crate) fn publish(&self, message: Message) {
        // It fails if the server stops, and takes no more messages.
        if let Err(message) = self.seats.publish(self, message) {
            self.report_message(&Arc::from(""), 0, &message);
            self.wake_host();
        }
    }

    /// Publishes a message of the client to the room in which it was said, or tells the host alone if
    /// it was in none. Returns false if it has left the room since, or the server stops.
    pub(crate) fn publish_in(&self, room: &Arc<str>, message: Message) -> bool {
        if room.is_empty() {
            self.report_message(room, 0, &message);
            self.wake_host();
            return true;
        }
        self.seats.publish_in(room, self, message).is_some_and(|published| published.is_ok())
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

    /// How much is read of the client at once, in bytes.
    pub(crate) fn read_size(&self) -> usize {
        if self.has_short_frames.get() { SMALL_READ } else { READ_BUFFER }
    }

    /// Notes how many bytes and frames were read at once.
    pub(crate) fn note_read(&self, bytes: usize, frames: usize) {
        self.has_short_frames.set(frames * SHORT_FRAME > bytes);
    }

    /// Notes that bytes of the client arrived: any are an answer to a ping.
    pub(crate) fn note_heard(&self) {
        self.asked.set(0);
    }

    /// The first round of pings that it has not answered.
    pub(crate) fn unanswered(&self) -> Option<u32> {
        Some(self.asked.get()).filter(|round| *round > 0)
    }

    /// Waits until the client is not open any more.
    pub(crate) async fn closed(&self) {
        poll_fn(|cx| {
            if !self.is_open() {
                return Poll::Ready(());
            }
            self.stream.register_reader(cx);
            Poll::Pending
        })
        .await;
    }
}

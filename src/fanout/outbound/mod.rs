//! The outbound half of one connection: its transport, its outbox, and its cursor in the shard's sequence.
//!
//! Invariant: nothing else writes to the socket once the handshake is answered. Lives on its shard's thread
//! alone. It knows slots of lanes, not rooms.

mod slow;
mod writing;

use std::{
    cell::{Cell, RefCell},
    fmt,
    rc::Rc,
    sync::Arc,
    time::Instant,
};

use once_cell::unsync::OnceCell;
use rustc_hash::FxHashMap;

pub(crate) use self::writing::{Delivered, Flushed};
use super::{
    answers::{Answers, Awaited},
    command::Disconnect,
    form::Form,
    lagging::Lagging,
    outbox::Outbox,
    pages::Pages,
    sender_commands::SenderCommands,
    slot::{LaneKey, Slot},
};
use crate::{context::Context, event::ClientId, reactor::Clock, transport::Transport};

/// How far the end of a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Messages are read and written.
    Open,
    /// A close frame is sent or queued; the peer's answer is awaited.
    Closing,
    /// Nothing can be written any more; the connection ends.
    Aborted,
}

/// What all outbound halves of a shard share.
#[derive(Debug)]
pub(crate) struct OutboundShared {
    pub(crate) context: Arc<Context>,
    pub(crate) lagging: Lagging,
    pages: Rc<Pages>,
    pub(crate) sender_commands: SenderCommands,
    pub(crate) answers: Answers<Awaited>,
    pub(crate) clock: Rc<Clock>,
}

impl OutboundShared {
    pub(crate) fn new(context: Arc<Context>, clock: Rc<Clock>) -> Rc<Self> {
        Rc::new(Self {
            context,
            lagging: Lagging::default(),
            pages: Rc::default(),
            sender_commands: SenderCommands::default(),
            answers: Answers::default(),
            clock,
        })
    }

    /// Returns the time of the current tick.
    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }
}

/// One connection's outbound half. There may be very many, most of them idle: fields that are rarely set are
/// behind a pointer.
// `repr(C)` keeps the order of the fields: those that a delivery reads are in the first cache line.
#[repr(C)]
pub(crate) struct Outbound {
    transport: Transport,
    id: ClientId,
    /// Everything before this position in the shard's sequence was written, or is not for the client.
    cursor: Cell<u64>,
    phase: Cell<Phase>,
    // Here, since a larger field behind it would need padding.
    form: Form,
    /// Whether `lagging` has a time at which its outbox is checked.
    has_check_time: Cell<bool>,
    /// Whether the client of an event stream was told when it comes back, or will be with the past of a room.
    has_retry: Cell<bool>,
    /// Its slot in the broadcast room's lane.
    broadcasts: Cell<Option<Slot>>,
    // Boxed, and absent while it is empty: nearly all clients have none at any time.
    outbox: RefCell<Option<Box<Outbox>>>,
    /// Its slot in the lane of one room, and those of further rooms.
    first: Cell<Option<Slot>>,
    more: Cell<Option<Box<MoreSlots>>>,
    shared: Rc<OutboundShared>,
    /// Why it ends: the first reason that was given.
    disconnect: OnceCell<Box<Disconnect>>,
    /// How many messages were dropped that the host was not told of yet.
    unreported: Cell<u32>,
    /// The ping round whose answer is awaited; 0 if none is.
    pinged: Cell<u32>,
}

/// A client's slots beside the first, by lane.
type MoreSlots = FxHashMap<LaneKey, Slot>;

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound")
            .field("id", &self.id)
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

impl Outbound {
    /// Makes the outbound half of a connection whose handshake is not answered yet: what is written waits
    /// in the outbox until `open`.
    pub(crate) fn new(
        id: ClientId,
        shared: Rc<OutboundShared>,
        transport: Transport,
        form: Form,
    ) -> Rc<Self> {
        Rc::new(Self {
            transport,
            id,
            cursor: Cell::new(0),
            phase: Cell::new(Phase::Open),
            form,
            has_check_time: Cell::new(false),
            has_retry: Cell::new(false),
            broadcasts: Cell::new(None),
            // Holds everything back until the handshake's answer is written.
            outbox: RefCell::new(Some(Box::new(Outbox::new(form)))),
            first: Cell::default(),
            more: Cell::default(),
            shared,
            disconnect: OnceCell::new(),
            unreported: Cell::new(0),
            pinged: Cell::new(0),
        })
    }

    /// What it shares with the others of its shard.
    pub(crate) fn shared(&self) -> &OutboundShared {
        &self.shared
    }

    pub(crate) fn id(&self) -> ClientId {
        self.id
    }

    /// Returns the wire form that it receives.
    pub(crate) fn form(&self) -> Form {
        self.form
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.transport
    }

    pub(super) fn cursor(&self) -> u64 {
        self.cursor.get()
    }

    pub(super) fn set_cursor(&self, sequence: u64) {
        self.cursor.set(sequence);
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase.get()
    }

    pub(crate) fn is_open(&self) -> bool {
        self.phase() == Phase::Open
    }

    pub(crate) fn is_aborted(&self) -> bool {
        self.phase() == Phase::Aborted
    }

    /// Returns why the connection ends, if it does.
    pub(crate) fn disconnect(&self) -> Option<&Disconnect> {
        self.disconnect.get().map(|disconnect| &**disconnect)
    }

    /// Notes that bytes of the client arrived: any bytes answer a ping.
    pub(crate) fn note_activity(&self) {
        self.pinged.set(0);
    }

    /// Returns the first ping round that it has not answered.
    pub(crate) fn unanswered_ping(&self) -> Option<u32> {
        Some(self.pinged.get()).filter(|round| *round > 0)
    }

    /// Sets the slot in the broadcast room's lane. Returns the one before.
    pub(super) fn set_broadcasts(&self, slot: Option<Slot>) -> Option<Slot> {
        self.broadcasts.replace(slot)
    }

    /// Adds a slot in a room's lane.
    pub(super) fn add_slot(&self, slot: Slot) {
        if self.first.get().is_none() {
            self.first.set(Some(slot));
        } else {
            let mut more = self.more.take().unwrap_or_default();
            more.insert(slot.lane, slot);
            self.more.set(Some(more));
        }
    }

    /// Removes a slot in a room's lane.
    pub(super) fn remove_slot(&self, slot: Slot) {
        if self.first.get() == Some(slot) {
            self.first.set(None);
        } else if let Some(mut more) = self.more.take() {
            more.remove(&slot.lane);
            self.more.set(Some(more).filter(|more| !more.is_empty()));
        }
    }

    /// Whether it has at most one slot beside that for broadcasts.
    pub(super) fn is_in_one_room(&self) -> bool {
        let more = self.more.take();
        let is_in_one = more.is_none();
        self.more.set(more);
        is_in_one
    }

    /// Calls `each` with its slots in the `dirty` lanes, once each in any order, and possibly with other slots.
    /// `dirty` has no lane twice.
    pub(super) fn each_slot(
        &self,
        dirty: impl ExactSizeIterator<Item = LaneKey>,
        mut each: impl FnMut(Slot),
    ) {
        self.broadcasts.get().into_iter().chain(self.first.get()).for_each(&mut each);
        let Some(more) = self.more.take() else { return };
        if more.len() <= dirty.len() {
            more.values().copied().for_each(&mut each);
        } else {
            dirty.filter_map(|lane| more.get(&lane).copied()).for_each(&mut each);
        }
        self.more.set(Some(more));
    }
}

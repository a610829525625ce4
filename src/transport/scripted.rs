//! A test's socket: takes as many bytes as the test allows, and keeps them.

use std::{
    cell::{Cell, RefCell},
    io::{self, IoSlice},
    rc::Rc,
};

/// A socket that takes bytes as long as it has room, possibly owes what it took, and can be reset.
#[derive(Debug, Default)]
pub(crate) struct Scripted {
    /// How many more bytes it takes.
    room: Cell<usize>,
    /// How many bytes one call takes at most; 0 for no limit.
    pub(crate) most: Cell<usize>,
    /// Whether it takes bytes before it has room for them, and owes them.
    pub(crate) owes: Cell<bool>,
    owed: RefCell<Vec<u8>>,
    taken: RefCell<Vec<u8>>,
    pub(crate) is_reset: Cell<bool>,
    pub(crate) has_ended: Cell<bool>,
    /// Whether a write is tried again when it has room.
    pub(crate) wants_write: Cell<bool>,
    /// How many times it was written to.
    pub(crate) writes: Cell<usize>,
}

/// How much a socket that owes takes beyond its room.
const MAX_OWED: usize = 1000;

impl Scripted {
    pub(crate) fn new(room: usize) -> Rc<Self> {
        let script = Self::default();
        script.room.set(room);
        Rc::new(script)
    }

    /// Makes room for more bytes.
    pub(crate) fn add_room(&self, bytes: usize) {
        self.room.set(self.room.get().saturating_add(bytes));
    }

    /// Leaves no room.
    pub(crate) fn fill(&self) {
        self.room.set(0);
    }

    /// Takes what the client has received.
    pub(crate) fn received(&self) -> Vec<u8> {
        self.taken.take()
    }

    pub(super) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.writes.set(self.writes.get() + 1);
        if self.is_reset.get() {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        self.flush()?;
        let most = match self.most.get() {
            0 => bytes.len(),
            most => most.min(bytes.len()),
        };
        let fits = most.min(self.room.get());
        self.room.set(self.room.get() - fits);
        self.taken.borrow_mut().extend_from_slice(&bytes[..fits]);
        let mut len = fits;
        if self.owes.get() {
            let more = (most - fits).min(MAX_OWED);
            self.owed.borrow_mut().extend_from_slice(&bytes[fits..fits + more]);
            len += more;
        }
        if len == 0 && !bytes.is_empty() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(len) }
    }

    pub(super) fn send_slices(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut taken = 0;
        for slice in slices {
            match self.send(slice) {
                Ok(len) => taken += len,
                Err(_) if taken > 0 => break,
                Err(error) => return Err(error),
            }
            if self.most.get() > 0 || self.owed() > 0 {
                break;
            }
        }
        Ok(taken)
    }

    pub(super) fn owed(&self) -> usize {
        self.owed.borrow().len()
    }

    pub(super) fn flush(&self) -> io::Result<()> {
        let mut owed = self.owed.borrow_mut();
        let fits = owed.len().min(self.room.get());
        self.room.set(self.room.get() - fits);
        self.taken.borrow_mut().extend(owed.drain(..fits));
        if owed.is_empty() { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
    }

    pub(super) fn shutdown_write(&self) -> io::Result<()> {
        self.has_ended.set(true);
        Ok(())
    }

    pub(super) fn abort(&self) {
        self.is_reset.set(true);
    }
}

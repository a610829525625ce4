//! A shard's inbox: the one way by which other threads reach its connections.
//!
//! It has two queues. Commands are applied in the order in which they were pushed. A client's message passes
//! them as an *express* delivery if no pending command concerns its room: so a host that queues much for one
//! room delays no other room.
//!
//! Invariant: what was pushed is taken before the shard ends. Express deliveries that were pushed before a
//! command are taken with it or before it, and are applied first. A shard is woken once for all pushes while
//! it was parked.

use std::{
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Waker,
    time::Instant,
};

use once_cell::sync::OnceCell;
use tokio::sync::Notify;

use super::command::{Command, Delivery};
use crate::error::{Error, Result};

/// While a queue holds this many entries or bytes, publishers wait. The bound is soft: they check before they
/// push, so one batch of each publisher, or what one read of a client's socket held, can exceed it.
const MAX_COMMANDS: usize = 16 * 1024;
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// The same for express deliveries: beyond it clients are not read. Fewer, since the host's commands wait for
/// those that were pushed before them.
const MAX_EXPRESS: usize = 4 * 1024;
const MAX_EXPRESS_BYTES: usize = 2 * 1024 * 1024;

/// The queue that a client's messages go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QueueKind {
    Express,
    /// Behind the host's commands, because one of them concerns the room.
    Commands,
}

/// A shard's queue of commands.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    // A std mutex: it is never held across an await, and the critical section is a push or a swap.
    queue: Mutex<Queue>,
    /// Whether the commands have reached a bound; set and cleared under the lock, read without it.
    full: AtomicBool,
    /// Whether the express deliveries have reached a bound, in the same way.
    express_full: AtomicBool,
    /// How many of all commands that were ever pushed are applied.
    applied: AtomicU64,
    /// Wakes the host's threads that wait for space.
    space: Condvar,
    /// Wakes the connections that wait for space.
    space_for_tasks: Notify,
    /// Wakes the shard.
    waker: OnceCell<Waker>,
}

#[derive(Debug, Default)]
struct Queue {
    commands: Vec<Command>,
    bytes: usize,
    express: Vec<Delivery>,
    express_bytes: usize,
    /// How many commands were ever pushed.
    pushed: u64,
    /// Whether the next push must wake the shard: it found both queues empty.
    is_parked: bool,
    closed: bool,
    /// How many threads of the host wait for space.
    waiting: usize,
}

impl Queue {
    fn append(&mut self, command: Command) {
        self.bytes += command.bytes();
        self.commands.push(command);
        self.pushed += 1;
    }
}

impl Inbox {
    /// Adds a command, and wakes the shard if it is parked. Returns the command's number.
    ///
    /// # Errors
    /// Returns the command, if the inbox is closed.
    pub(crate) fn push(&self, command: Command) -> Result<u64, Command> {
        let mut queue = self.lock();
        if queue.closed {
            return Err(command);
        }
        queue.closed = matches!(command, Command::Stop);
        if queue.closed {
            // No push succeeds any more, so nothing is left to wait for.
            self.space.notify_all();
        }
        queue.append(command);
        let number = queue.pushed;
        self.note_pushed(queue);
        Ok(number)
    }

    /// Adds deliveries that pass all pending commands.
    ///
    /// # Errors
    /// `Stopped`.
    pub(crate) fn deliver_express(&self, deliveries: impl Iterator<Item = Delivery>) -> Result<()> {
        let mut queue = self.lock();
        if queue.closed {
            return Err(Error::Stopped);
        }
        for delivery in deliveries {
            queue.express_bytes += delivery.message.message.data().len();
            queue.express.push(delivery);
        }
        self.note_pushed(queue);
        Ok(())
    }

    /// Adds deliveries behind all pending commands. Returns the number of the last.
    ///
    /// # Errors
    /// `Stopped`.
    pub(crate) fn deliver(&self, deliveries: impl Iterator<Item = Delivery>) -> Result<u64> {
        let mut queue = self.lock();
        if queue.closed {
            return Err(Error::Stopped);
        }
        for delivery in deliveries {
            queue.append(Command::Deliver(delivery));
        }
        let number = queue.pushed;
        self.note_pushed(queue);
        Ok(number)
    }

    /// Updates whether publishers wait, and wakes the shard if it is parked.
    fn note_pushed(&self, mut queue: MutexGuard<'_, Queue>) {
        if queue.commands.len() >= MAX_COMMANDS || queue.bytes >= MAX_BYTES {
            self.full.store(true, Ordering::Relaxed);
        }
        if queue.express.len() >= MAX_EXPRESS || queue.express_bytes >= MAX_EXPRESS_BYTES {
            self.express_full.store(true, Ordering::Relaxed);
        }
        let is_parked = std::mem::take(&mut queue.is_parked);
        drop(queue);
        if is_parked && let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    /// Sets the shard's waker.
    pub(crate) fn set_waker(&self, waker: Waker) {
        let _ = self.waker.set(waker);
    }

    /// Swaps all waiting express deliveries into `express`, and all waiting commands into `commands` if they
    /// are wanted. Both must be empty.
    pub(crate) fn take(&self, express: &mut Vec<Delivery>, commands: Option<&mut Vec<Command>>) {
        debug_assert!(express.is_empty(), "what was taken is applied first");
        let mut queue = self.lock();
        let mut has_space = false;
        if !queue.express.is_empty() {
            std::mem::swap(&mut queue.express, express);
            queue.express_bytes = 0;
            has_space |= self.express_full.swap(false, Ordering::Relaxed);
        }
        if let Some(commands) = commands.filter(|_| !queue.commands.is_empty()) {
            debug_assert!(commands.is_empty(), "what was taken is applied first");
            std::mem::swap(&mut queue.commands, commands);
            queue.bytes = 0;
            has_space |= self.full.swap(false, Ordering::Relaxed);
        }
        if has_space {
            // Under the lock, so at once: until the waiting connections know, the others of their shards yield
            // to them, and none is read.
            self.space_for_tasks.notify_waiters();
            let is_awaited = queue.waiting > 0;
            drop(queue);
            if is_awaited {
                self.space.notify_all();
            }
        }
    }

    /// Returns whether nothing waits. If so, the next push wakes the shard.
    pub(crate) fn may_park(&self) -> bool {
        let mut queue = self.lock();
        queue.is_parked = queue.commands.is_empty() && queue.express.is_empty();
        queue.is_parked
    }

    /// Whether the host must wait.
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Whether clients that publish are not read.
    pub(crate) fn is_express_full(&self) -> bool {
        self.express_full.load(Ordering::Relaxed)
    }

    /// Notes that `count` more commands are applied.
    pub(crate) fn note_applied(&self, count: u64) {
        // Release: a publisher that sees the count pushes behind what the commands have put into the lanes.
        self.applied.fetch_add(count, Ordering::Release);
    }

    /// Whether the command with a number is applied.
    pub(crate) fn is_applied(&self, number: u64) -> bool {
        number <= self.applied.load(Ordering::Acquire)
    }

    /// Waits for space on a thread of the host.
    ///
    /// # Errors
    /// `QueueFull` after the deadline.
    pub(crate) fn wait_for_space(&self, deadline: Instant) -> Result<()> {
        let mut queue = self.lock();
        while self.is_full() && !queue.closed {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::QueueFull);
            }
            queue.waiting += 1;
            queue = self.space.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
            queue.waiting -= 1;
        }
        Ok(())
    }

    /// How many threads of the host wait for space.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.lock().waiting
    }

    /// Waits for space in a queue in a task of a shard. The wait ends, since no shard waits for a client.
    pub(crate) async fn space(&self, queue: QueueKind) {
        let is_full = || match queue {
            QueueKind::Express => self.is_express_full(),
            QueueKind::Commands => self.is_full() || self.is_express_full(),
        };
        while is_full() {
            let space = self.space_for_tasks.notified();
            // Checked again: the shard may have made space before this task was registered.
            if !is_full() {
                return;
            }
            space.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // The queue is consistent at every point where a panic could be thrown.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "inbox_tests.rs"]
mod tests;

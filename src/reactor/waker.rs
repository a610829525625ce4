//! Wakes an event loop from other threads: by a system call if the loop is parked, by an atomic otherwise.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicBool, AtomicU8,
            Ordering::{Relaxed, SeqCst},
        },
    },
    task::{Wake, Waker},
};

/// The loop runs, and has no pending notification.
const RUNNING: u8 = 0;
/// A notification is pending.
const NOTIFIED: u8 = 1;
/// The loop blocks in the kernel, or is about to.
const PARKED: u8 = 2;

/// The notification state of a loop. A notifier publishes its work before it notifies.
#[derive(Debug)]
pub(super) struct LoopWaker {
    state: AtomicU8,
    /// Whether a task of the loop was woken.
    has_woken_tasks: AtomicBool,
    /// Removed when the loop is dropped. Locked only to wake a parked loop.
    waker: Mutex<Option<mio::Waker>>,
}

impl LoopWaker {
    pub(super) fn new(waker: mio::Waker) -> Self {
        Self {
            state: AtomicU8::new(RUNNING),
            has_woken_tasks: AtomicBool::new(false),
            waker: Mutex::new(Some(waker)),
        }
    }

    /// Returns a waker that makes the loop poll its tasks.
    pub(super) fn task_waker(this: &Arc<Self>) -> Waker {
        Waker::from(Arc::new(TaskWaker(Arc::clone(this))))
    }

    /// Whether a notification is pending.
    pub(super) fn is_pending(&self) -> bool {
        self.state.load(Relaxed) == NOTIFIED
    }

    /// Marks the loop as parked. Returns false if a notification is pending: then the loop must not block.
    pub(super) fn park(&self) -> bool {
        self.state.compare_exchange(RUNNING, PARKED, SeqCst, SeqCst).is_ok()
    }

    /// Marks the loop as running, so that notifiers skip the system call. The loop sees the notifiers'
    /// work in `take_pending`, which follows: a swap, so that it synchronizes with them.
    pub(super) fn unpark(&self) {
        self.state.swap(RUNNING, SeqCst);
    }

    /// Clears the pending notification before the loop looks for work: a later notification keeps it from
    /// parking. Returns whether a task was woken.
    pub(super) fn take_pending(&self) -> bool {
        self.state.swap(RUNNING, SeqCst);
        self.has_woken_tasks.load(Relaxed) && self.has_woken_tasks.swap(false, SeqCst)
    }

    /// Closes the descriptor when the loop is dropped: wakers on other threads may outlive it.
    pub(super) fn close(&self) {
        self.waker().take();
    }

    fn notify(&self) {
        if self.state.swap(NOTIFIED, SeqCst) == PARKED
            && let Some(waker) = &*self.waker()
        {
            // It increments an eventfd, which mio resets on overflow: it cannot fail.
            let _ = waker.wake();
        }
    }

    fn waker(&self) -> MutexGuard<'_, Option<mio::Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for LoopWaker {
    fn wake(self: Arc<Self>) {
        self.notify();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.notify();
    }
}

/// Wakes a loop to poll its tasks.
struct TaskWaker(Arc<LoopWaker>);

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.has_woken_tasks.store(true, SeqCst);
        self.0.notify();
    }
}

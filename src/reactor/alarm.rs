//! How other threads wake a loop: by a system call if it sleeps, and by a word in memory if it does not.

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

/// The loop is at work, and nobody has rung since it last looked.
const AWAKE: u8 = 0;
/// Somebody has rung.
const RUNG: u8 = 1;
/// The loop sleeps, or is about to.
const ASLEEP: u8 = 2;

/// A loop's alarm. Whoever rings has put there before what the loop is to find.
#[derive(Debug)]
pub(super) struct Alarm {
    state: AtomicU8,
    /// Whether a task was woken.
    tasks: AtomicBool,
    /// Until the loop is gone. Asked only if it sleeps.
    waker: Mutex<Option<mio::Waker>>,
}

impl Alarm {
    pub(super) fn new(waker: mio::Waker) -> Self {
        Self {
            state: AtomicU8::new(AWAKE),
            tasks: AtomicBool::new(false),
            waker: Mutex::new(Some(waker)),
        }
    }

    /// What wakes the loop to poll its tasks.
    pub(super) fn waker_of_tasks(alarm: &Arc<Self>) -> Waker {
        Waker::from(Arc::new(TaskAlarm(Arc::clone(alarm))))
    }

    /// Whether somebody has rung since the loop last noted that it is awake.
    pub(super) fn is_rung(&self) -> bool {
        self.state.load(Relaxed) == RUNG
    }

    /// Notes that the loop is about to sleep; false if it must not, since somebody has rung.
    pub(super) fn fall_asleep(&self) -> bool {
        self.state.compare_exchange(AWAKE, ASLEEP, SeqCst, SeqCst).is_ok()
    }

    /// Notes that the loop is awake, so that nobody need wake it. What was rung for is looked for when it
    /// takes what was rung: a swap, so that this sees what was put there before.
    pub(super) fn wake_up(&self) {
        self.state.swap(AWAKE, SeqCst);
    }

    /// Notes that the loop looks at what others have left for it: who rings from now on keeps it awake.
    /// Returns whether a task was woken.
    pub(super) fn take_rung(&self) -> bool {
        self.state.swap(AWAKE, SeqCst);
        self.tasks.load(Relaxed) && self.tasks.swap(false, SeqCst)
    }

    /// Gives the descriptor back: the loop is gone.
    pub(super) fn take_away(&self) {
        self.waker().take();
    }

    fn ring(&self) {
        if self.state.swap(RUNG, SeqCst) == ASLEEP
            && let Some(waker) = &*self.waker()
        {
            // It adds one to a counter of the kernel's, and mio empties that when it is full: there is
            // nothing that could fail.
            let _ = waker.wake();
        }
    }

    fn waker(&self) -> MutexGuard<'_, Option<mio::Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}

/// The alarm, for a loop's tasks.
struct TaskAlarm(Arc<Alarm>);

impl Wake for TaskAlarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.tasks.store(true, SeqCst);
        self.0.ring();
    }
}

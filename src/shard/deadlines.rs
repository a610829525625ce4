//! All times that a shard waits for, behind one timer of the kernel: a timer for each handshake and each
//! ending would cost system calls.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    future::poll_fn,
    pin::pin,
    rc::Rc,
    task::{Poll, Waker},
    time::{Duration, Instant},
};

use futures_util::future::{Either, select};
use tokio::sync::Notify;

use super::Shard;
use crate::reactor::{Clock, Timer};

/// A deadline. The number distinguishes those at the same time.
type Key = (Instant, u64);

/// The deadlines of one shard, by its clock: those of clients move if the shard loses time.
#[derive(Debug)]
pub(crate) struct Deadlines {
    clock: Rc<Clock>,
    waiting: RefCell<BTreeMap<Key, Waker>>,
    last_number: Cell<u64>,
    /// When the task wakes, if a time is set. Removing a deadline leaves it as it is, so the task may wake when
    /// nothing is due.
    wakes_at: Cell<Option<Instant>>,
    /// Wakes the task when there is an earlier deadline.
    earlier: Notify,
}

impl Deadlines {
    pub(super) fn new(clock: Rc<Clock>) -> Self {
        Self {
            clock,
            waiting: RefCell::default(),
            last_number: Cell::default(),
            wakes_at: Cell::default(),
            earlier: Notify::new(),
        }
    }

    /// Waits for a future, at most for a duration. Returns `None` if it takes longer.
    pub(crate) async fn within<T>(
        &self,
        limit: Duration,
        done: impl Future<Output = T>,
    ) -> Option<T> {
        // A time that the clock cannot represent never comes.
        let Some(at) = self.clock.now().checked_add(limit) else { return Some(done.await) };
        self.by(at, done).await
    }

    /// Waits for a future, at most until a time. Returns `None` if it takes longer.
    pub(crate) async fn by<T>(&self, at: Instant, done: impl Future<Output = T>) -> Option<T> {
        match select(pin!(done), pin!(self.until(at))).await {
            Either::Left((output, _)) => Some(output),
            Either::Right(((), _)) => None,
        }
    }

    /// Waits until a time.
    pub(crate) async fn until(&self, at: Instant) {
        let number = self.last_number.get() + 1;
        self.last_number.set(number);
        // A time that is over is no reason to think that the timer is late.
        let at = at.max(self.clock.now());
        let entry = Entry { deadlines: self, key: (at, number) };
        let mut is_new = true;
        poll_fn(|cx| {
            let mut waiting = self.waiting.borrow_mut();
            if let Some(waker) = waiting.get_mut(&entry.key) {
                waker.clone_from(cx.waker());
                return Poll::Pending;
            }
            // `wake_due` has removed it: its time has come.
            if !std::mem::replace(&mut is_new, false) {
                return Poll::Ready(());
            }
            waiting.insert(entry.key, cx.waker().clone());
            if self.wakes_at.get().is_none_or(|next| at < next) {
                self.earlier.notify_one();
            }
            Poll::Pending
        })
        .await;
    }

    /// Wakes what is due by a test's clock.
    #[cfg(test)]
    pub(crate) fn wake_all_due(&self) {
        self.wake_due(self.clock.update());
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.waiting.borrow().len()
    }

    fn first(&self) -> Option<Instant> {
        let waiting = self.waiting.borrow();
        let ((at, _), _) = waiting.first_key_value()?;
        Some(*at)
    }

    fn wake_due(&self, now: Instant) {
        let mut waiting = self.waiting.borrow_mut();
        while let Some(first) = waiting.first_entry()
            && first.key().0 <= now
        {
            first.remove().wake();
        }
    }
}

/// Removes a deadline when it is dropped.
struct Entry<'a> {
    deadlines: &'a Deadlines,
    key: Key,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.deadlines.waiting.borrow_mut().remove(&self.key);
    }
}

/// Wakes what waits for a deadline, while the shard runs.
pub(super) async fn run(shard: Rc<Shard>, timer: Timer) {
    let deadlines = &shard.deadlines;
    loop {
        let next = deadlines.first();
        deadlines.wakes_at.set(next);
        deadlines.clock.set_due(next);
        let earlier = deadlines.earlier.notified();
        match next {
            None => earlier.await,
            Some(at) => {
                let timer = timer.wait(deadlines.clock.to_system(at));
                match select(pin!(timer), pin!(earlier)).await {
                    Either::Left((Ok(()), _)) | Either::Right(_) => {}
                    Either::Left((Err(error), _)) => {
                        // Not expected: the kernel fails it only for bad arguments.
                        tracing::error!(%error, "a shard's timer failed");
                        return shard.fail(format!("its timer failed: {error}"));
                    }
                }
            }
        }
        deadlines.wake_due(deadlines.clock.update());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_future_that_is_done_in_time_leaves_nothing_behind() {
        let deadlines = Deadlines::new(Rc::new(Clock::scripted()));
        let mut cx = std::task::Context::from_waker(Waker::noop());
        let mut waiting = pin!(deadlines.within(HOUR, std::future::pending::<()>()));
        assert!(waiting.as_mut().poll(&mut cx).is_pending());
        let mut done = pin!(deadlines.within(HOUR, std::future::ready(7)));
        assert_eq!(done.as_mut().poll(&mut cx), Poll::Ready(Some(7)));
        assert_eq!(deadlines.waiting.borrow().len(), 1);
    }

    #[test]
    fn each_limit_ends_at_its_own_time() {
        let deadlines = Deadlines::new(Rc::new(Clock::scripted()));
        let mut cx = std::task::Context::from_waker(Waker::noop());
        let start = deadlines.clock.now();
        let mut long = pin!(deadlines.within(HOUR, std::future::pending::<()>()));
        let mut short = pin!(deadlines.within(HOUR / 2, std::future::pending::<()>()));
        assert!(long.as_mut().poll(&mut cx).is_pending());
        assert!(short.as_mut().poll(&mut cx).is_pending());
        assert!(deadlines.first().unwrap() < start + HOUR);
        deadlines.wake_due(start + HOUR / 2 + Duration::from_secs(60));
        assert!(long.as_mut().poll(&mut cx).is_pending());
        assert_eq!(short.as_mut().poll(&mut cx), Poll::Ready(None));
        assert!(deadlines.first().unwrap() >= start + HOUR);
    }
}

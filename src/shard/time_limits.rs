//! All times that a shard waits for, behind one timer of the system's.
//!
//! With a timer of its own for each handshake and each ending, two of 17 system calls for a connection that
//! came and went were the timers'.

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
use crate::reactor::Timer;

/// What waits for its time. The number tells those of the same time apart.
type Key = (Instant, u64);

/// The time limits of one shard.
#[derive(Debug, Default)]
pub(crate) struct TimeLimits {
    waiting: RefCell<BTreeMap<Key, Waker>>,
    last_number: Cell<u64>,
    /// When the task wakes up, if it is to. Those who are done in time leave it as it is.
    wakes_at: Cell<Option<Instant>>,
    /// Wakes the task when somebody's time is before that.
    earlier: Notify,
}

impl TimeLimits {
    /// Waits for a future, but not for longer than a time; `None` if it took longer.
    pub(crate) async fn within<T>(
        &self,
        limit: Duration,
        done: impl Future<Output = T>,
    ) -> Option<T> {
        // A time that the clock cannot hold does not come.
        let Some(at) = Instant::now().checked_add(limit) else { return Some(done.await) };
        self.by(at, done).await
    }

    /// Waits for a future, but not beyond a time; `None` if it would have taken longer.
    pub(crate) async fn by<T>(&self, at: Instant, done: impl Future<Output = T>) -> Option<T> {
        match select(pin!(done), pin!(self.until(at))).await {
            Either::Left((output, _)) => Some(output),
            Either::Right(((), _)) => None,
        }
    }

    /// Waits for a time.
    pub(crate) async fn until(&self, at: Instant) {
        let number = self.last_number.get() + 1;
        self.last_number.set(number);
        let place = Place { limits: self, key: (at, number) };
        let mut is_new = true;
        poll_fn(|cx| {
            let mut waiting = self.waiting.borrow_mut();
            if let Some(waker) = waiting.get_mut(&place.key) {
                waker.clone_from(cx.waker());
                return Poll::Pending;
            }
            // Not there any more: its time has come.
            if !std::mem::replace(&mut is_new, false) {
                return Poll::Ready(());
            }
            waiting.insert(place.key, cx.waker().clone());
            if self.wakes_at.get().is_none_or(|next| at < next) {
                self.earlier.notify_one();
            }
            Poll::Pending
        })
        .await;
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

/// A place among those who wait, given up when this is dropped.
struct Place<'a> {
    limits: &'a TimeLimits,
    key: Key,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.limits.waiting.borrow_mut().remove(&self.key);
    }
}

/// Keeps a shard's times for as long as the shard runs.
pub(super) async fn run(shard: Rc<Shard>, timer: Timer) {
    let limits = &shard.time_limits;
    loop {
        let next = limits.first();
        limits.wakes_at.set(next);
        let earlier = limits.earlier.notified();
        match next {
            None => earlier.await,
            Some(at) => {
                if let Either::Left((Err(error), _)) =
                    select(pin!(timer.wait(at)), pin!(earlier)).await
                {
                    // The kernel has no reason to.
                    tracing::error!(%error, "a shard's timer failed");
                    return shard.fail();
                }
            }
        }
        limits.wake_due(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn whoever_is_done_in_time_leaves_nothing_behind() {
        let limits = TimeLimits::default();
        let mut cx = std::task::Context::from_waker(Waker::noop());
        let mut waiting = pin!(limits.within(LONG, std::future::pending::<()>()));
        assert!(waiting.as_mut().poll(&mut cx).is_pending());
        let mut done = pin!(limits.within(LONG, std::future::ready(7)));
        assert_eq!(done.as_mut().poll(&mut cx), Poll::Ready(Some(7)));
        assert_eq!(limits.waiting.borrow().len(), 1);
    }

    #[test]
    fn each_limit_ends_at_its_own_time() {
        let limits = TimeLimits::default();
        let mut cx = std::task::Context::from_waker(Waker::noop());
        let start = Instant::now();
        let mut long = pin!(limits.within(LONG, std::future::pending::<()>()));
        let mut short = pin!(limits.within(LONG / 2, std::future::pending::<()>()));
        assert!(long.as_mut().poll(&mut cx).is_pending());
        assert!(short.as_mut().poll(&mut cx).is_pending());
        assert!(limits.first().unwrap() < start + LONG);
        limits.wake_due(start + LONG / 2 + Duration::from_secs(60));
        assert!(long.as_mut().poll(&mut cx).is_pending());
        assert_eq!(short.as_mut().poll(&mut cx), Poll::Ready(None));
        assert!(limits.first().unwrap() >= start + LONG);
    }
}

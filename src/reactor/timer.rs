//! The one timer of a loop.

#[cfg(target_os = "linux")]
pub(crate) use self::linux::Timer;
#[cfg(not(target_os = "linux"))]
pub(crate) use self::other::Timer;

/// A timerfd, polled like a socket: a time-out of the poll would have to be computed for every poll.
#[cfg(target_os = "linux")]
mod linux {
    use std::{
        io,
        os::fd::OwnedFd,
        rc::Rc,
        time::{Duration, Instant},
    };

    use crate::{
        reactor::{Reactor, Source},
        sys,
    };

    #[derive(Debug)]
    pub(crate) struct Timer(Source<OwnedFd>);

    impl Timer {
        /// Makes a timer that the loop polls.
        ///
        /// # Errors
        /// The process or the system has no descriptors left.
        pub(crate) fn new(reactor: &Rc<Reactor>) -> io::Result<Self> {
            Source::new(reactor, sys::timer()?).map(Self)
        }

        /// Waits until a time. It may return early, if an earlier time fires at that moment, and up to a
        /// millisecond late, so that times close together are one wake-up.
        pub(crate) async fn wait(&self, at: Instant) -> io::Result<()> {
            // The timerfd is never read: setting it again makes it unreadable.
            let _ = self.0.try_read_with(|_| Err::<(), _>(io::ErrorKind::WouldBlock.into()));
            sys::set_timer(self.0.io(), at)?;
            self.0.readable().await;
            Ok(())
        }
    }

    impl Reactor {
        /// Returns how long the loop may park: without limit, since the timer is a source.
        #[allow(clippy::unused_self)]
        pub(in crate::reactor) fn timeout(&self) -> Option<Duration> {
            None
        }

        #[allow(clippy::unused_self)]
        pub(in crate::reactor) fn fire_timer(&self) {}
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use std::{
        future::poll_fn,
        io,
        rc::Rc,
        task::Poll,
        time::{Duration, Instant},
    };

    use crate::reactor::Reactor;

    #[derive(Debug)]
    pub(crate) struct Timer(Rc<Reactor>);

    impl Timer {
        /// Makes the loop's timer.
        pub(crate) fn new(reactor: &Rc<Reactor>) -> io::Result<Self> {
            Ok(Self(Rc::clone(reactor)))
        }

        /// Waits until a time.
        pub(crate) async fn wait(&self, at: Instant) -> io::Result<()> {
            poll_fn(|cx| {
                let is_over = at <= Instant::now();
                let pending = (!is_over).then(|| (at, cx.waker().clone()));
                self.0.timer.set(pending);
                if is_over { Poll::Ready(Ok(())) } else { Poll::Pending }
            })
            .await
        }
    }

    impl Reactor {
        /// Returns how long the loop may park.
        pub(in crate::reactor) fn timeout(&self) -> Option<Duration> {
            let (at, waker) = self.timer.take()?;
            self.timer.set(Some((at, waker)));
            Some(at.saturating_duration_since(Instant::now()))
        }

        /// Wakes the task that waits for the timer if its time has come.
        pub(in crate::reactor) fn fire_timer(&self) {
            match self.timer.take() {
                Some((at, waker)) if at <= Instant::now() => waker.wake(),
                other => self.timer.set(other),
            }
        }
    }
}

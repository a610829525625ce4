//! The one timer of a loop.

#[cfg(target_os = "linux")]
pub(crate) use self::linux::Timer;
#[cfg(not(target_os = "linux"))]
pub(crate) use self::other::Timer;

/// A timer of the kernel's, which is watched as a socket is: a time limit for the loop's sleep would be set
/// and taken back with each message.
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
        /// Makes a timer that the loop watches.
        ///
        /// # Errors
        /// The process or the system has no descriptors left.
        pub(crate) fn new(reactor: &Rc<Reactor>) -> io::Result<Self> {
            Source::new(reactor, sys::timer()?).map(Self)
        }

        /// Waits for a time, or less: the one before it may come still. It comes up to a millisecond
        /// late, so that what comes close together is one.
        pub(crate) async fn wait(&self, at: Instant) -> io::Result<()> {
            // Setting it anew is what empties it; it is not read.
            let _ = self.0.try_read_with(|_| Err::<(), _>(io::ErrorKind::WouldBlock.into()));
            sys::set_timer(self.0.io(), at)?;
            self.0.readable().await;
            Ok(())
        }
    }

    impl Reactor {
        /// How long the loop may sleep: the timer is a source as any other.
        #[allow(clippy::unused_self)]
        pub(in crate::reactor) fn timeout(&self) -> Option<Duration> {
            None
        }

        #[allow(clippy::unused_self)]
        pub(in crate::reactor) fn ring_timer(&self) {}
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

        /// Waits for a time.
        pub(crate) async fn wait(&self, at: Instant) -> io::Result<()> {
            poll_fn(|cx| {
                let is_over = at <= Instant::now();
                let alarm = (!is_over).then(|| (at, cx.waker().clone()));
                self.0.alarm_at.set(alarm);
                if is_over { Poll::Ready(Ok(())) } else { Poll::Pending }
            })
            .await
        }
    }

    impl Reactor {
        /// How long the loop may sleep.
        pub(in crate::reactor) fn timeout(&self) -> Option<Duration> {
            let (at, waker) = self.alarm_at.take()?;
            self.alarm_at.set(Some((at, waker)));
            Some(at.saturating_duration_since(Instant::now()))
        }

        /// Wakes whoever waits for the timer if its time has come.
        pub(in crate::reactor) fn ring_timer(&self) {
            match self.alarm_at.take() {
                Some((at, waker)) if at <= Instant::now() => waker.wake(),
                other => self.alarm_at.set(other),
            }
        }
    }
}

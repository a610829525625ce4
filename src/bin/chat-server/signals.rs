//! The signals that the program handles.

use std::{future::poll_fn, io, task::Poll};

use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
};

/// The handlers of signals, from `new` on.
pub(crate) struct Signals {
    /// SIGINT (Ctrl-C), SIGTERM, SIGQUIT (the STOPSIGNAL of some container images).
    stop: [Signal; 3],
    hangup: Signal,
    /// Never looked at: without a handler, a log file that reaches the limit of its size ends the program.
    _file_size: Signal,
}

impl Signals {
    /// Begins to handle signals. Returns what waits for them, too.
    ///
    /// # Errors
    /// No descriptor is left.
    pub(crate) fn new() -> io::Result<(Runtime, Self)> {
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let signals = runtime.block_on(async { Self::handle() })?;
        Ok((runtime, signals))
    }

    fn handle() -> io::Result<Self> {
        Ok(Self {
            stop: [
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
                signal(SignalKind::quit())?,
            ],
            hangup: signal(SignalKind::hangup())?,
            _file_size: signal(SignalKind::from_raw(libc::SIGXFSZ))?,
        })
    }

    /// Waits for a signal that asks the server to stop.
    pub(crate) async fn stop_requested(&mut self) {
        poll_fn(|cx| {
            while let Poll::Ready(Some(())) = self.hangup.poll_recv(cx) {
                tracing::info!("SIGHUP ignored: there is nothing to reload");
            }
            if self.stop.iter_mut().any(|signal| signal.poll_recv(cx).is_ready()) {
                return Poll::Ready(());
            }
            Poll::Pending
        })
        .await;
    }
}

//! The log lines of the program, and what becomes of a panic: a line too.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::{self, IsTerminal},
    panic::{self, PanicHookInfo},
    thread,
};

use tracing::{Subscriber, field::display, subscriber::set_global_default};
use tracing_subscriber::filter::LevelFilter;

use crate::output::Output;

/// Makes the log lines and the panics of the whole program go to standard error.
pub(crate) fn start(stderr: Output, level: LevelFilter) {
    let subscriber = subscriber(stderr, level, io::stderr().is_terminal());
    set_global_default(subscriber).expect("it is set once");
    // The hook of std writes to standard error itself: it would wait for a pipe that nobody reads.
    panic::set_hook(Box::new(log_panic));
}

fn subscriber(output: Output, level: LevelFilter, is_terminal: bool) -> impl Subscriber {
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(is_terminal)
        .with_writer(move || output.clone())
        // They would be printed to standard error directly.
        .log_internal_errors(false)
        .finish()
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let thread = thread::current();
    let thread = thread.name().unwrap_or_default();
    let text = panic.payload_as_str().unwrap_or_default();
    let at = panic.location().map(display);
    // It is made if RUST_BACKTRACE asks for it.
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| display(backtrace));
    tracing::error!(thread, at, backtrace, "panicked: {text}");
}

#[cfg(test)]
mod tests {
    use std::{
        panic::catch_unwind,
        sync::{Arc, Mutex},
        time::{Duration, Instant},
    };

    use tracing::subscriber::with_default;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(text)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_panic_is_a_log_line() {
        let kept = Kept::default();
        let output = Output::start("kept", kept.clone()).unwrap();
        let before = panic::take_hook();
        panic::set_hook(Box::new(log_panic));
        with_default(subscriber(output.clone(), LevelFilter::ERROR, false), || {
            catch_unwind(|| panic!("as it {}", "may")).unwrap_err();
        });
        panic::set_hook(before);
        output.finish(Instant::now() + Duration::from_secs(10));
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains("ERROR"), "{text}");
        assert!(text.contains("panicked: as it may"), "{text}");
        assert!(text.contains("log.rs:"), "{text}");
    }
}

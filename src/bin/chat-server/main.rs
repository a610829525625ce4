//! The standalone server: flags, log lines and signals around the library's public API.

mod descriptors;
mod flags;
mod log;
mod output;
mod signals;
mod threads;

use std::{
    io::{self, Write},
    pin::pin,
    process::ExitCode,
    sync::{
        Arc,
        mpsc::{Receiver, channel},
    },
    time::{Duration, Instant},
};

use chat::{Error, Handle, Server};
use clap::Parser;
use flags::Flags;
use futures_util::future::{Either, select};
use output::Output;
use signals::Signals;
use tokio::{runtime::Runtime, sync::oneshot};

/// The exit status for a wrong command line.
const USAGE: u8 = 2;

/// How long the end of the program waits for lines that are not written yet.
const LAST_LINES: Duration = Duration::from_millis(300);

/// How long it waits for events that are not logged yet.
const LAST_EVENTS: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    // First, so that an early signal stops the server cleanly too.
    let signals = Signals::new();
    let outputs = Output::start("stdout", io::stdout())
        .and_then(|stdout| Ok((stdout, Output::start("stderr", io::stderr())?)));
    let (stdout, stderr) = match outputs {
        Ok(outputs) => outputs,
        Err(error) => {
            // The one line that may wait for standard error: there is no server yet.
            let _ = writeln!(io::stderr(), "chat-server: cannot start a thread: {error}");
            return ExitCode::FAILURE;
        }
    };
    let status = match start(signals, &stdout, &stderr) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { text, status }) => {
            stderr.print(&format!("chat-server: {text} (see --help)\n"));
            ExitCode::from(status)
        }
    };
    let until = Instant::now() + LAST_LINES;
    stdout.finish(until);
    stderr.finish(until);
    status
}

/// Why the program ends with a status that is not 0.
struct Failure {
    text: String,
    status: u8,
}

impl Failure {
    fn new(what: &str, error: &io::Error) -> Self {
        Self { text: format!("{what}: {error}"), status: 1 }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let Error::InvalidConfig(problems) = error else {
            return Self { text: error.to_string(), status: 1 };
        };
        let flags = problems
            .iter()
            .map(|problem| format!("--{}: {}", problem.option.replace('_', "-"), problem.text));
        Self { text: flags.collect::<Vec<_>>().join("; "), status: USAGE }
    }
}

fn start(
    signals: io::Result<(Runtime, Signals)>,
    stdout: &Output,
    stderr: &Output,
) -> Result<(), Failure> {
    let flags = match Flags::try_parse() {
        Ok(flags) => flags,
        Err(error) if error.use_stderr() => {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            let text = line.trim_start_matches("error: ").to_owned();
            return Err(Failure { text, status: USAGE });
        }
        Err(help_or_version) => {
            stdout.print(&help_or_version.to_string());
            return Ok(());
        }
    };
    log::start(stderr.clone(), flags.log);
    let (runtime, signals) =
        signals.map_err(|error| Failure::new("cannot wait for signals", &error))?;
    run(&flags, &runtime, signals, stdout)
}

fn run(
    flags: &Flags,
    runtime: &Runtime,
    mut signals: Signals,
    stdout: &Output,
) -> Result<(), Failure> {
    let shortage = descriptors::raise_limit(flags);
    let server = Arc::new(flags.config().start()?);
    if let Some(shortage) = shortage {
        shortage.warn();
    }
    for addr in server.local_addrs() {
        stdout.print(&format!("listening on ws://{addr}/\n"));
    }
    let logging = (flags.event_queue > 0).then(|| log_events(server.handle())).transpose();
    let logging = logging.map_err(|error| Failure::new("cannot start a thread", &error))?;
    runtime.block_on(signals.stop_requested());
    let stopped = begin_stop(&server, flags.drain);
    tracing::info!("stopping; a second signal stops at once");
    let second = runtime.block_on(async {
        matches!(select(stopped, pin!(signals.stop_requested())).await, Either::Right(_))
    });
    if second {
        // The result is left out: the log says whether connections were aborted.
        let _ = server.stop(Duration::ZERO);
    }
    if let Some(logging) = logging {
        // The server's last event ends the thread that sends nothing.
        let _ = logging.recv_timeout(LAST_EVENTS);
    }
    Ok(())
}

/// Begins to stop the server, on a thread of its own: this one waits for a second signal meanwhile. The channel
/// ends when the server has.
fn begin_stop(server: &Arc<Server>, drain: Duration) -> oneshot::Receiver<()> {
    let (stopping, stopped) = oneshot::channel();
    let owned = Arc::clone(server);
    let thread = threads::spawn("stop", move || {
        let _ = owned.stop(drain);
        drop(stopping);
    });
    if thread.is_err() {
        // Without another thread, a second signal is not seen.
        let _ = server.stop(drain);
    }
    stopped
}

/// Logs events until the server has stopped; then the channel ends.
fn log_events(handle: Handle) -> io::Result<Receiver<()>> {
    let (logging, logged) = channel();
    threads::spawn("log events", move || {
        while let Ok(events) = handle.next_events(Duration::MAX) {
            for event in events {
                tracing::info!(?event);
            }
        }
        drop(logging);
    })?;
    Ok(logged)
}

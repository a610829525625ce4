//! The standalone server: flags, log lines and signals around the library's public API.

mod descriptors;
mod events;
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
use clap::{
    Parser,
    error::{ContextKind, ContextValue, ErrorKind},
};
use flags::Flags;
use futures_util::future::{Either, select};
use output::Output;
use signals::Signals;
use tokio::{runtime::Runtime, sync::oneshot};
use tracing_subscriber::filter::LevelFilter;

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
            stderr.print(&format!("chat-server: {text}\n"));
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
    /// A failure of the start.
    fn new(text: &str, status: u8) -> Self {
        Self { text: format!("{text} (see --help)"), status }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let Error::InvalidConfig(problems) = error else {
            return Self::new(&error.to_string(), 1);
        };
        let flags = problems
            .iter()
            .map(|problem| format!("--{}: {}", problem.option.replace('_', "-"), problem.text));
        Self::new(&flags.collect::<Vec<_>>().join("; "), USAGE)
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
            return Err(Failure::new(&in_one_line(&error), USAGE));
        }
        Err(help_or_version) => {
            stdout.print(&help_or_version.to_string());
            return Ok(());
        }
    };
    if flags.event_queue > 0 && flags.log < LevelFilter::INFO {
        let text = format!("--event-queue: --log {} hides the events; use info", flags.log);
        return Err(Failure::new(&text, USAGE));
    }
    log::start(stderr.clone(), flags.log);
    let (runtime, signals) =
        signals.map_err(|error| Failure::new(&format!("cannot wait for signals: {error}"), 1))?;
    run(&flags, &runtime, signals, stdout)
}

/// What people try in order to set the address.
const MEANT_FOR_LISTEN: [&str; 6] = ["--host", "--port", "-p", "--bind", "--addr", "--address"];

/// What clap says of a mistake, with its tip or the values that are possible.
fn in_one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("For more"));
    let text = lines.collect::<Vec<_>>().join(", ").replace(":, ", ": ");
    let text = text.trim_start_matches("error: ");
    let argument = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) => argument.split('=').next().unwrap_or_default(),
        _ => "",
    };
    let is_value = argument.starts_with(|first: char| first.is_ascii_digit() || first == ':');
    if error.kind() == ErrorKind::UnknownArgument
        && (is_value || MEANT_FOR_LISTEN.contains(&argument))
    {
        return format!(
            "{argument} is no flag: write --listen and an address, such as --listen :9001"
        );
    }
    text.to_owned()
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
    let log = || log_events(server.handle(), flags.event_contents);
    let logging = (flags.event_queue > 0).then(log).transpose();
    let logging = logging.map_err(|error| no_thread(&error))?;
    let ended = watch_end(server.handle()).map_err(|error| no_thread(&error))?;
    runtime.block_on(serve(&server, &mut signals, ended, flags.drain));
    // Stops what has not ended, and joins what has.
    let outcome = server.stop(Duration::ZERO);
    if let Some(logging) = logging {
        // The server's last event ends the thread that sends nothing.
        let _ = logging.recv_timeout(LAST_EVENTS);
    }
    match outcome {
        Err(error @ Error::Failed { .. }) => {
            // The program's supervisor starts another.
            Err(Failure { text: error.to_string(), status: 1 })
        }
        // If connections were aborted, the log says so.
        _ => Ok(()),
    }
}

fn no_thread(error: &io::Error) -> Failure {
    Failure::new(&format!("cannot start a thread: {error}"), 1)
}

/// Waits until the server has stopped, because of a signal or by itself, or shall stop at once.
async fn serve(
    server: &Arc<Server>,
    signals: &mut Signals,
    mut ended: oneshot::Receiver<()>,
    drain: Duration,
) {
    if let Either::Left(_) = select(&mut ended, pin!(signals.stop_requested())).await {
        return;
    }
    begin_stop(server, drain);
    tracing::info!("stopping; a second signal stops at once");
    select(&mut ended, pin!(signals.stop_requested())).await;
}

/// Begins to stop the server, on a thread of its own: this one waits for a second signal meanwhile.
fn begin_stop(server: &Arc<Server>, drain: Duration) {
    let owned = Arc::clone(server);
    let thread = threads::spawn("stop", move || owned.stop(drain));
    if thread.is_err() {
        // No thread is left: a second signal is not seen. Its result is that of the next call.
        let _ = server.stop(drain);
    }
}

/// Waits for the end of the server, on a thread of its own; then the channel ends.
fn watch_end(handle: Handle) -> io::Result<oneshot::Receiver<()>> {
    let (waiting, ended) = oneshot::channel();
    threads::spawn("wait", move || {
        let _ = handle.wait(Duration::MAX);
        drop(waiting);
    })?;
    Ok(ended)
}

/// Logs events until the server has stopped; then the channel ends.
fn log_events(handle: Handle, with_contents: bool) -> io::Result<Receiver<()>> {
    let (logging, logged) = channel();
    threads::spawn("log events", move || {
        while let Ok(events) = handle.next_events(Duration::MAX) {
            events.iter().for_each(|event| events::log(event, with_contents));
        }
        drop(logging);
    })?;
    Ok(logged)
}

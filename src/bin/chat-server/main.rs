//! The standalone server: flags, log lines and signals around the library's public API.

mod flags;

use std::{
    io::{self, IsTerminal, Write},
    pin::pin,
    process::ExitCode,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use chat::{Error, Handle};
use clap::Parser;
use flags::Flags;
use futures_util::future::{Either, select};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The exit status for a wrong command line.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let flags = match Flags::try_parse() {
        Ok(flags) => flags,
        Err(error) if error.use_stderr() => {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            return fail(line.trim_start_matches("error: "), USAGE);
        }
        Err(help_or_version) => {
            print(&help_or_version.to_string());
            return ExitCode::SUCCESS;
        }
    };
    tracing_subscriber::fmt()
        .with_max_level(flags.log)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .init();
    match run(&flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Signals(error)) => fail(&format!("cannot wait for signals: {error}"), 1),
        Err(Failure::Server(Error::InvalidConfig(problems))) => {
            let named = problems
                .iter()
                .map(|problem| format!("--{}: {}", problem.option.replace('_', "-"), problem.text));
            fail(&named.collect::<Vec<_>>().join("; "), USAGE)
        }
        Err(Failure::Server(error)) => fail(&error.to_string(), 1),
    }
}

enum Failure {
    Signals(io::Error),
    Server(Error),
}

fn run(flags: &Flags) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    let runtime = runtime.map_err(Failure::Signals)?;
    // Before the server starts, so that an early signal stops it cleanly too.
    let mut stop = runtime.block_on(async { Stop::new() }).map_err(Failure::Signals)?;
    let server = flags.config().start().map_err(Failure::Server)?;
    for addr in server.local_addrs() {
        print(&format!("listening on ws://{addr}/\n"));
    }
    let logging = (flags.event_queue > 0).then(|| log_events(server.handle()));
    runtime.block_on(stop.requested());
    tracing::info!("stopping; a second signal stops at once");
    let server = Arc::new(server);
    let draining = Arc::clone(&server);
    let drain = flags.drain;
    let drained = runtime.spawn_blocking(move || draining.stop(drain));
    // The result is left out: the log says whether connections were aborted.
    let _ = runtime.block_on(async {
        match select(drained, pin!(stop.requested())).await {
            Either::Left((ended, _)) => ended.unwrap_or(Ok(())),
            Either::Right(_) => server.stop(Duration::ZERO),
        }
    });
    if let Some(logging) = logging {
        // The server's last event ends this thread. A panic in it has been printed.
        let _ = logging.join();
    }
    Ok(())
}

/// Logs events until the server has stopped.
fn log_events(handle: Handle) -> JoinHandle<()> {
    thread::spawn(move || {
        while let Ok(events) = handle.next_events(Duration::MAX) {
            for event in events {
                tracing::info!(?event);
            }
        }
    })
}

/// The signals that ask the server to stop.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for Ctrl-C or SIGTERM.
    async fn requested(&mut self) {
        select(pin!(self.interrupt.recv()), pin!(self.terminate.recv())).await;
    }
}

fn print(text: &str) {
    // The server runs on if standard output is closed.
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

fn fail(text: &str, status: u8) -> ExitCode {
    eprintln!("chat-server: {text} (see --help)");
    ExitCode::from(status)
}

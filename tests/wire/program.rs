//! A real client that runs as a program and prints what it shows, a line each.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use crate::support::missing;

/// How long the next line may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client that runs as a program; it is killed if a test fails.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    lines: Receiver<String>,
}

impl Program {
    pub(crate) fn start(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{}", missing(command, &error)));
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { child, lines }
    }
}

impl Program {
    pub(crate) fn line(&self) -> String {
        self.line_or(|| "a line in time".to_owned())
    }

    /// The next line; says what was awaited if it does not come in time.
    pub(crate) fn line_or(&self, what: impl FnOnce() -> String) -> String {
        self.lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{}", what()))
    }

    /// Waits until it has ended by itself, without an error. Returns the lines that are left.
    pub(crate) fn end(mut self) -> Vec<String> {
        let (deadline, mut rest) = (Instant::now() + PATIENCE, Vec::new());
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => rest.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end: {rest:?}"),
            }
        }
        assert!(self.child.wait().unwrap().success(), "{rest:?}");
        rest
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

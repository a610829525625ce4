//! The program `chat-server` as a child process. Use it with `mod child;` beside `mod peer;`.

#![allow(dead_code, reason = "each test program uses its own part")]

pub(crate) mod streams;

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
};

use crate::peer::{PATIENCE, eventually};

/// The program with arguments, and with pipes that the test reads.
pub(crate) fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chat-server"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The program, started by a shell that first does something else, such as to lower a limit. The script names
/// the program `"$@"`.
pub(crate) fn program_in_shell(script: &str, args: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_chat-server")]).args(args);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The lines of a pipe, each of which is awaited for a bounded time.
#[derive(Debug)]
pub(crate) struct Lines(Receiver<String>);

impl Lines {
    pub(crate) fn of(pipe: impl Read + Send + 'static) -> Self {
        let (sender, lines) = channel();
        thread::spawn(move || {
            let mut lines = BufReader::new(pipe).lines().map(|line| line.expect("UTF-8"));
            lines.try_for_each(|line| sender.send(line))
        });
        Self(lines)
    }

    pub(crate) fn next(&self) -> String {
        self.0.recv_timeout(PATIENCE).expect("a line")
    }

    /// Reads up to the next line that contains a text.
    pub(crate) fn find(&self, text: &str) -> String {
        loop {
            let line = self.next();
            if line.contains(text) {
                return line;
            }
        }
    }
}

/// The program while it runs; killed if a test fails.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) child: Child,
    stdout: Option<Lines>,
}

impl Running {
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::of(program(args))
    }

    pub(crate) fn of(mut command: Command) -> Self {
        let mut child = command.spawn().expect("it can be started");
        let stdout = child.stdout.take().map(Lines::of);
        Self { child, stdout }
    }

    /// Reads one line that says where it listens.
    pub(crate) fn address(&mut self) -> SocketAddr {
        let line = self.stdout.as_ref().expect("a pipe").next();
        let address = line.strip_prefix("listening on ws://").and_then(|it| it.strip_suffix('/'));
        address.unwrap_or_else(|| panic!("{line:?}")).parse().expect("an address")
    }

    /// Waits until it listens, of which it need not say anything.
    pub(crate) fn address_unsaid(&self) -> SocketAddr {
        let mut address = None;
        eventually("it listens", || {
            address = self.listening_port();
            address.is_some()
        });
        SocketAddr::from(([127, 0, 0, 1], address.expect("it was awaited")))
    }

    /// The port of its listening socket, from the kernel's tables.
    fn listening_port(&self) -> Option<u16> {
        let proc = Path::new("/proc").join(self.child.id().to_string());
        let table = fs::read_to_string(proc.join("net/tcp")).ok()?;
        let links = fs::read_dir(proc.join("fd")).ok()?.flatten();
        let sockets: Vec<_> = links.filter_map(|link| fs::read_link(link.path()).ok()).collect();
        table.lines().find_map(|line| {
            let fields: Vec<_> = line.split_whitespace().collect();
            let (_, port) = fields[1].split_once(':')?;
            let socket = format!("socket:[{}]", fields[9]);
            let is_own = sockets.iter().any(|link| link.as_os_str() == socket.as_str());
            (fields[3] == "0A" && is_own).then(|| u16::from_str_radix(port, 16).ok())?
        })
    }

    /// Sends a signal by its name, such as `-TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status();
        assert!(sent.expect("kill").success());
    }

    /// Waits for the end, and returns the exit status: `None` if a signal was the end.
    pub(crate) fn status(&mut self) -> Option<i32> {
        let mut status = None;
        eventually("the program's end", || {
            status = self.child.try_wait().expect("a child");
            status.is_some()
        });
        status.and_then(|status| status.code())
    }

    /// Waits for the end, and returns the exit status and what was logged.
    pub(crate) fn end(&mut self) -> (Option<i32>, String) {
        let status = self.status();
        let mut log = String::new();
        let mut stderr = self.child.stderr.take().expect("a pipe");
        stderr.read_to_string(&mut log).expect("UTF-8");
        (status, log)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

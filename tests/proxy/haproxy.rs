//! A HAProxy of the test's own, which checks one server, or relays to several.

use std::{
    env,
    io::{Read, Write},
    net::SocketAddr,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use super::{Program, configured, on_free_port};
use crate::peer::{PATIENCE, eventually};

/// What HAProxy knows of the server that it checks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Checked {
    pub(crate) is_up: bool,
    /// How the last check went: `L7OK`, `L7STS` for a wrong status, `L4CON` for a refused connection.
    pub(crate) check: String,
    /// The status that was answered, if one was.
    pub(crate) status: String,
}

/// A HAProxy that checks a server; ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Checker {
    program: Program,
}

impl Checker {
    /// Starts HAProxy, which checks a server with these directives of a backend.
    pub(crate) fn start(server: SocketAddr, directives: &str) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        // Short: a socket's path has at most 108 bytes.
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder =
            env::temp_dir().join(format!("libchat-haproxy-{}-{count}", std::process::id()));
        let socket = folder.join("stats");
        let configuration = format!(
            "global\n  stats socket {} level user\n\
             defaults\n  mode http\n  timeout connect 5s\n  timeout client 5s\n  timeout server 5s\n\
             backend chat\n  {directives}\n  server chat {server} check inter 20ms fall 1 rise 1\n",
            socket.display()
        );
        let mut program = haproxy(folder, &configuration);
        eventually("HAProxy answers", || {
            assert!(!program.has_ended(), "HAProxy did not start: {}", program.said());
            UnixStream::connect(&socket).is_ok()
        });
        Self { program }
    }

    /// What HAProxy knows now; `None` before its first check.
    pub(crate) fn checked(&self) -> Option<Checked> {
        let mut stats = UnixStream::connect(self.program.folder.join("stats")).unwrap();
        stats.set_read_timeout(Some(PATIENCE)).unwrap();
        stats.write_all(b"show stat chat 4 -1\n").unwrap();
        let mut table = String::new();
        stats.read_to_string(&mut table).unwrap();
        let mut lines = table.trim_start_matches("# ").lines();
        let names: Vec<_> = lines.next().unwrap().split(',').collect();
        let values: Vec<_> = lines.next().unwrap().split(',').collect();
        let value = |name| values[names.iter().position(|it| *it == name).unwrap()].to_owned();
        let check = value("check_status").trim_start_matches("* ").to_owned();
        let is_up = value("status").starts_with("UP");
        let checked = Checked { is_up, check, status: value("check_code") };
        (!matches!(&*checked.check, "" | "INI")).then_some(checked)
    }

    /// Waits until HAProxy knows this of the server.
    pub(crate) fn finds(&self, is_up: bool, check: &str, status: &str) {
        let (check, status) = (check.to_owned(), status.to_owned());
        let wanted = Some(Checked { is_up, check, status });
        let mut last = None;
        eventually(&format!("{wanted:?}"), || {
            let now = self.checked();
            if now != last {
                eprintln!("HAProxy: {now:?}");
            }
            last = now;
            last == wanted
        });
    }
}

/// A HAProxy that relays; ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Relay {
    _program: Program,
    pub(crate) addr: SocketAddr,
}

impl Relay {
    /// Starts HAProxy before servers, with these time-outs, on a free port.
    pub(crate) fn start(servers: &[SocketAddr], timeouts: &str) -> Self {
        on_free_port(|addr| Self::start_on(addr, servers, timeouts))
    }

    /// Returns `None` if the port is taken.
    fn start_on(addr: SocketAddr, servers: &[SocketAddr], timeouts: &str) -> Option<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("haproxy-{}-{count}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&name);
        // A server that refuses connections is left for the next one at once.
        let mut configuration = format!(
            "defaults\n  mode http\n  timeout connect 5s\n  {timeouts}\n  option redispatch 1\n  retries 3\n\
             listen chat\n  bind {addr}\n  balance roundrobin\n\
             \x20 http-request return status 204 if {{ path /is-{name} }}\n"
        );
        for (number, server) in servers.iter().enumerate() {
            configuration += &format!("  server s{number} {server}\n");
        }
        let mut program = haproxy(folder, &configuration);
        program.has_port(addr, &name).then_some(Self { _program: program, addr })
    }
}

/// Starts HAProxy in the foreground.
fn haproxy(folder: PathBuf, configuration: &str) -> Program {
    configured(&folder, "haproxy.cfg", configuration);
    Program::start("haproxy", "haproxy", &["-db", "-f", "haproxy.cfg"], folder)
}

//! A HAProxy of the test's own, which checks one server: its configuration, its folder, its end.

use std::{
    env, fs,
    io::{ErrorKind, Read, Write},
    net::SocketAddr,
    os::unix::net::UnixStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
};

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

/// A HAProxy that runs; ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Haproxy {
    child: Child,
    folder: PathBuf,
}

impl Haproxy {
    /// Starts HAProxy, which checks a server with these directives of a backend.
    pub(crate) fn start(server: SocketAddr, directives: &str) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        // Short: a socket's path has at most 108 bytes.
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder =
            env::temp_dir().join(format!("libchat-haproxy-{}-{count}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let socket = folder.join("stats");
        let configuration = format!(
            "global\n  stats socket {} level user\n\
             defaults\n  mode http\n  timeout connect 5s\n  timeout client 5s\n  timeout server 5s\n\
             backend chat\n  {directives}\n  server chat {server} check inter 20ms fall 1 rise 1\n",
            socket.display()
        );
        fs::write(folder.join("haproxy.cfg"), configuration).unwrap();
        let mut haproxy = Self { child: spawn(&folder), folder };
        eventually("HAProxy answers", || {
            let ended = haproxy.child.try_wait().unwrap();
            let said = || fs::read_to_string(haproxy.folder.join("stderr")).unwrap();
            assert!(ended.is_none(), "HAProxy did not start: {}", said());
            UnixStream::connect(&socket).is_ok()
        });
        haproxy
    }

    /// What HAProxy knows now; `None` before its first check.
    pub(crate) fn checked(&self) -> Option<Checked> {
        let mut stats = UnixStream::connect(self.folder.join("stats")).unwrap();
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

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn spawn(folder: &std::path::Path) -> Child {
    // Debian keeps it where only the administrator's shell looks.
    for program in ["haproxy", "/usr/sbin/haproxy"] {
        let mut command = Command::new(program);
        // In the foreground.
        command.arg("-db").arg("-f").arg(folder.join("haproxy.cfg"));
        let stderr = fs::File::create(folder.join("stderr")).unwrap();
        match command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn() {
            Ok(child) => return child,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => panic!("cannot run {program}: {error}"),
        }
    }
    panic!("cannot run HAProxy: install it (Debian: apt-get install haproxy)")
}

//! A HAProxy of the test's own that relays to servers: its configuration, its folder, its end.

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
};

use crate::peer::{PATIENCE, eventually};

/// How often a free port is looked for: another program may take it before HAProxy does.
const ATTEMPTS: usize = 10;

/// A HAProxy that listens; ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Relay {
    child: Child,
    folder: PathBuf,
    pub(crate) addr: SocketAddr,
}

impl Relay {
    /// Starts HAProxy before servers, with these time-outs, on a free port.
    pub(crate) fn start(servers: &[SocketAddr], timeouts: &str) -> Self {
        // HAProxy cannot tell which port it got for port 0.
        let free_port = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let started = (0..ATTEMPTS).find_map(|_| Self::start_on(free_port(), servers, timeouts));
        started.expect("HAProxy gets a port")
    }

    /// Returns `None` if the port is taken.
    fn start_on(addr: SocketAddr, servers: &[SocketAddr], timeouts: &str) -> Option<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("haproxy-{}-{count}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&name);
        fs::create_dir_all(&folder).unwrap();
        // A server that refuses connections is left for the next one at once.
        let mut configuration = format!(
            "defaults\n  mode http\n  timeout connect 5s\n  {timeouts}\n  option redispatch 1\n  retries 3\n\
             listen chat\n  bind {addr}\n  balance roundrobin\n\
             \x20 http-request return status 204 if {{ path /is-{name} }}\n"
        );
        for (number, server) in servers.iter().enumerate() {
            configuration += &format!("  server s{number} {server}\n");
        }
        fs::write(folder.join("haproxy.cfg"), configuration).unwrap();
        let mut relay = Self { child: spawn(&folder), folder, addr };
        let mut has_ended = false;
        eventually("HAProxy listens", || {
            has_ended = relay.child.try_wait().unwrap().is_some();
            has_ended || answers(addr, &format!("/is-{name}"))
        });
        if !has_ended {
            return Some(relay);
        }
        let said = fs::read_to_string(relay.folder.join("stderr")).unwrap();
        assert!(said.contains("Address already in use"), "HAProxy did not start: {said}");
        None
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn spawn(folder: &Path) -> Child {
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

/// Whether it is this HAProxy that answers.
fn answers(addr: SocketAddr, path: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(addr) else { return false };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("GET {path} HTTP/1.0\r\n\r\n");
    let mut answer = String::new();
    stream.write_all(request.as_bytes()).is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 204 ")
}

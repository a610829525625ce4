//! A proxy of the test's own: a real program with a folder and, if it relays, a port; ended when it is dropped.

#![allow(dead_code, reason = "each test program uses its own part")]

pub(crate) mod haproxy;
pub(crate) mod nginx;

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::peer::{PATIENCE, eventually};

/// How often a free port is looked for: another program may take it before the proxy does.
const ATTEMPTS: usize = 10;

/// A program that runs in a folder.
#[derive(Debug)]
struct Program {
    name: &'static str,
    child: Child,
    folder: PathBuf,
}

impl Program {
    /// Starts a program in a folder that has its configuration.
    fn start(name: &'static str, package: &str, arguments: &[&str], folder: PathBuf) -> Self {
        // Debian keeps it where only the administrator's shell looks.
        for path in [name.to_owned(), format!("/usr/sbin/{name}")] {
            let mut command = Command::new(&path);
            command.args(arguments).current_dir(&folder);
            let stderr = fs::File::create(folder.join("stderr")).unwrap();
            match command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn() {
                Ok(child) => return Self { name, child, folder },
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => panic!("cannot run {path}: {error}"),
            }
        }
        panic!("cannot run {name}: install it (Debian: apt-get install {package})")
    }

    fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Returns what it has written to its standard error.
    fn said(&self) -> String {
        fs::read_to_string(self.folder.join("stderr")).unwrap()
    }

    /// Waits until it answers at an address, whose path `/is-NAME` is its own. Returns whether it got the port.
    fn has_port(&mut self, addr: SocketAddr, name: &str) -> bool {
        let mut has_ended = false;
        eventually(&format!("{} listens", self.name), || {
            has_ended = self.has_ended();
            has_ended || answers(addr, &format!("/is-{name}"))
        });
        if has_ended {
            let said = self.said();
            let is_taken = said.contains("Address already in use");
            assert!(is_taken, "{} did not start: {said}", self.name);
        }
        !has_ended
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Starts a proxy on a free port. `start` returns `None` if the port is taken: no proxy can tell which it got for port 0.
fn on_free_port<T>(start: impl Fn(SocketAddr) -> Option<T>) -> T {
    let free_port = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    (0..ATTEMPTS).find_map(|_| start(free_port())).expect("a proxy gets a port")
}

/// Makes a folder with a configuration.
fn configured(folder: &Path, file: &str, configuration: &str) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join(file), configuration).unwrap();
}

/// Whether it is this proxy that answers.
fn answers(addr: SocketAddr, path: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(addr) else { return false };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("GET {path} HTTP/1.0\r\n\r\n");
    let mut answer = String::new();
    stream.write_all(request.as_bytes()).is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 204 ")
}

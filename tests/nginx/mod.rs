//! An nginx of the test's own: its configuration, its folder, its end.

#![allow(dead_code, reason = "each test program uses its own part")]

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
};

use crate::peer::{PATIENCE, eventually};

/// How often a free port is looked for: another program may take it before nginx does.
const ATTEMPTS: usize = 10;

/// An nginx that listens; ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Nginx {
    child: Child,
    folder: PathBuf,
    pub(crate) addr: SocketAddr,
}

impl Nginx {
    /// Starts nginx with the locations of one server, on a free port.
    pub(crate) fn start(locations: &str) -> Self {
        Self::start_with("", locations)
    }

    /// The same, with directives beside the server, such as an upstream.
    pub(crate) fn start_with(beside: &str, locations: &str) -> Self {
        // nginx cannot tell which port it got for port 0.
        let free_port = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let started = (0..ATTEMPTS).find_map(|_| Self::start_on(free_port(), beside, locations));
        started.expect("nginx gets a port")
    }

    /// Returns `None` if the port is taken.
    fn start_on(addr: SocketAddr, beside: &str, locations: &str) -> Option<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name =
            format!("nginx-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&name);
        fs::create_dir_all(&folder).unwrap();
        // One process, of the current user, that ends with its one signal.
        let configuration = format!(
            "daemon off; master_process off; pid nginx.pid; error_log stderr;\n\
             events {{}}\n\
             http {{\n\
             access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;\n\
             uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n{beside}\n\
             server {{ listen {addr}; location = /is-{name} {{ return 204; }}\n{locations}\n}} }}\n"
        );
        fs::write(folder.join("nginx.conf"), configuration).unwrap();
        let child = spawn(&folder);
        let mut nginx = Self { child, folder, addr };
        let mut has_ended = false;
        eventually("nginx listens", || {
            has_ended = nginx.child.try_wait().unwrap().is_some();
            has_ended || answers(addr, &format!("/is-{name}"))
        });
        if !has_ended {
            return Some(nginx);
        }
        let said = fs::read_to_string(nginx.folder.join("stderr")).unwrap();
        assert!(said.contains("Address already in use"), "nginx did not start: {said}");
        None
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn spawn(folder: &Path) -> Child {
    // Debian keeps it where only the administrator's shell looks.
    for program in ["nginx", "/usr/sbin/nginx"] {
        let mut command = Command::new(program);
        command.args(["-e", "stderr", "-c", "nginx.conf", "-p"]).arg(folder);
        let stderr = fs::File::create(folder.join("stderr")).unwrap();
        match command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn() {
            Ok(child) => return child,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => panic!("cannot run {program}: {error}"),
        }
    }
    panic!("cannot run nginx: install it (Debian: apt-get install nginx-light)")
}

/// Whether it is this nginx that answers.
fn answers(addr: SocketAddr, path: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(addr) else { return false };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("GET {path} HTTP/1.0\r\n\r\n");
    let mut answer = String::new();
    stream.write_all(request.as_bytes()).is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 204 ")
}

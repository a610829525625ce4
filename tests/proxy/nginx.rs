//! An nginx of the test's own, which relays.

use std::{
    net::SocketAddr,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use super::{Program, configured, on_free_port};

/// An nginx that listens; ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Nginx {
    _program: Program,
    pub(crate) addr: SocketAddr,
}

impl Nginx {
    /// Starts nginx with the locations of one server, on a free port.
    pub(crate) fn start(locations: &str) -> Self {
        Self::start_with("", locations)
    }

    /// The same, with directives beside the server, such as an upstream.
    pub(crate) fn start_with(beside: &str, locations: &str) -> Self {
        on_free_port(|addr| Self::start_on(addr, beside, locations))
    }

    /// Returns `None` if the port is taken.
    fn start_on(addr: SocketAddr, beside: &str, locations: &str) -> Option<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("nginx-{}-{count}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&name);
        // One process, of the current user, that ends with its one signal.
        let configuration = format!(
            "daemon off; master_process off; pid nginx.pid; error_log stderr;\n\
             events {{}}\n\
             http {{\n\
             access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;\n\
             uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n{beside}\n\
             server {{ listen {addr}; location = /is-{name} {{ return 204; }}\n{locations}\n}} }}\n"
        );
        configured(&folder, "nginx.conf", &configuration);
        let prefix = folder.to_str().unwrap();
        let arguments = ["-e", "stderr", "-c", "nginx.conf", "-p", prefix];
        let mut program = Program::start("nginx", "nginx-light", &arguments, folder.clone());
        program.has_port(addr, &name).then_some(Self { _program: program, addr })
    }
}

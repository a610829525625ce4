//! A C example that runs as a process of its own, and its clients. Needs `mod support;`.

#![allow(dead_code)] // Each test uses a part of it.

use std::{
    io::{BufRead, BufReader, Lines},
    net::TcpStream,
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use tokio_tungstenite::tungstenite::{
    self, Message, WebSocket, client::IntoClientRequest, protocol::frame::coding::CloseCode,
};

use crate::support::{cc, run};

/// An example that runs; it is killed if a test fails.
pub(crate) struct Example {
    pub(crate) child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    pub(crate) url: String,
}

impl Example {
    pub(crate) fn start(name: &str) -> Self {
        let program = cc(&format!("bindings/c/examples/{name}.c"));
        let mut child = Command::new(program)
            .arg("127.0.0.1:0")
            .env_remove("LD_LIBRARY_PATH")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next().unwrap().unwrap();
        let url = line.strip_prefix("listening on ").unwrap().to_owned();
        Self { child, lines, url }
    }

    pub(crate) fn addr(&self) -> &str {
        self.url.trim_start_matches("ws://").trim_end_matches('/')
    }

    pub(crate) fn connect(&self, path: &str) -> WebSocket<TcpStream> {
        self.try_connect(path, &[]).unwrap()
    }

    /// Connects with further headers. The error is the status and the text.
    pub(crate) fn try_connect(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<WebSocket<TcpStream>, (u16, String)> {
        let stream = TcpStream::connect(self.addr()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut request = format!("{}{path}", self.url).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        match tungstenite::client(request, stream) {
            Ok((client, _)) => Ok(client),
            Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(response))) => {
                let text = response.body().as_deref().unwrap_or_default();
                Err((response.status().as_u16(), String::from_utf8_lossy(text).into_owned()))
            }
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) fn line(&mut self) -> String {
        self.lines.next().unwrap().unwrap()
    }

    /// Lines up to the first that begins like this.
    pub(crate) fn line_of(&mut self, start: &str) -> String {
        loop {
            let line = self.line();
            if line.starts_with(start) {
                return line;
            }
        }
    }

    pub(crate) fn interrupt(&self) {
        run(Command::new("kill").args(["-INT", &self.child.id().to_string()]));
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Reads up to the server's close frame, answers it, and returns its code.
pub(crate) fn close_code(client: &mut WebSocket<TcpStream>) -> CloseCode {
    loop {
        if let Message::Close(frame) = client.read().unwrap() {
            let ended = client.read();
            assert!(matches!(ended, Err(tungstenite::Error::ConnectionClosed)), "{ended:?}");
            return frame.unwrap().code;
        }
    }
}

//! The answers to requests that are not upgraded.

use std::{
    borrow::Cow,
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    time::SystemTime,
};

use crate::{context::Context, fanout::command::Rejection};

/// An HTTP response: a status, a text for a person, and the headers that the status requires.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    text: String,
    /// Further headers, encoded: each line ends with CRLF.
    headers: Cow<'static, str>,
    /// Whether a limit of the server is reached, which its host may want to raise: then it is logged as a
    /// warning.
    is_limit: bool,
    /// Whether the method was HEAD: then the text is not sent.
    is_bare: bool,
}

impl Answer {
    fn new(status: u16, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), headers: "".into(), is_limit: false, is_bare: false }
    }

    /// Makes the page that says how to connect. `host` is the server's name in the request.
    pub(crate) fn home(host: Option<&str>) -> Self {
        let host = host.unwrap_or("127.0.0.1:9001");
        let version = env!("CARGO_PKG_VERSION");
        let text = format!(
            "This is libchat {version}, a WebSocket chat server.\n\
             \n\
             Connect with any WebSocket client:\n\
             \n\
             ws://{host}/               the room \"lobby\"\n\
             ws://{host}/rooms/{{room}}   any other room\n\
             \n\
             Each message goes to everyone in the room.\n\
             ?echo=false does not send you your own, ?history=10 sends you the last ten first."
        );
        Self::new(200, text)
    }

    pub(crate) fn health() -> Self {
        Self::new(200, "ok")
    }

    pub(crate) fn not_found() -> Self {
        let text = "there is nothing here; connect by WebSocket to / or /rooms/{room}";
        Self::new(404, text)
    }

    pub(crate) fn method_not_allowed(is_page: bool) -> Self {
        let headers = if is_page { "Allow: GET, HEAD\r\n" } else { "Allow: GET\r\n" };
        Self { headers: headers.into(), ..Self::new(405, "use the method GET") }
    }

    pub(crate) fn bad_request(text: impl Into<String>) -> Self {
        Self::new(400, text)
    }

    pub(crate) fn malformed() -> Self {
        Self::bad_request("this is not an HTTP/1.1 request")
    }

    pub(crate) fn head_too_large() -> Self {
        let text = "the request's head is longer than the server's option handshake_size, or has more \
                    than 100 headers";
        Self::new(431, text)
    }

    pub(crate) fn upgrade_required() -> Self {
        let text = "connect here by WebSocket: the request asks for no upgrade";
        Self { headers: "Upgrade: websocket\r\n".into(), ..Self::new(426, text) }
    }

    pub(crate) fn wrong_version() -> Self {
        // RFC 6455, 4.4: the answer names the versions that are understood.
        let headers = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n".into();
        let text = "version 13 of the WebSocket protocol is spoken here";
        Self { headers, ..Self::new(426, text) }
    }

    pub(crate) fn forbidden_origin() -> Self {
        let text = "pages of this origin may not connect; add it to the server's option origin";
        Self::new(403, text)
    }

    pub(crate) fn request_timeout() -> Self {
        Self::new(408, "the request took too long")
    }

    pub(crate) fn stopping() -> Self {
        Self::new(503, "the server is stopping")
    }

    /// Makes the answer that the host has decided on.
    pub(crate) fn rejected(Rejection { status, text, headers }: Rejection) -> Self {
        Self { headers: headers.into(), ..Self::new(status, text) }
    }

    pub(crate) fn limit(text: &'static str) -> Self {
        Self { is_limit: true, ..Self::new(503, text) }
    }

    /// Logs the answer: at the level debug, since clients can cause any number of refusals; but as a warning, at
    /// a bounded rate, if a limit is reached.
    pub(crate) fn log(&self, context: &Context, addr: SocketAddr) {
        let Self { status, text: why, .. } = self;
        if *status == 200 {
            tracing::debug!(%addr, "page requested");
        } else if self.is_limit
            && let Some(others) = context.throttles.refusals.pass()
        {
            tracing::warn!(%addr, status, ?why, others, "connection refused");
        } else {
            tracing::debug!(%addr, status, ?why, "connection refused");
        }
    }

    /// Fits the answer to the request's method: the answer to HEAD has no text.
    pub(super) fn for_method(self, method: &str) -> Self {
        Self { is_bare: method == "HEAD", ..self }
    }

    /// Encodes the answer (RFC 9112, 4).
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        let Self { status, text, headers, is_bare, .. } = self;
        let (reason, len) = (reason(status), text.len() + 1);
        // RFC 9110, 6.6.1.
        let date = httpdate::fmt_http_date(SystemTime::now());
        // RFC 9110, 7.8: a sender of Upgrade lists it in Connection.
        let connection = if status == 426 { "close, upgrade" } else { "close" };
        let mut answer = format!(
            "HTTP/1.1 {status} {reason}\r\nDate: {date}\r\nConnection: {connection}\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Length: {len}\r\n"
        );
        answer.push_str(&headers);
        answer.push_str("\r\n");
        if !is_bare {
            answer.push_str(&text);
            answer.push('\n');
        }
        answer.into_bytes()
    }
}

/// Returns the reason phrase of a status, which is optional: statuses that a host hardly uses have none.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "",
    }
}

/// Refuses a connection at once, without a task and without waiting for its request: too many handshakes are
/// under way, or no descriptor is left. The socket must be non-blocking.
pub(crate) fn refuse_now(
    context: &Context,
    mut stream: &TcpStream,
    addr: SocketAddr,
    why: &'static str,
) {
    let answer = Answer::limit(why);
    answer.log(context, addr);
    // Failures are ignored: the caller closes the connection in any case.
    let _ = stream.write(&answer.into_bytes());
    let _ = stream.shutdown(Shutdown::Write);
    // Closing a socket with unread bytes would reset the connection, and destroy the answer.
    let _ = stream.read(&mut [0; 4096]);
}

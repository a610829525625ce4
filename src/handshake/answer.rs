//! The answers to requests that are not upgraded.

use std::{borrow::Cow, net::SocketAddr, time::SystemTime};

use super::excerpt::excerpt;
use crate::{context::Context, fanout::command::Rejection, origin};

/// An HTTP response: a status, a text for a person, and the headers that the status requires.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    text: String,
    /// Further headers, encoded: each line ends with CRLF.
    headers: Cow<'static, str>,
    concern: Concern,
    /// Whether the client may come back soon, with the same request.
    is_temporary: bool,
    /// Whether the method was HEAD: then the text is not sent.
    is_bare: bool,
    /// The whole answer as it is written, if it is no text.
    whole: Option<Vec<u8>>,
}

/// Whom an answer concerns, which says how it is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Concern {
    /// Nobody: a page was asked for. At the level debug. So for the next one, since clients can cause any number of
    /// refusals.
    Nobody,
    /// The client alone.
    Client,
    /// The host, which may want to raise a limit: as a warning, at a bounded rate.
    Limit,
    /// The host, which may want to admit a page's origin: at the level info, at a bounded rate. So for the next three.
    Page,
    /// The same, in answer to a browser's question before the page connects: the connection stays open.
    Preflight,
    /// The operator, who may want to correct the path of a client or a proxy.
    Path,
    /// The operator, whose clients want TLS.
    Tls,
    /// The operator of a proxy in front: as a warning, each fault once a minute, so that what is corrected line by line
    /// is seen line by line.
    Proxy(ProxyFault),
}

/// What a proxy in front may have made of a request for WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProxyFault {
    Http10,
    NoUpgrade,
    NoConnection,
}

impl ProxyFault {
    /// The status of the answer, and in what form the request came.
    fn describe(self) -> (u16, &'static str) {
        match self {
            Self::Http10 => (400, "as HTTP/1.0, which many proxies speak by default"),
            Self::NoUpgrade => (
                426,
                "without the header Upgrade, which a proxy in front of this server has removed",
            ),
            Self::NoConnection => (
                426,
                "without Upgrade in the header Connection, which a proxy in front of this server has removed",
            ),
        }
    }
}

/// What nginx needs in order to pass WebSocket on, and the host and port that a page's origin is compared with.
const NGINX: &str = "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; \
    proxy_set_header Connection upgrade; proxy_set_header Host $http_host;";

/// The longest origin that a browser can send: the longest name (RFC 1035, 2.3.4) between a scheme and a port.
const MAX_ORIGIN: usize = 253 + "https://".len() + ":65535".len();

impl Answer {
    fn new(status: u16, text: impl Into<String>) -> Self {
        let (text, headers, concern) = (text.into(), "".into(), Concern::Client);
        let (is_temporary, is_bare) = (false, false);
        Self { status, text, headers, concern, is_temporary, is_bare, whole: None }
    }

    /// Makes the answer to HEAD in place of a stream, of these bytes: nobody is connected, as with a page.
    pub(super) fn stream_head(bytes: Vec<u8>) -> Self {
        Self::page(200, "").in_bytes(bytes)
    }

    /// Answers with these bytes. It counts, and is logged, as it was.
    pub(super) fn in_bytes(self, bytes: Vec<u8>) -> Self {
        Self { whole: Some(bytes), ..self }
    }

    /// Adds encoded headers: each line ends with CRLF.
    pub(super) fn with_headers(mut self, lines: &str) -> Self {
        self.headers.to_mut().push_str(lines);
        self
    }

    /// Whether the client may come back soon, with the same request.
    pub(super) fn is_temporary(&self) -> bool {
        self.is_temporary
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether the request got what it asked for.
    fn is_success(&self) -> bool {
        self.status < 300
    }

    /// Makes the answer to a request for a page: it is not refused, whatever its status.
    fn page(status: u16, text: impl Into<String>) -> Self {
        Self { concern: Concern::Nobody, ..Self::new(status, text) }
    }

    /// Makes the page that says how to connect. `host` is the server's name in the request, `base` the option
    /// `base_path`.
    pub(crate) fn home(host: Option<&str>, base: &str) -> Self {
        let host =
            host.map_or_else(|| "127.0.0.1:9001".to_owned(), |host| excerpt(host.as_bytes()));
        let version = env!("CARGO_PKG_VERSION");
        let text = format!(
            "This is libchat {version}, a WebSocket chat server.\n\
             \n\
             Connect with any WebSocket client:\n\
             \n\
             ws://{host}{base}/               the room \"lobby\"\n\
             ws://{host}{base}/rooms/{{room}}   any other room\n\
             \n\
             Each message goes to everyone in the room.\n\
             ?echo=false does not send you your own, ?history=10 sends you the last ten first.\n\
             \n\
             Or only receive, as server-sent events:\n\
             \n\
             curl -N 'http://{host}{base}/?format=events'\n\
             \n\
             Behind a proxy, connect to the address of this page, with ws:// for http:// and wss:// for https://.\n\
             In the console of this page:\n\
             \n\
             chat = new WebSocket(location.href.replace(\"http\", \"ws\"))\n\
             chat.onmessage = (message) => console.log(message.data)\n\
             chat.onopen = () => chat.send(\"hello\")"
        );
        // Server-sent events share the path.
        Self { headers: "Vary: Accept\r\n".into(), ..Self::page(200, text) }
    }

    pub(crate) fn health() -> Self {
        Self::check(200, "ok")
    }

    /// The server takes no clients now.
    pub(crate) fn not_ready(why: &str) -> Self {
        Self::check(503, why)
    }

    /// Makes the answer to a balancer's check, which is valid now alone.
    fn check(status: u16, text: &str) -> Self {
        Self { headers: "Cache-Control: no-store\r\n".into(), ..Self::page(status, text) }
    }

    /// Makes the answer to a request for the methods of a page.
    pub(crate) fn options() -> Self {
        Self { headers: "Allow: GET, HEAD, OPTIONS\r\n".into(), ..Self::page(204, "") }
    }

    /// Makes the answer to a page that is not there. Scanners ask for many.
    pub(crate) fn not_found(path: &str, base: &str) -> Self {
        Self { concern: Concern::Nobody, ..Self::wrong_path(path, base) }
    }

    /// Makes the answer to a path that leads nowhere, on which a client asks for WebSocket: the log shows it.
    pub(crate) fn wrong_path(path: &str, base: &str) -> Self {
        let remark = if path.starts_with("//") {
            ". The path begins with two slashes: if proxy_pass ends with a slash, location needs one at its end as well"
        } else {
            ""
        };
        let path = excerpt(path.as_bytes());
        let advice = if base.is_empty() {
            "A proxy that serves libchat under a path has to remove that path (nginx: location /chat/ { proxy_pass \
             http://127.0.0.1:9001/; }, with both slashes at the end), or the server's option base_path has to name it"
        } else {
            "All paths of this server begin so, since its option base_path says so: a proxy in front has to leave the \
             path as it is"
        };
        let text = format!(
            "there is nothing at {path}; connect by WebSocket, or for events, to {base}/ or {base}/rooms/{{room}}. {advice}{remark}"
        );
        Self { concern: Concern::Path, ..Self::new(404, text) }
    }

    /// Makes the answer to a method that a page has not.
    pub(crate) fn method_not_allowed() -> Self {
        let headers = "Allow: GET, HEAD, OPTIONS\r\n".into();
        Self { headers, ..Self::page(405, "use the method GET") }
    }

    /// Makes the answer to a request for WebSocket whose method is not GET.
    pub(crate) fn wrong_method() -> Self {
        Self { headers: "Allow: GET\r\n".into(), ..Self::new(405, "use the method GET") }
    }

    /// Makes the answer to a body that is longer than any page needs.
    #[cfg(feature = "http")]
    pub(super) fn body_too_large(most: u64) -> Self {
        Self::page(413, format!("no page here takes a body; at most {most} bytes of one are read"))
    }

    pub(crate) fn bad_request(text: impl Into<String>) -> Self {
        Self::new(400, text)
    }

    /// What a request for a room asks for with its path or query is not valid: the log says so, since a browser tells its
    /// page nothing.
    pub(crate) fn bad_target(text: impl Into<String>) -> Self {
        Self { concern: Concern::Path, ..Self::bad_request(text) }
    }

    pub(crate) fn malformed() -> Self {
        Self::bad_request("this is not an HTTP/1.1 request")
    }

    pub(crate) fn tls() -> Self {
        let text = "this port speaks plain HTTP: use ws://, or put a proxy with TLS in front";
        Self { concern: Concern::Tls, ..Self::bad_request(text) }
    }

    pub(crate) fn head_too_large() -> Self {
        let text = "the request's head is longer than the server's option handshake_size, or has more \
                    than 100 headers";
        Self::new(431, text)
    }

    pub(crate) fn upgrade_required() -> Self {
        let text = "connect here by WebSocket, or ask for events (?format=events, or the header Accept: \
                    text/event-stream): the request asks for neither";
        Self { headers: "Upgrade: websocket\r\n".into(), ..Self::page(426, text) }
    }

    pub(crate) fn wrong_version() -> Self {
        // RFC 6455, 4.4: the answer names the versions that are understood.
        let headers = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n".into();
        let text = "version 13 of the WebSocket protocol is spoken here";
        Self { headers, ..Self::new(426, text) }
    }

    /// Makes the answer to a request for WebSocket that a proxy in front may have spoiled.
    pub(crate) fn proxy_fault(fault: ProxyFault) -> Self {
        let (status, how) = fault.describe();
        let text = format!(
            "the request for WebSocket came {how}; a proxy in front of this server has to pass WebSocket on (nginx: {NGINX})"
        );
        let headers = if status == 426 { "Upgrade: websocket\r\n" } else { "" };
        Self { concern: Concern::Proxy(fault), headers: headers.into(), ..Self::new(status, text) }
    }

    /// Makes the answer to a page that may not connect. `host` is the server's name in the request.
    pub(crate) fn foreign_page(origin: &[u8], host: Option<&str>) -> Self {
        let server = excerpt(host.unwrap_or_default().as_bytes());
        let text = if origin.len() <= MAX_ORIGIN && origin::can_be_named(origin) {
            let page = origin.escape_ascii();
            let further = if origin.eq_ignore_ascii_case(b"null") {
                ". Browsers send null for a page that was opened from a file, and for sandboxed frames of any site"
            } else if origin.to_ascii_lowercase().starts_with(b"http") {
                ". If one proxy serves both the page and the chat, it can instead pass Host on as it came, with its \
                 port (nginx: proxy_set_header Host $http_host)"
            } else {
                ""
            };
            format!(
                "pages of {page} (Origin) may not connect to {server} (Host). Add their origin to the server's option \
                 origin (for chat-server: --origin {page}){further}"
            )
        } else {
            let page = excerpt(origin);
            format!(
                "\"{page}\" (Origin) may not connect to {server} (Host): no browser sends such an origin. Programs \
                 connect without the header Origin; the value * of the server's option origin admits everyone"
            )
        };
        Self { concern: Concern::Page, ..Self::new(403, text) }
    }

    /// Makes the answer to a page of another site that does not say which.
    pub(super) fn nameless_page() -> Self {
        let text =
            "pages of another site connect with the header Origin, as new EventSource(url) does";
        Self { concern: Concern::Page, ..Self::new(403, text) }
    }

    pub(crate) fn request_timeout() -> Self {
        Self::new(408, "the request took too long")
    }

    pub(crate) fn stopping() -> Self {
        Self { is_temporary: true, ..Self::new(503, "the server is stopping") }
    }

    /// Makes the answer that the host has decided on.
    pub(crate) fn rejected(Rejection { status, text, headers }: Rejection) -> Self {
        Self { headers: headers.into(), ..Self::new(status, text) }
    }

    pub(crate) fn limit(text: &'static str) -> Self {
        Self { concern: Concern::Limit, is_temporary: true, ..Self::new(503, text) }
    }

    /// Counts and logs the answer.
    pub(super) fn note(&self, context: &Context, addr: SocketAddr) {
        let counters = &context.counters;
        let counter = match self.concern {
            Concern::Nobody | Concern::Preflight => &counters.requests_answered,
            _ => &counters.connections_refused,
        };
        counter.add(1);
        self.log(context, addr);
    }

    /// Logs the answer.
    pub(super) fn log(&self, context: &Context, addr: SocketAddr) {
        let Self { status, text: why, .. } = self;
        let throttles = &context.throttles;
        match self.concern {
            Concern::Nobody if !self.is_success() => {
                tracing::debug!(%addr, status, ?why, "page requested");
            }
            Concern::Nobody => tracing::debug!(%addr, status, "page requested"),
            Concern::Limit if let Some(others) = throttles.refusals.pass() => {
                tracing::warn!(%addr, status, ?why, others, "connection refused");
            }
            Concern::Page if let Some(others) = throttles.foreign_pages.pass() => {
                tracing::info!(%addr, status, ?why, others, "connection refused");
            }
            Concern::Preflight if let Some(others) = throttles.foreign_pages.pass() => {
                tracing::info!(%addr, status, ?why, others, "request refused");
            }
            Concern::Preflight => tracing::debug!(%addr, status, ?why, "request refused"),
            Concern::Path if let Some(others) = throttles.wrong_paths.pass() => {
                tracing::info!(%addr, status, ?why, others, "connection refused");
            }
            Concern::Tls if let Some(others) = throttles.tls.pass() => {
                tracing::info!(%addr, status, ?why, others, "connection refused");
            }
            Concern::Proxy(fault)
                if let Some(others) = throttles.proxy_faults[fault as usize].pass_seldom() =>
            {
                tracing::warn!(%addr, status, ?why, others, "connection refused");
            }
            _ => tracing::debug!(%addr, status, ?why, "connection refused"),
        }
    }

    /// Fits the answer to the request's method: the answer to HEAD has no text.
    pub(super) fn for_method(self, method: &str) -> Self {
        Self { is_bare: method == "HEAD", ..self }
    }

    /// Makes this the answer to a request for a page.
    pub(super) fn for_page(self) -> Self {
        let is_foreign = self.concern == Concern::Page;
        let concern = if is_foreign { Concern::Preflight } else { Concern::Nobody };
        Self { concern, ..self }
    }

    /// Returns the text with its end of line, and the further headers.
    #[cfg(feature = "http")]
    pub(super) fn into_text(self) -> (String, Cow<'static, str>) {
        let Self { status, mut text, headers, .. } = self;
        if status != 204 {
            text.push('\n');
        }
        (text, headers)
    }

    /// Encodes the answer (RFC 9112, 4).
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        let Self { status, text, headers, is_bare, whole, .. } = self;
        if let Some(whole) = whole {
            return whole;
        }
        let (reason, len) = (reason(status), text.len() + 1);
        // RFC 9110, 6.6.1.
        let date = httpdate::fmt_http_date(SystemTime::now());
        // RFC 9110, 7.8: a sender of Upgrade lists it in Connection.
        let connection = if status == 426 { "close, upgrade" } else { "close" };
        let mut answer =
            format!("HTTP/1.1 {status} {reason}\r\nDate: {date}\r\nConnection: {connection}\r\n");
        // RFC 9110, 15.3.5: it has no content.
        let is_empty = status == 204;
        if !is_empty {
            answer.push_str(&format!(
                "Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n\
                 Content-Length: {len}\r\n"
            ));
        }
        answer.push_str(&headers);
        answer.push_str("\r\n");
        if !is_bare && !is_empty {
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
        204 => "No Content",
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
        413 => "Content Too Large",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "",
    }
}

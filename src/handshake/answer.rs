//! What is answered to a request that is not upgraded.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode,
    header::{ALLOW, CONNECTION, CONTENT_TYPE, HOST, HeaderName, SEC_WEBSOCKET_VERSION, UPGRADE},
};

use crate::context::Context;

/// A status, a line or more of text for a person, and what else the status asks for.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    text: String,
    header: Option<(HeaderName, &'static str)>,
    /// A limit of the server is reached, which its host may want to raise.
    is_limit: bool,
}

impl Answer {
    fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), header: None, is_limit: false }
    }

    pub(crate) fn home<T>(request: &Request<T>) -> Self {
        let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
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
        Self::new(StatusCode::OK, text)
    }

    pub(crate) fn health() -> Self {
        Self::new(StatusCode::OK, "ok")
    }

    pub(crate) fn not_found() -> Self {
        let text = "there is nothing here; connect by WebSocket to / or /rooms/{room}";
        Self::new(StatusCode::NOT_FOUND, text)
    }

    pub(crate) fn method_not_allowed() -> Self {
        let text = "use the method GET";
        let header = Some((ALLOW, "GET"));
        Self { header, ..Self::new(StatusCode::METHOD_NOT_ALLOWED, text) }
    }

    pub(crate) fn bad_request(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    pub(crate) fn malformed() -> Self {
        Self::bad_request("this is not an HTTP/1.1 request")
    }

    pub(crate) fn upgrade_required() -> Self {
        let text = "connect here by WebSocket: the request asks for no upgrade";
        let header = Some((UPGRADE, "websocket"));
        Self { header, ..Self::new(StatusCode::UPGRADE_REQUIRED, text) }
    }

    pub(crate) fn wrong_version() -> Self {
        // RFC 6455, 4.4: the answer names the versions that are understood.
        let header = Some((SEC_WEBSOCKET_VERSION, "13"));
        let text = "version 13 of the WebSocket protocol is spoken here";
        Self { header, ..Self::new(StatusCode::UPGRADE_REQUIRED, text) }
    }

    pub(crate) fn forbidden_origin() -> Self {
        let text = "pages of this origin may not connect; add it to the server's option origin";
        Self::new(StatusCode::FORBIDDEN, text)
    }

    pub(crate) fn request_timeout() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "the request took too long")
    }

    pub(crate) fn stopping() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping")
    }

    /// What the host has decided on.
    pub(crate) fn rejected(status: u16, text: String) -> Self {
        Self::new(StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN), text)
    }

    pub(crate) fn limit(text: &'static str) -> Self {
        Self { is_limit: true, ..Self::new(StatusCode::SERVICE_UNAVAILABLE, text) }
    }

    /// Logs what is answered. Clients can have as many refused as they like, so that is for those who
    /// look closely, but for a limit that is reached: the host is told once in a while.
    pub(crate) fn log(&self, context: &Context, addr: SocketAddr) {
        let Self { status, text: why, .. } = self;
        let status = status.as_u16();
        if status == 200 {
            tracing::debug!(%addr, "page requested");
        } else if self.is_limit
            && let Some(others) = context.throttles.refusals.pass()
        {
            tracing::warn!(%addr, status, ?why, others, "connection refused");
        } else {
            tracing::debug!(%addr, status, ?why, "connection refused");
        }
    }

    pub(crate) fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::from(self.text + "\n"));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        let plain = hyper::header::HeaderValue::from_static("text/plain; charset=utf-8");
        headers.insert(CONTENT_TYPE, plain);
        headers.insert(CONNECTION, hyper::header::HeaderValue::from_static("close"));
        if let Some((name, value)) = self.header {
            headers.insert(name, hyper::header::HeaderValue::from_static(value));
        }
        response
    }

    /// The answer as bytes, where there is no hyper to write it.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        let Self { status, text, .. } = self;
        let len = text.len() + 1;
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\n\
             connection: close\r\ncontent-length: {len}\r\n\r\n{text}\n"
        )
        .into_bytes()
    }
}

/// Refuses a connection, whose socket does not block, without a task, before its request was read: as
/// much as can be done when there is no place or no descriptor left.
pub(crate) fn refuse_now(
    context: &Context,
    mut stream: &TcpStream,
    addr: SocketAddr,
    why: &'static str,
) {
    let answer = Answer::limit(why);
    answer.log(context, addr);
    // Whatever fails here, the connection is closed by the caller.
    let _ = stream.write(&answer.into_bytes());
    let _ = stream.shutdown(Shutdown::Write);
    // What has come of the request is read, so that closing does not reset the connection.
    let _ = stream.read(&mut [0; 4096]);
}

//! Answers the requests that hyper reads, by the function that knows all pages.
//!
//! A request for a stream is not answered here: its head is kept for the owner of the connection, and hyper waits for
//! an answer that never comes, so it reads no further request.

use std::{
    cell::Cell,
    convert::Infallible,
    future::{Ready, pending, ready},
    net::SocketAddr,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use hyper::{
    Request, Response, StatusCode,
    body::{Body, Bytes, Incoming},
    header::{self, HeaderName, HeaderValue},
    service::Service,
};

use super::{
    super::{answer::Answer, head::Head, pages, request::Stream},
    body::{Text, discard},
    parts,
    progress::Progress,
};
use crate::shard::Shard;

/// How many answers to pipelined requests are written before other sockets are polled.
const ANSWERS_PER_ITERATION: u32 = 16;

/// The service of one connection.
pub(super) struct Pages(Rc<Inner>);

struct Inner {
    shard: Rc<Shard>,
    addr: SocketAddr,
    progress: Rc<Progress>,
    /// How many answers were written, and in which iteration of the event loop.
    in_iteration: Cell<(u64, u32)>,
}

/// An answer, at once or later.
pub(super) enum Answering {
    Now(Ready<Response<Text>>),
    Later(Pin<Box<dyn Future<Output = Response<Text>>>>),
}

impl Future for Answering {
    type Output = Result<Response<Text>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Now(answer) => Pin::new(answer).poll(cx).map(Ok),
            Self::Later(answer) => answer.as_mut().poll(cx).map(Ok),
        }
    }
}

impl Pages {
    pub(super) fn new(shard: &Rc<Shard>, addr: SocketAddr, progress: &Rc<Progress>) -> Self {
        let (shard, progress) = (Rc::clone(shard), Rc::clone(progress));
        Self(Rc::new(Inner { shard, addr, progress, in_iteration: Cell::new((0, 0)) }))
    }
}

impl Service<Request<Incoming>> for Pages {
    type Response = Response<Text>;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: Request<Incoming>) -> Answering {
        let inner = &self.0;
        inner.progress.note_head();
        if inner.progress.is_crowded_out() {
            return Answering::Later(Box::pin(pending()));
        }
        let (parts, body) = request.into_parts();
        let mut headers = Vec::new();
        let head = parts::head(&parts, &mut headers, inner.base_path());
        let stream = head.as_ref().ok().and_then(|head| inner.stream(head));
        if let Some(stream) = stream {
            drop(head);
            drop(headers);
            inner.progress.set_stream(parts, stream);
            return Answering::Later(Box::pin(pending()));
        }
        let may_answer = inner.count_answer();
        if may_answer && body.is_end_stream() {
            return Answering::Now(ready(inner.answer(head, Ok(()))));
        }
        drop(head);
        drop(headers);
        let inner = Rc::clone(inner);
        Answering::Later(Box::pin(async move {
            if !may_answer {
                inner.shard.reactor.yield_now().await;
            }
            let read = discard(body).await;
            inner.answer(parts::head(&parts, &mut Vec::new(), inner.base_path()), read)
        }))
    }
}

impl Inner {
    fn base_path(&self) -> &str {
        &self.shard.context.options.base_path
    }

    fn stream(&self, head: &Head<'_, '_>) -> Option<Stream> {
        Stream::of(head, self.base_path())
    }

    /// Counts an answer. Returns whether it may be written before other sockets are polled.
    fn count_answer(&self) -> bool {
        let iteration = self.shard.reactor.iteration();
        let (last, count) = self.in_iteration.get();
        let count = if last == iteration { count + 1 } else { 1 };
        self.in_iteration.set((iteration, count));
        count <= ANSWERS_PER_ITERATION
    }

    /// Makes the answer to a request whose body was read, or could not be.
    fn answer(
        &self,
        head: Result<Head<'_, '_>, Answer>,
        body: Result<(), Answer>,
    ) -> Response<Text> {
        // The bytes behind a request that is refused may be read in several ways.
        let (answer, may_stay) = match (head, body) {
            (Ok(head), Ok(())) => (pages::answer(&head, &pages::State::of(&self.shard)), true),
            (Ok(head), Err(answer)) => (answer.for_method(head.method), false),
            (Err(answer), _) => (answer, false),
        };
        let ends = !may_stay || self.shard.is_stopping() || !self.progress.keep();
        answer.note(&self.shard.context, self.addr);
        self.progress.note_answer();
        encode(answer, ends)
    }
}

/// Makes hyper's form of an answer. hyper adds the date, and the length of the text.
fn encode(answer: Answer, ends: bool) -> Response<Text> {
    let status = answer.status;
    let (text, lines) = answer.into_text();
    let mut response = Response::new(Text(Bytes::from(text)));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if status != 204 {
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        headers.insert(header::CONTENT_TYPE, text);
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
    // RFC 9110, 7.8: a sender of Upgrade lists it in Connection.
    let connection = match (ends, status == 426) {
        (true, true) => Some("close, upgrade"),
        (true, false) => Some("close"),
        (false, true) => Some("upgrade"),
        (false, false) => None,
    };
    if let Some(connection) = connection {
        headers.insert(header::CONNECTION, HeaderValue::from_static(connection));
    }
    for (name, value) in lines.lines().filter_map(|line| line.split_once(": ")) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.append(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::{super::tests::shard, *};

    #[test]
    fn a_client_that_asks_often_at_once_lets_others_ask_between() {
        let shard = shard();
        let progress = Progress::new(&shard, shard.shared.now(), None);
        let pages = Pages::new(&shard, ([127, 0, 0, 1], 1).into(), &progress);
        for _ in 0..ANSWERS_PER_ITERATION {
            assert!(pages.0.count_answer());
        }
        assert!(!pages.0.count_answer());
    }
}

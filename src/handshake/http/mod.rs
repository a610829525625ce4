//! The requests of a connection that ask for no stream: hyper reads them on the shard's loop, and answers are kept
//! short, so that one connection can ask often.
//!
//! The owner, here, has all deadlines. It takes the connection back from hyper when a request asks for a stream, and
//! when a request comes too slowly.
//!
//! Invariant: a connection has a permit for a handshake from a request's first byte until its answer is taken, and ends by
//! a deadline.

mod body;
mod io;
mod parts;
mod progress;
mod service;

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    rc::Rc,
    task::Poll,
};

use hyper::server::conn::http1;

use self::{
    io::Io,
    progress::{Phase, Progress},
    service::Pages,
};
use super::{Handshake, Pending, Refusal, answer::Answer};

type Connection = http1::Connection<Io, Pages>;

/// Why the owner takes a connection back from hyper.
enum End {
    /// hyper has ended it.
    Over(hyper::Result<()>),
    /// Answers a request of which a part has come.
    Unanswered(Answer),
    /// The client does not take its answer.
    Late,
    /// The client asks for a stream, and has taken all earlier answers.
    Stream,
}

impl Handshake {
    /// Answers requests for pages. `came` begins with the first request. Returns a client if a later request asks for a
    /// stream.
    ///
    /// # Errors
    /// How the connection ends.
    pub(super) async fn serve_pages(&self, came: Vec<u8>) -> Result<Box<Pending>, Refusal> {
        let Self { shard, transport, addr, deadline, .. } = self;
        let progress = Progress::new(shard, *deadline, self.permit.take());
        let io = Io::new(shard, transport, &progress, came);
        let pages = Pages::new(shard, *addr, &progress);
        let mut connection = http1::Builder::new()
            .half_close(true)
            .max_buf_size(shard.context.options.handshake_size)
            .serve_connection(io, pages);
        let end = self.drive(&mut connection, &progress).await;
        self.permit.set(progress.take_permit());
        match end {
            End::Over(outcome) => {
                drop(connection);
                if let Err(error) = outcome
                    && error.is_parse()
                {
                    shard.context.counters.connections_refused.add(1);
                    tracing::debug!(%addr, %error, "connection refused");
                }
                self.linger().await;
                Err(Refusal::Over)
            }
            End::Late => Err(Refusal::Over),
            End::Unanswered(answer) => {
                let http1::Parts { io, read_buf, .. } = connection.into_parts();
                // hyper may hold a part of a request that came together with an earlier one.
                let has_begun =
                    [&read_buf, io.unread()].iter().any(|it| !it.trim_ascii().is_empty());
                let is_asking = has_begun || progress.phase() == Phase::Request;
                Err(if is_asking { Refusal::Answer(answer) } else { Refusal::Over })
            }
            End::Stream => {
                let http1::Parts { io, read_buf, .. } = connection.into_parts();
                let Some((parts, stream)) = progress.take_stream() else {
                    return Err(Refusal::Over);
                };
                let mut headers = Vec::new();
                let head = parts::head(&parts, &mut headers, &shard.context.options.base_path)
                    .map_err(Refusal::Answer)?;
                let rest = [&read_buf, io.unread()].concat();
                self.begin(&head, stream, &rest)
                    .map_err(|answer| Refusal::Answer(answer.for_method(head.method)))
            }
        }
    }

    /// Polls hyper until the connection is over, or until hyper cannot go on with it.
    async fn drive(&self, connection: &mut Connection, progress: &Rc<Progress>) -> End {
        let shard = &self.shard;
        let mut armed_for = progress.deadline();
        let mut timer = pin!(shard.deadlines.until(armed_for));
        let mut stopped = pin!(shard.stopped());
        poll_fn(|cx| {
            if let Poll::Ready(outcome) = Pin::new(&mut *connection).poll(cx) {
                return Poll::Ready(End::Over(outcome));
            }
            // Such a client asks again on another connection: an end between requests may always come.
            if progress.is_crowded_out() {
                return Poll::Ready(End::Over(Ok(())));
            }
            if progress.has_stream() && !progress.owes() {
                return Poll::Ready(End::Stream);
            }
            // It has finished once: then it must not be polled again.
            let is_stopping = shard.is_stopping() || stopped.as_mut().poll(cx).is_ready();
            if is_stopping && let Some(end) = end(progress, Answer::stopping) {
                return Poll::Ready(end);
            }
            // The deadline moves with each request. The timer follows when it fires, or at once to an earlier time.
            loop {
                let deadline = progress.deadline();
                if deadline < armed_for {
                    armed_for = deadline;
                    timer.set(shard.deadlines.until(armed_for));
                }
                if timer.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                if deadline <= shard.shared.now() {
                    let late = end(progress, Answer::request_timeout).unwrap_or(End::Late);
                    return Poll::Ready(late);
                }
                armed_for = deadline;
                timer.set(shard.deadlines.until(armed_for));
            }
        })
        .await
    }
}

/// How a connection ends whose time is over; `None` while an answer is under way.
fn end(progress: &Progress, answer: fn() -> Answer) -> Option<End> {
    match progress.phase() {
        _ if progress.owes() => None,
        Phase::Idle | Phase::Request => Some(End::Unanswered(answer())),
        Phase::Answer => None,
    }
}

#[cfg(test)]
mod tests {
    use std::{rc::Rc, sync::Arc, time::Duration};

    use crate::{
        context::Context, fanout::shard_handle::ShardHandle, options::Options, reactor::Reactor,
        rooms::Rooms, shard::Shard,
    };

    /// A shard that serves nobody.
    pub(super) fn shard() -> Rc<Shard> {
        let reactor = Reactor::new(Duration::ZERO).unwrap();
        let context = Context::new(Options::default(), Vec::new());
        let shards: Arc<[_]> = Arc::new([Arc::<ShardHandle>::default()]);
        let rooms = Rooms::new(Arc::clone(&context), Arc::clone(&shards), None);
        Shard::new(0, context, Arc::clone(&shards[0]), rooms, reactor)
    }
}

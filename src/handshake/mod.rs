//! The HTTP side of a connection: one request, answered or upgraded.
//!
//! httparse parses its head, and it gets one answer. There are no bodies and no second requests, so a library
//! for HTTP would cost every connection and every program that links libchat, and add nothing. Every client
//! that is still there gets an answer, also to a request that makes no sense or that never ends.

mod accept;
mod admission;
mod answer;
mod head;
mod receive;
mod request;

use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    pin::pin,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use futures_util::future::{Either, select};
use tokio::sync::oneshot;

pub(crate) use self::answer::refuse_now;
use self::{
    accept::Upgrade,
    admission::Waiting,
    answer::Answer,
    head::Head,
    receive::{left, receive, skip},
    request::Route,
};
use crate::{
    connection::{ClientGuard, Upgraded},
    context::Permit,
    event,
    fanout::command::AcceptedStream,
    reactor::Stream,
    shard::{Decision, Shard},
    transport::Transport,
};

/// How long an answer may take to be written, and how long what a refused client still sends is read and
/// thrown away, so that no reset destroys the answer on its way.
const LINGER: Duration = Duration::from_secs(1);

/// A connection that has sent no request yet, or whose request is not answered.
struct Handshake {
    shard: Rc<Shard>,
    transport: Transport,
    addr: SocketAddr,
}

/// A request that is upgraded if the host admits it. When it is dropped, the client first leaves its rooms,
/// then the host is told that it has left, then its permit is given back.
struct Pending {
    upgrade: Upgrade,
    /// What came behind its head.
    leftover: Vec<u8>,
    guard: ClientGuard,
    /// The client that the host decides on, and where the decision comes.
    waiting: Option<Waiting>,
    decision: Option<oneshot::Receiver<Decision>>,
    request: Option<Arc<event::Request>>,
    permit: Permit,
}

/// Serves one HTTP request. Returns the connection if it is upgraded.
///
/// Nearly every client is admitted at once, so the other cases are boxed futures of their own: this one stays
/// small, and the allocator serves it without a search.
pub(crate) async fn run(shard: Rc<Shard>, accepted: AcceptedStream) -> Option<Upgraded> {
    let AcceptedStream { stream, addr, permit: place, load } = accepted;
    let transport = match Stream::new(&shard.reactor, stream) {
        Ok(stream) => Transport::plain(stream),
        Err(error) => {
            if let Some(others) = shard.context.throttles.accept_failures.pass() {
                tracing::warn!(%addr, %error, others, "an accepted connection cannot be served");
            }
            return None;
        }
    };
    let handshake = Handshake { shard, transport, addr };
    let pending = match handshake.pending().await {
        Ok(pending) if pending.decision.is_none() => pending,
        Ok(pending) => {
            // The host may take its time: other handshakes go on meanwhile.
            drop(place);
            Box::pin(handshake.decided(pending)).await?
        }
        Err(answer) => {
            Box::pin(handshake.refuse(answer)).await;
            return None;
        }
    };
    let pending = match handshake.transport.send(&pending.upgrade) {
        Ok(taken) if taken == pending.upgrade.len() => pending,
        // A socket that was not written to yet takes it all, unless the kernel is short of memory or the
        // client is gone.
        taken => Box::pin(handshake.answered(pending, taken.unwrap_or_default())).await?,
    };
    if let Some(waiting) = &pending.waiting {
        waiting.is_connected();
    }
    let Pending { leftover, guard, request, permit, .. } = *pending;
    Some(Upgraded { guard, leftover, request, permit, load })
}

impl Handshake {
    /// Receives the request, and decides on it unless the host does.
    async fn pending(&self) -> Result<Box<Pending>, Answer> {
        let Self { shard, transport, .. } = self;
        let received = pin!(receive(shard, transport, |head, rest| self.begin(head, rest)));
        let timeout = shard.context.options.handshake_timeout;
        let in_time = shard.deadlines.within(timeout, received);
        match select(pin!(in_time), pin!(shard.stopped())).await {
            Either::Left((pending, _)) => pending.unwrap_or_else(|| Err(Answer::request_timeout())),
            Either::Right(_) => Err(Answer::stopping()),
        }
    }

    fn begin(&self, head: &Head<'_, '_>, rest: &[u8]) -> Result<Box<Pending>, Answer> {
        let Self { shard, transport, addr } = self;
        let context = &shard.context;
        let options = match request::route(head)? {
            Route::Home => return Err(Answer::home(head.host)),
            Route::Health => return Err(Answer::health()),
            Route::Plain(options) => options,
        };
        let upgrade = accept::upgrade(head)?;
        request::check_origin(head, &context.options.origins)?;
        if shard.is_stopping() {
            return Err(Answer::stopping());
        }
        if context.events.is_full() {
            return Err(Answer::limit("the server's host does not take events"));
        }
        let permit = context
            .permit_connection()
            .ok_or_else(|| Answer::limit("too many connections; try again later"))?;
        let request = context.events.is_enabled().then(|| request::describe(head, *addr));
        let guard = ClientGuard::new(shard, transport, &options);
        let (mut waiting, mut decision) = (None, None);
        if let (Some(request), false) = (&request, context.options.admission_timeout.is_zero()) {
            let (begun, receiver) = Waiting::begin(&guard, &options, Arc::clone(request));
            (waiting, decision) = (Some(begun), Some(receiver));
        } else {
            guard.join(&options).map_err(|_stopped| Answer::stopping())?;
        }
        let leftover = rest.to_vec();
        let pending = Pending { upgrade, leftover, guard, waiting, decision, request, permit };
        Ok(Box::new(pending))
    }

    /// Waits for the host's decision, and refuses the client that it does not admit.
    async fn decided(&self, mut pending: Box<Pending>) -> Option<Box<Pending>> {
        let Pending { waiting, decision, leftover, .. } = &mut *pending;
        let (waiting, decision) = (waiting.as_ref()?, decision.take()?);
        let has_left = left(&self.shard, &self.transport, leftover);
        let decided = match select(pin!(waiting.decided(decision)), pin!(has_left)).await {
            Either::Left((decided, _)) => Some(decided),
            Either::Right(_) => None,
        };
        if let Some(Ok(())) = decided {
            return Some(pending);
        }
        let Pending { permit: _permit, guard, waiting, .. } = *pending;
        drop(guard);
        // The host is told before the answer is sent.
        drop(waiting);
        match decided {
            Some(Err(answer)) => self.refuse(answer).await,
            _ => self.shard.context.counters.connections_refused.add(1),
        }
        None
    }

    /// Writes the rest of the answer that upgrades, of which the socket has not taken everything.
    async fn answered(&self, pending: Box<Pending>, taken: usize) -> Option<Box<Pending>> {
        let is_written = self.write(&pending.upgrade[taken..]).await;
        if !is_written {
            self.shard.context.counters.connections_refused.add(1);
        }
        is_written.then_some(pending)
    }

    /// Answers a request that is not upgraded, and waits until the client has taken the answer.
    async fn refuse(&self, answer: Answer) {
        let context = &self.shard.context;
        context.counters.connections_refused.add(1);
        answer.log(context, self.addr);
        if self.write(&answer.into_bytes()).await {
            self.linger().await;
        }
    }

    /// Writes an answer. Returns whether the socket has taken it.
    async fn write(&self, answer: &[u8]) -> bool {
        let written = write_all(&self.transport, answer);
        self.shard.deadlines.within(LINGER, written).await == Some(true)
    }

    /// Ends the stream to the client, and reads until the client ends its own.
    async fn linger(&self) {
        let Self { shard, transport, .. } = self;
        if transport.shutdown_write().is_err() {
            return;
        }
        let ended = async {
            loop {
                transport.readable().await;
                if skip(shard, transport).is_err() {
                    return;
                }
                // A client that floods must not starve the others of the shard.
                shard.reactor.yield_now().await;
            }
        };
        select(pin!(shard.deadlines.within(LINGER, ended)), pin!(shard.stopped())).await;
    }
}

/// Writes as the socket takes it. Returns whether it has taken everything.
async fn write_all(transport: &Transport, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        transport.writable().await;
        match transport.send_slices(&[IoSlice::new(bytes)]) {
            Ok(taken) => bytes = &bytes[taken..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return false,
        }
    }
    true
}

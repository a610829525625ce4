//! The HTTP side of a connection: one request, answered or upgraded.
//!
//! Its head is httparse's business, and one answer is all that it gets: here are no bodies to be read
//! and no second requests, so what else a library for HTTP does would only be paid for (a third of what
//! a connection costs in user space, a seventh of a program with libchat). Whoever is still there gets an
//! answer, also to a request that makes no sense or that never ends.

mod accept;
mod admission;
mod answer;
mod head;
mod receive;
mod request;

use std::{
    io,
    net::{Shutdown, SocketAddr},
    pin::pin,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use futures_util::future::{Either, select};
use socket2::SockRef;
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
    connection::{Member, Upgraded},
    context::Admission,
    event,
    reactor::Stream,
    rooms::Rooms,
    shard::{Shard, admission::Decision, inbox::Arrival},
    sys::Socket,
};

/// How long an answer may take to be written, and how long what a refused client still sends is read and
/// thrown away, so that no reset destroys the answer on its way.
const LINGER: Duration = Duration::from_secs(1);

/// A client that has connected.
struct Caller {
    shard: Rc<Shard>,
    rooms: Arc<Rooms>,
    stream: Rc<Stream>,
    addr: SocketAddr,
}

/// A request that may be upgraded. When it is dropped, the client is first out of its rooms, then the host
/// is told that it has left, then its place among the connections is free.
struct Begun {
    upgrade: Upgrade,
    /// What came behind its head.
    leftover: Vec<u8>,
    member: Member,
    /// The client that the host decides on, and where the decision comes.
    waiting: Option<Waiting>,
    decision: Option<oneshot::Receiver<Decision>>,
    request: Option<Arc<event::Request>>,
    admission: Admission,
}

/// Serves one HTTP request; what is to be served as WebSocket from then on, if it is upgraded.
///
/// Nearly every client is let in at once, so what else may happen is in futures of their own: this one
/// takes a kilobyte, which the allocator gives and takes back without a search.
pub(crate) async fn run(shard: Rc<Shard>, rooms: Arc<Rooms>, arrival: Arrival) -> Option<Upgraded> {
    let Arrival { stream, addr, admission: place, load } = arrival;
    let stream = match Stream::new(&shard.reactor, stream) {
        Ok(stream) => Rc::new(stream),
        Err(error) => {
            if let Some(others) = shard.context.throttles.accept_failures.pass() {
                tracing::warn!(%addr, %error, others, "an accepted connection cannot be served");
            }
            return None;
        }
    };
    let caller = Caller { shard, rooms, stream, addr };
    let begun = match caller.begun().await {
        Ok(begun) if begun.decision.is_none() => begun,
        Ok(begun) => {
            // The host may take its time: others are let in meanwhile.
            drop(place);
            Box::pin(caller.decided(begun)).await?
        }
        Err(answer) => {
            Box::pin(caller.refuse(answer)).await;
            return None;
        }
    };
    let begun = match Socket::of(&*caller.stream).send(&begun.upgrade) {
        Ok(taken) if taken == begun.upgrade.len() => begun,
        // A socket that was not written to yet takes it all, unless the kernel is short of memory or the
        // client is gone.
        taken => Box::pin(caller.answered(begun, taken.unwrap_or_default())).await?,
    };
    if let Some(waiting) = &begun.waiting {
        waiting.is_connected();
    }
    let Begun { leftover, member, request, admission, .. } = *begun;
    Some(Upgraded { member, leftover, request, admission, load })
}

impl Caller {
    /// Receives the request, and decides on it as far as that is the server's business.
    async fn begun(&self) -> Result<Box<Begun>, Answer> {
        let Self { shard, stream, .. } = self;
        let received = pin!(receive(shard, stream, |head, rest| self.begin(head, rest)));
        let timeout = shard.context.options.handshake_timeout;
        let in_time = shard.time_limits.within(timeout, received);
        match select(pin!(in_time), pin!(shard.stopped())).await {
            Either::Left((begun, _)) => begun.unwrap_or_else(|| Err(Answer::request_timeout())),
            Either::Right(_) => Err(Answer::stopping()),
        }
    }

    fn begin(&self, head: &Head<'_, '_>, rest: &[u8]) -> Result<Box<Begun>, Answer> {
        let Self { shard, rooms, stream, addr } = self;
        let context = &shard.context;
        let options = match request::route(head)? {
            Route::Home => return Err(Answer::home(head)),
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
        let admission = context
            .admit_connection()
            .ok_or_else(|| Answer::limit("too many connections; try again later"))?;
        let request = context.events.is_enabled().then(|| request::describe(head, *addr));
        let member = Member::new(shard, rooms, stream, &options);
        let (mut waiting, mut decision) = (None, None);
        if let (Some(request), false) = (&request, context.options.admission_timeout.is_zero()) {
            let (begun, receiver) = Waiting::begin(&member, &options, Arc::clone(request));
            (waiting, decision) = (Some(begun), Some(receiver));
        } else {
            member.join(&options).map_err(|_stopped| Answer::stopping())?;
        }
        let leftover = rest.to_vec();
        let begun = Begun { upgrade, leftover, member, waiting, decision, request, admission };
        Ok(Box::new(begun))
    }

    /// Waits for the host's decision, and refuses whom it does not let in.
    async fn decided(&self, mut begun: Box<Begun>) -> Option<Box<Begun>> {
        let Begun { waiting, decision, leftover, .. } = &mut *begun;
        let (waiting, decision) = (waiting.as_ref()?, decision.take()?);
        let has_left = left(&self.shard, &self.stream, leftover);
        let decided = match select(pin!(waiting.decided(decision)), pin!(has_left)).await {
            Either::Left((decided, _)) => Some(decided),
            Either::Right(_) => None,
        };
        if let Some(Ok(())) = decided {
            return Some(begun);
        }
        let Begun { admission: _place, member, waiting, .. } = *begun;
        drop(member);
        // The host is told before the answer is sent.
        drop(waiting);
        match decided {
            Some(Err(answer)) => self.refuse(answer).await,
            _ => self.shard.context.counters.connections_refused.add(1),
        }
        None
    }

    /// Writes the rest of the answer that upgrades, of which the socket has not taken everything.
    async fn answered(&self, begun: Box<Begun>, taken: usize) -> Option<Box<Begun>> {
        let is_written = self.write(&begun.upgrade[taken..]).await;
        if !is_written {
            self.shard.context.counters.connections_refused.add(1);
        }
        is_written.then_some(begun)
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
        let written = write_all(&self.stream, answer);
        self.shard.time_limits.within(LINGER, written).await == Some(true)
    }

    /// Ends the stream to the client, and reads until the client ends its own.
    async fn linger(&self) {
        let Self { shard, stream, .. } = self;
        if SockRef::from(stream.io()).shutdown(Shutdown::Write).is_err() {
            return;
        }
        let ended = async {
            loop {
                stream.readable().await;
                if skip(shard, stream).is_err() {
                    return;
                }
                // One that sends without end must not keep the others of the shard waiting.
                shard.reactor.yield_now().await;
            }
        };
        select(pin!(shard.time_limits.within(LINGER, ended)), pin!(shard.stopped())).await;
    }
}

/// Writes as the socket takes it. Returns whether it has taken everything.
async fn write_all(stream: &Stream, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        stream.writable().await;
        match stream.try_write(bytes) {
            Ok(taken) => bytes = &bytes[taken..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return false,
        }
    }
    true
}

//! The HTTP side of a connection: its requests, answered, until one is upgraded or gets an event stream.
//!
//! httparse parses the head of the first request. One that asks for a stream is answered here, and a library for HTTP
//! would only cost. With the feature `http` every other one goes to hyper, which serves the requests behind it too;
//! without, it is answered here, and the connection is closed.
//!
//! Invariant: every client that is still connected and has sent something gets one answer, also to a malformed or
//! endless request.

mod accept;
mod admission;
mod answer;
mod events;
mod excerpt;
mod head;
#[cfg(feature = "http")]
mod http;
mod media_type;
mod overload;
mod pages;
mod path;
mod receive;
mod request;
mod site;
mod subprotocol;

use std::{
    cell::Cell,
    io::{self, IoSlice},
    net::SocketAddr,
    pin::pin,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::{Either, select};
use tokio::sync::oneshot;

pub(crate) use self::overload::refuse_now;
use self::{
    accept::Upgrade,
    admission::PendingAdmission,
    answer::Answer,
    head::Head,
    receive::{client_left, discard, receive},
    request::Stream,
};
use crate::{
    connection::{ClientGuard, Upgraded},
    context::Permit,
    decisions::subprotocols,
    event,
    fanout::command::AcceptedStream,
    protocol::Asked,
    reactor,
    shard::{Decision, Shard},
    transport::Transport,
};

/// How long an answer may take to be written, and how long the bytes that a refused client still sends are
/// discarded. Closing a socket with unread bytes resets it, and the reset destroys the answer on its way.
const LINGER: Duration = Duration::from_secs(1);

/// Why a client is refused while the event queue is full.
const NO_EVENTS: &str = "the server's host does not take events";
/// Why a client is refused at the limit `max_connections`.
const TOO_MANY_CONNECTIONS: &str = "too many connections; try again later";

/// How a connection ends that is not upgraded.
enum Refusal {
    Answer(Answer),
    /// Nothing has come.
    Silence,
    /// It asks for a page. All bytes that have come.
    #[cfg(feature = "http")]
    Page(Vec<u8>),
    /// There is nothing more to say.
    #[cfg(feature = "http")]
    Over,
}

impl From<Answer> for Refusal {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

/// A connection whose request is not answered yet.
struct Handshake {
    shard: Rc<Shard>,
    transport: Transport,
    addr: SocketAddr,
    /// When the time of the first request ends.
    deadline: Instant,
    /// The permit for this handshake.
    permit: Cell<Option<Permit>>,
}

/// The answer that begins a client's connection.
enum Opening {
    Upgrade(Upgrade),
    /// The same, under a subprotocol that the host has chosen.
    Chosen(Vec<u8>),
    Events(Box<events::Opening>),
}

impl Opening {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Upgrade(upgrade) => upgrade,
            Self::Chosen(bytes) => bytes,
            Self::Events(opening) => opening.bytes(),
        }
    }

    /// Fits the answer to a client that is not let in to what it has asked for.
    fn refusal(&self, answer: Answer, shard: &Shard) -> Answer {
        match self {
            Self::Upgrade(_) | Self::Chosen(_) => answer,
            Self::Events(opening) => {
                opening.refusal(answer, shard.next_client_id(), &shard.context)
            }
        }
    }
}

/// A valid request for a connection, whose client may wait for admission.
///
/// The order of the fields matters: when this is dropped, the client first leaves its rooms, then the host is
/// told that it has left, then its permit is released.
struct Pending {
    opening: Opening,
    /// Bytes that came behind the head.
    leftover: Vec<u8>,
    guard: ClientGuard,
    /// Present while the host decides on the client; the decision arrives in `decision`.
    admission: Option<PendingAdmission>,
    decision: Option<oneshot::Receiver<Decision>>,
    request: Option<Arc<event::Request>>,
    permit: Permit,
}

/// A client that is in its room, or waits for admission. The order of the fields is that of [`Pending`].
struct Admitted {
    guard: ClientGuard,
    admission: Option<PendingAdmission>,
    decision: Option<oneshot::Receiver<Decision>>,
    request: Option<Arc<event::Request>>,
    permit: Permit,
}

/// Serves HTTP requests. Returns the connection if it is a client's.
///
/// Nearly every client is admitted at once. The other cases are boxed futures of their own, so that this one
/// stays small and cheap to allocate.
pub(crate) async fn run(shard: Rc<Shard>, accepted: AcceptedStream) -> Option<Upgraded> {
    let AcceptedStream { stream, addr, permit, load } = accepted;
    let transport = match reactor::Stream::new(&shard.reactor, stream.take()?) {
        Ok(stream) => Transport::plain(stream),
        Err(error) => {
            if let Some(others) = shard.context.throttles.accept_failures.pass() {
                tracing::warn!(%addr, %error, others, "an accepted connection cannot be served");
            }
            return None;
        }
    };
    let timeout = shard.context.options.handshake_timeout;
    let now = shard.shared.now();
    // A time that the clock cannot represent never comes: the option is a day at most.
    let deadline = now.checked_add(timeout).unwrap_or(now);
    let permit = Cell::new(Some(permit));
    let handshake = Handshake { shard, transport, addr, deadline, permit };
    let received = handshake.receive_request().await;
    #[cfg(feature = "http")]
    let received = match received {
        Err(Refusal::Page(came)) => Box::pin(handshake.serve_pages(came)).await,
        received => received,
    };
    let pending = match received {
        Ok(pending) if pending.decision.is_none() => pending,
        Ok(pending) => {
            // The host may decide slowly: that must not use up the permits for handshakes.
            handshake.permit.take();
            Box::pin(handshake.await_decision(pending)).await?
        }
        Err(Refusal::Answer(answer)) => {
            Box::pin(handshake.refuse(answer)).await;
            return None;
        }
        Err(Refusal::Silence) => {
            handshake.shard.context.counters.connections_refused.add(1);
            tracing::debug!(%addr, "connection closed: nothing came");
            return None;
        }
        #[cfg(feature = "http")]
        Err(Refusal::Over | Refusal::Page(_)) => return None,
    };
    let pending = match handshake.transport.send(pending.opening.bytes()) {
        Ok(taken) if taken == pending.opening.bytes().len() => pending,
        // An empty socket takes all of it, unless the kernel is short of memory or the client is gone.
        taken => Box::pin(handshake.finish_opening(pending, taken.unwrap_or_default())).await?,
    };
    if let Some(admission) = &pending.admission {
        admission.set_connected();
    }
    let Pending { leftover, guard, request, permit, .. } = *pending;
    Some(Upgraded { guard, leftover, request, permit, load })
}

impl Handshake {
    /// Receives the request. Its client is in its room, or waits for admission, when this returns.
    ///
    /// # Errors
    /// What is answered to a request that is not upgraded, or nothing if nothing has come.
    async fn receive_request(&self) -> Result<Box<Pending>, Refusal> {
        let Self { shard, transport, deadline, .. } = self;
        let has_begun = Cell::new(false);
        let begin = |head: &Head<'_, '_>, came: &[u8], len: usize| match Stream::of(
            head,
            &shard.context.options.base_path,
        ) {
            Some(stream) => {
                let begun = self.begin(head, stream, &came[len..]);
                begun.map_err(|answer| answer.for_method(head.method).into())
            }
            None => Err(self.page(head, came)),
        };
        let received = pin!(receive(shard, transport, &has_begun, begin));
        let in_time = shard.deadlines.by(*deadline, received);
        let outcome = match select(pin!(in_time), pin!(shard.stopped())).await {
            Either::Left((pending, _)) => {
                pending.unwrap_or_else(|| Err(Answer::request_timeout().into()))
            }
            Either::Right(_) => Err(Answer::stopping().into()),
        };
        // RFC 9110, 15.5.9: an answer answers a request. A client that has sent nothing, such as a browser that
        // connected in advance, would take it for the answer to its next one.
        outcome.map_err(|refusal| if has_begun.get() { refusal } else { Refusal::Silence })
    }

    /// How a request for a page goes on.
    #[cfg(feature = "http")]
    fn page(&self, _: &Head<'_, '_>, came: &[u8]) -> Refusal {
        Refusal::Page(came.to_vec())
    }

    /// How a request for a page is answered.
    #[cfg(not(feature = "http"))]
    fn page(&self, head: &Head<'_, '_>, _: &[u8]) -> Refusal {
        Refusal::Answer(pages::answer(head, &pages::State::of(&self.shard)))
    }

    /// Begins the stream that a request asks for.
    ///
    /// # Errors
    /// What is answered in its place.
    fn begin(
        &self,
        head: &Head<'_, '_>,
        stream: Stream,
        rest: &[u8],
    ) -> Result<Box<Pending>, Answer> {
        let Self { shard, addr, .. } = self;
        let context = &shard.context;
        let asked = request::route(head, stream, &context.options.base_path)?;
        let opening = if asked.form.is_event_stream() {
            Opening::Events(Box::new(events::open(head, asked.form, &context.origins)?))
        } else {
            let upgrade = accept::upgrade(head)?;
            site::check_origin(head, &context.origins)?;
            Opening::Upgrade(upgrade)
        };
        match self.admit(&asked, head) {
            Ok(Admitted { guard, admission, decision, request, permit }) => {
                if decision.is_none() && matches!(opening, Opening::Upgrade(_)) {
                    subprotocol::note_unknown(subprotocol::offered(head), context, *addr);
                }
                let leftover = rest.to_vec();
                Ok(Box::new(Pending {
                    opening,
                    leftover,
                    guard,
                    admission,
                    decision,
                    request,
                    permit,
                }))
            }
            Err(answer) => Err(opening.refusal(answer, shard)),
        }
    }

    /// Makes the client of a request, and asks the host whether to admit it, or puts it into its room.
    ///
    /// # Errors
    /// What is answered to one that is not let in.
    fn admit(&self, asked: &Asked, head: &Head<'_, '_>) -> Result<Admitted, Answer> {
        let Self { shard, transport, addr, .. } = self;
        let context = &shard.context;
        if shard.is_stopping() {
            return Err(Answer::stopping());
        }
        if context.events.is_full() {
            return Err(Answer::limit(NO_EVENTS));
        }
        let permit =
            context.permit_connection().ok_or_else(|| Answer::limit(TOO_MANY_CONNECTIONS))?;
        let request = context.events.is_enabled().then(|| request::describe(head, *addr));
        if asked.form.is_event_stream() {
            self.detect_vanished();
        }
        let guard = ClientGuard::new(shard, transport, asked);
        let (mut admission, mut decision) = (None, None);
        if let (Some(request), false) = (&request, context.options.admission_timeout.is_zero()) {
            let (begun, receiver) = PendingAdmission::begin(&guard, asked, Arc::clone(request));
            (admission, decision) = (Some(begun), Some(receiver));
        } else {
            guard.join(asked).map_err(|_stopped| Answer::stopping())?;
        }
        Ok(Admitted { guard, admission, decision, request, permit })
    }

    /// Bounds how long the client of an event stream may be gone without a word: it answers no pings, and the kernel
    /// by itself retransmits them for a quarter of an hour.
    fn detect_vanished(&self) {
        #[cfg(target_os = "linux")]
        {
            let options = &self.shard.context.options;
            let timeout = options.user_timeout_of(true);
            // Else the socket has it from the listener.
            if timeout != options.user_timeout_of(false)
                && let Some(timeout) = timeout
            {
                // It fails if the connection is broken, which reading it shows.
                let _ = self.transport.set_user_timeout(timeout);
            }
        }
    }

    /// Waits for the host's decision. Refuses the client and returns `None` if it is not admitted.
    async fn await_decision(&self, mut pending: Box<Pending>) -> Option<Box<Pending>> {
        let Pending { admission, decision, leftover, .. } = &mut *pending;
        let (admission, decision) = (admission.as_ref()?, decision.take()?);
        let has_left = client_left(&self.shard, &self.transport, leftover);
        let decided = match select(pin!(admission.outcome(decision)), pin!(has_left)).await {
            Either::Left((decided, _)) => Some(decided),
            Either::Right(_) => None,
        };
        if let Some(Ok(subprotocol)) = decided {
            self.choose(&mut pending, subprotocol.as_deref());
            return Some(pending);
        }
        let Pending { permit: _permit, guard, admission, opening, .. } = *pending;
        drop(guard);
        // The host is told before the answer is sent.
        drop(admission);
        match decided {
            Some(Err(answer)) => self.refuse(opening.refusal(answer, &self.shard)).await,
            _ => self.shard.context.counters.connections_refused.add(1),
        }
        None
    }

    /// Has the answer to an admitted client name the subprotocol that the host has chosen.
    fn choose(&self, pending: &mut Pending, subprotocol: Option<&str>) {
        let Opening::Upgrade(upgrade) = &pending.opening else { return };
        if let Some(name) = subprotocol {
            pending.opening = Opening::Chosen(upgrade.with_subprotocol(name));
        } else if let Some(request) = &pending.request {
            let offered = subprotocols::offered_by(request);
            subprotocol::note_unknown(offered, &self.shard.context, self.addr);
        }
    }

    /// Writes the rest of the answer that begins the connection, of which the socket took the first `taken` bytes. Returns
    /// `None` if that fails.
    async fn finish_opening(&self, pending: Box<Pending>, taken: usize) -> Option<Box<Pending>> {
        let is_written = self.write(&pending.opening.bytes()[taken..]).await;
        if !is_written {
            self.shard.context.counters.connections_refused.add(1);
        }
        is_written.then_some(pending)
    }

    /// Answers a request that begins no connection, and waits until the client has had time to read the answer.
    async fn refuse(&self, answer: Answer) {
        let context = &self.shard.context;
        answer.note(context, self.addr);
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
                if discard(shard, transport).is_err() {
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

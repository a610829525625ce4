//! The HTTP side of a connection: one request, answered or upgraded.
//!
//! Its head is httparse's business, and one answer is all that it gets: here are no bodies to be read
//! and no second requests, so what else a library for HTTP does would only be paid for (a third of what
//! a connection costs in user space, a tenth of a program with libchat). Every request gets an answer,
//! also the one that makes no sense or that never ends.

mod accept;
mod admission;
mod answer;
mod head;
mod receive;
mod request;

use std::{
    net::{Shutdown, SocketAddr},
    pin::pin,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use futures_util::future::{Either, select};
use socket2::SockRef;
use tokio::{net::TcpStream, sync::oneshot};

pub(crate) use self::answer::refuse_now;
use self::{
    accept::Upgrade,
    admission::Waiting,
    answer::Answer,
    head::Head,
    receive::{left, receive},
    request::Route,
};
use crate::{
    connection::{self, Member, Upgraded},
    context::Admission,
    event,
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
    stream: Rc<TcpStream>,
    addr: SocketAddr,
}

/// A request that may be upgraded.
struct Begun {
    upgrade: Upgrade,
    /// What came behind its head.
    leftover: Vec<u8>,
    member: Member,
    request: Option<Arc<event::Request>>,
    admission: Admission,
    /// Where the host's decision comes, if it makes one, and the client until it is made.
    waiting: Option<(Waiting, oneshot::Receiver<Decision>)>,
}

/// Serves one HTTP request, and starts the connection's task if it is upgraded.
pub(crate) async fn run(shard: Rc<Shard>, rooms: Arc<Rooms>, arrival: Arrival) {
    let Arrival { stream, addr, admission: place, load } = arrival;
    let stream = match TcpStream::from_std(stream) {
        Ok(stream) => Rc::new(stream),
        Err(error) => {
            if let Some(others) = shard.context.throttles.accept_failures.pass() {
                tracing::warn!(%addr, %error, others, "an accepted connection cannot be served");
            }
            return;
        }
    };
    let caller = Caller { shard, rooms, stream, addr };
    let shard = &caller.shard;
    let Some(begun) = caller.begun().await else { return };
    let mut begun = match begun {
        Ok(begun) => begun,
        Err(answer) => return caller.refuse(answer).await,
    };
    let waiting = begun.waiting.take();
    // The handshake's own place is free from here on: the host may take its time.
    drop(place);
    if let Some((waiting, decision)) = waiting {
        let decided = Box::pin(caller.decided(&waiting, decision, &mut begun.leftover)).await;
        match decided {
            Some(Ok(())) => waiting.admitted(),
            refused => {
                // The host is told, and the client is in no room, before the answer is sent. Its place
                // among the connections is free when its socket is closed.
                let Begun { admission: _place, member, .. } = begun;
                drop((waiting, member));
                match refused {
                    Some(Err(answer)) => caller.refuse(answer).await,
                    _ => shard.context.counters.connections_refused.add(1),
                }
                return;
            }
        }
    }
    if !caller.write(&begun.upgrade).await {
        shard.context.counters.connections_refused.add(1);
        return;
    }
    let Begun { leftover, member, request, admission, .. } = begun;
    let upgraded = Upgraded { member, leftover, request, admission, load };
    drop(tokio::task::spawn_local(connection::run(upgraded)));
}

impl Caller {
    /// Receives the request, and decides on it as far as that is the server's business; `None` if the
    /// server stops before it is there.
    async fn begun(&self) -> Option<Result<Begun, Answer>> {
        let Self { shard, stream, .. } = self;
        let received = receive(shard, stream, |head, rest| self.begin(head, rest));
        let timeout = shard.context.options.handshake_timeout;
        let in_time = shard.time_limits.within(timeout, received);
        match select(pin!(in_time), pin!(shard.stopped())).await {
            Either::Left((begun, _)) => {
                Some(begun.unwrap_or_else(|| Err(Answer::request_timeout())))
            }
            Either::Right(_) => None,
        }
    }

    fn begin(&self, head: &Head<'_, '_>, rest: &[u8]) -> Result<Begun, Answer> {
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
        let mut waiting = None;
        if let (Some(request), false) = (&request, context.options.admission_timeout.is_zero()) {
            waiting = Some(Waiting::begin(&member, &options, Arc::clone(request)));
        } else {
            member.join(&options).map_err(|_stopped| Answer::stopping())?;
        }
        Ok(Begun { upgrade, leftover: rest.to_vec(), member, request, admission, waiting })
    }

    /// Waits for the host's decision; `None` if the client has left meanwhile.
    async fn decided(
        &self,
        waiting: &Waiting,
        decision: oneshot::Receiver<Decision>,
        leftover: &mut Vec<u8>,
    ) -> Option<Result<(), Answer>> {
        let has_left = left(&self.shard, &self.stream, leftover);
        match select(pin!(waiting.decided(decision)), pin!(has_left)).await {
            Either::Left((decided, _)) => Some(decided),
            Either::Right(_) => None,
        }
    }

    /// Answers a request that is not upgraded, and waits until the client has taken the answer.
    async fn refuse(&self, answer: Answer) {
        let context = &self.shard.context;
        context.counters.connections_refused.add(1);
        answer.log(context, self.addr);
        // Boxed: no future of a client that is let in has room for it.
        Box::pin(async {
            if self.write(&answer.into_bytes()).await {
                self.linger().await;
            }
        })
        .await;
    }

    /// Writes an answer. Returns whether the socket has taken it.
    async fn write(&self, answer: &[u8]) -> bool {
        let Self { shard, stream, .. } = self;
        // A socket that was not written to yet takes it all.
        match Socket::of(&**stream).send(answer) {
            Ok(taken) if taken == answer.len() => true,
            Ok(taken) => {
                let written = Box::pin(write_all(stream, &answer[taken..]));
                shard.time_limits.within(LINGER, written).await == Some(true)
            }
            Err(_) => false,
        }
    }

    /// Ends the stream to the client, and reads until the client ends its own.
    async fn linger(&self) {
        let Self { shard, stream, .. } = self;
        if SockRef::from(&**stream).shutdown(Shutdown::Write).is_err() {
            return;
        }
        let ended = async {
            while stream.readable().await.is_ok() {
                let mut buffer = shard.read_buffer.borrow_mut();
                match stream.try_read(&mut buffer) {
                    Ok(0) => return,
                    Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => return,
                    _ => {}
                }
            }
        };
        select(pin!(shard.time_limits.within(LINGER, ended)), pin!(shard.stopped())).await;
    }
}

/// Writes as the socket takes it. Returns whether it has taken everything.
async fn write_all(stream: &TcpStream, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        if stream.writable().await.is_err() {
            return false;
        }
        match stream.try_write(bytes) {
            Ok(taken) => bytes = &bytes[taken..],
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return false,
        }
    }
    true
}

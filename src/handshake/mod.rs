//! The HTTP side of a connection: one request, answered or upgraded.
//!
//! HTTP is hyper's business: it parses, bounds and answers. Then the socket is taken out of it and
//! served as WebSocket, and nothing of the handshake stays in memory. Every request gets an answer,
//! also the one that hyper cannot read or that never ends.

mod accept;
mod admission;
mod answer;
mod io;
mod request;

use std::{
    cell::{Cell, RefCell},
    convert::Infallible,
    net::Shutdown,
    pin::pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::{Either, select};
use http_body_util::Full;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use socket2::SockRef;
use tokio::{net::TcpStream, sync::oneshot};

pub(crate) use self::answer::refuse_now;
use self::{admission::Waiting, answer::Answer, io::Io, request::Route};
use crate::{
    connection::{self, Member, Upgraded},
    context::Admission,
    event,
    rooms::Rooms,
    shard::{Shard, admission::Decision, inbox::Arrival},
};

/// How long what a refused client still sends is read and thrown away, so that no reset destroys
/// the answer on its way.
const LINGER: Duration = Duration::from_secs(1);

/// What an upgrade is admitted with.
struct Admitted {
    member: Member,
    // Dropped when the client is in no room any more: it tells the host that the client has left.
    waiting: Option<Rc<Waiting>>,
    on_upgrade: OnUpgrade,
    request: Option<Arc<event::Request>>,
    admission: Admission,
}

/// Serves one HTTP request, and starts the connection's task if it is upgraded.
pub(crate) async fn run(shard: Rc<Shard>, rooms: Arc<Rooms>, arrival: Arrival) {
    let Arrival { stream, addr, admission: handshake, load } = arrival;
    let stream = match TcpStream::from_std(stream) {
        Ok(stream) => Arc::new(stream),
        Err(error) => {
            if let Some(others) = shard.context.throttles.accept_failures.pass() {
                tracing::warn!(%addr, %error, others, "an accepted connection cannot be served");
            }
            return;
        }
    };
    let handshake = Cell::new(Some(handshake));
    let candidate = RefCell::new(None);
    let is_admitted = Cell::new(false);
    let is_answered = Arc::new(AtomicBool::new(false));
    let io = Io::new(Arc::clone(&stream), Arc::clone(&is_answered));
    let service = service_fn(|mut request: Request<Incoming>| {
        let begun = begin(&shard, &rooms, &stream, &mut request, addr);
        let (context, handshake) = (&shard.context, &handshake);
        let (candidate, is_admitted) = (&candidate, &is_admitted);
        async move {
            let decided = match begun {
                Err(answer) => Err(answer),
                Ok(Begun { response, upgrade, decision }) => {
                    let waiting = upgrade.waiting.clone().zip(decision);
                    candidate.replace(Some(upgrade));
                    match waiting {
                        None => Ok(response),
                        Some((waiting, decision)) => {
                            // The host may take its time: others are let in meanwhile.
                            drop(handshake.take());
                            waiting.decided(decision).await.map(|()| response)
                        }
                    }
                }
            };
            is_admitted.set(decided.is_ok());
            Ok::<_, Infallible>(decided.unwrap_or_else(|answer| {
                answer.log(context, addr);
                answer.into_response()
            }))
        }
    });
    let options = &shard.context.options;
    // An async block, so that hyper is gone when it has ended; and made in it, for it is two kilobytes
    // that would be moved.
    let in_time = async {
        let http = http1::Builder::new()
            .max_buf_size(options.handshake_size)
            .header_read_timeout(None)
            .serve_connection(io, service)
            .with_upgrades();
        let mut http = pin!(http);
        let head = shard.time_limits.within(options.handshake_timeout, http.as_mut()).await;
        if head.is_some() || options.admission_timeout.is_zero() || candidate.borrow().is_none() {
            return head;
        }
        // The request is here, and the host has its own time.
        shard.time_limits.within(options.admission_timeout, http).await
    };
    let outcome = match select(pin!(in_time), pin!(shard.stopped())).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right((_, in_time)) => {
            if candidate.borrow().is_some() {
                // It is answered that the server stops.
                shard.time_limits.within(LINGER, in_time).await;
            }
            return;
        }
    };
    let mut upgrade = candidate.take();
    if let Some(Ok(())) = &outcome
        && let Some(upgrade) = upgrade.take_if(|_| is_admitted.get())
    {
        let Ok(upgraded) = upgrade.on_upgrade.await else { return };
        let Ok(parts) = upgraded.downcast::<Io>() else { return };
        // The handshake's own place is free from here on.
        drop(handshake.take());
        if let Some(waiting) = upgrade.waiting {
            waiting.admitted();
        }
        let upgraded = Upgraded {
            member: upgrade.member,
            leftover: parts.read_buf,
            request: upgrade.request,
            admission: upgrade.admission,
            load,
        };
        drop(tokio::task::spawn_local(connection::run(upgraded)));
        return;
    }
    // Its place among the connections is free when its socket is closed; the host is told before.
    let _place = upgrade.map(|upgrade| upgrade.admission);
    shard.context.counters.connections_refused.add(1);
    if !is_answered.load(Ordering::Relaxed) {
        // Hyper answers neither the request that never ends nor the one that it takes for HTTP/2.
        let answer =
            if outcome.is_none() { Answer::request_timeout() } else { Answer::malformed() };
        answer.log(&shard.context, addr);
        let _ = stream.try_write(&answer.into_bytes());
    }
    linger(&stream, &shard).await;
}

/// A request that may be upgraded.
struct Begun {
    response: Response<Full<Bytes>>,
    upgrade: Admitted,
    /// Where the host's decision comes, if it makes one.
    decision: Option<oneshot::Receiver<Decision>>,
}

/// Decides on a request, as far as that is the server's business.
fn begin(
    shard: &Rc<Shard>,
    rooms: &Arc<Rooms>,
    stream: &Arc<TcpStream>,
    request: &mut Request<Incoming>,
    addr: std::net::SocketAddr,
) -> Result<Begun, Answer> {
    let context = &shard.context;
    let options = match request::route(request)? {
        Route::Home => return Err(Answer::home(request)),
        Route::Health => return Err(Answer::health()),
        Route::Plain(options) => options,
    };
    let response = accept::upgrade(request)?;
    request::check_origin(request, &context.options.origins)?;
    if shard.is_stopping() {
        return Err(Answer::stopping());
    }
    if context.events.is_full() {
        return Err(Answer::limit("the server's host does not take events"));
    }
    let admission = context
        .admit_connection()
        .ok_or_else(|| Answer::limit("too many connections; try again later"))?;
    let on_upgrade = hyper::upgrade::on(&mut *request);
    let request = context.events.is_enabled().then(|| request::describe(request, addr));
    let member = Member::new(shard, rooms, stream, &options);
    let (mut waiting, mut decision) = (None, None);
    if let (Some(request), false) = (&request, context.options.admission_timeout.is_zero()) {
        let (begun, receiver) = Waiting::begin(&member, &options, Arc::clone(request));
        (waiting, decision) = (Some(Rc::new(begun)), Some(receiver));
    } else {
        member.join(&options).map_err(|_stopped| Answer::stopping())?;
    }
    let upgrade = Admitted { waiting, on_upgrade, member, request, admission };
    Ok(Begun { response, upgrade, decision })
}

/// Ends the stream to the client, and reads until the client ends its own.
async fn linger(stream: &TcpStream, shard: &Rc<Shard>) {
    if SockRef::from(stream).shutdown(Shutdown::Write).is_err() {
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

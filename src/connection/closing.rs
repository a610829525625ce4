//! How a connection ends: what waits is written, the client's answer is awaited, FIN is exchanged.

use std::{future::poll_fn, pin::pin, rc::Rc, task::Poll, time::Duration};

use super::{incoming::Incoming, reader::Reader, socket::read};
use crate::{fanout::outbound::Outbound, shard::Shard};

/// How long a client may take to answer a close frame, or to read what was sent before it.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long what a client still sends is read and discarded after the last byte to it. Closing a socket with
/// unread bytes resets it, and the reset destroys the close frame on its way.
const LINGER: Duration = Duration::from_secs(1);

/// Ends a closed connection cleanly: writes what waits, awaits the client's close frame unless
/// `is_client_done`, exchanges FIN.
pub(super) async fn end(
    shard: &Rc<Shard>,
    out: &Outbound,
    reader: &mut Reader,
    is_client_done: bool,
) {
    if out.is_aborted() {
        return;
    }
    if !is_client_done {
        // Returns at the answer, at the end of the stream, or when the connection is aborted.
        let answer = async {
            let mut is_over = false;
            while !is_over {
                let mut seen = false;
                let outcome = read(shard, out, |bytes| {
                    let read = reader.feed(bytes, &mut |incoming| {
                        seen |= matches!(incoming, Incoming::Close { .. });
                    });
                    seen |= read.is_err();
                });
                is_over = outcome.await.is_err();
                is_over |= seen || out.is_aborted();
            }
        };
        if !in_time(shard, answer).await || shard.is_stopping() {
            // A client that has answered sends no more: nothing could reset the connection, and a stop need
            // not wait until the client closes its side.
            return;
        }
    }
    let written = poll_fn(|cx| {
        if out.has_outbox() {
            out.transport().register_reader(cx);
            return Poll::Pending;
        }
        Poll::Ready(())
    });
    // RFC 6455, 5.5.1: a client sends nothing behind its close frame. If that came last there is nothing to
    // discard: a client that breaks the rule nearly always does so in the same packet.
    if in_time(shard, written).await && !reader.is_at_end() {
        linger(shard, out).await;
    }
}

/// Waits for a client that is closing. Returns false if it takes longer than `CLOSE_TIMEOUT`. While the server
/// stops, the host's deadline applies instead: the shard then aborts the connection, which ends the wait.
async fn in_time(shard: &Shard, done: impl Future<Output = ()>) -> bool {
    let mut done = pin!(done);
    let is_done = shard.deadlines.within(CLOSE_TIMEOUT, done.as_mut()).await.is_some();
    if !is_done && shard.is_stopping() {
        done.await;
        return true;
    }
    is_done
}

/// Ends the stream to the client, and reads until the client ends its own.
async fn linger(shard: &Rc<Shard>, out: &Outbound) {
    if out.transport().shutdown_write().is_err() {
        return;
    }
    let ended = async {
        while !out.is_aborted() {
            if read(shard, out, |_| ()).await.is_err() {
                return;
            }
        }
    };
    let _ = shard.deadlines.within(LINGER, ended).await;
}

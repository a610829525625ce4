//! How a connection ends: what waits is written, the client's answer is awaited, FIN is exchanged.

use std::{future::poll_fn, net::Shutdown, pin::pin, rc::Rc, task::Poll, time::Duration};

use socket2::SockRef;

use super::{incoming::Incoming, reader::Reader, socket::read};
use crate::shard::{Shard, client::Client};

/// How long a client may take to answer a close frame, or to read what was sent before it.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long what a client still sends is read and thrown away after the last byte to it. Closing a
/// socket with unread bytes resets it, and the reset destroys the close frame on its way.
const LINGER: Duration = Duration::from_secs(1);

/// Brings a closed connection to a clean end: what waits is written, the client's answer is
/// awaited, then FIN is exchanged.
pub(super) async fn end(
    shard: &Rc<Shard>,
    client: &Rc<Client>,
    reader: &mut Reader,
    is_answered: bool,
) {
    if client.is_cut() {
        return;
    }
    if !is_answered {
        // Returns at the answer, at the end of the stream, or when the client is cut.
        let answer = async {
            let mut is_over = false;
            while !is_over {
                let mut seen = false;
                let arrived = read(shard, client, |bytes| {
                    let read = reader.feed(bytes, &mut |incoming| {
                        seen |= matches!(incoming, Incoming::Close { .. });
                    });
                    seen |= read.is_err();
                });
                is_over = arrived.await.is_err();
                is_over |= seen || client.is_cut();
            }
        };
        if !in_time(shard, answer).await || shard.is_stopping() {
            // A client that has answered sends no more: nothing could reset the connection, and a
            // stop need not wait until the client closes its side.
            return;
        }
    }
    let written = poll_fn(|cx| {
        if client.has_outbox() {
            client.stream().register_reader(cx);
            return Poll::Pending;
        }
        Poll::Ready(())
    });
    // A client that has sent its close frame sends no more (RFC 6455, 5.5.1), and those who do as a
    // rule have it in the same packet.
    if in_time(shard, written).await && !reader.is_at_end() {
        linger(shard, client).await;
    }
}

/// Waits for a client that is closing; false if it takes too long. When the server stops, the host's
/// deadline is the time: the shard cuts whoever is left then, which ends what is waited for.
async fn in_time(shard: &Shard, done: impl Future<Output = ()>) -> bool {
    let mut done = pin!(done);
    let is_done = shard.time_limits.within(CLOSE_TIMEOUT, done.as_mut()).await.is_some();
    if !is_done && shard.is_stopping() {
        done.await;
        return true;
    }
    is_done
}

/// Ends the stream to the client, and reads until the client ends its own.
async fn linger(shard: &Rc<Shard>, client: &Rc<Client>) {
    if SockRef::from(client.stream().io()).shutdown(Shutdown::Write).is_err() {
        return;
    }
    let ended = async {
        while !client.is_cut() {
            if read(shard, client, |_| ()).await.is_err() {
                return;
            }
        }
    };
    let _ = shard.time_limits.within(LINGER, ended).await;
}

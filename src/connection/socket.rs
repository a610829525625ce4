//! Reading a client's socket, through the buffer that all connections of the shard share.

use std::{future::poll_fn, io, task::Poll};

use tokio::{io::Interest, net::TcpStream};

use crate::shard::{Shard, client::Client};

/// What a look at a client's socket led to.
pub(super) enum Arrived {
    /// Bytes, or a change of the client's phase.
    Something,
    /// As many bytes as are read at once, with more behind them.
    More,
    /// The stream has ended, for a reason.
    End(String),
}

/// Waits until bytes come or the client's phase changes, and calls `act` with the bytes.
pub(super) async fn read(shard: &Shard, client: &Client, act: impl FnOnce(&mut [u8])) -> Arrived {
    if wait(client).await { take(shard, client, act) } else { Arrived::Something }
}

/// Waits until the socket has something, or the client's phase changes. Returns whether to look at
/// the socket.
pub(super) async fn wait(client: &Client) -> bool {
    let before = client.phase();
    poll_fn(|cx| {
        if client.phase() != before {
            return Poll::Ready(false);
        }
        // Woken by the socket, or for nothing, which the read finds out without asking the kernel.
        if client.is_awaited().take() {
            return Poll::Ready(true);
        }
        client.register_reader(cx);
        let ready = client.stream().poll_read_ready(cx);
        client.is_awaited().set(ready.is_pending());
        ready.map(|ready| match ready {
            Ok(()) => true,
            Err(error) => {
                client.cut(1006, &format!("the connection broke: {error}"));
                false
            }
        })
    })
    .await
}

/// Reads what the socket has, as much as is read at once, and calls `act` with it.
pub(super) fn take(shard: &Shard, client: &Client, act: impl FnOnce(&mut [u8])) -> Arrived {
    let mut buffer = shard.read_buffer.borrow_mut();
    let size = client.read_size().min(buffer.len());
    match client.stream().try_read(&mut buffer[..size]) {
        Ok(0) => Arrived::End("the connection ended without a close frame".to_owned()),
        Ok(len) => {
            client.note_heard();
            act(&mut buffer[..len]);
            if len == size {
                return Arrived::More;
            }
            note_empty(client.stream());
            Arrived::Something
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Arrived::Something,
        Err(error) => Arrived::End(format!("the connection broke: {error}")),
    }
}

/// Tells tokio after a short read that the socket is empty, which saves the read that would find
/// it out.
pub(crate) fn note_empty(stream: &TcpStream) {
    let _ = stream
        .try_io(Interest::READABLE, || Err::<(), _>(io::Error::from(io::ErrorKind::WouldBlock)));
}

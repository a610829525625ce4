//! Reading a client's socket, through the buffer that all connections of the shard share.

use std::{future::poll_fn, io, rc::Rc, task::Poll};

use tokio::{io::Interest, net::TcpStream};

use crate::shard::{Shard, client::Client};

/// What waiting for a client's bytes led to.
pub(super) enum Arrived {
    /// Bytes, or a change of the client's phase.
    Something,
    /// As many bytes as the buffer holds, with more behind them.
    More,
    /// The stream has ended, for a reason.
    End(String),
}

/// Waits until bytes come or the client's phase changes, and calls `take` with the bytes.
pub(super) async fn read(
    shard: &Rc<Shard>,
    client: &Rc<Client>,
    take: impl FnOnce(&[u8]),
) -> Arrived {
    let before = std::mem::discriminant(&client.phase());
    let readable = poll_fn(|cx| {
        if std::mem::discriminant(&client.phase()) != before {
            return Poll::Ready(Ok(false));
        }
        client.register_reader(cx);
        client.stream().poll_read_ready(cx).map_ok(|()| true)
    });
    match readable.await {
        Ok(true) => {}
        Ok(false) => return Arrived::Something,
        Err(error) => return Arrived::End(format!("the connection broke: {error}")),
    }
    let arrived = take_bytes(shard, client, take);
    if let Arrived::More = arrived {
        // One client's flood must not keep the others of the shard from being read and flushed.
        tokio::task::yield_now().await;
    }
    arrived
}

/// Reads what the socket has, as much as the buffer holds.
fn take_bytes(shard: &Shard, client: &Client, take: impl FnOnce(&[u8])) -> Arrived {
    let mut buffer = shard.read_buffer.borrow_mut();
    match client.stream().try_read(&mut buffer) {
        Ok(0) => Arrived::End("the connection ended without a close frame".to_owned()),
        Ok(len) => {
            client.note_heard();
            take(&buffer[..len]);
            if len == buffer.len() {
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
fn note_empty(stream: &TcpStream) {
    let _ = stream
        .try_io(Interest::READABLE, || Err::<(), _>(io::Error::from(io::ErrorKind::WouldBlock)));
}

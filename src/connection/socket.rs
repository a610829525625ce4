//! Reading a client's socket, through the buffer that all connections of the shard share.

use std::{future::poll_fn, io, rc::Rc, task::Poll};

use tokio::{io::Interest, net::TcpStream};

use crate::shard::{Shard, client::Client};

/// What waiting for a client's bytes led to.
pub(super) enum Arrived {
    /// Bytes, or a change of the client's phase.
    Something,
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
    let mut buffer = shard.read_buffer.borrow_mut();
    match client.stream().try_read(&mut buffer) {
        Ok(0) => Arrived::End("the connection ended without a close frame".to_owned()),
        Ok(len) => {
            client.note_heard();
            if len < buffer.len() {
                note_empty(client.stream());
            }
            take(&buffer[..len]);
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

//! Reading a client's socket, through the buffer that all connections of the shard share.

use std::{future::poll_fn, io, task::Poll};

use crate::shard::{Shard, client::Client};

/// Waits until bytes come or the client's phase changes, and calls `act` with the bytes.
///
/// # Errors
/// Why the stream has ended.
pub(super) async fn read(
    shard: &Shard,
    client: &Client,
    act: impl FnOnce(&mut [u8]),
) -> Result<(), String> {
    let before = client.phase();
    let is_readable = poll_fn(|cx| {
        if client.phase() != before {
            return Poll::Ready(false);
        }
        if client.stream().is_readable() {
            return Poll::Ready(true);
        }
        client.stream().register_reader(cx);
        Poll::Pending
    });
    if !is_readable.await {
        return Ok(());
    }
    let arrived = take(shard, client, act);
    if client.stream().is_readable() {
        // One that sends without end must not keep the others of the shard waiting.
        shard.reactor.yield_now().await;
    }
    arrived
}

/// Reads what the socket has, as much as is read at once, and calls `act` with it.
///
/// # Errors
/// Why the stream has ended.
pub(super) fn take(
    shard: &Shard,
    client: &Client,
    act: impl FnOnce(&mut [u8]),
) -> Result<(), String> {
    let mut buffer = shard.read_buffer.borrow_mut();
    let size = client.read_size().min(buffer.len());
    match client.stream().try_read(&mut buffer[..size]) {
        Ok(0) => Err("the connection ended without a close frame".to_owned()),
        Ok(len) => {
            client.note_heard();
            act(&mut buffer[..len]);
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(format!("the connection broke: {error}")),
    }
}

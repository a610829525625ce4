//! Reading a client's socket, through the buffer that all connections of the shard share.

use std::{future::poll_fn, io, task::Poll};

use crate::{fanout::outbound::Outbound, shard::Shard};

/// Waits until bytes come or the client's phase changes, and calls `act` with the bytes.
///
/// # Errors
/// Why the stream has ended.
pub(super) async fn read(
    shard: &Shard,
    out: &Outbound,
    act: impl FnOnce(&mut [u8]),
) -> Result<(), String> {
    let before = out.phase();
    let is_readable = poll_fn(|cx| {
        if out.phase() != before {
            return Poll::Ready(false);
        }
        if out.transport().is_readable() {
            return Poll::Ready(true);
        }
        out.transport().register_reader(cx);
        Poll::Pending
    });
    if !is_readable.await {
        return Ok(());
    }
    let outcome = try_read(shard, out, usize::MAX, act);
    if out.transport().is_readable() {
        // A client that floods must not starve the others of the shard.
        shard.reactor.yield_now().await;
    }
    outcome
}

/// Reads what the socket has, at most `limit` bytes and one buffer, and calls `act` with it. Does nothing if
/// the socket has nothing.
///
/// # Errors
/// Why the stream has ended.
pub(super) fn try_read(
    shard: &Shard,
    out: &Outbound,
    limit: usize,
    act: impl FnOnce(&mut [u8]),
) -> Result<(), String> {
    let mut buffer = shard.read_buffer.borrow_mut();
    let size = limit.min(buffer.len());
    match out.transport().recv(&mut buffer[..size]) {
        Ok(0) => Err("the connection ended without a close frame".to_owned()),
        Ok(len) => {
            out.note_activity();
            act(&mut buffer[..len]);
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(format!("the connection broke: {error}")),
    }
}

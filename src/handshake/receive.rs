//! Receives the head of a request: bounded in bytes, and read through the shard's buffer.
//!
//! A head nearly always comes in one piece, and is parsed where it was received. One that comes in several is
//! parsed again only when its end is there: else a client that sends single bytes would have the whole head
//! parsed for each of them.

use std::{cell::Cell, future::pending, io};

use super::{
    answer::Answer,
    head::{Head, header_space},
};
use crate::{shard::Shard, transport::Transport};

/// Receives a request's head, and returns what `act` makes of it, of all bytes that came, and of the head's length
/// among them. Sets `has_begun` when something has come.
///
/// # Errors
/// What `act` makes of it, or the answer to bytes that are not a head.
pub(super) async fn receive<T, E: From<Answer>>(
    shard: &Shard,
    transport: &Transport,
    has_begun: &Cell<bool>,
    act: impl FnOnce(&Head<'_, '_>, &[u8], usize) -> Result<T, E>,
) -> Result<T, E> {
    // How many bytes may still come. Empty lines before the head count.
    let mut budget = shard.context.options.handshake_size;
    let mut before = Vec::new();
    loop {
        transport.readable().await;
        let mut buffer = shard.read_buffer.borrow_mut();
        let new = match read(transport, &mut buffer, budget) {
            Ok(Some(new)) => new,
            Ok(None) => continue,
            // The head is not complete, and no more comes.
            Err(_) => return Err(Answer::malformed().into()),
        };
        has_begun.set(true);
        budget -= new.len();
        let is_first = before.is_empty();
        let bytes = if is_first {
            skip_empty_lines(new)
        } else {
            before.extend_from_slice(new);
            &before[..]
        };
        let may_be_whole = is_first || ends_within(bytes, new.len());
        let mut headers = header_space();
        if may_be_whole && let Some((head, len)) = Head::parse(bytes, &mut headers)? {
            return act(&head, bytes, len);
        }
        if budget == 0 {
            return Err(Answer::head_too_large().into());
        }
        if is_first {
            before.extend_from_slice(skip_empty_lines(new));
        }
    }
}

/// Waits until a client that awaits its answer closes its connection. If the client sends something instead,
/// that is kept, up to `handshake_size`, and the wait never ends: the end of the stream cannot be seen behind
/// unread bytes.
pub(super) async fn client_left(shard: &Shard, transport: &Transport, kept: &mut Vec<u8>) {
    let limit = shard.context.options.handshake_size;
    while kept.is_empty() {
        transport.readable().await;
        match read(transport, &mut shard.read_buffer.borrow_mut(), limit) {
            Ok(new) => kept.extend_from_slice(new.unwrap_or_default()),
            Err(_) => return,
        }
    }
    pending().await
}

/// Reads what a socket has, up to a limit; `None` if it has nothing now.
///
/// # Errors
/// The stream has ended, or is broken.
fn read<'b>(
    transport: &Transport,
    buffer: &'b mut [u8],
    limit: usize,
) -> io::Result<Option<&'b [u8]>> {
    let wanted = buffer.len().min(limit);
    match transport.recv(&mut buffer[..wanted]) {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(len) => Ok(Some(&buffer[..len])),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads what a socket has, and discards it.
///
/// # Errors
/// The stream has ended, or is broken.
pub(super) fn discard(shard: &Shard, transport: &Transport) -> io::Result<()> {
    read(transport, &mut shard.read_buffer.borrow_mut(), usize::MAX).map(drop)
}

/// Skips the empty lines that may come before a head (RFC 9112, 2.2).
pub(super) fn skip_empty_lines(bytes: &[u8]) -> &[u8] {
    let empty = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    &bytes[empty..]
}

/// Whether an empty line, which ends a head, ends within the last `new` bytes.
fn ends_within(bytes: &[u8], new: usize) -> bool {
    let from = bytes.len().saturating_sub(new + 2);
    let last = &bytes[from..];
    last.windows(2).any(|pair| pair == b"\n\n") || last.windows(3).any(|three| three == b"\n\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_head_is_seen_wherever_it_is_cut() {
        for whole in [&b"a: b\r\n\r\n"[..], b"a: b\n\n", b"a: b\r\n\n", b"a: b\n\r\n"] {
            for new in 1..=whole.len() {
                assert!(ends_within(whole, new), "{whole:?}, {new}");
            }
            for len in 0..whole.len() {
                assert!(!ends_within(&whole[..len], len), "{whole:?}, {len}");
            }
            let more = [whole, b"more"].concat();
            assert!(!ends_within(&more, 3));
            assert!(ends_within(&more, 5));
        }
    }
}

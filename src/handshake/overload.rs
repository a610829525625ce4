//! Refuses connections that there is no room to serve: too many handshakes are under way, or no descriptor is left.
//!
//! Invariant: a refusal takes no task and waits for nothing, since each wait would hold what is short.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
};

use super::{
    answer::Answer,
    events,
    head::{Head, header_space},
    receive::skip_empty_lines,
    request::{self, Stream},
};
use crate::shard::Shard;

/// How many bytes of a request are looked at: browsers send less.
const MAX_REQUEST: usize = 4096;

/// Refuses a connection at once, by what has come of its request. The socket must be non-blocking.
///
/// A connection of which nothing has come is closed without an answer: nobody knows whether it will ask for events, whose
/// clients never come back behind 503.
pub(crate) fn refuse_now(
    shard: &Shard,
    mut stream: &TcpStream,
    addr: SocketAddr,
    why: &'static str,
) {
    let mut request = [0; MAX_REQUEST];
    // Failures are ignored: the caller closes the connection in any case.
    let len = stream.read(&mut request).unwrap_or_default();
    let answer = answer(skip_empty_lines(&request[..len]), shard, why);
    answer.log(&shard.context, addr);
    if len > 0 {
        let _ = stream.write(&answer.into_bytes());
        let _ = stream.shutdown(Shutdown::Write);
        // Closing a socket with unread bytes would reset the connection, and destroy the answer.
        let _ = stream.read(&mut request);
    }
}

/// Returns the answer to the bytes that have come. Who asks for events is told when to come back.
fn answer(came: &[u8], shard: &Shard, why: &'static str) -> Answer {
    let limit = Answer::limit(why);
    let context = &shard.context;
    let base = &context.options.base_path;
    let mut headers = header_space();
    let Ok(Some((head, _))) = Head::parse(came, &mut headers) else { return limit };
    if Stream::of(&head, base) != Some(Stream::Events) {
        return limit;
    }
    let opening = request::route(&head, Stream::Events, base)
        .and_then(|asked| events::open(&head, asked.form, &context.origins));
    match opening {
        Ok(opening) => opening.refusal(limit, shard.next_client_id(), context),
        Err(answer) => answer.for_method(head.method),
    }
}

//! The subprotocol of a WebSocket (RFC 6455, 1.9): which one the server speaks, and what it says to others.

use std::net::SocketAddr;

use super::head::Head;
use crate::{
    context::Context,
    decisions::subprotocols::{self, JSON},
};

/// The header of the answer that selects the JSON form.
pub(super) const JSON_HEADER: &[u8] = b"\r\nSec-WebSocket-Protocol: libchat.json";

/// The header of the answer that selects another one, which follows.
pub(super) const HEADER: &[u8] = b"\r\nSec-WebSocket-Protocol: ";

/// Whether a client offers the JSON form.
pub(super) fn is_json(head: &Head<'_, '_>) -> bool {
    offered(head).any(|name| name == JSON.as_bytes())
}

/// Says once in the log that a client offers subprotocols, none of which is selected: browsers then close the
/// connection, and tell the page nothing that it can act on.
pub(super) fn note_unknown<'a>(
    offered: impl Iterator<Item = &'a [u8]>,
    context: &Context,
    addr: SocketAddr,
) {
    let said = &context.throttles.subprotocols;
    if !said.is_left() {
        return;
    }
    let mut count = 0;
    for name in offered {
        if name == JSON.as_bytes() {
            return;
        }
        count += 1;
    }
    if count > 0 && said.pass() {
        // Some clients send a secret in place of a name: no name is logged.
        tracing::warn!(
            %addr,
            "a client offers subprotocols ({count}), and none of them is taken: browsers then close the connection; \
             connect without, as by new WebSocket(url), or with libchat.json; or choose one with set_subprotocol \
             before the client is accepted"
        );
    }
}

/// Returns the subprotocols that a client offers.
pub(super) fn offered<'b>(head: &Head<'_, 'b>) -> impl Iterator<Item = &'b [u8]> {
    subprotocols::offered(head.all("Sec-WebSocket-Protocol"))
}

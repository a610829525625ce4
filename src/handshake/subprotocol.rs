//! The subprotocol of a WebSocket (RFC 6455, 1.9): which one the server speaks, and what it says to others.

use std::net::SocketAddr;

use super::head::Head;
use crate::context::Context;

/// The JSON form. A change that breaks programs gets another name.
const JSON: &[u8] = b"libchat.json";

/// The header of the answer that selects it.
pub(super) const JSON_HEADER: &[u8] = b"\r\nSec-WebSocket-Protocol: libchat.json";

/// Whether a client offers the JSON form.
pub(super) fn is_json(head: &Head<'_, '_>) -> bool {
    offered(head).any(|name| name == JSON)
}

/// Says once in the log that a client offers subprotocols, none of which is selected: browsers then close the
/// connection, and tell the page nothing that it can act on.
pub(super) fn note_unknown(head: &Head<'_, '_>, context: &Context, addr: SocketAddr) {
    let said = &context.throttles.subprotocols;
    if !said.is_left() || is_json(head) {
        return;
    }
    let count = offered(head).count();
    if count > 0 && said.pass() {
        // Some clients send a secret in place of a name: no name is logged.
        tracing::warn!(
            %addr,
            "a client offers subprotocols ({count}), and libchat speaks none of them: browsers then close the \
             connection; connect without, as by new WebSocket(url), or with libchat.json"
        );
    }
}

fn offered<'a>(head: &'a Head<'_, '_>) -> impl Iterator<Item = &'a [u8]> {
    let values = head.all("Sec-WebSocket-Protocol");
    let names = values.flat_map(|value| value.split(|byte| *byte == b','));
    names.map(<[u8]>::trim_ascii).filter(|name| !name.is_empty())
}

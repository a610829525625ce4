//! The answer that upgrades a connection (RFC 6455, 4.2): a pure function of the request's head.
//!
//! Tungstenite's own handshake would link more crates, and make every program with libchat larger.

use std::ops::Deref;

use base64ct::{Base64, Encoding};
use sha1::{Digest, Sha1};

use super::{
    answer::{Answer, ProxyFault},
    head::Head,
    subprotocol,
};

/// What is appended to a client's key before it is hashed (RFC 6455, 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The answer before the value of `Sec-WebSocket-Accept`.
const BEFORE_ACCEPT: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Accept: ";

/// The answer behind that value.
const AFTER_ACCEPT: &[u8] = b"\r\n\r\n";

/// The length of that value: a SHA-1 digest in base64.
const ACCEPT_LEN: usize = 28;

/// The answer that upgrades a connection.
#[derive(Debug)]
pub(super) struct Upgrade {
    bytes: [u8; BEFORE_ACCEPT.len()
        + ACCEPT_LEN
        + subprotocol::JSON_HEADER.len()
        + AFTER_ACCEPT.len()],
    len: usize,
}

impl Deref for Upgrade {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Upgrade {
    /// Returns the answer with a subprotocol in place of the one that it selects, if it selects one.
    pub(super) fn with_subprotocol(&self, name: &str) -> Vec<u8> {
        let accepted = &self.bytes[..BEFORE_ACCEPT.len() + ACCEPT_LEN];
        [accepted, subprotocol::HEADER, name.as_bytes(), AFTER_ACCEPT].concat()
    }
}

/// Makes the answer that upgrades the connection of a request for WebSocket.
///
/// # Errors
/// What is answered instead.
pub(super) fn upgrade(head: &Head<'_, '_>) -> Result<Upgrade, Answer> {
    if !head.is_http_1_1 {
        return Err(Answer::proxy_fault(ProxyFault::Http10));
    }
    if !head.lists("Connection", "upgrade") {
        return Err(Answer::proxy_fault(ProxyFault::NoConnection));
    }
    if head.has_body() {
        return Err(Answer::bad_request("a request to be upgraded has no body"));
    }
    match head.one("Sec-WebSocket-Version")? {
        Some(b"13") => {}
        Some(_) => return Err(Answer::wrong_version()),
        None => return Err(Answer::bad_request("the header Sec-WebSocket-Version is missing")),
    }
    let selected = if subprotocol::is_json(head) { subprotocol::JSON_HEADER } else { b"" };
    let key = head.one("Sec-WebSocket-Key")?;
    key.and_then(|key| answer_to_key(key, selected)).ok_or_else(|| {
        Answer::bad_request("the header Sec-WebSocket-Key is not 16 bytes in base64")
    })
}

/// Makes the answer to a `Sec-WebSocket-Key`, with further headers; `None` if it is not a valid key.
fn answer_to_key(key: &[u8], headers: &[u8]) -> Option<Upgrade> {
    // RFC 6455, 4.2.1: base64 that, when decoded, is 16 bytes long. The bits behind these bytes may be any: they are
    // not 0 in the RFC's own example.
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let digits = key.strip_suffix(b"==").filter(|digits| digits.len() == 22)?;
    if !digits.iter().all(is_base64) {
        return None;
    }
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    let mut accept = [0; ACCEPT_LEN];
    let accept = Base64::encode(&digest, &mut accept).ok()?;
    let mut upgrade = Upgrade { bytes: [0; _], len: 0 };
    for part in [BEFORE_ACCEPT, accept.as_bytes(), headers, AFTER_ACCEPT] {
        upgrade.bytes[upgrade.len..][..part.len()].copy_from_slice(part);
        upgrade.len += part.len();
    }
    Some(upgrade)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_the_key_of_the_rfc_is_that_of_the_rfc() {
        let answer = answer_to_key(b"dGhlIHNhbXBsZSBub25jZQ==", b"").unwrap();
        let answer = std::str::from_utf8(&answer).unwrap();
        let accept = "\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        assert!(answer.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{answer}");
        assert!(answer.ends_with(accept), "{answer}");
    }

    #[test]
    fn a_key_is_16_bytes_in_base64() {
        for key in [
            "",
            "==",
            "dGhlIHNhbXBsZQ==",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZS4h",
            "dGhlIHNhbXBsZSBub25jZS4=",
            "dGhlIHNhbXBsZSBub25jZ!==",
            "dGhlIHNhbXBsZSBub25jZ===",
            "dGhlIHNhbXBsZSBub25jZ-==",
            "dGhlIHNhbXBsZSBub25jZQ== ",
            "dGhlIHNhbXBsZSBub25jZ==",
            "dGhlIHNhbXBsZSBub25jZQQ==",
        ] {
            assert!(answer_to_key(key.as_bytes(), b"").is_none(), "{key}");
        }
        // RFC 6455, 4.1: the bytes 1 to 16, as the RFC encodes them, and with each value of the last bits.
        for last in ["A", "C", "D", "P", "Q", "v", "/"] {
            let key = format!("AQIDBAUGBwgJCgsMDQ4PE{last}==");
            assert!(answer_to_key(key.as_bytes(), b"").is_some(), "{key}");
        }
    }
}

//! The answer that makes a connection of a request (RFC 6455, 4.2): a pure function of its head.
//!
//! Tungstenite has one too; with what it needs for it, a program with libchat is 50 KB larger.

use base64ct::{Base64, Encoding};
use sha1::{Digest, Sha1};

use super::{answer::Answer, head::Head};

/// What proves that the server has read the key as RFC 6455 says (1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The answer up to the proof.
const BEFORE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Accept: ";

/// The answer behind the proof.
const BEHIND: &[u8] = b"\r\n\r\n";

/// The length of a SHA-1 in base64.
const PROOF_LEN: usize = 28;

/// The answer that upgrades a connection.
pub(super) type Upgrade = [u8; BEFORE.len() + PROOF_LEN + BEHIND.len()];

/// Makes the answer that upgrades the connection, for a request that asks for WebSocket.
pub(super) fn upgrade(head: &Head<'_, '_>) -> Result<Upgrade, Answer> {
    if !head.is_http_1_1 {
        return Err(Answer::bad_request("connect with HTTP/1.1"));
    }
    if !head.lists("Connection", "upgrade") {
        return Err(Answer::bad_request("the header Connection does not say Upgrade"));
    }
    if head.has_body() {
        return Err(Answer::bad_request("a request to be upgraded has no body"));
    }
    match head.one("Sec-WebSocket-Version")? {
        Some(b"13") => {}
        Some(_) => return Err(Answer::wrong_version()),
        None => return Err(Answer::bad_request("the header Sec-WebSocket-Version is missing")),
    }
    head.one("Sec-WebSocket-Key")?.and_then(proven).ok_or_else(|| {
        Answer::bad_request("the header Sec-WebSocket-Key is not 16 bytes in base64")
    })
}

/// The answer with the proof that a key asks for; `None` if it is no key.
fn proven(key: &[u8]) -> Option<Upgrade> {
    // RFC 6455, 4.2.1: base64 that, when decoded, is 16 bytes long.
    let mut bytes = [0; 16];
    if key.len() != 24 || Base64::decode(key, &mut bytes).ok()?.len() != bytes.len() {
        return None;
    }
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    let mut answer = [0; _];
    let (before, rest) = answer.split_at_mut(BEFORE.len());
    let (proof, behind) = rest.split_at_mut(PROOF_LEN);
    before.copy_from_slice(BEFORE);
    Base64::encode(&digest, proof).ok()?;
    behind.copy_from_slice(BEHIND);
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_the_key_of_the_rfc_is_that_of_the_rfc() {
        let answer = proven(b"dGhlIHNhbXBsZSBub25jZQ==").unwrap();
        let answer = std::str::from_utf8(&answer).unwrap();
        let proof = "\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        assert!(answer.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{answer}");
        assert!(answer.ends_with(proof), "{answer}");
    }

    #[test]
    fn a_key_is_16_bytes_in_base64() {
        for key in ["", "dGhlIHNhbXBsZQ==", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZS4h"] {
            assert_eq!(proven(key.as_bytes()), None, "{key}");
        }
        assert_eq!(proven(b"dGhlIHNhbXBsZSBub25jZ!=="), None);
    }
}

//! The answer that makes a connection of a request (RFC 6455, 4.2): a pure function of its head.
//!
//! Tungstenite has one too; with what it needs for it, a program with libchat is 50 KB larger.

use base64ct::{Base64, Encoding};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Request, Response, StatusCode, Version,
    header::{
        CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION,
        UPGRADE,
    },
};
use sha1::{Digest, Sha1};

use super::answer::Answer;

/// What proves that the server has read the key as RFC 6455 says (1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The length of a SHA-1 in base64.
const ACCEPT_LEN: usize = 28;

/// Makes the answer that upgrades the connection, for a request that asks for WebSocket.
pub(super) fn upgrade<T>(request: &Request<T>) -> Result<Response<Full<Bytes>>, Answer> {
    let headers = request.headers();
    if request.version() < Version::HTTP_11 {
        return Err(Answer::bad_request("connect with HTTP/1.1"));
    }
    if !asks_for_upgrade(headers) {
        return Err(Answer::bad_request("the header Connection does not say Upgrade"));
    }
    match headers.get(SEC_WEBSOCKET_VERSION) {
        Some(version) if version == "13" => {}
        Some(_) => return Err(Answer::wrong_version()),
        None => return Err(Answer::bad_request("the header Sec-WebSocket-Version is missing")),
    }
    let accept = headers.get(SEC_WEBSOCKET_KEY).and_then(|key| accept(key.as_bytes()));
    let accept = accept.ok_or_else(|| {
        Answer::bad_request("the header Sec-WebSocket-Key is not 16 bytes in base64")
    })?;
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    Ok(response)
}

/// RFC 9110, 7.6.1: a list, which may be spread over several headers.
fn asks_for_upgrade(headers: &HeaderMap) -> bool {
    headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|token| token.trim().eq_ignore_ascii_case("upgrade"))
}

/// What the client is to find in the answer; `None` if its key is none.
fn accept(key: &[u8]) -> Option<HeaderValue> {
    // RFC 6455, 4.2.1: base64 that, when decoded, is 16 bytes long.
    let mut bytes = [0; 16];
    if key.len() != 24 || Base64::decode(key, &mut bytes).ok()?.len() != bytes.len() {
        return None;
    }
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    let mut text = [0; ACCEPT_LEN];
    HeaderValue::from_str(Base64::encode(&digest, &mut text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_the_key_of_the_rfc_is_that_of_the_rfc() {
        let value = accept(b"dGhlIHNhbXBsZSBub25jZQ==").unwrap();
        assert_eq!(value, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_key_is_16_bytes_in_base64() {
        for key in ["", "dGhlIHNhbXBsZQ==", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZS4h"] {
            assert_eq!(accept(key.as_bytes()), None, "{key}");
        }
        assert_eq!(accept(b"dGhlIHNhbXBsZSBub25jZ!=="), None);
    }

    #[test]
    fn connection_may_be_a_list_of_several_lines() {
        let mut headers = HeaderMap::new();
        headers.append(CONNECTION, HeaderValue::from_static("keep-alive"));
        assert!(!asks_for_upgrade(&headers));
        headers.append(CONNECTION, HeaderValue::from_static("close , upGrade"));
        assert!(asks_for_upgrade(&headers));
    }
}

//! The host's decision on a client that asks to be connected.

use super::Handle;
use crate::{
    decisions::Applicant,
    error::{Error, Result},
    event::ClientId,
    fanout::{
        command::{Command, Rejection},
        shard_handle::ShardHandle,
    },
    past::{Past, PastWanted},
};

/// The longest text of a rejection, in bytes.
const MAX_TEXT: usize = 1024;

/// How long the headers that the host adds to a rejection may be, in bytes.
const MAX_HEADERS: usize = 8 * 1024;

/// The headers that libchat sets itself.
const OWN_HEADERS: [&str; 6] =
    ["Connection", "Content-Length", "Content-Type", "Date", "Transfer-Encoding", "Upgrade"];

/// The header that HTTP requires with a status (RFC 9110, 15.5), and its value if the host gives none.
const REQUIRED_HEADERS: [(u16, &str, &str); 4] = [
    (401, "WWW-Authenticate", "Bearer"),
    (405, "Allow", "GET"),
    (407, "Proxy-Authenticate", "Basic"),
    (426, "Upgrade", "websocket"),
];

impl Handle {
    /// Admits the client of an [`Event::ConnectRequest`](crate::Event::ConnectRequest). It receives what is
    /// published to its room from here on, and first as much of the room's past as it asks for with `?history=` or
    /// `?since=`; [`accept_with_past`](Self::accept_with_past) bounds that. Make the other calls of the admission before
    /// this one: [`set_identity`](Self::set_identity), [`set_name`](Self::set_name), [`join`](Self::join) and
    /// [`leave`](Self::leave) (also of the room that it asks for), [`set_echo`](Self::set_echo),
    /// [`set_subprotocol`](Self::set_subprotocol), [`send`](Self::send).
    /// If the host has joined it to the room that it asks for, the client gets the past that the host gave there:
    /// with `join`, none.
    ///
    /// # Errors
    /// [`Error::ClientNotFound`] if it has left, was decided on before, or the time is over;
    /// [`Error::Stopped`].
    pub fn accept(&self, client: ClientId) -> Result<()> {
        self.accept_with_past(client, Past::All)
    }

    /// Admits a client as [`accept`](Self::accept) does, which is this with [`Past::All`], and bounds what it may have
    /// of the past of the room that it asks for. Within `past` the client gets what it asks for: with `?history=N` the
    /// last N messages, with `?since=POSITION` what it lacks, and nothing if it asks for nothing. The header
    /// `Last-Event-ID` of a client of events counts as `?since=POSITION`. A client that lacks
    /// more gets as much as `past` allows, or the last N if it also has `?history=N` and that is less. The bound does
    /// not concern rooms that the host joins it to.
    ///
    /// # Errors
    /// Those of [`accept`](Self::accept).
    pub fn accept_with_past(&self, client: ClientId, past: Past) -> Result<()> {
        let shard = self.shard_of(client)?;
        let applicant = shard.undecided.admissions.take(client).ok_or(Error::ClientNotFound)?;
        let past = PastWanted { most: past.most(), ..applicant.past };
        self.shared.rooms.admit(client, Applicant { past, ..applicant })
    }

    /// Chooses the subprotocol that the answer to a client names ([`accept`](Self::accept) follows): one that the client
    /// offers in its header `Sec-WebSocket-Protocol`, compared as it is. So a page can offer names of its own, such as one
    /// that carries a token beside one that the host chooses. The last call counts. Without a call the answer names
    /// `libchat.json` if the client offers it, and else none.
    ///
    /// It does not change how the client receives messages ([`Form`](crate::Form)). A client that offers `libchat.json`
    /// among others speaks the JSON form under that name, and can have no other; with `?format=json` in its address it
    /// speaks the JSON form under any name, or under none.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the client does not offer it, or offers `libchat.json` too without `?format=json`, or
    /// is one of events; [`Error::ClientNotFound`] if it has left, was decided on before, or the time is over;
    /// [`Error::Stopped`]. In all cases nothing has changed.
    pub fn set_subprotocol(&self, client: ClientId, name: &str) -> Result<()> {
        self.shard_of(client)?.undecided.admissions.set_subprotocol(client, name)
    }

    /// Rejects the client of an [`Event::ConnectRequest`](crate::Event::ConnectRequest): its request is answered
    /// with an HTTP status of 400 to 599 and a text of at most 1,024 bytes, or with 204 ("stop asking", for an
    /// `EventSource`) and no text: `reason` is not sent then.
    ///
    /// The answer has these further headers, such as `("Retry-After", "5")`, 8 KiB at most in all. A header that HTTP
    /// requires with the status is added if it is not among them: `WWW-Authenticate: Bearer` with 401,
    /// `Allow: GET` with 405, `Proxy-Authenticate: Basic` with 407, `Upgrade: websocket` with 426.
    ///
    /// Any status ends an `EventSource` for ever ([`Form::Events`](crate::Form::Events)). A host that means "later"
    /// calls [`accept`](Self::accept), and then [`disconnect`](Self::disconnect) with 1013.
    ///
    /// # Errors
    /// [`Error::ClientNotFound`] if it has left, was decided on before, or the time is over;
    /// [`Error::InvalidHttpStatus`], [`Error::InvalidHeader`], [`Error::TooLarge`], [`Error::Stopped`].
    pub fn reject(
        &self,
        client: ClientId,
        http_status: u16,
        reason: &str,
        headers: &[(&str, &str)],
    ) -> Result<()> {
        if !matches!(http_status, 204 | 400..=599) {
            return Err(Error::InvalidHttpStatus(http_status));
        }
        if reason.len() > MAX_TEXT {
            return Err(Error::TooLarge { what: "reason", size: reason.len(), limit: MAX_TEXT });
        }
        let headers = encode_headers(http_status, headers)?;
        let shard = self.shard_of(client)?;
        shard.undecided.admissions.take(client).ok_or(Error::ClientNotFound)?;
        let rejection = Rejection { status: http_status, text: reason.to_owned(), headers };
        self.push_rejection(shard, client, rejection)
    }

    /// Rejects a client that was taken out of the table of undecided ones.
    pub(super) fn push_rejection(
        &self,
        shard: &ShardHandle,
        client: ClientId,
        rejection: Rejection,
    ) -> Result<()> {
        self.push(shard, Command::Reject(client, Box::new(rejection))).map(drop)
    }
}

/// Encodes the headers of a rejection, with the one that HTTP requires.
///
/// # Errors
/// `InvalidHeader`, `TooLarge`.
fn encode_headers(status: u16, headers: &[(&str, &str)]) -> Result<String> {
    let mut lines = String::new();
    for (name, value) in headers {
        check_header(name, value)?;
        let size = lines.len() + name.len() + value.len();
        if size > MAX_HEADERS {
            return Err(Error::TooLarge { what: "headers", size, limit: MAX_HEADERS });
        }
        append_header(&mut lines, name, value);
    }
    for (_, name, value) in REQUIRED_HEADERS.into_iter().filter(|(with, ..)| *with == status) {
        if !headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
            append_header(&mut lines, name, value);
        }
    }
    Ok(lines)
}

fn append_header(lines: &mut String, name: &str, value: &str) {
    [name, ": ", value, "\r\n"].into_iter().for_each(|part| lines.push_str(part));
}

fn check_header(name: &str, value: &str) -> Result<()> {
    // RFC 9110, 5.6.2: a name is a token.
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(Error::InvalidHeader(
            "its name has other characters than letters, digits and -",
        ));
    }
    // RFC 9110, 5.5: a line break would begin another header, or the body.
    if value.chars().any(|char| char.is_control() && char != '\t') {
        return Err(Error::InvalidHeader("its value has control characters"));
    }
    if OWN_HEADERS.iter().any(|own| own.eq_ignore_ascii_case(name)) {
        return Err(Error::InvalidHeader("libchat sets this header itself"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejection_has_the_header_that_http_requires_and_the_hosts_in_its_place() {
        let encoded = |status, headers: &[_]| encode_headers(status, headers).unwrap();
        assert_eq!(encoded(403, &[]), "");
        assert_eq!(encoded(401, &[]), "WWW-Authenticate: Bearer\r\n");
        assert_eq!(encoded(405, &[]), "Allow: GET\r\n");
        assert_eq!(encoded(407, &[]), "Proxy-Authenticate: Basic\r\n");
        assert_eq!(encoded(426, &[]), "Upgrade: websocket\r\n");
        let own = [("www-authenticate", "Basic realm=\"a\tb\""), ("Retry-After", "5")];
        let lines = "www-authenticate: Basic realm=\"a\tb\"\r\nRetry-After: 5\r\n";
        assert_eq!(encoded(401, &own), lines);
    }

    #[test]
    fn a_header_cannot_break_the_answer() {
        for (name, value) in [
            ("", "x"),
            ("a b", "x"),
            ("a:", "x"),
            ("caf\u{e9}", "x"),
            ("a\r\nb", "x"),
            ("a", "x\r\nb: c"),
            ("a", "x\n"),
            ("a", "x\0"),
            ("a", "\u{85}"),
            ("content-length", "7"),
            ("CONNECTION", "keep-alive"),
            ("Transfer-Encoding", "chunked"),
            ("Upgrade", "h2c"),
        ] {
            let outcome = encode_headers(403, &[(name, value)]);
            assert!(matches!(outcome, Err(Error::InvalidHeader(_))), "{name:?}: {value:?}");
        }
        let long = "x".repeat(MAX_HEADERS - 1);
        assert!(encode_headers(403, &[("a", &long)]).is_ok());
        let outcome = encode_headers(403, &[("a", &long), ("b", "")]);
        assert!(matches!(outcome, Err(Error::TooLarge { .. })));
    }
}

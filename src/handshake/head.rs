//! The head of a request (RFC 9112, 2 to 5), borrowed from the bytes as they came.

use std::mem::MaybeUninit;

use super::answer::Answer;

/// How many headers a request may have. Browsers send far fewer.
const MAX_HEADERS: usize = 100;

/// Memory for the headers of one request.
pub(super) type Headers<'b> = [MaybeUninit<httparse::Header<'b>>; MAX_HEADERS];

/// Makes memory for headers.
pub(super) const fn header_space<'b>() -> Headers<'b> {
    [const { MaybeUninit::uninit() }; MAX_HEADERS]
}

/// The head of a valid HTTP/1 request.
#[derive(Debug)]
pub(super) struct Head<'h, 'b> {
    pub(super) method: &'b str,
    /// Percent-encoded, as it came.
    pub(super) path: &'b str,
    /// What follows the question mark.
    pub(super) query: &'b str,
    /// Whether the version is 1.1, and not 1.0.
    pub(super) is_http_1_1: bool,
    /// The host and port that the request names (RFC 9112, 3.2.2).
    pub(super) host: Option<&'b str>,
    headers: &'h [httparse::Header<'b>],
}

impl<'h, 'b> Head<'h, 'b> {
    /// Parses the head at the front of bytes. Returns it with its length, or `None` if it is not complete.
    ///
    /// # Errors
    /// What is answered to bytes that cannot be the start of a head.
    pub(super) fn parse(
        bytes: &'b [u8],
        headers: &'h mut Headers<'b>,
    ) -> Result<Option<(Self, usize)>, Answer> {
        let mut request = httparse::Request::new(&mut []);
        let len = match request.parse_with_uninit_headers(bytes, headers) {
            Ok(httparse::Status::Complete(len)) => len,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(Answer::head_too_large()),
            // A TLS handshake record (RFC 8446, 5.1).
            Err(_) if bytes.starts_with(&[0x16, 0x03]) => return Err(Answer::tls()),
            Err(_) => return Err(Answer::malformed()),
        };
        let (Some(method), Some(target)) = (request.method, request.path) else {
            return Err(Answer::malformed());
        };
        let (authority, path, query) = split_target(target);
        let is_http_1_1 = request.version == Some(1);
        let headers = request.headers;
        let mut head = Self { method, path, query, is_http_1_1, host: authority, headers };
        let host = head.one("Host")?.map(str::from_utf8);
        match host {
            Some(Ok(host)) if is_authority(host) && authority.is_none_or(is_authority) => {
                head.host = authority.or(Some(host));
            }
            // RFC 9112, 3.2: HTTP/1.1 requires the header.
            None if !is_http_1_1 && authority.is_none_or(is_authority) => {}
            None if !is_http_1_1 => return Err(Answer::bad_request("the address names a user")),
            None => return Err(Answer::bad_request("the header Host is missing")),
            Some(_) => return Err(Answer::bad_request("the header Host is no host and port")),
        }
        Ok(Some((head, len)))
    }

    /// Returns the headers as they came.
    pub(super) fn headers(&self) -> impl Iterator<Item = (&'b str, &'b [u8])> {
        self.headers.iter().map(|header| (header.name, header.value))
    }

    /// Returns the values of a header. Upper and lower case are the same in its name.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &'b [u8]> {
        self.headers()
            .filter(move |(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Returns the value of a header that may occur once.
    ///
    /// # Errors
    /// What is answered if it occurs several times: a proxy in front may have read another one than this
    /// server would.
    pub(super) fn one(&self, name: &str) -> Result<Option<&'b [u8]>, Answer> {
        let mut values = self.all(name);
        let first = values.next();
        if values.next().is_some() {
            return Err(Answer::bad_request(format!("the header {name} is there twice")));
        }
        Ok(first)
    }

    /// Whether a header that is a list (RFC 9110, 5.6.1) has an element. A list may be spread over several lines.
    pub(super) fn lists(&self, name: &str, element: &str) -> bool {
        self.all(name)
            .flat_map(|value| value.split(|byte| *byte == b','))
            .any(|item| item.trim_ascii().eq_ignore_ascii_case(element.as_bytes()))
    }

    /// Whether a body follows.
    pub(super) fn has_body(&self) -> bool {
        let is_empty =
            |length: &[u8]| !length.is_empty() && length.iter().all(|digit| *digit == b'0');
        self.all("Transfer-Encoding").next().is_some()
            || self.all("Content-Length").any(|length| !is_empty(length))
    }
}

/// Whether a text may be a host and port (RFC 9110, 7.2 and 4.2.4): it names no user.
fn is_authority(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'@')
}

/// Splits a request's target into the authority, if there is one, the path and the query (RFC 9112, 3.2).
fn split_target(target: &str) -> (Option<&str>, &str, &str) {
    let target = target.split('#').next().unwrap_or_default();
    let (before, query) = target.split_once('?').unwrap_or((target, ""));
    if before.starts_with('/') {
        return (None, before, query);
    }
    let is_ours = |scheme: &str| {
        ["http", "https", "ws", "wss"].iter().any(|ours| scheme.eq_ignore_ascii_case(ours))
    };
    match before.split_once("://").filter(|(scheme, _)| is_ours(scheme)) {
        Some((_, rest)) => match rest.split_at(rest.find('/').unwrap_or(rest.len())) {
            // RFC 9110, 4.2.1: a target with an empty host is invalid. It leads to no route.
            ("", _) => (None, before, query),
            (authority, "") => (Some(authority), "/", query),
            (authority, path) => (Some(authority), path, query),
        },
        None => (None, before, query),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(bytes: &str) -> Option<u16> {
        let mut headers = header_space();
        match Head::parse(bytes.as_bytes(), &mut headers) {
            Ok(head) => head.map(|_| 200),
            Err(answer) => Some(answer.status),
        }
    }

    #[test]
    fn a_head_is_read_when_all_of_it_is_there() {
        let whole = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        for len in 0..whole.len() {
            assert_eq!(status(&whole[..len]), None, "{len}");
        }
        assert_eq!(status(&format!("{whole}and more")), Some(200));
        assert_eq!(status("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Some(400));
        for (others, answer) in [(99, 200), (100, 431)] {
            let others = "a: b\r\n".repeat(others);
            assert_eq!(status(&format!("GET / HTTP/1.1\r\nHost: a\r\n{others}\r\n")), Some(answer));
        }
    }

    #[test]
    fn a_request_names_its_host_once() {
        for (version, lines, answer) in [
            ("1.1", "Host: a.test:9001\r\n", 200),
            ("1.1", "Host:\r\n", 200),
            ("1.1", "", 400),
            ("1.1", "Host: a\r\nHost: a\r\n", 400),
            ("1.1", "Host: a b\r\n", 400),
            ("1.1", "Host: b@a\r\n", 400),
            ("1.1", "Host: \u{e9}\r\n", 400),
            ("1.0", "", 200),
        ] {
            let whole = format!("GET / HTTP/{version}\r\n{lines}\r\n");
            assert_eq!(status(&whole), Some(answer), "{whole}");
        }
    }

    #[test]
    fn a_target_is_a_path_or_a_whole_address() {
        for (target, found) in [
            ("/", (None, "/", "")),
            ("/rooms/a?x=1?#b", (None, "/rooms/a", "x=1?")),
            ("/a://b/c", (None, "/a://b/c", "")),
            ("http://host:1", (Some("host:1"), "/", "")),
            ("WS://host?x=http://y/", (Some("host"), "/", "x=http://y/")),
            ("http://host/rooms/b?x", (Some("host"), "/rooms/b", "x")),
            ("*", (None, "*", "")),
            ("http:///rooms/a", (None, "http:///rooms/a", "")),
            ("a/b://host/rooms/a", (None, "a/b://host/rooms/a", "")),
            ("host:80", (None, "host:80", "")),
        ] {
            assert_eq!(split_target(target), found, "{target}");
        }
    }

    #[test]
    fn headers_are_found_whatever_their_case() {
        let bytes = b"GET http://one/ HTTP/1.0\r\nHOST: two\r\nlist: a, B\r\nList:c\r\n\
            Content-Length: 00\r\n\r\n";
        let mut headers = header_space();
        let (head, len) = Head::parse(bytes, &mut headers).unwrap().unwrap();
        assert_eq!(len, bytes.len());
        assert!(!head.is_http_1_1);
        assert_eq!(head.one("Host").unwrap(), Some(&b"two"[..]));
        assert_eq!(head.host, Some("one"));
        assert!(["a", "b", "C"].iter().all(|element| head.lists("LIST", element)));
        assert!(!head.lists("list", "d"));
        assert_eq!(head.one("list").unwrap_err().status, 400);
        assert!(!head.has_body());
    }

    #[test]
    fn a_body_is_announced_by_either_header() {
        for (header, has_body) in [
            ("Content-Length: 0", false),
            ("Content-Length: 10", true),
            ("content-length: x", true),
            ("Content-Length:", true),
            ("Transfer-Encoding: chunked", true),
        ] {
            let bytes = format!("GET / HTTP/1.1\r\nHost: a\r\n{header}\r\n\r\n");
            let mut headers = header_space();
            let (head, _) = Head::parse(bytes.as_bytes(), &mut headers).unwrap().unwrap();
            assert_eq!(head.has_body(), has_body, "{header}");
        }
    }
}

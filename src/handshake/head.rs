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

/// A request's target in its parts (RFC 9112, 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target<'b> {
    /// The host and port of a target that is a whole address.
    pub(super) authority: Option<&'b str>,
    pub(super) path: &'b str,
    pub(super) query: &'b str,
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
        let target = Target::split(target);
        Self::new(method, target, request.version == Some(1), request.headers)
            .map(|head| Some((head, len)))
    }

    /// Makes a head of its parts.
    ///
    /// # Errors
    /// What is answered to a request that names its host in several ways, or not at all.
    pub(super) fn new(
        method: &'b str,
        target: Target<'b>,
        is_http_1_1: bool,
        headers: &'h [httparse::Header<'b>],
    ) -> Result<Self, Answer> {
        let Target { authority, path, query } = target;
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
        // RFC 9112, 6.3: one reader would go by the one, and another by the other.
        if head.has("Transfer-Encoding") && head.has("Content-Length") {
            return Err(Answer::bad_request("the request says twice how long its body is"));
        }
        Ok(head)
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

    pub(super) fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// Whether a header that is a list (RFC 9110, 5.6.1) has an element. A list may be spread over several lines.
    pub(super) fn lists(&self, name: &str, element: &str) -> bool {
        self.all(name)
            .flat_map(|value| value.split(|byte| *byte == b','))
            .any(|item| item.trim_ascii().eq_ignore_ascii_case(element.as_bytes()))
    }

    /// Whether a body follows, or may.
    pub(super) fn has_body(&self) -> bool {
        let is_empty =
            |length: &[u8]| !length.is_empty() && length.iter().all(|digit| *digit == b'0');
        self.has("Transfer-Encoding") || self.all("Content-Length").any(|length| !is_empty(length))
    }
}

/// Whether a text may be a host and port (RFC 9110, 7.2 and 4.2.4): it names no user.
fn is_authority(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'@')
}

/// Whether a target of this scheme is an address of this server.
pub(super) fn is_web_scheme(scheme: &str) -> bool {
    ["http", "https", "ws", "wss"].iter().any(|ours| scheme.eq_ignore_ascii_case(ours))
}

impl<'b> Target<'b> {
    fn split(target: &'b str) -> Self {
        let target = target.split('#').next().unwrap_or_default();
        let (before, query) = target.split_once('?').unwrap_or((target, ""));
        let whole = Self { authority: None, path: before, query };
        if before.starts_with('/') {
            return whole;
        }
        match before.split_once("://").filter(|(scheme, _)| is_web_scheme(scheme)) {
            Some((_, rest)) => match rest.split_at(rest.find('/').unwrap_or(rest.len())) {
                // RFC 9110, 4.2.1: a target with an empty host is invalid. It leads to no route.
                ("", _) => whole,
                (authority, "") => Self { authority: Some(authority), path: "/", query },
                (authority, path) => Self { authority: Some(authority), path, query },
            },
            None => whole,
        }
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
            let (authority, path, query) = found;
            assert_eq!(Target::split(target), Target { authority, path, query }, "{target}");
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

//! Origins of pages (RFC 6454): those that browsers send, and those that the option `origin` names.
//!
//! An option is read when the server starts, and the handshake compares what was read: it allocates nothing.
//! Invariant: an origin that the option can name is admitted if the option names it as it was sent.

#[cfg(test)]
mod advice_tests;
mod pattern;

use std::borrow::Cow;

pub(crate) use self::pattern::Pattern;
use self::pattern::Port;

/// An origin as a browser sends it (RFC 6454, 6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin<'a> {
    /// `null`: the browser does not tell the origin.
    Null,
    Page {
        scheme: &'a str,
        /// An IPv6 address is in brackets.
        host: &'a str,
        /// The scheme's own port if none is named; `None` if the scheme has none either.
        port: Option<u16>,
    },
}

impl<'a> Origin<'a> {
    /// Reads the value of the header `Origin`; `None` if no browser sends it.
    fn parse(text: &'a str) -> Option<Self> {
        if text.eq_ignore_ascii_case("null") {
            return Some(Self::Null);
        }
        let (scheme, authority) = text.split_once("://")?;
        let (host, port) = split_port(authority);
        let port = match port {
            Some(digits) => Some(port_number(digits)?),
            None => default_port(scheme),
        };
        let is_valid = is_host(host) || is_file(scheme, authority);
        is_valid.then_some(Self::Page { scheme, host, port })
    }

    /// Whether the page is from the host and port that the request was sent to, as its header `Host` names them.
    fn is_of(self, server: &str) -> bool {
        let Self::Page { scheme, host, port } = self else { return false };
        // Pages of other schemes are not from the network.
        let Some(default) = default_port(scheme) else { return false };
        let (name, digits) = split_port(server);
        // Browsers leave out the scheme's own port; other clients and proxies may write it.
        let server_port = digits.map_or(Some(default), port_number);
        host.eq_ignore_ascii_case(name) && port == server_port
    }

    fn matches(self, pattern: &Pattern) -> bool {
        match (pattern, self) {
            (Pattern::Any, _) | (Pattern::Null, Self::Null) => true,
            (
                Pattern::Pages { scheme, host, port },
                Self::Page { scheme: own, host: name, port: number },
            ) => {
                let is_port = match port {
                    Port::Any => true,
                    Port::One(port) => *port == number,
                };
                is_port && own.eq_ignore_ascii_case(scheme) && host.matches(name)
            }
            _ => false,
        }
    }
}

/// Whether a page may connect: the option names its origin, or it is from the server's own host and port, which
/// `server` is as the header `Host` names them.
pub(crate) fn admits(patterns: &[Pattern], origin: &[u8], server: Option<&str>) -> bool {
    if patterns.contains(&Pattern::Any) {
        return true;
    }
    let Some(origin) = str::from_utf8(origin).ok().and_then(Origin::parse) else { return false };
    server.is_some_and(|server| origin.is_of(server))
        || patterns.iter().any(|pattern| origin.matches(pattern))
}

/// Whether the option names an origin itself, not only with `*`.
pub(crate) fn is_listed(patterns: &[Pattern], origin: &[u8]) -> bool {
    let Some(origin) = str::from_utf8(origin).ok().and_then(Origin::parse) else { return false };
    let mut named = patterns.iter().filter(|pattern| **pattern != Pattern::Any);
    named.any(|pattern| origin.matches(pattern))
}

/// Whether the option can name an origin as it was sent.
pub(crate) fn can_be_named(origin: &[u8]) -> bool {
    str::from_utf8(origin)
        .is_ok_and(|text| Origin::parse(text).is_some() && Pattern::parse(text).is_ok())
}

/// Returns a value of the option without the user name and password that it may have: an error repeats it.
pub(crate) fn without_user(text: &str) -> Cow<'_, str> {
    let Some((before, rest)) = text.rsplit_once('@') else { return text.into() };
    // What is behind the first of several @ may still be a part of the password.
    let scheme = before.split_once("://").map(|(scheme, _)| scheme);
    match scheme.filter(|scheme| is_scheme(scheme)) {
        Some(scheme) => format!("{scheme}://...@{rest}").into(),
        None => format!("...@{rest}").into(),
    }
}

/// Splits a host and the port behind it, if there is one.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    // Colons in brackets are those of an IPv6 address.
    let from = authority.rfind(']').unwrap_or(0);
    match authority[from..].find(':') {
        Some(colon) => (&authority[..from + colon], Some(&authority[from + colon + 1..])),
        None => (authority, None),
    }
}

/// Reads the number of a port, from 1 to 65,535.
fn port_number(digits: &str) -> Option<u16> {
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|port| is_number && *port != 0)
}

/// Returns the port that an origin of a scheme has if it names none.
fn default_port(scheme: &str) -> Option<u16> {
    if scheme.eq_ignore_ascii_case("http") {
        Some(80)
    } else if scheme.eq_ignore_ascii_case("https") {
        Some(443)
    } else {
        None
    }
}

/// Whether a text is a scheme (RFC 3986, 3.1).
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// Whether a text is a host: a name or an address as browsers write it.
fn is_host(text: &str) -> bool {
    match text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !text.is_empty() && text.bytes().all(is_name_byte),
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Whether there is nothing before, behind or between two dots.
fn has_empty_label(name: &[u8]) -> bool {
    name.split(|byte| *byte == b'.').any(<[u8]>::is_empty)
}

/// Whether browsers take a host for an IPv4 address: its last label is a number (WHATWG URL, 3.5).
fn ends_in_number(name: &str) -> bool {
    let last = name.strip_suffix('.').unwrap_or(name).rsplit('.').next().unwrap_or_default();
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    match hex {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

/// Whether a page was opened from a file: its origin has no host.
fn is_file(scheme: &str, authority: &str) -> bool {
    scheme.eq_ignore_ascii_case("file") && authority.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a server that is asked as `chat.test:9001` admits an origin that the option names so.
    fn admitted(option: &str, origin: &str) -> bool {
        let patterns = [Pattern::parse(option).unwrap_or_else(|why| panic!("{option}: {why}"))];
        admits(&patterns, origin.as_bytes(), Some("chat.test:9001"))
    }

    #[test]
    fn an_origin_is_admitted_if_it_is_named() {
        for (option, admits, refuses) in [
            (
                "https://app.example",
                &["https://app.example", "https://app.example:443", "HTTPS://APP.example"][..],
                &[
                    "http://app.example",
                    "https://app.example:444",
                    "https://app.example:80",
                    "https://www.app.example",
                    "https://app.example.evil",
                    "https://app.exampl",
                    "null",
                ][..],
            ),
            ("https://app.example:443", &["https://app.example"], &["https://app.example:80"]),
            ("HTTP://App.Example:80", &["http://app.example"], &["https://app.example:80"]),
            ("http://app.example", &["http://app.example:0080"], &["http://app.example:8080"]),
            (
                "https://*.app.example",
                &["https://a.app.example", "https://a.b.APP.example:443"],
                &[
                    "https://app.example",
                    "https://.app.example",
                    "https://..app.example",
                    "https://a..app.example",
                    "https://evilapp.example",
                    "https://a.app.example:8443",
                    "http://a.app.example",
                    "https://evil.example/.app.example",
                    "https://evil.example#.app.example",
                    "https://evil.example:1.app.example",
                    "https://evil@a.app.example",
                ],
            ),
            (
                "http://localhost:*",
                &["http://localhost", "http://localhost:3000", "http://localhost:65535"],
                &[
                    "https://localhost:3000",
                    "http://localhost:65536",
                    "http://localhost:",
                    "http://localhost:0",
                    "http://localhost:+80",
                    "http://a.localhost:3000",
                    "http://127.0.0.1:3000",
                ],
            ),
            ("https://app.example.", &["https://app.example."], &["https://app.example"]),
            (
                "https://*.app.example.",
                &["https://a.app.example."],
                &["https://a.app.example", "https://app.example.", "https://a.app.example.."],
            ),
            ("https://*.app.example:*", &["https://a.app.example:1"], &["https://app.example:1"]),
            (
                "http://[::1]:9000",
                &["http://[::1]:9000", "http://[0:0::1]:9000"],
                &["http://[::2]:9000", "http://[::1]", "http://::1:9000", "http://1:9000"],
            ),
            ("http://[::]:*", &["http://[::]"], &["http://[::1]"]),
            ("null", &["null", "NULL"], &["file://", "null://a", "http://null"]),
            ("file://", &["file://"], &["null", "file:///", "file://a", "http://"]),
            ("app://.", &["app://."], &["app://..", "app://"]),
            ("moz-extension://0a-1b", &["moz-extension://0a-1b"], &["moz-extension://0a-1b:1"]),
            ("capacitor://localhost", &["capacitor://localhost"], &["http://localhost"]),
            ("*", &["https://a.example", "null", "\u{e9}", ""], &[]),
        ] {
            for origin in admits {
                assert!(admitted(option, origin), "{origin} by {option}");
            }
            for origin in refuses {
                assert!(!admitted(option, origin), "{origin} by {option}");
            }
        }
    }

    #[test]
    fn pages_of_the_servers_own_host_and_port_are_admitted() {
        let own = |origin: &str, host: &str| admits(&[], origin.as_bytes(), Some(host));
        for (origin, host) in [
            ("http://chat.test:9001", "Chat.test:9001"),
            ("http://chat.test", "chat.test"),
            ("http://chat.test", "chat.test:80"),
            ("https://chat.test", "chat.test"),
            ("https://chat.test", "chat.test:443"),
            ("https://chat.test:443", "chat.test"),
            ("http://[::1]:9001", "[::1]:9001"),
            ("http://[::1]", "[::1]"),
        ] {
            assert!(own(origin, host), "{origin} at {host}");
        }
        for (origin, host) in [
            ("http://chat.test:9002", "chat.test:9001"),
            ("http://chat.test:9001", "chat.test"),
            ("http://chat.test", "chat.test:9001"),
            ("http://chat.test", "chat.test:443"),
            ("http://chat.test", "chat.test:"),
            ("http://chat.test", "chat.test:x"),
            ("https://chat.test.evil.example", "chat.test"),
            ("http://localhost:9001", "127.0.0.1:9001"),
            ("app://chat.test", "chat.test"),
            ("app://chat.test:9001", "chat.test:9001"),
            ("app://chat.test:80", "chat.test"),
            ("file://", ""),
            ("null", "null"),
            ("chat.test", "chat.test"),
            ("http://", ""),
        ] {
            assert!(!own(origin, host), "{origin} at {host}");
        }
        assert!(!admits(&[], b"http://chat.test", None));
        assert!(!admits(&[], b"http://\xff", Some("\u{e9}")));
    }

    #[test]
    fn what_can_be_named_is_admitted_when_it_is_named_as_it_was_sent() {
        for origin in [
            "https://app.example",
            "https://app.example:8443",
            "HTTP://LOCALHOST:3000",
            "http://[::1]:9000",
            "null",
            "file://",
            "tauri://localhost",
        ] {
            assert!(can_be_named(origin.as_bytes()), "{origin}");
            assert!(admitted(origin, origin), "{origin}");
        }
        for origin in [
            "",
            "*",
            "app.example",
            "ws://a",
            "1://a",
            "http://*.a",
            "http://a:0",
            "http://a/",
            "http://127.1",
            "file://a",
            "\u{e9}",
        ] {
            assert!(!can_be_named(origin.as_bytes()), "{origin}");
        }
        assert!(!can_be_named(b"http://\xff"));
    }
}

//! Where a server listens, as a host writes it: an address, a name, or a port alone.

use std::{
    fmt,
    net::{Ipv6Addr, SocketAddr},
};

/// An entry of the option `listen`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ListenAddr {
    /// An IP address and a port.
    Ip(SocketAddr),
    /// `:PORT`: every address of this machine, of IPv4 and of IPv6.
    Every(u16),
    /// A name, which is looked up at the start, and a port.
    Name(String, u16),
}

impl ListenAddr {
    /// Reads an entry.
    ///
    /// # Errors
    /// A text that says what to write instead.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Ok(addr) = text.parse() {
            return Ok(Self::Ip(addr));
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            // A user name and a password are not repeated.
            let host = rest.split('/').next().and_then(|all| all.rsplit('@').next());
            let host = host.unwrap_or_default();
            return Err(format!(
                "{scheme}:// is for clients: write the host and port alone: {host}"
            ));
        }
        if text.contains([',', ' ']) {
            return Err(format!("{text:?} has several addresses: add each by itself"));
        }
        if text.parse::<Ipv6Addr>().is_ok() {
            return Err(match text.rsplit_once(':') {
                Some((host, port)) if host.parse::<Ipv6Addr>().is_ok() => {
                    format!("{text:?} has no brackets: write [{host}]:{port}, or [{text}]:9001")
                }
                _ => format!("{text:?} has no port: write [{text}]:9001"),
            });
        }
        let Some((host, port)) = text.rsplit_once(':') else {
            let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            return Err(if is_number {
                format!(
                    "{text:?} has no address: write :{text} for every address, or 127.0.0.1:{text}"
                )
            } else if is_name(text) {
                format!("{text:?} has no port: write {text}:9001")
            } else {
                not_an_address(text)
            });
        };
        let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let port = match port.parse() {
            Ok(port) if is_number => port,
            _ => return Err(format!("{text:?} has no port from 0 to 65535 at its end")),
        };
        if host.is_empty() {
            Ok(Self::Every(port))
        } else if host.parse::<Ipv6Addr>().is_ok() {
            Err(format!("{text:?} has an IPv6 address without brackets: write [{host}]:{port}"))
        } else if is_name(host) {
            Ok(Self::Name(host.to_owned(), port))
        } else {
            Err(not_an_address(text))
        }
    }
}

fn not_an_address(text: &str) -> String {
    format!(
        "{text:?} is not an address and a port, such as 127.0.0.1:9001, [::1]:9001, localhost:9001, or :9001 for \
         every address"
    )
}

/// Whether a text may be the name of a machine (RFC 1123, 2.1; underscores occur too). One of digits and dots is a
/// wrong IP address.
fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    text.len() <= 253
        && text.split('.').all(is_label)
        && text.bytes().any(|byte| byte.is_ascii_alphabetic())
}

impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(addr) => addr.fmt(f),
            Self::Every(port) => write!(f, ":{port}"),
            Self::Name(name, port) => write!(f, "{name}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_a_name_or_a_port_is_read() {
        for (text, read) in [
            ("127.0.0.1:9001", ListenAddr::Ip(SocketAddr::from(([127, 0, 0, 1], 9001)))),
            ("[::]:0", ListenAddr::Ip(SocketAddr::from(([0_u16; 8], 0)))),
            (":9001", ListenAddr::Every(9001)),
            ("localhost:9001", ListenAddr::Name("localhost".to_owned(), 9001)),
            ("chat_1.example.org:0", ListenAddr::Name("chat_1.example.org".to_owned(), 0)),
        ] {
            assert_eq!(ListenAddr::parse(text).as_ref(), Ok(&read));
            assert_eq!(read.to_string(), text);
        }
    }

    #[test]
    fn what_cannot_be_read_is_answered_with_what_to_write() {
        for (text, remedy) in [
            ("9001", "write :9001 for every address, or 127.0.0.1:9001"),
            ("localhost", "has no port: write localhost:9001"),
            ("::1", "has no port: write [::1]:9001"),
            ("::1:9001", "has no brackets: write [::1]:9001, or [::1:9001]:9001"),
            ("fe80::1:2:3:4:5:9001", "has no brackets: write [fe80::1:2:3:4:5]:9001"),
            (
                "1:2:3:4:5:6:7:8:9001",
                "an IPv6 address without brackets: write [1:2:3:4:5:6:7:8]:9001",
            ),
            ("fe80::1x:9001", "is not an address and a port"),
            ("127.0.0.1:9001:9002", "is not an address and a port"),
            ("localhost:1,localhost:2", "has several addresses: add each by itself"),
            ("localhost:65536", "has no port from 0 to 65535 at its end"),
            ("localhost:+80", "has no port from 0 to 65535"),
            ("localhost:", "has no port from 0 to 65535"),
            ("127.0.0.1", "is not an address and a port, such as"),
            ("127.0.0.256:9001", "is not an address and a port"),
            ("[::1:9001", "is not an address and a port"),
            ("a..b:9001", "is not an address and a port"),
            ("a b:9001", "add each by itself"),
            ("a/b:9001", "is not an address and a port"),
            ("", "is not an address and a port"),
        ] {
            let error = ListenAddr::parse(text).unwrap_err();
            assert!(error.contains(&format!("{text:?}")), "{error}");
            assert!(error.contains(remedy), "{text}: {error}");
        }
        for (text, host) in [
            ("ws://127.0.0.1:9001/", "127.0.0.1:9001"),
            ("http://localhost:80/rooms/a", "localhost:80"),
            ("wss://user:secret@localhost:1/", "localhost:1"),
        ] {
            let error = ListenAddr::parse(text).unwrap_err();
            let wanted = format!("is for clients: write the host and port alone: {host}");
            assert!(error.ends_with(&wanted), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}

//! The values of the option `origin`: one origin, a pattern of several, or `*`.

use std::net::Ipv6Addr;

use super::{default_port, is_file, is_host, is_name_byte, is_scheme, port_number, split_port};

/// What a value may be, for the texts that cannot be more precise.
const FORMS: &str = "scheme://host or scheme://host:port, or *";

/// The pages that one value of the option `origin` admits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// `*`: every page.
    Any,
    /// `null`: pages whose origin the browser does not tell.
    Null,
    Pages {
        scheme: Box<str>,
        host: Host,
        port: Port,
    },
}

/// The hosts of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Host {
    Name(Box<str>),
    /// All that end with this, which begins with a dot.
    Under(Box<str>),
    V6(Ipv6Addr),
}

impl Host {
    /// Whether a host as browsers write it is one of these.
    pub(super) fn matches(&self, name: &str) -> bool {
        match self {
            Self::Name(own) => own.eq_ignore_ascii_case(name),
            Self::Under(end) => {
                let (name, end) = (name.as_bytes(), end.as_bytes());
                name.len() > end.len() && name[name.len() - end.len()..].eq_ignore_ascii_case(end)
            }
            Self::V6(own) => in_brackets(name).is_some_and(|name| name.parse() == Ok(*own)),
        }
    }
}

/// The ports of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Port {
    Any,
    /// `None` is the one of a scheme that has no ports.
    One(Option<u16>),
}

impl Pattern {
    /// Reads a value of the option `origin`.
    ///
    /// # Errors
    /// Why it is none, and what to write instead.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Any);
        }
        if text.eq_ignore_ascii_case("null") {
            return Ok(Self::Null);
        }
        if text
            .contains(|char: char| char.is_whitespace() || char.is_control() || ",;".contains(char))
        {
            return Err("add each origin by itself, without commas and spaces".to_owned());
        }
        let Some((scheme, rest)) = text.split_once("://") else { return Err(no_scheme(text)) };
        check_scheme(scheme, rest)?;
        let authority = check_authority(scheme, rest)?;
        if is_file(scheme, authority) {
            return Ok(Self::Pages {
                scheme: scheme.into(),
                host: Host::Name("".into()),
                port: Port::One(None),
            });
        }
        let (host, port) = split_port(authority);
        let port = read_port(scheme, host, port)?;
        Ok(Self::Pages { scheme: scheme.into(), host: read_host(scheme, host)?, port })
    }
}

fn no_scheme(text: &str) -> String {
    match authority_of(text.trim_start_matches('/')) {
        "" => format!("write {FORMS}"),
        authority => {
            format!("the scheme is missing: write https://{authority} or http://{authority}")
        }
    }
}

fn check_scheme(scheme: &str, rest: &str) -> Result<(), String> {
    let page = match scheme.to_ascii_lowercase().as_str() {
        "ws" => "http",
        "wss" => "https",
        _ if scheme.contains('*') => {
            let authority = authority_of(rest);
            return Err(format!("* is no scheme: add https://{authority} and http://{authority}"));
        }
        _ if !is_scheme(scheme) => {
            return Err(format!("{scheme:?} is no scheme: write https or http"));
        }
        _ => return Ok(()),
    };
    let authority = authority_of(rest);
    Err(format!("it is the page's address that counts, not the chat's: write {page}://{authority}"))
}

/// Checks that there is nothing but a host and a port.
fn check_authority<'a>(scheme: &str, rest: &'a str) -> Result<&'a str, String> {
    let end = rest.find(is_end).unwrap_or(rest.len());
    let (whole, further) = rest.split_at(end);
    let authority = authority_of(rest);
    if authority.is_empty() && !is_file(scheme, authority) {
        return Err(format!("the host is missing: write {FORMS}"));
    }
    let superfluous = match further.as_bytes() {
        [] if authority.len() == whole.len() => return Ok(authority),
        [] => "the user name",
        b"/" => "the slash at the end",
        [b'?', ..] => "the query",
        [b'#', ..] => "the fragment",
        _ => "the path",
    };
    Err(format!("leave out {superfluous}: write {scheme}://{authority}"))
}

/// Returns the host and port that what follows a scheme begins with.
fn authority_of(rest: &str) -> &str {
    let whole = rest.split(is_end).next().unwrap_or_default();
    whole.rsplit('@').next().unwrap_or_default()
}

/// Whether a character ends the host and port.
fn is_end(char: char) -> bool {
    ['/', '\\', '?', '#'].contains(&char)
}

fn read_port(scheme: &str, host: &str, port: Option<&str>) -> Result<Port, String> {
    let Some(text) = port else { return Ok(Port::One(default_port(scheme))) };
    if text == "*" {
        return Ok(Port::Any);
    }
    if let Some(number) = port_number(text) {
        return Ok(Port::One(Some(number)));
    }
    Err(if text.is_empty() {
        format!("no port follows the colon: write {scheme}://{host}")
    } else if text.contains(':') {
        "write an IPv6 address in brackets, as in http://[::1]:9001".to_owned()
    } else if text.bytes().all(|byte| byte.is_ascii_digit()) {
        format!("port {text} does not exist: write one from 1 to 65535, or * for every port")
    } else {
        format!("{text:?} is no port: write a number from 1 to 65535, or * for every port")
    })
}

fn read_host(scheme: &str, host: &str) -> Result<Host, String> {
    if host.is_empty() {
        return Err(format!("the host is missing: write {FORMS}"));
    }
    if !host.is_ascii() {
        return Err(
            "write the host as browsers send it, in punycode (xn--...): the page's console \
             shows it as location.origin"
                .to_owned(),
        );
    }
    if host.contains(['[', ']']) {
        let address = in_brackets(host).and_then(|address| address.parse().ok());
        return address.map(Host::V6).ok_or_else(|| {
            format!(
                "{host} is no IPv6 address in brackets: write one such as [::1], without a zone"
            )
        });
    }
    let (name, is_under) = match host.strip_prefix("*.") {
        Some(name) => (name, true),
        None => (host, false),
    };
    if name.is_empty() || name.contains('*') {
        return Err(format!(
            "* stands for the front of a host, as in {scheme}://*.app.example, for a port, as in \
             {scheme}://localhost:*, or alone for every origin"
        ));
    }
    if !is_host(name) {
        let wrong = name.chars().find(|char| !char.is_ascii() || !is_name_byte(*char as u8));
        let wrong = wrong.map(String::from).unwrap_or_default();
        return Err(format!(
            "{wrong:?} cannot be in a host: write a name or an address as browsers send it"
        ));
    }
    if name.starts_with('.') && name != "." {
        return Err(format!(
            "a host begins with no dot: write {scheme}://*{name} for every subdomain"
        ));
    }
    if !is_under {
        return Ok(Host::Name(name.into()));
    }
    let last = name.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("an address has no subdomains: leave out *.".to_owned());
    }
    Ok(Host::Under(host[1..].into()))
}

/// Returns what is in the brackets around an IPv6 address.
fn in_brackets(host: &str) -> Option<&str> {
    host.strip_prefix('[')?.strip_suffix(']')
}

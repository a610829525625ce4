//! The values of the option `origin`: one origin, a pattern of several, or `*`.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{
    default_port, ends_in_number, has_empty_label, is_file, is_host, is_name_byte, is_scheme,
    port_number, split_port,
};

/// What a value may be, for the texts that cannot be more precise.
const FORMS: &str = "an origin is scheme://host or scheme://host:port, or *";

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
                let front = name.len().saturating_sub(end.len());
                front > 0
                    && name[front..].eq_ignore_ascii_case(end)
                    && !has_empty_label(&name[..front])
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
        check_secret(text)?;
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
        if scheme.eq_ignore_ascii_case("file") {
            return Err("the origin of a file has no host: write file://".to_owned());
        }
        let port = read_port(scheme, authority)?;
        Ok(Self::Pages { scheme: scheme.into(), host: read_host(scheme, authority)?, port })
    }
}

/// Says what to write instead. If that is refused as well, says why: a text has several mistakes.
fn advise(mistake: &str, instead: &str) -> String {
    match Pattern::parse(instead) {
        Ok(_) => format!("{mistake}: write {instead}"),
        Err(why) => why,
    }
}

/// Like `advise`, of a page whose scheme is not known.
fn advise_either(mistake: &str, verb: &str, and: &str, authority: &str) -> String {
    let (secure, plain) = (format!("https://{authority}"), format!("http://{authority}"));
    match Pattern::parse(&secure) {
        Ok(_) => format!("{mistake}: {verb} {secure} {and} {plain}"),
        Err(why) => why,
    }
}

/// Refuses a text in which the end of a password is not certain, so that no reason repeats a part of it.
fn check_secret(text: &str) -> Result<(), String> {
    let Some((before, _)) = text.rsplit_once('@') else { return Ok(()) };
    let (scheme, user) = before.split_once("://").unwrap_or(("", before));
    let is_certain =
        !user.contains(is_end) && !scheme.contains('@') && !text[before.len()..].contains("://");
    is_certain.then_some(()).ok_or_else(|| format!("leave out the user name and the path: {FORMS}"))
}

fn no_scheme(text: &str) -> String {
    let text = text.trim_start_matches('/');
    let (scheme, rest) = text.split_once(':').unwrap_or_default();
    let lower = scheme.to_ascii_lowercase();
    let authority = authority_of(rest.trim_start_matches(['/', '\\']));
    match lower.as_str() {
        "null" => return "null has no port: write null".to_owned(),
        "about" | "blob" | "data" | "javascript" => {
            return "such a page has no origin of its own, and browsers may send null: write null"
                .to_owned();
        }
        "file" => return "two slashes follow the scheme: write file://".to_owned(),
        "http" | "https" | "ws" | "wss" if !authority.is_empty() => {
            return advise("two slashes follow the scheme", &format!("{lower}://{authority}"));
        }
        "http" | "https" | "ws" | "wss" => return format!("the host is missing: {FORMS}"),
        _ => {}
    }
    match authority_of(text) {
        "" => FORMS.to_owned(),
        authority => advise_either("the scheme is missing", "write", "or", authority),
    }
}

fn check_scheme(scheme: &str, rest: &str) -> Result<(), String> {
    let authority = authority_of(rest);
    let page = match scheme.to_ascii_lowercase().as_str() {
        "ws" => "http",
        "wss" => "https",
        _ if scheme.contains('*') => {
            return Err(advise_either("* is no scheme", "add", "and", authority));
        }
        _ if !is_scheme(scheme) => {
            return Err(format!(
                "{scheme:?} is no scheme: most origins begin with https:// or http://"
            ));
        }
        _ => return Ok(()),
    };
    let mistake = "it is the page's address that counts, not the chat's";
    Err(advise(mistake, &format!("{page}://{authority}")))
}

/// Checks that there is nothing but a host and a port.
fn check_authority<'a>(scheme: &str, rest: &'a str) -> Result<&'a str, String> {
    let end = rest.find(is_end).unwrap_or(rest.len());
    let (whole, further) = rest.split_at(end);
    let authority = authority_of(rest);
    if authority.is_empty() && !is_file(scheme, authority) {
        return Err(format!("the host is missing: {FORMS}"));
    }
    let superfluous = match further.as_bytes() {
        [] if authority.len() == whole.len() => return Ok(authority),
        [] => "the user name",
        b"/" => "the slash at the end",
        [b'?', ..] => "the query",
        [b'#', ..] => "the fragment",
        _ => "the path",
    };
    Err(advise(&format!("leave out {superfluous}"), &format!("{scheme}://{authority}")))
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

fn read_port(scheme: &str, authority: &str) -> Result<Port, String> {
    let (host, port) = split_port(authority);
    let Some(text) = port else { return Ok(Port::One(default_port(scheme))) };
    if text == "*" {
        return Ok(Port::Any);
    }
    if let Some(number) = port_number(text) {
        return Ok(Port::One(Some(number)));
    }
    let is_address_byte = |byte: u8| byte.is_ascii_hexdigit() || b":.[]".contains(&byte);
    Err(if text.is_empty() {
        advise("no port follows the colon", &format!("{scheme}://{host}"))
    } else if text.contains(':') && authority.bytes().all(is_address_byte) {
        "an IPv6 address is in brackets, as in http://[::1]:9001".to_owned()
    } else if let Some((first, _)) = text.split_once(':') {
        advise("there is one port", &format!("{scheme}://{host}:{first}"))
    } else if text.bytes().all(|byte| byte.is_ascii_digit()) {
        format!("port {text} does not exist: there are 1 to 65535, and * for every port")
    } else {
        format!("{text:?} is no port: it is a number from 1 to 65535, or * for every port")
    })
}

fn read_host(scheme: &str, authority: &str) -> Result<Host, String> {
    let (host, _) = split_port(authority);
    if host.is_empty() {
        return Err(format!("the host is missing: {FORMS}"));
    }
    if !host.is_ascii() {
        return Err("browsers send the host in punycode (xn--...): the page's console shows it as location.origin"
            .to_owned());
    }
    if host.contains(['[', ']']) {
        let address = in_brackets(host).and_then(|address| address.parse().ok());
        return address.map(Host::V6).ok_or_else(|| {
            format!("{host} is no IPv6 address in brackets, such as [::1], without a zone")
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
            "{wrong:?} cannot be in a host, which is a name or an address as browsers send it"
        ));
    }
    if name.starts_with('.') && name != "." {
        let mistake = "a host begins with no dot";
        let instead = format!("{scheme}://*.{}", authority.trim_start_matches(['*', '.']));
        return Err(advise(mistake, &instead));
    }
    check_name(scheme, name, is_under)?;
    Ok(if is_under { Host::Under(host[1..].into()) } else { Host::Name(name.into()) })
}

/// Refuses a name that no page can have. Hosts of schemes that are not of the network are any texts.
fn check_name(scheme: &str, name: &str, is_under: bool) -> Result<(), String> {
    let is_number = ends_in_number(name);
    if is_under && is_number {
        return Err("an address has no subdomains".to_owned());
    }
    if default_port(scheme).is_none() {
        return Ok(());
    }
    // Browsers keep a dot at the end: it makes another origin.
    if has_empty_label(name.strip_suffix('.').unwrap_or(name).as_bytes()) {
        return Err("there is no name between two dots of the host".to_owned());
    }
    if is_number && name.parse::<Ipv4Addr>().is_err() {
        return Err(
            "browsers send an IPv4 address as four decimal numbers, such as 127.0.0.1".to_owned()
        );
    }
    if !name.bytes().any(|byte| byte.is_ascii_alphanumeric()) {
        return Err("a host has a letter or a digit".to_owned());
    }
    Ok(())
}

/// Returns what is in the brackets around an IPv6 address.
fn in_brackets(host: &str) -> Option<&str> {
    host.strip_prefix('[')?.strip_suffix(']')
}

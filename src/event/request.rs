//! The request with which a client connected, and what programs read of one.

use std::{borrow::Cow, net::SocketAddr};

use percent_encoding::percent_decode_str;

/// The request with which a client connected.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// The client's address and port.
    pub addr: SocketAddr,
    /// The path as the client sent it, percent-encoded, without the query.
    pub path: String,
    /// The query as the client sent it, without the question mark; empty if there was none.
    pub query: String,
    /// The headers in the order in which the client sent them, names in lower case. Values are
    /// bytes: HTTP does not guarantee UTF-8.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Request {
    /// Makes a request of its parts.
    pub(crate) fn new(
        addr: SocketAddr,
        path: String,
        query: String,
        headers: Vec<(String, Vec<u8>)>,
    ) -> Self {
        Self { addr, path, query, headers }
    }

    /// Returns roughly what the request keeps in memory, in bytes.
    pub(super) fn size(&self) -> usize {
        let headers = self.headers.iter().map(|(name, value)| name.len() + value.len() + 64);
        self.path.len() + self.query.len() + headers.sum::<usize>()
    }

    /// Returns the first value of a header. Upper and lower case are the same in its name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.header_values(name).next()
    }

    /// Returns the values of a header, in the order in which the client sent them.
    pub(crate) fn header_values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let found = self.headers.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| &**value)
    }

    /// Returns the first value of a parameter of the query, decoded as browsers encode it: `+` is a space, and `%` with
    /// two hexadecimal digits is a byte. A `%` without them stays as it is. A parameter without `=` has an empty value.
    /// `None` if there is no such parameter, or its first value is not UTF-8. The name is compared as it is after
    /// decoding: upper and lower case differ.
    #[must_use]
    pub fn query_value(&self, name: &str) -> Option<Cow<'_, str>> {
        let pairs = self.query.split('&').filter(|pair| !pair.is_empty());
        let mut pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let (_, value) = pairs.find(|(key, _)| *decoded(key) == *name.as_bytes())?;
        match decoded(value) {
            Cow::Borrowed(value) => str::from_utf8(value).ok().map(Cow::Borrowed),
            Cow::Owned(value) => String::from_utf8(value).ok().map(Cow::Owned),
        }
    }

    /// Returns the value of a cookie (RFC 6265, 4.2), the first one if several have the name, in whichever `Cookie` header
    /// it is. Quotes belong to the value, as in browsers, and nothing is decoded. `None` if there is no such cookie, or
    /// its first value is not UTF-8. Upper and lower case differ in the name.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&str> {
        if name.is_empty() {
            return None;
        }
        let cookies = self.header_values("cookie").flat_map(|line| line.split(|it| *it == b';'));
        let mut values = cookies.filter_map(|cookie| {
            let middle = cookie.iter().position(|byte| *byte == b'=')?;
            let is_wanted = trimmed(&cookie[..middle]) == name.as_bytes();
            is_wanted.then(|| trimmed(&cookie[middle + 1..]))
        });
        str::from_utf8(values.next()?).ok()
    }

    /// Returns the token of `Authorization: Bearer TOKEN` (RFC 6750, 2.1): visible ASCII without spaces, which is more
    /// than the RFC lets tokens be. Upper and lower case are the same in `Bearer`. `None` for another scheme or another
    /// form, and if the header is there several times: a proxy in front may have checked another one.
    #[must_use]
    pub fn bearer(&self) -> Option<&str> {
        let mut values = self.header_values("authorization");
        let (value, None) = (values.next()?, values.next()) else { return None };
        let (scheme, token) = str::from_utf8(trimmed(value)).ok()?.split_once(' ')?;
        let token = token.trim_start_matches(' ');
        let is_token = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        (scheme.eq_ignore_ascii_case("bearer") && is_token).then_some(token)
    }
}

/// Decodes a part of a query (the URL standard's application/x-www-form-urlencoded).
fn decoded(part: &str) -> Cow<'_, [u8]> {
    if part.contains('+') {
        let spaced = part.replace('+', " ");
        return Cow::Owned(percent_decode_str(&spaced).collect());
    }
    percent_decode_str(part).into()
}

/// Returns a value without the spaces and tabs around it (RFC 9110, 5.6.3).
fn trimmed(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;

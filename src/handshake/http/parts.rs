//! The head of a request that hyper has read, in the form in which libchat reads the first one.

use hyper::{Version, http::request::Parts};

use super::super::{
    answer::Answer,
    head::{Head, Target, is_web_scheme},
};

/// Makes a head. Puts its headers into `headers`, with names in lower case. `base` is the option `base_path`.
///
/// # Errors
/// What is answered to a request that libchat does not take.
pub(super) fn head<'h, 'b>(
    parts: &'b Parts,
    headers: &'h mut Vec<httparse::Header<'b>>,
    base: &str,
) -> Result<Head<'h, 'b>, Answer> {
    let lines = parts.headers.iter();
    headers.extend(
        lines
            .map(|(name, value)| httparse::Header { name: name.as_str(), value: value.as_bytes() }),
    );
    let (uri, method) = (&parts.uri, parts.method.as_str());
    // `Target::split` reads no authority from such a target, and finds no page.
    if uri.scheme_str().is_some_and(|scheme| !is_web_scheme(scheme)) {
        return Err(Answer::not_found(&uri.to_string(), base));
    }
    let target = Target {
        authority: uri.authority().map(|authority| authority.as_str()),
        path: uri.path(),
        query: uri.query().unwrap_or_default(),
    };
    Head::new(method, target, parts.version == Version::HTTP_11, headers)
}

//! The head of a request that hyper has read, in the form in which libchat reads the first one.

use hyper::{Version, http::request::Parts};

use super::super::{
    answer::Answer,
    head::{Head, Target},
};

/// Makes a head. Its headers are put into `headers`, their names in lower case.
///
/// # Errors
/// What is answered to a request that libchat does not take.
pub(super) fn head<'h, 'b>(
    parts: &'b Parts,
    headers: &'h mut Vec<httparse::Header<'b>>,
) -> Result<Head<'h, 'b>, Answer> {
    let lines = parts.headers.iter();
    headers.extend(
        lines
            .map(|(name, value)| httparse::Header { name: name.as_str(), value: value.as_bytes() }),
    );
    let (uri, method) = (&parts.uri, parts.method.as_str());
    let target = Target {
        authority: uri.authority().map(|authority| authority.as_str()),
        path: uri.path(),
        query: uri.query().unwrap_or_default(),
    };
    Head::new(method, target, parts.version == Version::HTTP_11, headers)
}

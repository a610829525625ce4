//! The subprotocols that a client offers while it waits for admission, and the one that the host has chosen.

use std::sync::Arc;

use crate::{
    error::{Error, Result},
    event::Request,
};

/// The subprotocol of the JSON form. A change that breaks programs gets another name.
pub(crate) const JSON: &str = "libchat.json";

/// The header in which a client offers subprotocols, in lower case.
const HEADER: &str = "sec-websocket-protocol";

/// The subprotocols of one client.
#[derive(Debug)]
pub(crate) struct Subprotocols {
    request: Arc<Request>,
    /// Whether it is a client of events.
    is_event_stream: bool,
    chosen: Option<Box<str>>,
}

impl Subprotocols {
    pub(crate) fn new(request: Arc<Request>, is_event_stream: bool) -> Self {
        Self { request, is_event_stream, chosen: None }
    }

    /// Returns the one that the host has chosen.
    pub(crate) fn into_chosen(self) -> Option<Box<str>> {
        self.chosen
    }

    /// Chooses one.
    ///
    /// # Errors
    /// `InvalidArgument` if the client cannot have it.
    pub(super) fn choose(&mut self, name: &str) -> Result<()> {
        let invalid = |what, why| Err(Error::InvalidArgument { what, why });
        if self.is_event_stream {
            let why = "it is a client of events, which has no subprotocol; choose one for WebSocket clients alone";
            return invalid("client", why);
        }
        if !is_token(name) || !offered_by(&self.request).any(|offered| offered == name.as_bytes()) {
            let why = "the client does not offer it; choose one of those in its header Sec-WebSocket-Protocol";
            return invalid("name", why);
        }
        // Its form was chosen by what it offers: under another name it would not expect objects.
        let is_json = offered_by(&self.request).any(|offered| offered == JSON.as_bytes());
        if is_json && name != JSON && !asks_for_json(&self.request) {
            let why = "the client offers libchat.json too, and so speaks the JSON form under that name; with \
                       ?format=json it may have another one";
            return invalid("name", why);
        }
        self.chosen = Some(name.into());
        Ok(())
    }
}

/// Returns the subprotocols that values of the header name (RFC 9110, 5.6.1: a list may be spread over several lines).
pub(crate) fn offered<'a>(
    values: impl Iterator<Item = &'a [u8]>,
) -> impl Iterator<Item = &'a [u8]> {
    let names = values.flat_map(|value| value.split(|byte| *byte == b','));
    names.map(<[u8]>::trim_ascii).filter(|name| !name.is_empty())
}

/// Returns the subprotocols that a client offers.
pub(crate) fn offered_by(request: &Request) -> impl Iterator<Item = &[u8]> {
    offered(request.header_values(HEADER))
}

/// Whether a client asks for the JSON form by its query.
fn asks_for_json(request: &Request) -> bool {
    let mut pairs = form_urlencoded::parse(request.query.as_bytes());
    pairs.any(|(key, value)| key == "format" && value == "json")
}

/// Whether a text may be the name of a subprotocol (RFC 6455, 4.1).
fn is_token(name: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(query: &str, lines: &[&str], name: &str) -> Option<Box<str>> {
        let header = |line: &&str| (HEADER.to_owned(), line.as_bytes().to_vec());
        let headers = lines.iter().map(header).collect();
        let request = Request::new(([127, 0, 0, 1], 1).into(), "/".into(), query.into(), headers);
        let mut subprotocols = Subprotocols::new(Arc::new(request), false);
        subprotocols.choose(name).ok().and_then(|()| subprotocols.into_chosen())
    }

    #[test]
    fn a_client_gets_one_that_it_offers_and_no_other() {
        let lines = ["v2, v1,,x y", "Zebra"];
        for name in ["v1", "v2", "Zebra"] {
            assert_eq!(choose("", &lines, name).as_deref(), Some(name));
        }
        for name in ["", "v3", "V1", "zebra", "v1,", " v1", "x y", "libchat.json", "v1\r\nx: y"] {
            assert_eq!(choose("", &lines, name), None, "{name}");
        }
        assert_eq!(choose("", &[], "v1"), None);
    }

    #[test]
    fn a_client_that_speaks_json_because_it_offers_that_gets_no_other_name() {
        let lines = ["v1, libchat.json"];
        assert_eq!(choose("", &lines, "libchat.json").as_deref(), Some("libchat.json"));
        assert_eq!(choose("", &lines, "v1"), None);
        assert_eq!(choose("format=plain", &lines, "v1"), None);
        for query in ["format=json", "a=b&format=json", "format=plain&format=json"] {
            assert_eq!(choose(query, &lines, "v1").as_deref(), Some("v1"), "{query}");
        }
        assert_eq!(choose("format=json", &["v1"], "v1").as_deref(), Some("v1"));
    }
}

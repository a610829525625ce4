//! Requests for an event stream (HTML, 9.2): what asks for one, and the heads of the answers. Pure functions of a
//! request's head.
//!
//! Invariant: a client that may come back is answered with 200, since any other status ends an `EventSource` for ever.

use std::{ops::Range, time::SystemTime};

use super::{answer::Answer, head::Head, media_type, site};
use crate::{
    context::Context,
    event::ClientId,
    fanout::{
        command::TRY_AGAIN_LATER,
        form::{Ending, Form},
    },
    origin::{self, Pattern},
};

/// How long browsers may remember the answer to a preflight request, in seconds.
const MAX_AGE: u32 = 600;

/// After how many milliseconds a client comes back that is not let in now.
const RETRY: Range<u64> = 5_000..30_001;

/// The media type of an event stream.
const EVENT_STREAM: &str = "text/event-stream";

/// The answer to a request for an event stream that is granted.
#[derive(Debug)]
pub(super) struct Opening {
    form: Form,
    head: String,
    /// The lines that tell a browser which page may read the answer.
    cors: String,
}

/// Whether a request asks for an event stream, by its header `Accept` or its query: `*/*` does not.
pub(super) fn is_wanted(head: &Head<'_, '_>) -> bool {
    let asks = || {
        let mut pairs = form_urlencoded::parse(head.query.as_bytes());
        pairs.any(|(key, value)| key == "format" && value == "events")
    };
    matches!(head.method, "GET" | "HEAD")
        && (head.all("Accept").any(|value| media_type::is_wanted(value, EVENT_STREAM)) || asks())
}

/// Makes the answer to a request for an event stream, or to HEAD in its place.
///
/// # Errors
/// What is answered to a page that may not connect, or to HEAD: the head alone, though nobody is connected.
pub(super) fn open(
    head: &Head<'_, '_>,
    form: Form,
    origins: &[Pattern],
) -> Result<Opening, Answer> {
    site::check_site(head)?;
    site::check_origin(head, origins)?;
    let cors = cors(head, origins);
    let date = httpdate::fmt_http_date(SystemTime::now());
    // nginx and others buffer an answer that does not forbid it, and some compress it in blocks.
    let text = format!(
        "HTTP/1.1 200 OK\r\nDate: {date}\r\nConnection: close\r\n\
         Content-Type: text/event-stream\r\nX-Content-Type-Options: nosniff\r\n\
         Cache-Control: no-store, no-transform\r\nX-Accel-Buffering: no\r\n\
         Vary: Accept, Origin\r\n{cors}\r\n"
    );
    if head.method == "HEAD" {
        return Err(Answer::stream_head(text.into_bytes()));
    }
    Ok(Opening { form, head: text, cors })
}

impl Opening {
    pub(super) fn bytes(&self) -> &[u8] {
        self.head.as_bytes()
    }

    /// Makes the answer to a client that is not let in. If it may come back, that is a stream which says when.
    pub(super) fn refusal(&self, answer: Answer, client: ClientId, context: &Context) -> Answer {
        if !answer.is_temporary() {
            return answer.with_headers(&format!("Vary: Accept, Origin\r\n{}", self.cors));
        }
        let mut bytes = self.head.clone().into_bytes();
        let retry_ms = Some(context.spread_ms(client, RETRY));
        let ending = Ending { code: TRY_AGAIN_LATER, reason: answer.text(), retry_ms };
        self.form.append_stream_end(&mut bytes, ending);
        answer.in_bytes(bytes)
    }
}

/// Answers what a browser asks before a page of another origin sends a header (Fetch, 4.8): the position where it was.
pub(super) fn preflight(head: &Head<'_, '_>, origins: &[Pattern]) -> Answer {
    let cors = cors(head, origins);
    Answer::options().with_headers(&format!(
        "Access-Control-Allow-Methods: GET, HEAD\r\nAccess-Control-Allow-Headers: Last-Event-ID\r\n\
         Access-Control-Max-Age: {MAX_AGE}\r\nVary: Origin\r\n{cors}"
    ))
}

/// Returns the lines that let the request's page read the answer. Its origin was admitted.
fn cors(head: &Head<'_, '_>, origins: &[Pattern]) -> String {
    let Some(origin) = head.all("Origin").next() else { return String::new() };
    if origin::is_listed(origins, origin) {
        // It was compared with the option, so it is text of one line.
        let origin = String::from_utf8_lossy(origin);
        return format!(
            "Access-Control-Allow-Origin: {origin}\r\nAccess-Control-Allow-Credentials: true\r\n"
        );
    }
    // Any page may read it, and so no browser sends cookies with the request.
    if origins.contains(&Pattern::Any) {
        return "Access-Control-Allow-Origin: *\r\n".to_owned();
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::{super::head::header_space, *};

    /// Calls `act` with the head of a request.
    fn with<T>(request: &str, lines: &[&str], act: impl FnOnce(&Head<'_, '_>) -> T) -> T {
        let text = format!("{request} HTTP/1.0\r\n{}\r\n\r\n", lines.join("\r\n"));
        let mut headers = header_space();
        let (head, _) = Head::parse(text.as_bytes(), &mut headers).unwrap().unwrap();
        act(&head)
    }

    fn origins(list: &[&str]) -> Vec<Pattern> {
        list.iter().map(|text| Pattern::parse(text).unwrap()).collect()
    }

    #[test]
    fn events_are_wanted_by_name_or_by_the_query_and_with_get_or_head() {
        let accept = "Accept: text/html, text/event-stream;q=0.1";
        for (request, lines, expected) in [
            ("GET /", &[accept][..], true),
            ("HEAD /", &[accept], true),
            ("GET /?format=events", &["Accept: */*"], true),
            ("GET /?a=b&form%61t=event%73&format=json", &[], true),
            ("GET /", &["Accept: */*"], false),
            ("GET /", &["Accept: text/html", "Accept: text/event-stream"], true),
            ("GET /", &["Accept: text/event-stream;q=0"], false),
            ("GET /?format=eventsx", &[], false),
            ("POST /?format=events", &[accept], false),
        ] {
            assert_eq!(with(request, lines, is_wanted), expected, "{request} {lines:?}");
        }
    }

    #[test]
    fn a_listed_page_may_send_cookies_and_any_other_that_may_connect_may_not() {
        let lines = |list: &[&str], origin: &str| {
            let origin = format!("Origin: {origin}");
            with("GET /", &[&origin, "Host: own.test"], |head| cors(head, &origins(list)))
        };
        let echoed = "Access-Control-Allow-Origin: https://a.test\r\n\
            Access-Control-Allow-Credentials: true\r\n";
        assert_eq!(lines(&["https://a.test"], "https://a.test"), echoed);
        assert_eq!(lines(&["*", "https://a.test"], "https://a.test"), echoed);
        let everyone = "Access-Control-Allow-Origin: *\r\n";
        assert_eq!(lines(&["*"], "https://a.test"), everyone);
        assert_eq!(lines(&["*", "https://a.test"], "https://b.test"), everyone);
        assert_eq!(lines(&["*"], "null"), everyone);
        // It is of the server's own origin.
        assert_eq!(lines(&["https://a.test"], "http://own.test"), "");
        let lines = with("GET /", &["Host: own.test"], |head| cors(head, &origins(&["*"])));
        assert_eq!(lines, "");
    }

    #[test]
    fn a_page_of_another_site_says_which_it_is() {
        let status =
            |lines: &[&str]| with("GET /", lines, site::check_site).map_err(|it| it.status);
        assert_eq!(status(&["Sec-Fetch-Site: cross-site"]), Err(403));
        assert_eq!(status(&["sec-fetch-site: Cross-Site", "Origin: http://a"]), Ok(()));
        assert_eq!(status(&["Sec-Fetch-Site: same-origin"]), Ok(()));
        assert_eq!(status(&[]), Ok(()));
    }
}

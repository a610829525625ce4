//! What a request asks for: pure functions of its head.

use std::{net::SocketAddr, sync::Arc};

use percent_encoding::percent_decode_str;

use super::{
    answer::{Answer, ProxyFault},
    events,
    head::Head,
    path, subprotocol,
};
use crate::{
    event,
    fanout::form::Form,
    past::{Since, SinceIn},
    protocol::Asked,
    published::{self, Name},
    rooms,
};

/// The room of the path `/`.
const LOBBY: &str = "lobby";

/// The stream that a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    WebSocket,
    /// A WebSocket, of whose request a proxy has removed a part.
    CutWebSocket,
    Events,
}

impl Stream {
    /// Returns the stream that a request asks for; `None` if it asks for one of the [pages](super::pages).
    pub(super) fn of(head: &Head<'_, '_>, base: &str) -> Option<Self> {
        let stream = if head.lists("Upgrade", "websocket") {
            Self::WebSocket
        } else if head.has("Sec-WebSocket-Key") {
            // Only a request for WebSocket has a key.
            Self::CutWebSocket
        } else if events::is_wanted(head) {
            Self::Events
        } else {
            return None;
        };
        (!path::is_check(base, head.path)).then_some(stream)
    }
}

/// Returns what a request for a stream asks for.
///
/// # Errors
/// What is answered to a request that no route takes.
pub(super) fn route(head: &Head<'_, '_>, stream: Stream, base: &str) -> Result<Asked, Answer> {
    let room = match path::inside(base, head.path) {
        Some("/") => LOBBY.to_owned(),
        Some(path) if let Some(room) = path.strip_prefix("/rooms/") => room_name(room)?,
        _ => return Err(Answer::wrong_path(head.path, base)),
    };
    let asked = asked(room, head, stream == Stream::Events)?;
    match stream {
        Stream::Events => {}
        _ if head.method != "GET" => return Err(Answer::wrong_method()),
        Stream::WebSocket => {}
        Stream::CutWebSocket => return Err(Answer::proxy_fault(ProxyFault::NoUpgrade)),
    }
    Ok(asked)
}

/// Decodes the name of a room in a path.
///
/// # Errors
/// What is answered to a name that no room has.
pub(super) fn room_name(encoded: &str) -> Result<String, Answer> {
    if path::is_badly_encoded(encoded) {
        return Err(Answer::bad_target(
            "a % in the path is not followed by two hexadecimal digits; write % as %25",
        ));
    }
    // Browsers and most libraries take such steps before they send a path, and others send it as it is: the same
    // address would lead to several rooms. A slash that is encoded makes no step.
    let is_step = |part| percent_decode_str(part).eq(*b".") || percent_decode_str(part).eq(*b"..");
    if encoded.split('/').any(is_step) {
        return Err(Answer::bad_target(
            "clients take . and .. for steps in a path; write / as %2F",
        ));
    }
    let name = percent_decode_str(encoded)
        .decode_utf8()
        .map_err(|_| Answer::bad_target("the name of the room is not UTF-8"))?;
    rooms::check_name(&name).map_err(|error| Answer::bad_target(error.to_string()))?;
    Ok(name.into_owned())
}

/// Reads what a request for a room asks for. Unknown keys of the query are ignored.
fn asked(room: String, head: &Head<'_, '_>, wants_events: bool) -> Result<Asked, Answer> {
    let form = match (wants_events, subprotocol::is_json(head)) {
        (true, _) => Form::Events,
        (false, true) => Form::Json,
        (false, false) => Form::Plain,
    };
    let mut asked = Asked::new(room, form);
    for (key, value) in form_urlencoded::parse(head.query.as_bytes()) {
        match key.as_ref() {
            "echo" => {
                let echo = value.parse();
                asked.echo = Some(echo.map_err(|_| Answer::bad_target("echo is true or false"))?);
            }
            "history" => {
                let count = value.parse();
                asked.history =
                    Some(count.map_err(|_| Answer::bad_target("history is a number of messages"))?);
            }
            "format" => match value.as_ref() {
                "json" if wants_events => asked.form = Form::EventsJson,
                "json" => asked.form = Form::Json,
                // The subprotocol counts for more: a browser would close the connection without it.
                "plain" => {}
                "events" if wants_events => {}
                "events" => {
                    return Err(Answer::bad_target(
                        "format=events is for a request with GET and without an upgrade",
                    ));
                }
                _ => return Err(Answer::bad_target("format is plain, json or events")),
            },
            // A form whose field is empty sends an empty name.
            "name" if value.is_empty() => {}
            "name" => asked.name = Some(claimed_name(&value)?),
            "members" => {
                let members = value.parse();
                asked.members =
                    members.map_err(|_| Answer::bad_target("members is true or false"))?;
            }
            "since" => asked.since = Some(Since::parse(&value)),
            key => {
                // What no room can be called is not kept with the client.
                if let Some(room) = key.strip_prefix("since.")
                    && rooms::check_name(room).is_ok()
                {
                    asked.since_in.insert(room, Since::parse(&value));
                }
            }
        }
    }
    // A browser comes back to the address that it first had: what that says of any room is old.
    if wants_events && let Some(since) = last_event_id(head) {
        asked.since = Some(since);
        asked.since_in = SinceIn::default();
    }
    Ok(asked)
}

/// Returns the id of the last event that a client has received, if it has one.
fn last_event_id(head: &Head<'_, '_>) -> Option<Since> {
    let ids = head.all("Last-Event-ID").map(<[u8]>::trim_ascii);
    let id = ids.filter(|id| !id.is_empty()).last()?;
    Some(str::from_utf8(id).map_or(Since::Unreadable, Since::parse))
}

fn claimed_name(text: &str) -> Result<Name, Answer> {
    published::check_name(text)
        .map_err(|why| Answer::bad_target(format!("not the name of a client: {why}")))?;
    Ok(Name { text: text.into(), is_claimed: true })
}

/// Copies what the host is told of a request.
pub(super) fn describe(head: &Head<'_, '_>, addr: SocketAddr) -> Arc<event::Request> {
    let header = |(name, value): (&str, &[u8])| (name.to_ascii_lowercase(), value.to_vec());
    let (path, query) = (head.path.to_owned(), head.query.to_owned());
    Arc::new(event::Request::new(addr, path, query, head.headers().map(header).collect()))
}

#[cfg(test)]
mod tests {
    use super::{
        super::{head::header_space, site::check_origin},
        *,
    };
    use crate::origin::Pattern;

    /// Calls `act` with the head of a request.
    fn with<T>(target: &str, headers: &[(&str, &str)], act: impl FnOnce(&Head<'_, '_>) -> T) -> T {
        let mut bytes = format!("GET {target} HTTP/1.0\r\n");
        for (name, value) in headers {
            bytes += &format!("{name}: {value}\r\n");
        }
        bytes += "\r\n";
        let mut headers = header_space();
        let (head, _) = Head::parse(bytes.as_bytes(), &mut headers).unwrap().unwrap();
        act(&head)
    }

    /// What a request for a stream asks for, or the status of the answer; `None` if it asks for a page.
    fn stream(head: &Head<'_, '_>) -> Option<Result<Asked, u16>> {
        let stream = Stream::of(head, "")?;
        Some(route(head, stream, "").map_err(|answer| answer.status))
    }

    fn asked(target: &str) -> Result<Asked, u16> {
        with(target, &[("upgrade", "websocket")], stream).expect("it asks for one")
    }

    #[test]
    fn a_path_names_a_room() {
        assert_eq!(asked("/").unwrap().room, "lobby");
        assert_eq!(asked("/rooms/a%20b%2Fc").unwrap().room, "a b/c");
        assert_eq!(asked("/rooms/caf%C3%A9").unwrap().room, "café");
        assert_eq!(asked("/rooms/a/b").unwrap().room, "a/b");
        assert_eq!(asked("/rooms/...").unwrap().room, "...");
        assert_eq!(asked("/rooms/a%2F..").unwrap().room, "a/..");
        assert_eq!(asked("/rooms/..%2f.../.a").unwrap().room, "../.../.a");
        assert_eq!(asked(&format!("/rooms/{}", "x".repeat(128))).unwrap().room.len(), 128);
        for bad in [
            "/rooms/",
            "/rooms/.",
            "/rooms/..",
            "/rooms/%2e%2E",
            "/rooms/./",
            "/rooms/.%2e/a",
            "/rooms/a/../b",
            "/rooms/a/%2E",
            "/rooms/%FF",
            "/rooms/%zz",
            "/rooms/a%",
            "/rooms/a%4",
            "/rooms/a%0Ab",
            &format!("/rooms/{:x>129}", ""),
        ] {
            assert_eq!(asked(bad), Err(400), "{bad}");
        }
        for unknown in ["/rooms", "/room/x", "/lobby", "/healthy"] {
            assert_eq!(asked(unknown), Err(404), "{unknown}");
        }
    }

    #[test]
    fn the_query_sets_echo_and_history() {
        let options = asked("/?echo=false&history=20&other=1").unwrap();
        assert_eq!((options.echo, options.history), (Some(false), Some(20)));
        let options = asked("/?echo=true").unwrap();
        assert_eq!((options.echo, options.history), (Some(true), None));
        for bad in ["/?echo=maybe", "/?history=-1", "/?history=", "/?echo"] {
            assert_eq!(asked(bad), Err(400), "{bad}");
        }
    }

    #[test]
    fn a_request_for_events_names_its_room_its_form_and_where_it_was() {
        let accept = ("Accept", "text/event-stream");
        let asked = |target: &str, headers: &[(&str, &str)]| {
            let headers: Vec<_> = headers.iter().copied().chain([accept]).collect();
            with(target, &headers, stream).expect("it asks for one")
        };
        let form = |target: &str| asked(target, &[]).map(|asked| (asked.room, asked.form));
        assert_eq!(form("/"), Ok(("lobby".to_owned(), Form::Events)));
        assert_eq!(form("/rooms/a?format=plain"), Ok(("a".to_owned(), Form::Events)));
        for json in ["?format=json", "?format=json&format=events", "?format=events&format=json"] {
            assert_eq!(form(&format!("/rooms/a{json}")), Ok(("a".to_owned(), Form::EventsJson)));
        }
        assert_eq!(form("/rooms/..").unwrap_err(), 400);
        assert_eq!(form("/elsewhere").unwrap_err(), 404);
        let since = |headers: &[_]| asked("/?since=7-1&history=3", headers).unwrap().since;
        assert_eq!(since(&[]), Some(Since::parse("7-1")));
        assert_eq!(since(&[("Last-Event-ID", "7-2")]), Some(Since::parse("7-2")));
        assert_eq!(since(&[("last-event-id", " ")]), Some(Since::parse("7-1")));
        assert_eq!(since(&[("Last-Event-ID", "?")]), Some(Since::Unreadable));
        // Where it is now counts for every room: the host may put it into another one than its path's.
        let asked_again = |headers: &[_]| asked("/?since.b=7-1&since.lobby=7-1", headers).unwrap();
        let since_in = |headers: &[_]| asked_again(headers).since_in(false).unwrap();
        let in_rooms = |since_in: &SinceIn| ["lobby", "b"].map(|room| since_in.get(room));
        assert_eq!(in_rooms(&since_in(&[])), [Some(Since::parse("7-1")); 2]);
        let newer = [("Last-Event-ID", "7-2")];
        assert_eq!(in_rooms(&since_in(&newer)), [Some(Since::parse("7-2")); 2]);
        assert_eq!(asked_again(&newer).since_in(true), None);
        // A request for WebSocket has none.
        let upgrade = [("upgrade", "websocket"), ("Last-Event-ID", "7-2")];
        let asked = with("/?since=7-1", &upgrade, stream).unwrap().unwrap();
        assert_eq!((asked.form, asked.since), (Form::Plain, Some(Since::parse("7-1"))));
        assert_eq!(with("/?format=events", &upgrade, stream), Some(Err(400)));
    }

    #[test]
    fn positions_of_256_rooms_are_kept_and_of_none_that_cannot_be() {
        let since = |name: &str| format!("since.{name}=7-{}&", name.len());
        let names: Vec<_> = (0..1000).map(|name| name.to_string()).collect();
        let query: String = names.iter().map(|name| since(name)).collect();
        let all = asked(&format!("/?since=7-1&{query}")).unwrap().since_in;
        let position = |name: &str| Since::parse(&format!("7-{}", name.len()));
        assert!(names[..256].iter().all(|name| all.get(name) == Some(position(name))));
        assert!(names[256..].iter().all(|name| all.get(name) == Some(Since::Unreadable)));
        let bad = ["", ".", "..", "%0A", &"x".repeat(129)].map(since).concat();
        let some = asked(&format!("/?{bad}{}{}", since("a%2Fb"), since(&"y".repeat(128)))).unwrap();
        let some = some.since_in;
        assert!(
            ["", ".", "..", "\n", &"x".repeat(129)].iter().all(|name| some.get(name).is_none())
        );
        assert_eq!(some.get("a/b"), Some(position("a%2Fb")));
        assert_eq!(some.get(&"y".repeat(128)), Some(position(&"y".repeat(128))));
    }

    #[test]
    fn an_origin_is_there_once() {
        let everyone = [Pattern::Any];
        assert!(with("/", &[], |head| check_origin(head, &[])).is_ok());
        assert!(with("/", &[("origin", "null")], |head| check_origin(head, &everyone)).is_ok());
        let twice = [("Origin", "null"), ("Origin", "null")];
        let answer = with("/", &twice, |head| check_origin(head, &everyone)).unwrap_err();
        assert_eq!(answer.status, 400);
    }

    #[test]
    fn a_request_with_a_key_and_without_an_upgrade_is_for_no_page() {
        let key = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        let status = |path: &str, headers: &[(&str, &str)]| {
            with(path, headers, stream).map(|asked| asked.unwrap_err())
        };
        for headers in [&[key][..], &[key, ("upgrade", "h2c")]] {
            assert_eq!(status("/", headers), Some(426));
            assert_eq!(status("/rooms/x", headers), Some(426));
            assert_eq!(status("/health", headers), None);
        }
        assert_eq!(status("/", &[]), None);
    }
}

//! Events as log lines: one line of fields for each.
//!
//! Invariant: what clients write stays out of the log unless the operator asks for it: headers, queries, the contents
//! of messages and the reasons of their close frames. Only the room's name is shown.

use chat::{Event, Kind, Message, Request};
use tracing::{field::display, info};

/// Logs an event. `with_contents` adds what is left out otherwise.
pub(crate) fn log(event: &Event, with_contents: bool) {
    match event {
        Event::Connected { client, room, request, .. } => {
            let contents = with_contents.then(|| (&*request.query, headers(request)));
            let (query, headers) = contents.unzip();
            let (client, addr) = (display(client), display(request.addr));
            info!(client, room = &**room, addr, query, headers, "connected");
        }
        Event::Message { client, room, position, message, .. } => {
            let (kind, bytes) = (kind(message), message.data().len());
            let contents = with_contents.then(|| text(message.data()));
            info!(
                client = display(client),
                room = &**room,
                position = (!position.is_none()).then(|| display(position)),
                kind,
                bytes,
                contents,
                "message"
            );
        }
        Event::MessagesDropped { client, count } => {
            info!(client = display(client), count, "messages dropped");
        }
        Event::Disconnected { client, code, reason, .. } => {
            // The server's own words have lines of their own.
            let reason = with_contents.then_some(&**reason);
            info!(client = display(client), code, reason, "disconnected");
        }
        Event::MemberEntered { client, room, .. } => {
            info!(client = display(client), room = &**room, "member entered");
        }
        Event::MemberLeft { client, room, .. } => {
            info!(client = display(client), room = &**room, "member left");
        }
        Event::RoomOccupied { room } => info!(room = &**room, "room occupied"),
        Event::RoomVacated { room } => info!(room = &**room, "room vacated"),
        Event::AcceptFailed { addr, error } => {
            info!(addr = display(addr), error = &**error, "accepting failed");
        }
        Event::EventsDropped { count } => info!(count, "events dropped"),
        Event::Stopped => info!("stopped"),
        // Signals are many, and worth no line each.
        // The program decides on no client and no message, and joins no client to a room.
        _ => {}
    }
}

/// Returns bytes as text, in which what is no text is escaped.
fn text(bytes: &[u8]) -> String {
    let escaped = |bytes: &[u8]| bytes.escape_ascii().to_string();
    str::from_utf8(bytes).map_or_else(|_| escaped(bytes), str::to_owned)
}

fn headers(request: &Request) -> String {
    let lines = request.headers.iter().map(|(name, value)| format!("{name}: {}", text(value)));
    lines.collect::<Vec<_>>().join("; ")
}

fn kind(message: &Message) -> &'static str {
    match message.kind() {
        Kind::Binary => "binary",
        _ => "text",
    }
}

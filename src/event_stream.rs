//! Event streams (HTML, 9.2, "Server-sent events"): what a client is told over HTTP, as lines of text.
//!
//! Pure functions of bytes. An event has the fields `id`, `retry`, `event` and `data`, in this order; each may be
//! missing, and `data` may have several lines. An empty line ends it.
//!
//! Invariant: a message cannot end its event, nor begin another field: each of its lines begins with `data: `. So an
//! empty line is the end of an event, wherever the stream is cut.

use std::io::Write;

use crate::{frame::Kind, json, position::Position};

/// The fields of an event beside its data.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Fields<'a> {
    /// The client comes back with the last one that it has received. Left out if it is none: an empty one would make
    /// the client forget it.
    pub(crate) id: Position,
    /// After how many milliseconds the client comes back when the stream ends.
    pub(crate) retry_ms: Option<u64>,
    /// What the page listens to; nothing for `message`.
    pub(crate) name: Option<&'a str>,
}

/// Appends an event whose data is one line, which the closure appends.
pub(crate) fn append_event(
    buffer: &mut Vec<u8>,
    fields: Fields<'_>,
    data: impl FnOnce(&mut Vec<u8>),
) {
    append_fields(buffer, fields);
    buffer.extend_from_slice(b"data: ");
    data(buffer);
    buffer.extend_from_slice(b"\n\n");
}

/// Appends what has no data: the client notes the fields, and dispatches no event.
pub(crate) fn append_silent(buffer: &mut Vec<u8>, fields: Fields<'_>) {
    append_fields(buffer, fields);
    buffer.push(b'\n');
}

/// How much longer than twice its length an event may be as which a text is sent, in bytes.
const MAX_GROWTH: usize = 64 * 1024;

/// Appends a message. A text is the data, a line for each of its lines; what is binary is an event `binary`, in
/// base64. So is a text whose lines would make it too long, as an event `text`: each line costs seven bytes, and a
/// client that is slower than that comes back for the same text again and again.
pub(crate) fn append_message(buffer: &mut Vec<u8>, id: Position, kind: Kind, payload: &[u8]) {
    let in_base64 = |buffer: &mut _, name| {
        let fields = Fields { id, name: Some(name), ..Fields::default() };
        append_event(buffer, fields, |buffer| json::append_base64(buffer, payload));
    };
    if kind == Kind::Binary {
        return in_base64(buffer, "binary");
    }
    let start = buffer.len();
    let most = payload.len().saturating_mul(2).saturating_add(MAX_GROWTH);
    append_fields(buffer, Fields { id, ..Fields::default() });
    let mut rest = payload;
    loop {
        if buffer.len() - start > most {
            buffer.truncate(start);
            return in_base64(buffer, "text");
        }
        // One space, which the client removes: else it would remove the text's own.
        buffer.extend_from_slice(b"data: ");
        let Some(end) = line_end(rest) else { break };
        buffer.extend_from_slice(&rest[..end]);
        buffer.push(b'\n');
        // HTML, 9.2.5: a line ends with CR, LF, or both.
        let is_pair = rest[end..].starts_with(b"\r\n");
        rest = &rest[end + 1 + usize::from(is_pair)..];
    }
    buffer.extend_from_slice(rest);
    buffer.extend_from_slice(b"\n\n");
}

fn append_fields(buffer: &mut Vec<u8>, Fields { id, retry_ms, name }: Fields<'_>) {
    // Writing to a vector does not fail.
    if !id.is_none() {
        let _ = writeln!(buffer, "id: {id}");
    }
    if let Some(retry_ms) = retry_ms {
        let _ = writeln!(buffer, "retry: {retry_ms}");
    }
    if let Some(name) = name {
        let _ = writeln!(buffer, "event: {name}");
    }
}

fn line_end(text: &[u8]) -> Option<usize> {
    let is_end = |byte: u8| (byte == b'\n') | (byte == b'\r');
    // Most messages are one line. It looks at whole blocks, so that the compiler makes vector code of the loop.
    let has_end = |block: &[u8]| block.iter().fold(false, |found, &byte| found | is_end(byte));
    let block = text.chunks(64).position(has_end)? * 64;
    text[block..].iter().position(|&byte| is_end(byte)).map(|at| block + at)
}

/// Returns the first end of an event in whole events at or after a place in them.
pub(crate) fn end_at(events: &[u8], place: usize) -> usize {
    if place == 0 || events[..place].ends_with(b"\n\n") {
        return place;
    }
    let from = place - 1;
    let end = events[from..].windows(2).position(|pair| pair == b"\n\n");
    end.map_or(events.len(), |at| from + at + 2)
}

/// Returns how many messages whole events hold: of a room, to everyone, and to this client. `are_objects` says whether
/// what has no name is an object that says what it is.
pub(crate) fn count_messages(mut events: &[u8], are_objects: bool) -> u64 {
    let mut count = 0;
    while !events.is_empty() {
        let (first, rest) = events.split_at(end_at(events, 1));
        count += u64::from(is_message(first, are_objects));
        events = rest;
    }
    count
}

fn is_message(event: &[u8], are_objects: bool) -> bool {
    let mut lines = event.split(|byte| *byte == b'\n');
    let line = lines.find(|line| !line.starts_with(b"id: ") && !line.starts_with(b"retry: "));
    match line.map(|line| (line, line.strip_prefix(b"data: "))) {
        Some((_, Some(data))) => !are_objects || json::is_message(data),
        Some((line, None)) => matches!(line, b"event: binary" | b"event: text"),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event_of(text: &str) -> Vec<u8> {
        let mut buffer = b"before".to_vec();
        append_message(&mut buffer, Position::NONE, Kind::Text, text.as_bytes());
        buffer.split_off("before".len())
    }

    #[test]
    fn the_end_of_an_event_is_found_from_each_place_in_it() {
        let events = b"data: a\n\nid: 1-2\ndata: \ndata: b\n\nretry: 5\n\n";
        let ends: Vec<_> = (0..=events.len())
            .filter(|end| *end == 0 || events[..*end].ends_with(b"\n\n"))
            .collect();
        assert_eq!(ends.len(), 4);
        for place in 0..=events.len() {
            let next = ends.iter().find(|end| **end >= place);
            assert_eq!(Some(&end_at(events, place)), next, "{place}");
        }
    }

    #[test]
    fn a_text_of_very_many_lines_comes_in_base64_and_any_other_as_lines() {
        for text in ["\n".repeat(1 << 20), "\r".repeat(20_000), "ab\r\n".repeat(100_000)] {
            let event = event_of(&text);
            let data = event.strip_prefix(b"event: text\ndata: ").unwrap();
            let mut expected = Vec::new();
            json::append_base64(&mut expected, text.as_bytes());
            expected.extend_from_slice(b"\n\n");
            assert!(data == expected);
            assert_eq!(count_messages(&event, false), 1);
        }
        for text in
            ["\n".repeat(10_000), "12 bytes each".repeat(100_000), "a line\n".repeat(1 << 17)]
        {
            let event = event_of(&text);
            assert!(event.starts_with(b"data: "));
            assert!(event.len() <= 2 * text.len() + MAX_GROWTH + 16, "{}", event.len());
        }
    }
}

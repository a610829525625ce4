//! Reads the head of a message back from one of the server's own frames.

use crate::{frame, position::Position};

/// Which message a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MessageHead<'a> {
    /// A message of a room.
    Room {
        /// The room, as raw JSON: with its quotes and escapes.
        token: &'a str,
        /// None if the room has no history, or the message was published without.
        position: Position,
    },
    /// A broadcast or a direct message.
    Other,
}

/// Returns which message one of the server's own whole frames is; `None` if it is another object.
pub(crate) fn parse_message(frame: &[u8]) -> Option<MessageHead<'_>> {
    let object = frame::text_payload(frame)?;
    if !is_message(object) {
        return None;
    }
    let Some(room) = object.strip_prefix(br#"{"type":"message","room":"#) else {
        return Some(MessageHead::Other);
    };
    let (token, rest) = room.split_at(string_len(room)?);
    let position = match rest.strip_prefix(br#","position":""#) {
        Some(position) => {
            let end = position.iter().position(|byte| *byte == b'"')?;
            str::from_utf8(&position[..end]).ok()?.parse().ok()?
        }
        None => Position::NONE,
    };
    Some(MessageHead::Room { token: str::from_utf8(token).ok()?, position })
}

/// Whether one of the server's own objects is a message: of a room, to everyone, or to this client.
pub(crate) fn is_message(object: &[u8]) -> bool {
    let kinds: [&[u8]; 3] = [br#"message","#, br#"broadcast","#, br#"direct","#];
    let kind = object.strip_prefix(br#"{"type":""#);
    kind.is_some_and(|kind| kinds.iter().any(|message| kind.starts_with(message)))
}

/// Whether one of the server's own whole frames says that the client is in a room.
pub(crate) fn is_entered(frame: &[u8]) -> bool {
    let object = frame::text_payload(frame);
    object.is_some_and(|object| object.starts_with(br#"{"type":"entered","#))
}

/// Whether one of the server's own whole frames is a signal.
pub(crate) fn is_signal(frame: &[u8]) -> bool {
    let object = frame::text_payload(frame);
    object.is_some_and(|object| object.starts_with(br#"{"type":"signal","#))
}

/// Returns the length of the string that JSON begins with, with its quotes.
fn string_len(json: &[u8]) -> Option<usize> {
    let mut at = json.starts_with(b"\"").then_some(1)?;
    loop {
        match json.get(at)? {
            b'"' => return Some(at + 1),
            // An escape has no quote behind its first two bytes.
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

//! Writes one object, field by field.

use std::io::Write;

use super::text;
use crate::{frame::Kind, position::Position};

/// An object that is being appended to a buffer.
pub(super) struct Writer<'b> {
    buffer: &'b mut Vec<u8>,
}

/// Appends one object.
pub(super) fn append_object(
    buffer: &mut Vec<u8>,
    kind: &str,
    fields: impl FnOnce(&mut Writer<'_>),
) {
    buffer.extend_from_slice(br#"{"type":""#);
    buffer.extend_from_slice(kind.as_bytes());
    buffer.push(b'"');
    fields(&mut Writer { buffer });
    buffer.push(b'}');
}

/// Appends one object that does not say what it is.
pub(super) fn append_untyped(buffer: &mut Vec<u8>, fields: impl FnOnce(&mut Writer<'_>)) {
    let start = buffer.len();
    fields(&mut Writer { buffer });
    buffer.push(b'}');
    // In place of the comma before the first field.
    buffer[start] = b'{';
}

impl Writer<'_> {
    fn name(&mut self, name: &str) {
        self.buffer.extend_from_slice(br#",""#);
        self.buffer.extend_from_slice(name.as_bytes());
        self.buffer.extend_from_slice(br#"":"#);
    }

    /// A value that is JSON already.
    pub(super) fn raw(&mut self, name: &str, token: &str) {
        self.name(name);
        self.buffer.extend_from_slice(token.as_bytes());
    }

    pub(super) fn string(&mut self, name: &str, value: &str) {
        self.name(name);
        text::append_string(self.buffer, value);
    }

    pub(super) fn bool(&mut self, name: &str, value: bool) {
        self.raw(name, if value { "true" } else { "false" });
    }

    pub(super) fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        self.display(value);
    }

    /// A position; no field if there is none.
    pub(super) fn position(&mut self, name: &str, value: Position) {
        if !value.is_none() {
            self.name(name);
            self.buffer.push(b'"');
            self.display(value);
            self.buffer.push(b'"');
        }
    }

    /// Milliseconds as seconds, with a fraction only if they are no whole number of seconds.
    pub(super) fn seconds(&mut self, name: &str, ms: u64) {
        self.number(name, ms / 1_000);
        let fraction = format!("{:03}", ms % 1_000);
        let digits = fraction.trim_end_matches('0');
        if !digits.is_empty() {
            self.buffer.push(b'.');
            self.buffer.extend_from_slice(digits.as_bytes());
        }
    }

    /// The fields of a payload.
    pub(super) fn payload(&mut self, kind: Kind, payload: &[u8]) {
        text::append_payload(self.buffer, kind, payload);
    }

    /// An array; the closure appends its elements with their commas.
    pub(super) fn array(&mut self, name: &str, elements: impl FnOnce(&mut Vec<u8>)) {
        self.name(name);
        self.buffer.push(b'[');
        elements(self.buffer);
        self.buffer.push(b']');
    }

    fn display(&mut self, value: impl std::fmt::Display) {
        // Writing to a vector does not fail.
        let written = write!(self.buffer, "{value}");
        debug_assert!(written.is_ok());
    }
}

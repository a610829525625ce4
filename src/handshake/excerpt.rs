//! What an answer or a log line repeats of a request: bounded, and printable whatever it was.

/// How many bytes are repeated.
const MAX: usize = 100;

/// Returns the first bytes of a part of a request, and dots in place of the others. What is not printable ASCII is escaped.
pub(super) fn excerpt(part: &[u8]) -> String {
    let (start, dots) = match part.get(..MAX) {
        Some(start) if part.len() > MAX => (start, "..."),
        _ => (part, ""),
    };
    format!("{}{dots}", start.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_bounded_and_printable() {
        assert_eq!(excerpt(b"http://a.example"), "http://a.example");
        assert_eq!(excerpt(b"\x1b[31m\r\n\xff\""), "\\x1b[31m\\r\\n\\xff\\\"");
        assert_eq!(excerpt(&[b'x'; MAX]), "x".repeat(MAX));
        assert_eq!(excerpt(&[b'x'; MAX + 1]), "x".repeat(MAX) + "...");
        assert_eq!(excerpt(b""), "");
    }
}

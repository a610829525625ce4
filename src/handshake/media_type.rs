//! Which media types a client accepts (RFC 9110, 12.5.1).

/// Whether the value of an `Accept` header names a media type with a weight above 0. Ranges such as `*/*` do not count.
pub(super) fn is_wanted(accept: &[u8], media_type: &str) -> bool {
    let is_named = |element: &[u8]| {
        let mut parts = split(element, b';');
        let name = parts.next().unwrap_or_default().trim_ascii();
        name.eq_ignore_ascii_case(media_type.as_bytes()) && !parts.any(is_refusal)
    };
    split(accept, b',').any(is_named)
}

/// Whether a parameter is a weight of 0, or a weight that is none.
fn is_refusal(parameter: &[u8]) -> bool {
    let mut parts = parameter.splitn(2, |byte| *byte == b'=');
    let is_weight = parts.next().is_some_and(|name| name.trim_ascii().eq_ignore_ascii_case(b"q"));
    is_weight && !parts.next().is_some_and(|value| is_above_zero(value.trim_ascii()))
}

/// Whether a text is a weight above 0 (RFC 9110, 12.4.2): at most three digits behind the point.
fn is_above_zero(weight: &[u8]) -> bool {
    let (whole, digits) = match weight {
        [whole] => (*whole, &[][..]),
        [whole, b'.', digits @ ..] if digits.len() <= 3 => (*whole, digits),
        _ => return false,
    };
    match whole {
        b'1' => digits.iter().all(|digit| *digit == b'0'),
        b'0' => digits.iter().all(u8::is_ascii_digit) && digits.iter().any(|digit| *digit != b'0'),
        _ => false,
    }
}

/// Splits a text at a separator, but not within quotes (RFC 9110, 5.6.4).
fn split(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.split(move |byte| {
        if is_escaped {
            is_escaped = false;
            return false;
        }
        match byte {
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            _ => return *byte == separator && !is_quoted,
        }
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_is_wanted_if_it_is_named_with_a_weight_above_zero() {
        for accept in [
            "text/event-stream",
            "TEXT/Event-Stream",
            " text/html , text/event-stream;q=0.001",
            "text/event-stream; charset=utf-8 ; Q = 1.000",
            "a/b;c=\"x,\\\",y\", text/event-stream;q=1",
            "text/event-stream;q=0, text/event-stream",
            "text/event-stream;a=\";q=0\"",
        ] {
            assert!(is_wanted(accept.as_bytes(), "text/event-stream"), "{accept}");
        }
        for accept in [
            "",
            "*/*",
            "text/*",
            "text/event-stream-2",
            "text/event-stream;q=0",
            "text/event-stream;q=0.000",
            "text/event-stream;charset=utf-8;q=0.0",
            "text/event-stream;q=",
            "text/event-stream;q",
            "text/event-stream;q=2",
            "text/event-stream;q=1.001",
            "text/event-stream;q=0.0001",
            "text/event-stream;q=-1",
            "a/b;c=\"text/event-stream, text/event-stream\"",
            "a/b;c=\"x, text/event-stream",
        ] {
            assert!(!is_wanted(accept.as_bytes(), "text/event-stream"), "{accept}");
        }
    }
}

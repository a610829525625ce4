//! The path of a request, and the option `base_path`.

/// Returns a path without the base path in front of it; `None` if it is outside. The base path itself is `/`.
pub(super) fn inside<'a>(base: &str, path: &'a str) -> Option<&'a str> {
    match path.strip_prefix(base)? {
        "" if !base.is_empty() => Some("/"),
        inside if inside.starts_with('/') || base.is_empty() => Some(inside),
        _ => None,
    }
}

/// The check of a balancer whether the server is alive.
pub(super) const HEALTH: &str = "/health";
/// The check of a balancer whether the server takes clients.
pub(super) const READY: &str = "/ready";

/// Returns the path of a page. A balancer's checks ask the server itself, whatever path it serves: so these are there
/// without the base path, too.
pub(super) fn page<'a>(base: &str, path: &'a str) -> Option<&'a str> {
    if matches!(path, HEALTH | READY) { Some(path) } else { inside(base, path) }
}

/// Whether a path is that of a balancer's check.
pub(super) fn is_check(base: &str, path: &str) -> bool {
    matches!(page(base, path), Some(HEALTH | READY))
}

/// Whether a path has a `%` that no two hexadecimal digits follow (RFC 3986, 2.1).
pub(super) fn is_badly_encoded(path: &str) -> bool {
    let mut parts = path.split('%').skip(1);
    parts.any(|part| !matches!(part.as_bytes(), [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_inside_of_the_base_path_or_not() {
        for (base, path, found) in [
            ("", "/", Some("/")),
            ("", "/rooms/a", Some("/rooms/a")),
            ("", "*", Some("*")),
            ("/chat", "/chat", Some("/")),
            ("/chat", "/chat/", Some("/")),
            ("/chat", "/chat/rooms/a", Some("/rooms/a")),
            ("/chat", "/chat//rooms/a", Some("//rooms/a")),
            ("/chat", "/chatter", None),
            ("/chat", "/", None),
            ("/chat", "/Chat/", None),
            ("/a/b", "/a/b/rooms/c", Some("/rooms/c")),
            ("/a/b", "/a", None),
        ] {
            assert_eq!(inside(base, path), found, "{base} {path}");
        }
        for check in [HEALTH, READY] {
            assert!(is_check("/chat", check));
            assert!(is_check("/chat", &format!("/chat{check}")));
            assert!(!is_check("/chat", &format!("/chat/chat{check}")));
            assert!(!is_check("", &format!("/chat{check}")));
            assert!(is_check("", check));
        }
    }

    #[test]
    fn a_percent_sign_begins_two_hexadecimal_digits() {
        for good in ["", "/a", "%20", "/%2f%C3", "%aF%25zz"] {
            assert!(!is_badly_encoded(good), "{good}");
        }
        for bad in ["%", "%2", "a%", "%zz", "%2g", "%g2", "%20%", "%%20", "% 20"] {
            assert!(is_badly_encoded(bad), "{bad}");
        }
    }
}

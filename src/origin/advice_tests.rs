//! What a refusal says to write is taken, whatever was written before.

use super::{Pattern, without_user};

/// The values that a reason tells to write or to add.
fn advised(reason: &str) -> Vec<&str> {
    let Some((_, rest)) = reason.split_once(": write ").or(reason.split_once(": add ")) else {
        return Vec::new();
    };
    rest.split(" or ").flat_map(|text| text.split(" and ")).collect()
}

/// Checks what is advised in place of a text. Returns how many values are.
fn check(text: &str) -> usize {
    let Err(reason) = Pattern::parse(text) else { return 0 };
    let advised = advised(&reason);
    assert_eq!(
        reason.matches("write ").count() + reason.matches("add https").count(),
        usize::from(!advised.is_empty()),
        "{text}: {reason}"
    );
    for value in &advised {
        assert!(Pattern::parse(value).is_ok(), "{text}: {reason}");
    }
    advised.len()
}

/// A generator of the numbers of a seed (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or_default() % end
    }
}

const PIECES: [&str; 40] = [
    "https",
    "http",
    "ws",
    "wss",
    "file",
    "app",
    "null",
    "about",
    "data",
    ":",
    "://",
    ":/",
    "/",
    "//",
    "\\",
    "?",
    "#",
    "@",
    "*",
    "*.",
    ".",
    "..",
    "a",
    "app.example",
    "localhost",
    "80",
    ":443",
    ":*",
    ":0",
    ":65536",
    "127.1",
    "127.0.0.1",
    "0x7f",
    "[::1]",
    "[",
    "]",
    "::1",
    "-",
    "%",
    "\u{fc}",
];

#[test]
fn what_a_refusal_says_to_write_is_taken() {
    let mut random = Random(0x5EED);
    let mut count = 0;
    for _ in 0..50_000 {
        let len = 1 + random.below(7);
        let text: String = (0..len).map(|_| PIECES[random.below(PIECES.len())]).collect();
        count += check(&text);
        count += check(&format!("https://{text}"));
    }
    assert!(count > 2_500, "{count}");
}

#[test]
fn neither_an_error_nor_its_reason_repeats_a_password() {
    for text in [
        "https://user:S3CRET@a.example",
        "https://user:S3CRET@a.example/",
        "https://user:x/S3CRET@a.example",
        "https://user:S3CRET/x@a.example:80x",
        "https://user:x@S3CRET@a.example",
        "https://S3CRET?x@a.example",
        "user:S3CRET@a.example",
        "user:S3CRET/x@a.example",
        "S3CRET:x@https://a.example",
        "S3CRET@x://y@a.example",
        "https:user:S3CRET@a.example",
        "https:/user:S3CRET@a.example",
        "*://user:S3CRET@a.example",
        "ws://user:x://S3CRET@a.example",
    ] {
        let said = format!("{:?}: {:?}", without_user(text), Pattern::parse(text));
        assert!(!said.contains("S3CRET"), "{said}");
    }
    for (text, shown) in [
        ("https://u:p@a.example/x", "https://...@a.example/x"),
        ("u:p@a", "...@a"),
        ("https://a.example/", "https://a.example/"),
    ] {
        assert_eq!(without_user(text), shown);
    }
}

#[test]
fn what_no_browser_sends_is_refused() {
    for text in [
        "file://host",
        "file://a:80",
        "file://:80",
        "http://127.1:3000",
        "http://2130706433",
        "https://0x7f.1",
        "https://1.2.3.256",
        "https://127.0.0.1.",
        "https://0x",
        "https://*.0x1",
        "https://*.1.",
        "https://a..example",
        "https://*.a..example",
        "https://a.example..",
        "https://.",
        "https://-",
    ] {
        assert!(Pattern::parse(text).is_err(), "{text}");
    }
    for text in [
        "https://127.0.0.1",
        "https://a.0xg",
        "https://1.a",
        "https://a.example.",
        "app://127.1",
        "app://-",
    ] {
        assert!(Pattern::parse(text).is_ok(), "{text}");
    }
}

//! The option `origin`: which values it takes, and what each mistake is answered.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod child;
mod peer;

use chat::{Config, Error};
use child::program;

/// Why a value is refused.
fn reason(origin: &str) -> String {
    let error = Config::new().listen("127.0.0.1:0").origin(origin).start().unwrap_err();
    let Error::InvalidConfig(problems) = error else { panic!("{error:?}") };
    let [problem] = &problems[..] else { panic!("{problems:?}") };
    assert_eq!(problem.option, "origin");
    // The name and password of a user are left out.
    let shown = match (origin.split_once("://"), origin.split_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://...@{rest}"),
        _ => origin.to_owned(),
    };
    let prefix = format!("{shown:?} is not an origin: ");
    problem.text.strip_prefix(&prefix).unwrap_or_else(|| panic!("{}", problem.text)).to_owned()
}

#[test]
fn a_value_that_is_not_an_origin_is_refused_at_the_start_with_the_reason() {
    for (origin, says) in [
        ("", "an origin is scheme://host or scheme://host:port, or *"),
        ("/", "an origin is scheme://host or scheme://host:port, or *"),
        ("https://a.example,b.example", "add each origin by itself, without commas and spaces"),
        ("https://a.example https://b.example", "add each origin by itself"),
        ("https://a.example;b.example", "add each origin by itself"),
        (" https://a.example", "add each origin by itself, without commas and spaces"),
        ("https://a.example\0", "add each origin by itself"),
        ("app.example", "the scheme is missing: write https://app.example or http://app.example"),
        (
            "localhost:3000",
            "the scheme is missing: write https://localhost:3000 or http://localhost:3000",
        ),
        ("//app.example", "the scheme is missing: write https://app.example"),
        ("app.example/chat", "the scheme is missing: write https://app.example or"),
        (
            "*.app.example",
            "the scheme is missing: write https://*.app.example or http://*.app.example",
        ),
        ("*://app.example", "* is no scheme: add https://app.example and http://app.example"),
        ("h ttp://app.example", "add each origin by itself"),
        (
            "\"http://app.example\"",
            "\"\\\"http\" is no scheme: most origins begin with https:// or http://",
        ),
        ("://app.example", "\"\" is no scheme"),
        (
            "ws://localhost:9001",
            "the page's address that counts, not the chat's: write http://localhost:9001",
        ),
        ("wss://app.example/rooms/x", "not the chat's: write https://app.example"),
        ("https://app.example/", "leave out the slash at the end: write https://app.example"),
        ("https://app.example/chat", "leave out the path: write https://app.example"),
        ("https://app.example:8443/a?b#c", "leave out the path: write https://app.example:8443"),
        ("https://app.example?x=1", "leave out the query: write https://app.example"),
        ("https://app.example#x", "leave out the fragment: write https://app.example"),
        ("https://app.example\\x", "leave out the path: write https://app.example"),
        ("file:///home/index.html", "leave out the path: write file://"),
        ("file:/home/index.html", "two slashes follow the scheme: write file://"),
        ("file://host/index.html", "the origin of a file has no host: write file://"),
        ("https:/a.example", "two slashes follow the scheme: write https://a.example"),
        ("https:a.example/", "two slashes follow the scheme: write https://a.example"),
        ("wss:a.example", "not the chat's: write https://a.example"),
        ("https:", "the host is missing"),
        ("about:blank", "no origin of its own, and browsers may send null: write null"),
        ("data:", "browsers may send null: write null"),
        ("null:80", "null has no port: write null"),
        ("https://user@app.example", "leave out the user name: write https://app.example"),
        (
            "https://user:secret@app.example/",
            "leave out the slash at the end: write https://app.example",
        ),
        ("https://user:x/secret@app.example", "leave out the user name and the path"),
        ("https://", "the host is missing"),
        ("https:///chat", "the host is missing"),
        ("https://:8443", "the host is missing"),
        ("https://app.example:", "no port follows the colon: write https://app.example"),
        ("https://app.example:65536", "port 65536 does not exist: there are 1 to 65535, and *"),
        ("https://app.example:0", "port 0 does not exist"),
        ("https://app.example:99999999999999999999", "port 99999999999999999999 does not exist"),
        ("https://app.example:80a", "\"80a\" is no port: it is a number from 1 to 65535, or *"),
        ("https://app.example:+80", "\"+80\" is no port"),
        ("http://localhost:30*", "\"30*\" is no port"),
        ("http://::1:9000", "an IPv6 address is in brackets, as in http://[::1]:9001"),
        ("http://[::1", "an IPv6 address is in brackets"),
        ("http://[localhost]:80", "[localhost] is no IPv6 address in brackets"),
        ("http://[fe80::1%eth0]", "without a zone"),
        ("http://[::1]x:80", "[::1]x is no IPv6 address in brackets"),
        (
            "https://b\u{fc}cher.example",
            "in punycode (xn--...): the page's console shows it as location.origin",
        ),
        ("https://app_%41.example", "\"%\" cannot be in a host"),
        ("https://*", "* stands for the front of a host, as in https://*.app.example"),
        ("https://*.", "* stands for the front of a host"),
        ("https://*:8443", "* stands for the front of a host"),
        ("https://app.*", "* stands for the front of a host"),
        ("https://a*.example", "* stands for the front of a host"),
        ("https://*app.example", "* stands for the front of a host"),
        ("https://*.*.example", "* stands for the front of a host"),
        ("https://www.*.example", "* stands for the front of a host"),
        ("https://.app.example", "a host begins with no dot: write https://*.app.example"),
        ("https://.app.example:80", "no dot: write https://*.app.example:80"),
        ("http://*.0.0.1", "an address has no subdomains"),
        ("http://*.0x1", "an address has no subdomains"),
        ("http://127.1:3000", "an IPv4 address as four decimal numbers, such as 127.0.0.1"),
        ("http://2130706433/", "an IPv4 address as four decimal numbers"),
        ("https://a..example", "no name between two dots"),
        ("https://-", "a host has a letter or a digit"),
        ("https://a.example:443:443", "there is one port: write https://a.example:443"),
        ("*:*", "* stands for the front of a host"),
        ("**", "* stands for the front of a host"),
    ] {
        let reason = reason(origin);
        assert!(reason.contains(says), "{origin}: {says:?} in {reason:?}");
        // What the text says to write is taken, or leads to the next mistake of several.
        if let Some((_, advised)) = reason.split_once("write ")
            && !advised.contains(['*', ' '])
        {
            Config::new().listen("127.0.0.1:0").origin(advised).start().unwrap();
        }
    }
}

#[test]
fn the_values_that_the_manual_names_are_taken() {
    let mut config = Config::new();
    config.listen("127.0.0.1:0");
    for origin in [
        "https://app.example",
        "https://app.example:443",
        "https://app.example:8443",
        "https://*.app.example",
        "https://*.app.example:*",
        "https://app.example.",
        "https://*.app.example.",
        "http://localhost:*",
        "http://*.localhost:*",
        "http://[::1]:9000",
        "http://[::1]:*",
        "http://my_service:80",
        "https://xn--bcher-kva.example",
        "HTTPS://APP.EXAMPLE",
        "file://",
        "null",
        "app://localhost",
        "app://.",
        "capacitor://localhost",
        "chrome-extension://abcdefghijklmnop",
        "*",
    ] {
        config.origin(origin);
    }
    config.start().unwrap();
}

#[test]
fn each_wrong_origin_is_named() {
    let error =
        Config::new().origin("a").origin("https://b").origin("https://c/").start().unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("origin: \"a\" is") && text.contains("; origin: \"https://c/\" is"),
        "{text}"
    );
    assert!(!text.contains("\"https://b\""), "{text}");
}

#[test]
fn the_program_refuses_them_in_one_line_with_status_2() {
    for (origin, says) in [
        ("https://a.example,b.example", "add each origin by itself"),
        ("https://a.example:65536", "port 65536 does not exist"),
        ("https://a.example/chat", "leave out the path: write https://a.example"),
        ("https://user:secret@a.example", "leave out the user name: write https://a.example"),
    ] {
        let output = program(&["--listen", "127.0.0.1:0", "--origin", origin]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        let shown = origin.replace("user:secret", "...");
        let line = format!("chat-server: --origin: {shown:?} is not an origin: {says}");
        assert!(said.starts_with(&line) && said.lines().count() == 1, "{said}");
    }
}

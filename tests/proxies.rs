//! Behind a real nginx: each configuration that is not right yet is answered with what to change, and the
//! configuration that the answer names works.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod peer;
mod proxy;

use std::{fs, net::SocketAddr};

use chat::Kind;
use peer::{
    KEY, Peer, Response,
    host::{server, server_with},
};
use proxy::nginx::Nginx;

/// The address under which browsers know nginx: its port may be another one, as behind a container's.
const HOST: &str = "chat.example:8080";

/// Connects as a browser does, from a page that nginx serves.
fn connect(nginx: &Nginx, path: &str) -> (Peer, Response) {
    let mut peer = Peer::connect(nginx.addr);
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Origin: http://{HOST}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
    );
    peer.write(head.as_bytes());
    let response = peer.response();
    (peer, response)
}

/// The answer to a connection that is refused.
fn refused(nginx: &Nginx, path: &str, status: u16, named: &[&str]) -> String {
    let (_, response) = connect(nginx, path);
    assert_eq!(response.status, status, "{path}: {response:?}");
    for name in named {
        assert!(response.body.contains(name), "{path}: {name} in {}", response.body);
    }
    response.body
}

/// What an answer says about nginx.
fn advice(answer: &str) -> &str {
    answer.split_once("(nginx: ").unwrap().1.trim_end().trim_end_matches(')')
}

fn location(server: SocketAddr, directives: &str) -> String {
    format!("location / {{ proxy_pass http://{server}; {directives} }}")
}

/// Checks that messages pass in both directions.
fn is_served(nginx: &Nginx, path: &str, server: &chat::Server, room: &str) {
    let (mut peer, response) = connect(nginx, path);
    assert_eq!(response.status, 101, "{path}: {response:?}");
    peer.is_served();
    server.publish(room, Kind::Text, b"from the host").unwrap();
    assert_eq!(peer.text(), "from the host");
    peer.leave();
}

/// What nginx needs in order to pass WebSocket on.
const WEBSOCKET: &str = "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; \
    proxy_set_header Connection upgrade;";

#[test]
fn the_configuration_of_the_readme_works() {
    let server = server();
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let (_, block) = readme.split_once("```nginx\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let addr = server.local_addr().to_string();
    assert!(block.contains("127.0.0.1:9001"));
    let nginx = Nginx::start(&block.replace("127.0.0.1:9001", &addr));
    is_served(&nginx, "/rooms/tea", &server, "tea");
    let under_a_path = block.replace("location / ", "location /chat/ ");
    let nginx = Nginx::start(&under_a_path.replace("127.0.0.1:9001", &format!("{addr}/")));
    is_served(&nginx, "/chat/rooms/tea", &server, "tea");
}

#[test]
fn a_bare_proxy_pass_is_told_what_passes_websocket_on_and_that_works() {
    let server = server();
    let nginx = Nginx::start(&location(server.local_addr(), ""));
    let mut advised = String::new();
    for path in ["/", "/rooms/tea"] {
        let names = ["without the header Upgrade", "a proxy in front of this server has removed"];
        advised = advice(&refused(&nginx, path, 426, &names)).to_owned();
    }
    let nginx = Nginx::start(&location(server.local_addr(), &advised));
    is_served(&nginx, "/", &server, "lobby");
    is_served(&nginx, "/rooms/tea", &server, "tea");
}

#[test]
fn half_of_what_websocket_needs_is_answered_with_the_other_half() {
    let server = server();
    let addr = server.local_addr();
    let [version, upgrade, connection] = [
        "proxy_http_version 1.1;",
        "proxy_set_header Upgrade $http_upgrade;",
        "proxy_set_header Connection upgrade;",
    ];
    for (directives, status, named) in [
        ([upgrade, ""], 400, "as HTTP/1.0, which many proxies"),
        ([upgrade, connection], 400, "as HTTP/1.0, which many proxies"),
        ([version, upgrade], 426, "without Upgrade in the header Connection"),
        ([version, connection], 426, "without the header Upgrade"),
    ] {
        let nginx = Nginx::start(&location(addr, &directives.concat()));
        refused(&nginx, "/", status, &[named, version, upgrade, connection]);
    }
}

#[test]
fn without_the_host_the_page_is_named_with_both_remedies_and_either_works() {
    let server = server();
    let admitting = server_with(|config| _ = config.origin(format!("http://{HOST}")));
    let (addr, other) = (server.local_addr(), admitting.local_addr());
    // Without a header of its own, nginx sends the host and port of its proxy_pass; $host has no port.
    for (host, seen) in [("", &*addr.to_string()), ("proxy_set_header Host $host;", "chat.example")]
    {
        let directives = format!("{WEBSOCKET} {host}");
        let nginx = Nginx::start(&location(addr, &directives));
        let names = [
            &*format!("pages of http://{HOST} (Origin)"),
            &*format!("to {seen} (Host)"),
            &*format!("option origin (for chat-server: --origin http://{HOST})"),
        ];
        let answer = refused(&nginx, "/rooms/tea", 403, &names);
        let directive = advice(&answer);
        let nginx = Nginx::start(&location(addr, &format!("{WEBSOCKET} {directive};")));
        is_served(&nginx, "/rooms/tea", &server, "tea");
        let nginx = Nginx::start(&location(other, &directives));
        is_served(&nginx, "/", &admitting, "lobby");
    }
}

#[test]
fn under_a_path_the_answer_names_the_path_and_how_to_remove_it() {
    let server = server();
    let addr = server.local_addr();
    let directives = format!("{WEBSOCKET} proxy_set_header Host $http_host;");
    let mut advised = String::new();
    for (location, path, seen) in [
        ("location /chat/ { proxy_pass http://SERVER; DIRECTIVES }", "/chat/", "/chat/"),
        (
            "location /chat/ { proxy_pass http://SERVER; DIRECTIVES }",
            "/chat/rooms/tea",
            "/chat/rooms/tea",
        ),
        // One slash of two.
        (
            "location /chat { proxy_pass http://SERVER/; DIRECTIVES }",
            "/chat/rooms/tea",
            "//rooms/tea",
        ),
    ] {
        let location =
            location.replace("SERVER", &addr.to_string()).replace("DIRECTIVES", &directives);
        let nginx = Nginx::start(&location);
        let named = format!(
            "there is nothing at {seen}; connect by WebSocket, or for events, to / or /rooms/{{room}}"
        );
        advised = refused(&nginx, path, 404, &[&named, "has to remove that path"]);
        assert_eq!(
            advised.contains("location needs one at its end as well"),
            seen.starts_with("//"),
            "{advised}"
        );
    }
    // As the answer writes it, with the port of this server.
    let (location, _) = advice(&advised).split_once(", ").unwrap();
    let location = location
        .replace("127.0.0.1:9001", &addr.to_string())
        .replace("; }", &format!("; {directives} }}"));
    let nginx = Nginx::start(&location);
    is_served(&nginx, "/chat/", &server, "lobby");
    is_served(&nginx, "/chat/rooms/tea", &server, "tea");
}

#[test]
fn the_page_that_says_how_to_connect_is_right_behind_a_path() {
    let server = server();
    let nginx = Nginx::start(&format!(
        "location /chat/ {{ proxy_pass http://{}/; {WEBSOCKET} proxy_set_header Host $http_host; }}",
        server.local_addr()
    ));
    let mut peer = Peer::connect(nginx.addr);
    peer.write(format!("GET /chat/ HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes());
    let page = peer.response();
    assert_eq!(page.status, 200);
    for named in
        ["Behind a proxy, connect to the address of this page", "new WebSocket(location.href"]
    {
        assert!(page.body.contains(named), "{}", page.body);
    }
    // What the page's line connects to.
    is_served(&nginx, "/chat/", &server, "lobby");
}

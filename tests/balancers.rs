//! Behind balancers that check the server and keep connections to it: a real HAProxy, and a real nginx.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod peer;
mod proxy;

use std::{fs, thread, time::Duration};

use peer::{
    PATIENCE, Peer, eventually,
    host::{server, server_with},
};
use proxy::{haproxy::Checker, nginx::Nginx};

#[test]
fn haproxy_finds_the_server_up_however_it_asks() {
    let server = server();
    for directives in [
        // OPTIONS / HTTP/1.0, without Host.
        "option httpchk",
        "option httpchk /health",
        "option httpchk GET /health",
        "option httpchk GET /ready HTTP/1.0",
        "option httpchk HEAD /health",
        "option httpchk GET /\n  http-check send hdr Connection close",
        "option httpchk\n  http-check send meth GET uri /ready ver HTTP/1.1 hdr Host chat.example",
        "option httpchk\n  http-check send meth OPTIONS uri * ver HTTP/1.1 hdr Host chat.example",
    ] {
        let haproxy = Checker::start(server.local_addr(), directives);
        let status =
            if directives.contains("GET") || directives.contains("HEAD") { "200" } else { "204" };
        haproxy.finds(true, "L7OK", status);
    }
    assert_eq!(server.stats().connections_refused, 0);
}

#[test]
fn haproxy_sends_no_client_to_a_server_that_is_full_or_stopping() {
    let server = server_with(|config| _ = config.max_connections(1));
    let ready = Checker::start(server.local_addr(), "option httpchk GET /ready");
    let alive = Checker::start(server.local_addr(), "option httpchk");
    ready.finds(true, "L7OK", "200");
    let mut client = Peer::join(server.local_addr(), "/");
    ready.finds(false, "L7STS", "503");
    alive.finds(true, "L7OK", "204");
    client.is_served();
    client.leave();
    ready.finds(true, "L7OK", "200");
    // The client does not answer the close frame: the server drains.
    let mut client = Peer::join(server.local_addr(), "/");
    thread::scope(|scope| {
        let stopping = scope.spawn(|| server.stop(PATIENCE));
        assert_eq!(client.closed().0, 1001);
        // No new connection is taken in a drain, so that another server can have the port.
        ready.finds(false, "L4CON", "");
        alive.finds(false, "L4CON", "");
        assert!(!stopping.is_finished());
        client.answer_close(1001);
        stopping.join().unwrap().unwrap();
    });
}

/// The addresses that are connected to a port of this machine now.
fn connected_to(port: u16) -> Vec<String> {
    const ESTABLISHED: &str = "01";
    let (table, port) = (fs::read_to_string("/proc/net/tcp").unwrap(), format!(":{port:04X}"));
    let lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let to_port = lines.filter(|line| line[1].ends_with(&port) && line[3] == ESTABLISHED);
    to_port.map(|line| line[2].to_owned()).collect()
}

#[test]
fn nginx_keeps_its_connections_and_upgrades_them() {
    let server = server();
    let addr = server.local_addr();
    let nginx = Nginx::start_with(
        &format!(
            "upstream chat {{ server {addr}; keepalive 4; }}\n\
             map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}"
        ),
        "location / { proxy_pass http://chat; proxy_http_version 1.1; \
         proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade; \
         proxy_set_header Host $http_host; }",
    );
    for round in 1..=3 {
        let mut first = None;
        for number in 1..=5 {
            let mut peer = Peer::connect(nginx.addr);
            peer.write(b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            assert_eq!(peer.response().status, 200);
            let used = connected_to(addr.port());
            assert_eq!(used.len(), 1, "round {round}, request {number}: {used:?}");
            assert_eq!(first.get_or_insert_with(|| used.clone()), &used, "it came on the same one");
        }
        // It takes the connection that it has kept.
        let mut client = Peer::join(nginx.addr, "/rooms/tea");
        client.is_served();
        eventually("it is a stream now", || server.stats().handshakes == 0);
        client.leave();
        eventually("it has left", || server.stats().connections == 0);
    }
    let stats = server.stats();
    assert_eq!((stats.connections_accepted, stats.connections_refused), (3, 0));
    assert_eq!(stats.requests_answered, 15);
    server.stop(Duration::ZERO).unwrap();
}

#[test]
fn a_balancer_that_leaves_the_path_in_requests_is_served_under_it() {
    let server = server_with(|config| _ = config.base_path("/chat"));
    let nginx = Nginx::start(&format!(
        "location /chat/ {{ proxy_pass http://{}; proxy_http_version 1.1; \
         proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; \
         proxy_set_header Host $http_host; }}",
        server.local_addr()
    ));
    for path in ["/chat/", "/chat/rooms/tea"] {
        let mut client = Peer::join(nginx.addr, path);
        client.is_served();
        client.leave();
    }
}

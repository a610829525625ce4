//! Starting: on any addresses, from any program, any number of servers.

mod peer;

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs},
    time::Duration,
};

use chat::{Config, Error, Event, Kind, Server};
use peer::{PATIENCE, Peer, host::server};

#[test]
fn an_address_in_use_is_an_error_that_names_it() {
    let first = server();
    let addr = first.local_addr().to_string();
    let mut config = Config::new();
    config.listen("127.0.0.1:0").listen(&*addr);
    let error = config.start().unwrap_err();
    assert!(error.to_string().contains(&addr), "{error}");
    let Error::Listen { addr: named, source } = error else { panic!("{error:?}") };
    assert_eq!((named, source.kind()), (addr, ErrorKind::AddrInUse));
    Peer::join(first.local_addr(), "/").is_served();

    let error = Config::new().listen("192.0.2.1:0").start().unwrap_err();
    let Error::Listen { source, .. } = error else { panic!("{error:?}") };
    assert_eq!(source.kind(), ErrorKind::AddrNotAvailable);
}

#[test]
fn one_server_listens_on_several_addresses_of_both_families() {
    let mut config = Config::new();
    config.listen("127.0.0.1:0").listen("[::1]:0").listen("127.0.0.2:0");
    let server = config.start().unwrap();
    let addrs = server.local_addrs().to_vec();
    assert_eq!(addrs[0], server.local_addr());
    assert!(addrs.iter().all(|addr| addr.port() != 0));
    let ips: Vec<_> = addrs.iter().map(|addr| addr.ip().to_string()).collect();
    assert_eq!(ips, ["127.0.0.1", "::1", "127.0.0.2"]);
    let mut clients: Vec<_> = addrs.iter().map(|addr| Peer::join(*addr, "/")).collect();
    for speaker in 0..clients.len() {
        clients[speaker].say("to all");
        for client in &mut clients {
            assert_eq!(client.text(), "to all");
        }
    }
    drop(clients);
    server.stop(PATIENCE).unwrap();
    for addr in addrs {
        TcpListener::bind(addr).expect("each port is free");
    }
}

/// The address of a server's loopback in a family, for a server that listens on every address.
fn loopback(ip: &str, server: &Server) -> SocketAddr {
    SocketAddr::new(ip.parse().expect("an address"), server.local_addr().port())
}

#[test]
fn every_address_of_ipv6_is_every_address_of_ipv4_too_unless_it_is_told_not_to() {
    for every in ["[::]:0", ":0"] {
        let server = Config::new().listen(every).event_queue(10).start().unwrap();
        for ip in ["127.0.0.1", "::1"] {
            let mut client = Peer::join(loopback(ip, &server), "/");
            client.is_served();
            let events = server.next_events(PATIENCE).unwrap();
            let Event::Connected { request, .. } = &events[0] else { panic!("{events:?}") };
            // Not an IPv4 address in the form of IPv6.
            assert_eq!(request.addr.ip().to_string(), ip);
            client.leave();
            while !matches!(
                server.next_events(PATIENCE).unwrap()[..],
                [.., Event::Disconnected { .. }]
            ) {}
        }
    }
    // Port 0 is no port that both have.
    let server = Config::new().listen("127.0.0.1:0").listen("[::]:0").start().unwrap();
    let port = server.local_addrs()[1].port();
    Peer::join(SocketAddr::from(([127, 0, 0, 1], port)), "/").is_served();

    let server = Config::new().listen("[::]:0").ipv6_only(true).start().unwrap();
    Peer::join(loopback("::1", &server), "/").is_served();
    let error = Config::new().listen(":0").ipv6_only(true).start().unwrap_err().to_string();
    assert!(
        error.contains("ipv6_only: :0 is every address of IPv4 too: listen on [::]:0"),
        "{error}"
    );
    let ipv4 = TcpStream::connect(loopback("127.0.0.1", &server));
    assert_eq!(ipv4.unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_port_that_only_ipv4_has_lost_can_be_had_for_ipv6() {
    let other = server();
    let every = format!("[::]:{}", other.local_addr().port());
    let error = Config::new().listen(&*every).start().unwrap_err().to_string();
    assert!(error.contains("or set ipv6_only if only IPv4's is taken"), "{error}");
    Config::new().listen(&*every).ipv6_only(true).start().unwrap();
}

#[test]
fn an_ipv4_address_with_the_same_port_leaves_ipv6_to_the_other() {
    let port = server().local_addr().port();
    for other in ["0.0.0.0", "127.0.0.1"] {
        let mut config = Config::new();
        config.listen(format!("[::]:{port}")).listen(format!("{other}:{port}"));
        let server = config.start().unwrap();
        for ip in ["127.0.0.1", "::1"] {
            Peer::join(loopback(ip, &server), "/").is_served();
        }
        server.stop(Duration::ZERO).unwrap_or_default();
    }
}

#[test]
fn a_name_is_all_its_addresses_with_one_port() {
    let server = Config::new().listen("localhost:0").start().unwrap();
    let known: Vec<_> = ("localhost", 0).to_socket_addrs().unwrap().map(|addr| addr.ip()).collect();
    assert!(!server.local_addrs().is_empty());
    for addr in server.local_addrs() {
        assert_eq!(addr.port(), server.local_addr().port());
        assert!(known.contains(&addr.ip()), "{addr}");
        Peer::join(*addr, "/").is_served();
    }
    assert!(server.local_addrs().iter().any(|addr| addr.ip() == Ipv4Addr::LOCALHOST));

    let error = Config::new().listen("nobody.invalid:0").start().unwrap_err();
    let text = error.to_string();
    assert!(text.contains("nobody.invalid:0") && text.contains("lookup"), "{text}");
    let Error::Listen { source, .. } = error else { panic!("{text}") };
    assert_eq!(source.kind(), ErrorKind::AddrNotAvailable);
}

#[test]
fn many_servers_in_one_process_know_nothing_of_each_other() {
    let servers: Vec<_> = (0..16).map(|_| server()).collect();
    let mut clients: Vec<_> =
        servers.iter().map(|server| Peer::join(server.local_addr(), "/")).collect();
    for (number, server) in servers.iter().enumerate() {
        assert_eq!(
            server.publish("lobby", Kind::Text, number.to_string().as_bytes()).unwrap().offset,
            1
        );
        server.broadcast(Kind::Text, b"end").unwrap();
    }
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!([client.text(), client.text()], [number.to_string(), "end".to_owned()]);
    }
    assert!(matches!(servers[0].stop(Duration::ZERO), Err(Error::TimedOut)));
    for client in &mut clients[1..] {
        client.is_served();
    }
}

#[test]
fn a_server_starts_and_stops_inside_an_async_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let server = server();
        let mut client = Peer::join(server.local_addr(), "/");
        server.publish("lobby", Kind::Text, b"hello").unwrap();
        assert_eq!(client.text(), "hello");
        client.leave();
        server.stop(PATIENCE).unwrap();
        // And one that is dropped there.
        let server = self::server();
        Peer::join(server.local_addr(), "/").is_served();
    });
}

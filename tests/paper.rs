//! What the chat does on the wire: the sequence of a conversation, and what a capture of it shows.

mod peer;

use std::{
    io::Read,
    net::{IpAddr, SocketAddr, TcpStream},
    os::fd::BorrowedFd,
    time::Duration,
};

use peer::{
    End, Peer, eventually,
    frames::{CLOSE, TEXT, close_payload},
    host::{Events, accepted_socket, server, server_with},
};
use socket2::{Domain, SockRef, Socket, Type};

/// Connects from an address of this machine, so that a capture tells the clients apart.
fn join_from(source: &str, addr: SocketAddr) -> Peer {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let source: SocketAddr = format!("{source}:0").parse().expect("an address");
    socket.bind(&source.into()).expect("an address of this machine");
    socket.connect(&addr.into()).expect("the server listens");
    let mut peer = Peer::over(TcpStream::from(socket));
    peer.become_client("/");
    peer
}

#[test]
fn two_clients_talk_as_in_the_sequence_diagram() {
    let server = server_with(|config| {
        config.event_queue(100);
    });
    let mut events = Events::of(&server);
    let mut client1 = join_from("127.0.0.1", server.local_addr());
    let id1 = events.connected();
    let mut client2 = join_from("127.0.0.3", server.local_addr());
    let id2 = events.find("client 2", |event| match event {
        chat::Event::Connected { client, request, .. } => {
            assert_eq!(request.addr.ip(), "127.0.0.3".parse::<IpAddr>().unwrap());
            Some(client)
        }
        _ => None,
    });
    assert_eq!(server.stats().connections, 2);

    client1.say("msg");
    assert_eq!(client1.text(), "msg");
    assert_eq!(client2.text(), "msg");

    client1.leave();
    assert_eq!(events.disconnected(), (id1, 1000, String::new()));
    // The event comes when it is in no room any more, its place is free when its socket is closed.
    eventually("client 1 is off the list", || server.stats().connections == 1);
    client2.say("anybody?");
    assert_eq!(client2.text(), "anybody?");
    client2.leave();
    assert_eq!(events.disconnected(), (id2, 1000, String::new()));
    eventually("client 2 is off the list", || server.stats().connections == 0);
}

#[test]
fn a_client_is_in_its_room_when_it_has_read_its_101() {
    let server = server();
    for round in 0..200 {
        let mut client = Peer::join(server.local_addr(), "/rooms/quick");
        let text = format!("message {round}");
        server.publish("quick", chat::Kind::Text, text.as_bytes()).unwrap();
        assert_eq!(client.text(), text);
    }
}

#[test]
fn with_echo_off_a_message_goes_to_all_others_only() {
    let server = server_with(|config| {
        config.echo(false);
    });
    let mut client1 = Peer::join(server.local_addr(), "/");
    let mut client2 = Peer::join(server.local_addr(), "/");
    let mut wants_it = Peer::join(server.local_addr(), "/?echo=true");
    client1.say("one");
    assert_eq!(client2.text(), "one");
    assert_eq!(wants_it.text(), "one");
    client2.say("two");
    assert_eq!(client1.text(), "two", "its own message must not come before");
    assert_eq!(wants_it.text(), "two");
    wants_it.say("three");
    for client in [&mut client1, &mut client2, &mut wants_it] {
        assert_eq!(client.text(), "three");
    }
}

#[test]
fn one_connection_can_have_its_echo_off() {
    let server = server();
    let mut quiet = Peer::join(server.local_addr(), "/?echo=false");
    let mut usual = Peer::join(server.local_addr(), "/");
    quiet.say("one");
    assert_eq!(usual.text(), "one");
    usual.say("two");
    assert_eq!(usual.text(), "two");
    assert_eq!(quiet.text(), "two", "its own message must not come before");
    server.publish("lobby", chat::Kind::Text, b"from the host").unwrap();
    assert_eq!(quiet.text(), "from the host");
}

#[test]
fn a_small_frame_is_sent_in_clear_with_its_header_in_the_same_segment() {
    let server = server();
    let mut client1 = Peer::join(server.local_addr(), "/");
    let mut client2 = Peer::join(server.local_addr(), "/?echo=false");
    // A header that travels alone would wake one of these reads.
    for _ in 0..200 {
        client2.say("[client2] salut");
        let mut bytes = [0; 100];
        let count = client1.stream.read(&mut bytes).unwrap();
        assert_eq!(&bytes[..count], b"\x81\x0f[client2] salut");
    }
}

#[test]
#[expect(unsafe_code, reason = "the server's socket is known by its number only")]
fn the_accepted_socket_has_no_delay_and_keep_alives_every_15_s() {
    let server = server();
    let client = Peer::join(server.local_addr(), "/");
    let number = accepted_socket(server.local_addr(), client.stream.local_addr().unwrap());
    // SAFETY: the connection stays open, and with it the descriptor, as long as `client`.
    let socket = unsafe { BorrowedFd::borrow_raw(number) };
    let socket = SockRef::from(&socket);
    assert!(socket.tcp_nodelay().unwrap());
    assert!(socket.keepalive().unwrap());
    assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(15));
    assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(15));
    drop(client);
}

#[test]
fn a_clients_close_is_answered_and_both_sides_send_a_fin() {
    let server = server_with(|config| {
        config.event_queue(100);
    });
    let mut events = Events::of(&server);
    let mut client = Peer::join(server.local_addr(), "/");
    let id = events.connected();
    client.send(CLOSE, &close_payload(1000, b"au revoir"));
    assert_eq!(client.closed().0, 1000);
    assert_eq!(client.end(), End::Fin);
    assert_eq!(events.disconnected(), (id, 1000, "au revoir".to_owned()));
}

#[test]
fn a_servers_close_is_answered_and_both_sides_send_a_fin() {
    let server = server_with(|config| {
        config.event_queue(100);
    });
    let mut events = Events::of(&server);
    for fin_first in [false, true] {
        let mut client = Peer::join(server.local_addr(), "/");
        let id = events.connected();
        server.send(id, chat::Kind::Text, b"last words").unwrap();
        server.disconnect(id, 4000, "closing time").unwrap();
        let last = client.frame();
        assert_eq!((last.head, last.text()), (TEXT, "last words"));
        assert_eq!(client.closed(), (4000, "closing time".to_owned()));
        if fin_first {
            client.send(CLOSE, &close_payload(4000, b""));
            client.finish();
            assert_eq!(client.end(), End::Fin);
        } else {
            client.answer_close(4000);
        }
        assert_eq!(events.disconnected(), (id, 4000, "closing time".to_owned()));
    }
}

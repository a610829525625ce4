//! What was accepted before the stop is delivered before the close, exactly once.

mod peer;

use std::{collections::HashMap, sync::Barrier, thread, time::Duration};

use chat::{Error, Kind};
use peer::{
    End, PATIENCE, Peer,
    frames::Frame,
    host::{server, server_with},
};

const MIB: usize = 1024 * 1024;

#[test]
fn everything_published_before_the_stop_is_read_before_the_close() {
    const COUNT: usize = 5000;
    let server = server();
    let clients: Vec<_> = (0..8).map(|_| Peer::join(server.local_addr(), "/")).collect();
    for number in 0..COUNT {
        server.publish("lobby", Kind::Text, number.to_string().as_bytes()).unwrap();
    }
    thread::scope(|scope| {
        let readers: Vec<_> = clients
            .into_iter()
            .map(|mut client| {
                scope.spawn(move || {
                    let (messages, code) = client.until_closed();
                    client.answer_close(1001);
                    (messages, code)
                })
            })
            .collect();
        server.stop(PATIENCE).unwrap();
        for reader in readers {
            let (messages, code) = reader.join().unwrap();
            assert_eq!(code, 1001);
            assert_eq!(messages.len(), COUNT);
            let texts = messages.iter().map(Frame::text);
            assert!(texts.eq((0..COUNT).map(|number| number.to_string())));
        }
    });
}

#[test]
fn what_a_full_socket_did_not_take_is_delivered_too() {
    // More than a socket holds, so that much of it waits in the outbox when the stop begins.
    const COUNT: usize = 24;
    let server = server_with(|config| {
        config.outbox_size(64 * MIB);
    });
    let mut client = Peer::join(server.local_addr(), "/");
    for number in 0..COUNT {
        server.publish("lobby", Kind::Binary, &vec![number as u8; MIB]).unwrap();
    }
    thread::scope(|scope| {
        let stopped = scope.spawn(|| server.stop(PATIENCE));
        let (messages, code) = client.until_closed();
        assert_eq!((messages.len(), code), (COUNT, 1001));
        for (number, message) in messages.iter().enumerate() {
            assert!(message.payload == vec![number as u8; MIB], "message {number} is not whole");
        }
        client.answer_close(1001);
        stopped.join().unwrap().unwrap();
    });
}

#[test]
fn a_client_that_takes_its_time_gets_everything_up_to_the_deadline() {
    const COUNT: usize = 24;
    let server = server_with(|config| {
        config.outbox_size(64 * MIB).outbox_age(Duration::from_secs(3600));
    });
    let mut client = Peer::join_small(server.local_addr(), "/");
    for number in 0..COUNT {
        server.publish("lobby", Kind::Binary, &vec![number as u8; MIB]).unwrap();
    }
    thread::scope(|scope| {
        let stopped = scope.spawn(|| server.stop(Duration::from_secs(60)));
        // Seven seconds for 24 MiB, as on a bad line: the time is what is tested.
        for number in 0..COUNT {
            let message = client.message();
            assert!(message.payload == vec![number as u8; MIB], "message {number} is not whole");
            thread::sleep(Duration::from_millis(300));
        }
        assert_eq!(client.closed().0, 1001);
        client.answer_close(1001);
        stopped.join().unwrap().unwrap();
    });
}

#[test]
fn what_clients_said_reaches_everyone_or_no_one() {
    let server = server();
    let mut speaker = Peer::join(server.local_addr(), "/?echo=false");
    let mut clients = [(); 3].map(|()| Peer::join(server.local_addr(), "/"));
    let mut second = speaker.stream.try_clone().unwrap();
    thread::scope(|scope| {
        // It talks until it cannot.
        let talk = scope.spawn(move || {
            use std::io::Write;
            for number in 0..1_000_000 {
                let frame =
                    peer::frames::masked(peer::frames::TEXT, format!("{number}").as_bytes());
                if second.write_all(&frame).is_err() {
                    break;
                }
            }
        });
        for client in &mut clients {
            assert_eq!(client.text(), "0");
        }
        let stopped = scope.spawn(|| server.stop(PATIENCE));
        let readers = clients.map(|mut client| {
            scope.spawn(move || {
                let (messages, code) = client.until_closed();
                assert_eq!(code, 1001);
                client.answer_close(1001);
                messages
            })
        });
        let heard = readers.map(|reader| reader.join().unwrap());
        for messages in &heard {
            assert_eq!(messages.len(), heard[0].len());
            for (index, message) in messages.iter().enumerate() {
                assert_eq!(message.text(), (index + 1).to_string());
            }
        }
        assert_eq!(speaker.closed().0, 1001);
        speaker.stream.shutdown(std::net::Shutdown::Both).unwrap();
        talk.join().unwrap();
        // The speaker did not answer the close, but it has gone.
        stopped.join().unwrap().unwrap();
    });
}

#[test]
fn each_message_of_eight_publishing_threads_is_delivered_once_or_refused() {
    const THREADS: usize = 8;
    const BEFORE_THE_STOP: usize = 1000;
    let server = server_with(|config| {
        config.outbox_size(256 * MIB);
    });
    let mut reader = Peer::join(server.local_addr(), "/rooms/r");
    let going = Barrier::new(THREADS + 1);
    thread::scope(|scope| {
        let publishers: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (server, going) = (&server, &going);
                scope.spawn(move || {
                    let mut offsets = Vec::new();
                    loop {
                        let text = format!("{thread}/{}", offsets.len());
                        match server.publish("r", Kind::Text, text.as_bytes()) {
                            Ok(position) => offsets.push(position.offset),
                            Err(Error::Stopped) => return offsets,
                            Err(error) => panic!("{error}"),
                        }
                        if offsets.len() == BEFORE_THE_STOP {
                            going.wait();
                        }
                    }
                })
            })
            .collect();
        let reader = scope.spawn(move || {
            let (messages, code) = reader.until_closed();
            assert_eq!(code, 1001);
            reader.send(peer::frames::CLOSE, &1001_u16.to_be_bytes());
            assert_eq!(reader.end(), End::Fin);
            messages
        });
        going.wait();
        server.stop(PATIENCE).unwrap();

        let messages = reader.join().unwrap();
        let mut places: HashMap<_, _> =
            messages.iter().zip(1_u64..).map(|(message, place)| (message.text(), place)).collect();
        assert_eq!(places.len(), messages.len(), "nothing was delivered twice");
        for (thread, publisher) in publishers.into_iter().enumerate() {
            let offsets = publisher.join().unwrap();
            assert!(offsets.len() >= BEFORE_THE_STOP);
            for (number, offset) in offsets.into_iter().enumerate() {
                let place = places.remove(&*format!("{thread}/{number}"));
                assert_eq!(place, Some(offset), "{thread}/{number} is where its offset says");
            }
        }
        assert!(places.is_empty(), "delivered, and its publisher was told otherwise: {places:?}");
    });
}

#[test]
fn a_client_that_leaves_slowly_is_not_cut_for_pings_that_it_does_not_get() {
    let server = server_with(|config| {
        config.ping_interval(Duration::from_millis(400)).ping_timeout(Duration::from_millis(400));
        config.outbox_size(64 * MIB);
    });
    let mut client = Peer::join_small(server.local_addr(), "/rooms/r");
    let long = vec![b'x'; MIB];
    thread::scope(|scope| {
        for _ in 0..8 {
            server.publish("r", Kind::Binary, &long).unwrap();
        }
        let stopped = scope.spawn(|| server.stop(PATIENCE));
        // The pace of a slow reader, which is what is tested: more than a ping and its answer may take.
        for _ in 0..8 {
            assert_eq!(client.message().payload.len(), MIB);
            thread::sleep(Duration::from_millis(200));
        }
        // On a slow machine a ping has come before the stop.
        let (more, code) = client.until_closed();
        assert_eq!((more.len(), code), (0, 1001));
        client.answer_close(1001);
        stopped.join().unwrap().unwrap();
    });
    assert_eq!(server.stats().ping_timeouts, 0);
}

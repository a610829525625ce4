//! What a host reads of a room's past, and what it drops of it. Random steps over weeks are in
//! `src/model_tests/comebacks.rs`.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod peer;

use std::{
    collections::HashSet,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use chat::{Error, Event, Gap, HistoryPage, Kind, Past, Position, PublishOptions, Range, Server};
use peer::{
    Peer,
    events::Stream,
    eventually,
    host::{Events, server, server_with},
    objects::field,
};

fn publish(server: &Server, room: &str, numbers: std::ops::Range<usize>) -> Vec<Position> {
    let publish = |number: usize| server.publish(room, Kind::Text, number.to_string().as_bytes());
    numbers.map(|number| publish(number).unwrap()).collect()
}

fn numbers(page: &HistoryPage) -> Vec<usize> {
    let text = |message: &chat::Message| message.as_text().unwrap().parse().unwrap();
    page.messages.iter().map(|stored| text(&stored.message)).collect()
}

/// All that a room keeps, read forward in pages.
fn all(server: &Server, room: &str, limit: usize) -> Vec<(Position, String)> {
    let (mut found, mut at) = (Vec::new(), Position::NONE);
    loop {
        let page = server.history(room, Range::After(at), limit).unwrap();
        assert_eq!(page.gap, None);
        let text = |message: &chat::Message| message.as_text().unwrap().to_owned();
        found.extend(page.messages.iter().map(|stored| (stored.position, text(&stored.message))));
        match page.messages.last() {
            Some(last) if page.has_more => at = last.position,
            _ => return found,
        }
    }
}

#[test]
fn a_page_tells_who_said_what_and_when() {
    let server = server_with(|config| _ = config.event_queue(1000));
    let mut events = Events::of(&server);
    let mut claimed = Peer::join(server.local_addr(), "/rooms/a?name=ana");
    let first = events.connected();
    let mut named = Peer::join_json(server.local_addr(), "/rooms/a").welcomed();
    let second = events.connected();
    server.set_identity(second, "user 7").unwrap();
    server.set_name(second, "Ben").unwrap();
    let begun = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    let said = |event| matches!(event, Event::Message { .. }).then_some(());
    claimed.say("one");
    events.find("a message", said);
    named.say(r#"{"text":"two","key":"k2"}"#);
    events.find("a message", said);
    server.set_identity(second, "user 8").unwrap();
    named.say(r#"{"base64":"AAE="}"#);
    events.find("a message", said);
    let options =
        PublishOptions { identity: Some("bot"), name: Some("Robot"), ..Default::default() };
    server.publish_with("a", Kind::Text, b"four", &options).unwrap();
    let unstored = PublishOptions { without_history: true, ..Default::default() };
    server.publish_with("a", Kind::Text, b"not kept", &unstored).unwrap();
    let last = server.publish("a", Kind::Text, b"five").unwrap();

    let page = server.history("a", Range::Last, 100).unwrap();
    let (position, gap, has_more) = (page.position, page.gap, page.has_more);
    assert_eq!((position, gap, has_more), (last, None, false));
    let told: Vec<_> = page
        .messages
        .iter()
        .map(|it| (it.client, it.identity.as_deref(), it.name.as_deref(), it.is_name_claimed))
        .collect();
    assert_eq!(
        told,
        [
            (Some(first), None, Some("ana"), true),
            (Some(second), Some("user 7"), Some("Ben"), false),
            (Some(second), Some("user 8"), Some("Ben"), false),
            (None, Some("bot"), Some("Robot"), false),
            (None, None, None, false),
        ]
    );
    let data: Vec<_> =
        page.messages.iter().map(|it| (it.message.kind(), it.message.data())).collect();
    let text = |text: &'static str| (Kind::Text, text.as_bytes());
    assert_eq!(
        data,
        [text("one"), text("two"), (Kind::Binary, &[0, 1]), text("four"), text("five")]
    );
    let keys: Vec<_> = page.messages.iter().map(|it| it.key.as_deref()).collect();
    assert_eq!(keys, [None, Some("k2"), None, None, None]);
    let offsets: Vec<_> = page.messages.iter().map(|it| it.position.offset).collect();
    assert_eq!(offsets, [1, 2, 3, 4, 5]);
    assert!(page.messages.iter().all(|it| it.time + 60_000 > begun && it.time < begun + 60_000));
    // Who has left is still named.
    drop(claimed);
    events.left(first);
    let page = server.history("a", Range::After(Position::NONE), 1).unwrap();
    assert_eq!(page.messages[0].client, Some(first));
    assert!(page.has_more);
}

#[test]
fn pages_have_each_message_once_in_either_direction_and_within_their_bounds() {
    let server = server();
    let positions = publish(&server, "a", 0..50);
    for limit in [1, 2, 7, 49, 50, 51, usize::MAX] {
        let forward = all(&server, "a", limit);
        let texts = forward.iter().enumerate().map(|(at, (position, text))| {
            (*position, text.parse().unwrap()) == (positions[at], at)
        });
        assert!(texts.clone().count() == 50 && texts.into_iter().all(|is_it| is_it), "{limit}");
        let (mut backward, mut range) = (Vec::new(), Range::Last);
        loop {
            let page = server.history("a", range, limit).unwrap();
            assert!(page.messages.len() <= limit);
            backward.splice(0..0, numbers(&page));
            let Some(first) = page.messages.first().filter(|_| page.has_more) else { break };
            range = Range::Before(first.position);
        }
        assert_eq!(backward, (0..50).collect::<Vec<_>>(), "{limit}");
    }
    let page = server.history("a", Range::Last, 0).unwrap();
    assert_eq!((page.messages.len(), page.has_more, page.position), (0, true, positions[49]));
    // Bytes are bounded too, but for one message.
    for _ in 0..20 {
        server.publish("long", Kind::Binary, &vec![0; 1 << 20]).unwrap();
    }
    let page = server.history("long", Range::Last, 100).unwrap();
    let bytes: usize = page.messages.iter().map(|it| it.message.data().len()).sum();
    assert!(bytes <= 16 << 20 && !page.messages.is_empty());
}

#[test]
fn a_page_says_why_it_does_not_begin_where_it_was_asked_to() {
    let server = server_with(|config| _ = config.history_messages(5));
    let positions = publish(&server, "a", 0..10);
    let other = publish(&server, "b", 0..1)[0];
    let after = |room: &str, at| {
        let page = server.history(room, Range::After(at), 100).unwrap();
        (numbers(&page), page.gap)
    };
    let kept = |from: usize| (from..10).collect::<Vec<_>>();
    assert_eq!(after("a", positions[4]), (kept(5), None));
    assert_eq!(after("a", positions[9]), (vec![], None));
    assert_eq!(after("a", positions[3]), (kept(5), Some(Gap::Trimmed)));
    assert_eq!(after("a", other), (kept(5), Some(Gap::Epoch)));
    let ahead = Position { offset: 11, ..positions[9] };
    assert_eq!(after("a", ahead), (kept(5), Some(Gap::Ahead)));
    let before = |at| {
        let page = server.history("a", Range::Before(at), 2).unwrap();
        (numbers(&page), page.gap)
    };
    assert_eq!(before(positions[7]), (vec![5, 6], None));
    assert_eq!(before(positions[5]), (vec![], None));
    assert_eq!(before(ahead), (vec![8, 9], Some(Gap::Ahead)));
    assert_eq!(before(other), (vec![], Some(Gap::Epoch)));
    // A room that nobody has used is made by no page, and the position that it tells holds.
    let rooms = server.stats().rooms;
    let page = server.history("new", Range::Last, 10).unwrap();
    assert_eq!((page.messages.len(), page.gap, server.stats().rooms), (0, None, rooms));
    assert_eq!(server.publish("new", Kind::Text, b"0").unwrap().epoch, page.position.epoch);
    assert_eq!(after("new", page.position), (vec![0], None));
    for room in ["", ".", "a\nb"] {
        assert!(matches!(server.history(room, Range::Last, 1), Err(Error::InvalidRoom(_))));
        assert!(matches!(server.trim(room, other), Err(Error::InvalidRoom(_))));
        assert!(matches!(server.forget(room), Err(Error::InvalidRoom(_))));
    }
    let without = server_with(|config| _ = config.history_messages(0));
    publish(&without, "a", 0..3);
    let page = without.history("a", Range::After(other), 10).unwrap();
    assert_eq!(
        (page.messages.len(), page.position, page.gap),
        (0, Position::NONE, Some(Gap::NoHistory))
    );
    without.forget("a").unwrap();
    server.stop(Duration::ZERO).unwrap();
    assert!(matches!(server.history("a", Range::Last, 1), Err(Error::Stopped)));
    assert!(matches!(server.trim("a", positions[9]), Err(Error::Stopped)));
    assert!(matches!(server.forget("a"), Err(Error::Stopped)));
}

#[test]
fn four_threads_that_read_while_others_publish_see_the_rooms_order() {
    const EACH: usize = 2000;
    let server = server_with(|config| _ = config.history_messages(100_000));
    let publishing = AtomicUsize::new(2);
    thread::scope(|scope| {
        let (server, publishing) = (&server, &publishing);
        for _ in 0..2 {
            scope.spawn(move || {
                publish(server, "a", 0..EACH);
                publishing.fetch_sub(1, Ordering::SeqCst);
            });
        }
        let readers: Vec<_> = (0..4)
            .map(|reader| {
                scope.spawn(move || {
                    let (mut read, mut at) = (Vec::new(), Position::NONE);
                    loop {
                        let is_over = publishing.load(Ordering::SeqCst) == 0;
                        let page = server.history("a", Range::After(at), 1 + 10 * reader).unwrap();
                        assert_eq!(page.gap, None);
                        let last = page.messages.last().map_or(at, |last| last.position);
                        assert_eq!(page.has_more, last.offset < page.position.offset);
                        read.extend(page.messages.iter().map(|it| it.position.offset));
                        at = last;
                        if is_over && !page.has_more {
                            return read;
                        }
                    }
                })
            })
            .collect();
        for reader in readers {
            assert_eq!(reader.join().unwrap(), (1..=2 * EACH as u64).collect::<Vec<_>>());
        }
    });
    assert_eq!(all(&server, "a", 777).len(), 2 * EACH);
}

#[test]
fn a_page_of_a_room_that_begins_meanwhile_has_what_it_says_that_the_room_has() {
    const ROOMS: usize = 5_000;
    let (server, current) = (server(), AtomicUsize::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            for room in 0..ROOMS {
                current.store(room, Ordering::Relaxed);
                publish(&server, &room.to_string(), 0..1);
            }
            current.store(ROOMS, Ordering::Relaxed);
        });
        let room = || Some(current.load(Ordering::Relaxed)).filter(|room| *room < ROOMS);
        while let Some(room) = room() {
            let page = server.history(&room.to_string(), Range::Last, 10).unwrap();
            assert_eq!(page.messages.len() as u64, page.position.offset, "room {room}");
        }
    });
}

#[test]
fn a_trimmed_message_is_replayed_to_nobody_and_positions_stay() {
    let server = server_with(|config| _ = config.event_queue(1000));
    let positions = publish(&server, "a", 0..10);
    // Somebody who may read all of the past is there meanwhile.
    let mut reader = Peer::enter_json(server.local_addr(), "/rooms/a");
    server.trim("a", positions[6]).unwrap();
    assert_eq!(server.position("a").unwrap(), positions[9]);
    let come = |since: Position| {
        let path = format!("/rooms/a?since={since}");
        let entered = Peer::join_json(server.local_addr(), &path).welcomed().entered("a");
        (entered.recovered.unwrap(), entered.texts.join(" "))
    };
    assert_eq!(come(positions[5]), (Err("trimmed".to_owned()), "7 8 9".to_owned()));
    assert_eq!(come(positions[6]), (Ok(()), "7 8 9".to_owned()));
    assert_eq!(come(positions[9]), (Ok(()), String::new()));
    let entered =
        Peer::join_json(server.local_addr(), "/rooms/a?history=100").welcomed().entered("a");
    assert_eq!(entered.texts.join(" "), "7 8 9");
    reader.say(r#"{"type":"history","id":"1","limit":100}"#);
    let answer = reader.object();
    assert_eq!((field(&answer, "type"), &answer["more"]), ("history", &false.into()));
    let texts: Vec<_> =
        answer["messages"].as_array().unwrap().iter().map(|it| field(it, "text")).collect();
    assert_eq!(texts, ["7", "8", "9"]);
    // To where it stands: nothing is left, and the next message comes behind.
    server.trim("a", positions[9]).unwrap();
    server.trim("a", positions[9]).unwrap();
    server.trim("a", positions[2]).unwrap();
    assert!(all(&server, "a", 10).is_empty());
    assert_eq!(come(positions[9]), (Ok(()), String::new()));
    let next = server.publish("a", Kind::Text, b"10").unwrap();
    assert_eq!(next, Position { offset: 11, ..positions[9] });
    assert_eq!(field(&reader.object(), "position"), next.to_string());
    assert_eq!(come(positions[8]), (Err("trimmed".to_owned()), "10".to_owned()));
    for wrong in [Position::NONE, Position { offset: 12, ..next }, Position { epoch: 7, offset: 1 }]
    {
        let error = server.trim("a", wrong).unwrap_err();
        assert!(matches!(error, Error::InvalidArgument { what: "up_to", .. }), "{wrong}: {error}");
    }
    // Of a room that is not there nothing is kept.
    server.trim("nowhere", next).unwrap();
}

#[test]
fn a_trim_breaks_no_replay_that_is_under_way_and_nor_does_forgetting() {
    let server = server_with(|config| {
        _ = config.event_queue(1000).history_size(64 << 20).outbox_age(peer::PATIENCE)
    });
    let long = "x".repeat(50_000);
    for number in 0..200 {
        server.publish("a", Kind::Text, format!("{number} {long}").as_bytes()).unwrap();
    }
    // It does not read yet: most of the replay waits.
    let mut slow = Peer::connect_small(server.local_addr());
    slow.upgrade("/rooms/a?history=200", &[peer::objects::SUBPROTOCOL]);
    let mut slow = slow.welcomed();
    Events::of(&server).connected();
    let at = server.position("a").unwrap();
    server.trim("a", at).unwrap();
    server.publish("a", Kind::Text, b"200 live").unwrap();
    server.forget("a").unwrap();
    let new = server.publish("a", Kind::Text, b"201 of the new history").unwrap();
    let entered = slow.entered("a");
    let replayed =
        entered.texts.iter().map(|text| text.split(' ').next().unwrap().parse().unwrap());
    assert_eq!(replayed.collect::<Vec<usize>>(), (0..200).collect::<Vec<_>>());
    let old = slow.object();
    assert_eq!(field(&old, "text"), "200 live");
    assert_eq!(field(&old, "position"), Position { offset: 201, ..at }.to_string());
    let anew = slow.object();
    assert_eq!((field(&anew, "type"), field(&anew, "reason")), ("entered", "epoch"));
    assert_eq!(field(&anew, "position"), Position { epoch: new.epoch, offset: 201 }.to_string());
    assert_eq!(field(&slow.object(), "position"), new.to_string());
}

#[test]
fn those_who_are_in_a_room_that_is_forgotten_stay_and_are_told() {
    let server = server();
    let addr = server.local_addr();
    let old = publish(&server, "a", 0..5)[4];
    let mut plain = Peer::join(addr, "/rooms/a");
    let mut json = Peer::enter_json(addr, "/rooms/a");
    let mut stream = Stream::open(addr, "/rooms/a?format=events");
    stream.until_id();
    server.forget("a").unwrap();
    let top = server.position("a").unwrap();
    assert!(top.epoch != old.epoch && top.offset == old.offset);
    let anew = json.object();
    assert_eq!((field(&anew, "type"), field(&anew, "room")), ("entered", "a"));
    assert_eq!((&anew["recovered"], field(&anew, "reason")), (&false.into(), "epoch"));
    assert_eq!(field(&anew, "position"), top.to_string());
    let gap = stream.next();
    assert_eq!((&*gap.name, gap.id), ("gap", top.to_string()));
    let next = server.publish("a", Kind::Text, b"5").unwrap();
    assert_eq!(next, Position { epoch: top.epoch, offset: 6 });
    assert_eq!(plain.text(), "5");
    assert_eq!(field(&json.object(), "position"), next.to_string());
    assert_eq!(stream.next().id, next.to_string());
    // Nothing of before is left for those who come, nor for those who ask.
    json.say(r#"{"type":"history","id":"1"}"#);
    let answer = json.object();
    let positions: Vec<_> = answer["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| field(it, "position").to_owned())
        .collect();
    assert_eq!((positions, &answer["more"]), (vec![next.to_string()], &false.into()));
    let come = |since: Position| {
        let path = format!("/rooms/a?since={since}");
        let entered = Peer::join_json(addr, &path).welcomed().entered("a");
        (entered.recovered.unwrap(), entered.texts.join(" "))
    };
    assert_eq!(come(old), (Err("epoch".to_owned()), "5".to_owned()));
    assert_eq!(come(top), (Ok(()), "5".to_owned()));
    // Who asks behind an old position is told so.
    json.say(&format!(r#"{{"type":"history","id":"2","before":"{old}"}}"#));
    let refused = json.object();
    assert_eq!((field(&refused, "type"), field(&refused, "code")), ("refused", "malformed"));
}

#[test]
fn a_room_without_clients_is_forgotten_whole() {
    let server = server();
    let old = publish(&server, "a", 0..5)[4];
    assert_eq!(server.stats().rooms, 1);
    server.forget("a").unwrap();
    assert_eq!(server.stats().rooms, 0);
    let new = server.position("a").unwrap();
    assert!(new.epoch != old.epoch && new.offset == 0);
    // Also one of which only the position was known, and one that nobody has ever used.
    server.forget("a").unwrap();
    server.forget("never").unwrap();
    assert_ne!(server.position("a").unwrap().epoch, new.epoch);
    // One that was trimmed to its end is no room any more, and goes on where it stood.
    let last = publish(&server, "b", 0..5)[4];
    server.trim("b", last).unwrap();
    assert_eq!((server.stats().rooms, server.position("b").unwrap()), (0, last));
}

#[test]
fn a_message_that_is_published_while_the_host_trims_earlier_ones_is_kept() {
    let server = server();
    let (earlier, is_over) = (Mutex::new(None), AtomicBool::new(false));
    let last = || *earlier.lock().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                last().inspect(|earlier| server.trim("a", *earlier).unwrap());
            }
        });
        for number in 0..50_000 {
            let position = publish(&server, "a", number..number + 1)[0];
            let page = server.history("a", Range::Last, 1).unwrap();
            let kept = page.messages.last().map(|stored| stored.position);
            if kept != Some(position) {
                is_over.store(true, Ordering::Relaxed);
            }
            assert_eq!(kept, Some(position), "{number}");
            *earlier.lock().unwrap() = Some(position);
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn what_a_client_may_not_read_of_the_past_it_may_not_read_after_a_trim_and_a_new_history_either() {
    let server = server_with(|config| _ = config.event_queue(1000));
    let mut events = Events::of(&server);
    let positions = publish(&server, "a", 0..10);
    let mut client = Peer::join_json(server.local_addr(), "/rooms/own").welcomed();
    let id = events.connected();
    client.entered("own");
    server.join_with_past(id, "a", Past::Last(3), None).unwrap();
    assert_eq!(client.entered("a").texts, ["7", "8", "9"]);
    let mut scroll = || {
        client.say(r#"{"type":"history","id":"1","room":"a","limit":100}"#);
        let answer = client.until("history").pop().unwrap();
        assert_eq!(answer["more"], false);
        let messages = answer["messages"].as_array().unwrap();
        messages.iter().map(|it| field(it, "text").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(scroll(), ["7", "8", "9"]);
    server.trim("a", positions[7]).unwrap();
    assert_eq!(scroll(), ["8", "9"]);
    server.forget("a").unwrap();
    assert!(scroll().is_empty());
    publish(&server, "a", 10..12);
    assert_eq!(scroll(), ["10", "11"]);
}

#[test]
fn a_client_gets_no_message_of_an_old_history_behind_the_new_one_whatever_comes_at_once() {
    const ROUNDS: usize = 60;
    let server = server_with(|config| _ = config.workers(2).event_queue(100_000));
    let addr = server.local_addr();
    let mut readers: Vec<_> = (0..4).map(|_| Peer::enter_json(addr, "/rooms/a")).collect();
    let mut epochs = vec![server.position("a").unwrap().epoch];
    thread::scope(|scope| {
        let speaking = scope.spawn(|| {
            let mut speaker = Peer::join(addr, "/rooms/a");
            for number in 0..20 * ROUNDS {
                speaker.say(&format!("client {number}"));
            }
            let last = format!("client {}", 20 * ROUNDS - 1);
            while speaker.text() != last {}
        });
        for round in 0..ROUNDS {
            publish(&server, "a", round..round + 3);
            server.forget("a").unwrap();
            epochs.push(server.position("a").unwrap().epoch);
        }
        speaking.join().unwrap();
    });
    assert_eq!(epochs.iter().collect::<HashSet<_>>().len(), ROUNDS + 1);
    let last = server.publish("a", Kind::Text, b"the last").unwrap();
    for reader in &mut readers {
        let (mut at, mut count) = (0, 0);
        let mut known = 0;
        loop {
            let object = reader.object();
            let position: Position = field(&object, "position").parse().unwrap();
            if field(&object, "type") == "entered" {
                assert_eq!(field(&object, "reason"), "epoch");
                at += 1;
                assert_eq!(position, Position { epoch: epochs[at], offset: known });
                continue;
            }
            // All of them, in one order, each in its history.
            assert_eq!(position, Position { epoch: epochs[at], offset: known + 1 }, "{object}");
            (known, count) = (position.offset, count + 1);
            if position == last {
                break;
            }
        }
        assert_eq!((at, count), (ROUNDS, 23 * ROUNDS + 1));
    }
    eventually("nothing is counted as dropped", || server.stats().messages_dropped == 0);
}

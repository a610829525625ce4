//! A client of the JSON form that is cut at each byte of what it is sent: it comes back with the positions that it has
//! seen, and gets exactly what it lacks, or all that is kept and a reason.

use std::{collections::BTreeMap, rc::Rc};

use serde_json::Value;

use super::{
    random::Random,
    setting::{ENDLESS, options, read, read_all},
    world::World,
};
use crate::{
    event::ClientId,
    fanout::form::Form,
    frame::{Header, Kind, payload},
    options::Options,
    past::{Past, Since},
    position::Position,
    protocol::{Asked, Protocol},
    transport::scripted::Scripted,
};

/// How many messages a room keeps.
const KEPT: u64 = 6;

/// The whole objects at the beginning of what a client received.
fn objects(mut bytes: &[u8]) -> Vec<Value> {
    let mut objects = Vec::new();
    while let Some(header) = Header::parse(bytes)
        && bytes.len() >= header.len + header.payload as usize
    {
        let (frame, rest) = bytes.split_at(header.len + header.payload as usize);
        objects.push(serde_json::from_slice(payload(frame)).expect("an object"));
        bytes = rest;
    }
    objects
}

/// What a client has seen: in each room the last position, and where it has everything up to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    stored: BTreeMap<String, Position>,
    rooms: BTreeMap<String, Entered>,
}

/// Of a room that a client has entered: whether it has recovered, or why not, and the messages since then.
type Entered = (Option<Result<(), String>>, Vec<u64>);

/// Sees objects, and insists that no position comes before everything up to it.
fn see(objects: &[Value]) -> Seen {
    let mut seen = Seen::default();
    for object in objects {
        let room = object["room"].as_str().unwrap_or_default().to_owned();
        let position = object["position"].as_str().map(|it| it.parse::<Position>().unwrap());
        match object["type"].as_str().unwrap() {
            "entered" => {
                let recovered = object["recovered"].as_bool().map(|recovered| {
                    let reason = object["reason"].as_str().map(str::to_owned);
                    if recovered { Ok(()) } else { Err(reason.expect("a reason")) }
                });
                seen.rooms.insert(room.clone(), (recovered, Vec::new()));
            }
            "message" => {
                let (position, before) = (position.unwrap(), seen.stored[&room]);
                assert_eq!(position, Position { offset: before.offset + 1, ..before }, "{object}");
                seen.rooms.get_mut(&room).unwrap().1.push(position.offset);
            }
            "sent" => {
                // With echo off it is in the place of the message.
                let (position, before) = (position.unwrap(), seen.stored[&room]);
                assert!((before.offset..=before.offset + 1).contains(&position.offset), "{object}");
            }
            _ => assert_eq!(position, None, "{object}"),
        }
        if let Some(position) = position {
            seen.stored.insert(room, position);
        }
    }
    seen
}

fn position(world: &World, room: &str) -> Position {
    world.handle.position(room).unwrap()
}

fn publish(world: &mut World, room: &str, count: usize) {
    for number in 0..count {
        world.handle.publish(room, Kind::Text, format!("{number}").as_bytes()).unwrap();
    }
    world.tick_once();
}

fn say(world: &mut World, id: ClientId, text: &str) {
    let (shard, client) = (Rc::clone(&world.shards[0].0), Rc::clone(&world.peer(id).client));
    Protocol::Json.message(&shard, &client, Kind::Text, text.as_bytes()).unwrap();
    world.tick_once();
}

/// A client that comes with positions, to the room "a" and by the host to "b". Its socket takes `bytes`.
fn come(world: &mut World, stored: &BTreeMap<String, Position>, bytes: usize) -> ClientId {
    let mut asked = Asked::new("a".into(), Form::Json);
    for (room, position) in stored {
        asked.since_in.insert(room, Since::Position(*position));
    }
    let id = world.connect_asking(0, Scripted::new(bytes), &asked);
    world.peer(id).client.out().open();
    world.handle.join_with_past(id, "b", Past::All, None).unwrap();
    world.tick_once();
    id
}

/// Plays what happens to a client that is cut after some bytes. Returns what it has received.
fn play(world: &mut World, bytes: usize) -> Vec<u8> {
    let before = ["a", "b"].map(|room| (room.to_owned(), position(world, room)));
    publish(world, "a", 3);
    publish(world, "b", 2);
    let id = come(world, &before.into_iter().collect(), bytes);
    let mut received = read(world, id, 0);
    publish(world, "a", 2);
    say(world, id, r#"{"id":1,"text":"echoed"}"#);
    world.handle.broadcast(Kind::Text, b"to all").unwrap();
    world.handle.set_echo(id, false).unwrap();
    world.tick_once();
    // Its own message is not delivered; what follows comes behind the answer.
    say(world, id, r#"{"id":2,"text":"not echoed"}"#);
    publish(world, "a", 1);
    say(world, id, r#"{"id":3,"room":"b","base64":"AAEC"}"#);
    say(world, id, r#"{"id":4,"room":"nowhere","text":"refused"}"#);
    world.handle.send(id, Kind::Text, b"to it").unwrap();
    publish(world, "b", 2);
    world.handle.leave(id, "b").unwrap();
    publish(world, "b", 1);
    say(world, id, r#"{"id":"5","type":"history","limit":2}"#);
    world.handle.join_with_past(id, "b", Past::Last(2), None).unwrap();
    publish(world, "b", 1);
    publish(world, "a", 2);
    world.tick_once();
    let script = Rc::clone(&world.peer(id).script);
    received.extend(read(world, id, 0));
    script.is_reset.set(true);
    received
}

fn new_world() -> World {
    let options = Options { history_messages: KEPT as usize, event_queue: 10_000, ..options() };
    World::with(options, Random::new(1))
}

#[test]
fn a_client_that_is_cut_at_each_byte_comes_back_to_exactly_what_it_lacks() {
    let whole = play(&mut new_world(), ENDLESS).len();
    let (mut recovered, mut trimmed) = (0, 0);
    // A position may be a few bytes longer.
    for bytes in 0..whole + 100 {
        let mut world = new_world();
        let seen = see(&objects(&play(&mut world, bytes)));
        let tops = ["a", "b"].map(|room| (room, position(&world, room)));
        let id = come(&mut world, &seen.stored, 0);
        let again = see(&objects(&read_all(&mut world, id)));
        for (room, top) in tops {
            let (outcome, messages) = &again.rooms[room];
            let stored = seen.stored.get(room).copied();
            let lacks = stored.map(|stored| top.offset - stored.offset);
            let (expected, count) = match lacks {
                Some(lacks) if lacks <= KEPT => (Some(Ok(())), lacks),
                Some(_) => (Some(Err("trimmed".to_owned())), KEPT),
                // It asks for nothing of the room of its path, and the host gives it all of the other one.
                None => (None, if room == "a" { 0 } else { KEPT }),
            };
            assert_eq!(*outcome, expected, "{bytes} bytes: {room}, {stored:?}");
            let all = top.offset - count + 1..=top.offset;
            assert!(messages.iter().copied().eq(all), "{bytes} bytes: {room}, {messages:?}");
            assert_eq!(again.stored[room], top, "{bytes} bytes");
            recovered += usize::from(expected == Some(Ok(())));
            trimmed += usize::from(matches!(expected, Some(Err(_))));
        }
    }
    assert!(recovered > whole / 2 && trimmed > whole / 20, "{recovered}, {trimmed} of {whole}");
}

#[test]
fn what_a_client_gets_that_enters_leaves_and_speaks_is_in_the_promised_order() {
    let objects = objects(&play(&mut new_world(), ENDLESS));
    let gist = |object: &Value| {
        let field = |name: &str| match &object[name] {
            Value::Null => String::new(),
            Value::String(text) if name == "position" => text.split_once('-').unwrap().1.to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let fields = ["type", "room", "position", "id", "text", "base64", "code"].map(field);
        fields.into_iter().filter(|field| !field.is_empty()).collect::<Vec<_>>().join(" ")
    };
    let gists: Vec<_> = objects.iter().map(gist).collect();
    let expected = [
        "welcome",
        "entered a 0",
        "message a 1 0",
        "message a 2 1",
        "message a 3 2",
        "live a",
        "entered b 0",
        "message b 1 0",
        "message b 2 1",
        "live b",
        "message a 4 0",
        "message a 5 1",
        "message a 6 echoed",
        "sent a 6 1",
        "broadcast to all",
        "sent a 7 2",
        "message a 8 0",
        "sent b 3 3",
        "refused 4 not_in_room",
        "direct to it",
        "message b 4 0",
        "message b 5 1",
        "removed b",
        "history a 5",
        "entered b 4",
        "message b 5 1",
        "message b 6 0",
        "live b",
        "message b 7 0",
        "message a 9 0",
        "message a 10 1",
    ];
    assert_eq!(gists, expected);
}

//! A client that stores every position that it sees, is cut at any byte, and comes back with the last.

use std::{
    collections::HashMap,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
};

use chat::Position;
use serde_json::Value;

use super::{
    ADDED,
    peer::{
        PATIENCE,
        frames::{Frame, TEXT, masked},
        objects::{SUBPROTOCOL, field, object},
        upgrade_head,
    },
    recovery::{PAUSE, chance::Chance, told::Received},
};

/// What a reader knows of a room while it is connected.
#[derive(Debug, Default)]
struct Place {
    /// With which position it came.
    since: Option<Position>,
    /// Where it has everything up to.
    at: Option<Position>,
    /// How many messages of the replay have come; `None` once it is over.
    replayed: Option<u64>,
    is_recovered: bool,
}

pub(crate) struct Reader {
    pub(crate) room: &'static str,
    name: String,
    kept: usize,
    /// The last position that it has seen, by room: all that it remembers from one connection to the next.
    stored: HashMap<String, Position>,
    pub(crate) received: Vec<Received>,
    /// How often another epoch was told.
    pub(crate) restarts: usize,
    said: usize,
    counts: [usize; 6],
}

/// One connection of a reader.
struct Visit<'a> {
    reader: &'a mut Reader,
    places: HashMap<String, Place>,
    has_welcome: bool,
    is_echoed: bool,
    /// The ids of what it has sent and what is not answered, and the room.
    unanswered: Vec<usize>,
}

impl Reader {
    pub(crate) fn new(room: &'static str, name: String, kept: usize) -> Self {
        let (stored, received) = Default::default();
        Self { room, name, kept, stored, received, restarts: 0, said: 0, counts: [0; 6] }
    }

    /// Where it stands in a room.
    pub(crate) fn top(&self, room: &str) -> Option<Position> {
        self.stored.get(room).copied()
    }

    pub(crate) fn forget_received(&mut self) {
        self.received.clear();
    }

    /// How many rooms it has entered, in how many it has recovered, in how many it was told of a loss, how many messages
    /// it has received, how many were acknowledged, and how many were replayed.
    pub(crate) fn counts(&self) -> [usize; 6] {
        self.counts
    }

    /// The path with which it comes.
    fn path(&self, is_echoed: bool) -> String {
        let mut path = format!("/rooms/{}?echo={is_echoed}", self.room);
        for (room, position) in &self.stored {
            match *room == self.room {
                true => path += &format!("&since={position}"),
                false => path += &format!("&since.{room}={position}"),
            }
        }
        path
    }

    /// Comes, reads this many bytes or until nothing comes for a while, and is cut.
    pub(crate) fn come(&mut self, addr: SocketAddr, bytes: usize, chance: &mut Chance) {
        let is_echoed = chance.below(2) == 0;
        let mut stream = self.connect(addr, is_echoed);
        stream.set_read_timeout(Some(PAUSE)).unwrap();
        let mut visit = Visit::of(self, is_echoed);
        let (mut arrived, mut left) = (Vec::new(), bytes);
        while left > 0 {
            let old = arrived.len();
            let most = left.min(1 + chance.below(4_000));
            arrived.resize(old + most, 0);
            let read = stream.read(&mut arrived[old..]);
            arrived.truncate(old + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => panic!("the server has ended the connection"),
                Ok(count) => left -= count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
            visit.parse(&mut arrived);
            if visit.has_welcome && chance.below(3) == 0 {
                stream.write_all(&visit.say()).unwrap();
            }
        }
    }

    /// Comes, and reads until it has everything that was published before.
    pub(crate) fn catch_up(&mut self, addr: SocketAddr) {
        let mut stream = self.connect(addr, true);
        let mut visit = Visit::of(self, true);
        let mut arrived = Vec::new();
        let is_over = |visit: &Visit<'_>| {
            let rooms = ADDED.iter().map(|(room, _)| *room).chain([visit.reader.room]);
            let is_live = |room| visit.places.get(room).is_some_and(|it| it.replayed.is_none());
            rooms.into_iter().all(is_live)
        };
        while !is_over(&visit) {
            let mut buffer = [0; 65_536];
            let count = stream.read(&mut buffer).expect("more in time");
            assert_ne!(count, 0, "closed too early");
            arrived.extend_from_slice(&buffer[..count]);
            visit.parse(&mut arrived);
        }
    }

    fn connect(&self, addr: SocketAddr, is_echoed: bool) -> TcpStream {
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = upgrade_head(addr, &self.path(is_echoed), &[SUBPROTOCOL]);
        stream.write_all(head.as_bytes()).unwrap();
        stream
    }
}

impl<'a> Visit<'a> {
    fn of(reader: &'a mut Reader, is_echoed: bool) -> Self {
        let (places, unanswered) = Default::default();
        Self { reader, places, has_welcome: false, is_echoed, unanswered }
    }

    /// Acts on the whole frames, and removes them.
    fn parse(&mut self, arrived: &mut Vec<u8>) {
        let head = arrived.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        if arrived.starts_with(b"H") {
            let Some(end) = head else { return };
            assert!(arrived.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(arrived));
            arrived.drain(..end + 4);
        }
        let mut start = 0;
        while let Some((frame, len)) = Frame::parse(&arrived[start..]) {
            start += len;
            self.object(&object(&frame));
        }
        arrived.drain(..start);
    }

    fn object(&mut self, object: &Value) {
        let kind = field(object, "type");
        assert_eq!(self.has_welcome, kind != "welcome", "welcome comes first, once: {object}");
        let position = object["position"].as_str().map(|text| text.parse::<Position>().unwrap());
        let room = field(object, "room");
        match kind {
            "welcome" => self.has_welcome = true,
            "entered" => self.entered(room, position.expect("it has history"), object),
            "live" => self.live(room, object),
            "message" => self.message(room, position.expect("it has history"), object),
            "sent" => self.sent(room, position.expect("it has history"), object),
            "ping" => {}
            _ => panic!("{object}"),
        }
        if let Some(position) = position {
            self.reader.stored.insert(room.to_owned(), position);
        }
    }

    fn entered(&mut self, room: &str, position: Position, object: &Value) {
        let since = self.reader.stored.get(room).copied();
        let is_recovered = object["recovered"].as_bool();
        assert_eq!(is_recovered.is_some(), since.is_some(), "{object}");
        self.reader.counts[0] += 1;
        if is_recovered == Some(true) {
            self.reader.counts[1] += 1;
            assert_eq!(Some(position), since, "{object}");
        } else if let Some(since) = since {
            match field(object, "reason") {
                "trimmed" => {
                    self.reader.counts[2] += 1;
                    assert_eq!(position.epoch, since.epoch, "{object}");
                    assert!(position.offset > since.offset, "nothing is lost: {object}, {since}");
                }
                "epoch" => {
                    self.reader.restarts += 1;
                    assert_ne!(position.epoch, since.epoch, "{object}");
                }
                _ => panic!("{object}, {since}"),
            }
        }
        let is_recovered = is_recovered == Some(true);
        let place = Place { since, at: Some(position), replayed: Some(0), is_recovered };
        let before = self.places.insert(room.to_owned(), place);
        assert!(before.is_none(), "twice: {object}");
    }

    fn live(&mut self, room: &str, object: &Value) {
        let place = self.places.get_mut(room).expect("it has entered");
        let replayed = place.replayed.take().expect("live once");
        let at = place.at.expect("a position").offset;
        let added = ADDED.iter().find(|(added, _)| *added == room && *added != self.reader.room);
        let most = match added {
            Some((_, chat::Past::Last(most))) => *most as u64,
            Some(_) => self.reader.kept as u64,
            // A client that connects for the first time asks for nothing.
            None if place.since.is_none() => 0,
            None => self.reader.kept as u64,
        };
        if !place.is_recovered {
            assert_eq!(replayed, most.min(at), "all that is kept: {object}");
        }
    }

    fn message(&mut self, room: &str, position: Position, object: &Value) {
        let place = self.places.get_mut(room).expect("it has entered");
        let at = place.at.expect("a position");
        let next = Position { offset: at.offset + 1, ..at };
        assert_eq!(position, next, "{}: {object}", self.reader.name);
        place.at = Some(position);
        self.reader.counts[3] += 1;
        if let Some(replayed) = &mut place.replayed {
            *replayed += 1;
            self.reader.counts[5] += 1;
        }
        let text = field(object, "text").to_owned();
        self.reader.received.push((room.to_owned(), position, text));
    }

    fn sent(&mut self, room: &str, position: Position, object: &Value) {
        let place = self.places.get_mut(room).expect("it has entered");
        assert!(place.replayed.is_none(), "an answer in a replay: {object}");
        let at = place.at.expect("a position");
        // Behind its own message; with echo off in the place of that.
        let own = u64::from(!self.is_echoed);
        assert_eq!(position, Position { offset: at.offset + own, ..at }, "{object}");
        place.at = Some(position);
        let id = object["id"].as_u64().expect("its id") as usize;
        assert_eq!(id, self.unanswered.remove(0), "answers in the order of the messages");
        self.reader.counts[4] += 1;
        let text = format!("{}: {id}", self.reader.name);
        self.reader.received.push((room.to_owned(), position, text));
    }

    /// The frames of some messages to the room of its path.
    fn say(&mut self) -> Vec<u8> {
        self.reader.said += 1;
        let id = self.reader.said;
        self.unanswered.push(id);
        let text = format!(r#"{{"id":{id},"text":"{}: {id}"}}"#, self.reader.name);
        masked(TEXT, text.as_bytes())
    }
}

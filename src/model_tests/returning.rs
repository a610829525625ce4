//! A client of the JSON form that stores every position it sees, over all its connections: what it has, and what it was
//! told is missing.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ops::RangeInclusive,
};

use serde_json::Value;

use super::told::Told;
use crate::position::Position;

/// A message by its room and offset.
type Place = (String, u64);

#[derive(Debug, Default, Clone)]
pub(super) struct Returning {
    /// With what it comes back.
    pub(super) stored: BTreeMap<String, Position>,
    /// What it has received or, of its own messages that it does not receive, knows to be stored.
    has: BTreeSet<Place>,
    /// What it was told is missing; some of it came later.
    missing: BTreeSet<Place>,
    /// What it knows of its present connection.
    pub(super) told: Told,
    /// Where rooms stood when the client was put there, and how much of their past it may have.
    entering: BTreeMap<String, VecDeque<(u64, u64)>>,
    /// How often what is tested has happened.
    pub(super) counts: BTreeMap<&'static str, u64>,
}

impl Returning {
    /// Begins a connection.
    pub(super) fn come(&mut self) {
        self.told = Told::new();
        self.entering.clear();
    }

    /// Notes that the client will enter a room that stands at an offset, and how much of its past it may have.
    pub(super) fn enters(&mut self, room: &str, top: u64, most: u64) {
        self.entering.entry(room.to_owned()).or_default().push_back((top, most));
    }

    /// Receives an object. `texts` are those of the messages that were published.
    pub(super) fn receive(&mut self, object: &Value, texts: &BTreeMap<Place, String>) {
        if object["type"] == "welcome" {
            return;
        }
        self.told.receive(object);
        let room = object["room"].as_str().unwrap_or_default().to_owned();
        let position = object["position"].as_str().map(|it| it.parse::<Position>().unwrap());
        let before = self.stored.get(&room).copied();
        match (object["type"].as_str().unwrap(), position) {
            ("entered", Some(position)) => self.entered(&room, before, position, object),
            ("message", Some(position)) => {
                let place = (room.clone(), position.offset);
                assert_eq!(object["text"].as_str(), texts.get(&place).map(String::as_str));
                self.count(
                    "received though told to be dropped",
                    self.missing.contains(&place).into(),
                );
                assert!(self.has.insert(place), "it has it already: {object}");
            }
            ("sent", Some(position)) => _ = self.has.insert((room.clone(), position.offset)),
            ("dropped", None) if !room.is_empty() => {
                let offset = |field: &str| {
                    object[field].as_str().unwrap().parse::<Position>().unwrap().offset
                };
                self.count("dropped", object["count"].as_u64().unwrap());
                self.lacks(&room, offset("after") + 1..=offset("before") - 1);
            }
            ("removed", None) => {
                // It forgets the position. If it is let in again, it may get what it has.
                self.stored.remove(&room);
                self.has.retain(|(of, _)| *of != room);
            }
            ("live" | "broadcast" | "direct" | "dropped", None) => {}
            other => panic!("{other:?}: {object}"),
        }
        if let Some(position) = position {
            assert!(before.is_none_or(|before| before.offset <= position.offset), "{object}");
            self.stored.insert(room, position);
        }
    }

    fn entered(&mut self, room: &str, since: Option<Position>, at: Position, object: &Value) {
        let (top, most) = self.entering.get_mut(room).unwrap().pop_front().unwrap();
        let expected = match since {
            Some(since) if top - since.offset <= most => {
                assert_eq!(at, since, "{object}");
                self.count("recovered", 1);
                Value::Bool(true)
            }
            Some(since) => {
                assert_eq!(object["reason"], "trimmed");
                assert!(since.offset < at.offset && at.epoch == since.epoch, "{object}, {since}");
                self.count("trimmed", 1);
                Value::Bool(false)
            }
            None => Value::Null,
        };
        assert_eq!(object["recovered"], expected, "{since:?}, the room stands at {top}: {object}");
        self.lacks(room, since.map_or(0, |since| since.offset) + 1..=at.offset);
    }

    fn count(&mut self, kind: &'static str, times: u64) {
        *self.counts.entry(kind).or_default() += times;
    }

    fn lacks(&mut self, room: &str, offsets: RangeInclusive<u64>) {
        self.missing.extend(offsets.map(|offset| (room.to_owned(), offset)));
    }

    /// Insists that it is in these rooms, stands where they stand, and has each message or was told that it is missing.
    pub(super) fn check(&self, rooms: &[(&str, u64)]) {
        self.told.check(rooms);
        for (room, top) in rooms {
            let place = |offset| ((*room).to_owned(), offset);
            let lost = (1..=*top)
                .map(place)
                .find(|place| !self.has.contains(place) && !self.missing.contains(place));
            assert_eq!(lost, None, "it was lost without a word");
        }
    }
}

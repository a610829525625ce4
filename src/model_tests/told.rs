//! What a client of the JSON form knows: where it stands in each room, by the rule that everything before a position
//! was received before it, or told to be dropped.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::Value;

use crate::position::Position;

#[derive(Debug, Default, Clone)]
pub(super) struct Told {
    rooms: BTreeMap<String, u64>,
    /// The offsets of the client's own messages, which it does not receive live.
    hidden: BTreeSet<(String, u64)>,
    /// Where rooms stood when the host took the client out of them.
    left: BTreeMap<String, VecDeque<u64>>,
    pub(super) received: u64,
    pub(super) dropped: u64,
}

fn offset(object: &Value, field: &str) -> Option<u64> {
    let position: Position = object[field].as_str()?.parse().expect("a position");
    Some(position.offset)
}

impl Told {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Notes that a message will be hidden from the client.
    pub(super) fn hide(&mut self, room: &str, offset: u64) {
        self.hidden.insert((room.to_owned(), offset));
    }

    /// Notes that the host has taken the client out of a room that stands at an offset.
    pub(super) fn left(&mut self, room: &str, offset: u64) {
        self.left.entry(room.to_owned()).or_default().push_back(offset);
    }

    /// Insists that the client lacks nothing of a room between where it stands and an offset.
    fn has_all(&self, room: &str, to: u64, why: &Value) {
        let at = self.rooms[room];
        let lacks = (at + 1..=to).find(|offset| !self.hidden.contains(&(room.to_owned(), *offset)));
        assert_eq!(lacks, None, "it stands at {at} of {room}: {why}");
    }

    pub(super) fn receive(&mut self, object: &Value) {
        let room = object["room"].as_str().unwrap_or_default();
        match object["type"].as_str().unwrap() {
            "entered" => {
                let entered = offset(object, "position").unwrap();
                assert_eq!(self.rooms.insert(room.to_owned(), entered), None, "{object}");
            }
            "message" => {
                let offset = offset(object, "position").unwrap();
                self.has_all(room, offset - 1, object);
                assert!(self.rooms[room] < offset, "it has it already: {object}");
                self.rooms.insert(room.to_owned(), offset);
                self.received += 1;
            }
            "dropped" => {
                let count = object["count"].as_u64().unwrap();
                assert!(count > 0);
                self.dropped += count;
                if room.is_empty() {
                    return;
                }
                let (after, before) =
                    (offset(object, "after").unwrap(), offset(object, "before").unwrap());
                self.has_all(room, after, object);
                assert!(self.rooms[room] <= after, "it has some already: {object}");
                let is_hidden = |offset: &u64| self.hidden.contains(&(room.to_owned(), *offset));
                let hidden = (after + 1..before).filter(is_hidden).count() as u64;
                assert_eq!(count, before - after - 1 - hidden, "{hidden} are hidden: {object}");
                self.rooms.insert(room.to_owned(), before - 1);
            }
            "sent" => self.has_all(room, offset(object, "position").unwrap(), object),
            "removed" => {
                let top = self.left.get_mut(room).unwrap().pop_front().unwrap();
                self.has_all(room, top, object);
                self.rooms.remove(room);
                // If it comes back to the room, its messages are replayed like all others.
                self.hidden.retain(|(of, offset)| of != room || *offset > top);
            }
            "broadcast" | "direct" => self.received += 1,
            other => assert!(matches!(other, "welcome" | "live"), "{object}"),
        }
    }

    /// Insists that the client is in these rooms, and lacks nothing up to where they stand.
    pub(super) fn check(&self, rooms: &[(&str, u64)]) {
        assert_eq!(self.rooms.len(), rooms.len());
        for (room, top) in rooms {
            self.has_all(room, *top, &Value::Null);
        }
    }
}

//! What was published, and where, as the host was told.

#![allow(dead_code, reason = "each test program uses its own part")]

use std::{
    collections::{BTreeMap, HashMap},
    sync::Mutex,
};

use chat::Position;

/// A message that a reader received: its room, its position, its text.
pub(crate) type Received = (String, Position, String);

/// Every message by room and offset.
#[derive(Default)]
pub(crate) struct Told(Mutex<HashMap<String, Messages>>);

type Messages = BTreeMap<u64, (Position, String)>;

impl Told {
    /// Notes a message that was published.
    pub(crate) fn note(&self, room: &str, position: Position, text: &str) {
        let mut rooms = self.0.lock().unwrap();
        let room = rooms.entry(room.to_owned()).or_default();
        let before = room.insert(position.offset, (position, text.to_owned()));
        assert!(before.is_none(), "two messages at {position}: {before:?} and {text}");
    }

    /// Where a room stands.
    pub(crate) fn top(&self, room: &str) -> Option<Position> {
        self.0.lock().unwrap().get(room)?.last_key_value().map(|(_, (position, _))| *position)
    }

    /// Insists that what was received is what was published there.
    pub(crate) fn check(&self, received: &[Received]) {
        let rooms = self.0.lock().unwrap();
        for (name, room) in rooms.iter() {
            assert!(room.keys().copied().eq(1..=room.len() as u64), "{name} has no gap");
        }
        for (room, position, text) in received {
            let told = rooms.get(room).and_then(|room| room.get(&position.offset));
            assert_eq!(told, Some(&(*position, text.clone())), "{room}");
        }
    }
}

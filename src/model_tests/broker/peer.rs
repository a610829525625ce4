//! A client in the JSON form, which checks all that it is told.

use std::{collections::BTreeMap, rc::Rc};

use serde_json::Value;

use super::{super::setting::frames, store::Store};
use crate::{event::ClientId, position::Position, transport::scripted::Scripted};

/// One client.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) id: ClientId,
    pub(super) node: usize,
    pub(super) instance: u64,
    pub(super) script: Rc<Scripted>,
    pub(super) echo: bool,
    /// The rooms that it is in, and what it knows of each.
    pub(super) rooms: BTreeMap<String, Known>,
    /// The texts of what it has sent and is not answered yet, by the ids, in order.
    pub(super) awaited: Vec<(u64, String, String)>,
    /// The texts that were refused, and that are stored nowhere.
    pub(super) refused: Vec<(String, String)>,
    pub(super) answered: usize,
    pub(super) answered_with_position: usize,
    bytes: Vec<u8>,
    pub(super) closed: bool,
}

/// What a client knows of a room.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The last position that it was told of.
    pub(super) at: Option<Position>,
    /// The position with which it came.
    pub(super) since: Option<Position>,
    pub(super) is_live: bool,
    /// How often it was told that it has missed something, and why last.
    pub(super) told: usize,
    pub(super) reason: String,
    /// The texts that it has got.
    pub(super) texts: Vec<String>,
    has_entered: bool,
}

impl Known {
    pub(super) fn new(since: Option<Position>) -> Self {
        Self { since, at: since, ..Self::default() }
    }
}

impl Peer {
    pub(super) fn new(
        (node, id, instance): (usize, ClientId, u64),
        script: Rc<Scripted>,
        echo: bool,
    ) -> Self {
        Self {
            id,
            node,
            instance,
            script,
            echo,
            rooms: BTreeMap::new(),
            awaited: Vec::new(),
            refused: Vec::new(),
            answered: 0,
            answered_with_position: 0,
            bytes: Vec::new(),
            closed: false,
        }
    }

    /// Reads what has come, and checks it.
    pub(super) fn check(&mut self, store: &Store) {
        self.bytes.extend(self.script.received());
        let bytes = std::mem::take(&mut self.bytes);
        for (head, payload) in frames(&bytes) {
            match head {
                0x81 => {
                    let object: Value = serde_json::from_slice(&payload).expect("JSON");
                    self.object(store, &object);
                }
                0x88 => self.closed = true,
                _ => {}
            }
        }
    }

    fn object(&mut self, store: &Store, object: &Value) {
        assert!(!self.closed, "{object} behind a close frame");
        let string = |name: &str| object[name].as_str().unwrap_or_default().to_owned();
        let position: Option<Position> =
            object["position"].as_str().map(|text| text.parse().expect("a position"));
        let room = string("room");
        match &*string("type") {
            "entered" => self.entered(object, &room, position, &string("reason")),
            "live" => self.rooms.get_mut(&room).expect("it is in it").is_live = true,
            "message" => {
                let position = position.expect("it has a position");
                self.message(store, &room, position, string("text"));
            }
            "sent" => {
                let text = self.answer(object);
                assert_eq!(store.count(&room, &text), 1, "{object}");
                let Some(position) = position else { return };
                assert_eq!(store.text(&room, position), Some(text), "{object}");
                self.answered_with_position += 1;
                if let Some(known) = self.rooms.get(&room)
                    && let Some(at) = known.at
                {
                    assert_eq!(at.epoch, position.epoch, "{object} at {at}");
                    self.catch_up(store, &room, position.offset);
                    let at = self.rooms[&room].at.expect("as before");
                    assert_eq!(at.offset, position.offset, "{object} at {at}");
                }
            }
            "refused" => {
                let text = self.answer(object);
                match &*string("code") {
                    "unavailable" => self.refused.push((string("room"), text)),
                    "unknown" | "not_in_room" => {}
                    code => panic!("{code}"),
                }
            }
            "removed" => _ = self.rooms.remove(&room),
            "welcome" | "ping" | "closing" => {}
            other => panic!("{other}"),
        }
    }

    fn answer(&mut self, object: &Value) -> String {
        let id = object["id"].as_u64().expect("it has an id");
        let (first, _, text) = self.awaited.remove(0);
        assert_eq!(id, first, "answers are in the order of what they answer: {object}");
        self.answered += 1;
        text
    }

    fn entered(&mut self, object: &Value, room: &str, position: Option<Position>, reason: &str) {
        let known = self.rooms.get_mut(room).expect("it is in it");
        let recovered = object["recovered"].as_bool();
        if !known.has_entered {
            known.has_entered = true;
            if known.since.is_some() {
                assert!(recovered.is_some(), "{object}");
            }
        } else {
            assert_eq!(recovered, Some(false), "it is told why it enters again: {object}");
        }
        if recovered == Some(true) {
            assert_eq!(position, known.since, "{object}");
        }
        if recovered == Some(false) {
            known.told += 1;
            reason.clone_into(&mut known.reason);
        }
        known.at = position;
    }

    /// Skips the client's own messages, which it does not get.
    fn catch_up(&mut self, store: &Store, room: &str, before: u64) {
        let (id, instance, echo) = (self.id, self.instance, self.echo);
        let known = self.rooms.get_mut(room).expect("it is in it");
        while let Some(at) = known.at
            && at.offset < before
        {
            let next = Position { offset: at.offset + 1, ..at };
            let is_own = store.stored(room, next).is_some_and(|stored| {
                stored.origin.client == Some(id) && stored.origin.node == instance
            });
            if echo || !is_own {
                return;
            }
            known.at = Some(next);
        }
    }

    fn message(&mut self, store: &Store, room: &str, position: Position, text: String) {
        assert_eq!(store.text(room, position).as_ref(), Some(&text), "{position} in {room}");
        self.catch_up(store, room, position.offset - 1);
        let known = self.rooms.get_mut(room).expect("it is in it");
        if let Some(at) = known.at {
            let next = Position { offset: at.offset + 1, ..at };
            assert_eq!(position, next, "{room}: {known:?}");
        } else {
            assert!(known.told > 0, "it does not know where it is, and was not told");
        }
        known.texts.push(text);
        known.at = Some(position);
    }

    /// Checks that it has everything, once nothing is on its way.
    pub(super) fn check_end(&mut self, store: &Store) {
        for room in self.rooms.keys().cloned().collect::<Vec<_>>() {
            let top = store.top(&room);
            self.catch_up(store, &room, top.offset);
            let known = &self.rooms[&room];
            assert!(known.is_live, "{room}: {known:?}");
            match known.at {
                Some(at) => assert_eq!(at, top, "{room}: {known:?}"),
                None => assert!(known.told > 0, "{room}: {known:?}"),
            }
        }
        assert!(self.awaited.is_empty(), "{:?}", self.awaited);
        for (room, text) in &self.refused {
            assert_eq!(store.count(room, text), 0, "{text} was refused");
        }
    }
}

//! What a client knows of the members of its rooms, by the objects that it has received.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    fanout::form::Form,
    frame::{self, Header},
};

/// What it knows of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Known {
    /// The members and their names.
    List(BTreeMap<String, Option<String>>),
    Count(u64),
}

#[derive(Debug, Default)]
pub(super) struct Watcher {
    pub(super) rooms: BTreeMap<String, Known>,
    /// How many objects it got of members.
    pub(super) objects: u64,
    pub(super) returned: u64,
    unread: Vec<u8>,
}

impl Watcher {
    /// Takes bytes, which may end anywhere.
    pub(super) fn receive(&mut self, form: Form, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
        while let Some(object) = self.next(form) {
            if let Some(object) = object {
                self.apply(&object);
            }
        }
    }

    /// Takes the next object; `Some(None)` for something else.
    fn next(&mut self, form: Form) -> Option<Option<Value>> {
        if form.is_event_stream() {
            let end = self.unread.windows(2).position(|two| two == b"\n\n")? + 2;
            let event = String::from_utf8(self.unread.drain(..end).collect()).expect("UTF-8");
            let data = event.lines().find_map(|line| line.strip_prefix("data: "));
            return Some(data.map(|data| serde_json::from_str(data).expect("JSON")));
        }
        let header = Header::parse(&self.unread)?;
        let len = header.len + header.payload as usize;
        if self.unread.len() < len {
            return None;
        }
        let frame: Vec<u8> = self.unread.drain(..len).collect();
        let is_text = frame[0] == 0x81 && form == Form::Json;
        Some(is_text.then(|| serde_json::from_slice(frame::payload(&frame)).expect("JSON")))
    }

    fn apply(&mut self, object: &Value) {
        let room = object["room"].as_str().unwrap_or_default().to_owned();
        match object["type"].as_str() {
            Some("entered" | "removed") => _ = self.rooms.remove(&room),
            Some("members") => {
                self.objects += 1;
                let known = self.rooms.remove(&room);
                let known = self.change(known, object);
                self.rooms.insert(room, known);
            }
            _ => {}
        }
    }

    fn change(&mut self, known: Option<Known>, object: &Value) -> Known {
        let count = object["count"].as_u64().expect("a count");
        let client = |member: &Value| member["client"].as_str().expect("a client").to_owned();
        let entry = |member: &Value| (client(member), member["name"].as_str().map(str::to_owned));
        let members = |field: &str| object[field].as_array().cloned();
        if let Some(list) = members("list") {
            let list: BTreeMap<_, _> = list.iter().map(entry).collect();
            assert_eq!(list.len() as u64, count);
            return Known::List(list);
        }
        let [joined, left, returned] = ["joined", "left", "returned"].map(members);
        if joined.is_none() && left.is_none() && returned.is_none() {
            return Known::Count(count);
        }
        let Some(Known::List(mut list)) = known else { panic!("changes without a list: {object}") };
        for member in returned.into_iter().flatten() {
            self.returned += 1;
            let was = member["was"].as_str().expect("whose place it was");
            assert!(list.remove(was).is_some(), "{was} was not there: {object}");
            let (id, name) = entry(&member);
            assert!(list.insert(id, name).is_none(), "it was there: {object}");
        }
        for member in left.into_iter().flatten() {
            assert!(list.remove(&client(&member)).is_some(), "it was not there: {object}");
        }
        list.extend(joined.into_iter().flatten().map(|member| entry(&member)));
        assert_eq!(list.len() as u64, count, "{object}");
        Known::List(list)
    }
}

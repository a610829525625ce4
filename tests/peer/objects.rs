//! Clients of the JSON form.

use std::net::SocketAddr;

use serde_json::Value;

use super::{
    Peer,
    frames::{CLOSE, Frame, PING, PONG, TEXT},
};

/// The subprotocol, as a header line of a request.
pub(crate) const SUBPROTOCOL: &str = "Sec-WebSocket-Protocol: libchat.json";

/// Reads the object in a frame.
pub(crate) fn object(frame: &Frame) -> Value {
    assert_eq!(frame.head, TEXT, "{frame:?}");
    serde_json::from_slice(&frame.payload).expect("a JSON object")
}

/// A field of an object that is a string; empty if it is not there.
pub(crate) fn field<'a>(object: &'a Value, name: &str) -> &'a str {
    object[name].as_str().unwrap_or_default()
}

/// What an object is: its type, and its text, id, code or room, whichever it has first.
pub(crate) fn gist(object: &Value) -> String {
    let what = ["text", "id", "code", "room"].map(|name| &object[name]);
    let what = what.into_iter().find(|it| !it.is_null()).unwrap_or(&Value::Null);
    let what = what.as_str().map_or_else(|| what.to_string(), str::to_owned);
    format!("{} {what}", field(object, "type"))
}

impl Peer {
    /// Connects and upgrades to the JSON form.
    pub(crate) fn join_json(addr: SocketAddr, path: &str) -> Self {
        let mut peer = Self::connect(addr);
        let response = peer.upgrade(path, &[SUBPROTOCOL]);
        assert_eq!(response.status, 101, "{path}: {response:?}");
        assert_eq!(response.header("Sec-WebSocket-Protocol"), Some("libchat.json"));
        peer
    }

    /// The same, and reads up to the object `live` of the room of the path.
    pub(crate) fn enter_json(addr: SocketAddr, path: &str) -> Self {
        let mut peer = Self::join_json(addr, path);
        peer.until("live");
        peer
    }

    /// Reads the next object. WebSocket pings on the way are answered.
    pub(crate) fn object(&mut self) -> Value {
        loop {
            let frame = self.frame();
            match frame.head {
                PING => self.send(PONG, &frame.payload),
                PONG => {}
                CLOSE => panic!("closed instead of an object: {:?}", frame.close()),
                _ => return object(&frame),
            }
        }
    }

    /// Reads objects up to one of a type, that one included.
    pub(crate) fn until(&mut self, kind: &str) -> Vec<Value> {
        let mut objects = Vec::new();
        loop {
            objects.push(self.object());
            if field(objects.last().expect("one"), "type") == kind {
                return objects;
            }
        }
    }

    /// Reads so many objects, and says what they are.
    pub(crate) fn gists(&mut self, count: usize) -> Vec<String> {
        (0..count).map(|_| gist(&self.object())).collect()
    }

    /// Reads whatever comes up to the close frame: the objects, and its code.
    pub(crate) fn objects_until_closed(&mut self) -> (Vec<Value>, u16) {
        let (frames, code) = self.until_closed();
        (frames.iter().map(object).collect(), code)
    }
}

//! Clients of the JSON form.

use std::net::SocketAddr;

use chat::Position;
use serde_json::Value;

use super::{
    Peer,
    frames::{CLOSE, Frame, PING, PONG, TEXT},
};

/// The subprotocol, as a header line of a request.
pub(crate) const SUBPROTOCOL: &str = "Sec-WebSocket-Protocol: libchat.json";

/// What a client is told when it enters a room.
#[derive(Debug)]
pub(crate) struct Entered {
    /// Where it stands before the past that it gets; `None` in a room without history.
    pub(crate) position: Option<Position>,
    /// Whether it recovers, or why not; `None` if it did not say where it was.
    pub(crate) recovered: Option<Result<(), String>>,
    /// The past that it gets.
    pub(crate) texts: Vec<String>,
}

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

    /// Reads the welcome, which is the first object.
    pub(crate) fn welcomed(mut self) -> Self {
        let welcome = self.object();
        assert_eq!(welcome["type"], "welcome", "{welcome}");
        self
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

    /// Reads what the client is told when it enters a room, up to the end of the past.
    pub(crate) fn entered(&mut self, room: &str) -> Entered {
        let entered = self.object();
        assert_eq!((&entered["type"], &entered["room"]), (&"entered".into(), &room.into()));
        let position = entered["position"].as_str().map(|it| it.parse().expect("a position"));
        let recovered = entered["recovered"].as_bool().map(|is_recovered| {
            let reason = entered["reason"].as_str().map(str::to_owned);
            assert_eq!(is_recovered, reason.is_none(), "{entered}");
            reason.map_or(Ok(()), Err)
        });
        let mut texts = Vec::new();
        loop {
            let object = self.object();
            assert_eq!(object["room"], room, "{object}");
            match object["type"].as_str() {
                Some("message") => texts.push(object["text"].as_str().expect("text").to_owned()),
                Some("live") => return Entered { position, recovered, texts },
                _ => panic!("{object} in the past"),
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

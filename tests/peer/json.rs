//! A client of the JSON form.

use std::net::SocketAddr;

use chat::Position;
use serde_json::Value;

use super::Peer;

/// A client of the JSON form, which was welcomed.
#[derive(Debug)]
pub(crate) struct Json {
    pub(crate) peer: Peer,
}

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

impl Json {
    /// Connects and upgrades: a client in the path's room, with a further query.
    pub(crate) fn join(addr: SocketAddr, path: &str, query: &str) -> Self {
        Self::welcomed(Peer::join(addr, &format!("{path}?format=json&{query}")))
    }

    /// Takes a client that has just connected.
    pub(crate) fn welcomed(peer: Peer) -> Self {
        let mut client = Self { peer };
        let welcome = client.next();
        assert_eq!(welcome["type"], "welcome", "{welcome}");
        client
    }

    /// Reads the next object.
    pub(crate) fn next(&mut self) -> Value {
        let text = self.peer.text();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Reads what the client is told when it enters a room, up to the end of the past.
    pub(crate) fn entered(&mut self, room: &str) -> Entered {
        let entered = self.next();
        assert_eq!((&entered["type"], &entered["room"]), (&"entered".into(), &room.into()));
        let position = entered["position"].as_str().map(|it| it.parse().expect("a position"));
        let recovered = entered["recovered"].as_bool().map(|is_recovered| {
            let reason = entered["reason"].as_str().map(str::to_owned);
            assert_eq!(is_recovered, reason.is_none(), "{entered}");
            reason.map_or(Ok(()), Err)
        });
        let mut texts = Vec::new();
        loop {
            let object = self.next();
            assert_eq!(object["room"], room, "{object}");
            match object["type"].as_str() {
                Some("message") => texts.push(object["text"].as_str().expect("text").to_owned()),
                Some("live") => return Entered { position, recovered, texts },
                _ => panic!("{object} in the past"),
            }
        }
    }
}

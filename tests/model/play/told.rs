//! What the host is told: taken as it comes, and put down for each client.

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use chat::{ClientId, Error, Event};

use super::{
    Stage,
    case::{ROOMS, room_name},
    payload::tag_of,
};
use crate::promise::{Move, Publisher, Tag};

/// What the host was told of one client.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    pub(crate) heard: Vec<(Option<usize>, u64)>,
    pub(crate) moves: Vec<(Move, usize)>,
    pub(crate) dropped: u64,
    pub(crate) left: Option<u16>,
}

/// What the host was told so far.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// Which client has which address.
    pub(crate) expected: HashMap<SocketAddr, usize>,
    numbers: HashMap<ClientId, usize>,
    pub(crate) ids: HashMap<usize, ClientId>,
    pub(crate) clients: Vec<Told>,
    /// The offset of the last message that it was told of, in each room.
    last: [u64; ROOMS],
}

/// Takes all events until the server has stopped.
pub(crate) fn listen(stage: &Stage<'_>) {
    let rooms: HashMap<_, _> = (0..ROOMS).map(|room| (room_name(room), room)).collect();
    loop {
        match stage.server.next_events(Duration::from_secs(1)) {
            Ok(events) => {
                let mut record = stage.record();
                for event in events {
                    record.take(event, &rooms, stage.case.max_message_size);
                }
            }
            Err(Error::TimedOut) => {}
            Err(Error::Stopped) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

impl Record {
    pub(crate) fn new(clients: usize) -> Self {
        Self { clients: vec![Told::default(); clients], ..Self::default() }
    }

    fn take(&mut self, event: Event, rooms: &HashMap<String, usize>, max_message_size: usize) {
        match event {
            Event::Connected { client, request, .. } => {
                let number = self.expected[&request.addr];
                self.numbers.insert(client, number);
                self.ids.insert(number, client);
            }
            Event::Message { client, room, position, message, .. } => {
                let offset = position.offset;
                let number = self.numbers[&client];
                let tag = tag_of(message.kind(), message.data(), max_message_size);
                let told = self.told(client);
                let next = Tag { by: Publisher::Client(number), number: told.heard.len() };
                assert!(tag == next && told.left.is_none(), "{tag} was heard instead of {next}");
                let room = rooms.get(&*room).copied();
                told.heard.push((room, offset));
                if let Some(room) = room {
                    let last = std::mem::replace(&mut self.last[room], offset);
                    assert!(last < offset, "{tag}: the host was told {offset} behind {last}");
                }
            }
            Event::Joined { client, room, .. } => {
                self.told(client).moves.push((Move::In, rooms[&*room]));
            }
            Event::Left { client, room, .. } => {
                self.told(client).moves.push((Move::Out, rooms[&*room]));
            }
            Event::MessagesDropped { client, count } => self.told(client).dropped += count,
            Event::Disconnected { client, code, .. } => {
                let before = self.told(client).left.replace(code);
                assert_eq!(before, None, "a client left twice");
                self.ids.remove(&self.numbers[&client]);
            }
            Event::Stopped => {}
            event => panic!("{event:?}"),
        }
    }

    fn told(&mut self, client: ClientId) -> &mut Told {
        let told = &mut self.clients[self.numbers[&client]];
        assert!(told.left.is_none(), "{client} has left");
        told
    }
}

//! One thread of the host, which makes random calls.

use std::{collections::BTreeSet, thread, time::Duration};

use chat::{ClientId, Error, Publication};

use super::{
    Stage,
    case::{Case, KEEPER, ROOMS, room_name},
    chance::Chance,
    payload::payload,
};
use crate::promise::{Deed, Echo, Publisher, Tag};

/// The longest run of a batch that nobody else's messages come between.
const MAX_RUN: usize = 256;

/// How many of a thread's clients it disconnects at the most.
const MAX_DISCONNECTED: usize = 3;

/// One thread of the host.
pub(crate) struct Host<'a> {
    stage: &'a Stage<'a>,
    number: usize,
    chance: Chance,
    pub(crate) deeds: Vec<Deed>,
    /// The clients that it has met, with the rooms that they are in; nothing once they are gone.
    clients: Vec<Option<(ClientId, BTreeSet<usize>)>>,
    met: BTreeSet<usize>,
    runs: usize,
    disconnected: usize,
}

/// The thread that a client belongs to.
pub(crate) fn owner(case: &Case, client: usize) -> usize {
    client % case.threads
}

impl<'a> Host<'a> {
    pub(crate) fn new(stage: &'a Stage<'a>, number: usize, chance: Chance) -> Self {
        let clients = vec![None; stage.case.ways.len()];
        let (deeds, met) = (Vec::new(), BTreeSet::new());
        Self { stage, number, chance, deeds, clients, met, runs: 0, disconnected: 0 }
    }

    /// Notes who is connected.
    pub(crate) fn meet(&mut self) {
        for (client, id) in self.stage.connected() {
            if self.met.insert(client) {
                let rooms = BTreeSet::from([self.stage.case.ways[client].room]);
                self.clients[client] = Some((id, rooms));
                self.deeds.push(Deed::Meet { client });
            }
        }
    }

    /// Does all its deeds.
    pub(crate) fn act(&mut self) {
        for _ in 0..self.stage.case.deeds {
            self.meet();
            self.call_something();
            self.stage.note_deed();
            if self.chance.percent(self.stage.case.rests) {
                thread::sleep(Duration::from_micros(self.chance.number() % 2000));
            }
        }
    }

    /// Says some more, just before the server is stopped.
    pub(crate) fn say_last_words(&mut self) {
        for _ in 0..self.chance.pick(&[0, 10, 300]) {
            self.call_something();
        }
    }

    fn call_something(&mut self) {
        match self.chance.below(1000) {
            0..10 => self.publish_many(),
            10..450 => self.publish(),
            450..520 if self.number == 0 => self.publish_batch(),
            450..600 => self.broadcast(),
            600..750 => self.send(),
            750..850 => self.join(),
            850..950 => self.leave(),
            950..990 => self.set_echo(),
            990..992 => self.disconnect(),
            _ => {}
        }
    }

    fn tag(&self) -> Tag {
        Tag { by: Publisher::Host(self.number), number: self.deeds.len() }
    }

    pub(crate) fn publish_to(&mut self, room: usize) {
        let (kind, data) = payload(self.tag(), self.stage.case.max_message_size);
        let position = self.stage.server.publish(&room_name(room), kind, &data);
        self.deeds
            .push(Deed::Publish { room, offset: position.expect("there is space in time").offset });
    }

    fn publish(&mut self) {
        let room = self.chance.below(ROOMS);
        self.publish_to(room);
    }

    /// Publishes many messages to one room, one after the other: clients come and speak in between.
    fn publish_many(&mut self) {
        let room = self.chance.pick(&[0, 0, self.number % ROOMS]);
        for _ in 0..self.chance.below(200) {
            self.publish_to(room);
        }
    }

    /// Publishes runs of several lengths to several rooms.
    fn publish_batch(&mut self) {
        let rooms: Vec<_> = (0..ROOMS).map(room_name).collect();
        let mut of_rooms = Vec::new();
        for _ in 0..self.chance.below(4) {
            let is_long = self.chance.percent(4);
            let length = if is_long { 300 } else { 1 + self.chance.below(16) };
            let room = self.chance.below(ROOMS);
            of_rooms.extend(vec![room; length]);
        }
        let first = self.tag();
        let tags = (first.number..).map(|number| Tag { number, ..first });
        let messages: Vec<_> = tags
            .zip(&of_rooms)
            .map(|(tag, _)| payload(tag, self.stage.case.max_message_size))
            .collect();
        let batch: Vec<_> = of_rooms
            .iter()
            .zip(&messages)
            .map(|(room, (kind, data))| Publication { room: &rooms[*room], kind: *kind, data })
            .collect();
        self.stage.server.publish_batch(&batch).expect("there is space in time");
        for run in of_rooms.chunk_by(|one, other| one == other) {
            for run in run.chunks(MAX_RUN) {
                self.runs += 1;
                let deed = Deed::Batch { room: run[0], run: self.runs };
                self.deeds.extend(vec![deed; run.len()]);
            }
        }
    }

    fn broadcast(&mut self) {
        let (kind, data) = payload(self.tag(), self.stage.case.max_message_size);
        self.stage.server.broadcast(kind, &data).expect("there is space in time");
        self.deeds.push(Deed::Broadcast);
    }

    fn send(&mut self) {
        let client = self.chance.below(self.clients.len());
        let (kind, data) = payload(self.tag(), self.stage.case.max_message_size);
        self.call(client, Deed::Send { client }, |stage, id| stage.server.send(id, kind, &data));
    }

    fn join(&mut self) {
        let room = self.chance.below(ROOMS);
        if let Some(client) = self.own() {
            self.join_to(client, room);
        }
    }

    pub(crate) fn join_to(&mut self, client: usize, room: usize) {
        let Some((_, rooms)) = &mut self.clients[client] else { return };
        let deed = if rooms.insert(room) { Deed::Join { client, room } } else { Deed::Nothing };
        self.call(client, deed, |stage, id| stage.server.join(id, &room_name(room)));
    }

    fn leave(&mut self) {
        let Some(client) = self.own().filter(|client| *client != KEEPER) else { return };
        let Some((_, rooms)) = &mut self.clients[client] else { return };
        // As a rule one that it is in.
        let room = match rooms.iter().next() {
            Some(first) if self.chance.percent(80) => {
                let number = self.chance.below(rooms.len());
                rooms.iter().nth(number).copied().unwrap_or(*first)
            }
            _ => self.chance.below(ROOMS),
        };
        let deed = if rooms.remove(&room) { Deed::Leave { client, room } } else { Deed::Nothing };
        self.call(client, deed, |stage, id| stage.server.leave(id, &room_name(room)));
    }

    fn set_echo(&mut self) {
        let echo = self.chance.percent(50);
        let Some(client) = self.own() else { return };
        if self.stage.case.ways[client].echo == Echo::Changes {
            self.call(client, Deed::Nothing, |stage, id| stage.server.set_echo(id, echo));
        }
    }

    fn disconnect(&mut self) {
        let Some(client) = self.own().filter(|client| *client != KEEPER) else { return };
        if self.disconnected < MAX_DISCONNECTED {
            self.disconnected += 1;
            let code = 4100;
            let deed = Deed::Disconnect { client, code };
            self.call(client, deed, |stage, id| stage.server.disconnect(id, code, "enough"));
            self.clients[client] = None;
        }
    }

    /// One of its own clients.
    fn own(&mut self) -> Option<usize> {
        let client = self.chance.below(self.clients.len());
        let is_own = owner(self.stage.case, client) == self.number;
        (is_own && self.clients[client].is_some()).then_some(client)
    }

    /// Calls something for a client, and notes it unless the client is gone.
    fn call(
        &mut self,
        client: usize,
        deed: Deed,
        call: impl FnOnce(&Stage<'_>, ClientId) -> chat::Result<()>,
    ) {
        let Some((id, _)) = self.clients[client] else { return };
        match call(self.stage, id) {
            Ok(()) => self.deeds.push(deed),
            Err(Error::ClientNotFound) => self.clients[client] = None,
            Err(error) => panic!("{deed:?}: {error}"),
        }
    }
}

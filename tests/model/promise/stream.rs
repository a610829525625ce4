//! One client's stream: in every publisher's order and in every room's, whole, and what is not there is
//! what the host was told was dropped.

use std::collections::{HashMap, HashSet};

use super::{
    Deed, Echo, Publisher, Tag, World, direct,
    order::Orders,
    room::{self, Got, Lack, Sight},
};

/// What a client received, to be looked up.
pub(super) struct Stream<'a> {
    world: &'a World,
    number: usize,
    received: HashSet<Tag>,
    /// The last deed of each thread that it saw; not those that it may have been shown as the past.
    last_seen: Vec<Option<usize>>,
    /// When each thread met it.
    met: Vec<usize>,
    /// When its owner disconnected it.
    disconnected: Option<usize>,
    /// Whether the close frame was that one, behind all that came before.
    is_whole: bool,
}

/// Checks what a client received.
///
/// # Errors
/// The promise that was broken.
pub(super) fn check(world: &World, orders: &Orders, number: usize) -> Result<(), String> {
    let client = &world.clients[number];
    let stream = Stream::of(world, number)?;
    let (mut least, mut most) = (0, 0);
    let mut add = |lack: Lack| {
        least += lack.0;
        most += lack.1;
    };
    in_order(&client.received, orders)?;
    for (room, order) in orders.rooms.iter().enumerate() {
        add(stream.lack(room, order)?);
    }
    for thread in 0..world.threads.len() {
        add(direct::lack(world, &stream, number, thread)?);
    }
    let is_known = |tag: &&Tag| orders.places.contains_key(tag) || stream.is_direct(**tag);
    if let Some(unknown) = client.received.iter().find(|tag| !is_known(tag)) {
        return Err(format!("it received {unknown}, which was not published, or not to it"));
    }
    if !world.drops {
        most = 0;
    }
    if (least..=most).contains(&client.dropped) {
        return Ok(());
    }
    let told = client.dropped;
    Err(format!("it lacks {least} to {most} messages, and the host was told of {told}"))
}

/// Whether what a client received of each room is in the room's order.
fn in_order(received: &[Tag], orders: &Orders) -> Result<(), String> {
    let mut last = HashMap::new();
    for tag in received {
        let Some((room, index)) = orders.places.get(tag) else { continue };
        if last.insert(room, index).is_some_and(|last| last >= index) {
            return Err(format!("{tag} came behind a later message of room {room}"));
        }
    }
    Ok(())
}

impl<'a> Stream<'a> {
    fn of(world: &'a World, number: usize) -> Result<Self, String> {
        let client = &world.clients[number];
        let received: HashSet<_> = client.received.iter().copied().collect();
        if received.len() < client.received.len() {
            return Err("a message came twice".to_owned());
        }
        let is_own = |tag: &&Tag| tag.by == Publisher::Client(number);
        if client.echo == Echo::Off
            && let Some(own) = client.received.iter().find(is_own)
        {
            return Err(format!("it received its own {own}, and has no echo"));
        }
        let disconnected = world.disconnected(number);
        let is_whole = disconnected.is_some_and(|(_, code)| client.closed == Some(code));
        let disconnected = disconnected.map(|(deed, _)| deed);
        let last_seen = vec![None; world.threads.len()];
        let met = (0..world.threads.len()).map(|thread| world.met(thread, number)).collect();
        let mut stream = Self { world, number, received, last_seen, met, disconnected, is_whole };
        // What was before it came may come late, behind what came later.
        let mut past = if client.is_first { 0 } else { client.history };
        for tag in &client.received {
            let Publisher::Host(thread) = tag.by else {
                past -= usize::from(past > 0 && stream.is_of_path(*tag));
                continue;
            };
            if past > 0 && stream.is_of_path(*tag) {
                past -= 1;
                continue;
            }
            let last = stream.last_seen[thread].replace(tag.number);
            if last.is_some_and(|last| last > tag.number) {
                return Err(format!("{tag} came behind what the same thread did later"));
            }
        }
        Ok(stream)
    }

    /// Whether a message is of the room that the client's path names.
    fn is_of_path(&self, tag: Tag) -> bool {
        let path = self.world.clients[self.number].room;
        match tag.by {
            Publisher::Host(thread) => match self.world.threads[thread].get(tag.number) {
                Some(Deed::Publish { room, .. } | Deed::Batch { room, .. }) => *room == path,
                _ => false,
            },
            Publisher::Client(client) => {
                let heard = self.world.clients[client].heard.get(tag.number);
                heard.is_some_and(|(room, _)| *room == Some(path))
            }
        }
    }

    /// Whether a message was sent to the client, or to everyone.
    fn is_direct(&self, tag: Tag) -> bool {
        let Publisher::Host(thread) = tag.by else { return false };
        match self.world.threads[thread].get(tag.number) {
            Some(Deed::Broadcast) => true,
            Some(Deed::Send { client }) => *client == self.number,
            _ => false,
        }
    }

    pub(super) fn has(&self, thread: usize, deed: usize) -> bool {
        self.received.contains(&Tag { by: Publisher::Host(thread), number: deed })
    }

    /// Whether a thread knew before a deed that the client was connected.
    pub(super) fn is_met(&self, thread: usize, deed: usize) -> bool {
        deed >= self.met[thread]
    }

    /// Whether the client's connection had ended for certain before a deed.
    pub(super) fn has_ended(&self, thread: usize, deed: usize) -> bool {
        let is_owner = thread == self.world.clients[self.number].owner;
        is_owner && self.disconnected.is_some_and(|disconnected| deed > disconnected)
    }

    /// Whether the client's connection may have ended before a deed.
    pub(super) fn may_have_ended(&self, thread: usize, deed: usize) -> bool {
        let client = &self.world.clients[self.number];
        if client.stayed() || self.last_seen[thread].is_some_and(|last| deed <= last) {
            return false;
        }
        // Closed by its owner it has all that this has done before.
        let is_before = thread == client.owner && self.disconnected.is_some_and(|it| deed < it);
        !(self.is_whole && is_before)
    }

    /// How many messages of a room the client lacks.
    fn lack(&self, room: usize, order: &[Tag]) -> Result<Lack, String> {
        let changes = self.changes(room);
        let offsets = 1..=order.len() as u64;
        let sights: Vec<_> = order
            .iter()
            .zip(offsets)
            .map(|(tag, offset)| self.sight(room, &changes, *tag, offset))
            .collect();
        let drops = self.world.drops;
        let stayed = self.world.clients[self.number].stayed();
        room::lack(&sights, changes.len(), stayed, drops).map_err(|index| {
            let from = index.saturating_sub(8);
            let last: Vec<_> = (from..sights.len().min(index + 1))
                .map(|at| format!("{} {:?} {:?}", order[at], sights[at].got, sights[at].stages))
                .collect();
            let (last, offset) = (last.join(", "), index + 1);
            format!(
                "room {room}, up to {offset}: it lacks a message or has one too many: {last}; it came \
                 and left with the deeds {changes:?}"
            )
        })
    }

    /// The deeds of its owner by which a client came into a room and went out, in turn. The first stands
    /// for the room that it came to by its path.
    fn changes(&self, room: usize) -> Vec<usize> {
        let client = &self.world.clients[self.number];
        let mut changes = Vec::new();
        if client.room == room {
            changes.push(0);
        }
        for (number, deed) in self.world.threads[client.owner].iter().enumerate() {
            match deed {
                Deed::Join { client, room: it } | Deed::Leave { client, room: it }
                    if (*client, *it) == (self.number, room) =>
                {
                    changes.push(number);
                }
                _ => {}
            }
        }
        changes
    }

    /// What is known of a message of a room and the client.
    fn sight(&self, room: usize, changes: &[usize], tag: Tag, offset: u64) -> Sight {
        let client = &self.world.clients[self.number];
        let is_path = client.room == room;
        let is_past = offset <= self.world.past;
        let is_own = tag.by == Publisher::Client(self.number);
        let least = usize::from(is_path && client.is_first && !is_past);
        let stages = match tag.by {
            Publisher::Host(thread) if thread == client.owner => {
                if !self.is_met(thread, tag.number) {
                    (least, usize::from(is_path))
                } else {
                    let stage = changes.iter().filter(|change| **change < tag.number).count();
                    (stage, stage)
                }
            }
            _ => (least, changes.len()),
        };
        let (stages, may_have_ended) = match tag.by {
            // A range without a stage: the connection alone may have ended.
            Publisher::Host(thread) if self.has_ended(thread, tag.number) => ((1, 0), true),
            Publisher::Host(thread) => (stages, self.may_have_ended(thread, tag.number)),
            // Its own close comes behind what it has said.
            Publisher::Client(_) if is_own && client.closed_itself() => (stages, false),
            Publisher::Client(_) => (stages, !client.stayed()),
        };
        let got = match (self.received.contains(&tag), is_own, client.echo) {
            (true, ..) => Got::Received,
            (false, true, Echo::Off) => Got::NotForIt,
            (false, true, Echo::Changes) => Got::PerhapsForIt,
            (false, ..) => Got::Missing,
        };
        Sight { stages, may_have_ended, got }
    }
}

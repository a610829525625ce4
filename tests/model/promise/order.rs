//! A room has one order: each offset is of one message, and what one publisher published stays in its
//! order.

use std::collections::HashMap;

use super::{Deed, Publisher, Tag, World};

/// The orders of all rooms.
#[derive(Debug)]
pub(super) struct Orders {
    /// The messages of each room: that of offset 1 is the first.
    pub(super) rooms: Vec<Vec<Tag>>,
    /// The room of each message, and its index there.
    pub(super) places: HashMap<Tag, (usize, usize)>,
}

/// Puts the messages of each room in its order.
///
/// # Errors
/// What speaks against there being one order.
pub(super) fn orders(world: &World) -> Result<Orders, String> {
    let mut rooms = vec![Places::default(); world.rooms];
    for (thread, deeds) in world.threads.iter().enumerate() {
        for (number, deed) in deeds.iter().enumerate() {
            let tag = Tag { by: Publisher::Host(thread), number };
            match *deed {
                Deed::Publish { room, offset } => rooms[room].place(tag, offset)?,
                Deed::Batch { room, run } => rooms[room].batches.push((tag, run)),
                _ => {}
            }
        }
    }
    for (client, record) in world.clients.iter().enumerate() {
        for (number, (room, offset)) in record.heard.iter().enumerate() {
            let tag = Tag { by: Publisher::Client(client), number };
            match room {
                Some(room) => rooms[*room].place(tag, *offset)?,
                None if *offset == 0 => {}
                None => return Err(format!("{tag} has no room, but the offset {offset}")),
            }
        }
    }
    let mut orders = Orders { rooms: Vec::new(), places: HashMap::new() };
    for (room, places) in rooms.into_iter().enumerate() {
        let order = places.order().map_err(|why| format!("room {room}: {why}"))?;
        let places = order.iter().enumerate().map(|(index, tag)| (*tag, (room, index)));
        orders.places.extend(places);
        orders.rooms.push(order);
    }
    Ok(orders)
}

/// Where the messages of one room are.
#[derive(Debug, Clone, Default)]
struct Places {
    known: HashMap<u64, Tag>,
    /// Those whose offsets nobody was told, with the number of their run: they have the places that
    /// are left, since they are all of one thread.
    batches: Vec<(Tag, usize)>,
}

impl Places {
    fn place(&mut self, tag: Tag, offset: u64) -> Result<(), String> {
        match self.known.insert(offset, tag) {
            Some(other) => Err(format!("{tag} and {other} have the same offset {offset}")),
            None => Ok(()),
        }
    }

    fn order(self) -> Result<Vec<Tag>, String> {
        let Self { known, batches } = self;
        let count = known.len() + batches.len();
        let mut order = Vec::with_capacity(count);
        let mut batches = batches.into_iter();
        let mut last = None;
        for offset in 1..=count as u64 {
            let (tag, run) = match known.get(&offset) {
                Some(tag) => (*tag, None),
                None => {
                    let next = batches.next();
                    let (tag, run) = next.ok_or_else(|| format!("no message at {offset}"))?;
                    (tag, Some((run, offset)))
                }
            };
            if let (Some((run, at)), Some((last, before))) = (run, last)
                && run == last
                && at != before + 1
            {
                return Err(format!("another's message is in the midst of a batch, before {tag}"));
            }
            last = run.or(last);
            order.push(tag);
        }
        stay_in_order(&order)?;
        Ok(order)
    }
}

/// Whether each publisher's messages are in its order.
fn stay_in_order(order: &[Tag]) -> Result<(), String> {
    let mut last = HashMap::new();
    for tag in order {
        let before = last.insert(tag.by, tag.number);
        if before.is_some_and(|before| before >= tag.number) {
            return Err(format!("{tag} has a place behind what was published after it"));
        }
    }
    Ok(())
}

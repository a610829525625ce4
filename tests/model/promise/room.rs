//! One client in one room: what it received of the room's order is whole between each join and leave.
//!
//! A client's stay in a room is a number of stages, one after the other: out at first, in from the first
//! join on, out from the leave on, and so forth; at last its connection has ended. Where in the room's
//! order a stage begins is known only as far as one thread did both, so each message allows some stages,
//! and a record is right if there is a way through them.

/// What is known of one message of the room and the client.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sight {
    /// The stages that the client may have been in, from the first to the last.
    pub(super) stages: (usize, usize),
    /// Whether its connection may have ended before.
    pub(super) may_have_ended: bool,
    pub(super) got: Got,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Got {
    Received,
    Missing,
    /// It is the client's own, and not for it.
    NotForIt,
    /// It did not come, and is the client's own, of which it is not known whether it is for it.
    PerhapsForIt,
}

/// How many messages a client lacks, at least and at most.
pub(super) type Lack = (u64, u64);

/// Finds a way through the stages `0..=last`, of which the odd ones are those in the room. Returns how
/// many messages the client lacks that it was in the room for.
///
/// # Errors
/// The index of the message up to which there is no way, or of none if it is the end.
pub(super) fn lack(
    sights: &[Sight],
    last: usize,
    must_reach_last: bool,
    may_lack: bool,
) -> Result<Lack, usize> {
    let ended = last + 1;
    let mut ways: Vec<Option<Lack>> = vec![None; ended + 1];
    ways[0] = Some((0, 0));
    for (index, sight) in sights.iter().enumerate() {
        let mut way = None;
        for (stage, slot) in ways.iter_mut().enumerate() {
            way = either(way, slot.take());
            let is_allowed = if stage == ended {
                sight.may_have_ended
            } else {
                (sight.stages.0..=sight.stages.1).contains(&stage)
            };
            let is_in = stage % 2 == 1 && stage != ended;
            *slot =
                way.filter(|_| is_allowed).and_then(|way| step(way, sight.got, is_in, may_lack));
        }
        if ways.iter().all(Option::is_none) {
            return Err(index);
        }
    }
    let ends = if must_reach_last { &ways[..=last] } else { &ways[..] };
    ends.iter().copied().fold(None, either).ok_or(sights.len())
}

fn either(one: Option<Lack>, other: Option<Lack>) -> Option<Lack> {
    match (one, other) {
        (Some(one), Some(other)) => Some((one.0.min(other.0), one.1.max(other.1))),
        (one, other) => one.or(other),
    }
}

/// The way behind one more message, if the client may have seen of it what it did.
fn step((least, most): Lack, got: Got, is_in: bool, may_lack: bool) -> Option<Lack> {
    match got {
        Got::Received => is_in.then_some((least, most)),
        Got::Missing if is_in => may_lack.then_some((least + 1, most + 1)),
        Got::PerhapsForIt if is_in && may_lack => Some((least, most + 1)),
        _ => Some((least, most)),
    }
}

//! What a thread of the host sent to a client or to everyone: all of it from when the client came until
//! its connection ended.

use super::{Deed, World, room::Lack, stream::Stream};

/// How many of these messages a client lacks.
///
/// # Errors
/// The message that it should have, and has not.
pub(super) fn lack(
    world: &World,
    stream: &Stream<'_>,
    number: usize,
    thread: usize,
) -> Result<Lack, String> {
    let client = &world.clients[number];
    let deeds = &world.threads[thread];
    let is_for_it = |deed: usize| match deeds[deed] {
        Deed::Broadcast => true,
        Deed::Send { client } => client == number,
        _ => false,
    };
    let first = (0..deeds.len()).find(|deed| is_for_it(*deed) && stream.has(thread, *deed));
    let (mut least, mut most) = (0, 0);
    for deed in (0..deeds.len()).filter(|deed| is_for_it(*deed)) {
        if stream.has(thread, deed) {
            if stream.has_ended(thread, deed) {
                return Err(format!("it received h{thread}.{deed} after it was disconnected"));
            }
            continue;
        }
        // It may have come later, or left before.
        let has_come = stream.is_met(thread, deed) || first.is_some_and(|first| deed > first);
        let may_have_left = stream.may_have_ended(thread, deed);
        if stream.has_ended(thread, deed) || (!has_come && client.is_first) {
            continue;
        }
        most += 1;
        if has_come && !may_have_left {
            least += 1;
            if !world.drops {
                return Err(format!("it did not receive h{thread}.{deed}, {:?}", deeds[deed]));
            }
        }
    }
    Ok((least, most))
}

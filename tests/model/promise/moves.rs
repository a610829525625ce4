//! What the host is told of a client: all that it said, in order, and where it went; and how it ends.

use super::{Client, Deed, GOING_AWAY, Move, TRY_AGAIN_LATER, World};

/// Checks what the host was told of a client, and the code that it was closed with.
///
/// # Errors
/// The promise that was broken.
pub(super) fn check(world: &World, number: usize) -> Result<(), String> {
    let client = &world.clients[number];
    let told = client.left.ok_or("the host was not told that it left")?;
    let disconnected = world.disconnected(number);
    end(world, client, told, disconnected)?;
    let heard = client.heard.len();
    let must_be_heard = client.stayed() || client.own_close == Some(told);
    if heard > client.said || (must_be_heard && heard < client.said) {
        return Err(format!("{heard} of its messages were heard, and it said {}", client.said));
    }
    let expected = moves(world, number);
    // One that is being closed may be taken out of a room, and comes into none.
    let mut rest = expected.iter();
    let are_expected = client.moves.iter().all(|it| rest.any(|other| it == other));
    if !are_expected || (client.stayed() && client.moves.len() < expected.len()) {
        return Err(format!("the host was told of other moves than {expected:?}"));
    }
    Ok(())
}

/// Where the host has moved it, in order.
fn moves(world: &World, number: usize) -> Vec<(Move, usize)> {
    let deeds = world.threads[world.clients[number].owner].iter();
    let moves = deeds.filter_map(|deed| match deed {
        Deed::Join { client, room } if *client == number => Some((Move::In, *room)),
        Deed::Leave { client, room } if *client == number => Some((Move::Out, *room)),
        _ => None,
    });
    moves.collect()
}

/// Whether it may have ended as it did.
fn end(
    world: &World,
    client: &Client,
    told: u16,
    disconnected: Option<(usize, u16)>,
) -> Result<(), String> {
    let Some(code) = client.closed else {
        if client.has_vanished || client.may_be_cut {
            return Ok(());
        }
        return Err("its connection ended without a close frame".to_owned());
    };
    if code != told {
        return Err(format!("it was closed with {code}, and the host was told {told}"));
    }
    let is_own = client.own_close == Some(code);
    let is_hosts = disconnected.is_some_and(|(_, it)| it == code);
    let is_slow = code == TRY_AGAIN_LATER && !world.drops;
    let is_stop = code == GOING_AWAY && disconnected.is_none() && client.own_close.is_none();
    if is_own || is_hosts || is_slow || is_stop {
        return Ok(());
    }
    Err(format!("it was closed with {code}: {disconnected:?} was asked for"))
}

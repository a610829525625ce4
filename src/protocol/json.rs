//! The JSON form: each text message of a client is an object that asks for something, and is answered if it has an
//! `id`. What is refused is always answered. A signal is answered only if it is refused.
//!
//! Answers come in the order of what they answer: all go through the shard's inbox, behind what the client's earlier
//! messages have become.

use std::{rc::Rc, sync::Arc};

use super::Fault;
use crate::{
    context::Context,
    fanout::command::{Answer, Command, HistoryRequest},
    frame::{self, Kind},
    json::{self, Refusal, Rejected, Request},
    message::Message,
    position::Position,
    published::Key,
    rooms::{client::Client, sender::Ack, signals},
    shard::Shard,
};

/// How many bytes an object has beside its payload, at most.
const MAX_RECEIVED_FIELDS: usize = 4 * 1024;

/// What a client is told that it was refused.
struct Refused<'a> {
    id: Option<&'a str>,
    code: Refusal,
    reason: &'a str,
}

/// Returns how long a client's object may be, in bytes: each byte of the payload may be escaped.
pub(super) fn max_message_len(payload: usize) -> usize {
    payload.saturating_mul(2).saturating_add(MAX_RECEIVED_FIELDS)
}

/// Acts on a message of a client.
///
/// # Errors
/// Why the connection must be closed.
pub(super) fn message(
    shard: &Shard,
    client: &Rc<Client>,
    kind: Kind,
    text: &[u8],
) -> Result<(), Fault> {
    if kind == Kind::Binary {
        return Err(Fault::Binary);
    }
    let outcome = match json::parse(text) {
        Ok(Request::Publish { id, room, kind, payload, key }) => {
            publish(shard, client, room.as_deref(), id, (kind, &payload), key)?
                .map_err(|(code, reason)| Refused { id, code, reason })
        }
        Ok(Request::History { id, room, before, limit }) => {
            history(shard, client, id, room.as_deref(), before.as_deref(), limit)
                .map_err(|(code, reason)| Refused { id: Some(id), code, reason })
        }
        Ok(Request::Signal { id, room, is_for_host, kind, payload }) => {
            signal(shard, client, room.as_deref(), is_for_host, kind, &payload)?
                .map_err(|(code, reason)| Refused { id, code, reason })
        }
        Err(Rejected::NotJson) => return Err(Fault::NotJson),
        Err(Rejected::Refused { id, code, reason }) => Err(Refused { id, code, reason }),
    };
    if let Err(Refused { id, code, reason }) = outcome {
        let mut frame = Vec::new();
        frame::append_text_with(&mut frame, |frame| json::append_refused(frame, id, code, reason));
        let answer = Answer { client: client.id(), frame: frame.into() };
        shard.reviews.answer(shard, client, Command::Answer(answer));
    }
    Ok(())
}

type Outcome = Result<(), (Refusal, &'static str)>;

fn refuse(code: Refusal) -> Outcome {
    Err((code, code.reason()))
}

fn publish(
    shard: &Shard,
    client: &Rc<Client>,
    room: Option<&str>,
    id: Option<&str>,
    (kind, payload): (Kind, &[u8]),
    key: Option<Key>,
) -> Result<Outcome, Fault> {
    if payload.len() > shard.context.options.max_message_size {
        return Ok(refuse(Refusal::TooLarge));
    }
    let target = match room {
        None => client.room(),
        Some(_) => match client.room_named(&shard.rooms, room) {
            Some(room) => Some((room.id(), Arc::clone(room.name()))),
            None => return Ok(refuse(Refusal::NotInRoom)),
        },
    };
    let message = Message::new(kind, payload).map_err(|_| Fault::NoMemory)?;
    // What goes to the host alone is in no room, where a key would count.
    let keyed = key.zip(target.as_ref());
    let keyed = keyed.map(|(key, (_, room))| client.keyed(&shard.rooms, room, key, &message));
    if !shard.context.options.review_timeout.is_zero() {
        shard.reviews.ask(shard, client, target, message, id, keyed);
        return Ok(Ok(()));
    }
    let room = target.map(|(id, _)| id);
    let ack = id.map(|id| Ack { id, is_changed: false });
    let published = client.publish_in(&shard.rooms, room, message, ack, keyed.as_ref());
    Ok(published.map(drop).or_else(refuse))
}

/// Tells a room's other subscribers, or the host, something that is not stored. The rate comes first: what a client that
/// floods sends beyond it takes no lock and is not answered.
fn signal(
    shard: &Shard,
    client: &Client,
    room: Option<&str>,
    is_for_host: bool,
    kind: Kind,
    payload: &[u8],
) -> Result<Outcome, Fault> {
    let Context { options, counters, .. } = &*shard.context;
    counters.signals_received.add(1);
    if options.signal_rate == 0 {
        return Ok(Err((Refusal::Forbidden, "the server takes no signals of clients")));
    }
    if !client.may_signal(options.signal_rate) {
        counters.signals_dropped.add(1);
        return Ok(Ok(()));
    }
    if payload.len() > signals::max_len(&shard.context) {
        return Ok(Err((Refusal::TooLarge, "the signal is too long: send a message")));
    }
    let found = client.room_named(&shard.rooms, room);
    if found.is_none() && (room.is_some() || !is_for_host) {
        return Ok(refuse(Refusal::NotInRoom));
    }
    let message = Message::new(kind, payload).map_err(|_| Fault::NoMemory)?;
    match found.as_deref().filter(|_| !is_for_host) {
        Some(room) => client.signal(&shard.rooms, room, &message),
        None => client.signal_host(&shard.rooms, found.as_deref(), &message),
    }
    Ok(Ok(()))
}

/// Asks for earlier messages of a room.
fn history(
    shard: &Shard,
    client: &Client,
    id: &str,
    room: Option<&str>,
    before: Option<&str>,
    limit: u32,
) -> Outcome {
    let Some(room) = client.room_named(&shard.rooms, room) else {
        return refuse(Refusal::NotInRoom);
    };
    let before: Option<Position> = before.map(str::parse).transpose().map_err(|_| {
        (Refusal::Malformed, "`before` is no position: send one as it came from the server")
    })?;
    let epoch = room.epoch();
    if before.is_some_and(|before| before.epoch != epoch) {
        return Err((
            Refusal::Malformed,
            "`before` is a position of another history: leave it out, or send one that has come since",
        ));
    }
    if !client.begin_history(&shard.rooms) {
        return Err((Refusal::Busy, "wait for the answers to what you asked for before"));
    }
    let before = before.map(|before| before.offset);
    let (room, limit) = (room.id(), limit as usize);
    let request = Box::new(HistoryRequest { id: id.into(), room, before, epoch, limit });
    shard.reviews.answer(shard, client, Command::History(client.id(), request));
    Ok(())
}

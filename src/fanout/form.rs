//! Wire forms: how messages, and what the server says beside them, are encoded for one kind of subscriber.

use bytes::Bytes;

use super::command::RoomHead;
use crate::{
    context::Context,
    event::{self, ClientId},
    event_stream::{self, Fields},
    frame,
    json::{self, MembersObject, MessageObject, Reason, Refusal, Refused, SignalObject},
    message::Message,
    position::Position,
    published::{Key, Published},
    sys,
};

/// From this length on, in bytes, an encoded message is in a buffer of its own.
const MIN_OWN_BUFFER: usize = 32 * 1024;

/// How the messages of a lane are encoded: once for all its subscribers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Form {
    /// A WebSocket frame with the message as its payload. Nothing is said beside messages.
    Plain,
    /// A text frame with a JSON object.
    Json,
    /// A server-sent event with the message as its data.
    Events,
    /// A server-sent event with a JSON object as its data.
    EventsJson,
    /// Tests read from a frame which message it is: each has its room and its number in the lane.
    #[cfg(test)]
    Numbered,
}

/// The forms of which what is said is an object.
pub(crate) const OBJECT_FORMS: [Form; 2] = [Form::Json, Form::EventsJson];

/// Where an encoded message is.
#[derive(Debug)]
pub(crate) enum Encoded {
    /// At the end of the buffer.
    Appended,
    /// In its own buffer: it is long, and is written by itself.
    Whole(Bytes),
}

/// Where a client stands that has entered a room, as it is told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entered {
    pub(crate) position: Position,
    /// Whether it recovers, if it came back with a position.
    pub(crate) recovery: Option<Result<(), Reason>>,
    /// That position; none if it cannot be read.
    pub(crate) requested: Position,
}

/// Why a connection ends, and after how many milliseconds its client may come back, if it may.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ending<'a> {
    pub(crate) code: u16,
    pub(crate) reason: &'a str,
    pub(crate) retry_ms: Option<u64>,
}

impl Form {
    /// How many there are.
    pub(super) const COUNT: usize = if cfg!(test) { 5 } else { 4 };

    /// Encodes a message of a room, at the end of a buffer unless it is long. `offset` is 0 for one that is not stored.
    pub(crate) fn encode(
        self,
        room: &RoomHead,
        offset: u64,
        published: &Published,
        buffer: &mut Vec<u8>,
    ) -> Encoded {
        let Published { message, time, .. } = published;
        match self {
            Self::Plain => plain(message, buffer),
            #[cfg(test)]
            Self::Numbered => numbered(room, offset, message, buffer),
            _ if room.is_everyone() => self.roomless(message, buffer, |buffer| {
                json::append_broadcast(buffer, *time, message.kind(), message.data());
            }),
            Self::Json | Self::EventsJson => separate(message, buffer, |buffer| {
                let object = message_object(room, offset, published);
                self.append_object(buffer, object.position, |buffer| {
                    json::append_message(buffer, &object);
                });
            }),
            Self::Events => separate(message, buffer, |buffer| {
                let position = position_of(room, offset);
                event_stream::append_message(buffer, position, message.kind(), message.data());
            }),
        }
    }

    /// Appends a signal to a room, in a form that says more than messages.
    pub(super) fn append_signal(
        self,
        room: &RoomHead,
        published: &Published,
        buffer: &mut Vec<u8>,
    ) {
        let Published { message, author, .. } = published;
        let name = author.as_ref().and_then(|author| author.name.as_ref());
        let signal = SignalObject {
            room: Some(&room.name),
            client: author.as_ref().and_then(|author| author.client.as_deref()),
            name: name.map(|name| (&*name.text, name.is_claimed)),
            kind: message.kind(),
            payload: message.data(),
        };
        self.append_signal_object(buffer, &signal);
    }

    /// Encodes a signal of the host to one client, in a form that says more than messages.
    pub(crate) fn encode_signal(self, message: &Message) -> Option<Bytes> {
        let (kind, payload) = (message.kind(), message.data());
        let signal = SignalObject { room: None, client: None, name: None, kind, payload };
        self.says_more().then(|| bytes(|buffer| self.append_signal_object(buffer, &signal)))
    }

    fn append_signal_object(self, buffer: &mut Vec<u8>, signal: &SignalObject<'_>) {
        match self {
            Self::Json | Self::EventsJson => {
                self.append_object(buffer, Position::NONE, |buffer| {
                    json::append_signal(buffer, signal);
                });
            }
            Self::Events => {
                let fields = Fields { name: Some("signal"), ..Fields::default() };
                event_stream::append_event(buffer, fields, |data| {
                    json::append_signal_data(data, signal);
                });
            }
            Self::Plain => {}
            #[cfg(test)]
            Self::Numbered => {}
        }
    }

    /// Encodes a message that the host sends to one client.
    pub(crate) fn encode_direct(self, message: &Message) -> Bytes {
        let mut buffer = Vec::new();
        let encoded = self.roomless(message, &mut buffer, |buffer| {
            let time = sys::coarse_unix_ms();
            json::append_direct(buffer, time, message.kind(), message.data());
        });
        match encoded {
            Encoded::Appended => buffer.into(),
            Encoded::Whole(frame) => frame,
        }
    }

    /// Encodes a message that has no position; `object` appends it as an object.
    fn roomless(
        self,
        message: &Message,
        buffer: &mut Vec<u8>,
        object: impl FnOnce(&mut Vec<u8>),
    ) -> Encoded {
        match self {
            #[cfg(test)]
            Self::Numbered => numbered(&RoomHead::of(0), 0, message, buffer),
            Self::Plain => plain(message, buffer),
            Self::Events => separate(message, buffer, |buffer| {
                event_stream::append_message(
                    buffer,
                    Position::NONE,
                    message.kind(),
                    message.data(),
                );
            }),
            Self::Json | Self::EventsJson => separate(message, buffer, |buffer| {
                self.append_object(buffer, Position::NONE, object)
            }),
        }
    }

    /// Appends an object; `id` is the position that a client of an event stream comes back with once it has it.
    fn append_object(self, buffer: &mut Vec<u8>, id: Position, object: impl FnOnce(&mut Vec<u8>)) {
        if self.is_event_stream() {
            event_stream::append_event(buffer, Fields { id, ..Fields::default() }, object);
        } else {
            frame::append_text_with(buffer, object);
        }
    }

    /// Returns what the host is told of it.
    pub(crate) fn as_public(self) -> event::Form {
        match self {
            Self::Json => event::Form::Json,
            Self::Events | Self::EventsJson => event::Form::Events,
            _ => event::Form::Plain,
        }
    }

    /// Whether it says more than messages: signals, too.
    pub(crate) fn says_more(self) -> bool {
        matches!(self, Self::Json | Self::Events | Self::EventsJson)
    }

    /// Whether its client is told in place of dropped messages how many they were.
    pub(super) fn tells_drops(self) -> bool {
        self == Self::Json
    }

    /// Whether what it says are objects.
    pub(crate) fn has_objects(self) -> bool {
        self.object_index().is_some()
    }

    /// Returns its index among the forms of which what is said is an object.
    pub(crate) fn object_index(self) -> Option<usize> {
        OBJECT_FORMS.iter().position(|form| *form == self)
    }

    /// Whether it is a stream of server-sent events, and no WebSocket. Its client says nothing, cannot answer pings, and
    /// comes back by itself.
    pub(crate) fn is_event_stream(self) -> bool {
        matches!(self, Self::Events | Self::EventsJson)
    }

    /// Returns the first end of a frame or event in whole ones at or after a place in them.
    pub(super) fn end_at(self, bytes: &[u8], place: usize) -> usize {
        if self.is_event_stream() {
            return event_stream::end_at(bytes, place);
        }
        let mut end = 0;
        while end < place {
            end += frame::first_len(&bytes[end..]);
        }
        end
    }

    /// Returns how many messages whole frames or events hold, in a form that says more than messages.
    pub(super) fn count_messages(self, mut bytes: &[u8]) -> u64 {
        if self.is_event_stream() {
            return event_stream::count_messages(bytes, self.has_objects());
        }
        let mut count = 0;
        while !bytes.is_empty() {
            let (first, rest) = bytes.split_at(frame::first_len(bytes));
            count += u64::from(json::parse_message(first).is_some());
            bytes = rest;
        }
        count
    }

    /// Encodes the first thing that a client is told.
    pub(crate) fn welcome(self, client: ClientId, context: &Context) -> Option<Bytes> {
        let interval = context.options.ping_interval_of(self.is_event_stream());
        let ping_ms = interval.as_millis().try_into().unwrap_or(u64::MAX);
        let object =
            |buffer: &mut _| json::append_welcome(buffer, &context.wire_id(client), ping_ms);
        match self {
            Self::EventsJson => {
                let retry_ms = Some(context.first_retry_ms(client));
                let fields = Fields { retry_ms, ..Fields::default() };
                Some(bytes(|buffer| event_stream::append_event(buffer, fields, object)))
            }
            _ => self.say(object),
        }
    }

    /// Encodes after how many milliseconds a client comes back, in a form whose welcome does not say so.
    pub(super) fn retry(self, retry_ms: u64) -> Option<Bytes> {
        let fields = Fields { retry_ms: Some(retry_ms), ..Fields::default() };
        (self == Self::Events).then(|| bytes(|buffer| event_stream::append_silent(buffer, fields)))
    }

    /// Appends that a client is in a room, where it stands, and whether it recovers. `retry_ms` is when the client of an
    /// event stream comes back if that ends; absent if it was told before.
    pub(crate) fn append_entered(
        self,
        room: &RoomHead,
        entered: &Entered,
        retry_ms: Option<u64>,
        buffer: &mut Vec<u8>,
    ) {
        let Entered { position, recovery, requested } = *entered;
        if self.has_objects() {
            self.append_object(buffer, position, |buffer| {
                json::append_entered(buffer, &room.name, position, recovery);
            });
        } else if self.is_event_stream() {
            let gap = recovery.and_then(Result::err);
            // The new position comes with the gap: a client that has it has been told.
            let id = if gap.is_none() { position } else { Position::NONE };
            event_stream::append_silent(buffer, Fields { id, retry_ms, ..Fields::default() });
            if let Some(reason) = gap {
                append_gap(buffer, position, requested, reason);
            }
        }
    }

    /// Encodes that a client has missed messages of a room, and where it stands now.
    pub(crate) fn entered_anew(
        self,
        room: &str,
        position: Position,
        reason: Reason,
    ) -> Option<Bytes> {
        match self {
            Self::Events => {
                Some(bytes(|buffer| append_gap(buffer, position, Position::NONE, reason)))
            }
            _ => self.say_at(position, |buffer| {
                json::append_entered(buffer, room, position, Some(Err(reason)));
            }),
        }
    }

    /// Appends that a room's past is over.
    pub(crate) fn append_live(self, room: &RoomHead, buffer: &mut Vec<u8>) {
        if self.has_objects() {
            self.append_object(buffer, Position::NONE, |buffer| {
                json::append_live(buffer, &room.name);
            });
        }
    }

    /// Encodes who is in a room, or what has changed.
    pub(crate) fn members(
        self,
        room: &str,
        count: usize,
        members: &MembersObject<'_>,
    ) -> Option<Bytes> {
        self.say(|buffer| json::append_members(buffer, room, count, members))
    }

    /// Encodes that the host has taken a client out of a room.
    pub(crate) fn removed(self, room: &str) -> Option<Bytes> {
        match self {
            Self::Events => {
                Some(named("removed", None, |data| json::append_removed_data(data, room)))
            }
            _ => self.say(|buffer| json::append_removed(buffer, room)),
        }
    }

    /// Encodes why what a client sent is refused.
    pub(crate) fn refused(self, id: Option<&str>, code: Refusal) -> Option<Bytes> {
        self.refused_for(id, &code.into())
    }

    /// Encodes the same, with what the host says to it.
    pub(crate) fn refused_for(self, id: Option<&str>, why: &Refused) -> Option<Bytes> {
        self.say(|buffer| json::append_refused(buffer, id, why.code, why.reason()))
    }

    /// Encodes an answer with earlier messages, and whether there are more.
    pub(crate) fn history(
        self,
        id: &str,
        room: &RoomHead,
        messages: &[(u64, Published)],
        has_more: bool,
    ) -> Option<Bytes> {
        let objects =
            messages.iter().map(|(offset, published)| message_object(room, *offset, published));
        self.say(|buffer| json::append_history(buffer, id, &room.name, objects, has_more))
    }

    /// Encodes a heartbeat.
    pub(crate) fn heartbeat(self) -> Option<Bytes> {
        match self {
            // An event without data is not dispatched.
            Self::Events => Some(named("ping", None, |data| data.extend_from_slice(b"{}"))),
            _ => self.say(json::append_ping),
        }
    }

    /// Encodes that the connection ends, in a WebSocket before its close frame, and there only if the client may come
    /// back.
    pub(crate) fn ending(self, ending: Ending<'_>) -> Option<Bytes> {
        let Ending { code, reason, retry_ms } = ending;
        match (self, retry_ms) {
            (Self::Events | Self::EventsJson, _) => {
                Some(bytes(|buffer| self.append_stream_end(buffer, ending)))
            }
            (_, Some(retry_ms)) => {
                self.say(|buffer| json::append_closing(buffer, code, reason, retry_ms))
            }
            (_, None) => None,
        }
    }

    /// Appends the last event of a stream.
    pub(crate) fn append_stream_end(self, buffer: &mut Vec<u8>, ending: Ending<'_>) {
        let Ending { code, reason, retry_ms } = ending;
        let name = if retry_ms.is_some() { "closing" } else { "closed" };
        let name = Some(name).filter(|_| !self.has_objects());
        let fields = Fields { retry_ms, name, ..Fields::default() };
        event_stream::append_event(buffer, fields, |data| match (name, retry_ms) {
            (Some(_), _) => json::append_ending_data(data, code, reason, retry_ms),
            (None, Some(retry_ms)) => json::append_closing(data, code, reason, retry_ms),
            (None, None) => json::append_closed(data, code, reason),
        });
    }

    /// Encodes an object, in a form that has them.
    fn say(self, object: impl FnOnce(&mut Vec<u8>)) -> Option<Bytes> {
        self.say_at(Position::NONE, object)
    }

    fn say_at(self, id: Position, object: impl FnOnce(&mut Vec<u8>)) -> Option<Bytes> {
        self.has_objects().then(|| bytes(|buffer| self.append_object(buffer, id, object)))
    }
}

fn bytes(append: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut buffer = Vec::new();
    append(&mut buffer);
    buffer.into()
}

/// Encodes an event with a name.
fn named(name: &str, retry_ms: Option<u64>, data: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let fields = Fields { retry_ms, name: Some(name), ..Fields::default() };
    bytes(|buffer| event_stream::append_event(buffer, fields, data))
}

/// Appends that a client of the events form has missed messages.
fn append_gap(buffer: &mut Vec<u8>, id: Position, requested: Position, reason: Reason) {
    let fields = Fields { id, name: Some("gap"), ..Fields::default() };
    event_stream::append_event(buffer, fields, |data| {
        json::append_gap_data(data, requested, reason);
    });
}

/// Returns what is said of a room's message.
fn message_object<'a>(
    room: &'a RoomHead,
    offset: u64,
    published: &'a Published,
) -> MessageObject<'a> {
    let Published { message, author, key, time } = published;
    let name = author.as_ref().and_then(|author| author.name.as_ref());
    MessageObject {
        room: &room.name,
        position: position_of(room, offset),
        client: author.as_ref().and_then(|author| author.client.as_deref()),
        name: name.map(|name| &*name.text),
        is_claimed: name.is_some_and(|name| name.is_claimed),
        key: key.as_ref().map(Key::as_str),
        time: *time,
        kind: message.kind(),
        payload: message.data(),
    }
}

/// Returns the position of a room's message; none if the message is not stored.
fn position_of(room: &RoomHead, offset: u64) -> Position {
    if offset == 0 { Position::NONE } else { Position::of(room.epoch, offset) }
}

fn plain(message: &Message, buffer: &mut Vec<u8>) -> Encoded {
    match message.long_frame() {
        Some(frame) => Encoded::Whole(frame.clone()),
        None => {
            message.append_frame(buffer);
            Encoded::Appended
        }
    }
}

/// Encodes what has no frame that was made before, in a buffer of its own if it is long.
fn separate(message: &Message, buffer: &mut Vec<u8>, append: impl FnOnce(&mut Vec<u8>)) -> Encoded {
    if message.data().len() < MIN_OWN_BUFFER {
        append(buffer);
        return Encoded::Appended;
    }
    let mut whole = Vec::with_capacity(json::max_len(message.data().len()));
    append(&mut whole);
    whole.shrink_to_fit();
    Encoded::Whole(whole.into())
}

#[cfg(test)]
fn numbered(room: &RoomHead, offset: u64, message: &Message, buffer: &mut Vec<u8>) -> Encoded {
    let mut text = format!("{}/{offset} ", room.id.0).into_bytes();
    text.extend_from_slice(message.data());
    frame::append_data(buffer, message.kind(), &text);
    Encoded::Appended
}

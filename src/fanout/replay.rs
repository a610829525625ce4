//! The last messages of a room for a client that has joined it: encoded page by page, as the socket drains.
//!
//! They are counted by reference: a client that reads slowly keeps them in memory though the room has forgotten
//! them, and so it gets all of them.

use std::{rc::Rc, sync::Arc};

use bytes::Bytes;

use super::{
    command::RoomHead,
    form::{Encoded, Entered, Form},
    pages::Pages,
};
use crate::{
    json,
    past::{LastMessages, PastGiven, Since},
    position::Position,
    published::Published,
};

/// How much is encoded at once, in bytes. A longer message is a page of its own.
const PAGE: usize = 64 * 1024;

/// Messages that are still to be written to one client.
#[derive(Debug)]
pub(crate) struct Replay {
    room: Arc<RoomHead>,
    form: Form,
    /// The offset of the next message.
    next: u64,
    messages: LastMessages,
    /// How many of the messages were encoded.
    done: usize,
    /// What is said before the first message; taken with the first page.
    entered: Option<Entered>,
    /// After how many milliseconds the client of an event stream comes back, if it is told here.
    retry_ms: Option<u64>,
    /// Whether it has been said that the past is over.
    is_over: bool,
    /// The pages that other clients were written.
    pages: Option<Rc<Pages>>,
    /// The number under which the past is being read; then nothing is known of it.
    load: Option<u64>,
}

/// What comes next of a replay: what is said before the first message, messages, and what is said behind the last.
/// What does not come is empty.
pub(super) type Page = [Bytes; 3];

impl Replay {
    /// Makes a replay of a room's past.
    pub(crate) fn new(room: Arc<RoomHead>, form: Form, past: PastGiven) -> Self {
        let PastGiven { position, recovery, since, .. } = past;
        let requested = since.map_or(Position::NONE, Since::position);
        let entered = Entered { position, recovery, requested };
        let entered = past.load.is_none().then_some(entered);
        let next = position.offset + 1;
        let PastGiven { messages, load, .. } = past;
        let (done, is_over, pages, retry_ms) = (0, false, None, None);
        Self { room, form, next, messages, done, entered, retry_ms, is_over, pages, load }
    }

    /// Says after how many milliseconds the client of an event stream comes back when the stream ends.
    pub(super) fn set_retry(&mut self, retry_ms: u64) {
        self.retry_ms = Some(retry_ms);
    }

    /// Replaces the place of a past that was being read by what was read.
    pub(super) fn replace(&mut self, read: Self) {
        *self = Self { retry_ms: self.retry_ms, ..read };
    }

    /// Shares pages with other replays.
    pub(super) fn share(&mut self, pages: &Rc<Pages>) {
        self.pages = Some(Rc::clone(pages));
    }

    /// Whether its past is being read.
    pub(crate) fn is_loading(&self) -> bool {
        self.load.is_some()
    }

    /// Whether its past is being read under a number.
    pub(super) fn awaits(&self, load: u64) -> bool {
        self.load == Some(load)
    }

    /// Takes the place of a replay whose past could not be read.
    pub(super) fn give_up(&mut self) {
        let (room, past) = (Arc::clone(&self.room), PastGiven::unavailable(Position::NONE, 0));
        self.replace(Self::new(room, self.form, past));
    }

    /// Returns how many messages are left.
    pub(crate) fn len(&self) -> usize {
        self.left().len()
    }

    fn left(&self) -> &[Published] {
        &self.messages[self.done..]
    }

    /// Whether nothing is left to say.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Returns how many bytes the plain frames of what is left have.
    pub(crate) fn bytes(&self) -> usize {
        self.left().iter().map(|it| it.message.frame_len()).sum()
    }

    /// Takes what is said before the first message, if it is not encoded yet.
    pub(super) fn take_entered(&mut self) -> Option<Bytes> {
        let mut buffer = Vec::new();
        self.form.append_entered(&self.room, &self.entered.take()?, self.retry_ms, &mut buffer);
        (!buffer.is_empty()).then(|| buffer.into())
    }

    /// Returns where the client stands before and behind what is left.
    pub(super) fn positions(&self) -> (Position, Position) {
        let end = self.next + self.len() as u64;
        (Position::of(self.room.epoch, self.next - 1), Position::of(self.room.epoch, end))
    }

    /// Returns the room's name as raw JSON.
    pub(super) fn room_token(&self) -> String {
        json::room_token(&self.room.name)
    }

    /// Encodes that the past is over; empty in a form that does not say it.
    pub(super) fn live(&self) -> Bytes {
        let mut live = Vec::new();
        self.form.append_live(&self.room, &mut live);
        live.into()
    }

    /// Encodes what comes next: at most a page of messages.
    pub(super) fn next_page(&mut self) -> Page {
        let entered = self.take_entered().unwrap_or_default();
        let messages = if self.left().is_empty() { Bytes::new() } else { self.next_messages() };
        self.is_over = self.left().is_empty();
        let live = if self.is_over { self.live() } else { Bytes::new() };
        [entered, messages, live]
    }

    fn next_messages(&mut self) -> Bytes {
        let (key, most) = ((self.room.id, self.form, self.next), self.len());
        let shared = self.pages.as_ref().and_then(|pages| pages.get(key, most));
        let (count, bytes) = shared.unwrap_or_else(|| {
            let (count, bytes) = self.encode();
            match &self.pages {
                Some(pages) => (count, pages.add(key, (count, most), bytes)),
                None => (count, bytes),
            }
        });
        self.next += count as u64;
        self.done += count;
        bytes
    }

    /// Encodes a page. Returns how many messages it holds, and the page.
    fn encode(&self) -> (usize, Bytes) {
        let mut page = Vec::new();
        for (count, published) in self.left().iter().enumerate() {
            let message = &published.message;
            let is_long = message.long_frame().is_some();
            if count > 0 && (is_long || page.len() + message.frame_len() > PAGE) {
                return (count, page.into());
            }
            let start = page.len();
            let offset = self.next + count as u64;
            if let Encoded::Whole(frame) =
                self.form.encode(&self.room, offset, published, &mut page)
            {
                return (1, frame);
            }
            if page.len() > PAGE && count > 0 {
                // What is said beside the message made it too long.
                page.truncate(start);
                return (count, page.into());
            }
        }
        (self.len(), page.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fanout::command::RoomId,
        frame::{self, Kind},
        message::Message,
    };

    fn message(len: usize) -> Published {
        Published::of(Message::new(Kind::Binary, &vec![7; len]).unwrap())
    }

    #[test]
    fn pages_are_of_a_bounded_size_and_hold_each_message_once_in_order() {
        let lens = [1, 0, 200, 40_000, 30_000, 30_000, 30_000, 5, 1 << 20, 1 << 20, 5];
        let messages: Vec<_> = lens.map(message).into();
        let mut replay = Replay::new(RoomHead::of(1), Form::Plain, PastGiven::of(messages.clone()));
        assert_eq!((replay.len(), replay.next), (11, 1));
        let (mut all, mut pages) = (Vec::new(), Vec::new());
        while !replay.is_over() {
            let page = replay.next_page().concat();
            pages.push(page.len());
            all.extend_from_slice(&page);
        }
        let mut expected = Vec::new();
        lens.iter().for_each(|len| frame::append_data(&mut expected, Kind::Binary, &vec![7; *len]));
        assert!(all == expected);
        assert!(pages.iter().all(|len| *len <= 65_536 || *len == (1 << 20) + 10), "{pages:?}");
        assert_eq!(pages.len(), 7, "{pages:?}");
        assert_eq!((replay.len(), replay.bytes(), replay.next), (0, 0, 12));
    }

    #[test]
    fn in_the_json_form_a_page_is_no_longer_though_names_are() {
        let name: Arc<str> = "\"".repeat(128).into();
        let room = Arc::new(RoomHead { id: RoomId(1), name, epoch: u64::MAX });
        let messages: Vec<_> = (0..3000).map(|_| message(1)).chain([message(30_000)]).collect();
        let mut replay = Replay::new(room, Form::Json, PastGiven::of(messages));
        let mut count = 0;
        while !replay.is_over() {
            let [_, messages, _] = replay.next_page();
            assert!(messages.len() <= PAGE, "{}", messages.len());
            let is_last = replay.is_over();
            assert!(is_last || messages.len() > PAGE - 45_000, "{}", messages.len());
            let mut rest = &messages[..];
            while !rest.is_empty() {
                rest = &rest[frame::first_len(rest)..];
                count += 1;
            }
        }
        assert_eq!(count, 3001);
    }

    #[test]
    fn a_long_message_is_not_copied() {
        let long = message(100_000);
        let mut replay =
            Replay::new(RoomHead::of(1), Form::Plain, PastGiven::of(vec![long.clone()]));
        assert_eq!(replay.next_page()[1].as_ptr(), long.message.long_frame().unwrap().as_ptr());
    }
}

//! The last messages of a room for a client that has joined it: encoded page by page, as the socket drains.
//!
//! They are counted by reference: a client that reads slowly keeps them in memory though the room has forgotten
//! them, and so it gets all of them.

use std::{sync::Arc, vec};

use bytes::Bytes;

use super::{
    command::RoomHead,
    form::{Encoded, Form},
};
use crate::{past::PastGiven, published::Published};

/// About how much is encoded at once, in bytes. A longer message is a page of its own, and is not copied.
const PAGE: usize = 64 * 1024;

/// Messages that are still to be written to one client.
#[derive(Debug)]
pub(crate) struct Replay {
    room: Arc<RoomHead>,
    form: Form,
    /// The offset of the next message.
    next: u64,
    messages: vec::IntoIter<Published>,
    /// What is said before the first message; taken with the first page.
    entered: Vec<u8>,
    /// Whether it has been said that the past is over.
    is_over: bool,
}

impl Replay {
    /// Makes a replay of a room's past, which ends before the offset `end`.
    pub(crate) fn new(room: Arc<RoomHead>, form: Form, end: u64, past: PastGiven) -> Self {
        let mut entered = Vec::new();
        form.append_entered(&room, &past, &mut entered);
        let next = end - past.messages.len() as u64;
        let messages = past.messages.into_iter();
        Self { room, form, next, messages, entered, is_over: false }
    }

    /// Returns how many messages are left.
    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether nothing is left to say.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Returns how many bytes the plain frames of what is left have.
    pub(crate) fn bytes(&self) -> usize {
        self.messages.as_slice().iter().map(|it| it.message.frame_len()).sum()
    }

    /// Encodes the next messages. Returns `None` if none are left.
    pub(super) fn next_page(&mut self) -> Option<Bytes> {
        let mut page = std::mem::take(&mut self.entered);
        while let Some(published) = self.messages.as_slice().first() {
            let message = &published.message;
            let is_long = message.long_frame().is_some();
            if !page.is_empty() && (is_long || page.len() + message.frame_len() > PAGE) {
                break;
            }
            let encoded = self.form.encode(&self.room, self.next, published, &mut page);
            self.next += 1;
            self.messages.next();
            if let Encoded::Whole(frame) = encoded {
                self.is_over = self.messages.len() == 0 && !self.form.says_more();
                return Some(frame);
            }
        }
        if self.messages.as_slice().is_empty() && !self.is_over {
            self.is_over = true;
            self.form.append_live(&self.room, &mut page);
        }
        Some(page).filter(|page| !page.is_empty()).map(Bytes::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
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
        let mut replay =
            Replay::new(RoomHead::of(1), Form::Plain, 12, PastGiven::of(messages.clone()));
        assert_eq!((replay.len(), replay.next), (11, 1));
        let (mut all, mut pages) = (Vec::new(), Vec::new());
        while let Some(page) = replay.next_page() {
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
    fn a_long_message_is_not_copied() {
        let long = message(100_000);
        let mut replay =
            Replay::new(RoomHead::of(1), Form::Plain, 2, PastGiven::of(vec![long.clone()]));
        assert_eq!(
            replay.next_page().unwrap().as_ptr(),
            long.message.long_frame().unwrap().as_ptr()
        );
    }
}

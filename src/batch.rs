//! Batches: many messages of the host in one call.

use std::fmt;

use crate::{error::Error, frame::Kind, message::Message, options::Options, position::Position};

/// How many bytes of payloads share one allocation.
const MAX_TOGETHER: usize = 4096;

/// One message of a batch, and the room that it is published to.
#[derive(Debug, Clone, Copy)]
pub struct Publication<'a> {
    /// The room's name.
    pub room: &'a str,
    /// Text or binary.
    pub kind: Kind,
    /// The payload.
    pub data: &'a [u8],
}

impl Publication<'_> {
    /// Returns whether two messages are for one room.
    pub(crate) fn is_for_the_room_of(&self, other: &Self) -> bool {
        // Most hosts pass the same bytes in memory.
        std::ptr::eq(self.room, other.room) || self.room == other.room
    }
}

/// How much may share one allocation: a small part of a history, since the allocation is kept until the last
/// of its messages leaves the history.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SharedMemory {
    bytes: usize,
    messages: usize,
}

impl SharedMemory {
    /// Returns the bounds for a server's histories.
    pub(crate) fn of(options: &Options) -> Self {
        let Options { history_messages, history_size, history_total, .. } = *options;
        if !options.has_history() {
            return Self { bytes: MAX_TOGETHER, messages: usize::MAX };
        }
        let bytes = (history_size.min(history_total) / 16).min(MAX_TOGETHER);
        Self { bytes, messages: history_messages / 4 }
    }

    /// Returns how many messages at the front of a batch share their memory: at least one, which
    /// then shares with none.
    fn count(self, batch: &[Publication<'_>]) -> usize {
        let mut left = self.bytes;
        let shares = |publication: &&Publication<'_>| {
            let len = publication.data.len();
            // An empty message has no memory to share.
            let shares = publication.kind == batch[0].kind && (1..=left).contains(&len);
            left = left.saturating_sub(len);
            shares
        };
        batch.iter().take(self.messages).take_while(shares).count().max(1)
    }
}

/// Makes the messages of a batch, or of the part of it that is for one room.
///
/// # Errors
/// Those of `Message::checked`, for any of the messages, with its index.
pub(crate) fn messages(
    mut batch: &[Publication<'_>],
    limit: usize,
    share: SharedMemory,
) -> Result<Vec<Message>, (usize, Error)> {
    for (index, publication) in batch.iter().enumerate() {
        let checked = Message::check(publication.kind, publication.data, limit);
        checked.map_err(|error| (index, error))?;
    }
    let mut messages = Vec::with_capacity(batch.len());
    while let Some(Publication { kind, data, .. }) = batch.first() {
        let (first, rest) = batch.split_at(share.count(batch));
        if first.len() == 1 {
            let index = messages.len();
            messages.push(Message::new(*kind, data).map_err(|error| (index, error))?);
        } else {
            let payloads = first.iter().map(|publication| publication.data);
            messages.extend(Message::together(*kind, payloads));
        }
        batch = rest;
    }
    Ok(messages)
}

/// Why a batch was published only in part, or not at all.
#[derive(Debug)]
#[non_exhaustive]
pub struct BatchError {
    /// The positions of the messages that were published, from the first on.
    pub positions: Vec<Position>,
    /// Which message of the batch is wrong, if it is one of them.
    pub index: Option<usize>,
    /// Why the others were not published.
    pub error: Error,
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} messages of the batch were published: ", self.positions.len())?;
        match self.index {
            Some(index) => write!(f, "batch[{index}].{}", self.error),
            None => self.error.fmt(f),
        }
    }
}

impl std::error::Error for BatchError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what each message of a batch keeps, for a share of `bytes` and `messages`.
    fn kept(batch: &[(Kind, &str)], bytes: usize, messages: usize) -> Vec<usize> {
        let publications: Vec<_> = batch
            .iter()
            .map(|(kind, text)| Publication { room: "a", kind: *kind, data: text.as_bytes() })
            .collect();
        let made = super::messages(&publications, 100, SharedMemory { bytes, messages }).unwrap();
        let texts = made.iter().map(|it| (it.kind(), std::str::from_utf8(it.data()).unwrap()));
        assert!(texts.eq(batch.iter().copied()));
        made.iter().map(Message::kept).collect()
    }

    #[test]
    fn messages_of_one_kind_share_memory_up_to_a_bound() {
        let (text, binary) = (Kind::Text, Kind::Binary);
        let batch = [(text, "abc"), (text, "de"), (text, "f"), (binary, "ghijklm")];
        assert_eq!(kept(&batch, 1000, 100), [0, 0, 6, 7]);
        assert_eq!(kept(&batch, 1000, 2), [0, 5, 1, 7]);
        assert_eq!(kept(&batch, 5, 100), [0, 5, 1, 7]);
        assert_eq!(kept(&batch, 0, 100), [3, 2, 1, 7]);
        assert_eq!(kept(&batch, 1000, 0), [3, 2, 1, 7]);
        assert!(kept(&[], 1000, 100).is_empty());
    }

    #[test]
    fn an_empty_message_keeps_nothing() {
        let text = Kind::Text;
        let batch = [(text, "a"), (text, "bc"), (text, ""), (text, ""), (text, "d"), (text, "")];
        assert_eq!(kept(&batch, 1000, 100), [0, 3, 0, 0, 1, 0]);
    }

    #[test]
    fn a_share_is_a_small_part_of_a_history() {
        let share = |messages, size, total| {
            let options = Options {
                history_messages: messages,
                history_size: size,
                history_total: total,
                ..Options::default()
            };
            let SharedMemory { bytes, messages } = SharedMemory::of(&options);
            (bytes, messages)
        };
        assert_eq!(share(100, 1 << 20, 1 << 30), (MAX_TOGETHER, 25));
        assert_eq!(share(1, 1 << 20, 1 << 30), (MAX_TOGETHER, 0));
        assert_eq!(share(100, 1600, 1 << 30), (100, 25));
        assert_eq!(share(100, 1 << 20, 3200), (200, 25));
        assert_eq!(share(0, 0, 0), (MAX_TOGETHER, usize::MAX));
    }
}

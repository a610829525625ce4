//! Many messages of the host's in one call.

use std::fmt;

use crate::{
    error::{Error, Result},
    frame::Kind,
    message::Message,
};

/// How many bytes of payloads are kept in one piece of memory.
const MAX_TOGETHER: usize = 4096;

/// One message of a batch, and the room that it is for.
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
    /// Whether two messages are for one room.
    pub(crate) fn is_for_the_room_of(&self, other: &Self) -> bool {
        // Most hosts name it by the same bytes in memory.
        std::ptr::eq(self.room, other.room) || self.room == other.room
    }
}

/// Makes the messages of a batch, or of a part of it that is for one room. As many as fit share their
/// memory; no piece of it is larger than `together`.
///
/// # Errors
/// As `Message::check`, for any of them.
pub(crate) fn messages(
    mut batch: &[Publication<'_>],
    limit: usize,
    together: usize,
) -> Result<Vec<Message>> {
    for publication in batch {
        Message::check(publication.kind, publication.data, limit)?;
    }
    let mut messages = Vec::with_capacity(batch.len());
    while let Some(Publication { kind, data, .. }) = batch.first() {
        let mut room = together.min(MAX_TOGETHER);
        let fits = batch.iter().take_while(|publication| {
            let fits = publication.kind == *kind && publication.data.len() <= room;
            room = room.saturating_sub(publication.data.len());
            fits
        });
        // One that fits nowhere is alone.
        let count = fits.count().max(1);
        if count == 1 {
            messages.push(Message::new(*kind, data));
        } else {
            let payloads = batch[..count].iter().map(|publication| publication.data);
            messages.extend(Message::together(*kind, payloads));
        }
        batch = &batch[count..];
    }
    Ok(messages)
}

/// Why a batch was not published, or not to its end.
#[derive(Debug)]
#[non_exhaustive]
pub struct BatchError {
    /// How many messages were published: the first so many of the batch.
    pub published: usize,
    /// Why those that follow were not.
    pub error: Error,
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} messages of the batch were published: {}", self.published, self.error)
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

    fn texts(batch: &[(Kind, &str)], together: usize) -> Vec<(Kind, String, usize)> {
        let batch: Vec<_> = batch
            .iter()
            .map(|(kind, text)| Publication { room: "a", kind: *kind, data: text.as_bytes() })
            .collect();
        let messages = messages(&batch, 100, together).unwrap();
        let text = |message: &Message| String::from_utf8(message.data().to_vec()).unwrap();
        messages.iter().map(|it| (it.kind(), text(it), it.kept())).collect()
    }

    #[test]
    fn messages_of_one_kind_share_memory_up_to_a_bound() {
        let (text, binary) = (Kind::Text, Kind::Binary);
        let batch = [(text, "abc"), (text, ""), (text, "de"), (text, "f"), (binary, "ghijklm")];
        let kept = |together| {
            let messages = texts(&batch, together);
            assert!(messages.iter().map(|(kind, text, _)| (*kind, &**text)).eq(batch));
            messages.iter().map(|(.., kept)| *kept).collect::<Vec<_>>()
        };
        assert_eq!(kept(1000), [0, 0, 0, 6, 7]);
        assert_eq!(kept(5), [0, 0, 5, 1, 7]);
        assert_eq!(kept(0), [3, 0, 2, 1, 7]);
        assert!(texts(&[], 10).is_empty());
    }
}

//! `chat_position`: where a room stands, and where a message is in it.

use std::{ffi::c_char, mem::MaybeUninit};

use super::{
    boundary::{attempt, copy_text, required, text, write},
    failure::Failure,
    status::chat_status,
};
use crate::position::Position;

/// The place of a message in a room's history: which history, and which message of it.
///
/// A room with history has a random epoch of its own, which no other room has. It keeps the epoch
/// while it exists, and when it comes again after it was forgotten, unless that was too long ago. Two
/// positions of one epoch are of one room, and the larger offset is the later message. Both fields
/// are 0 where there is no position: what is published to a room without history, and the message
/// of a client in no room. This struct never grows.
///
/// Functions: chat_position_format, chat_position_parse, chat_server_position,
/// chat_server_join_with_past.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct chat_position {
    /// Which history; 0 if there is no position.
    pub epoch: u64,
    /// Which message of it: 1 for the first that the room has stored, 0 for the place before it.
    pub offset: u64,
}

impl From<Position> for chat_position {
    fn from(Position { epoch, offset }: Position) -> Self {
        Self { epoch, offset }
    }
}

impl From<chat_position> for Position {
    fn from(chat_position { epoch, offset }: chat_position) -> Self {
        Self { epoch, offset }
    }
}

/// The size of a buffer that holds any text of chat_position_format, in bytes.
#[allow(dead_code)] // For C.
pub const CHAT_POSITION_SIZE: usize = 40;

const _: () = assert!(Position::MAX_TEXT < CHAT_POSITION_SIZE);

/// Writes a position as NUL-terminated text, EPOCH-OFFSET: the epoch in lower-case base 36, the
/// offset in decimal, such as `1kx9w4c-42`. No position is `0-0`.
///
/// `buf` holds `cap` bytes; CHAT_POSITION_SIZE bytes are always enough. `*len`, if `len` is not NULL,
/// is the length without the NUL. Statuses: CHAT_ERR_TOO_LARGE if the buffer is too small.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_position_format(
    position: Option<&chat_position>,
    buf: *mut c_char,
    cap: usize,
    len: Option<&mut MaybeUninit<usize>>,
) -> chat_status {
    attempt(|| {
        let text = Position::from(*required(position, "position")?).to_string();
        // SAFETY: the header asks for `cap` writable bytes.
        unsafe { copy_text(&text, buf, cap)? };
        write(len, text.len());
        Ok(())
    })
}

/// Reads a position of the text that chat_position_format has written.
///
/// Statuses: CHAT_ERR_INVALID_ARGUMENT if it is another text, CHAT_ERR_INVALID_UTF8,
/// CHAT_ERR_TOO_LARGE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_position_parse(
    text: *const c_char,
    text_len: usize,
    position: Option<&mut MaybeUninit<chat_position>>,
) -> chat_status {
    attempt(|| {
        let position = required(position, "position")?;
        // SAFETY: the header asks for `text_len` readable bytes.
        let text = unsafe { self::text(text, text_len, "text")? };
        let parsed: Position = text.parse().map_err(|_| {
            let why = "it is not a position; pass what chat_position_format has written, such as 1kx9w4c-42";
            Failure::invalid("text", why)
        })?;
        position.write(parsed.into());
        Ok(())
    })
}

//! Where a room stands: which history, and which message of it.

use std::{fmt, str::FromStr};

/// The place of a message in a room's history: which history (the epoch), and which message of it (the offset).
///
/// A room with history has a random epoch of its own, which no other room has. It keeps the epoch while it exists, and
/// when it comes again after it was forgotten, unless that was too long ago. The offset counts the messages that the
/// room has stored, from 1; 0 is the place before the first. Two positions of one epoch are of one room, and the larger
/// offset is the later message.
///
/// [`Position::NONE`], in which both are 0, is where there is no position: what is published to a room without history,
/// and the message of a client that is in no room.
///
/// Its text is `EPOCH-OFFSET`, such as `1kx9w4c-42`: the epoch in lower-case base 36, the offset in decimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Position {
    /// Which history: 0 in [`Position::NONE`] alone.
    pub epoch: u64,
    /// Which message of it, from 1; 0 is before the first.
    pub offset: u64,
}

/// How many digits the largest number has in base 36 and in base 10.
const MAX_EPOCH: usize = 13;
const MAX_OFFSET: usize = 20;

impl Position {
    /// No position.
    pub const NONE: Self = Self { epoch: 0, offset: 0 };

    /// How long the text of a position is at most, in bytes.
    pub const MAX_TEXT: usize = MAX_EPOCH + 1 + MAX_OFFSET;

    /// Makes a position; none if the room has no epoch, since it has no history.
    pub(crate) fn of(epoch: u64, offset: u64) -> Self {
        if epoch == 0 { Self::NONE } else { Self { epoch, offset } }
    }

    /// Whether this is [`Position::NONE`].
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    /// Returns the positions of the `count` messages that were published together, of which this is the last.
    pub(crate) fn run(self, count: usize) -> impl Iterator<Item = Self> {
        let count = count as u64;
        let is_none = self.is_none();
        (0..count).map(move |index| {
            let offset = self.offset.wrapping_sub(count - 1 - index);
            if is_none { Self::NONE } else { Self { offset, ..self } }
        })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", Base36(self.epoch), self.offset)
    }
}

/// A number that is written in lower-case base 36.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Base36(pub(crate) u64);

impl fmt::Display for Base36 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; MAX_EPOCH];
        let (mut rest, mut start) = (self.0, MAX_EPOCH);
        while rest > 0 || start == MAX_EPOCH {
            start -= 1;
            digits[start] = b"0123456789abcdefghijklmnopqrstuvwxyz"[(rest % 36) as usize];
            rest /= 36;
        }
        f.write_str(std::str::from_utf8(&digits[start..]).map_err(|_| fmt::Error)?)
    }
}

/// Why a text is no position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParsePositionError(());

impl fmt::Display for ParsePositionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is not a position: pass the text of one unchanged, such as 1kx9w4c-42")
    }
}

impl std::error::Error for ParsePositionError {}

impl FromStr for Position {
    type Err = ParsePositionError;

    /// Reads what `Display` writes, and nothing else: no leading zeros, no signs, no capitals.
    fn from_str(text: &str) -> Result<Self, ParsePositionError> {
        let (epoch, offset) = text.split_once('-').ok_or(ParsePositionError(()))?;
        Ok(Self { epoch: number(epoch, 36)?, offset: number(offset, 10)? })
    }
}

/// Reads a number as it is written, so that each has one text.
fn number(text: &str, radix: u32) -> Result<u64, ParsePositionError> {
    let is_digit = |byte: &u8| byte.is_ascii_digit() || byte.is_ascii_lowercase();
    let is_shortest = text == "0" || !text.starts_with('0');
    if !is_shortest || !text.as_bytes().iter().all(is_digit) {
        return Err(ParsePositionError(()));
    }
    u64::from_str_radix(text, radix).map_err(|_| ParsePositionError(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_its_text() {
        for (epoch, offset, text) in [
            (0, 0, "0-0"),
            (1, 0, "1-0"),
            (35, 42, "z-42"),
            (36, 1, "10-1"),
            (u64::MAX, u64::MAX, "3w5e11264sgsf-18446744073709551615"),
        ] {
            let position = Position { epoch, offset };
            assert_eq!(position.to_string(), text);
            assert_eq!(text.parse(), Ok(position));
            assert!(text.len() <= Position::MAX_TEXT);
        }
        assert_eq!("3w5e11264sgsf-18446744073709551615".len(), Position::MAX_TEXT);
    }

    #[test]
    fn nothing_else_is_a_position() {
        let too_large = ["3w5e11264sgsg-1", "1-18446744073709551616", "10000000000000-1"];
        let others = [
            "",
            "-",
            "1",
            "1-",
            "-1",
            "1-2-3",
            "A-1",
            "1-a",
            "+1-1",
            "1-+1",
            "01-1",
            "1-01",
            " 1-1",
            "1-1 ",
            "1--1",
            "é-1",
            "1-\u{662}",
            "1_0-1",
        ];
        for text in too_large.into_iter().chain(others) {
            assert!(text.parse::<Position>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_positions_of_a_batch_end_with_its_last() {
        let last = Position { epoch: 7, offset: 12 };
        let offsets =
            |last: Position, count| last.run(count).map(|it| it.offset).collect::<Vec<_>>();
        assert_eq!(offsets(last, 3), [10, 11, 12]);
        assert!(offsets(last, 0).is_empty());
        assert!(Position::NONE.run(3).eq([Position::NONE; 3]));
    }
}

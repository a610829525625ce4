//! How much of a room's past a client may have, as C says it: by a number of messages.

use crate::past::Past;

/// The number of messages with which chat_server_accept_with_past and chat_server_join_with_past
/// give all that a room keeps.
pub const CHAT_PAST_ALL: u64 = u64::MAX;

/// Returns how much of a room's past C names by a number of messages.
pub(super) fn past(count: u64) -> Past {
    match count {
        0 => Past::None,
        CHAT_PAST_ALL => Past::All,
        // No room keeps more messages than a usize counts.
        _ => Past::Last(count.try_into().unwrap_or(usize::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_messages_is_a_past() {
        let numbers = [0, 1, CHAT_PAST_ALL - 1, CHAT_PAST_ALL];
        let most = usize::try_from(CHAT_PAST_ALL - 1).unwrap();
        let pasts = [Past::None, Past::Last(1), Past::Last(most), Past::All];
        assert_eq!(numbers.map(past), pasts);
    }
}

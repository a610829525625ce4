//! The options of rooms: what they keep, and what is told of those who are in them.

use std::time::Duration;

use super::{
    boundary::{attempt, flag},
    config::{chat_config, chat_members_mode, millis, own, set, size},
    failure::Failure,
    status::chat_status,
};
use crate::options::Members;

/// Sets how many messages a room keeps: for clients that ask for the last ones (`?history=N`), that
/// come back (`?since=POSITION`), or that get them of the host (chat_server_join_with_past); 0:
/// none. Default: 1,000. At most 1,000,000.
#[unsafe(no_mangle)]
pub extern "C" fn chat_config_set_history_messages(
    config: Option<&mut chat_config>,
    count: u32,
) -> chat_status {
    attempt(|| set(config, |config| _ = config.history_messages(size(count))))
}

/// Sets how many bytes of messages a room keeps; 0: none. Each message counts with 128 bytes more,
/// for what keeps it, and a client that published it with about 90 bytes and its name, once for
/// messages of it that follow each other. A room always keeps its last message, also one that is longer than this.
/// Default: 4 MiB, or 4 times `max_message_size` if that is more. At most 64 GiB.
#[unsafe(no_mangle)]
pub extern "C" fn chat_config_set_history_size(
    config: Option<&mut chat_config>,
    bytes: usize,
) -> chat_status {
    attempt(|| set(config, |config| _ = config.history_size(bytes)))
}

/// Sets how long a room keeps a message, in milliseconds. Default: 3,600,000 (1 hour). From 10 to
/// 864,000,000,000 (10,000 days).
#[unsafe(no_mangle)]
pub extern "C" fn chat_config_set_history_age(
    config: Option<&mut chat_config>,
    age_ms: u64,
) -> chat_status {
    attempt(|| set(config, |config| _ = config.history_age(Duration::from_millis(age_ms))))
}

/// Sets how many bytes of messages all rooms together keep. Beyond this size, the rooms that have
/// been without subscribers for longest lose their history first, and then large rooms lose their
/// oldest messages. 0: none. Default: 64 MiB, or what one room keeps if that is more:
/// `history_size`, and `max_message_size` + 4 KiB. At least `max_message_size` + 4 KiB, or 0. At
/// most 1 TiB.
#[unsafe(no_mangle)]
pub extern "C" fn chat_config_set_history_total(
    config: Option<&mut chat_config>,
    bytes: usize,
) -> chat_status {
    attempt(|| set(config, |config| _ = config.history_total(bytes)))
}

/// Sets how many signals a client may send in a second: what others are told at once and nobody
/// stores, such as that somebody types, where a pointer is, or that a program may stop to write its
/// answer. 0: clients may send none, and are told `refused`, `forbidden`. The host may always signal
/// (chat_server_signal).
///
/// What a client sends within two seconds may come at once. Signals beyond the rate are dropped and
/// counted in `signals_dropped`. They pass no review: every client that is connected may signal to
/// the rooms that it is in. Clients of the JSON form can send them, each of at most 4 KiB. The host
/// gets CHAT_EVENT_SIGNAL of each. Default: 0. At most 1,000,000.
#[unsafe(no_mangle)]
pub extern "C" fn chat_config_set_signal_rate(
    config: Option<&mut chat_config>,
    per_second: u32,
) -> chat_status {
    attempt(|| set(config, |config| _ = config.signal_rate(per_second)))
}

/// Sets who is told who is in a room: a CHAT_MEMBERS_... value. The host gets
/// CHAT_EVENT_MEMBER_ENTERED and CHAT_EVENT_MEMBER_LEFT, and calls chat_server_members and
/// chat_server_member_count. A client of the JSON form that connects with `?members=true` is told
/// who is in its rooms, if it may know. Of a room with more than 200 members it is told the number
/// alone. It gets at most four objects a second of each room.
///
/// Default: CHAT_MEMBERS_OFF. Another value needs an `outbox_size` of at least 128 KiB. Statuses:
/// CHAT_ERR_INVALID_ARGUMENT for an unknown value.
#[unsafe(no_mangle)]
pub extern "C" fn chat_config_set_members(
    config: Option<&mut chat_config>,
    mode: u32,
) -> chat_status {
    attempt(|| {
        const OFF: u32 = chat_members_mode::CHAT_MEMBERS_OFF as u32;
        const HOST: u32 = chat_members_mode::CHAT_MEMBERS_HOST as u32;
        const CLIENTS: u32 = chat_members_mode::CHAT_MEMBERS_CLIENTS as u32;
        let config = own(config)?;
        let mode = match mode {
            OFF => Members::Off,
            HOST => Members::Host,
            CLIENTS => Members::Clients,
            _ => {
                let why = format!("{mode} is no CHAT_MEMBERS_... value");
                return Err(Failure::invalid("mode", why));
            }
        };
        config.inner.members(mode);
        Ok(())
    })
}

/// Sets for how long the place of a client in a room is kept when its connection ends, in
/// milliseconds, so that one that comes back is not said to have left; 0: each leaves at once. It
/// holds for clients with an identity (chat_server_set_identity): another connection with the same
/// identity takes the place over. A client that the host disconnects or takes out of the room leaves
/// at once, and so does one that never was admitted. A room counts as occupied for the same time after
/// its last client has left (chat_config_set_occupancy). Default: 2,000. At most 60,000. Of
/// `max_connections` times 16 places and rooms that are kept so, the oldest are given up earlier.
#[unsafe(no_mangle)]
pub extern "C" fn chat_config_set_member_grace(
    config: Option<&mut chat_config>,
    grace_ms: u32,
) -> chat_status {
    attempt(|| set(config, |config| _ = config.member_grace(millis(grace_ms))))
}

/// Sets whether the host is told when a room gets its first client (CHAT_EVENT_ROOM_OCCUPIED), and
/// when it has had none for the member grace (CHAT_EVENT_ROOM_VACATED): 1 or 0. There is no event for
/// each client between. It does not need chat_config_set_members. Default: 0. Statuses:
/// CHAT_ERR_INVALID_ARGUMENT for another value.
#[unsafe(no_mangle)]
pub extern "C" fn chat_config_set_occupancy(
    config: Option<&mut chat_config>,
    occupancy: u32,
) -> chat_status {
    attempt(|| {
        let occupancy = flag(occupancy, "occupancy")?;
        set(config, |config| _ = config.occupancy(occupancy))
    })
}

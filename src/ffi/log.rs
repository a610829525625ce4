//! The setter of the host's log handler.

use std::{ffi::c_void, sync::Arc};

use tracing::level_filters::LevelFilter;

use super::{
    boundary::{attempt, required},
    callback::UserData,
    config::{chat_config, own},
    event::chat_drop_fn,
    failure::Failure,
    log_lines::{LogHandler, chat_log_fn},
    status::chat_status,
};

/// Sets the function that gets the log lines of all servers that are started from this config: the
/// lines of the CHAT_LOG_... levels up to `max_level`. Without a log handler the library writes no
/// lines.
///
/// A line is UTF-8 of the form `message key=value key="a value"`. It has no line breaks or other
/// control characters and at most 1,024 bytes; a line that was cut ends with `...`. The words of a
/// line may change in every version.
///
/// The log handler is called on the server's threads, and inside the host's calls of
/// chat_server_start, chat_server_stop and chat_server_free: before chat_server_start returns,
/// after chat_server_stop has returned, and on several threads at once. While it waits, clients
/// wait. It should queue the line and return, and must not wait for a thread that is in a call of
/// libchat. It must return by itself: no longjmp, no C++ exception. Inside it, every function of a
/// server, and chat_server_start, returns CHAT_ERR_IN_HANDLER; chat_server_free does nothing.
///
/// `user_data` is passed to each call; the library never looks behind it. `drop`, which may be
/// NULL, is called with it exactly once, after the last call: when the config and every server that
/// was started from it are freed, when another handler replaces this one, or at once if this
/// function fails. `drop` may run on any thread, and must not call libchat. Default: no handler.
/// Statuses: CHAT_ERR_INVALID_ARGUMENT for an unknown level.
#[unsafe(no_mangle)]
pub extern "C" fn chat_config_set_log_handler(
    config: Option<&mut chat_config>,
    max_level: u32,
    handler: chat_log_fn,
    user_data: *mut c_void,
    drop: chat_drop_fn,
) -> chat_status {
    attempt(|| {
        // First, so that `drop` is called even if a check below fails.
        let user_data = UserData::new(user_data, drop);
        let config = own(config)?;
        required(handler, "handler")?;
        let max_level = level_filter(max_level)?;
        config.log = Some(Arc::new(LogHandler { max_level, function: handler, user_data }));
        Ok(())
    })
}

fn level_filter(level: u32) -> Result<LevelFilter, Failure> {
    match level {
        1 => Ok(LevelFilter::ERROR),
        2 => Ok(LevelFilter::WARN),
        3 => Ok(LevelFilter::INFO),
        4 => Ok(LevelFilter::DEBUG),
        5 => Ok(LevelFilter::TRACE),
        _ => {
            let why = format!("{level} is no level; pass CHAT_LOG_ERROR to CHAT_LOG_TRACE");
            Err(Failure::invalid("max_level", why))
        }
    }
}

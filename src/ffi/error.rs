//! `chat_error`: the text of a failed call, and the operating system's error number.

use std::ffi::{CStr, CString, c_char};

use super::{
    guard::{Fallback, guard},
    status::chat_status,
};
use crate::error::Error;

/// Why a call failed: its status, a text for people, and the operating system's error number.
///
/// The host owns it and frees it with chat_error_free. One thread at a time may use it.
///
/// Functions: chat_error_status, chat_error_os_code, chat_error_message, chat_error_free.
pub struct chat_error {
    pub(super) status: chat_status,
    os_code: i32,
    message: CString,
}

impl chat_error {
    pub(super) fn new(error: &Error) -> Self {
        let os_code = match error {
            Error::Listen { source, .. } | Error::Resources { source, .. } => source.raw_os_error(),
            _ => None,
        };
        // A NUL would end the C string early.
        let message = error.to_string().replace('\0', "\\0");
        Self {
            status: error.into(),
            os_code: os_code.unwrap_or(0),
            message: CString::new(message).unwrap_or_default(),
        }
    }
}

impl chat_error {
    /// The error for a config that is NULL, most likely because `chat_config_new` refused the
    /// header that the host was compiled with.
    pub(super) fn no_config() -> Self {
        let message =
            c"the config is NULL: chat_config_new returns NULL if header and library do not \
            fit; compile the program with the header of this library";
        Self { status: chat_status::CHAT_ERR_NULL_ARGUMENT, os_code: 0, message: message.into() }
    }
}

impl From<chat_status> for chat_error {
    fn from(status: chat_status) -> Self {
        Self { status, os_code: 0, message: status.message().into() }
    }
}

impl Fallback for Result<(), chat_error> {
    fn on_panic() -> Self {
        Err(chat_status::on_panic().into())
    }
}

/// Returns the status of the failed call; CHAT_ERR_NULL_ARGUMENT if `error` is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn chat_error_status(error: Option<&chat_error>) -> chat_status {
    guard(|| error.map_or(chat_status::CHAT_ERR_NULL_ARGUMENT, |error| error.status))
}

/// Returns the operating system's error number (errno), such as EADDRINUSE; 0 if the operating
/// system reported no error, or if `error` is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn chat_error_os_code(error: Option<&chat_error>) -> i32 {
    guard(|| error.map_or(0, |error| error.os_code))
}

/// Returns what went wrong and what to do next, as text for people: do not parse it. The text is
/// NUL-terminated and valid until the error is freed. It is empty if `error` is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn chat_error_message(error: Option<&chat_error>) -> *const c_char {
    guard(|| error.map_or(c"", |error| CStr::as_ref(&error.message)).as_ptr())
}

/// Frees an error. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn chat_error_free(error: Option<Box<chat_error>>) {
    guard(|| drop(error));
}

//! `chat_error`: the text of a failed call, and the operating system's error number.

use std::ffi::{CStr, CString, c_char};

use super::{failure::Failure, guard::guard, status::chat_status};

/// Why a call failed: its status, a text for people, and the operating system's error number.
///
/// The host owns it and frees it with chat_error_free. One thread at a time may use it.
///
/// Functions: chat_error_status, chat_error_os_code, chat_error_message, chat_error_free.
pub struct chat_error {
    status: chat_status,
    os_code: i32,
    message: CString,
}

impl chat_error {
    pub(super) fn new(failure: &Failure) -> Self {
        let os_code = failure.os_code().unwrap_or(0);
        Self { status: failure.status, os_code, message: failure.text() }
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

//! Why a call failed: its status, and its text, which names the argument. The last failure of each thread is kept for
//! chat_last_error_message.
//!
//! A failure is made by naming an argument, or of an `Error`, which names it too: there is no way to fail with a
//! status alone. Nothing is allocated before the text is asked for, unless it has a number in it, so that a call that
//! fails often, such as one that has timed out, stays cheap; a call that succeeds does nothing here.

use std::{
    borrow::Cow,
    cell::RefCell,
    ffi::{CString, c_char},
    fmt,
};

use super::{
    guard::{Fallback, guard},
    status::chat_status::{self, *},
};
use crate::error::Error;

/// Why a call failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) status: chat_status,
    why: Why,
}

#[derive(Debug)]
enum Why {
    /// What is wrong with an argument.
    Argument(&'static str, Cow<'static, str>),
    /// What the engine says, which names the argument if one is wrong.
    Error(Error),
    /// The same, for one message of an array.
    Message(usize, Error),
    /// What is wrong although all arguments are right.
    State(Cow<'static, str>),
}

impl Failure {
    /// An argument has a value that is not allowed.
    pub(super) fn invalid(argument: &'static str, why: impl Into<Cow<'static, str>>) -> Self {
        Self::argument(CHAT_ERR_INVALID_ARGUMENT, argument, why)
    }

    /// An argument that must not be NULL is NULL.
    pub(super) fn null(argument: &'static str) -> Self {
        Self::argument(CHAT_ERR_NULL_ARGUMENT, argument, "it is NULL")
    }

    /// There is nothing that an argument could mean.
    pub(super) fn not_found(argument: &'static str, why: impl Into<Cow<'static, str>>) -> Self {
        Self::argument(CHAT_ERR_NOT_FOUND, argument, why)
    }

    /// An argument is longer than its limit, in bytes.
    pub(super) fn too_large(what: &'static str, size: usize, limit: usize) -> Self {
        Error::TooLarge { what, size, limit }.into()
    }

    /// Something is wrong with an argument.
    pub(super) fn argument(
        status: chat_status,
        argument: &'static str,
        why: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { status, why: Why::Argument(argument, why.into()) }
    }

    /// Something is wrong with one of the messages of an array.
    pub(super) fn of_message(index: usize, failure: Self) -> Self {
        let why = match failure.why {
            Why::Error(error) => Why::Message(index, error),
            why => {
                let text = format!("messages[{index}].{why}");
                Why::State(text.into())
            }
        };
        Self { why, ..failure }
    }

    /// Something is wrong with one of the rooms of an array.
    pub(super) fn of_room(index: usize, failure: &Self) -> Self {
        let text = failure.why.to_string();
        let why = Why::State(format!("rooms[{index}]{}", text.trim_start_matches("room")).into());
        Self { status: failure.status, why }
    }

    /// Something is wrong although all arguments are right.
    pub(super) fn state(status: chat_status, text: impl Into<Cow<'static, str>>) -> Self {
        Self { status, why: Why::State(text.into()) }
    }

    /// Returns the operating system's error number, if it is one that the system reported.
    pub(super) fn os_code(&self) -> Option<i32> {
        match &self.why {
            Why::Error(Error::Listen { source, .. } | Error::Resources { source, .. }) => {
                source.raw_os_error()
            }
            _ => None,
        }
    }

    /// Returns the text for C, in which a NUL would end it early.
    pub(super) fn text(&self) -> CString {
        CString::new(self.to_string().replace('\0', "\\0")).unwrap_or_default()
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument(argument, why) => write!(f, "{argument}: {why}"),
            Self::Error(error) => error.fmt(f),
            Self::Message(index, error) => write!(f, "messages[{index}].{error}"),
            Self::State(text) => f.write_str(text),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.why.fmt(f)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { status: (&error).into(), why: Why::Error(error) }
    }
}

impl Failure {
    fn of_panic(said: &str) -> Self {
        Self::state(CHAT_ERR_PANIC, format!("a bug in libchat: {said}"))
    }
}

impl Fallback for Result<(), Failure> {
    fn on_panic(said: &str) -> Self {
        Err(Failure::of_panic(said))
    }
}

impl Fallback for chat_status {
    fn on_panic(said: &str) -> Self {
        note(Failure::of_panic(said))
    }
}

/// The last failure of a thread, and its text, once that was asked for.
struct Last {
    failure: Option<Failure>,
    text: Option<CString>,
}

thread_local! {
    static LAST: RefCell<Last> = const { RefCell::new(Last { failure: None, text: None }) };
}

/// Keeps why a call of this thread failed, in place of the failure before. Returns its status.
pub(super) fn note(failure: Failure) -> chat_status {
    let status = failure.status;
    // Fails while the thread ends: then nothing asks any more.
    _ = LAST.try_with(|last| last.replace(Last { failure: Some(failure), text: None }));
    status
}

/// Returns why the last call of libchat that failed on this thread failed, and what to do next, as text
/// for people: do not parse it. It names the argument that is wrong, as in `room: it is empty`. Empty
/// if no call of this thread has failed; never NULL.
///
/// The text is NUL-terminated and belongs to the library: do not free it. It is valid until the
/// thread's next call of libchat that fails, or until the thread ends. A call that succeeds does not
/// change it. A call fails if it returns another status than CHAT_OK; chat_config_new fails if it
/// returns NULL. The calls of other threads do not count: get the text on the thread of the call.
#[unsafe(no_mangle)]
pub extern "C" fn chat_last_error_message() -> *const c_char {
    let text = guard(|| {
        let text = LAST.try_with(|last| {
            let Last { failure, text } = &mut *last.borrow_mut();
            let failure = failure.as_ref()?;
            Some(text.get_or_insert_with(|| failure.text()).as_ptr())
        });
        text.ok().flatten().unwrap_or(c"".as_ptr())
    });
    if text.is_null() { c"".as_ptr() } else { text }
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::{super::boundary::attempt, *};

    fn last() -> String {
        // SAFETY: the text is NUL-terminated, and no call fails meanwhile.
        unsafe { CStr::from_ptr(chat_last_error_message()) }.to_str().unwrap().to_owned()
    }

    #[test]
    fn the_text_is_that_of_the_threads_last_failure_and_a_success_leaves_it() {
        std::thread::spawn(|| assert_eq!(last(), "")).join().unwrap();
        let fail = |failure: fn() -> Failure| attempt(|| Err(failure()));
        assert_eq!(fail(|| Failure::null("room")), CHAT_ERR_NULL_ARGUMENT);
        assert_eq!(last(), "room: it is NULL");
        assert_eq!(attempt(|| Ok(())), CHAT_OK);
        assert_eq!(last(), "room: it is NULL");
        std::thread::spawn(|| assert_eq!(last(), "")).join().unwrap();
        assert_eq!(fail(|| Error::InvalidUtf8.into()), CHAT_ERR_INVALID_UTF8);
        assert!(last().starts_with("data: the text is not UTF-8"), "{}", last());
        let address = chat_last_error_message();
        assert_eq!(address, chat_last_error_message());
        fail(|| Failure::invalid("a", "it has a \0"));
        assert_eq!(last(), "a: it has a \\0");
    }

    #[test]
    fn a_message_of_an_array_is_named_by_its_index() {
        let text = |failure| Failure::of_message(7, failure).to_string();
        assert_eq!(text(Failure::null("room")), "messages[7].room: it is NULL");
        assert!(text(Error::InvalidRoom("it is empty").into()).starts_with("messages[7].room: "));
    }

    #[test]
    fn a_room_of_an_array_is_named_by_its_index() {
        let text = |failure: Failure| Failure::of_room(7, &failure).to_string();
        assert_eq!(text(Failure::null("room")), "rooms[7]: it is NULL");
        assert!(
            text(Error::InvalidRoom("it is empty").into()).starts_with("rooms[7]: it is empty; ")
        );
    }

    #[test]
    fn a_panic_has_a_text_too() {
        assert_eq!(attempt(|| panic!("it is {}", "broken")), CHAT_ERR_PANIC);
        assert_eq!(last(), "a bug in libchat: it is broken");
        assert_eq!(attempt(|| std::panic::panic_any(7)), CHAT_ERR_PANIC);
        assert_eq!(last(), "a bug in libchat: it panicked");
    }
}

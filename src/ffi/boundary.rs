//! The edge to C: checks for NULL, and reads and writes behind the host's raw pointers.
//!
//! Handles and outputs that may be NULL arrive as `Option<&T>`, which has the layout of a C
//! pointer. Raw pointers are left for bytes with a length, and for what the host only gets back.

use std::{ffi::c_char, mem::MaybeUninit, ptr, slice, str};

use super::{
    failure::{self, Failure},
    guard::guard,
    status::chat_status,
};

/// Runs the body of an exported function that returns a status. Keeps why it fails, for chat_last_error_message.
pub(super) fn attempt(body: impl FnOnce() -> Result<(), Failure>) -> chat_status {
    guard(|| body().map_or_else(failure::note, |()| chat_status::CHAT_OK))
}

/// Returns an argument that must not be NULL. `name` is what the header calls it, here and below.
pub(super) fn required<T>(argument: Option<T>, name: &'static str) -> Result<T, Failure> {
    argument.ok_or_else(|| Failure::null(name))
}

/// The longest text that is read, in bytes.
const MAX_TEXT: usize = 65_535;

/// Returns the flag that C passes as a number: a byte with another value than 0 and 1 is no `bool`.
pub(super) fn flag(number: u32, name: &'static str) -> Result<bool, Failure> {
    match number {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Failure::invalid(name, format!("{number} is neither 0 nor 1"))),
    }
}

/// Returns the bytes that C passes as a pointer and a length; NULL with length 0 is empty. A length
/// over `limit` is refused before a slice is made: there may be no memory behind it.
///
/// # Safety
/// If `data` is not NULL and `len` is at most `limit`, `len` bytes can be read from it, unchanged, for
/// `'a`.
pub(super) unsafe fn bytes<'a>(
    data: *const u8,
    len: usize,
    limit: usize,
    name: &'static str,
) -> Result<&'a [u8], Failure> {
    if data.is_null() {
        return if len == 0 { Ok(&[]) } else { Err(no_bytes(len, name)) };
    }
    if len > limit || isize::try_from(len).is_err() {
        return Err(Failure::too_large(name, len, limit));
    }
    // SAFETY: not NULL, not longer than a slice may be, and readable as the caller promises.
    Ok(unsafe { slice::from_raw_parts(data, len) })
}

#[cold]
fn no_bytes(len: usize, name: &'static str) -> Failure {
    let why = format!("it is NULL, with a length of {len}");
    Failure::argument(chat_status::CHAT_ERR_NULL_ARGUMENT, name, why)
}

/// Returns the text that C passes as a pointer and a length; NULL with length 0 is empty.
///
/// # Safety
/// As for [`bytes`].
pub(super) unsafe fn text<'a>(
    data: *const c_char,
    len: usize,
    name: &'static str,
) -> Result<&'a str, Failure> {
    // SAFETY: the caller promises what `bytes` asks for.
    let bytes = unsafe { bytes(data.cast(), len, MAX_TEXT, name)? };
    if bytes.is_ascii() {
        // SAFETY: ASCII is UTF-8. This check is cheaper than `from_utf8`, and the name of a room
        // comes with every message.
        return Ok(unsafe { str::from_utf8_unchecked(bytes) });
    }
    str::from_utf8(bytes).map_err(|error| {
        let why = format!("the text is not UTF-8, from byte {} on", error.valid_up_to());
        Failure::argument(chat_status::CHAT_ERR_INVALID_UTF8, name, why)
    })
}

/// Returns what C gets for bytes of the library: never NULL and never a dangling address, on which
/// a garbage collector that finds it on its stack could fail.
pub(super) fn parts(bytes: &[u8]) -> (*const u8, usize) {
    let data = if bytes.is_empty() { c"".as_ptr().cast() } else { bytes.as_ptr() };
    (data, bytes.len())
}

/// Does what [`parts`] does, for text.
pub(super) fn text_parts(text: &str) -> (*const c_char, usize) {
    let (data, len) = parts(text.as_bytes());
    (data.cast(), len)
}

/// Copies `text` and a NUL into the caller's buffer, which the header calls `buf`.
///
/// # Safety
/// If `buf` is not NULL, `cap` bytes can be written to it.
pub(super) unsafe fn copy_text(text: &str, buf: *mut c_char, cap: usize) -> Result<(), Failure> {
    if buf.is_null() {
        return Err(Failure::null("buf"));
    }
    if cap <= text.len() {
        let why = format!("{cap} bytes are too few: {} are needed", text.len() + 1);
        return Err(Failure::argument(chat_status::CHAT_ERR_TOO_LARGE, "cap", why));
    }
    // SAFETY: `buf` holds more than `text.len()` bytes, and a fresh text does not overlap it.
    unsafe {
        ptr::copy_nonoverlapping(text.as_ptr(), buf.cast(), text.len());
        buf.add(text.len()).write(0);
    }
    Ok(())
}

/// Fills `size` bytes of the caller's struct, which the header calls `out`, with `value` first and zeros behind it. A host whose
/// struct is longer or shorter gets the fields that both sides know.
///
/// # Safety
/// If `out` is not NULL, `size` bytes can be written to it. `T` has no padding.
pub(super) unsafe fn copy_struct<T: Copy>(
    value: &T,
    out: *mut T,
    size: usize,
) -> Result<(), Failure> {
    if out.is_null() {
        return Err(Failure::null("out"));
    }
    let len = size.min(size_of::<T>());
    // SAFETY: `out` holds `size` bytes, of which `len` are copied and the others zeroed; they are
    // handled as bytes because the caller's struct may be cut anywhere.
    unsafe {
        ptr::copy_nonoverlapping(ptr::from_ref(value).cast::<u8>(), out.cast(), len);
        ptr::write_bytes(out.cast::<u8>().add(len), 0, size - len);
    }
    Ok(())
}

/// Writes an output, unless the host passed NULL for it.
pub(super) fn write<T>(out: Option<&mut MaybeUninit<T>>, value: T) {
    if let Some(out) = out {
        out.write(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_status() {
        assert_eq!(attempt(|| panic!("a bug")), chat_status::CHAT_ERR_PANIC);
    }

    #[test]
    fn a_wrong_length_is_found_before_memory_is_touched() {
        let data = c"text".as_ptr();
        // SAFETY: nothing is read: that is what is tested.
        unsafe {
            let status = |outcome: Result<_, Failure>| outcome.map_err(|failure| failure.status);
            let long = text(data, MAX_TEXT + 1, "text").map(str::as_bytes);
            assert_eq!(status(long), Err(chat_status::CHAT_ERR_TOO_LARGE));
            for limit in [4, usize::MAX] {
                let all = bytes(data.cast(), usize::MAX, limit, "data");
                assert_eq!(status(all), Err(chat_status::CHAT_ERR_TOO_LARGE));
            }
            let few = |data, len| bytes(data, len, 4, "data");
            assert_eq!(status(few(data.cast(), 5)), Err(chat_status::CHAT_ERR_TOO_LARGE));
            assert_eq!(status(few(ptr::null(), 1)), Err(chat_status::CHAT_ERR_NULL_ARGUMENT));
            assert_eq!(status(few(ptr::null(), 0)), Ok(&[][..]));
        }
    }

    #[test]
    fn every_exported_function_is_guarded() {
        let sources = [
            include_str!("client.rs"),
            include_str!("config.rs"),
            include_str!("config_rooms.rs"),
            include_str!("decisions.rs"),
            include_str!("error.rs"),
            include_str!("events.rs"),
            include_str!("failure.rs"),
            include_str!("history.rs"),
            include_str!("identity.rs"),
            include_str!("position.rs"),
            include_str!("publish.rs"),
            include_str!("publish_with.rs"),
            include_str!("log.rs"),
            include_str!("request.rs"),
            include_str!("members.rs"),
            include_str!("server.rs"),
            include_str!("signals.rs"),
            include_str!("status.rs"),
            include_str!("version.rs"),
        ];
        let listed = include_str!("../../include/libchat.symbols").lines().count();
        let mut functions = 0;
        for source in sources {
            for function in source.split("extern \"C\" fn chat_").skip(1) {
                let (_, body) = function.split_once("{\n").unwrap();
                let first = body.trim_start();
                let guards = ["guard(", "attempt(", "let text = guard("];
                assert!(guards.iter().any(|guard| first.starts_with(guard)), "{function}");
                functions += 1;
            }
        }
        assert_eq!(functions, listed, "a file of exported functions is missing above");
    }
}

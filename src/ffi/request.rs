//! What a host reads of a client's request: a parameter of the query, a cookie, a bearer token.

use std::{ffi::c_char, mem::MaybeUninit};

use super::{
    boundary::{attempt, required, text, text_parts},
    event::{chat_event, held_request},
    failure::Failure,
    status::chat_status,
};

/// Where C wants a text to be written.
type TextOut<'a> = (&'a mut MaybeUninit<*const c_char>, &'a mut MaybeUninit<usize>);

fn write_text(
    (value, value_len): TextOut<'_>,
    (text, len): (*const c_char, usize),
) -> Result<(), Failure> {
    value.write(text);
    value_len.write(len);
    Ok(())
}

/// Finds a parameter of the query by name, in a CONNECT_REQUEST or CONNECTED event, and returns its
/// first value, decoded as browsers encode it: `+` is a space, and `%` with two hexadecimal digits
/// is a byte. A `%` without them stays as it is. A parameter without `=` has an empty value. The
/// name is compared as it is after decoding: upper and lower case differ. `event` is a pointer that
/// the library handed out.
///
/// The value is UTF-8, and valid as long as the event. Statuses: CHAT_ERR_NOT_FOUND if there is no
/// such parameter, its first value is not UTF-8, or the event is of another type; for the name,
/// CHAT_ERR_INVALID_UTF8 and CHAT_ERR_TOO_LARGE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_event_query(
    event: Option<&chat_event>,
    name: *const c_char,
    name_len: usize,
    value: Option<&mut MaybeUninit<*const c_char>>,
    value_len: Option<&mut MaybeUninit<usize>>,
) -> chat_status {
    attempt(|| {
        let event = required(event, "event")?;
        let out = (required(value, "value")?, required(value_len, "value_len")?);
        // SAFETY: the header asks for `name_len` readable bytes.
        let name = unsafe { text(name, name_len, "name")? };
        // SAFETY: the event is one that the library handed out and that is still valid.
        let found = unsafe { held_request(event)? }.query_value(name);
        let why = "the query has no such parameter, or its value is not UTF-8";
        write_text(out, found.ok_or_else(|| Failure::not_found("name", why))?)
    })
}

/// Finds a cookie by name (RFC 6265, 4.2), in a CONNECT_REQUEST or CONNECTED event, and returns its
/// value: the first one if several cookies have the name, in whichever `Cookie` header it is. Quotes
/// belong to the value, as in browsers, and nothing is decoded. Upper and lower case differ in the
/// name. `event` is a pointer that the library handed out.
///
/// The value is UTF-8, and valid as long as the event. Statuses: CHAT_ERR_NOT_FOUND if there is no
/// such cookie, its first value is not UTF-8, or the event is of another type; for the name,
/// CHAT_ERR_INVALID_UTF8 and CHAT_ERR_TOO_LARGE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_event_cookie(
    event: Option<&chat_event>,
    name: *const c_char,
    name_len: usize,
    value: Option<&mut MaybeUninit<*const c_char>>,
    value_len: Option<&mut MaybeUninit<usize>>,
) -> chat_status {
    attempt(|| {
        let event = required(event, "event")?;
        let out = (required(value, "value")?, required(value_len, "value_len")?);
        // SAFETY: the header asks for `name_len` readable bytes.
        let name = unsafe { text(name, name_len, "name")? };
        // SAFETY: the event is one that the library handed out and that is still valid.
        let found = unsafe { held_request(event)? }.request.cookie(name);
        let why = "the client sent no such cookie, or its value is not UTF-8";
        write_text(out, text_parts(found.ok_or_else(|| Failure::not_found("name", why))?))
    })
}

/// Returns the token of the header `Authorization: Bearer TOKEN` (RFC 6750, 2.1), in a
/// CONNECT_REQUEST or CONNECTED event: visible ASCII without spaces, which is more than the RFC lets
/// tokens be, and never empty. Upper and lower case are the same in `Bearer`. `event` is a pointer
/// that the library handed out.
///
/// The token is valid as long as the event. Statuses: CHAT_ERR_NOT_FOUND if there is no such header,
/// it has another scheme or form, it is there several times (a proxy in front may have checked
/// another one), or the event is of another type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_event_bearer(
    event: Option<&chat_event>,
    token: Option<&mut MaybeUninit<*const c_char>>,
    token_len: Option<&mut MaybeUninit<usize>>,
) -> chat_status {
    attempt(|| {
        let event = required(event, "event")?;
        let out = (required(token, "token")?, required(token_len, "token_len")?);
        // SAFETY: the event is one that the library handed out and that is still valid.
        let found = unsafe { held_request(event)? }.request.bearer();
        let why = "the client sent no header Authorization: Bearer TOKEN";
        write_text(out, text_parts(found.ok_or_else(|| Failure::not_found("event", why))?))
    })
}

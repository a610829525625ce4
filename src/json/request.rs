//! What a client sends.

use std::borrow::Cow;

use base64ct::{Base64, Encoding};

use super::{
    fields::{self, Field, Fields, MAX_FIELDS},
    refusal::Refusal,
};
use crate::frame::Kind;

/// The longest id of a request, as raw JSON.
const MAX_ID: usize = 64;

/// How many messages a request for history asks for, unless it says so, and at most.
const DEFAULT_LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 1_000;

/// What a client asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request<'a> {
    /// To publish a message. Nothing bounds the payload here but the text that it was in.
    Publish {
        /// The client's name for this request, as raw JSON; it is answered if there is one.
        id: Option<&'a str>,
        room: Option<Cow<'a, str>>,
        kind: Kind,
        payload: Cow<'a, [u8]>,
    },
    /// To be sent earlier messages of a room.
    History {
        /// The client's name for this request, as raw JSON.
        id: &'a str,
        room: Option<Cow<'a, str>>,
        /// The text of a position, unchecked.
        before: Option<Cow<'a, str>>,
        /// 1 to 1,000.
        limit: u32,
    },
}

/// Why what a client sent is no request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Rejected<'a> {
    /// It is no JSON object: the connection is closed with 1007.
    NotJson,
    /// It is answered with `refused`.
    Refused {
        /// As raw JSON; `None` if the client gave none that can be answered.
        id: Option<&'a str>,
        code: Refusal,
        reason: &'static str,
    },
}

/// A code and a reason.
type Refused = (Refusal, &'static str);

fn malformed<T>(reason: &'static str) -> Result<T, Refused> {
    Err((Refusal::Malformed, reason))
}

/// Reads one object of a client, in time and memory linear in its length.
///
/// Unknown fields are ignored, whatever they hold. `null` is no value of any field. A known field that is there twice is
/// refused: programs before the server may have read the other one.
///
/// # Errors
/// `NotJson` if it is no JSON object (RFC 8259) in UTF-8; else `Refused`.
pub(crate) fn parse(text: &[u8]) -> Result<Request<'_>, Rejected<'_>> {
    let fields = Fields::parse(text).ok_or(Rejected::NotJson)?;
    let id = id(&fields);
    let request = id.and_then(|id| request(&fields, id));
    request.map_err(|(code, reason)| Rejected::Refused { id: id.unwrap_or(None), code, reason })
}

fn id<'a>(fields: &Fields<'a>) -> Result<Option<&'a str>, Refused> {
    let Some(token) = fields.get(Field::Id) else { return Ok(None) };
    let is_integer = || token.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    if !token.starts_with('"') && !is_integer() {
        return malformed("`id` is no string and no integer: send one of these");
    }
    if token.len() > MAX_ID {
        return malformed("`id` is longer than 64 bytes: send a shorter one");
    }
    if fields.is_repeated(Field::Id) {
        return malformed("`id` is there twice: send it once");
    }
    Ok(Some(token))
}

fn request<'a>(fields: &Fields<'a>, id: Option<&'a str>) -> Result<Request<'a>, Refused> {
    if fields.count() > MAX_FIELDS {
        return malformed("it has more than 64 fields: send fewer");
    }
    if fields.has_repeated() {
        return malformed("a field is there twice: send each field once");
    }
    match fields.get(Field::Type).map(fields::decode) {
        None => publish(fields, id),
        Some(Some(name)) => match &*name {
            b"message" => publish(fields, id),
            b"history" => history(fields, id),
            _ => Err((
                Refusal::UnknownType,
                "the server knows no such `type`: send `message` or `history`",
            )),
        },
        Some(None) => malformed("`type` is no string: send `message` or `history`"),
    }
}

fn publish<'a>(fields: &Fields<'a>, id: Option<&'a str>) -> Result<Request<'a>, Refused> {
    let room = room(fields)?;
    let kind = kind(fields)?;
    let (kind, payload) = match (fields.get(Field::Text), fields.get(Field::Base64)) {
        (Some(_), None) if kind == Some(Kind::Binary) => {
            return malformed("`text` is never binary: send `base64`, or leave out `kind`");
        }
        (Some(token), None) => match fields::decode(token) {
            Some(text) => (Kind::Text, text),
            None => return malformed("`text` is no string: send a string"),
        },
        (None, Some(token)) => (kind.unwrap_or(Kind::Binary), base64(token)?),
        (Some(_), Some(_)) => return malformed("`text` and `base64` are both there: send one"),
        (None, None) => return malformed("there is no message: send `text` or `base64`"),
    };
    if kind == Kind::Text && str::from_utf8(&payload).is_err() {
        return Err((Refusal::BadText, "the text is not valid Unicode: send whole characters"));
    }
    Ok(Request::Publish { id, room, kind, payload })
}

fn history<'a>(fields: &Fields<'a>, id: Option<&'a str>) -> Result<Request<'a>, Refused> {
    let Some(id) = id else { return malformed("`history` needs an `id`: send one") };
    let before = string(fields, Field::Before, "`before` is no position: send the text of one")?;
    Ok(Request::History { id, room: room(fields)?, before, limit: limit(fields)? })
}

fn room<'a>(fields: &Fields<'a>) -> Result<Option<Cow<'a, str>>, Refused> {
    string(fields, Field::Room, "`room` is no string of whole characters: send a room's name")
}

fn string<'a>(
    fields: &Fields<'a>,
    field: Field,
    reason: &'static str,
) -> Result<Option<Cow<'a, str>>, Refused> {
    let Some(token) = fields.get(field) else { return Ok(None) };
    let text = match fields::decode(token) {
        Some(Cow::Borrowed(bytes)) => str::from_utf8(bytes).ok().map(Cow::Borrowed),
        Some(Cow::Owned(bytes)) => String::from_utf8(bytes).ok().map(Cow::Owned),
        None => None,
    };
    text.map_or_else(|| malformed(reason), |text| Ok(Some(text)))
}

fn kind(fields: &Fields<'_>) -> Result<Option<Kind>, Refused> {
    match fields.get(Field::Kind).map(fields::decode) {
        None => Ok(None),
        Some(Some(kind)) if *kind == *b"text" => Ok(Some(Kind::Text)),
        Some(Some(kind)) if *kind == *b"binary" => Ok(Some(Kind::Binary)),
        Some(_) => malformed("`kind` is neither `text` nor `binary`: send one of these"),
    }
}

fn base64(token: &str) -> Result<Cow<'_, [u8]>, Refused> {
    let Some(encoded) = fields::decode(token) else {
        return malformed("`base64` is no string: send a string");
    };
    let mut payload = vec![0; encoded.len().div_ceil(4) * 3];
    let Ok(decoded) = Base64::decode(&*encoded, &mut payload) else {
        return malformed("`base64` is no base64: send the standard alphabet with its padding");
    };
    let len = decoded.len();
    payload.truncate(len);
    Ok(Cow::Owned(payload))
}

fn limit(fields: &Fields<'_>) -> Result<u32, Refused> {
    let Some(token) = fields.get(Field::Limit) else { return Ok(DEFAULT_LIMIT) };
    // JSON has no leading zeros.
    if token.starts_with('0') || !token.bytes().all(|byte| byte.is_ascii_digit()) {
        return malformed("`limit` is no whole number from 1 on: send one up to 1000");
    }
    // What is too large for the type is beyond the bound, too.
    Ok(token.parse().unwrap_or(MAX_LIMIT).min(MAX_LIMIT))
}

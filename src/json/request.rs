//! What a client sends.

use std::borrow::Cow;

use base64ct::{Base64, Encoding};

use super::{
    fields::{self, Field, Fields, MAX_FIELDS, NoText},
    refusal::Refusal,
};
use crate::{
    frame::{self, Kind},
    published::Key,
};

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
        /// What the client calls the message, so that it is published once.
        key: Option<Key>,
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
    /// To tell the room's subscribers, or the host alone, something that is not stored.
    Signal {
        /// The client's name for this request, as raw JSON: only a refusal answers it.
        id: Option<&'a str>,
        room: Option<Cow<'a, str>>,
        is_for_host: bool,
        kind: Kind,
        payload: Cow<'a, [u8]>,
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
    let Some(token) = fields.get(Field::Type) else { return publish(fields, id) };
    match fields::decode(token).as_deref() {
        Ok("message") => publish(fields, id),
        Ok("history") => history(fields, id),
        Ok("signal") => signal(fields, id),
        Err(NoText::NotString) => {
            malformed("`type` is no string: send `message`, `history` or `signal`")
        }
        Ok(_) | Err(NoText::NotUnicode) => Err((
            Refusal::UnknownType,
            "the server knows no such `type`: send `message`, `history` or `signal`",
        )),
    }
}

fn publish<'a>(fields: &Fields<'a>, id: Option<&'a str>) -> Result<Request<'a>, Refused> {
    let room = room(fields)?;
    let (kind, payload) = payload(fields)?;
    Ok(Request::Publish { id, room, kind, payload, key: key(fields)? })
}

fn signal<'a>(fields: &Fields<'a>, id: Option<&'a str>) -> Result<Request<'a>, Refused> {
    let (room, to) = (room(fields)?, string(fields, Field::To, TO)?);
    let is_for_host = match to.as_deref() {
        None => false,
        Some("host") => true,
        Some(_) => return malformed(TO),
    };
    let (kind, payload) = payload(fields)?;
    Ok(Request::Signal { id, room, is_for_host, kind, payload })
}

/// What is wrong with a `to`.
const TO: &str = "`to` is not `host`: send that, or leave it out";

fn payload<'a>(fields: &Fields<'a>) -> Result<(Kind, Cow<'a, [u8]>), Refused> {
    let kind = kind(fields)?;
    Ok(match (fields.get(Field::Text), fields.get(Field::Base64)) {
        (Some(_), None) if kind == Some(Kind::Binary) => {
            return malformed("`text` is never binary: send `base64`, or leave out `kind`");
        }
        (Some(token), None) => (Kind::Text, text(token)?),
        (None, Some(token)) => {
            let kind = kind.unwrap_or(Kind::Binary);
            (kind, Cow::Owned(base64(token, kind)?))
        }
        (Some(_), Some(_)) => return malformed("`text` and `base64` are both there: send one"),
        (None, None) => return malformed("there is no message: send `text` or `base64`"),
    })
}

fn history<'a>(fields: &Fields<'a>, id: Option<&'a str>) -> Result<Request<'a>, Refused> {
    let Some(id) = id else { return malformed("`history` needs an `id`: send one") };
    let before = string(fields, Field::Before, "`before` is no position: send the text of one")?;
    Ok(Request::History { id, room: room(fields)?, before, limit: limit(fields)? })
}

fn key(fields: &Fields<'_>) -> Result<Option<Key>, Refused> {
    let wrong = "`key` is no string of 1 to 64 bytes without control characters: send one";
    let Some(key) = string(fields, Field::Key, wrong)? else { return Ok(None) };
    Key::new(&key).map_or_else(|_| malformed(wrong), |key| Ok(Some(key)))
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
    fields::decode(token).map_or_else(|_| malformed(reason), |text| Ok(Some(text)))
}

fn kind(fields: &Fields<'_>) -> Result<Option<Kind>, Refused> {
    let Some(token) = fields.get(Field::Kind) else { return Ok(None) };
    match fields::decode(token).as_deref() {
        Ok("text") => Ok(Some(Kind::Text)),
        Ok("binary") => Ok(Some(Kind::Binary)),
        _ => malformed("`kind` is neither `text` nor `binary`: send one of these"),
    }
}

fn text(token: &str) -> Result<Cow<'_, [u8]>, Refused> {
    match fields::decode(token) {
        Ok(Cow::Borrowed(text)) => Ok(Cow::Borrowed(text.as_bytes())),
        Ok(Cow::Owned(text)) => Ok(Cow::Owned(text.into_bytes())),
        Err(NoText::NotString) => malformed("`text` is no string: send a string"),
        Err(NoText::NotUnicode) => {
            Err((Refusal::BadText, "`text` has half of a surrogate pair: send both halves"))
        }
    }
}

fn base64(token: &str, kind: Kind) -> Result<Vec<u8>, Refused> {
    let wrong = "`base64` is not standard base64 with its padding: send a string of that";
    let Ok(encoded) = fields::decode(token) else { return malformed(wrong) };
    let mut payload = vec![0; encoded.len().div_ceil(4) * 3];
    let Ok(decoded) = Base64::decode(&*encoded, &mut payload) else { return malformed(wrong) };
    if kind == Kind::Text && !frame::is_utf8(decoded) {
        return Err((Refusal::BadText, "`base64` is not UTF-8: send that, or `kind` `binary`"));
    }
    let len = decoded.len();
    payload.truncate(len);
    Ok(payload)
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

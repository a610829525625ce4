//! The fields of a client's object, as raw JSON: what they hold is looked at when the whole is known to be JSON.

use std::{borrow::Cow, fmt};

use serde_core::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// How many fields an object may have.
pub(super) const MAX_FIELDS: usize = 64;

/// The fields that the server knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Type,
    Id,
    Room,
    Text,
    Base64,
    Kind,
    Before,
    Limit,
    To,
    Key,
}

const NAMES: [&str; 10] =
    ["type", "id", "room", "text", "base64", "kind", "before", "limit", "to", "key"];

/// The fields of an object.
#[derive(Debug, Default)]
pub(super) struct Fields<'a> {
    values: [Option<&'a str>; NAMES.len()],
    /// Which of them came again.
    repeated: [bool; NAMES.len()],
    count: usize,
}

impl<'a> Fields<'a> {
    /// Reads an object; `None` if the text is no JSON (RFC 8259) or no object.
    pub(super) fn parse(text: &'a [u8]) -> Option<Self> {
        serde_json::from_str(str::from_utf8(text).ok()?).ok()
    }

    /// Returns the raw value of a field; of one that is there twice, the first.
    pub(super) fn get(&self, field: Field) -> Option<&'a str> {
        self.values[field as usize]
    }

    /// Whether a known field is there twice.
    pub(super) fn is_repeated(&self, field: Field) -> bool {
        self.repeated[field as usize]
    }

    /// Whether any known field is there twice.
    pub(super) fn has_repeated(&self) -> bool {
        self.repeated.contains(&true)
    }

    /// Returns how many fields there are, unknown ones included.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    fn add(&mut self, name: &str, value: &'a str) {
        self.count += 1;
        let Ok(name) = decode(name) else { return };
        let Some(index) = NAMES.iter().position(|known| *known == name) else { return };
        self.repeated[index] |= self.values[index].is_some();
        self.values[index].get_or_insert(value);
    }
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    // Names and values are raw: serde_json passes over a value in a loop, however deep it is, checks strings for
    // control characters, and lets half of a surrogate pair pass, which is JSON.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Fields::default();
        while let Some((name, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            fields.add(name.get(), value.get());
        }
        Ok(fields)
    }
}

/// Why a raw value is no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoText {
    /// It is no string.
    NotString,
    /// It has half of a surrogate pair.
    NotUnicode,
}

/// Returns what a raw value stands for, if it is a string. It is copied only if it has escapes.
pub(super) fn decode(token: &str) -> Result<Cow<'_, str>, NoText> {
    let inside = token.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let inside = inside.ok_or(NoText::NotString)?;
    if !inside.as_bytes().contains(&b'\\') {
        return Ok(Cow::Borrowed(inside));
    }
    // It is JSON: nothing else can be wrong with it.
    serde_json::from_str(token).map(Cow::Owned).map_err(|_| NoText::NotUnicode)
}

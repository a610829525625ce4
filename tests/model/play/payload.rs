//! What a message holds: its tag, and as many bytes as the tag says.

use chat::Kind;

use super::chance::Chance;
use crate::promise::{Publisher, Tag};

/// The payload of the message with a tag: most are short, some of every length up to the longest.
pub(crate) fn payload(tag: Tag, max_message_size: usize) -> (Kind, Vec<u8>) {
    let by = match tag.by {
        Publisher::Host(thread) => thread,
        Publisher::Client(client) => 100 + client,
    };
    let mut chance = Chance::new((by as u64) << 32 | tag.number as u64);
    let length = match chance.below(1000) {
        0..800 => chance.below(40),
        800..960 => chance.below(1000),
        960..995 => chance.below(4000),
        _ => 40_000,
    };
    let kind = chance.pick(&[Kind::Text, Kind::Binary]);
    let mut bytes = format!("{tag} ").into_bytes();
    let length = length.min(max_message_size - bytes.len());
    bytes.extend((0..length).map(|index| b'a' + (index % 26) as u8));
    (kind, bytes)
}

/// The tag of a message, which is whole.
pub(crate) fn tag_of(kind: Kind, bytes: &[u8], max_message_size: usize) -> Tag {
    let end = bytes.iter().position(|byte| *byte == b' ').expect("a tag and a space");
    let tag = std::str::from_utf8(&bytes[..end]).ok().and_then(|text| text.parse().ok());
    let tag: Tag = tag.unwrap_or_else(|| panic!("no tag: {:?}", bytes[..end].escape_ascii()));
    assert!(payload(tag, max_message_size) == (kind, bytes.to_vec()), "{tag} is not whole");
    tag
}

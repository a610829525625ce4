//! Who publishes a message, and what that client and the host are told of it.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    context::Context,
    event::{ClientId, Event},
    fanout::sender_commands::SenderCommands,
    frame,
    json::{self, SentAs},
    keys::{Keyed, KnownBy},
    message::Message,
    position::Position,
    published::{Author, Key},
};

/// The client that publishes a message.
#[derive(Debug, Clone)]
pub(crate) struct Sender<'a> {
    pub(crate) id: ClientId,
    /// Whether it does not receive its own message: echo is off.
    pub(crate) is_excluded: bool,
    /// What the host calls it; left out if the host wants no events.
    pub(crate) identity: Option<Arc<str>>,
    /// What other clients are told of it.
    pub(crate) author: Option<Arc<Author>>,
    /// Whether it is told what becomes of a message that a broker stores.
    pub(crate) is_answered: bool,
    /// What it is told when its message is published, if it wants that.
    pub(crate) ack: Option<Ack<'a>>,
    /// The key of its message.
    pub(crate) keyed: Option<&'a Keyed>,
    /// What it has published behind the host's commands.
    pub(crate) commands: &'a SenderCommands,
}

/// Who publishes, and what is particular about that. By default it is the host, and nothing is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PublishAs<'a> {
    /// The client, if it is not the host.
    pub(super) sender: Option<&'a Sender<'a>>,
    /// What is told of the publisher.
    pub(super) author: Option<&'a Arc<Author>>,
    /// With a key there is one message.
    pub(super) key: Option<(&'a Key, KnownBy)>,
    /// Whether the history does not get it, so that it has no position.
    pub(super) is_unstored: bool,
}

impl<'a> PublishAs<'a> {
    pub(super) fn client(sender: &'a Sender<'a>) -> Self {
        let key = sender.keyed.map(|keyed| (&keyed.key, keyed.known_by));
        let author = sender.author.as_ref();
        Self { sender: Some(sender), author, key, is_unstored: false }
    }
}

/// What a client is told when its message is published: that it was, and where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ack<'a> {
    /// What the client calls the message, as raw JSON.
    pub(crate) id: &'a str,
    /// Whether the host has changed the message.
    pub(crate) is_changed: bool,
}

impl Ack<'_> {
    pub(crate) fn encode(self, room: Option<&str>, position: Position) -> Bytes {
        let mut frame = Vec::new();
        frame::append_text_with(&mut frame, |frame| {
            let sent_as = if self.is_changed { SentAs::Changed } else { SentAs::Itself };
            json::append_sent(frame, self.id, room, position, sent_as);
        });
        frame.into()
    }

    /// Encodes that the message was published before, at a position.
    pub(crate) fn encode_duplicate(self, room: &str, position: Position) -> Bytes {
        let mut frame = Vec::new();
        frame::append_text_with(&mut frame, |frame| {
            json::append_sent(frame, self.id, Some(room), position, SentAs::Duplicate);
        });
        frame.into()
    }
}

/// Queues the event of a client's message. `room` is empty if the client is in none, which has no position.
pub(crate) fn report_message(
    context: &Context,
    sender: &Sender<'_>,
    room: &Arc<str>,
    position: Position,
    message: &Message,
) {
    let (client, room, identity) = (sender.id, Arc::clone(room), sender.identity.clone());
    let event = Event::Message { client, identity, room, position, message: message.clone() };
    context.events.push_message(event, &context.counters);
}

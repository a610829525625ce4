//! Publishing a message with more than its payload, and to several rooms.

use std::sync::Arc;

use super::{Handle, client::MAX_IDENTITY};
use crate::{
    error::{Error, Result},
    frame::Kind,
    keys::Scope,
    publish_options::{PublishOptions, PublishToError, Published},
    published::{self, Author, Key, Name},
    rooms::{self, HostCall, Particulars},
};

impl Handle {
    /// Publishes a message to a room, as [`publish`](Self::publish) does, and as the options say: under a name, on
    /// behalf of an identity, without history, or with a key. With a key that is known nothing is published, and the
    /// outcome says where the message is; so a host that does not know whether a call had an effect makes it again.
    ///
    /// A client's message with the same identity and key that waits for review does not hold this call up: the host's
    /// message is published, and the client's becomes the duplicate.
    ///
    /// # Errors
    /// Those of [`publish`](Self::publish); [`Error::InvalidArgument`] for a key that breaks the rules, [`Error::InvalidName`], [`Error::TooLarge`] for an
    /// identity of more than 256 bytes; [`Error::KeyReused`] if the key was used for another message. In all cases
    /// nothing was published.
    pub fn publish_with(
        &self,
        room: &str,
        kind: Kind,
        data: &[u8],
        options: &PublishOptions<'_>,
    ) -> Result<Published> {
        let particulars = particulars(options)?;
        let (message, call) = (self.message(kind, data)?, HostCall::of(self));
        let published = self.shared.rooms.publish_with(room, message, &particulars, &call)?;
        Ok(published.into())
    }

    /// Publishes one message to several rooms, one after the other, as [`publish_with`](Self::publish_with) does to each.
    /// The payload is kept once for all of them. Returns where the message is in each room, in the same order.
    ///
    /// # Errors
    /// Those of [`publish_with`](Self::publish_with): what is wrong with an argument, before the message is published to
    /// one room. [`Error::QueueFull`] (see [`Config::publish_timeout`](crate::Config::publish_timeout), which is the time
    /// for all rooms), [`Error::KeyReused`] and [`Error::Stopped`] can come in between:
    /// [`PublishToError::published`] tells of the rooms before. With a key the host can make the same call again.
    pub fn publish_to(
        &self,
        rooms: &[&str],
        kind: Kind,
        data: &[u8],
        options: &PublishOptions<'_>,
    ) -> Result<Vec<Published>, PublishToError> {
        let mut published = Vec::with_capacity(rooms.len());
        match self.publish_to_each(rooms, kind, data, options, |one| published.push(one)) {
            Ok(()) => Ok(published),
            Err((wrong, error)) => Err(PublishToError { published, error, wrong }),
        }
    }

    /// Publishes a message to several rooms. `each` gets where it is in each. An error comes with the index of the room
    /// whose name is wrong.
    pub(crate) fn publish_to_each(
        &self,
        rooms: &[&str],
        kind: Kind,
        data: &[u8],
        options: &PublishOptions<'_>,
        mut each: impl FnMut(Published),
    ) -> Result<(), (Option<usize>, Error)> {
        for (index, room) in rooms.iter().enumerate() {
            rooms::check_name(room).map_err(|error| (Some(index), error))?;
        }
        let mut publish = || {
            let particulars = particulars(options)?;
            let (message, call) = (self.message(kind, data)?, HostCall::of(self));
            for room in rooms {
                let message = message.clone();
                let published =
                    self.shared.rooms.publish_with(room, message, &particulars, &call)?;
                each(published.into());
            }
            Ok(())
        };
        publish().map_err(|error| (None, error))
    }
}

impl From<rooms::HostPublished> for Published {
    fn from(published: rooms::HostPublished) -> Self {
        let rooms::HostPublished { position, is_duplicate } = published;
        Self { position, is_duplicate }
    }
}

fn particulars<'a>(options: &PublishOptions<'a>) -> Result<Particulars<'a>> {
    let PublishOptions { identity, name, key, without_history } = *options;
    if let Some(identity) = identity
        && identity.len() > MAX_IDENTITY
    {
        return Err(Error::TooLarge {
            what: "identity",
            size: identity.len(),
            limit: MAX_IDENTITY,
        });
    }
    name.map_or(Ok(()), published::check_name).map_err(Error::InvalidName)?;
    let author = (identity.is_some() || name.is_some()).then(|| {
        let name = name.map(|name| Name { text: name.into(), is_claimed: false });
        Arc::new(Author { client: None, name, identity: identity.map(Into::into) })
    });
    let wrong_key = |why| Error::InvalidArgument { what: "key", why };
    Ok(Particulars {
        author,
        key: key.map(Key::new).transpose().map_err(wrong_key)?,
        scope: identity.map_or(Scope::Host, Scope::Identity),
        is_unstored: without_history,
    })
}

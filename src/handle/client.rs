//! What a host does with one client.

use std::{rc::Rc, sync::Arc, time::Instant};

use super::{Handle, admission::reject};
use crate::{
    error::{Error, Result},
    event::{ClientId, Event},
    frame::{self, Kind},
    rooms::{self, Rooms},
    shard::{
        Link, Shard,
        client::Client,
        inbox::{Call, Closing, Item},
    },
};

/// The longest identity of a client, in bytes.
const MAX_IDENTITY: usize = 256;

impl Handle {
    /// Sends a message to one client.
    ///
    /// # Errors
    /// [`Error::ClientNotFound`], [`Error::InvalidUtf8`] for text, [`Error::TooLarge`],
    /// [`Error::QueueFull`] (see [`Config::publish_timeout`](crate::Config::publish_timeout)),
    /// [`Error::Stopped`]. In all cases nothing was sent.
    pub fn send(&self, client: ClientId, kind: Kind, data: &[u8]) -> Result<()> {
        let message = self.message(kind, data)?;
        self.free_link_of(client)?.inbox.push(Item::Send(client, message))
    }

    /// Closes a client's connection, after what was sent to it before. A client that waits for
    /// admission is rejected with HTTP 403 and the reason. The code is 1000 to 1003,
    /// 1007 to 1013 or 3000 to 4999 (RFC 6455, 7.4); the reason is at most 123 bytes.
    ///
    /// # Errors
    /// [`Error::ClientNotFound`], [`Error::InvalidCloseCode`], [`Error::TooLarge`],
    /// [`Error::Stopped`].
    pub fn disconnect(&self, client: ClientId, code: u16, reason: &str) -> Result<()> {
        if !frame::may_send_close_code(code) {
            return Err(Error::InvalidCloseCode(code));
        }
        if reason.len() > frame::MAX_CLOSE_REASON {
            let limit = frame::MAX_CLOSE_REASON;
            return Err(Error::TooLarge { size: reason.len(), limit });
        }
        let link = self.link_of(client)?;
        if link.applicants.take(client).is_some() {
            return reject(link, client, 403, reason);
        }
        link.inbox.push(Item::Close(client, Closing::new(code, reason)))
    }

    /// Puts a client into a room, beside those that it is in: it receives what is published to the
    /// room from here on. It speaks to the room that it joined first of those that it is in. The host
    /// gets [`Event::Joined`], unless the client is in the room already.
    ///
    /// # Errors
    /// [`Error::ClientNotFound`], [`Error::InvalidRoom`], [`Error::QueueFull`] as for
    /// [`send`](Self::send), [`Error::Stopped`].
    pub fn join(&self, client: ClientId, room: &str) -> Result<()> {
        rooms::check_name(room)?;
        let link = self.free_link_of(client)?;
        let mut sent = Ok(());
        self.shared.rooms.reserve(client.shard(), room, 0, |reserved| {
            sent = call(link, client, move |shard, client| {
                let room = Arc::from(reserved.room());
                // One that is closing gets nothing any more.
                if client.is_open() && Rooms::join(shard, client, reserved) {
                    let (client, identity) = (client.id(), client.identity());
                    shard.context.events.push(Event::Joined { client, identity, room });
                }
            });
        })?;
        sent
    }

    /// Takes a client out of a room: it receives nothing that is published to the room from here on.
    /// A client that is in no room any more speaks to the host alone. The host gets [`Event::Left`],
    /// unless the client is not in the room.
    ///
    /// # Errors
    /// [`Error::ClientNotFound`], [`Error::InvalidRoom`], [`Error::QueueFull`] as for
    /// [`send`](Self::send), [`Error::Stopped`].
    pub fn leave(&self, client: ClientId, room: &str) -> Result<()> {
        rooms::check_name(room)?;
        let link = self.free_link_of(client)?;
        link.applicants.leave(client, room);
        let room: Arc<str> = room.into();
        call(link, client, move |shard, client| {
            if Rooms::part(shard, client, &room) {
                let (client, identity) = (client.id(), client.identity());
                shard.context.events.push(Event::Left { client, identity, room });
            }
        })
    }

    /// Sets whether a client receives its own messages, whatever the option or its query said.
    ///
    /// # Errors
    /// [`Error::ClientNotFound`], [`Error::QueueFull`] as for [`send`](Self::send),
    /// [`Error::Stopped`].
    pub fn set_echo(&self, client: ClientId, echo: bool) -> Result<()> {
        call(self.free_link_of(client)?, client, move |_, client| client.set_echo(echo))
    }

    /// Sets what the host calls a client, such as the name of its user: all later events of the
    /// client carry it. At most 256 bytes; clients do not see it.
    ///
    /// # Errors
    /// [`Error::ClientNotFound`], [`Error::TooLarge`], [`Error::QueueFull`] as for
    /// [`send`](Self::send), [`Error::Stopped`].
    pub fn set_identity(&self, client: ClientId, identity: &str) -> Result<()> {
        if identity.len() > MAX_IDENTITY {
            return Err(Error::TooLarge { size: identity.len(), limit: MAX_IDENTITY });
        }
        let identity: Arc<str> = identity.into();
        call(self.free_link_of(client)?, client, move |_, client| client.set_identity(identity))
    }
}

impl Handle {
    /// The shard of a client, once it takes more: a host can ask for things faster than they are done.
    fn free_link_of(&self, client: ClientId) -> Result<&Arc<Link>> {
        let link = self.link_of(client)?;
        if link.inbox.is_full() {
            let timeout = self.shared.context.options.publish_timeout;
            link.inbox.wait_for_space(Instant::now() + timeout)?;
        }
        Ok(link)
    }
}

/// Has a function called with a client on its shard's thread, in turn; not if it leaves before.
fn call(
    link: &Link,
    id: ClientId,
    function: impl FnOnce(&Rc<Shard>, &Rc<Client>) + Send + 'static,
) -> Result<()> {
    link.inbox.push(Item::Call(Call(Box::new(move |shard| {
        if let Some(client) = shard.client(id) {
            function(shard, &client);
        }
    }))))
}

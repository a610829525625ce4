//! A host's decision on a client that asks to be connected.

use std::rc::Rc;

use super::Handle;
use crate::{
    error::{Error, Result},
    event::ClientId,
    rooms::{Audience, Reservation, Rooms},
    shard::{
        Link, Shard,
        admission::Rejection,
        inbox::{Call, Item},
    },
};

/// The longest text of a rejection, in bytes.
const MAX_TEXT: usize = 1024;

impl Handle {
    /// Lets a client be connected that an [`Event::ConnectRequest`](crate::Event::ConnectRequest)
    /// told of. It gets what is published to its room from here on. What else the answer says is said
    /// before: [`set_identity`](Self::set_identity), [`join`](Self::join) and
    /// [`leave`](Self::leave) (also of the room that it asks for), [`set_echo`](Self::set_echo),
    /// [`send`](Self::send). If the host has joined it to the room that it asks for, it gets no history
    /// of it.
    ///
    /// # Errors
    /// [`Error::ClientNotFound`] if it has left, was decided on before, or the time is over;
    /// [`Error::Stopped`].
    pub fn accept(&self, client: ClientId) -> Result<()> {
        let link = self.link_of(client)?;
        let applicant = link.applicants.take(client).ok_or(Error::ClientNotFound)?;
        let (rooms, shard) = (&self.shared.rooms, client.shard());
        let mut sent = Ok(());
        // Both at once: nothing that is published from here on, and no broadcast, passes it by. The
        // room and that of everyone stop together, so `send` does not drop the place under its lock.
        let mut send = |reserved| {
            rooms.reserve_audience(shard, |audience| {
                sent = call(link, move |shard| admit(shard, client, reserved, audience));
            })
        };
        match applicant.room {
            None => send(None)?,
            Some(room) => {
                let mut reserved = Ok(());
                let history = applicant.history;
                rooms.reserve(shard, &room, history, |place| reserved = send(Some(place)))?;
                reserved?;
            }
        }
        sent
    }

    /// Refuses a client that an [`Event::ConnectRequest`](crate::Event::ConnectRequest) told of: its
    /// request is answered with an HTTP status of 400 to 599 and a text of at most 1,024 bytes.
    ///
    /// # Errors
    /// [`Error::ClientNotFound`] if it has left, was decided on before, or the time is over;
    /// [`Error::InvalidHttpStatus`], [`Error::TooLarge`], [`Error::Stopped`].
    pub fn reject(&self, client: ClientId, http_status: u16, text: &str) -> Result<()> {
        if !(400..=599).contains(&http_status) {
            return Err(Error::InvalidHttpStatus(http_status));
        }
        if text.len() > MAX_TEXT {
            return Err(Error::TooLarge { size: text.len(), limit: MAX_TEXT });
        }
        let link = self.link_of(client)?;
        link.applicants.take(client).ok_or(Error::ClientNotFound)?;
        reject(link, client, http_status, text)
    }
}

/// Rejects a client that was taken out of those who wait.
pub(super) fn reject(link: &Link, client: ClientId, status: u16, text: &str) -> Result<()> {
    let rejection = Rejection { status, text: text.to_owned() };
    call(link, move |shard| {
        if let Some(answer) = shard.answers.take(client) {
            // Nobody waits any more if the client has left.
            let _ = answer.send(Err(rejection));
        }
    })
}

/// Puts a client into its rooms and lets its handshake go on.
fn admit(shard: &Rc<Shard>, id: ClientId, reserved: Option<Reservation>, audience: Audience) {
    let (Some(answer), Some(client)) = (shard.answers.take(id), shard.client(id)) else { return };
    if let Some(reserved) = reserved {
        Rooms::join(shard, &client, reserved);
    }
    audience.take(shard, &client);
    // Nobody waits any more if the client has left.
    let _ = answer.send(Ok(()));
}

fn call(link: &Link, function: impl FnOnce(&Rc<Shard>) + Send + 'static) -> Result<()> {
    link.inbox.push(Item::Call(Call(Box::new(function))))
}

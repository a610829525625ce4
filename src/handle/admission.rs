//! The host's decision on a client that asks to be connected.

use super::Handle;
use crate::{
    error::{Error, Result},
    event::ClientId,
    fanout::{
        command::{Command, Rejection},
        shard_handle::ShardHandle,
    },
};

/// The longest text of a rejection, in bytes.
const MAX_TEXT: usize = 1024;

impl Handle {
    /// Admits the client of an [`Event::ConnectRequest`](crate::Event::ConnectRequest). It receives what is
    /// published to its room from here on. Make the other calls of the admission before this one:
    /// [`set_identity`](Self::set_identity), [`join`](Self::join) and [`leave`](Self::leave) (also of the room
    /// that it asks for), [`set_echo`](Self::set_echo), [`send`](Self::send). If the host has joined it to the
    /// room that it asks for, the client gets no history of the room.
    ///
    /// # Errors
    /// [`Error::ClientNotFound`] if it has left, was decided on before, or the time is over;
    /// [`Error::Stopped`].
    pub fn accept(&self, client: ClientId) -> Result<()> {
        let shard = self.shard_of(client)?;
        let applicant = shard.undecided.admissions.take(client).ok_or(Error::ClientNotFound)?;
        self.shared.rooms.admit(client, applicant)
    }

    /// Rejects the client of an [`Event::ConnectRequest`](crate::Event::ConnectRequest): its request is answered
    /// with an HTTP status of 400 to 599 and a text of at most 1,024 bytes.
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
        let shard = self.shard_of(client)?;
        shard.undecided.admissions.take(client).ok_or(Error::ClientNotFound)?;
        self.push_rejection(shard, client, http_status, text)
    }

    /// Rejects a client that was taken out of the table of undecided ones.
    pub(super) fn push_rejection(
        &self,
        shard: &ShardHandle,
        client: ClientId,
        status: u16,
        text: &str,
    ) -> Result<()> {
        let rejection = Rejection { status, text: text.to_owned() };
        self.push(shard, Command::Reject(client, Box::new(rejection))).map(drop)
    }
}

//! The host's calls about the members of a room.

use super::Handle;
use crate::{
    error::{Error, Result},
    event::ClientId,
    fanout::command::Command,
    members::{Member, MemberTable},
    options::Members,
    rooms::{self, HostCall},
};

impl Handle {
    /// Returns who is in a room, in the order of the clients' ids: each client, and each whose connection has ended and
    /// whose place is kept ([`Config::member_grace`](crate::Config::member_grace)). An identity with several connections is
    /// there several times. Nobody is in a room that does not exist.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if [`Config::members`](crate::Config::members) is off; [`Error::InvalidRoom`],
    /// [`Error::Stopped`].
    pub fn members(&self, room: &str) -> Result<Vec<Member>> {
        self.member_table(room)?.list(room).ok_or(Error::Stopped)
    }

    /// Returns how many are in a room: the length of what [`members`](Self::members) returns, at the cost of a look-up.
    ///
    /// # Errors
    /// Those of [`members`](Self::members).
    pub fn member_count(&self, room: &str) -> Result<usize> {
        self.member_table(room)?.count(room).ok_or(Error::Stopped)
    }

    /// Sets whether a client may be told of the members of its rooms, whatever the option
    /// [`Config::members`](crate::Config::members) says. It is told if it has also asked for it (`?members=true`) and is a
    /// client of the JSON form, on a WebSocket or as events. One that is allowed gets a list of each of its rooms. One that
    /// is not allowed any more gets no further word of members.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if that option is off; [`Error::ClientNotFound`], [`Error::QueueFull`] as for
    /// [`send`](Self::send), [`Error::Stopped`].
    pub fn set_members(&self, client: ClientId, may_watch: bool) -> Result<()> {
        self.check_members()?;
        let shard = self.shard_with_space(client, &HostCall::of(self))?;
        self.push(shard, Command::SetMembers(client, may_watch)).map(drop)
    }

    fn check_members(&self) -> Result<()> {
        if self.shared.context.options.members == Members::Off {
            return Err(Error::Unsupported(
                "no members are kept; set the option members to host or clients",
            ));
        }
        Ok(())
    }

    fn member_table(&self, room: &str) -> Result<&MemberTable> {
        self.check_members()?;
        rooms::check_name(room)?;
        self.shared.rooms.members().ok_or(Error::Stopped)
    }
}

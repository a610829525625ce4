"""Who is in a room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from . import errors
from ._abi import encoded, lib, new, text


@dataclass(frozen=True)
class Member:
    """A client in a room (`Server.members`)."""

    client: int
    identity: str  #: The client's identity (`Server.set_identity`).
    name: str  #: What other clients are told that it is called (`Server.set_name`).
    is_name_claimed: bool  #: Whether only the client itself says that this is its name.
    is_away: bool  #: Whether its connection has ended and its place waits for it (the option `member_grace`).


def _read(m: Any) -> Member:
    identity, name = text(m.identity, m.identity_len), text(m.name, m.name_len)
    return Member(m.client, identity, name, bool(m.is_name_claimed), bool(m.is_away))


class Members:
    """The calls of a server about the members of its rooms."""

    _server: Any

    def members(self, room: str) -> list[Member]:
        """Returns who is in a room, in the order of the clients' ids: each client, and each whose connection has ended
        and whose place is kept (`member_grace`). An identity with several connections is there several times. Nobody
        is in a room that does not exist.

        Raises UnsupportedError without the option `members`, InvalidArgumentError for a name that no room can have,
        InvalidUtf8Error, TooLargeError, StoppedError.
        """
        data, out = encoded(room, "room"), new("chat_members **")
        errors.call(lib.chat_server_members, self._server, data, len(data), out)
        try:
            return [_read(lib.chat_members_get(out[0], index)) for index in range(lib.chat_members_len(out[0]))]
        finally:
            lib.chat_members_free(out[0])

    def member_count(self, room: str) -> int:
        """Returns how many are in a room: the length of what `members` returns, at the cost of a look-up.

        Raises what `members` does.
        """
        data, out = encoded(room, "room"), new("size_t *")
        errors.call(lib.chat_server_member_count, self._server, data, len(data), out)
        return int(out[0])

    def set_members(self, client: int, may_watch: bool) -> None:
        """Sets whether a client may be told of the members of its rooms, whatever the option `members` says. It is told
        if it has also asked for it (?members=true) and is a client of the JSON form, on a WebSocket or as events. One
        that is allowed gets a list of each of its rooms. One that is not allowed any more is told nothing more of
        members.

        Raises UnsupportedError without the option `members`, NotFoundError if it has left, QueueFullError,
        StoppedError.
        """
        errors.call(lib.chat_server_set_members, self._server, client, errors.flag(may_watch, "may_watch"))

"""The calls of a server that read and drop what rooms keep."""

from __future__ import annotations

from typing import Any, Optional

from . import errors, position
from ._abi import encoded, lib
from .history import HistoryPage, read
from .position import Position


class Histories:
    """The histories of rooms: read, trimmed, forgotten."""

    _server: Any

    def history(
        self,
        room: str,
        *,
        limit: int = 100,
        after: Optional[Position] = None,
        before: Optional[Position] = None,
    ) -> HistoryPage:
        """Reads a part of what a room keeps, up to `limit` messages, the oldest first: who said what, and when. By
        default the last ones; with `after` the first ones behind a position, which are what a client that has
        everything up to there lacks; with `before` the last ones before a position. All is as it was at one moment,
        also the page's `position`, from which a client or a later page goes on without a gap.

        To read all that a room keeps, begin with `after=Position()`, the place before the oldest message, and go on
        behind the last one while `has_more`; or begin without both and go on before the first. A page has at most what
        the room keeps (the option history_messages and what follows it), and at most 10,000 messages, and 16 MiB of
        payloads or one message. A room that does not exist keeps nothing.

        Raises InvalidArgumentError for a name that no room can have, InvalidUtf8Error, StoppedError.
        """
        return read(self._server, room, limit, after, before)

    def trim(self, room: str, up_to: Position) -> None:
        """Drops the messages of a room up to a position, that of the position included. They are not replayed any more,
        nor in pages, and count no more in the option history_total. With the room's own position (`position`) the room
        keeps nothing.

        Positions stay as they are. A client that comes back with an earlier one is told `trimmed`, and gets what the
        room keeps; one that comes back with `up_to` or a later one gets what it lacks. A replay that is under way goes
        on as it began. Nothing happens if the messages are gone already, or there is no such room.

        Raises InvalidArgumentError for a name that no room can have, and for a position that is none, is of another
        history, or that the room has not reached; InvalidUtf8Error, StoppedError.
        """
        name, at = encoded(room, "room"), position.struct(up_to, "up_to")
        errors.call(lib.chat_server_trim, self._server, name, len(name), at)

    def forget(self, room: str) -> None:
        """Drops all that a room keeps, and begins a new history: from here on its positions have another epoch, so that
        no earlier position leads anywhere. A client that comes back with one is told `epoch`, and gets what the room
        keeps by then.

        Clients that are in the room stay, and receive what is published to it. Those of the JSON form are told, behind
        the last message of the old history, that they are in another one: `entered` with the new position,
        "recovered":false and the reason `epoch`; clients of events get the event `gap`. Plain clients are told nothing.
        A replay that is under way goes on as it began, and comes before that. To drop messages and leave positions as
        they are, use `trim`.

        Offsets go on, so that two messages of a room never have the same. A room without clients is forgotten, also
        where it stood. A message with a key that is still known stays a duplicate of the earlier one. Without history
        nothing happens.

        Raises InvalidArgumentError for a name that no room can have, InvalidUtf8Error, QueueFullError as `publish`
        does, when nothing has changed, and StoppedError.
        """
        name = encoded(room, "room")
        errors.call(lib.chat_server_forget, self._server, name, len(name))

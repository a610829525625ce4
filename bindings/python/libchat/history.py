"""A page of the messages that a room keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional, Union

from . import errors, position
from ._abi import encoded, ffi, lib, new, text
from .position import Position

_GAPS = {
    lib.CHAT_GAP_NONE: "",
    lib.CHAT_GAP_EPOCH: "epoch",
    lib.CHAT_GAP_TRIMMED: "trimmed",
    lib.CHAT_GAP_AHEAD: "ahead",
    lib.CHAT_GAP_NO_HISTORY: "no_history",
}


@dataclass(frozen=True)
class StoredMessage:
    """A message that a room keeps, and who published it."""

    position: Position  #: Where it is in the room's history.
    client: int  #: The client that published it, which may have left; 0 for the host.
    identity: str  #: What the host called its publisher then. Clients are not told.
    name: str  #: The name that clients of the JSON form see with it.
    is_name_claimed: bool  #: Whether the client itself said that this is its name.
    key: str  #: Its key; empty if its publisher gave it none.
    #: When it was published, in seconds since 1970 by the system's clock. For display: the clock may be set back.
    time: float
    data: Union[str, bytes]  #: The message: a str if it is text.


@dataclass(frozen=True)
class HistoryPage:
    """A part of what a room keeps."""

    messages: list[StoredMessage]  #: The oldest first. Their offsets are consecutive.
    #: Whether the room keeps more in the direction of the range: later ones with `after`, else earlier ones.
    has_more: bool
    #: Where the room stood when the page was read: the position of its last message, in the page or not.
    position: Position
    #: Why the page does not begin right behind `after`, as a client that comes back with it is told: "epoch" (it is of
    #: another history), "trimmed" (what comes next is not kept any more), "ahead" (the room has not come that far) or
    #: "no_history"; otherwise empty. After a gap the page begins with the oldest message that the room keeps. With
    #: `before`, why that is no position of the room.
    gap: str


def read(server: Any, room: str, limit: int, after: Optional[Position], before: Optional[Position]) -> HistoryPage:
    """Reads a page."""
    if after is not None and before is not None:
        raise TypeError("after, before: pass one of them")
    kind, place, name = lib.CHAT_RANGE_LAST, Position(), "after"
    if after is not None:
        kind, place = lib.CHAT_RANGE_AFTER, after
    elif before is not None:
        kind, place, name = lib.CHAT_RANGE_BEFORE, before, "before"
    data, out = encoded(room, "room"), new("chat_history **")
    at = position.struct(place, name)
    errors.call(lib.chat_server_history, server, data, len(data), kind, at, limit, out)
    try:
        return _page(out[0])
    finally:
        lib.chat_history_free(out[0])


def _page(page: Any) -> HistoryPage:
    at = new("chat_position *")
    errors.check(lib.chat_history_position(page, at))
    return HistoryPage(
        [_message(lib.chat_history_get(page, index)) for index in range(lib.chat_history_len(page))],
        bool(lib.chat_history_has_more(page)),
        position.of(at[0]),
        _GAPS.get(lib.chat_history_gap(page), "unknown"),
    )


def _message(stored: Any) -> StoredMessage:
    data = bytes(ffi.buffer(stored.data, stored.data_len))
    return StoredMessage(
        position=position.of(stored.position),
        client=stored.client,
        identity=text(stored.identity, stored.identity_len),
        name=text(stored.name, stored.name_len),
        is_name_claimed=bool(stored.is_name_claimed),
        key=text(stored.key, stored.key_len),
        time=stored.time / 1000,
        data=data.decode() if stored.kind == lib.CHAT_TEXT else data,
    )

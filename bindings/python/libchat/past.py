"""How much of a room's past a client may have."""

from __future__ import annotations

from typing import Final

from . import errors
from ._abi import lib

#: As `past`, for `Server.accept` and `Server.join`: all messages that the room keeps.
ALL: Final = 2**64 - 1


def checked_past(past: int) -> int:
    """Returns a number of messages, within C's type. What is no number of messages is refused."""
    if isinstance(past, bool) or not isinstance(past, int):
        raise TypeError(f"past: {past!r} is no number of messages; pass an int, or libchat.ALL")
    if past < 0:
        wrong = f"past: {past} messages are no past; pass a number from 0, or libchat.ALL"
        raise errors.of(lib.CHAT_ERR_INVALID_ARGUMENT, wrong)
    return min(past, ALL)

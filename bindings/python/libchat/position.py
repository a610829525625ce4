"""Where a room stands, and where a message is in it."""

from __future__ import annotations

from typing import Any, NamedTuple

from ._abi import lib, new
from .errors import InvalidArgumentError
from .errors import of as error_of

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_LIMIT = 1 << 64


class Position(NamedTuple):
    """The place of a message in a room's history: which history, and which message of it.

    A room with history has a random epoch of its own, which no other room has. It keeps the epoch while it
    exists, and when it comes again after it was forgotten, unless that was too long ago. Two positions of one
    epoch are of one room, and the larger offset is the later message.

    Both are 0, and the position is false, where there is none: of what is published to a room without
    history, and of the message of a client in no room. `str(position)` is EPOCH-OFFSET, such as `1kx9w4c-42`.
    """

    epoch: int = 0  #: Which history.
    offset: int = 0  #: Which message of it: 1 for the first that the room has stored, 0 for the place before it.

    def __bool__(self) -> bool:
        """Tells whether there is a position."""
        return self != (0, 0)

    def __str__(self) -> str:
        """Returns EPOCH-OFFSET: the epoch in base 36, the offset in decimal."""
        digits, rest = "", self.epoch
        while rest > 0:
            rest, digit = divmod(rest, 36)
            digits = _DIGITS[digit] + digits
        return f"{digits or 0}-{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """Returns the position that has a text, as `str` has written it.

        Raises InvalidArgumentError for any other text.
        """
        if not isinstance(text, str):
            raise TypeError(f"text: {text!r:.40} is not a str")
        epoch, _, offset = text.partition("-")
        try:
            position = cls(int(epoch, 36), int(offset)) if len(text) <= 40 else cls()
        except ValueError:
            position = cls()
        # Each position has one text.
        if str(position) != text or min(position) < 0 or max(position) >= _LIMIT:
            wrong = f"text: {text[:100]!r} is not a position; pass what str(position) returned, such as 1kx9w4c-42"
            raise InvalidArgumentError(wrong)
        return position


class Published(Position):
    """Where a message of the host is: a position, which is false if rooms have no history or the message was published
    without."""

    #: Whether the key was known: the message was published before, at this position, and not again.
    is_duplicate: bool = False


def struct(position: Position, name: str = "since") -> Any:
    """Returns a position, the argument `name`, as a chat_position of its own."""
    if not isinstance(position, Position):
        raise TypeError(f"{name}: {position!r:.40} is not a Position")
    try:
        return new("chat_position *", (position.epoch, position.offset))
    except OverflowError as error:
        raise error_of(lib.CHAT_ERR_INVALID_ARGUMENT, f"{name}: {error}") from error


def of(struct: Any) -> Position:
    """Returns the position in a chat_position."""
    return Position(struct.epoch, struct.offset)

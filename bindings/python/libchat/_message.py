"""What a program publishes and sends: str as text, everything else as binary."""

from __future__ import annotations

from typing import Union

from . import errors
from ._abi import encoded, lib

Data = Union[str, bytes, bytearray, memoryview]


def message(data: Data, name: str = "data") -> tuple[int, bytes]:
    """Returns the kind of a message, and its bytes. `name` is the argument's."""
    if isinstance(data, str):
        return lib.CHAT_TEXT, encoded(data, name)
    try:
        # Through a memoryview, since `bytes` of a number would be that many zeros.
        return lib.CHAT_BINARY, data if isinstance(data, bytes) else bytes(memoryview(data))
    except TypeError:
        raise TypeError(f"{name}: {errors.shown(data)} is neither a str nor bytes") from None

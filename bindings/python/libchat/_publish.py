"""What a message is published with, beside its payload."""

from __future__ import annotations

from typing import Any, Optional

from . import errors
from ._abi import cast, encoded, ffi, new, sizeof
from .position import Published


def options(key: Optional[str], name: Optional[str], identity: Optional[str], without_history: bool) -> tuple[Any, Any]:
    """Returns a chat_publish_options, and what it points to."""
    out = new("chat_publish_options *")
    out.size = sizeof("chat_publish_options")
    out.without_history = errors.flag(without_history, "without_history")
    kept = []
    for field, value in (("key", key), ("name", name), ("identity", identity)):
        if value is not None:
            data = ffi.from_buffer(encoded(value, field))
            kept.append(data)
            setattr(out, field, cast("const char *", data))
            setattr(out, f"{field}_len", len(data))
    return out, kept


def published(place: Any, is_duplicate: int) -> Published:
    """Returns where a message is, and whether it was there before."""
    found = Published(place.epoch, place.offset)
    if is_duplicate:
        found.is_duplicate = True
    return found

"""Log lines of the library for a Python logger."""

from __future__ import annotations

import logging
from typing import Any

from . import errors
from ._abi import callback, ffi, lib, text

_LEVELS = {
    lib.CHAT_LOG_ERROR: logging.ERROR,
    lib.CHAT_LOG_WARN: logging.WARNING,
    lib.CHAT_LOG_INFO: logging.INFO,
    lib.CHAT_LOG_DEBUG: logging.DEBUG,
    lib.CHAT_LOG_TRACE: logging.DEBUG - 5,
}


def attach(config: Any, logger: logging.Logger) -> Any:
    """Sends a server's lines to a logger, for the levels that it has enabled. Returns an object that must live
    as long as the server."""
    if not hasattr(logger, "isEnabledFor"):
        raise TypeError(f'logger: {logger!r} is not a logger; use logging.getLogger("chat")')
    enabled = [number for number, level in _LEVELS.items() if logger.isEnabledFor(level)]

    def on_line(_user_data: Any, number: int, line: Any, length: int) -> None:
        logger.log(_LEVELS.get(number, logging.INFO), "%s", text(line, length))

    handler = callback("void(*)(void *, uint32_t, const char *, size_t)", on_line)
    if enabled:
        errors.check(lib.chat_config_set_log_handler(config, max(enabled), handler, ffi.NULL, ffi.NULL))
    return handler

"""The options of a server, under the names that they have in Rust, C and Go."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Callable, TypedDict, Union

from . import errors
from ._abi import encoded, lib


class Options(TypedDict, total=False):
    """Every option, each with a default that is safe on the open internet. Times are in seconds."""

    listen: Union[str, Iterable[str]]  #: Addresses and ports: "127.0.0.1:9001" by default; port 0 is a free one.
    origin: Union[str, Iterable[str]]  #: Origins whose pages may connect, or "*".
    workers: int  #: Threads that share the connections; 0: one for each core, four at the most.
    echo: bool  #: Whether a sender receives its own messages. Default: True.
    max_connections: int  #: 65,536 by default; one more is answered with HTTP 503.
    max_handshakes: int  #: 1,024 by default.
    handshake_timeout: float  #: 5 s by default.
    handshake_size: int  #: 16 KiB by default.
    admission_timeout: float  #: How long the program may take to accept a client; 0, the default: it is not asked.
    review_timeout: float  #: How long the program may take to allow a message; 0, the default: it is not asked.
    max_message_size: int  #: 1 MiB by default; a client that sends more is closed with code 1009.
    outbox_size: int  #: Bytes that may wait for one client: 4 MiB by default.
    outbox_age: float  #: How long they may wait: 5 s by default.
    slow_consumer: str  #: "disconnect", the default, or "drop_oldest".
    ping_interval: float  #: 25 s by default; 0: no pings.
    ping_timeout: float  #: 10 s by default.
    tcp_keepalive: float  #: 15 s by default, in whole seconds; 0: none.
    history_messages: int  #: How many messages a room keeps: 100 by default.
    history_size: int  #: 1 MiB by default.
    history_age: float  #: 1 hour by default.
    history_total: int  #: Of all rooms together: 64 MiB by default.
    publish_timeout: float  #: How long a call that publishes may wait: 5 s by default.
    event_queue: int  #: How many events wait for the program; 0, the default: none are collected.


def _milliseconds(seconds: float) -> int:
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError("a time is 0 or more seconds")
    # Not zero, which often means never, for what is only very short.
    return max(1, round(seconds * 1000)) if seconds > 0 else 0


def _slow_consumer(policy: str) -> int:
    policies: dict[str, int] = {
        "disconnect": lib.CHAT_SLOW_CONSUMER_DISCONNECT,
        "drop_oldest": lib.CHAT_SLOW_CONSUMER_DROP_OLDEST,
    }
    if policy not in policies:
        raise ValueError('it is "disconnect" or "drop_oldest"')
    return policies[policy]


_LISTS = {"listen": "chat_config_add_listen", "origin": "chat_config_add_origin"}
_CONVERTED: dict[str, Callable[[Any], int]] = {
    **dict.fromkeys(
        (name for name in Options.__annotations__ if name.endswith(("_timeout", "_age", "_interval", "_keepalive"))),
        _milliseconds,
    ),
    "slow_consumer": _slow_consumer,
}


def configure(config: Any, options: Options) -> None:
    """Sets every option that was given. Those out of their limits are found by the start."""
    for name, value in options.items():
        if name not in Options.__annotations__:
            raise TypeError(f"{name} is not an option")
        try:
            if name in _LISTS:
                for item in [value] if isinstance(value, str) else value:  # type: ignore[attr-defined]
                    data = encoded(item)
                    errors.check(getattr(lib, _LISTS[name])(config, data, len(data)))
            else:
                converted = _CONVERTED[name](value) if name in _CONVERTED else value
                errors.check(getattr(lib, f"chat_config_set_{name}")(config, converted))
        except (ValueError, OverflowError) as error:
            raise errors.InvalidArgumentError(f"{name}: {error}") from error

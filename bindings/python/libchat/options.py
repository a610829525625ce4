"""The options of a server, under the names that they have in Rust, C and Go."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Callable, TypedDict, Union

from . import errors
from ._abi import encoded, lib


class Options(TypedDict, total=False):
    """Every option, each with a default that is safe on the open internet. Times are in seconds, sizes in bytes.

    Where clients connect:
        listen: an IP address and a port, or several; port 0 is a free one. "127.0.0.1:9001" by default.
        origin: origins whose pages may connect, or "*". Programs, and pages from the server's own host, by
            default; these always may. Others are answered with HTTP 403.
        workers: threads that share the connections, up to 256. 0, the default: one for each core, four at most.
        busy_poll: how long a worker looks for its next event before it sleeps, where that pays off, up to 1 ms:
            15 µs by default. 0, or with more workers than cores: not at all, which leaves the most processor
            time to the program.
        max_connections: clients at once, 1 to 100,000,000: 65,536 by default. One more gets HTTP 503.
        max_handshakes: handshakes at once, 1 to 1,000,000: 1,024 by default. One more gets HTTP 503.
        max_rooms_per_client: rooms that one client is in at once, 1 to 1,000,000: 1,000 by default.
        handshake_timeout: 10 ms to 1 day: 5 s by default. Then HTTP 408.
        handshake_size: of the request's head, 8 KiB to 1 MiB: 16 KiB by default. A longer one gets HTTP 431.

    What the program decides (it needs event_queue):
        admission_timeout: how long it may take to accept a client, 10 ms to 1 day. 0, the default: it is
            not asked.
        review_timeout: how long it may take to allow a message, 10 ms to 1 day. 0, the default: it is not
            asked.
        overdue: what becomes of a client or a message that it has not decided on by then: "refuse", the
            default (a client gets HTTP 503), or "allow".
        event_queue: how many events wait for the program, up to 16,777,216 (and 64 MiB). Beyond it message
            events are dropped and counted, messages to decide on are refused, and clients that connect get
            HTTP 503. 0, the default: events are not collected.

    Messages:
        echo: whether a sender receives its own messages, if it does not say so itself. True by default.
        max_message_size: 1 byte to 1 GiB: 1 MiB by default. A client that sends more is closed with code 1009.
        publish_timeout: how long a call may wait while too much is to be delivered, up to 1 day: 5 s by
            default. 0: not at all. Then QueueFullError.

    Slow and dead clients:
        outbox_size: what may wait for one client, max_message_size + 4 KiB to 64 GiB: 4 MiB by default.
        outbox_age: how long it may wait, 10 ms to 1 day: 5 s by default.
        slow_consumer: what becomes of a client beyond these: "disconnect", the default (with code 1013), or
            "drop_oldest", of which MessagesDropped tells.
        ping_interval: 10 ms to 1 day: 25 s by default. 0: no pings.
        ping_timeout: how long an answer may take, 10 ms to 1 day: 10 s by default. Then it is cut.
        tcp_keepalive: whole seconds, 1 s to 9 hours: 15 s by default. 0: none.

    What rooms keep for clients that ask for it:
        history_messages: of a room, up to 1,000,000: 100 by default. 0: none.
        history_size: of a room, up to 64 GiB: 1 MiB by default. A client gets as many as half of its outbox
            holds.
        history_age: 10 ms to 10,000 days: 1 hour by default.
        history_total: of all rooms, up to 1 TiB: 64 MiB by default.
    """

    listen: Union[str, Iterable[str]]
    origin: Union[str, Iterable[str]]
    workers: int
    busy_poll: float
    echo: bool
    max_connections: int
    max_handshakes: int
    max_rooms_per_client: int
    handshake_timeout: float
    handshake_size: int
    admission_timeout: float
    review_timeout: float
    overdue: str
    max_message_size: int
    outbox_size: int
    outbox_age: float
    slow_consumer: str
    ping_interval: float
    ping_timeout: float
    tcp_keepalive: float
    history_messages: int
    history_size: int
    history_age: float
    history_total: int
    publish_timeout: float
    event_queue: int


def _in_units(per_second: int) -> Callable[[float], int]:
    def number(seconds: float) -> int:
        if not math.isfinite(seconds) or seconds < 0:
            raise ValueError("a time is 0 or more seconds")
        # Not zero, which often means never, for what is only very short.
        return max(1, round(seconds * per_second)) if seconds > 0 else 0

    return number


def _one_of(**numbers: int) -> Callable[[str], int]:
    def number(name: str) -> int:
        if name not in numbers:
            raise ValueError("it is " + " or ".join(f'"{name}"' for name in numbers))
        return numbers[name]

    return number


_LISTS = {"listen": "chat_config_add_listen", "origin": "chat_config_add_origin"}
_CONVERTED: dict[str, Callable[[Any], int]] = {
    **dict.fromkeys(
        (name for name in Options.__annotations__ if name.endswith(("_timeout", "_age", "_interval", "_keepalive"))),
        _in_units(1000),
    ),
    "busy_poll": _in_units(1_000_000),
    "overdue": _one_of(refuse=lib.CHAT_OVERDUE_REFUSE, allow=lib.CHAT_OVERDUE_ALLOW),
    "slow_consumer": _one_of(
        disconnect=lib.CHAT_SLOW_CONSUMER_DISCONNECT, drop_oldest=lib.CHAT_SLOW_CONSUMER_DROP_OLDEST
    ),
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
        except errors.Error as error:
            raise errors.of(error.status, f"{name}: {error}") from error
        except (ValueError, OverflowError) as error:
            raise errors.of(lib.CHAT_ERR_INVALID_ARGUMENT, f"{name}: {error}") from error

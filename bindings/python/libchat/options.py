"""The options of a server, under the names that they have in Rust, C and Go."""

from __future__ import annotations

import contextlib
import difflib
import math
from collections.abc import Iterable, Mapping
from numbers import Real
from typing import Any, Callable, TypedDict, Union, get_type_hints

from . import errors
from ._abi import encoded, lib


class Options(TypedDict, total=False):
    """Every option. By default every queue, size and time is bounded. Times are in seconds, sizes in bytes.

    Where clients connect:
        listen: where to listen, or several: "127.0.0.1:9001" or "[::1]:9001"; ":9001" for every address of IPv4
            and of IPv6; "localhost:9001" for all addresses that a name has on this machine (the start waits for
            the system's resolver). Port 0 takes a free port. "0.0.0.0" is every address of IPv4, "[::]" every
            address of IPv6 and of IPv4; of IPv6 alone if an address of IPv4 with the same port is given too.
            Default: "127.0.0.1:9001".
        ipv6_only: whether "[::]" is every address of IPv6 alone, so that another program can have the port for
            IPv4. Default: False.
        origin: origins whose pages may connect, one or several: "https://app.example" (the same as
            "https://app.example:443"), "https://*.app.example" (its subdomains at any depth, and not itself),
            "http://localhost:*" (on every port), "file://" and "null" (pages that were opened from a file; "null"
            also sandboxed frames, which every site can have), or "*". Programs, which send no Origin, and pages
            from the server's own host and port, as the request's Host names them, may always connect. Pages of
            other origins get HTTP 403, and a text that says what to add; the log has it too, at the level info, at
            most once a second. What is not an origin raises InvalidArgumentError with the reason. Default: no
            origin.
        workers: how many threads share the connections, up to 256. Default: 0, which means one for each core,
            and at most four.
        busy_poll: how long a worker polls for its next event before it sleeps, where that pays off, up to 1 ms.
            0, or with more workers than cores: never, which leaves the most processor time to the program.
            Default: 15 µs.
        max_connections: how many clients may be connected at once, 1 to 100,000,000. A further client gets HTTP
            503; a client of events 200 and the event `closing`, so that it comes back. Default: 65,536.
        max_handshakes: how many connections may be in their handshake at once, 1 to 1,000,000. A further
            connection gets HTTP 503, a client of events 200 and the event `closing`; if nothing of a request has come,
            no answer. Requests for pages such as /health count too. HTTP connections that are kept between
            requests do not: there may be half as many of them. Default: 1,024.
        max_rooms_per_client: how many rooms one client may be in at once, 1 to 1,000,000. Default: 1,000.
        handshake_timeout: how long a handshake may take, 10 ms to 1 day. A longer one gets HTTP 408; if
            nothing of a request has come, no answer. The same time holds for requests for pages such as /health, and on
            an HTTP connection that is kept for the wait for each further request, and for that request. Default: 5 s.
        handshake_size: how long the head of a handshake may be, 8 KiB to 1 MiB. A longer one gets HTTP 431.
            Default: 16 KiB.
        base_path: the path under which the server is served, for a proxy in front that passes it on as it is: with
            "/chat", clients connect to /chat/ and /chat/rooms/{room}, and everything outside of it gets HTTP 404.
            /health and /ready are answered with it and without. The path of an event's request is as it came. It
            begins with a slash and does not end with one, has no %, and at most 256 bytes. Default: empty, which
            means /.

    Events and decisions (decisions need event_queue):
        event_queue: how many events may wait for the host, up to 16,777,216 (and 64 MiB). Beyond this, message
            events are dropped and counted, messages that need a decision are refused, and further clients get
            HTTP 503, clients of events 200 and the event `closing`. Default: 0, which means that no events are
            collected.
        admission_timeout: how long the host may take to decide on a client, 10 ms to 1 day. Default: 0, which
            means that every client is accepted.
        review_timeout: how long the host may take to decide on a message, 10 ms to 1 day. While 64 messages or
            1 MiB of a client are undecided, the server does not read from it. These bounds are soft: of what one
            read of at most 64 KiB held, which can be 10,922 empty messages, every message is asked about. A
            message that does not fit into the event queue is refused, whatever `overdue` says. Default: 0, which
            means that every message is published.
        overdue: what happens to a client or a message that the host does not decide on in time: "refuse" (a
            client gets HTTP 503, a client of events 200 and the event `closing`) or "allow". Default: "refuse".

    Messages:
        echo: whether a sender receives its own messages when they are published; a client overrides this for
            itself. A client that gets a room's past gets its own messages in it in any case. Default: True.
        max_message_size: how long a message may be, 1 byte to 1 GiB. A client that sends a longer one is closed
            with code 1009, or told "refused" if it uses the JSON form. Default: 1 MiB, or what outbox_size holds if
            that is less: 3/4 of (outbox_size - 4 KiB).
        publish_timeout: how long a call may wait while too much waits to be delivered, up to 1 day. After this
            time it raises QueueFullError; with 0, at once. Default: 5 s.
        signal_rate: how many signals a client may send in a second, up to 1,000,000: what others are told at once and
            nobody stores, such as that somebody types. What comes within two seconds may come at once; more is
            dropped. Signals pass no review. 0: clients may send none; the program may always (`Server.signal`).
            Default: 0.

    Slow and dead clients:
        outbox_size: how many bytes may wait for one client, 4/3 of max_message_size + 4 KiB (a message in base64) to
            64 GiB. Default: 4 MiB, or 4 times max_message_size if that is more.
        outbox_age: how long the oldest byte may wait for one client, 10 ms to 1 day. Default: 5 s.
        slow_consumer: what happens to a client beyond these two: "disconnect" (with code 1013) or "drop_oldest"
            (with the event MessagesDropped). A client of the JSON form is told of dropped messages with an object
            `dropped`; if more than outbox_size of answers and the like waits for it, it is closed with code 1013
            all the same. A client of events is always disconnected: it comes back, and recovers. Default: "disconnect".
        ping_interval: how often the server pings a client, 10 ms to 1 day. 0: never; a client of events gets the event
            `ping` every 25 s then. Default: 25 s.
        ping_timeout: how long a client may take to answer a ping, 10 ms to 1 day. Then its connection is aborted.
            Default: 10 s.
        tcp_keepalive: how long without traffic until TCP keepalive probes are sent, in whole seconds, 1 s to
            9 hours. 0: no probes. Default: 15 s.

    Who is in a room:
        members: who is told who is in a room: "off" (nobody), "host" (the host, and the clients of the JSON form that
            it allows it with `Server.set_members` and that ask for it with ?members=true) or "clients" (each client of
            the JSON form that asks for it, unless the host does not allow it). The host gets MemberEntered and
            MemberLeft, and calls `Server.members`. Of a room with more than 200 members a client is told the number
            alone, and it gets at most four objects a second of each room. Another value than "off" needs an
            outbox_size of at least 128 KiB. Default: "off".
        member_grace: for how long the place of a client in a room is kept when its connection ends, up to 60 s, so that
            one that comes back is not said to have left. It holds for clients with an identity: another connection
            with the same identity takes the place over. A client that the host disconnects or takes out of the room
            leaves at once, and so does one that never was admitted. A room counts as occupied for the same time after
            its last client has left. 0: each leaves at once. Of max_connections times 16 places and rooms that are kept
            so, the oldest are given up earlier. Default: 2 s.
        occupancy: whether the host is told when a room gets its first client (RoomOccupied), and when it has had none
            for member_grace (RoomVacated), with no event for each client between. It does not need `members`.
            Default: False.

    The history of rooms:
        history_messages: how many messages a room keeps, up to 1,000,000: for clients that ask for the last ones
            (?history=N), that come back (?since=POSITION), or that get them of the host (`Server.join`). 0: none.
            Default: 1,000.
        history_size: how many bytes of messages a room keeps, up to 64 GiB; 0: none. Each message counts with 128
            bytes more, and a client that published it with about 90 bytes and its name, once for messages of it
            that follow each other. A room always keeps its last message, also one that is longer than this. Default:
            4 MiB, or 4 times max_message_size if that is more.
        history_age: how long a room keeps a message, 10 ms to 10,000 days. Default: 1 hour.
        history_total: how many bytes of messages all rooms together keep, max_message_size + 4 KiB to 1 TiB; 0:
            none. Default: 64 MiB, or what one room keeps if that is more.
    """

    listen: Union[str, Iterable[str]]
    origin: Union[str, Iterable[str]]
    ipv6_only: bool
    workers: int
    busy_poll: float
    echo: bool
    max_connections: int
    max_handshakes: int
    max_rooms_per_client: int
    handshake_timeout: float
    handshake_size: int
    base_path: str
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
    signal_rate: int
    members: str
    member_grace: float
    occupancy: bool


# Names of other servers, and what it is here.
_OTHER_NAMES = {
    **dict.fromkeys(["addr", "address", "bind", "host", "port"], 'listen="HOST:PORT"'),
    **dict.fromkeys(["allowed_origins", "cors", "origins"], "'origin'"),
    **dict.fromkeys(["max_clients", "max_conns"], "'max_connections'"),
    **dict.fromkeys(["max_payload", "max_size"], "'max_message_size'"),
    "history": "'history_messages'",
    "threads": "'workers'",
}

# A value and what an option takes: returns what the library takes.
Converter = Callable[[Any], int]


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{value!r} is not a whole number")
    number = int(value)
    if number < 0:
        raise ValueError(f"{_shown(number)} must not be negative")
    return number


def _shown(value: Any) -> str:
    # ValueError: Python writes no number of more than 4,300 digits.
    with contextlib.suppress(ValueError):
        if len(shown := repr(value)) <= 40:
            return shown
    return "it"


def _yes_or_no(value: Any) -> int:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is not True or False")
    return value


def _in_units(per_second: int) -> Converter:
    def number(seconds: Any) -> int:
        if isinstance(seconds, bool) or not isinstance(seconds, Real):
            raise TypeError(f"{seconds!r} is not a number of seconds, such as 2.5")
        if seconds < 0:
            raise ValueError(f"{_shown(seconds)} must not be negative")
        seconds = float(seconds)
        if not math.isfinite(seconds):
            raise ValueError(f"{seconds!r} is not a number of seconds, such as 2.5")
        # Not 0, which often means never, for a time that is only very short.
        return max(1, round(seconds * per_second)) if seconds > 0 else 0

    return number


def _one_of(**numbers: int) -> Converter:
    allowed = " or ".join(f'"{name}"' for name in numbers)

    def number(name: Any) -> int:
        if not isinstance(name, str):
            raise TypeError(f"{name!r} is not {allowed}")
        if name not in numbers:
            raise ValueError(f"it is {allowed}")
        return numbers[name]

    return number


_LISTS = {"listen": "chat_config_add_listen", "origin": "chat_config_add_origin"}
_TEXTS = {"base_path": "chat_config_set_base_path"}
_BY_TYPE: dict[Any, Converter] = {bool: _yes_or_no, int: _whole, float: _in_units(1000)}
_CONVERTERS: dict[str, Converter] = {
    **{name: _BY_TYPE[kind] for name, kind in get_type_hints(Options).items() if kind in _BY_TYPE},
    "busy_poll": _in_units(1_000_000),
    "members": _one_of(
        off=lib.CHAT_MEMBERS_OFF, host=lib.CHAT_MEMBERS_HOST, clients=lib.CHAT_MEMBERS_CLIENTS
    ),
    "overdue": _one_of(refuse=lib.CHAT_OVERDUE_REFUSE, allow=lib.CHAT_OVERDUE_ALLOW),
    "slow_consumer": _one_of(
        disconnect=lib.CHAT_SLOW_CONSUMER_DISCONNECT, drop_oldest=lib.CHAT_SLOW_CONSUMER_DROP_OLDEST
    ),
}


def _texts(value: Any) -> Iterable[str]:
    texts = [value] if isinstance(value, str) else value
    if isinstance(texts, (bytes, Mapping)) or not isinstance(texts, Iterable):
        raise TypeError(f"{value!r} is not a str, or several in a list")
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"{text!r} is not a str")
        yield text


def check_names(given: Iterable[str]) -> None:
    """Raises TypeError for a name that no option has, and names the option that is probably meant."""
    known = [*Options.__annotations__, "logger"]
    for name in given:
        if name in known:
            continue
        nearest = difflib.get_close_matches(name, known, 1)
        meant = _OTHER_NAMES.get(name) or (repr(nearest[0]) if nearest else "")
        advice = f"did you mean {meant}?" if meant else "help(libchat.Options) lists them"
        raise TypeError(f"unknown option {name!r}; {advice}")


def _set(config: Any, name: str, value: Any) -> None:
    if name in _LISTS:
        for text in _texts(value):
            data = encoded(text, name)
            errors.check(getattr(lib, _LISTS[name])(config, data, len(data)))
    elif name in _TEXTS:
        if not isinstance(value, str):
            raise TypeError(f"{value!r} is not a str")
        data = encoded(value, name)
        errors.check(getattr(lib, _TEXTS[name])(config, data, len(data)))
    else:
        errors.check(getattr(lib, f"chat_config_set_{name}")(config, _CONVERTERS[name](value)))


def configure(config: Any, options: Options) -> None:
    """Sets every option that was given. The start finds those that are out of their limits.

    Raises TypeError for an unknown option and for a value of another type.
    """
    check_names(options)
    for name, value in options.items():
        try:
            _set(config, name, value)
        except errors.Error as error:
            # C has another name for it: the parameter's.
            raise errors.of(error.status, f"{name}: {str(error).partition(': ')[2]}") from error
        except TypeError as error:
            raise TypeError(f"{name}: {error}") from error
        except ValueError as error:
            raise errors.of(lib.CHAT_ERR_INVALID_ARGUMENT, f"{name}: {error}") from error
        except OverflowError as error:
            reason = f"{name}: {_shown(value)} is too large; help(libchat.Options) lists the limits"
            raise errors.of(lib.CHAT_ERR_INVALID_ARGUMENT, reason) from error

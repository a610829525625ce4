"""The events of a server: one class for each kind.

The events of one client come in this order: ConnectRequest (if `admission_timeout` is set), Connected, any
number of MessageRequest, Message, Signal, Joined, Left and MessagesDropped, Disconnected. If the host joins a client
to rooms before it accepts it, those Joined come before Connected. A client that is not admitted has no Connected.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Optional, Union

from . import position
from ._abi import ffi, lib, new, text
from .position import Position
from .request import Request


@dataclass(frozen=True)
class Event:
    """Something that happened. Later versions may add kinds: ignore those that you do not know."""


@dataclass(frozen=True)
class ConnectRequest(Event):
    """A client asks to be connected, and waits for `Server.accept` or `Server.reject`.

    `form` is how it will receive messages, as in `Connected`: "plain", "json" or "events".
    """

    client: int
    room: str  #: The room that it asks for.
    form: str  #: How it will receive messages, as in `Connected`.
    request: Request


@dataclass(frozen=True)
class Connected(Event):
    """A client has connected and is in its room.

    `form` is how it receives messages: "plain" (a WebSocket whose messages are the messages themselves), "json" (a
    WebSocket whose messages are objects) or "events" (server-sent events over HTTP: such a client sends nothing, and
    is in one room). Later versions may add forms.
    """

    client: int
    identity: str  #: The client's identity (`Server.set_identity`).
    room: str  #: The room that it is in and publishes to; empty if it is in none.
    form: str  #: How it receives messages: "plain", "json" or "events".
    request: Request


@dataclass(frozen=True)
class MessageRequest(Event):
    """A client sent a message, which waits for `Server.allow`, `Server.allow_changed` or `Server.refuse`."""

    client: int
    identity: str
    room: str
    decision: int  #: The id of the decision.
    data: Union[str, bytes]


@dataclass(frozen=True)
class Message(Event):
    """A client published a message, which is being delivered to the room. The message of a client in no room
    goes to the host alone: then `room` is empty and there is no position."""

    client: int
    identity: str
    room: str
    position: Position  #: Where the message is in the room's history; false if there is no position.
    data: Union[str, bytes]  #: Text as str, binary as bytes.


@dataclass(frozen=True)
class Signal(Event):
    """A client has signalled to the others in a room, or to the host alone (the option `signal_rate`). While half of
    the event queue is full, signals are dropped, and counted in `Stats.signals_dropped`."""

    client: int
    identity: str
    room: str  #: Empty if the client is in none: then the signal was for the host.
    data: Union[str, bytes]  #: Text as str, binary as bytes: at most 4 KiB.


@dataclass(frozen=True)
class Joined(Event):
    """The host has put a client into a room."""

    client: int
    identity: str
    room: str


@dataclass(frozen=True)
class Left(Event):
    """The host has taken a client out of a room."""

    client: int
    identity: str
    room: str


@dataclass(frozen=True)
class MemberEntered(Event):
    """Somebody has come to a room: the first client of an identity, or a client without one (the option `members`).

    A client enters its room before it counts as connected, so this comes before its Connected.
    """

    client: int
    identity: str
    room: str


@dataclass(frozen=True)
class MemberLeft(Event):
    """Somebody is not in a room any more: no client of the identity is there, nor was for `member_grace`, or a client
    without identity has left. `client` is the identity's last one there."""

    client: int
    identity: str
    room: str


@dataclass(frozen=True)
class RoomOccupied(Event):
    """A room has got its first client (the option `occupancy`). Of each room, RoomOccupied and RoomVacated take
    turns."""

    room: str


@dataclass(frozen=True)
class RoomVacated(Event):
    """A room has no client, and had none for `member_grace`. When the server stops, each room is vacated before
    Stopped."""

    room: str


@dataclass(frozen=True)
class MessagesDropped(Event):
    """The oldest messages that waited for a slow consumer were dropped."""

    client: int
    count: int


@dataclass(frozen=True)
class Disconnected(Event):
    """A client has disconnected, or was not admitted. It is in no room any more. A client of events that leaves has
    the code 1006."""

    client: int
    identity: str
    code: int  #: The close code; 1005 if the close frame had none, 1006 without one (RFC 6455, 7.4.1).
    reason: str


@dataclass(frozen=True)
class AcceptFailed(Event):
    """A listener could not accept connections, usually for lack of descriptors. It keeps trying."""

    addr: str
    reason: str


@dataclass(frozen=True)
class EventsDropped(Event):
    """Message events were dropped at this point, because the host did not take events in time."""

    count: int


@dataclass(frozen=True)
class Stopped(Event):
    """The server has stopped. This is the last event."""


def _room(e: Any) -> str:
    return text(e.room, e.room_len)


def _identity(e: Any) -> str:
    return text(e.identity, e.identity_len)


def _data(e: Any) -> Union[str, bytes]:
    data = bytes(ffi.buffer(e.data, e.data_len))
    return data.decode() if e.kind == lib.CHAT_TEXT else data


def _request(e: Any) -> Request:
    name, value = new("const char **"), new("const char **")
    name_len, value_len = new("size_t *"), new("size_t *")
    headers: list[tuple[str, str]] = []
    for index in range(e.header_count):
        if lib.chat_event_header_at(e, index, name, name_len, value, value_len) == 0:
            headers.append((text(name[0], name_len[0]), text(value[0], value_len[0])))
    addr, path, query = text(e.addr, e.addr_len), text(e.path, e.path_len), text(e.query, e.query_len)
    first: dict[str, str] = {}
    for key, content in headers:
        first.setdefault(key, content)
    return Request(addr, path, query, first, tuple(headers))


_FORMS = {lib.CHAT_FORM_PLAIN: "plain", lib.CHAT_FORM_JSON: "json", lib.CHAT_FORM_EVENTS: "events"}


def _form(e: Any) -> str:
    return _FORMS.get(e.form, f"form {e.form}")


READERS: dict[str, Callable[[Any], Event]] = {
    "CONNECT_REQUEST": lambda e: ConnectRequest(e.client, _room(e), _form(e), _request(e)),
    "CONNECTED": lambda e: Connected(e.client, _identity(e), _room(e), _form(e), _request(e)),
    "MESSAGE": lambda e: Message(e.client, _identity(e), _room(e), position.of(e.position), _data(e)),
    "MESSAGE_REQUEST": lambda e: MessageRequest(e.client, _identity(e), _room(e), e.decision, _data(e)),
    "SIGNAL": lambda e: Signal(e.client, _identity(e), _room(e), _data(e)),
    "JOINED": lambda e: Joined(e.client, _identity(e), _room(e)),
    "LEFT": lambda e: Left(e.client, _identity(e), _room(e)),
    "MEMBER_ENTERED": lambda e: MemberEntered(e.client, _identity(e), _room(e)),
    "MEMBER_LEFT": lambda e: MemberLeft(e.client, _identity(e), _room(e)),
    "ROOM_OCCUPIED": lambda e: RoomOccupied(_room(e)),
    "ROOM_VACATED": lambda e: RoomVacated(_room(e)),
    "DISCONNECTED": lambda e: Disconnected(e.client, _identity(e), e.code, text(e.reason, e.reason_len)),
    "MESSAGES_DROPPED": lambda e: MessagesDropped(e.client, e.count),
    "ACCEPT_FAILED": lambda e: AcceptFailed(text(e.addr, e.addr_len), text(e.reason, e.reason_len)),
    "EVENTS_DROPPED": lambda e: EventsDropped(e.count),
    "STOPPED": lambda e: Stopped(),
}
_BY_NUMBER = {getattr(lib, f"CHAT_EVENT_{name}"): read for name, read in READERS.items()}


def read(event: Any) -> Optional[Event]:
    """Returns an event of the library as an object; None for an event of a later version."""
    reader = _BY_NUMBER.get(event.type)
    return None if reader is None else reader(event)

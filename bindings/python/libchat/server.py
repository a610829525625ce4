"""A running server and its calls."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import weakref
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional, Union

from . import _publish, errors, events, position
from ._abi import CONSTANTS, cast, encoded, ffi, lib, new, sizeof, text
from ._end import End
from ._ender import stop
from ._handle import Handle
from ._history import Histories
from ._identity import ByIdentity
from ._members import Members
from ._message import Data, message
from ._queue import EventQueue
from ._signals import Signals
from .options import Options
from .past import ALL, checked_past
from .position import Position, Published

if TYPE_CHECKING:
    from typing_extensions import Unpack

Headers = Union[Mapping[str, str], Iterable[tuple[str, str]]]

#: How long `stop` and the end of a `with` wait for the clients' answers by default, in seconds.
DEFAULT_DRAIN = 10.0

# The longest time that the library takes: 49 days.
_LONGEST_DRAIN_MS = 2**32 - 1


@dataclass(frozen=True)
class Stats:
    """What a server has counted since its start."""

    connections: int  #: Clients that are connected now.
    handshakes: int  #: Handshakes that are in progress now.
    rooms: int  #: Rooms that exist now: with subscribers or with history.
    connections_accepted: int  #: Clients that have connected since the start.
    connections_refused: int  #: Clients that were refused: they asked for a WebSocket or events, or sent no request.
    accept_failures: int  #: Times that accepting a connection failed.
    messages_received: int  #: Messages that clients sent.
    messages_published: int  #: Messages that clients or the host published, and broadcasts.
    messages_delivered: int  #: Messages that were handed to sockets or outboxes, once for each client.
    bytes_delivered: int  #: Bytes of the frames of these messages.
    messages_dropped: int  #: Messages that were dropped for slow consumers.
    slow_consumers: int  #: Clients that were closed as slow consumers.
    ping_timeouts: int  #: Clients whose connection was aborted because they did not answer a ping.
    protocol_errors: int  #: Clients that were closed because they broke the protocol or a limit.
    events_dropped: int  #: Message events that were dropped because they were not taken.
    admissions_rejected: int  #: Clients that the host rejected.
    admissions_timed_out: int  #: Clients that the host did not decide on in time (the option overdue).
    messages_refused: int  #: Messages of clients that were not published.
    reviews_timed_out: int  #: Messages that the host did not decide on in time (the option overdue).
    requests_answered: int  #: Requests for a page, such as GET /health, that were answered, whatever the status.
    signals_received: int  #: Signals that clients sent, also those that were dropped; among the messages received.
    signals_dropped: int  #: Signals of clients or the host that were dropped: beyond the rate, or a queue was full.
    duplicates: int  #: Publications with a known key, of clients or the host, which were not published again.
    keys_evicted: int  #: Keys that were forgotten before their time, because too many were known.


def _publication(index: int, item: tuple[str, Data]) -> tuple[bytes, int, bytes]:
    try:
        room, data = item
    except (TypeError, ValueError):
        raise TypeError(f"batch[{index}]: {errors.shown(item)} is not a pair of room and data") from None
    return encoded(room, f"batch[{index}].room"), *message(data, f"batch[{index}].data")


def _headers(headers: Optional[Headers]) -> list[tuple[bytes, bytes]]:
    try:
        pairs = [(name, value) for name, value in (headers.items() if isinstance(headers, Mapping) else headers or ())]
    except (TypeError, ValueError):
        raise TypeError(f"headers: {errors.shown(headers)} is neither a mapping nor pairs of name and value") from None
    return [(encoded(name, "headers"), encoded(value, "headers")) for name, value in pairs]


def drain_ms(drain: float) -> int:
    """Returns a drain in the library's unit, within its limits."""
    return round(min(max(errors.seconds(drain, "drain") * 1000, 0), _LONGEST_DRAIN_MS))


class _Events(AsyncIterator[events.Event]):
    """The events of a server. It keeps the server running while a task waits for them.

    Not a generator: that would end when a wait is cancelled.
    """

    def __init__(self, server: Server, queue: EventQueue) -> None:
        self._server = server
        self._queue = queue

    async def __anext__(self) -> events.Event:
        event = await self._queue.next()
        if event is None:
            raise StopAsyncIteration
        return event


class Server(ByIdentity, Histories, Members, Signals):
    """A WebSocket chat and broadcast server on its own threads, inside a program: the host. It listens as soon
    as it is constructed.

    Any thread may call any method; the calls release the interpreter's lock. `with` and `async with` stop the
    server at their end: as `stop()` does, or at once if an exception leaves them. The garbage collector stops a
    server that nothing refers to. At the end of the program, servers that still run are stopped at once.

    `broadcast`, `publish`, `publish_to`, `publish_batch`, `send`, `join`, `leave`, `set_echo`, `set_identity`,
    `set_name`, `set_members`, `send_to_identity`, `join_identity`, `leave_identity` and `forget` wait while more waits
    to be delivered than the server may keep, up to the option `publish_timeout`; then they raise QueueFullError. In
    asyncio this blocks the loop: with `publish_timeout=0` they raise it at once.

    Every method raises InvalidArgumentError for numbers out of their limits, TypeError for arguments of another
    type, ForkedError in a fork of the server's process, and InHandlerError in a handler of `logger`. The texts
    name the argument. Each method lists the others that it raises.
    """

    def __init__(self, *, logger: Optional[logging.Logger] = None, **options: Unpack[Options]) -> None:
        """Starts a server: `help(libchat.Options)` lists the options.

        `logger` gets the server's log lines, at the levels that it has enabled now. It is called on the
        server's threads, on several at once, and while it waits, clients wait: use a
        `logging.handlers.QueueHandler`. Its handlers must not wait for a thread that is in a call of libchat,
        and cannot call a server.

        Raises InvalidArgumentError, which names the options that are out of their limits, InvalidUtf8Error,
        TooLargeError, TypeError for an unknown option; and the OSErrors AddressInUseError,
        AddressUnavailableError, PermissionDeniedError, ResourceLimitError and IoError.
        """
        self._handle = Handle()
        # Before the start, so that the server is ended even if an exception follows the start.
        finalizer = weakref.finalize(self, self._handle.release)
        # At the end of the program `_handle` stops the servers, and does not free them under daemon threads.
        finalizer.atexit = False
        self._handle.start(options, logger)
        self._server = self._handle.server
        self._queue = self._handle.queue
        self.addrs = self._addrs()  #: The addresses of all listeners.

    def _addrs(self) -> list[str]:
        buffer = new("char[]", CONSTANTS["CHAT_ADDR_SIZE"])
        length = new("size_t *")
        found: list[str] = []
        while lib.chat_server_local_addr(self._server, len(found), buffer, len(buffer), length) == 0:
            found.append(text(buffer, length[0]))
        return found

    @property
    def addr(self) -> str:
        """The address of the first listener, with its actual port."""
        return self.addrs[0]

    def broadcast(self, data: Data) -> None:
        """Broadcasts a message to every client: str as text, bytes as binary.

        Raises InvalidUtf8Error, TooLargeError, QueueFullError, StoppedError.
        """
        kind, payload = message(data)
        errors.check(lib.chat_server_broadcast(self._server, kind, payload, len(payload)))

    def publish(
        self,
        room: str,
        data: Data,
        *,
        key: Optional[str] = None,
        name: Optional[str] = None,
        identity: Optional[str] = None,
        without_history: bool = False,
    ) -> Published:
        """Publishes a message to a room. Returns where it is in the room's history: a false position if rooms
        have none, and with `without_history`.

        `key` is a name of the message that the host chooses, so that the message is published once however often the
        host tries: 1 to 64 bytes without control characters. With a key that is known nothing is published: the
        result is where the message is, and its `is_duplicate` is true. A key is known for five minutes after the
        message was published, within its room and the identity (without one it is the host's own). A server knows the
        last 100,000 keys. Clients of the JSON form see the key.

        `name` is the name under which clients of the JSON form see the message: 1 to 128 bytes without control
        characters. `identity` says on whose behalf it is published: what the host calls a client (`set_identity`), at
        most 256 bytes. Clients do not see it; the key is one of its keys. With `without_history` the room's history
        does not get the message: it is delivered in the room's order to the clients that are in the room now, has no
        position, and nobody recovers it.

        A client's message with the same identity and key that waits for review does not hold this call up: the host's
        message is published, and the client's becomes the duplicate.

        Raises InvalidArgumentError for a name that no room has, and for a key or a name that breaks the rules,
        InvalidUtf8Error, TooLargeError, KeyReusedError if the key was used for another message, QueueFullError,
        StoppedError. With each of them nothing was published.
        """
        kind, payload = message(data)
        to = encoded(room, "room")
        at = new("chat_position *")
        if key is None and name is None and identity is None and without_history is False:
            errors.check(lib.chat_server_publish(self._server, to, len(to), kind, payload, len(payload), at))
            return Published(at[0].epoch, at[0].offset)
        is_duplicate = new("uint32_t *")
        options, _kept = _publish.options(key, name, identity, without_history)
        errors.check(
            lib.chat_server_publish_with(
                self._server, to, len(to), kind, payload, len(payload), options, at, is_duplicate
            )
        )
        return _publish.published(at[0], is_duplicate[0])

    def publish_to(
        self,
        rooms: Iterable[str],
        data: Data,
        *,
        key: Optional[str] = None,
        name: Optional[str] = None,
        identity: Optional[str] = None,
        without_history: bool = False,
    ) -> list[Published]:
        """Publishes one message to several rooms, one after the other, as `publish` does to each. The payload is kept
        once for all of them. Returns where it is in each room, in the same order; if it fails, the exception's
        `positions` are those in the rooms that it was published to, from the first on.

        Raises what `publish` does. With QueueFullError, KeyReusedError and StoppedError the message may have been
        published to some rooms, with all others to none. With a key the host can make the same call again. The whole
        call waits for at most one `publish_timeout`.
        """
        if isinstance(rooms, str):
            raise TypeError(f"rooms: {errors.shown(rooms)} is not a list of names")
        kind, payload = message(data)
        names = [ffi.from_buffer(encoded(room, f"rooms[{index}]")) for index, room in enumerate(rooms)]
        to = new("chat_room_name[]", len(names))
        for target, encoded_name in zip(to, names):
            target.name, target.name_len = cast("const char *", encoded_name), len(encoded_name)
        options, _kept = _publish.options(key, name, identity, without_history)
        count, places, duplicates = (
            new("size_t *"),
            new("chat_position[]", len(names)),
            new("uint32_t[]", len(names)),
        )
        status = lib.chat_server_publish_to(
            self._server, to, len(names), kind, payload, len(payload), options, count, places, duplicates
        )
        error = errors.outcome(status)
        published = [_publish.published(places[index], duplicates[index]) for index in range(count[0])]
        if error is not None:
            error.positions = published
            raise error
        return published

    def position(self, room: str) -> Position:
        """Tells where a room stands: the position of the last message that it has stored. What is published
        later comes after it, and a client that connects with ?since=POSITION gets all of that. The position is false
        if rooms have no history.

        The room need not exist: it begins at this position, unless it comes into being more than a day later,
        or 65,536 other rooms were forgotten meanwhile (16,384 if the room has never stored a message).

        Raises InvalidArgumentError for a name that no room has, InvalidUtf8Error, StoppedError.
        """
        name, at = encoded(room, "room"), new("chat_position *")
        errors.check(lib.chat_server_position(self._server, name, len(name), at))
        return position.of(at[0])

    def publish_batch(self, batch: Iterable[tuple[str, Data]]) -> list[Position]:
        """Publishes many messages in their order, each a pair of room and data. Returns their positions, in the
        same order; if it fails, the exception's `positions` are those of the messages that were published,
        from the first on.

        Raises what `publish` does. With QueueFullError and StoppedError a part may have been published, with
        all others nothing. The whole batch waits for at most one `publish_timeout`.
        """
        kept = [_publication(index, item) for index, item in enumerate(batch)]
        rooms = [ffi.from_buffer(room) for room, _, _ in kept]
        payloads = [ffi.from_buffer(payload) for _, _, payload in kept]
        messages = new("chat_message[]", len(kept))
        for entry, room, (_, kind, _), payload in zip(messages, rooms, kept, payloads):
            entry.room, entry.room_len = cast("const char *", room), len(room)
            entry.data, entry.data_len = cast("const uint8_t *", payload), len(payload)
            entry.kind = kind
        published = new("size_t *")
        stride = sizeof("chat_message")
        places = new("chat_position[]", len(kept))
        status = lib.chat_server_publish_batch(self._server, messages, stride, len(kept), published, places)
        error = errors.outcome(status)
        positions = [position.of(places[index]) for index in range(published[0])]
        if error is not None:
            error.positions = positions
            raise error
        return positions

    def send(self, client: int, data: Data) -> None:
        """Sends a message to one client.

        Raises NotFoundError if it has left, InvalidUtf8Error, TooLargeError, QueueFullError, StoppedError.
        """
        kind, payload = message(data)
        errors.call(lib.chat_server_send, self._server, client, kind, payload, len(payload))

    def disconnect(self, client: int, code: int = 1000, reason: str = "") -> None:
        """Closes a client's connection after the messages that were sent to it before, with a close code of 1000
        to 1003, 1007 to 1013 or 3000 to 4999 and a reason of at most 123 bytes. What it sends after this call is
        not heard. A client that waits for admission is rejected with HTTP 403 and the reason.

        A client of events gets the event `closing` with 1001, 1011, 1012 and 1013, and comes back; with every other
        code it gets `closed`.

        Raises NotFoundError if it has left, InvalidArgumentError for another code, InvalidUtf8Error,
        TooLargeError, StoppedError.
        """
        data = encoded(reason, "reason")
        errors.call(lib.chat_server_disconnect, self._server, client, code, data, len(data))

    def accept(self, client: int, *, past: int = ALL) -> None:
        """Accepts the client of a ConnectRequest: completes its handshake. What else the host decides about the
        client, it does before this call: `set_identity`, `set_name`, `join` and `leave`, `set_echo`,
        `set_subprotocol`, `send`.

        `past` is how many of the last messages of the room that it asks for the client may have, at most: a number,
        or libchat.ALL. By default it gets what it asks for: with ?history=N the last N messages, with
        ?since=POSITION what was published after that position, and nothing if it asks for nothing. The header
        Last-Event-ID of a client of events counts as ?since=POSITION. If the client lacks more than `past` messages, it
        gets the last `past`, or the last N if it also has ?history=N and that is less. The bound does not concern rooms
        that the host joins it to: `join` gives their past, also that of the room that the client asks for if the host
        has joined it there.

        Raises NotFoundError if the client has left, was decided on before, or its time is over; InvalidArgumentError
        for a negative `past`, TypeError for one that is no int; StoppedError.
        """
        errors.call(lib.chat_server_accept_with_past, self._server, client, checked_past(past))

    def reject(self, client: int, http_status: int, reason: str = "", headers: Optional[Headers] = None) -> None:
        """Rejects the client of a ConnectRequest, with an HTTP status of 400 to 599 and a text of at most 1,024
        bytes, or with 204 ("stop asking", for an EventSource) and no text: `reason` is not sent then.

        `headers` are further headers of the answer, such as Retry-After: a mapping, or pairs of names and values; at
        most 64, with at most 8 KiB in all. A header that HTTP requires with the status is added if it is not among
        them: "WWW-Authenticate: Bearer" with 401, "Allow: GET" with 405, "Proxy-Authenticate: Basic" with 407,
        "Upgrade: websocket" with 426.

        Any status ends an EventSource for ever (`form` "events"). A host that means "later" calls `accept`, and then
        `disconnect` with 1013.

        Raises what `accept` does; InvalidArgumentError for another status, and for a header that breaks the rules of
        HTTP or that libchat sets itself (Connection, Content-Length, Content-Type, Date, Transfer-Encoding, Upgrade);
        InvalidUtf8Error, TooLargeError.
        """
        data = encoded(reason, "reason")
        kept = [(ffi.from_buffer(name), ffi.from_buffer(value)) for name, value in _headers(headers)]
        array = new("chat_header[]", len(kept))
        for header, (name, value) in zip(array, kept):
            header.name, header.name_len = cast("const char *", name), len(name)
            header.value, header.value_len = cast("const char *", value), len(value)
        errors.call(lib.chat_server_reject, self._server, client, http_status, data, len(data), array, len(kept))

    def join(self, client: int, room: str, *, past: int = 0, since: Optional[Position] = None) -> None:
        """Puts a client into a room, in addition to the rooms that it is in. What the client sends is published to
        one of its rooms: the one that it joined first. A client that is in the room already gets nothing.

        `past` is how many of the last messages of the room the client gets: a number, or libchat.ALL; by default
        none. The client need not have asked for them. It receives them first, and then what is published from this
        call on: nothing is missing between them, and nothing comes twice.

        A client that comes back gets what it lacks, if that is at most `past` messages, and otherwise the last
        `past`. `since` is the position up to which it has everything, such as that of the room when a page was
        rendered (`position`). Without one, and with a false one, the server uses the position that the client sent for
        this room (?since.ROOM=POSITION; for the room of its path also ?since=), once: when the client first enters
        it. What a client of events sends as Last-Event-ID or ?since= counts for the room that it enters first. A
        position of another room or of a history that is gone is no error: the client does not recover.

        Clients of the JSON form are told where the past begins (`entered`), whether they recover (`recovered`, and
        the `reason` if not) and that the past is over (`live`). They get no earlier message either if they ask for
        them (`history`).

        Raises NotFoundError if it has left, InvalidArgumentError for a name that no room can have and for a negative
        `past`, TypeError for one that is no int, InvalidUtf8Error, TooLargeError, TooManyRoomsError if it is in
        max_rooms_per_client rooms (a client of events in one: let it leave that first), QueueFullError, StoppedError.
        """
        name, count, at = encoded(room, "room"), checked_past(past), position.struct(since or Position())
        errors.call(lib.chat_server_join_with_past, self._server, client, name, len(name), count, at)

    def leave(self, client: int, room: str) -> None:
        """Takes a client out of a room. What it sends after this call does not go there. What a client in no room
        sends goes to the host alone.

        Raises what `join` does, but TooManyRoomsError.
        """
        name = encoded(room, "room")
        errors.call(lib.chat_server_leave, self._server, client, name, len(name))

    def set_echo(self, client: int, echo: bool) -> None:
        """Sets whether a client receives its own messages: those that it sends after this call. This overrides the
        option and the client's query. As the option, it does not count for a room's past.

        Raises NotFoundError if it has left, QueueFullError, StoppedError.
        """
        errors.call(lib.chat_server_set_echo, self._server, client, errors.flag(echo, "echo"))

    def set_identity(self, client: int, identity: str) -> None:
        """Sets a client's identity, the host's name for it. Its later events carry it, those of what it sends after
        this call among them. At most 256 bytes. Clients do not see it; what they see is the name (`set_name`).
        Several clients may have one identity: `send_to_identity` and the calls like it reach them all, this client from
        this call on. An empty identity takes the identity back: the client then has none.

        Raises NotFoundError if it has left, InvalidUtf8Error, TooLargeError, QueueFullError, StoppedError.
        """
        data = encoded(identity, "identity")
        errors.call(lib.chat_server_set_identity, self._server, client, data, len(data))

    def set_name(self, client: int, name: str) -> None:
        """Sets the name under which other clients see a client's messages: all that it sends after this call. At most
        128 bytes without control characters. By default a client has the name that it claims itself with ?name=, or
        none. The host's name replaces a claimed one. An empty name takes the name back, the host's and the claimed
        one: the client then has none.

        Clients of the JSON form see names, and of claimed ones that they are claimed ("claimed":true); plain clients
        see none. A message that a room keeps keeps its name. Several clients may have one name: what the host knows a
        client by is the identity.

        Raises NotFoundError if it has left, InvalidArgumentError for a longer name or one with control characters,
        InvalidUtf8Error, TooLargeError, QueueFullError, StoppedError.
        """
        data = encoded(name, "name")
        errors.call(lib.chat_server_set_name, self._server, client, data, len(data))

    def set_subprotocol(self, client: int, name: str) -> None:
        """Chooses the subprotocol that the answer to the client of a ConnectRequest names, before `accept`: one that
        the client offers in its header Sec-WebSocket-Protocol, compared as it is. So a page can offer names of its own,
        such as one that carries a token beside one that the program chooses. The last call counts. Without a call the
        answer names libchat.json if the client offers it, and else none.

        It does not change how the client receives messages (`form`). A client that offers libchat.json among others
        speaks the JSON form under that name, and can have no other; with ?format=json in its address it speaks the
        JSON form under any name, or under none.

        Raises InvalidArgumentError if the client does not offer it, or offers libchat.json too without ?format=json, or
        is one of events; NotFoundError if the client has left, was decided on before, or its time is over;
        InvalidUtf8Error, TooLargeError, StoppedError. Whatever it raises, nothing has changed.
        """
        data = encoded(name, "name")
        errors.call(lib.chat_server_set_subprotocol, self._server, client, data, len(data))

    def allow(self, decision: int) -> None:
        """Allows the message of a MessageRequest: publishes it to that event's room, as soon as the client's earlier
        messages are decided. It is not published if by then the host has taken the client out of that room.

        Raises NotFoundError if it was decided on before or its time is over, StoppedError.
        """
        errors.call(lib.chat_server_allow, self._server, decision)

    def allow_changed(self, decision: int, data: Data) -> None:
        """Does what `allow` does, but publishes another message in place of the client's.

        Raises what `allow` does, and InvalidUtf8Error and TooLargeError, after which the message still waits for a
        decision.
        """
        kind, payload = message(data)
        errors.call(lib.chat_server_allow_changed, self._server, decision, kind, payload, len(payload))

    def refuse(self, decision: int, *, reason: str = "") -> None:
        """Refuses the message of a MessageRequest: it is not published. A sender of the JSON form is told (`refused`),
        with the reason, which is for people to read: at most 256 bytes. A plain one is not: use `send` to tell it.

        Raises what `allow` does, InvalidUtf8Error, TooLargeError; with these two the message still waits for a
        decision.
        """
        data = encoded(reason, "reason")
        errors.call(lib.chat_server_refuse_with, self._server, decision, data, len(data))

    def stats(self) -> Stats:
        """Returns what the server has counted; it works after the stop too."""
        out = new("chat_stats *")
        errors.check(lib.chat_server_stats(self._server, out, sizeof("chat_stats")))
        return Stats(**{name: int(getattr(out, name)) for name in Stats.__annotations__})

    def next_events(self, timeout: Optional[float] = None) -> list[events.Event]:
        """Returns the events that wait, or waits for the next one, up to `timeout` seconds. More may wait in the
        library: call it again.

        Raises TimedOutError, StoppedError after the last, UnsupportedError without the option `event_queue`.
        """
        return self._events_queue().take(None if timeout is None else errors.seconds(timeout, "timeout"))

    def events(self) -> AsyncIterator[events.Event]:
        """Yields the events of the server until it has stopped. A loop that ends early, or a wait that is cancelled,
        loses no event. Several loops share the events: each event goes to one of them.

        Raises UnsupportedError without the option `event_queue`.
        """
        return _Events(self, self._events_queue())

    def _events_queue(self) -> EventQueue:
        if self._queue is None:
            raise errors.of(lib.CHAT_ERR_UNSUPPORTED, "no events are collected; set the option event_queue")
        return self._queue

    def wait(self, timeout: Optional[float] = None) -> None:
        """Waits until the server has ended, up to `timeout` seconds. Any thread may stop it. It works
        after the end too.

        A server also ends by itself if one of its threads cannot go on, for example because of a bug in libchat: so a
        program that takes no events learns here that the server is gone.

        Raises TimedOutError if the server still runs, FailedError if it ended by itself: the text says which part could
        not go on, and why.
        """
        self._end().wait(None if timeout is None else errors.seconds(timeout, "timeout"))

    async def wait_async(self) -> None:
        """Does what `wait` does, without a time limit, in asyncio.

        Raises FailedError if the server ended by itself.
        """
        await self._end().wait_async()

    def _end(self) -> End:
        assert self._handle.ended is not None, "a server that has started has an end"
        return self._handle.ended

    def request_stop(self) -> None:
        """Begins to stop the server, with 5 s for the clients, and returns at once."""
        errors.check(lib.chat_server_request_stop(self._server))

    def stop(self, drain: float = DEFAULT_DRAIN) -> None:
        """Stops the server: delivers what was published, closes every client with code 1001, and waits up to
        `drain` seconds for their answers. Another call may shorten the time.

        The streams of clients that receive events (`form` "events") end one after the other, a millisecond for each,
        over at most half of `drain`: these clients come back by themselves, and not all at once.

        A Ctrl-C cuts the drain short: the server has stopped when KeyboardInterrupt leaves this call.

        Raises TimedOutError, once, if connections were aborted, and FailedError if the server had ended by itself; it
        has stopped all the same.
        """
        milliseconds = drain_ms(drain)
        error: Optional[errors.Error] = None
        try:
            error = stop(self._server, milliseconds)
        finally:
            if not isinstance(error, (errors.InHandlerError, errors.ForkedError)):
                self._handle.leave()
        if error is not None:
            raise error

    def close(self) -> None:
        """Stops the server at once. It may be called again, and does nothing in a fork. Later calls raise
        StoppedError.

        Raises FailedError if the server had ended by itself.
        """
        with contextlib.suppress(errors.TimedOutError, errors.ForkedError):
            self.stop(0)

    def _cut(self) -> None:
        """Stops at once because of an exception, which is more important than how the server ended."""
        with contextlib.suppress(errors.FailedError):
            self.close()

    def _leave(self) -> None:
        """Stops at the end of a `with`, which does not report clients that have not answered."""
        with contextlib.suppress(errors.TimedOutError, errors.ForkedError):
            self.stop(DEFAULT_DRAIN)

    def __enter__(self) -> Server:
        """Stops the server at the end of the `with`."""
        return self

    def __exit__(self, kind: Optional[type[BaseException]], *_: object) -> None:
        """Stops the server: at once after an exception, otherwise as `stop` does."""
        if kind is None:
            self._leave()
        else:
            self._cut()

    async def __aenter__(self) -> Server:
        """Stops the server at the end of the `async with`."""
        return self

    async def __aexit__(self, kind: Optional[type[BaseException]], *_: object) -> None:
        """Stops as `with` does. Cancelling it stops at once."""
        # In an executor: a stop waits for the server's threads, and would block the loop.
        loop = asyncio.get_running_loop()
        try:
            if kind is None:
                await loop.run_in_executor(None, self._leave)
        except asyncio.CancelledError:
            kind = asyncio.CancelledError
            raise
        finally:
            if kind is not None:
                await loop.run_in_executor(None, self._cut)

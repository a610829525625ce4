"""A running server, and what a program does with it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import weakref
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional, Union

from . import errors, events
from ._abi import CONSTANTS, encoded, ffi, lib, text
from ._handle import Handle
from ._queue import EventQueue
from .options import Options

if TYPE_CHECKING:
    from typing_extensions import Unpack

Data = Union[str, bytes, bytearray, memoryview]

#: How long `stop` and the end of a `with` wait for the clients' answers if they are not told, in seconds.
DEFAULT_DRAIN = 10.0

# The longest time that the library knows: 49 days.
_LONGEST_DRAIN_MS = 2**32 - 1


@dataclass(frozen=True)
class Stats:
    """What a server has counted since its start."""

    connections: int  #: Clients that are connected now.
    handshakes: int  #: Handshakes that are under way now.
    rooms: int  #: Rooms that exist now: with subscribers or with history.
    connections_accepted: int  #: Clients that have been connected.
    connections_refused: int  #: Handshakes that were refused.
    accept_failures: int  #: Times that accepting a connection failed.
    messages_received: int  #: Messages that clients sent.
    messages_published: int  #: Messages that clients or the program published, and broadcasts.
    messages_delivered: int  #: Messages handed to sockets or outboxes, counted for each client.
    bytes_delivered: int  #: Bytes of frames handed to sockets or outboxes.
    messages_dropped: int  #: Messages dropped for slow consumers.
    slow_consumers: int  #: Clients that were closed as slow consumers.
    ping_timeouts: int  #: Clients that were cut because they did not answer a ping.
    protocol_errors: int  #: Clients that were closed because they broke the protocol or a limit.
    events_dropped: int  #: Message events that were dropped because they were not taken.
    admissions_rejected: int  #: Clients that the program rejected.
    admissions_timed_out: int  #: Clients that it did not decide on in time (the option overdue).
    messages_refused: int  #: Messages of clients that were not published.
    reviews_timed_out: int  #: Messages that the program did not decide on in time (overdue).


def _message(data: Data) -> tuple[int, bytes]:
    if isinstance(data, str):
        return lib.CHAT_TEXT, encoded(data)
    # By way of a memoryview: of a number, `bytes` would make as many zeros.
    return lib.CHAT_BINARY, data if isinstance(data, bytes) else bytes(memoryview(data))


def _drain_ms(drain: float) -> int:
    if drain != drain:
        raise errors.of(lib.CHAT_ERR_INVALID_ARGUMENT, "drain: it is not a number")
    return round(min(max(drain * 1000, 0), _LONGEST_DRAIN_MS))


class _Events(AsyncIterator[events.Event]):
    """The events of a server, which runs as long as somebody waits for them.

    No generator, which would be at its end after the first wait that is cancelled.
    """

    def __init__(self, server: Server, queue: EventQueue) -> None:
        self._server = server
        self._queue = queue

    async def __anext__(self) -> events.Event:
        event = await self._queue.next()
        if event is None:
            raise StopAsyncIteration
        return event


class Server:
    """A WebSocket chat and broadcast server on threads of its own. It listens when it is made.

    Any thread may call any method; the calls release the interpreter's lock. `with` and `async with` stop
    it at their end: as `stop()` does, or at once if an exception leaves them. One that nothing refers to any
    more is stopped by the garbage collector, and those that run at the program's end are stopped at once.

    `broadcast`, `publish`, `publish_batch`, `send`, `join`, `leave`, `set_echo` and `set_identity` wait while
    more is to be delivered than the server may keep, up to the option `publish_timeout`; then they raise
    QueueFullError. In asyncio that holds up the loop: set `publish_timeout=0` to be told at once.

    Every method raises InvalidArgumentError for numbers out of their limits, ForkedError in a fork of the
    server's process, and InHandlerError in a handler of `logger`; what else, it says itself.
    """

    def __init__(self, *, logger: Optional[logging.Logger] = None, **options: Unpack[Options]) -> None:
        """Starts a server: `help(libchat.Options)` lists the options.

        `logger` gets its log lines, of the levels for which it is enabled now. It is called on the server's
        threads, by several at once, and what it waits for, clients wait for too: a
        `logging.handlers.QueueHandler` is good for it. Its handlers must not wait for a thread that is in a
        call of libchat, and can make no call about a server.

        Raises InvalidArgumentError, which names the options that are out of their limits, InvalidUtf8Error,
        TooLargeError, TypeError for an unknown option; and the OSErrors AddressInUseError,
        AddressUnavailableError, PermissionDeniedError, ResourceLimitError and IoError.
        """
        self._handle = Handle()
        # Before the start, so that whatever comes after it finds somebody who ends it.
        finalizer = weakref.finalize(self, self._handle.release)
        # At the end of the program the servers are stopped (see there), and not freed under daemon threads.
        finalizer.atexit = False
        self._handle.start(options, logger)
        self._server = self._handle.server
        self._queue = self._handle.queue
        self.addrs = self._addrs()  #: The addresses of all listeners.

    def _addrs(self) -> list[str]:
        buffer = ffi.new("char[]", CONSTANTS["CHAT_ADDR_SIZE"])
        length = ffi.new("size_t *")
        found: list[str] = []
        while lib.chat_server_local_addr(self._server, len(found), buffer, len(buffer), length) == 0:
            found.append(text(buffer, length[0]))
        return found

    @property
    def addr(self) -> str:
        """The address of the first listener, with the port that it really has."""
        return self.addrs[0]

    def broadcast(self, data: Data) -> None:
        """Delivers a message to every client: str as text, bytes as binary.

        Raises InvalidUtf8Error, TooLargeError, QueueFullError, StoppedError.
        """
        kind, payload = _message(data)
        errors.check(lib.chat_server_broadcast(self._server, kind, payload, len(payload)))

    def publish(self, room: str, data: Data) -> int:
        """Publishes a message to a room. Returns its place in the room's order: 1 for the first.

        Raises InvalidArgumentError for a name that no room has, InvalidUtf8Error, TooLargeError,
        QueueFullError, StoppedError.
        """
        kind, payload = _message(data)
        name = encoded(room)
        offset = ffi.new("uint64_t *")
        errors.check(
            lib.chat_server_publish(self._server, name, len(name), kind, payload, len(payload), offset)
        )
        return int(offset[0])

    def publish_batch(self, batch: Iterable[tuple[str, Data]]) -> int:
        """Publishes many messages in their order, each a room and what is to be said in it. Returns how
        many were published: the first so many, and on an error the exception's `published` says so.

        Raises what `publish` does: QueueFullError and StoppedError with a part published, all others with
        nothing. All of the batch waits for one `publish_timeout` at most.
        """
        kept = [(ffi.from_buffer(encoded(room)), *_message(data)) for room, data in batch]
        payloads = [ffi.from_buffer(payload) for _, _, payload in kept]
        messages = ffi.new("chat_message[]", len(kept))
        for message, (room, kind, _), payload in zip(messages, kept, payloads):
            message.room, message.room_len = ffi.cast("const char *", room), len(room)
            message.data, message.data_len = ffi.cast("const uint8_t *", payload), len(payload)
            message.kind = kind
        published = ffi.new("size_t *")
        stride = ffi.sizeof("chat_message")
        status = lib.chat_server_publish_batch(self._server, messages, stride, len(kept), published)
        if status != 0:
            error = errors.of(status)
            error.published = int(published[0])
            raise error
        return int(published[0])

    def send(self, client: int, data: Data) -> None:
        """Sends a message to one client.

        Raises NotFoundError if it has left, InvalidUtf8Error, TooLargeError, QueueFullError, StoppedError.
        """
        kind, payload = _message(data)
        errors.call(lib.chat_server_send, self._server, client, kind, payload, len(payload))

    def disconnect(self, client: int, code: int = 1000, reason: str = "") -> None:
        """Closes a client's connection, after what it was sent before, with a close code of 1000 to 1003, 1007
        to 1013 or 3000 to 4999, and a reason of at most 123 bytes.

        Raises NotFoundError if it has left, InvalidArgumentError for another code, InvalidUtf8Error,
        TooLargeError, StoppedError.
        """
        data = encoded(reason)
        errors.call(lib.chat_server_disconnect, self._server, client, code, data, len(data))

    def accept(self, client: int) -> None:
        """Lets a client be connected that a ConnectRequest told of. What else the answer says is said
        before: `set_identity`, `join` and `leave`, `set_echo`, `send`.

        Raises NotFoundError if it has left, was decided on or the time is over; StoppedError.
        """
        errors.call(lib.chat_server_accept, self._server, client)

    def reject(self, client: int, http_status: int, reason: str = "") -> None:
        """Refuses a client that a ConnectRequest told of, with an HTTP status of 400 to 599 and a text of at
        most 1,024 bytes.

        Raises what `accept` does, InvalidArgumentError for another status, InvalidUtf8Error, TooLargeError.
        """
        data = encoded(reason)
        errors.call(lib.chat_server_reject, self._server, client, http_status, data, len(data))

    def join(self, client: int, room: str) -> None:
        """Puts a client into a room, beside those that it is in.

        Raises NotFoundError if it has left, InvalidArgumentError for a name that no room has,
        InvalidUtf8Error, TooLargeError, TooManyRoomsError if it is in max_rooms_per_client rooms,
        QueueFullError, StoppedError.
        """
        name = encoded(room)
        errors.call(lib.chat_server_join, self._server, client, name, len(name))

    def leave(self, client: int, room: str) -> None:
        """Takes a client out of a room. In none, it speaks to the program alone. Raises what `join` does."""
        name = encoded(room)
        errors.call(lib.chat_server_leave, self._server, client, name, len(name))

    def set_echo(self, client: int, echo: bool) -> None:
        """Sets whether a client receives its own messages.

        Raises NotFoundError if it has left, QueueFullError, StoppedError.
        """
        errors.call(lib.chat_server_set_echo, self._server, client, echo)

    def set_identity(self, client: int, identity: str) -> None:
        """Sets what the program calls a client: its later events carry it. At most 256 bytes.

        Raises NotFoundError if it has left, InvalidUtf8Error, TooLargeError, QueueFullError, StoppedError.
        """
        data = encoded(identity)
        errors.call(lib.chat_server_set_identity, self._server, client, data, len(data))

    def allow(self, decision: int) -> None:
        """Lets a message be published that a MessageRequest told of, in that event's room, when what the same
        client sent before is decided. It is not if the program has taken the client out of the room since.

        Raises NotFoundError if it was decided on or the time is over, StoppedError.
        """
        errors.call(lib.chat_server_allow, self._server, decision)

    def allow_changed(self, decision: int, data: Data) -> None:
        """Lets another message be published in the place of a client's.

        Raises what `allow` does; InvalidUtf8Error and TooLargeError, after which it is still to be decided on.
        """
        kind, payload = _message(data)
        errors.call(lib.chat_server_allow_changed, self._server, decision, kind, payload, len(payload))

    def refuse(self, decision: int) -> None:
        """Lets a message not be published. Its sender is not told: say so with `send`. Raises what `allow` does."""
        errors.call(lib.chat_server_refuse, self._server, decision)

    def stats(self) -> Stats:
        """What the server has counted, also after it has stopped."""
        out = ffi.new("chat_stats *")
        errors.check(lib.chat_server_stats(self._server, out, ffi.sizeof("chat_stats")))
        return Stats(**{name: int(getattr(out, name)) for name in Stats.__annotations__})

    def next_events(self, timeout: Optional[float] = None) -> list[events.Event]:
        """All events that wait, or the next that comes within `timeout` seconds.

        Raises TimedOutError, StoppedError after the last, UnsupportedError without the option `event_queue`.
        """
        return self._events_queue().take(timeout)

    def events(self) -> AsyncIterator[events.Event]:
        """The events as they come, until the server has stopped. Whoever leaves, or stops waiting for the next,
        loses none of the others; each goes to one of those who wait.

        Raises UnsupportedError without the option `event_queue`.
        """
        return _Events(self, self._events_queue())

    def _events_queue(self) -> EventQueue:
        if self._queue is None:
            raise errors.of(lib.CHAT_ERR_UNSUPPORTED, "no events are collected; set the option event_queue")
        return self._queue

    def request_stop(self) -> None:
        """Begins to stop, with 10 s for the clients, and returns at once."""
        errors.check(lib.chat_server_request_stop(self._server))

    def stop(self, drain: float = DEFAULT_DRAIN) -> None:
        """Stops: delivers what was published, closes every client with code 1001, and waits up to `drain`
        seconds for their answers. Another call may shorten the time.

        Raises TimedOutError if clients had to be cut; it has stopped all the same.
        """
        errors.check(lib.chat_server_stop(self._server, _drain_ms(drain)))

    def close(self) -> None:
        """Stops at once. Closing again is allowed, and does nothing in a fork; later calls raise StoppedError."""
        with contextlib.suppress(errors.TimedOutError, errors.ForkedError):
            self.stop(0)

    def _leave(self) -> None:
        """Stops at the end of a `with`, where nobody asks whether every client has answered."""
        with contextlib.suppress(errors.TimedOutError, errors.ForkedError):
            self.stop(DEFAULT_DRAIN)

    def __enter__(self) -> Server:
        """Stops the server at the end of the `with`."""
        return self

    def __exit__(self, kind: Optional[type[BaseException]], *_: object) -> None:
        """Stops: after an exception at once, otherwise when what was published is delivered."""
        if kind is None:
            self._leave()
        else:
            self.close()

    async def __aenter__(self) -> Server:
        """Stops the server at the end of the `async with`."""
        return self

    async def __aexit__(self, kind: Optional[type[BaseException]], *_: object) -> None:
        """Stops as `with` does. Cancelling it stops at once."""
        # It waits for the server's threads, and the loop has other things to do.
        loop = asyncio.get_running_loop()
        try:
            if kind is None:
                await loop.run_in_executor(None, self._leave)
        except asyncio.CancelledError:
            kind = asyncio.CancelledError
            raise
        finally:
            if kind is not None:
                await loop.run_in_executor(None, self.close)

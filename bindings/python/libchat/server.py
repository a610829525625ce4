"""A running server, and what a program does with it."""

from __future__ import annotations

import asyncio
import logging
import os
import weakref
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional, Union

from . import _log, errors, events
from ._abi import CONSTANTS, encoded, ffi, lib, text
from ._queue import EventQueue
from .options import Options, configure

if TYPE_CHECKING:
    from typing_extensions import Unpack

Data = Union[str, bytes]

#: How long `stop` waits for the clients' answers if it is not told, in seconds.
DEFAULT_DRAIN = 10.0


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
    admissions_timed_out: int  #: Clients that it did not decide on in time.
    messages_refused: int  #: Messages of clients that were not published.
    reviews_timed_out: int  #: Messages among these that the program did not decide on in time.


def _message(data: Data) -> tuple[int, bytes]:
    return (lib.CHAT_TEXT, encoded(data)) if isinstance(data, str) else (lib.CHAT_BINARY, bytes(data))


def _release(server: Any, queue: Optional[EventQueue], pid: int, _callback: Any) -> None:
    """Ends a server that nobody uses any more. In a fork of its process there is nothing to end."""
    if os.getpid() == pid:
        lib.chat_server_stop(server, 0)
        if queue is not None:
            queue.close()
        lib.chat_server_free(server)


class Server:
    """A WebSocket chat and broadcast server on threads of its own. It listens when it is made.

    Any thread may call any method; the calls release the interpreter's lock. `with` and `async with` stop
    it at their end. One that nothing refers to any more is stopped by the garbage collector.
    """

    def __init__(self, *, logger: Optional[logging.Logger] = None, **options: Unpack[Options]) -> None:
        config = lib.chat_config_new(CONSTANTS["CHAT_ABI_VERSION"])
        if config == ffi.NULL:
            raise errors.UnsupportedError("the library is not of this package's version")
        callback = None
        try:
            configure(config, options)
            if logger is not None:
                callback = _log.attach(config, logger)
            out, failure = ffi.new("chat_server **"), ffi.new("chat_error **")
            errors.started(lib.chat_server_start(config, out, failure), failure[0])
        finally:
            lib.chat_config_free(config)
        self._server = out[0]
        self._queue = EventQueue(self._server) if options.get("event_queue", 0) else None
        self.addrs = self._addrs()  #: The addresses of all listeners.
        self._finalizer = weakref.finalize(
            self, _release, self._server, self._queue, os.getpid(), callback
        )

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
        """Delivers a message to every client: str as text, bytes as binary."""
        kind, payload = _message(data)
        errors.check(lib.chat_server_broadcast(self._server, kind, payload, len(payload)))

    def publish(self, room: str, data: Data) -> int:
        """Publishes a message to a room. Returns its place in the room's order: 1 for the first."""
        kind, payload = _message(data)
        name = encoded(room)
        offset = ffi.new("uint64_t *")
        errors.check(
            lib.chat_server_publish(self._server, name, len(name), kind, payload, len(payload), offset)
        )
        return int(offset[0])

    def publish_batch(self, batch: Iterable[tuple[str, Data]]) -> int:
        """Publishes many messages in their order, each a room and what is to be said in it. Returns how
        many were published: the first so many, and on an error the exception's `published` says so."""
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
        """Sends a message to one client."""
        kind, payload = _message(data)
        errors.check(lib.chat_server_send(self._server, client, kind, payload, len(payload)))

    def disconnect(self, client: int, code: int = 1000, reason: str = "") -> None:
        """Closes a client's connection, after what it was sent before."""
        data = encoded(reason)
        errors.check(lib.chat_server_disconnect(self._server, client, code, data, len(data)))

    def accept(self, client: int) -> None:
        """Lets a client be connected that a ConnectRequest told of. What else the answer says is said
        before: `set_identity`, `join` and `leave`, `set_echo`, `send`."""
        errors.check(lib.chat_server_accept(self._server, client))

    def reject(self, client: int, http_status: int, reason: str = "") -> None:
        """Refuses a client that a ConnectRequest told of, with an HTTP status of 400 to 599."""
        data = encoded(reason)
        errors.check(lib.chat_server_reject(self._server, client, http_status, data, len(data)))

    def join(self, client: int, room: str) -> None:
        """Puts a client into a room, beside those that it is in."""
        name = encoded(room)
        errors.check(lib.chat_server_join(self._server, client, name, len(name)))

    def leave(self, client: int, room: str) -> None:
        """Takes a client out of a room. In none, it speaks to the program alone."""
        name = encoded(room)
        errors.check(lib.chat_server_leave(self._server, client, name, len(name)))

    def set_echo(self, client: int, echo: bool) -> None:
        """Sets whether a client receives its own messages."""
        errors.check(lib.chat_server_set_echo(self._server, client, echo))

    def set_identity(self, client: int, identity: str) -> None:
        """Sets what the program calls a client: its later events carry it. At most 256 bytes."""
        data = encoded(identity)
        errors.check(lib.chat_server_set_identity(self._server, client, data, len(data)))

    def allow(self, decision: int) -> None:
        """Lets a message be published that a MessageRequest told of."""
        errors.check(lib.chat_server_allow(self._server, decision))

    def allow_changed(self, decision: int, data: Data) -> None:
        """Lets another message be published in the place of a client's."""
        kind, payload = _message(data)
        errors.check(lib.chat_server_allow_changed(self._server, decision, kind, payload, len(payload)))

    def refuse(self, decision: int) -> None:
        """Lets a message not be published. Its sender is not told: say so with `send`."""
        errors.check(lib.chat_server_refuse(self._server, decision))

    def stats(self) -> Stats:
        """What the server has counted, also after it has stopped."""
        out = ffi.new("chat_stats *")
        errors.check(lib.chat_server_stats(self._server, out, ffi.sizeof("chat_stats")))
        return Stats(**{name: int(getattr(out, name)) for name in Stats.__annotations__})

    def next_events(self, timeout: Optional[float] = None) -> list[events.Event]:
        """All events that wait, or the next that comes within `timeout` seconds. TimedOutError, or
        StoppedError after the last."""
        return self._events_queue().take(timeout)

    async def events(self) -> AsyncIterator[events.Event]:
        """The events as they come, until the server has stopped. Whoever leaves loses none of the others."""
        queue = self._events_queue()
        while (event := await queue.next()) is not None:
            yield event

    def _events_queue(self) -> EventQueue:
        if self._queue is None:
            raise errors.UnsupportedError("no events are collected; set the option event_queue")
        return self._queue

    def request_stop(self) -> None:
        """Begins to stop, with 10 s for the clients, and returns at once."""
        errors.check(lib.chat_server_request_stop(self._server))

    def stop(self, drain: float = DEFAULT_DRAIN) -> None:
        """Stops: delivers what was published, closes every client with code 1001, and waits up to `drain`
        seconds for their answers. TimedOutError if clients had to be cut; it has stopped all the same."""
        errors.check(lib.chat_server_stop(self._server, max(0, round(drain * 1000))))

    def close(self) -> None:
        """Stops at once. Closing again is allowed; later calls raise StoppedError."""
        lib.chat_server_stop(self._server, 0)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Server:
        return self

    async def __aexit__(self, *_: object) -> None:
        # It waits for the server's threads, and the loop has other things to do.
        await asyncio.get_running_loop().run_in_executor(None, self.close)

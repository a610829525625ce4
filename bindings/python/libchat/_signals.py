"""The calls of a server that tell clients what nobody stores."""

from __future__ import annotations

from typing import Any

from . import errors
from ._abi import encoded, lib
from ._message import Data, message


class Signals:
    """Signals: what those in a room, or one client, are told at this moment."""

    _server: Any

    def signal(self, room: str, data: Data) -> None:
        """Tells the clients in a room something that is stored nowhere and has no position, such as that somebody
        types. It comes in the order of the room's messages. Clients of the JSON form and of events get it; plain
        WebSocket clients get none. A client that lags is passed over, and is told nothing of it. At most 4 KiB, or
        `max_message_size` if that is less.

        This never waits. Where too much waits already, the signal is dropped and counted (`Stats.signals_dropped`),
        and nothing is raised, nor if nobody is in the room.

        Raises InvalidArgumentError for a name that no room can have, InvalidUtf8Error, TooLargeError, StoppedError.
        """
        name, (kind, payload) = encoded(room, "room"), message(data)
        errors.call(lib.chat_server_signal, self._server, name, len(name), kind, payload, len(payload))

    def signal_client(self, client: int, data: Data) -> None:
        """Sends a signal to one client, as `signal` does to a room. A client that lags or waits for admission is
        passed over.

        Raises NotFoundError if it has left, InvalidUtf8Error, TooLargeError, StoppedError.
        """
        kind, payload = message(data)
        errors.call(lib.chat_server_signal_client, self._server, client, kind, payload, len(payload))

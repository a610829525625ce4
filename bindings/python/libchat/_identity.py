"""The calls of a server that concern all connections of one identity."""

from __future__ import annotations

from typing import Any, Union

from . import errors
from ._abi import encoded, lib, new
from ._message import Data, message


class ByIdentity:
    """All connections of an identity at once: several clients may have one (`Server.set_identity`)."""

    _server: Any

    def send_to_identity(self, identity: str, data: Data) -> int:
        """Sends a message to all connections of an identity, whatever rooms they are in: str as text, bytes as
        binary. Returns how many they are: 0 is no error. A connection counts from the `set_identity` that has given
        it the identity until that of another one, a `disconnect`, or its end. One that waits for admission counts,
        and receives the message when it is accepted. An empty identity is nobody's.

        Raises InvalidUtf8Error; TooLargeError for the message and for an identity of more than 256 bytes;
        QueueFullError if too much waits for any of the connections: nothing was sent then, to no one; StoppedError:
        a part may have been sent.
        """
        kind, payload = message(data)
        return self._reach(lib.chat_server_send_to_identity, identity, kind, payload, len(payload))

    def disconnect_identity(self, identity: str, code: int = 1000, reason: str = "") -> int:
        """Closes all connections of an identity, each as `disconnect` does, and does not wait for them. Returns how
        many they are. One that waits for admission is rejected with HTTP 403 and the reason.

        When this has returned, the identity has no connection: one that is closed with `disconnect` or with this
        does not count any more, though its Disconnected may come later, and still carries the identity.

        Raises InvalidArgumentError for a code that `disconnect` does not take, InvalidUtf8Error, TooLargeError for
        the reason and for an identity of more than 256 bytes, StoppedError.
        """
        text = encoded(reason, "reason")
        return self._reach(lib.chat_server_disconnect_identity, identity, code, text, len(text))

    def join_identity(self, identity: str, room: str) -> int:
        """Puts all connections of an identity into a room, each as `join` does. Returns how many of them are in the
        room then; those that were there already are among them. All enter between the same messages, and get
        nothing of the room's past: to give it, call `join` with `past` for each of `identity_clients`. A client of
        events is in one room: one that is in another stays there, and does not count.

        Raises TooManyRoomsError if any other connection of the identity is in as many rooms as it may be (the option
        max_rooms_per_client); to put those into the room that have a place, call `join` for each of
        `identity_clients`. InvalidArgumentError for a name that no room has, InvalidUtf8Error, TooLargeError,
        QueueFullError, StoppedError. Whatever it raises, nothing has changed for any of the connections.
        """
        name = encoded(room, "room")
        return self._reach(lib.chat_server_join_identity, identity, name, len(name))

    def leave_identity(self, identity: str, room: str) -> int:
        """Takes all connections of an identity out of a room, each as `leave` does. Returns how many of them were in
        the room. One that waits for admission to the room does not ask for it any more, and counts.

        Raises InvalidArgumentError for a name that no room has, InvalidUtf8Error, TooLargeError, QueueFullError: then
        nothing has changed; StoppedError: a part may have left.
        """
        name = encoded(room, "room")
        return self._reach(lib.chat_server_leave_identity, identity, name, len(name))

    def identity_clients(self, identity: str) -> list[int]:
        """Returns the clients that have an identity now, in no particular order: those whom `send_to_identity` would
        reach. Those that wait for admission are among them.

        Raises InvalidUtf8Error, TooLargeError for an identity of more than 256 bytes, StoppedError.
        """
        name, count, capacity = encoded(identity, "identity"), new("size_t *"), 8
        while True:
            clients = new("chat_client_id[]", capacity)
            status = lib.chat_server_identity_clients(self._server, name, len(name), clients, capacity, count)
            if status != lib.CHAT_ERR_TOO_LARGE or count[0] <= capacity:
                errors.check(status)
                return [clients[index] for index in range(count[0])]
            capacity = count[0] * 3 // 2  # More may come meanwhile.

    def _reach(self, function: Any, identity: str, *arguments: Union[int, bytes]) -> int:
        name, reached = encoded(identity, "identity"), new("size_t *")
        errors.call(function, self._server, name, len(name), *arguments, reached)
        return int(reached[0])

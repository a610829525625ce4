"""The exceptions of this package: one for each status of the library. Their texts name the argument that is wrong."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, Callable, Optional

from ._abi import ffi, lib, parameters

if TYPE_CHECKING:
    from .position import Position


class Error(Exception):
    """A call failed. The text names the argument that is wrong, as in "room: it is empty", and says what to do next;
    it is for people."""

    #: The status as a number of the C library, such as that of CHAT_ERR_STOPPED.
    status: int = 0
    #: For `publish_batch` and `publish_to`: the positions of the messages that were published.
    positions: Sequence[Position] = ()


class InvalidArgumentError(Error, ValueError):
    """An argument or an option has a value that is not allowed."""


class InvalidUtf8Error(Error, ValueError):
    """A text is not Unicode. Send it as bytes."""


class TooLargeError(Error, ValueError):
    """A message or a text is longer than its limit."""


class NotFoundError(Error, LookupError):
    """There is no such client or decision. A client may just have left, or a decision may be too late."""


class StoppedError(Error):
    """The server is stopping or has stopped."""


class TimedOutError(Error, TimeoutError):
    """The given time was not enough."""


class QueueFullError(Error):
    """Too much waits to be delivered. Nothing was done: publish again later."""


class InHandlerError(Error):
    """The call was made inside a log handler, for which it would wait."""


class ForkedError(Error):
    """The server belongs to another process, and this process was forked from that one."""


class UnsupportedError(Error):
    """The server was started without the option that the call needs."""


class TooManyRoomsError(Error):
    """The client is in as many rooms as it may be: one with events, else max_rooms_per_client; let it leave one
    first."""


class FailedError(Error):
    """A part of the server could not go on, so the server has stopped by itself. The text says which part, and why,
    such as the text of a panic; the log says it too."""


class KeyReusedError(Error):
    """The key was used for another message within the last five minutes. Nothing was published: publish each message
    with its own key."""


class AddressInUseError(Error, OSError):
    """The port is in use."""


class AddressUnavailableError(Error, OSError):
    """The address does not belong to this machine."""


class PermissionDeniedError(Error, PermissionError):
    """The operating system does not permit it, for example a port below 1024."""


class ResourceLimitError(Error, OSError):
    """The operating system has no thread, descriptor or memory left."""


class IoError(Error, OSError):
    """The operating system reported another error."""


class PanicError(Error):
    """A bug in libchat. The call had no effect, or only a part of it."""


BY_STATUS: dict[str, type[Error]] = {
    "CHAT_ERR_INVALID_ARGUMENT": InvalidArgumentError,
    "CHAT_ERR_NULL_ARGUMENT": InvalidArgumentError,
    "CHAT_ERR_INVALID_UTF8": InvalidUtf8Error,
    "CHAT_ERR_TOO_LARGE": TooLargeError,
    "CHAT_ERR_NOT_FOUND": NotFoundError,
    "CHAT_ERR_STOPPED": StoppedError,
    "CHAT_ERR_TIMED_OUT": TimedOutError,
    "CHAT_ERR_QUEUE_FULL": QueueFullError,
    "CHAT_ERR_IN_HANDLER": InHandlerError,
    "CHAT_ERR_FORKED": ForkedError,
    "CHAT_ERR_UNSUPPORTED": UnsupportedError,
    "CHAT_ERR_TOO_MANY_ROOMS": TooManyRoomsError,
    "CHAT_ERR_FAILED": FailedError,
    "CHAT_ERR_KEY_REUSED": KeyReusedError,
    "CHAT_ERR_ADDRESS_IN_USE": AddressInUseError,
    "CHAT_ERR_ADDRESS_UNAVAILABLE": AddressUnavailableError,
    "CHAT_ERR_PERMISSION_DENIED": PermissionDeniedError,
    "CHAT_ERR_RESOURCE_LIMIT": ResourceLimitError,
    "CHAT_ERR_IO": IoError,
    "CHAT_ERR_PANIC": PanicError,
}


def outcome(status: int) -> Optional[Error]:
    """Returns the exception of a call of the library that this thread has just made; None if it has succeeded."""
    if status == 0:
        return None
    return of(status, ffi.string(lib.chat_last_error_message()).decode("utf-8", "replace"))


def check(status: int) -> None:
    """Raises the exception of a call of the library that this thread has just made, unless it has succeeded."""
    if (error := outcome(status)) is not None:
        raise error


def call(function: Callable[..., int], *arguments: Any) -> None:
    """Calls a function of the library, and raises the exception of its status. A number that C cannot be given, or
    something that is no number, is an error that names the parameter, as the header calls it."""
    try:
        status = function(*arguments)
    except (OverflowError, TypeError) as error:
        raise _wrong_number(function, arguments) or error from error
    check(status)


def _wrong_number(function: Any, arguments: Sequence[Any]) -> Optional[Exception]:
    for name, kind, value in zip(parameters(function), ffi.typeof(function).args, arguments):
        if kind.kind != "primitive":
            continue
        if not hasattr(value, "__index__"):
            return TypeError(f"{name}: {shown(value)} is not an int")
        largest = 256 ** ffi.sizeof(kind) - 1
        if not 0 <= int(value) <= largest:
            return of(lib.CHAT_ERR_INVALID_ARGUMENT, f"{name}: {shown(value)} is not from 0 to {largest}")
    return None


def shown(value: Any) -> str:
    """Returns a value as text for an error, unless the text is long."""
    # ValueError: Python writes no number of more than 4,300 digits.
    with contextlib.suppress(ValueError):
        if len(text := repr(value)) <= 40:
            return text
    return f"a value of type {type(value).__name__}"


def flag(value: bool, name: str) -> int:
    """Returns a truth value as C takes it."""
    if not isinstance(value, bool):
        raise TypeError(f"{name}: {shown(value)} is not True or False")
    return value


def seconds(value: Any, name: str) -> float:
    """Returns a time in seconds."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name}: {shown(value)} is not a number of seconds, such as 2.5")
    if (time := float(value)) != time:
        raise of(lib.CHAT_ERR_INVALID_ARGUMENT, f"{name}: it is not a number")
    return time


def of(status: int, message: str = "", os_code: int = 0) -> Error:
    """Returns the exception of a status."""
    name = ffi.string(lib.chat_status_name(status)).decode()
    message = message or ffi.string(lib.chat_status_message(status)).decode()
    kind = BY_STATUS.get(name, Error)
    arguments: tuple[Any, ...] = (os_code, message) if issubclass(kind, OSError) and os_code else (message,)
    error = kind(*arguments)
    error.status = status
    return error


def started(status: int, failure: Any) -> None:
    """Raises the exception of a failed start, with the library's text."""
    if status == 0:
        return
    try:
        message = ffi.string(lib.chat_error_message(failure)).decode("utf-8", "replace")
        raise of(status, message, lib.chat_error_os_code(failure))
    finally:
        lib.chat_error_free(failure)

"""Serving until a signal comes."""

from __future__ import annotations

import contextlib
import inspect
import signal
from typing import Any, Callable, Optional

from . import errors, events
from ._abi import lib
from ._ender import start_ender
from .server import Server, drain_ms

#: How long `run` gives the clients after a signal, in seconds: what `chat-server` gives them.
RUN_DRAIN = 5.0

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run(
    server: Server, on_event: Optional[Callable[[events.Event], object]] = None, *, drain: float = RUN_DRAIN
) -> None:
    """Serves until SIGINT (Ctrl-C) or SIGTERM comes, or until another thread stops the server; then returns.

    `on_event` is called with each event, in order, on this thread: the server needs the option `event_queue`. An
    exception of `on_event` stops the server at once and leaves this call; but StoppedError is ignored, which its
    calls raise while the server stops. Without `on_event`, the program takes the events itself, if it wants them.

    On a signal the server stops as `stop(drain)` does, and `on_event` gets the events that are left. A second signal
    stops it at once, and interrupts `on_event` if that still runs. Further signals are ignored until the call has
    returned. After the call the signals have the handlers that they had before. In asyncio use
    `loop.add_signal_handler` with `Server.request_stop`.

    Raises RuntimeError on another thread than the main one, where Python handles no signals; TypeError if `on_event`
    is a coroutine function; UnsupportedError for an `on_event` without events; FailedError if the server ended by
    itself.
    """
    if not isinstance(server, Server):
        raise TypeError(f"run: {server!r} is not a server; write libchat.run(libchat.Server(…))")
    if inspect.iscoroutinefunction(on_event):
        raise TypeError("run: on_event is a coroutine function; use `async for event in server.events()` instead")
    signals = _Signals(server, drain_ms(drain))
    signals.handle()
    try:
        try:
            signals.may_interrupt = True
            _serve(server, on_event)
        finally:
            signals.may_interrupt = False
    except KeyboardInterrupt:
        if signals.count < 2:
            raise
    finally:
        # The handlers last: one of the program's own would interrupt the stop.
        try:
            server._cut()
        finally:
            signals.restore()


def _serve(server: Server, on_event: Optional[Callable[[events.Event], object]]) -> None:
    while on_event is not None:
        try:
            taken = server.next_events()
        except errors.StoppedError:
            break
        for event in taken:
            with contextlib.suppress(errors.StoppedError):
                on_event(event)
    server.wait()


class _Signals:
    """The signals that stop a server."""

    def __init__(self, server: Server, drain_ms: int) -> None:
        self.count = 0
        #: Whether the second signal may interrupt the code that runs.
        self.may_interrupt = False
        self._server = server
        self._drain_ms = drain_ms
        self._previous: dict[signal.Signals, Any] = {}

    def handle(self) -> None:
        for number in _SIGNALS:
            try:
                self._previous[number] = signal.signal(number, self._on_signal)
            except ValueError:
                # Asked of Python itself: in a patched program `threading` does not know the main thread.
                raise RuntimeError(
                    "run: only the main thread can handle signals; on this one call server.wait()"
                ) from None

    def restore(self) -> None:
        for number, handler in self._previous.items():
            # None: a handler that is not Python's, which Python cannot restore.
            if handler is not None:
                signal.signal(number, handler)

    def _on_signal(self, _number: int, _frame: object) -> None:
        self.count += 1
        if self.count > 2:
            return
        try:
            # Not here: Python runs this in the middle of any code, which may hold a lock that a log line waits for.
            start_ender(self._stop if self.count == 1 else self._stop_at_once)
        except RuntimeError:
            self._server.request_stop()  # There is no thread to be had.
        if self.count == 2 and self.may_interrupt:
            raise KeyboardInterrupt

    def _stop(self) -> None:
        lib.chat_server_stop(self._server._server, self._drain_ms)

    def _stop_at_once(self) -> None:
        lib.chat_server_stop(self._server._server, 0)

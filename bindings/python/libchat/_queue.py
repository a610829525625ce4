"""The queue of events between the library and the program, for threads, greenlets and asyncio."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from typing import Any, Optional

from . import errors, events
from ._abi import WAIT_FOREVER, lib, new
from ._condition import Condition
from ._native import is_current, new_thread


class EventQueue:
    """Passes the events of a server to the program.

    One thread waits in C, without a time limit. A caller here can therefore stop waiting at once, and no event
    that arrives meanwhile is lost. The thread fetches more when all events are taken; the option event_queue
    bounds the events that wait in C. When the server has stopped, the thread ends, and callers fetch the events
    that are left themselves: nobody waits for them any more.
    """

    def __init__(self, server: Any) -> None:
        """Makes the queue of a server. `start` begins to fill it."""
        self._server = server
        self._events: deque[events.Event] = deque()
        self._changed = Condition()
        self._thread = new_thread(self._pull, "libchat-python")
        self._pulling = False
        self._ended = False
        self._failure: Optional[Exception] = None
        self._leaving = False
        self._pid = os.getpid()

    def start(self) -> None:
        """Starts the thread. It may run even if this fails: after `leave` it does nothing."""
        self._thread.start()

    def _pull(self) -> None:
        with self._changed:
            self._pulling = True
        try:
            while not (self._leaving or self._ended):
                self._fetch(WAIT_FOREVER)
                with self._changed:
                    self._changed.wait_until(
                        lambda: not self._events or self._leaving or self._ended, greenlets=False
                    )
        finally:
            with self._changed:
                self._pulling = False
                self._changed.notify_all()

    def _fetch(self, timeout: int) -> None:
        """Fetches events that wait in the library."""
        batch: list[Optional[events.Event]] = []
        failure: Optional[Exception] = None
        try:
            out = new("chat_events **")
            ended = lib.chat_server_next_events(self._server, timeout, out) != 0
            if not ended:
                try:
                    count = lib.chat_events_len(out[0])
                    batch = [events.read(lib.chat_events_get(out[0], index)) for index in range(count)]
                finally:
                    lib.chat_events_free(out[0])
        except Exception as error:
            # For callers that wait: without it they would take this for the server's end.
            ended, failure = True, error
        with self._changed:
            self._events.extend(event for event in batch if event is not None)
            self._ended = ended or isinstance(batch[-1], events.Stopped)
            self._failure = failure
            self._changed.notify_all()

    def _fetch_left(self) -> bool:
        """Fetches events that the thread has left, if it has ended before them. The caller has the lock."""
        is_left = self._leaving and not (self._pulling or self._ended)
        if is_left:
            # The server has stopped, so this does not wait.
            self._fetch(0)
        return is_left

    def leave(self) -> None:
        """Ends the thread, without waiting for the events to be taken. The server must have stopped. After this only
        `take` and `next` use it."""
        with self._changed:
            self._leaving = True
            self._changed.notify_all()
        if is_current(self._thread):
            return  # A finalizer of the program's, which the garbage collector calls on any thread.
        # RuntimeError: its start was interrupted. It may run all the same, or later, when it does nothing.
        with contextlib.suppress(RuntimeError):
            self._thread.join()
        with self._changed:
            self._changed.wait_until(lambda: not self._pulling, greenlets=False)

    def _check_process(self) -> None:
        """Raises ForkedError in a fork, where the thread does not exist but may hold the lock for ever."""
        if os.getpid() != self._pid:
            raise errors.of(lib.CHAT_ERR_FORKED)

    def _has_news(self) -> bool:
        """Whether there is an event, or there will be none. The caller has the lock."""
        while not self._events and self._fetch_left():
            pass
        return bool(self._events) or self._ended

    def take(self, timeout: Optional[float]) -> list[events.Event]:
        """Returns the events that wait here, or waits for one."""
        self._check_process()
        with self._changed:
            if not self._changed.wait_until(self._has_news, timeout):
                raise errors.of(lib.CHAT_ERR_TIMED_OUT)
            if not self._events:
                raise self._failure or errors.of(lib.CHAT_ERR_STOPPED)
            taken = list(self._events)
            self._events.clear()
            self._changed.notify_all()
            return taken

    async def next(self) -> Optional[events.Event]:
        """Returns the next event; None after the last. A cancelled call has taken no event."""
        self._check_process()
        while True:
            with self._changed:
                if self._has_news():
                    if self._events:
                        event = self._events.popleft()
                        self._changed.notify_all()
                        return event
                    if self._failure is not None:
                        raise self._failure
                    return None
                future, give_up = self._changed.add_task()
            try:
                await future
            finally:
                give_up()

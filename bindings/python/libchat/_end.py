"""Waiting for the end of a server, for threads, greenlets and asyncio."""

from __future__ import annotations

import os
from typing import Any, Optional

from . import errors
from ._abi import WAIT_FOREVER, lib
from ._condition import Condition
from ._native import AnyThread, is_current, new_thread


class End:
    """The end of a server.

    The first that waits starts a thread, which waits in C, without a time limit. A caller here can therefore stop
    waiting at once: a Ctrl-C does not wait for the server. The thread ends with the server.
    """

    def __init__(self, server: Any) -> None:
        """Makes the end of a server that runs."""
        self._server = server
        self._changed = Condition()
        self._thread: Optional[AnyThread] = None
        self._is_known = False
        self._failure: Optional[tuple[int, str]] = None
        self._pid = os.getpid()

    def _await(self) -> None:
        error = errors.outcome(lib.chat_server_wait(self._server, WAIT_FOREVER))
        with self._changed:
            self._note(error)
            self._changed.notify_all()

    def _note(self, error: Optional[errors.Error]) -> None:
        """Notes how the server has ended. Not the exception itself: each caller raises one of its own."""
        self._is_known = True
        self._failure = None if error is None else (error.status, str(error))

    def _is_over(self) -> bool:
        """Whether the server has ended. If not, a thread waits for that. The caller has the lock."""
        if not self._is_known and self._thread is None:
            error = errors.outcome(lib.chat_server_wait(self._server, 0))
            if not isinstance(error, errors.TimedOutError):
                self._note(error)
            else:
                thread = new_thread(self._await, "libchat-python-end")
                thread.start()
                self._thread = thread
        return self._is_known

    def _check_process(self) -> None:
        """Raises ForkedError in a fork, where the thread does not exist but may hold the lock for ever."""
        if os.getpid() != self._pid:
            raise errors.of(lib.CHAT_ERR_FORKED)

    def wait(self, timeout: Optional[float]) -> None:
        """Waits until the server has ended."""
        self._check_process()
        with self._changed:
            if not self._is_over() and not self._changed.wait_until(lambda: self._is_known, timeout):
                raise errors.of(lib.CHAT_ERR_TIMED_OUT)
        self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise errors.of(*self._failure)

    async def wait_async(self) -> None:
        """Does what `wait` does, in asyncio."""
        self._check_process()
        with self._changed:
            if not self._is_over():
                future, give_up = self._changed.add_task()
        if not self._is_known:
            try:
                await future
            finally:
                give_up()
        self._raise_failure()

    def leave(self) -> None:
        """Waits for the thread. The server must have stopped."""
        thread = self._thread
        if thread is not None and not is_current(thread):
            thread.join()

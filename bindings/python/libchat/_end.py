"""Waiting for the end of a server, for threads and asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from typing import Any, Optional

from . import errors
from ._abi import WAIT_FOREVER, lib


def finish(future: asyncio.Future[None]) -> None:
    """Ends a wait for a future."""
    if not future.done():
        future.set_result(None)


Waiting = list[tuple[asyncio.AbstractEventLoop, "asyncio.Future[None]"]]


def wake(waiting: Waiting) -> None:
    """Ends the waits of tasks, each in its loop, and forgets them. Any thread may call it."""
    for loop, future in waiting:
        # RuntimeError: the loop is closed, and no task waits in it.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(finish, future)
    waiting.clear()


class End:
    """The end of a server.

    The first that waits starts a thread, which waits in C, without a time limit. A caller here can therefore stop
    waiting at once: a Ctrl-C does not wait for the server. The thread ends with the server.
    """

    def __init__(self, server: Any) -> None:
        """Makes the end of a server that runs."""
        self._server = server
        self._changed = threading.Condition()
        self._thread: Optional[threading.Thread] = None
        self._status: Optional[int] = None
        self._waiting: Waiting = []
        self._pid = os.getpid()

    def _await(self) -> None:
        status = lib.chat_server_wait(self._server, WAIT_FOREVER)
        with self._changed:
            self._status = status
            self._changed.notify_all()
            wake(self._waiting)

    def _is_over(self) -> bool:
        """Whether the server has ended. If not, a thread waits for that. The caller has the lock."""
        if self._status is None and self._thread is None:
            status = lib.chat_server_wait(self._server, 0)
            if status != lib.CHAT_ERR_TIMED_OUT:
                self._status = status
            else:
                # A daemon thread, as that of the queue.
                self._thread = threading.Thread(target=self._await, name="libchat-python-end", daemon=True)
                self._thread.start()
        return self._status is not None

    def _check_process(self) -> None:
        """Raises ForkedError in a fork, where the thread does not exist but may hold the lock for ever."""
        if os.getpid() != self._pid:
            raise errors.of(lib.CHAT_ERR_FORKED)

    def wait(self, timeout: Optional[float]) -> None:
        """Waits until the server has ended."""
        self._check_process()
        limit = None if timeout is None else min(timeout, threading.TIMEOUT_MAX)
        with self._changed:
            if not self._is_over() and not self._changed.wait_for(lambda: self._status is not None, limit):
                raise errors.of(lib.CHAT_ERR_TIMED_OUT)
        errors.check(self._status or 0)

    async def wait_async(self) -> None:
        """Does what `wait` does, in asyncio."""
        self._check_process()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        with self._changed:
            if self._is_over():
                finish(future)
            else:
                self._waiting.append((loop, future))
        try:
            await future
        finally:
            with self._changed:
                self._waiting = [entry for entry in self._waiting if entry[1] is not future]
        errors.check(self._status or 0)

    def leave(self) -> None:
        """Waits for the thread. The server must have stopped."""
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

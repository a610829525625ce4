"""What threads, greenlets and tasks wait for in the same way."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import sys
import time
from typing import Any, Callable, ClassVar, Optional

from ._native import original, patched_by

# A wait is repeated after this time, in seconds. No clock of select or of a lock takes longer ones.
_LONGEST_WAIT = 86_400.0

# How late a program of gevent may hear a signal, in seconds.
_LONGEST_POLL = 1.0


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class Condition:
    """A lock, and a change under it that others wait for: on a thread until a lock is released, in gevent until its
    loop calls back, in eventlet until a pipe is readable, in asyncio until a future is done.

    The lock is one of the operating system. No greenlet waits for anything else while it holds the lock, so all
    greenlets of a thread may use it.
    """

    def __init__(self) -> None:
        """Makes a condition for which nobody waits."""
        # Recursive: a finalizer that the garbage collector calls under the lock may make calls of a server.
        self._lock: Any = original("RLock")()
        self._wakers: list[Callable[[], object]] = []
        self._patched_by = patched_by()

    def __enter__(self) -> None:
        """Takes the lock."""
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        """Releases the lock."""
        self._lock.release()

    def notify_all(self) -> None:
        """Wakes all that wait. The caller has the lock."""
        wakers, self._wakers = self._wakers, []
        for wake in wakers:
            wake()

    def wait_until(
        self, predicate: Callable[[], bool], timeout: Optional[float] = None, greenlets: bool = True
    ) -> bool:
        """Waits until the predicate is true, up to `timeout` seconds, and tells whether it is. The caller has the
        lock. Without `greenlets` the wait stops all greenlets of the thread: a thread of this package has none.

        Raises RuntimeError if the program was patched after this was made: the threads that end the wait are of the
        other kind then.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while not predicate():
            left = _LONGEST_WAIT if deadline is None else min(deadline - time.monotonic(), _LONGEST_WAIT)
            if left <= 0:
                return False
            patched = patched_by() if greenlets else ""
            if greenlets and patched != self._patched_by:
                raise RuntimeError("gevent or eventlet patched this program too late: patch before libchat.Server(…)")
            self._WAITS[patched](self, left)
        return True

    def _wait_for_lock(self, timeout: float) -> None:
        woken = original("allocate_lock")()
        woken.acquire()
        self._wait(woken.release, lambda: woken.acquire(timeout=timeout))

    def _wait_for_gevent(self, timeout: float) -> None:
        hub: Any = sys.modules["gevent.hub"]
        here = hub.get_hub()
        waiter = hub.Waiter(here)
        # gevent hears a signal that comes just before it polls only when it polls again. And not a `gevent.Timeout`:
        # with a signal at the same moment, that would be raised in the next wait of the program.
        timer = here.loop.timer(min(timeout, _LONGEST_POLL))
        timer.start(waiter.switch, None)
        try:
            self._wait(lambda: here.loop.run_callback_threadsafe(waiter.switch, None), waiter.get)
        finally:
            timer.stop()
            timer.close()

    def _wait_for_eventlet(self, timeout: float) -> None:
        select: Any = importlib.import_module("eventlet.green.select").select
        reading, writing = os.pipe()
        open_ends = [reading, writing]
        try:
            # Not to a number that is another file's by then: a second Ctrl-C may have kept the waker in the list.
            wake = lambda: open_ends and os.write(writing, b".")  # noqa: E731
            self._wait(wake, lambda: select([reading], [], [], timeout))
        finally:
            open_ends.clear()
            os.close(reading)
            os.close(writing)

    _WAITS: ClassVar[dict[str, Callable[[Condition, float], None]]] = {
        "": _wait_for_lock,
        "gevent": _wait_for_gevent,
        "eventlet": _wait_for_eventlet,
    }

    def _wait(self, wake: Callable[[], object], wait: Callable[[], object]) -> None:
        self._wakers.append(wake)
        self._lock.release()
        try:
            wait()
        finally:
            self._lock.acquire()
            self._forget(wake)

    def _forget(self, wake: Callable[[], object]) -> None:
        with contextlib.suppress(ValueError):
            self._wakers.remove(wake)

    def add_task(self) -> tuple[asyncio.Future[None], Callable[[], None]]:
        """Returns a future that is done after the next change, and a function that gives the future up. The caller
        has the lock, and calls the function, without the lock, when it waits no more."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()

        def wake() -> None:
            # RuntimeError: the loop is closed, and no task waits in it.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_finish, future)

        def give_up() -> None:
            with self:
                self._forget(wake)

        self._wakers.append(wake)
        return future, give_up

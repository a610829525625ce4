"""Threads that the garbage collector may start, and that can be waited for."""

from __future__ import annotations

import _thread
import os
import sys
from typing import Any, Callable


class Ender:
    """A thread that ends something. It does not come from `threading`: the code that the garbage collector
    interrupts may hold locks of that module. But an interpreter that ends must wait for it: a thread that is left
    is fatal to a subinterpreter.
    """

    def __init__(self, body: Callable[[], object]) -> None:
        """Starts the thread. Raises RuntimeError if there is none to be had."""
        self._pid = os.getpid()
        if sys.version_info >= (3, 13):
            self._thread = _thread.start_joinable_thread(body, daemon=True)
        else:
            self._body = body
            self._begun = _thread.allocate_lock()
            self._begun.acquire()
            _thread.start_new_thread(self._run, ())

    if sys.version_info >= (3, 13):

        def join(self) -> None:
            """Waits until nothing of the thread is left. In a fork, where there is no such thread, does not wait."""
            if os.getpid() == self._pid:
                self._thread.join()

        def is_gone(self) -> bool:
            """Whether nothing of the thread is left."""
            return self._thread.is_done()
    else:

        def _run(self) -> None:
            # The interpreter releases this lock when it has forgotten the thread.
            self._left: Any = _thread._set_sentinel()  # type: ignore[attr-defined]
            self._left.acquire()
            self._begun.release()
            self._body()

        def join(self) -> None:
            """Waits until nothing of the thread is left. In a fork, where there is no such thread, does not wait."""
            if os.getpid() == self._pid:
                with self._begun, self._left:
                    pass

        def is_gone(self) -> bool:
            """Whether nothing of the thread is left."""
            return not (self._begun.locked() or self._left.locked())

"""Threads and locks of the operating system, also where gevent or eventlet have replaced those of Python.

After `monkey.patch_all()` a thread is a greenlet, and a greenlet that waits in C stops all others. The threads of
this package wait in C, so they are made from what Python had before.
"""

from __future__ import annotations

import _thread
import os
import sys
import threading
from typing import Any, Callable, Optional, Union


def patched_by() -> str:
    """Tells who has patched this program: gevent, eventlet, or nobody, which is the empty text.

    Looked up at each wait: a program may patch itself after it has imported this package.
    """
    gevent: Any = sys.modules.get("gevent.monkey")
    if gevent is not None and any(map(gevent.is_module_patched, ("threading", "select", "socket"))):
        return "gevent"
    eventlet: Any = sys.modules.get("eventlet.patcher")
    if eventlet is not None and any(map(eventlet.is_monkey_patched, ("thread", "select", "socket"))):
        return "eventlet"
    return ""


def original(name: str) -> Any:
    """Returns what the module `_thread` has under a name before any patch."""
    gevent: Any = sys.modules.get("gevent.monkey")
    if gevent is not None:
        return gevent.get_original("_thread", name)
    eventlet: Any = sys.modules.get("eventlet.patcher")
    if eventlet is not None and eventlet.is_monkey_patched("thread"):
        return getattr(eventlet.original("_thread"), name)
    return getattr(_thread, name)


class Thread:
    """A thread that the garbage collector and a signal handler may start. It does not come from `threading`: the code
    that they interrupt may hold locks of that module. But an interpreter that ends must wait for it: a thread that
    is left is fatal to a subinterpreter.
    """

    def __init__(self, body: Callable[[], object]) -> None:
        """Makes a thread that is not started."""
        self._body = body
        self._pid = os.getpid()
        self._begun: Any = None
        self.ident: Optional[int] = None

    def start(self) -> None:
        """Starts the thread. Raises RuntimeError if there is none to be had."""
        if sys.version_info >= (3, 13):
            self._begun = original("start_joinable_thread")(self._run, daemon=True)
        else:
            begun = original("allocate_lock")()
            begun.acquire()
            original("start_new_thread")(self._run_until_left, (begun,))
            self._begun = begun

    def _run(self) -> None:
        self.ident = original("get_ident")()
        self._body()

    def _run_until_left(self, begun: Any) -> None:
        # The interpreter releases this lock when it has forgotten the thread.
        self._left: Any = original("_set_sentinel")()
        self._left.acquire()
        begun.release()
        self._run()

    def join(self) -> None:
        """Waits until nothing of the thread is left. Does not wait for one that was not started, nor in a fork, where
        there is no such thread."""
        if self._begun is None or os.getpid() != self._pid:
            return
        if sys.version_info >= (3, 13):
            self._begun.join()
        else:
            with self._begun, self._left:
                pass

    def is_gone(self) -> bool:
        """Whether nothing of a thread is left that was started."""
        if sys.version_info >= (3, 13):
            return bool(self._begun.is_done())
        return not (self._begun.locked() or self._left.locked())


AnyThread = Union[Thread, threading.Thread]


def new_thread(body: Callable[[], object], name: str) -> AnyThread:
    """Makes a daemon thread that is not started: at exit the interpreter joins the other threads before the servers
    are stopped, and only the stop ends the threads of this package."""
    if patched_by():
        return Thread(body)
    return threading.Thread(target=body, name=name, daemon=True)


def is_current(thread: AnyThread) -> bool:
    """Whether the caller runs on this thread."""
    return bool(thread.ident == original("get_ident")())

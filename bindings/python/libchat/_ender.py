"""Threads that end servers."""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Optional

from . import errors
from ._abi import lib
from ._condition import Condition
from ._native import Thread, patched_by

# The threads that end or stop servers, with some that have ended.
_ENDERS: set[Thread] = set()


def start_ender(body: Callable[[], object]) -> Thread:
    """Starts a thread, for which the end of the program waits. The garbage collector may call this at any moment.

    Raises RuntimeError if there is no thread to be had.
    """
    _ENDERS.difference_update([ender for ender in list(_ENDERS) if ender.is_gone()])
    thread = Thread(body)
    thread.start()
    _ENDERS.add(thread)
    return thread


def join_enders() -> None:
    """Waits until nothing of these threads is left."""
    for ender in list(_ENDERS):
        ender.join()


def stop(server: Any, drain_ms: int) -> Optional[errors.Error]:
    """Stops a server, and returns the exception of the call, if it failed. A drain runs on a thread of its own: Python
    hears no Ctrl-C, and no greenlet runs, while the caller is in C. An exception that ends the wait, such as
    KeyboardInterrupt, cuts the drain short: then the server has stopped too.
    """
    # Asked on this thread: a stop on another one would wait for a log handler that waits for it.
    error = errors.outcome(lib.chat_server_wait(server, 0))
    if isinstance(error, (errors.InHandlerError, errors.ForkedError)):
        return error
    # A stop at once takes no time, but its log lines may: under gevent their handlers may wait for a greenlet.
    if drain_ms == 0 and not patched_by():
        return errors.outcome(lib.chat_server_stop(server, 0))
    done = Condition()
    outcomes: list[Optional[errors.Error]] = []

    def drain() -> None:
        outcome = errors.outcome(lib.chat_server_stop(server, drain_ms))
        with done:
            outcomes.append(outcome)
            done.notify_all()

    ender: Optional[Thread] = None
    try:
        with contextlib.suppress(RuntimeError):
            ender = start_ender(drain)
        if ender is None:
            drain()  # There is no thread to be had, or the interpreter ends: nothing can interrupt it.
        with done:
            done.wait_until(lambda: bool(outcomes))
    except BaseException:
        lib.chat_server_stop(server, 0)
        raise
    finally:
        if ender is not None:
            ender.join()
    return outcomes[0]

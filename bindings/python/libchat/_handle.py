"""A server of the library's, from its start to its end, whoever lets go of it and wherever."""

from __future__ import annotations

import _thread
import atexit
import logging
import os
import threading
from typing import Any, Optional

from . import _log, errors
from ._abi import CONSTANTS, ffi, lib
from ._queue import EventQueue
from .options import Options, configure

# All that are not freed. So they and their log callbacks live until the library has let go of both, even if
# that never happens.
_LIVE: set[Handle] = set()


class Handle:
    """Owns a server of the library's, and what must live as long.

    It is not `Server` itself, which the collector takes on whatever thread it runs: in a log handler on one
    of the library's threads, where a server cannot be stopped, or on the thread of its own queue, which would
    wait for itself.
    """

    def __init__(self) -> None:
        self.server: Any = ffi.NULL
        self.queue: Optional[EventQueue] = None
        self._callback: Any = None
        self._pid = os.getpid()
        # A stop and a free must not be under way at once: the program's end may come while one is ended.
        self._ending = threading.Lock()

    def start(self, options: Options, logger: Optional[logging.Logger]) -> None:
        """Starts the server. If that fails, or is interrupted, nothing is left of it."""
        out, failure = ffi.new("chat_server **"), ffi.new("chat_error **")
        config = lib.chat_config_new(CONSTANTS["CHAT_ABI_VERSION"])
        if config == ffi.NULL:
            raise errors.of(lib.CHAT_ERR_UNSUPPORTED, "the library is not of this package's version")
        _LIVE.add(self)
        try:
            try:
                configure(config, options)
                if logger is not None:
                    self._callback = _log.attach(config, logger)
                errors.started(lib.chat_server_start(config, out, failure), failure[0])
            finally:
                self.server = out[0]
                lib.chat_config_free(config)
            if options.get("event_queue", 0):
                self.queue = EventQueue(self.server)
                self.queue.start()
        except BaseException:  # KeyboardInterrupt too: nobody else could end what runs already.
            self.end()
            raise

    def release(self) -> None:
        """Has the server ended, on a thread of its own. For the collector: from any thread, at any moment.

        That thread is not one of `threading`, whose locks the interrupted code may hold.
        """
        # In a fork of the server's process there is nothing to end.
        if self.server == ffi.NULL or os.getpid() != self._pid:
            return
        try:
            _thread.start_new_thread(self.end, ())
        except RuntimeError:
            # There is no thread to be had, and nobody to tell: it stops, but is not freed.
            lib.chat_server_request_stop(self.server)

    def end(self) -> None:
        """Stops the server and frees it. Nobody uses it any more, and the caller is in no handler."""
        with self._ending:
            if self.server != ffi.NULL:
                lib.chat_server_stop(self.server, 0)
                if self.queue is not None:
                    self.queue.close()
                lib.chat_server_free(self.server)
                self.server = ffi.NULL
            _LIVE.discard(self)

    def request_stop(self) -> None:
        """Begins to stop the server, unless it is another process's, or is being ended and may be freed."""
        if os.getpid() == self._pid and self._ending.acquire(blocking=False):
            try:
                lib.chat_server_request_stop(self.server)
            finally:
                self._ending.release()

    def stop_at_exit(self) -> None:
        """Stops the server, so that none of its threads calls a logger in an interpreter that is no more.

        It is not freed: threads that nobody waits for at the end may be in its calls.
        """
        # First: in a fork, a thread that is not there may hold the lock.
        if os.getpid() == self._pid:
            with self._ending:
                lib.chat_server_stop(self.server, 0)


@atexit.register
def _stop_all() -> None:
    handles = list(_LIVE)
    # All of them, even if a Ctrl-C ends the wait for the first.
    for handle in handles:
        handle.request_stop()
    for handle in handles:
        handle.stop_at_exit()

"""Ownership of a server in the library, from its start to its end, on any thread."""

from __future__ import annotations

import atexit
import logging
import os
from typing import Any, Optional

from . import _log, errors
from ._abi import CONSTANTS, ffi, lib, new
from ._end import End
from ._ender import join_enders, start_ender
from ._native import original
from ._queue import EventQueue
from .options import Options, configure

# All handles whose server is not freed. The set keeps them and their log callbacks alive until the library no
# longer uses them, even if that never happens.
_LIVE: set[Handle] = set()

# Whether the interpreter ends: no server starts any more.
_exiting = False


class Handle:
    """Owns a server in the library, and the objects that must live as long.

    It is not `Server` itself, because the garbage collector may end a `Server` on any thread: in a log handler
    on one of the library's threads, where a server cannot be stopped, or on the thread of the server's own
    queue, which would then wait for itself.
    """

    def __init__(self) -> None:
        self.server: Any = ffi.NULL
        self.queue: Optional[EventQueue] = None
        self.ended: Optional[End] = None
        self._callback: Any = None
        self._pid = os.getpid()
        # A start, a stop and a free must not run at once: the program may end while another thread starts or ends
        # the server.
        self._ending: Any = original("allocate_lock")()

    def start(self, options: Options, logger: Optional[logging.Logger]) -> None:
        """Starts the server. If that fails or is interrupted, nothing of it is left."""
        config = lib.chat_config_new(CONSTANTS["CHAT_ABI_VERSION"])
        if config == ffi.NULL:
            raise errors.of(lib.CHAT_ERR_UNSUPPORTED, "the library is not of this package's version")
        _LIVE.add(self)
        try:
            try:
                configure(config, options)
                if logger is not None:
                    self._callback = _log.attach(config, logger)
                with self._ending:
                    self._start(config, bool(options.get("event_queue", 0)))
            finally:
                lib.chat_config_free(config)
        except BaseException:  # KeyboardInterrupt too: no other code could end what already runs.
            self.end()
            raise

    def _start(self, config: Any, has_queue: bool) -> None:
        if _exiting:
            raise errors.of(lib.CHAT_ERR_STOPPED, "the interpreter ends")
        out, failure = new("chat_server **"), new("chat_error **")
        try:
            status = lib.chat_server_start(config, out, failure)
        finally:
            self.server = out[0]
        errors.started(status, failure[0])
        self.ended = End(self.server)
        if has_queue:
            self.queue = EventQueue(self.server)
            self.queue.start()

    def release(self) -> None:
        """Ends the server on a new thread. The garbage collector calls this on any thread, at any moment."""
        # A fork of the server's process has no server to end.
        if self.server == ffi.NULL or os.getpid() != self._pid:
            return
        try:
            start_ender(self.end)
        except RuntimeError:
            # No thread is available, and there is no caller to tell: stop the server without freeing it.
            lib.chat_server_request_stop(self.server)

    def end(self) -> None:
        """Stops the server and frees it. No other thread may use it, and the caller must be in no handler."""
        with self._ending:
            if self.server != ffi.NULL:
                lib.chat_server_stop(self.server, 0)
                self.leave()
                lib.chat_server_free(self.server)
                self.server = ffi.NULL
            _LIVE.discard(self)

    def leave(self) -> None:
        """Ends the threads of this package that wait for the server, which must have stopped."""
        if self.queue is not None:
            self.queue.leave()
        if self.ended is not None:
            self.ended.leave()

    def request_stop(self) -> None:
        """Begins to stop the server, unless it belongs to another process or `end` may be freeing it."""
        if os.getpid() == self._pid and self._ending.acquire(blocking=False):
            try:
                lib.chat_server_request_stop(self.server)
            finally:
                self._ending.release()

    def stop_at_exit(self) -> None:
        """Stops the server and ends its thread here, so that none calls Python after the interpreter has ended.

        The server is not freed: daemon threads may still be in its calls.
        """
        # Check this first: in a fork, a thread that does not exist there may hold the lock.
        if os.getpid() == self._pid:
            with self._ending:
                if self.server != ffi.NULL:
                    lib.chat_server_stop(self.server, 0)
                    self.leave()


@atexit.register
def _stop_all() -> None:
    global _exiting
    _exiting = True
    handles = list(_LIVE)
    # Request all stops first, so that all servers stop even if a Ctrl-C ends the wait for one.
    for handle in handles:
        handle.request_stop()
    for handle in handles:
        handle.stop_at_exit()
    join_enders()

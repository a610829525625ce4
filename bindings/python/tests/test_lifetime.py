"""However a server ends, and whoever ends it: it is stopped, freed once, and never used after that."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import threading
import time
import weakref
from typing import Any, Callable

import pytest
from conftest import PATIENCE, run_program, silent_client
from test_chat import run
from websockets.asyncio.client import connect
from websockets.sync.client import connect as connect_in_thread

import libchat
import libchat.server
from libchat import _handle

Start = Callable[..., libchat.Server]

# More than what sockets hold, so that a server which does not wait has to cut the client.
MUCH: list[bytes] = [number.to_bytes(2, "big") * 8192 for number in range(1000)]

# A program that forgets a server in a cycle, which only the collector finds, and is told when it is freed.
FORGETTING = """
import contextlib, gc, logging, threading, urllib.request, weakref
import libchat
from libchat import _handle, events

def end(handle, end=_handle.Handle.end):
    end(handle)
    # Whoever it was that collected, the queue's thread was waited for.
    assert not handle.queue._pulling
    freed.set()

def collect():
    if forgotten is not None and forgotten() is not None:
        gc.collect()
        collected.append(threading.current_thread())

freed, collected, forgotten = threading.Event(), [], None
_handle.Handle.end = end
gc.disable()
"""
FORGET = """
server.itself, addr, reference = server, server.addr, weakref.ref(server)
del server
forgotten = reference
with contextlib.suppress(OSError):
    urllib.request.urlopen(f"http://{addr}/", timeout=10)
"""
CHECK_FREED = """
assert freed.wait(10), "not freed"
assert forgotten() is None and not _handle._LIVE
assert collected and threading.main_thread() not in collected, collected
print("freed")
"""


def test_a_server_that_is_collected_in_a_log_handler_is_freed() -> None:
    program = """
class Collecting(logging.Handler):
    def emit(self, record):
        collect()

logger = logging.Logger("collecting", logging.DEBUG)
logger.addHandler(Collecting())
server = libchat.Server(listen="127.0.0.1:0", event_queue=10, logger=logger)
"""
    assert run_program(FORGETTING + program + FORGET + CHECK_FREED) == (0, "freed\n", "")


def test_a_server_that_is_collected_on_the_thread_of_its_queue_is_freed() -> None:
    program = """
def read(event, read=events.read):
    collect()
    return read(event)

events.read = read
server = libchat.Server(listen="127.0.0.1:0", event_queue=10)
"""
    # The event of a client that connects.
    connecting = """
import socket
with socket.create_connection(addr.split(":"), 10) as peer:
    peer.sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\nSec-WebSocket-Version: 13\\r\\n\\r\\n")
    while peer.recv(1000):
        pass
"""
    assert run_program(FORGETTING + program + FORGET + connecting + CHECK_FREED) == (0, "freed\n", "")


def test_a_program_ends_though_its_server_runs() -> None:
    program = """
import libchat
server = libchat.Server(listen="127.0.0.1:0", event_queue=10)
server.broadcast("x")
print("end")
"""
    assert run_program(program) == (0, "end\n", "")


@pytest.mark.parametrize("attempt", range(5))
def test_a_program_ends_though_its_daemon_threads_call_the_server(attempt: int) -> None:
    program = """
import contextlib, logging, threading
import libchat

class Seen(logging.Handler):
    def emit(self, record):
        seen.append(record.getMessage())

def publish():
    while True:
        with contextlib.suppress(libchat.Error):
            server.publish("lobby", "x")
            started.set()
        with contextlib.suppress(libchat.Error):
            server.next_events(0)

seen, started = [], threading.Event()
logger = logging.Logger("seen", logging.DEBUG)
logger.addHandler(Seen())
server = libchat.Server(listen="127.0.0.1:0", event_queue=10, logger=logger)
for _ in range(3):
    threading.Thread(target=publish, daemon=True).start()
started.wait()
print("end")
"""
    assert run_program(program) == (0, "end\n", "")


def resources() -> tuple[int, int]:
    return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))


def test_nothing_is_left_of_servers_that_were_closed_or_forgotten() -> None:
    libchat.Server(listen="127.0.0.1:0", event_queue=1).close()
    gc.collect()
    before = resources()
    for number in range(200):
        server = libchat.Server(listen="127.0.0.1:0", event_queue=1, logger=logging.getLogger("quiet"))
        if number % 2:
            server.close()
    forgotten = weakref.ref(server)
    del server
    gc.collect()
    assert forgotten() is None
    deadline = time.monotonic() + PATIENCE
    # Not `!=`: servers of the tests before may still have been ending at the beginning.
    while any(now > then for now, then in zip(resources(), before)):
        assert time.monotonic() < deadline, (resources(), before)
        time.sleep(0.01)


def test_a_start_that_fails_half_way_leaves_nothing(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failed(BaseException):
        pass

    def fail(thread: threading.Thread) -> None:
        raise Failed

    ended = start()
    ended.close()
    before = set(_handle._LIVE)
    with monkeypatch.context() as patch, pytest.raises(Failed):
        patch.setattr(threading.Thread, "start", fail)
        start(listen=ended.addr, logger=logging.getLogger("quiet"))
    assert before >= _handle._LIVE
    # The port is free again.
    assert start(listen=ended.addr).addr == ended.addr


def test_the_end_of_a_with_delivers_what_was_published() -> None:
    got: list[Any] = []
    # The client, left later than the server, closes nothing by itself.
    with contextlib.ExitStack() as later:
        with libchat.Server(listen="127.0.0.1:0", outbox_size=64 << 20) as server:
            peer = later.enter_context(connect_in_thread(f"ws://{server.addr}/"))
            reading = threading.Thread(target=lambda: got.extend(peer))
            reading.start()
            server.publish_batch([("lobby", data) for data in MUCH])
        reading.join(PATIENCE)
    assert got == MUCH
    assert peer.close_code == 1001


def test_the_end_of_an_async_with_delivers_what_was_published() -> None:
    async def listen() -> None:
        async def read() -> list[Any]:
            return [message async for message in peer]

        async with libchat.Server(listen="127.0.0.1:0", outbox_size=64 << 20) as server:
            peer = await connect(f"ws://{server.addr}/")
            reading = asyncio.create_task(read())
            server.publish_batch([("lobby", data) for data in MUCH])
        assert await reading == MUCH
        assert peer.close_code == 1001

    run(listen())


def test_the_end_of_a_with_does_not_fail_because_of_a_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libchat.server, "DEFAULT_DRAIN", 0.1)
    with libchat.Server(listen="127.0.0.1:0") as server:
        peer = silent_client(server.addr)
    with pytest.raises(libchat.StoppedError):
        server.broadcast("x")
    peer.close()


def test_an_exception_that_leaves_a_with_waits_for_nobody() -> None:
    before = time.monotonic()
    with pytest.raises(RuntimeError, match="mine"), libchat.Server(listen="127.0.0.1:0") as server:
        peer = silent_client(server.addr)
        raise RuntimeError("mine")
    with pytest.raises(libchat.StoppedError):
        server.broadcast("x")
    assert time.monotonic() - before < libchat.server.DEFAULT_DRAIN / 2
    peer.close()


def test_a_task_that_is_cancelled_stops_its_server_at_once() -> None:
    async def serve(inside: asyncio.Future[libchat.Server], leave: asyncio.Event) -> None:
        async with libchat.Server(listen="127.0.0.1:0") as server:
            inside.set_result(server)
            await leave.wait()

    async def cancelled(draining: bool) -> None:
        loop = asyncio.get_running_loop()
        inside: asyncio.Future[libchat.Server] = loop.create_future()
        leave = asyncio.Event()
        serving = asyncio.create_task(serve(inside, leave))
        server = await inside
        peer = silent_client(server.addr)
        if draining:
            leave.set()
            # The close frame, to which there will be no answer.
            assert (await loop.run_in_executor(None, peer.recv, 1)) == b"\x88"
        before = time.monotonic()
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert time.monotonic() - before < libchat.server.DEFAULT_DRAIN / 2
        with pytest.raises(libchat.StoppedError):
            server.broadcast("x")
        peer.close()

    run(cancelled(draining=False))
    run(cancelled(draining=True))

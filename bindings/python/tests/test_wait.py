"""Waiting for the end of a server, which may come by itself."""

from __future__ import annotations

import asyncio
import subprocess
import threading
import urllib.request
from pathlib import Path
from typing import Any, Callable

import pytest
from conftest import PATIENCE, run_program
from test_threads import threads
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

import libchat

Start = Callable[..., libchat.Server]

# The epoll_wait of the library's threads fails once the file LIBCHAT_BREAKS exists.
BREAKING = """
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int epoll_wait(int epoll, struct epoll_event *events, int most, int timeout) {
  char name[16] = "";
  prctl(PR_GET_NAME, name);
  if (strncmp(name, "libchat-", 8) == 0 && access(getenv("LIBCHAT_BREAKS"), F_OK) == 0) return errno = EBADF, -1;
  return (int)syscall(SYS_epoll_pwait, epoll, events, most, timeout, NULL, 8);
}
"""

END_BY_ITSELF = """
import asyncio, os, socket, threading
import libchat

def fails(call):
    try:
        call()
    except libchat.FailedError as error:
        return "thread libchat-" in str(error) and "event loop failed: Bad file descriptor" in str(error)
    return False

server = libchat.Server(listen="127.0.0.1:0", event_queue=10)
host, port = server.addr.split(":")
peer = socket.create_connection((host, int(port)), 10)
told = []
waiting = [threading.Thread(target=lambda: told.append(fails(lambda: server.wait(30)))),
    threading.Thread(target=lambda: told.append(fails(lambda: asyncio.run(server.wait_async()))))]
for thread in waiting:
    thread.start()
open(os.environ["LIBCHAT_BREAKS"], "w").close()
peer.close()  # Wakes the thread from the last epoll_wait that works.
for thread in waiting:
    thread.join()
assert told == [True, True], told
assert fails(server.wait) and fails(server.stop) and fails(server.close)
assert fails(lambda: server.__exit__(None, None, None))
try:
    with server:
        raise KeyError
except KeyError:
    print("failed")
"""


@pytest.mark.parametrize("stop", [libchat.Server.stop, libchat.Server.close, libchat.Server.request_stop])
def test_a_wait_ends_with_the_server_by_each_kind_of_stop(start: Start, stop: Callable[[libchat.Server], None]) -> None:
    server = start(event_queue=0)
    with pytest.raises(libchat.TimedOutError):
        server.wait(0)
    with pytest.raises(libchat.TimedOutError):
        server.wait(0.01)
    waiting = [threading.Thread(target=server.wait), threading.Thread(target=asyncio.run, args=[server.wait_async()])]
    for thread in waiting:
        thread.start()
    stop(server)
    for thread in waiting:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    server.wait()
    asyncio.run(server.wait_async())
    server.close()
    assert not threads()


def test_a_wait_that_is_cancelled_leaves_the_server_running(start: Start) -> None:
    server = start(event_queue=0)

    async def impatient() -> None:
        for _ in range(20):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(server.wait_async(), 0.001)

    asyncio.run(impatient())
    assert len(threads()) == 1
    server.broadcast("still there")
    server.close()
    assert not threads()


def test_a_server_that_ends_by_itself_says_so(tmp_path: Path) -> None:
    source, library = tmp_path / "breaking.c", tmp_path / "breaking.so"
    source.write_text(BREAKING)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    variables = {"LD_PRELOAD": str(library), "LIBCHAT_BREAKS": str(tmp_path / "breaks")}
    assert run_program(END_BY_ITSELF, **variables) == (0, "failed\n", "")


def test_pages_that_were_answered_are_counted(start: Start) -> None:
    server = start()
    with urllib.request.urlopen(f"http://{server.addr}/health", timeout=PATIENCE) as answer:
        assert answer.status == 200
    stats = server.stats()
    assert (stats.requests_answered, stats.connections_refused) == (1, 0)


@pytest.mark.parametrize("status", [0, 200, 203, 205, 399, 600])
def test_a_status_that_refuses_nobody_is_a_wrong_argument(start: Start, status: int) -> None:
    server = start()
    with pytest.raises(libchat.InvalidArgumentError):
        server.reject(1, status)
    with pytest.raises(libchat.NotFoundError):
        server.reject(1, 204)


@pytest.mark.parametrize("headers", [{"X-A": "b\r\nX-C: d"}, {"X A": "b"}, [("Content-Length", "7")]])
def test_a_header_that_breaks_http_is_a_wrong_argument(start: Start, headers: Any) -> None:
    server = start()
    with pytest.raises(libchat.InvalidArgumentError):
        server.reject(1, 401, "", headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"WWW-Authenticate": 'Basic realm="chat"', "Retry-After": "5"},
        [("X-Twice", "one"), ("WWW-Authenticate", "Basic"), ("X-Twice", "two")],
        None,
    ],
)
def test_a_rejection_has_the_headers_of_the_program(start: Start, headers: Any) -> None:
    server = start(admission_timeout=PATIENCE)

    def decide() -> None:
        for event in server.next_events(PATIENCE):
            assert isinstance(event, libchat.ConnectRequest)
            server.reject(event.client, 401, "sign in first", headers)

    deciding = threading.Thread(target=decide)
    deciding.start()
    with pytest.raises(InvalidStatus) as refused:
        connect(f"ws://{server.addr}/")
    deciding.join(PATIENCE)
    answer = refused.value.response
    assert answer.status_code == 401 and answer.body == b"sign in first\n"
    pairs = list(answer.headers.raw_items())
    wanted = list(headers.items() if isinstance(headers, dict) else headers or [("WWW-Authenticate", "Bearer")])
    assert [pair for pair in pairs if pair in wanted] == wanted
    assert len(server.addrs) == 1 and server.stats().admissions_rejected == 1


def test_nothing_is_left_of_waits_that_have_ended(start: Start) -> None:
    server = start()

    async def impatient() -> None:
        for waiting in (server.events().__anext__, server.wait_async):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(waiting(), 0.001)

    for wait in (server.next_events, server.wait):
        with pytest.raises(libchat.TimedOutError):
            wait(0.001)
    asyncio.run(impatient())
    assert server._queue is not None and server._queue._changed._wakers == []
    assert server._end()._changed._wakers == []

"""A shard that is held up applies nothing: its inbox fills, and then every call waits for `publish_timeout`, says
that it is full, and has done nothing."""

from __future__ import annotations

import logging
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Callable

import pytest
from conftest import PATIENCE, silent_client

import libchat

Start = Callable[..., libchat.Server]

INBOX = 16_384


class Holding(logging.Handler):
    """Holds the thread of a shard when it logs that a page was requested."""

    def __init__(self) -> None:
        super().__init__()
        self.held, self.let_go = threading.Event(), threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage().startswith("page requested"):
            self.held.set()
            self.let_go.wait(PATIENCE)


def is_in_time(call: Callable[[], object], timeout: float) -> bool:
    """Whether a call that fails has waited for its time and not much longer."""
    begun = time.monotonic()
    with pytest.raises(libchat.QueueFullError):
        call()
    took = time.monotonic() - begun
    assert took >= timeout
    return took < max(1.5 * timeout, 0.2)


def get(addr: str, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://{addr}{path}", timeout=2 * PATIENCE) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize("timeout", [0.0, 0.5])
def test_a_call_beyond_the_bound_of_an_inbox_waits_publish_timeout_and_does_nothing(
    start: Start, timeout: float
) -> None:
    holding = Holding()
    logger = logging.Logger("holding", logging.DEBUG)
    logger.addHandler(holding)
    server = start(workers=1, publish_timeout=timeout, logger=logger)
    peer = silent_client(server.addr)
    (connected,) = server.next_events(PATIENCE)
    assert isinstance(connected, libchat.Connected)
    client = connected.client
    with ThreadPoolExecutor() as threads:
        refused = threads.submit(get, server.addr, "/nowhere")
        assert holding.held.wait(PATIENCE)
        server.publish_batch([("lobby", b"")] * INBOX)
        before = server.stats()
        calls: list[Callable[[], object]] = [
            lambda: server.publish("new", "x"),
            lambda: server.publish_batch([("new", "x")] * 300 + [("newer", "x")] * 300),
            lambda: server.broadcast("x"),
            lambda: server.send(client, "x"),
            lambda: server.join(client, "new"),
            lambda: server.leave(client, "lobby"),
            lambda: server.set_echo(client, False),
            lambda: server.set_identity(client, "ana"),
        ]
        # Scheduling is not ours: of several tries the best counts.
        assert all(any(is_in_time(call, timeout) for _ in range(10)) for call in calls)
        assert server.stats() == before
        holding.let_go.set()
        assert refused.result(PATIENCE) == 404
    left = INBOX * b"\x82\x00"
    while left:
        received = peer.recv(len(left))
        assert received and left.startswith(received)
        left = left[len(received) :]
    # What the client says now is told as ever, and reaches it: "hi", masked with zeros.
    peer.sendall(b"\x81\x82\x00\x00\x00\x00hi")
    assert peer.recv(100) == b"\x81\x02hi"
    (said,) = server.next_events(PATIENCE)
    assert isinstance(said, libchat.Message)
    assert (said.room, said.position.offset, said.identity) == ("lobby", INBOX + 1, "")
    assert server.publish("new", "x").offset == 1
    peer.close()

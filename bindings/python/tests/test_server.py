"""Starting, stopping, and everything that can go wrong on the way."""

from __future__ import annotations

import errno
import gc
import logging
import os
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import Any, Callable

import pytest
from conftest import PATIENCE

import libchat

Start = Callable[..., libchat.Server]


def test_a_failed_start_says_why(start: Start) -> None:
    used = start()
    with pytest.raises(libchat.AddressInUseError, match="another") as failed:
        start(listen=used.addr)
    assert isinstance(failed.value, OSError) and failed.value.errno == errno.EADDRINUSE
    with pytest.raises(libchat.InvalidArgumentError, match="workers.*outbox_size"):
        start(workers=1000, outbox_size=1)
    with pytest.raises(libchat.InvalidArgumentError, match="admission_timeout"):
        start(admission_timeout=1, event_queue=0)
    for options in ({"ping_interval": -1.0}, {"slow_consumer": "wait"}, {"workers": -1}, {"history_age": 1e30}):
        with pytest.raises(libchat.InvalidArgumentError, match=next(iter(options))):
            start(**options)
    with pytest.raises(TypeError, match="colour"):
        start(colour="red")


def test_every_option_may_be_set(start: Start) -> None:
    options: dict[str, Any] = {
        "listen": ["127.0.0.1:0", "127.0.0.1:0"], "origin": "*", "workers": 2, "echo": False,
        "max_connections": 1, "max_handshakes": 1, "handshake_timeout": 0.5, "handshake_size": 8192,
        "admission_timeout": 0.5, "review_timeout": 0.5, "max_message_size": 10, "outbox_size": 8192,
        "outbox_age": 0.5, "slow_consumer": "drop_oldest", "ping_interval": 0.5, "ping_timeout": 0.5,
        "tcp_keepalive": 2, "history_messages": 1, "history_size": 10, "history_age": 0.5, "history_total": 10,
        "publish_timeout": 0, "event_queue": 10,
    }  # fmt: skip
    assert set(options) == set(libchat.Options.__annotations__)
    assert len(start(**options).addrs) == 2


def test_each_status_is_an_exception_of_its_own(start: Start) -> None:
    server = start(max_message_size=10, event_queue=0)
    for failing, error in (
        (lambda: server.publish("", "x"), libchat.InvalidArgumentError),
        (lambda: server.publish("lobby", "\ud800"), libchat.InvalidUtf8Error),
        (lambda: server.broadcast(b"eleven byte"), libchat.TooLargeError),
        (lambda: server.publish_batch([("lobby", "good"), ("lobby", b"eleven byte")]), libchat.TooLargeError),
        (lambda: server.send(1, "x"), libchat.NotFoundError),
        (lambda: server.accept(1), libchat.NotFoundError),
        (lambda: server.refuse(1), libchat.NotFoundError),
        (lambda: server.next_events(0), libchat.UnsupportedError),
    ):
        with pytest.raises(error) as failed:
            failing()
        assert isinstance(failed.value, libchat.Error) and str(failed.value)
    assert server.stats().messages_published == 0
    server.stop()
    server.close()
    with pytest.raises(libchat.StoppedError):
        server.broadcast("x")
    assert server.stats().connections == 0


def test_threads_may_publish_while_one_stops(start: Start) -> None:
    for _ in range(20):
        server = start(event_queue=0)
        published: list[int] = []

        def publish(server: libchat.Server = server, published: list[int] = published) -> None:
            count = 0
            try:
                while True:
                    server.publish("lobby", "x")
                    count += 1
            except libchat.StoppedError:
                published.append(count)

        threads = [threading.Thread(target=publish) for _ in range(4)]
        for thread in threads:
            thread.start()
        server.stop()
        for thread in threads:
            thread.join(PATIENCE)
        assert sum(published) == server.stats().messages_published


def resources() -> tuple[int, int]:
    return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))


def test_nothing_is_left_of_servers_that_were_closed_or_forgotten(start: Start) -> None:
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
    while resources() != before:
        assert time.monotonic() < deadline, (resources(), before)
        time.sleep(0.01)


def test_log_lines_go_to_the_logger(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "chat")
    server = start(logger=logging.getLogger("chat"))
    server.stop()
    messages = [record.getMessage() for record in caplog.records if record.name == "chat"]
    assert any("listening" in message for message in messages), messages


def test_a_fork_is_told_that_the_server_is_not_its_own(start: Start) -> None:
    server = start(event_queue=0)
    if (child := os.fork()) == 0:
        try:
            server.broadcast("x")
        except libchat.ForkedError:
            os._exit(0)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    server.broadcast("still there")


def test_a_program_ends_though_its_server_runs() -> None:
    program = (
        "import libchat\n"
        "server = libchat.Server(listen='127.0.0.1:0', event_queue=10)\n"
        "server.broadcast('x')\n"
        "print('end')\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(libchat.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, env=environment
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")

"""Starting, stopping, and everything that can go wrong on the way."""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import os
import threading
from pathlib import Path
from typing import Any, Callable

import pytest
from conftest import PATIENCE, silent_client

import libchat
from libchat import _abi

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
    for options in (
        {"ping_interval": -1.0},
        {"busy_poll": 2e-3},
        {"slow_consumer": "wait"},
        {"overdue": "maybe"},
        {"workers": -1},
        {"history_age": 1e30},
    ):
        with pytest.raises(libchat.InvalidArgumentError, match=next(iter(options))):
            start(**options)
    with pytest.raises(TypeError, match="colour"):
        start(colour="red")


def test_every_option_may_be_set(start: Start) -> None:
    options: dict[str, Any] = {
        "listen": ["127.0.0.1:0", "127.0.0.1:0"], "ipv6_only": True, "origin": "*", "workers": 2, "busy_poll": 5e-5,
        "echo": False,
        "max_connections": 1, "max_handshakes": 1, "max_rooms_per_client": 1, "handshake_timeout": 0.5,
        "handshake_size": 8192, "base_path": "/chat",
        "admission_timeout": 0.5, "review_timeout": 0.5, "overdue": "allow", "max_message_size": 10,
        "outbox_size": 131_072, "outbox_age": 0.5, "slow_consumer": "drop_oldest", "ping_interval": 0.5,
        "ping_timeout": 0.5,
        "tcp_keepalive": 2, "history_messages": 1, "history_size": 10, "history_age": 0.5, "history_total": 8192,
        "publish_timeout": 0, "event_queue": 10, "signal_rate": 5, "members": "host", "member_grace": 0.5,
        "occupancy": True,
    }  # fmt: skip
    assert set(options) == set(libchat.Options.__annotations__)
    assert len(start(**options).addrs) == 2


def test_each_status_is_an_exception_of_its_own(start: Start) -> None:
    server = start(max_message_size=10, event_queue=0)
    for failing, error in (
        (lambda: server.publish("", "x"), libchat.InvalidArgumentError),
        (lambda: server.position("a\nb"), libchat.InvalidArgumentError),
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


def test_log_lines_go_to_the_logger(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "chat")
    server = start(logger=logging.getLogger("chat"))
    server.stop()
    messages = [record.getMessage() for record in caplog.records if record.name == "chat"]
    assert any("listening" in message for message in messages), messages


def test_a_log_handler_can_make_no_call_and_is_told_so() -> None:
    class Closing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            calls: list[Callable[[], object]] = [server.close, server.stop, lambda: server.broadcast("x")]
            for call in calls:
                try:
                    call()
                except libchat.Error as error:
                    told.append(type(error))

    told: list[type] = []
    logger = logging.Logger("closing", logging.INFO)
    server = libchat.Server(listen="127.0.0.1:0", logger=logger)
    logger.addHandler(Closing())
    server.close()
    assert told and set(told) == {libchat.InHandlerError}
    server.close()


def test_numbers_that_c_has_no_room_for_are_wrong_arguments(start: Start) -> None:
    server = start()
    calls: list[Callable[[], object]] = [
        lambda: server.disconnect(1, 70_000),
        lambda: server.reject(1, 70_000),
        lambda: server.send(-1, "x"),
        lambda: server.join(2**64, "tea"),
        lambda: server.allow(-1),
        lambda: server.stop(math.nan),
    ]
    for failing in calls:
        with pytest.raises(libchat.InvalidArgumentError) as failed:
            failing()
        assert failed.value.status == _abi.lib.CHAT_ERR_INVALID_ARGUMENT


def test_what_is_no_message_is_not_sent(start: Start) -> None:
    server = start()
    for wrong in (42, None, ["x"]):
        with pytest.raises(TypeError):
            server.publish("lobby", wrong)  # type: ignore[arg-type]
    assert server.stats().messages_published == 0
    assert server.publish("lobby", bytearray(b"x")).offset == 1
    assert server.publish("lobby", memoryview(b"xyz")[::2]).offset == 2


@pytest.mark.parametrize("drain", [math.inf, 1e12, -1])
def test_no_time_is_too_long_or_too_short_to_stop(start: Start, drain: float) -> None:
    server = start()
    server.stop(drain)
    with pytest.raises(libchat.StoppedError):
        server.broadcast("x")
    assert server.next_events(math.inf) == [libchat.Stopped()]


def test_an_option_fails_with_its_name_and_what_is_wrong(start: Start) -> None:
    with pytest.raises(libchat.InvalidUtf8Error, match="origin"):
        start(origin="\ud800")
    with pytest.raises(libchat.TooLargeError, match="listen"):
        start(listen="x" * 70_000)
    with pytest.raises(libchat.InvalidArgumentError, match="workers") as failed:
        start(workers=-1)
    assert failed.value.status == _abi.lib.CHAT_ERR_INVALID_ARGUMENT


def test_a_package_near_the_root_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_abi, "_HERE", Path("/app/libchat"))
    with pytest.raises(ImportError, match="LIBCHAT_NOWHERE"):
        _abi._find("libchat.so", "LIBCHAT_NOWHERE", "target/release/libchat.so")


def test_an_event_that_cannot_be_read_is_not_taken_for_the_end(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(event: Any) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(libchat.events, "read", fail)
    server = start()
    with silent_client(server.addr):
        with pytest.raises(MemoryError):
            server.next_events(PATIENCE)
        with pytest.raises(MemoryError):
            asyncio.run(first(server))


async def first(server: libchat.Server) -> libchat.Event:
    return await server.events().__anext__()


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


def test_a_fork_that_waits_for_events_is_told_too(start: Start) -> None:
    server = start()
    if (child := os.fork()) == 0:
        told = 0
        for waiting in (lambda: server.next_events(PATIENCE), lambda: asyncio.run(first(server))):
            try:
                waiting()
            except libchat.ForkedError:
                told += 1
        with server:
            server.close()
        os._exit(0 if told == 2 else 1)
    assert os.waitpid(child, 0)[1] == 0
    server.stop()
    assert server.next_events(PATIENCE) == [libchat.Stopped()]


def test_a_fork_may_start_a_server_of_its_own(start: Start) -> None:
    server = start()
    if (child := os.fork()) == 0:
        with libchat.Server(listen="127.0.0.1:0", event_queue=10) as own:
            silent_client(own.addr).close()
            told = isinstance(own.next_events(PATIENCE)[0], libchat.Connected)
        os._exit(0 if told else 1)
    assert os.waitpid(child, 0)[1] == 0
    server.broadcast("still there")

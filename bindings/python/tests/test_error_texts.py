"""The text of each exception names the argument that is wrong, whatever is wrong with it."""

from __future__ import annotations

import threading
from typing import Any, Callable

import pytest

import libchat
from libchat import _abi

Start = Callable[..., libchat.Server]


def begins(error: BaseException, text: str) -> bool:
    return str(error).startswith(text)


def test_what_the_library_refuses_is_named(start: Start) -> None:
    server = start(max_message_size=10)
    long, two = "x" * 257, [("r", "x"), ("", "")]
    for want, kind, call in (
        ("room: it is empty", libchat.InvalidArgumentError, lambda: server.publish("", "x")),
        ("room: it has control characters", libchat.InvalidArgumentError, lambda: server.position("a\nb")),
        ("room: the text is not UTF-8, from byte 1 on", libchat.InvalidUtf8Error, lambda: server.join(1, "a\ud800")),
        ("data: 11 bytes are too many: 10 are allowed", libchat.TooLargeError, lambda: server.broadcast("x" * 11)),
        ("messages[1].room: it is empty", libchat.InvalidArgumentError, lambda: server.publish_batch(two)),
        ("rooms[1]: it is empty", libchat.InvalidArgumentError, lambda: server.publish_to(["a", ""], "x")),
        ("rooms[1]: the text is not UTF-8", libchat.InvalidUtf8Error, lambda: server.publish_to(["a", "\ud800"], "x")),
        ("timeout: it is not a number", libchat.InvalidArgumentError, lambda: server.wait(float("nan"))),
        ("identity: 257 bytes are too many", libchat.TooLargeError, lambda: server.set_identity(1, long)),
        ("name: it is longer than 128 bytes", libchat.InvalidArgumentError, lambda: server.set_name(1, long)),
        ("client: there is no such client", libchat.NotFoundError, lambda: server.send(1, "x")),
        ("decision: there is no such decision", libchat.NotFoundError, lambda: server.allow(1)),
        ("code: 1005 must not be sent", libchat.InvalidArgumentError, lambda: server.disconnect(1, 1005)),
        ("code: 70000 is not from 0 to 65535", libchat.InvalidArgumentError, lambda: server.disconnect(1, 70_000)),
        ("client: -1 is not from 0 to 1844", libchat.InvalidArgumentError, lambda: server.accept(-1)),
        ("http_status: 200 does not refuse", libchat.InvalidArgumentError, lambda: server.reject(1, 200)),
        ("headers: libchat sets this", libchat.InvalidArgumentError, lambda: server.reject(1, 403, "", {"Date": "x"})),
        ("past: -1 messages are no past", libchat.InvalidArgumentError, lambda: server.join(1, "r", past=-1)),
        ("text: '7' is not a position", libchat.InvalidArgumentError, lambda: libchat.Position.parse("7")),
        ("base_path: the text is not UTF-8", libchat.InvalidUtf8Error, lambda: start(base_path="\ud800")),
    ):  # fmt: skip
        with pytest.raises(kind) as failed:
            call()
        assert begins(failed.value, want), (want, str(failed.value))


def test_an_argument_of_another_type_is_a_type_error_that_names_it(start: Start) -> None:
    server: Any = start()
    position: Any = libchat.Position
    for want, call in (
        ("room: 7 is not a str", lambda: server.publish(7, "x")),
        ("room: b'r' is not a str", lambda: server.leave(1, b"r")),
        ("data: 7 is neither a str nor bytes", lambda: server.publish("r", 7)),
        ("data: None is neither", lambda: server.send(1, None)),
        ("client: 'ana' is not an int", lambda: server.send("ana", "x")),
        ("client: None is not an int", lambda: server.set_echo(None, True)),
        ("echo: 2 is not True or False", lambda: server.set_echo(1, 2)),
        ("decision: 1.5 is not an int", lambda: server.refuse(1.5)),
        ("code: '1000' is not an int", lambda: server.disconnect(1, "1000")),
        ("reason: 7 is not a str", lambda: server.disconnect(1, 1000, 7)),
        ("identity: None is not a str", lambda: server.set_identity(1, None)),
        ("name: 7 is not a str", lambda: server.set_name(1, 7)),
        ("past: 'all' is no number", lambda: server.join(1, "r", past="all")),
        ("since: 'x-1' is not a Position", lambda: server.join(1, "r", since="x-1")),
        ("headers: 7 is neither", lambda: server.reject(1, 403, "", 7)),
        ("headers: 7 is not a str", lambda: server.reject(1, 403, "", {"a": 7})),
        ("batch[1]: 'room' is not a pair", lambda: server.publish_batch([("r", "x"), "room"])),
        ("batch[1].room: 7 is not a str", lambda: server.publish_batch([("r", "x"), (7, "x")])),
        ("batch[0].data: 7 is neither", lambda: server.publish_batch([("r", 7)])),
        ("drain: '5' is not a number of seconds", lambda: server.stop("5")),
        ("timeout: '5' is not a number of seconds", lambda: server.wait("5")),
        ("timeout: True is not a number of seconds", lambda: start(event_queue=1).next_events(True)),
        ("text: 7 is not a str", lambda: position.parse(7)),
        ("workers: 'two' is not a whole number", lambda: start(workers="two")),
        ("unknown option 'max_conections'; did you mean 'max_connections'?", lambda: start(max_conections=1)),
    ):
        with pytest.raises(TypeError) as failed:
            call()
        assert begins(failed.value, want), (want, str(failed.value))


def test_the_parameters_of_every_function_are_found() -> None:
    for name in dir(_abi.lib):
        function = getattr(_abi.lib, name)
        if not isinstance(function, int):
            assert len(_abi.parameters(function)) == len(_abi.ffi.typeof(function).args), name


def test_the_text_is_that_of_the_threads_own_call(start: Start) -> None:
    server = start()
    wrong: list[str] = []

    def fail(want: str, call: Callable[[], object]) -> None:
        for _ in range(300):
            with pytest.raises(libchat.Error) as failed:
                call()
            if not begins(failed.value, want):
                wrong.append(str(failed.value))

    threads = [
        threading.Thread(target=fail, args=arguments)
        for arguments in (
            ("room: ", lambda: server.publish("", "x")),
            ("code: ", lambda: server.disconnect(1, 1)),
            ("client: ", lambda: server.send(1, "x")),
            ("data: ", lambda: server.broadcast("\ud800")),
        )
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []

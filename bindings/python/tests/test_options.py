"""A wrong option is answered with its name, and with what is meant or taken."""

from __future__ import annotations

import datetime
from typing import Any, Callable

import pytest

import libchat

Start = Callable[..., libchat.Server]


class Whole:
    """A whole number of another library, such as numpy's."""

    def __index__(self) -> int:
        return 10

    def __int__(self) -> int:
        return 10


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("listn", "did you mean 'listen'?"),
        ("origins", "did you mean 'origin'?"),
        ("max_conections", "did you mean 'max_connections'?"),
        ("historyAge", "did you mean 'history_age'?"),
        ("log", "did you mean 'logger'?"),
        ("host", 'did you mean listen="HOST:PORT"?'),
        ("port", 'did you mean listen="HOST:PORT"?'),
        ("addr", 'did you mean listen="HOST:PORT"?'),
        ("address", 'did you mean listen="HOST:PORT"?'),
        ("bind", 'did you mean listen="HOST:PORT"?'),
        ("cors", "did you mean 'origin'?"),
        ("allowed_origins", "did you mean 'origin'?"),
        ("history", "did you mean 'history_messages'?"),
        ("max_clients", "did you mean 'max_connections'?"),
        ("max_conns", "did you mean 'max_connections'?"),
        ("max_size", "did you mean 'max_message_size'?"),
        ("threads", "did you mean 'workers'?"),
        ("colour", "help(libchat.Options) lists them"),
    ],
)
def test_an_unknown_option_is_answered_with_the_nearest_name(start: Start, name: str, meant: str) -> None:
    with pytest.raises(TypeError) as failed:
        start(**{name: "x"})
    assert str(failed.value) == f"unknown option {name!r}; {meant}"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"event_queue": "10"}, "event_queue: '10' is not a whole number"),
        ({"event_queue": True}, "event_queue: True is not a whole number"),
        ({"max_message_size": 1e6}, "max_message_size: 1000000.0 is not a whole number"),
        ({"workers": None}, "workers: None is not a whole number"),
        ({"echo": "no"}, "echo: 'no' is not True or False"),
        ({"echo": 0}, "echo: 0 is not True or False"),
        ({"ping_interval": "25s"}, "ping_interval: '25s' is not a number of seconds, such as 2.5"),
        ({"history_age": True}, "history_age: True is not a number of seconds, such as 2.5"),
        ({"outbox_age": datetime.timedelta(seconds=5)}, "outbox_age: datetime.timedelta(seconds=5) is not a number of"),
        ({"listen": 9001}, "listen: 9001 is not a str, or several in a list"),
        ({"listen": b"127.0.0.1:0"}, "listen: b'127.0.0.1:0' is not a str, or several in a list"),
        ({"listen": ("127.0.0.1", 0)}, "listen: 0 is not a str"),
        ({"origin": None}, "origin: None is not a str, or several in a list"),
        ({"overdue": True}, 'overdue: True is not "refuse" or "allow"'),
        ({"slow_consumer": ["disconnect"]}, "slow_consumer: ['disconnect'] is not \"disconnect\" or \"drop_oldest\""),
        ({"logger": "chat"}, "logger: 'chat' is not a logger; use logging.getLogger(\"chat\")"),
    ],
)
def test_a_value_of_another_type_is_a_type_error_that_names_the_option(
    start: Start, options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(TypeError) as failed:
        start(**options)
    assert str(failed.value).startswith(reason)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"event_queue": -1}, "event_queue: -1 must not be negative"),
        ({"history_size": -(10**5000)}, "history_size: it must not be negative"),
        ({"workers": 2**40}, "workers: 1099511627776 is too large; help(libchat.Options) lists the limits"),
        ({"outbox_size": 2**64}, "outbox_size: 18446744073709551616 is too large; help(libchat.Options)"),
        ({"outbox_size": 10**5000}, "outbox_size: it is too large; help(libchat.Options) lists the limits"),
        ({"outbox_age": 1e200}, "outbox_age: 1e+200 is too large; help(libchat.Options) lists the limits"),
        ({"ping_interval": -2}, "ping_interval: -2 must not be negative"),
        ({"ping_interval": -(10**400)}, "ping_interval: it must not be negative"),
        ({"ping_interval": 10**400}, "ping_interval: it is too large; help(libchat.Options) lists the limits"),
        ({"ping_timeout": float("nan")}, "ping_timeout: nan is not a number of seconds, such as 2.5"),
        ({"ping_timeout": float("inf")}, "ping_timeout: inf is not a number of seconds, such as 2.5"),
        ({"workers": 257}, "workers: 257 is not from 0 to 256"),
    ],
)
def test_a_number_out_of_its_limits_is_answered_in_words(start: Start, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(libchat.InvalidArgumentError) as failed:
        start(**options)
    assert reason in str(failed.value)
    for jargon in ("uint", "unsigned", "convert", "int too"):
        assert jargon not in str(failed.value)


def test_whole_numbers_and_times_of_other_libraries_are_taken(start: Start) -> None:
    start(event_queue=Whole(), outbox_age=2, listen=iter(["127.0.0.1:0"])).close()

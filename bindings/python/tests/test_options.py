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


def test_whole_numbers_and_times_of_other_libraries_are_taken(start: Start) -> None:
    start(event_queue=Whole(), outbox_age=2, listen=iter(["127.0.0.1:0"])).close()

"""What a host reads and drops of a room's past."""

from __future__ import annotations

import time
from typing import Any, Callable

import pytest

import libchat

Start = Callable[..., libchat.Server]


def texts(page: libchat.HistoryPage) -> list[Any]:
    return [message.data for message in page.messages]


def test_a_host_reads_who_said_what_in_pages(start: Start) -> None:
    server = start()
    numbers = [b"%d" % number for number in range(10)]
    places = [server.publish("a", number) for number in numbers]
    server.publish("a", "salut")
    every: list[Any] = [*numbers, "salut"]

    page = server.history("a", limit=1)
    assert texts(page) == ["salut"] and page.has_more and page.gap == ""
    (message,) = page.messages
    assert (message.client, message.identity, message.name, message.key) == (0, "", "", "")
    assert abs(message.time - time.time()) < 60 and not message.is_name_claimed
    assert page.position == message.position == server.position("a")

    forward, at = [], libchat.Position()
    while True:
        page = server.history("a", after=at, limit=4)
        forward += texts(page)
        if not page.has_more:
            break
        at = page.messages[-1].position
    backward: list[Any] = []
    page = server.history("a", limit=3)
    while True:
        backward = texts(page) + backward
        if not page.has_more:
            break
        page = server.history("a", before=page.messages[0].position, limit=3)
    assert forward == backward == every

    server.trim("a", places[4])
    page = server.history("a", after=places[0], limit=100)
    assert (page.gap, texts(page)) == ("trimmed", every[5:])
    server.forget("a")
    page = server.history("a", after=places[0])
    assert (page.gap, page.messages) == ("epoch", [])
    assert page.position.epoch != places[0].epoch


def test_what_is_wrong_with_the_arguments_is_named(start: Start) -> None:
    server: Any = start()
    none: Any = libchat.Position()
    at = server.publish("a", "x")
    other, later = at._replace(epoch=1), at._replace(offset=2)
    wrong: tuple[tuple[str, type[Exception], Callable[[], object]], ...] = (
        ("room: it is empty", libchat.InvalidArgumentError, lambda: server.history("")),
        ("room: 7 is not a str", TypeError, lambda: server.forget(7)),
        ("limit: -1 is not from 0", libchat.InvalidArgumentError, lambda: server.history("a", limit=-1)),
        ("limit: 'all' is not an int", TypeError, lambda: server.history("a", limit="all")),
        ("after: '1-1' is not a Position", TypeError, lambda: server.history("a", after="1-1")),
        ("before: 7 is not a Position", TypeError, lambda: server.history("a", before=7)),
        ("after, before: pass one", TypeError, lambda: server.history("a", after=at, before=at)),
        ("up_to: '1-1' is not a Position", TypeError, lambda: server.trim("a", "1-1")),
        ("up_to: it is no position", libchat.InvalidArgumentError, lambda: server.trim("a", none)),
        ("up_to: it is of another history", libchat.InvalidArgumentError, lambda: server.trim("a", other)),
        ("up_to: the room has not", libchat.InvalidArgumentError, lambda: server.trim("a", later)),
    )
    for want, kind, call in wrong:
        with pytest.raises(kind) as failed:
            call()
        assert str(failed.value).startswith(want), (want, str(failed.value))

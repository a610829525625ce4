"""How much of a room's past a client gets, and the name under which others see it."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any, Optional, Union

import pytest
from conftest import PATIENCE
from test_chat import Start, find, run
from websockets.asyncio.client import ClientConnection, connect

import libchat
from libchat import ALL, Position


async def told(peer: ClientConnection) -> dict[str, Any]:
    """The next object of a client of the JSON form."""
    found = json.loads(await asyncio.wait_for(peer.recv(), PATIENCE))
    assert isinstance(found, dict)
    return found


async def entered(peer: ClientConnection, room: str) -> tuple[dict[str, Any], list[str]]:
    """Waits until a client is in a room. Returns how it entered, and the past that it got."""
    how: dict[str, Any] = {}
    texts: list[str] = []
    while (it := await told(peer))["type"] != "live":
        if it["type"] != "welcome":
            assert it["room"] == room, it
        if it["type"] == "entered":
            how = it
        elif it["type"] == "message":
            texts.append(it["text"])
    return how, texts


def recovery(how: dict[str, Any]) -> Union[None, bool, str]:
    """Whether a client recovers, or why not; None if it did not come back."""
    recovered: Optional[bool] = how.get("recovered")
    return str(how["reason"]) if recovered is False else recovered


def test_a_client_gets_as_much_of_the_past_as_the_program_gives(start: Start) -> None:
    server = start()
    positions = server.publish_batch([("tea", str(number)) for number in range(5)])
    every = ["0", "1", "2", "3", "4"]
    cases: list[tuple[str, dict[str, Any], list[str], Union[None, bool, str]]] = [
        ("", {}, [], None),
        ("", {"past": 0}, [], None),
        ("", {"past": 2}, every[3:], None),
        ("", {"past": 2**200}, every, None),
        ("", {"past": ALL}, every, None),
        ("", {"past": ALL, "since": positions[2]}, every[3:], True),
        ("", {"past": 1, "since": positions[2]}, every[4:], "trimmed"),
        ("", {"past": ALL, "since": Position(1, 1)}, every, "epoch"),
        (str(positions[1]), {"past": ALL}, every[2:], True),
        (str(positions[1]), {"past": ALL, "since": Position()}, every[2:], True),
        (str(positions[1]), {"past": ALL, "since": positions[3]}, every[4:], True),
        (str(positions[1]), {}, [], "trimmed"),
    ]

    async def check() -> None:
        events = server.events()
        for said, given, texts, recovers in cases:
            query = f"&since.tea={said}" if said else ""
            async with connect(f"ws://{server.addr}/rooms/own?format=json{query}") as peer:
                client = (await find(events, libchat.Connected)).client
                await entered(peer, "own")
                server.join(client, "tea", **given)
                how, got = await entered(peer, "tea")
                assert (got, recovery(how)) == (texts, recovers), (said, given)

    run(check())


def test_nothing_is_missing_or_double_while_another_thread_publishes(start: Start) -> None:
    server = start(history_messages=50)
    server.publish_batch([("tea", str(number)) for number in range(100)])
    over = threading.Event()

    def publish() -> None:
        number = 100
        # Slow enough for this client, which shares the interpreter's lock with it.
        while not over.wait(0.001):
            server.publish("tea", str(number))
            number += 1

    async def check() -> None:
        events = server.events()
        for _ in range(10):
            async with connect(f"ws://{server.addr}/rooms/own?format=json") as peer:
                client = (await find(events, libchat.Connected)).client
                await entered(peer, "own")
                server.join(client, "tea", past=20)
                how, texts = await entered(peer, "tea")
                assert len(texts) == 20
                while len(texts) < 100:
                    texts.append((await told(peer))["text"])
                before = Position.parse(how["position"])
                assert texts == [str(before.offset + index) for index in range(100)]

    publisher = threading.Thread(target=publish)
    publisher.start()
    try:
        run(check())
    finally:
        over.set()
        publisher.join()


def test_the_program_bounds_the_past_of_whom_it_accepts_and_names_them(start: Start) -> None:
    server = start(admission_timeout=PATIENCE)
    every = ["0", "1", "2", "3", "4"]
    cases: list[tuple[dict[str, int], list[str]]] = [
        ({}, every[1:]),
        ({"past": ALL}, every[1:]),
        ({"past": 2}, every[3:]),
        ({"past": 0}, []),
    ]

    async def check() -> None:
        events = server.events()
        for given, texts in cases:
            server.publish_batch([("tea", text) for text in every])
            url = f"ws://{server.addr}/rooms/tea?format=json&history=4&name=eve"
            connecting = asyncio.ensure_future(asyncio.wait_for(connect(url), PATIENCE))
            client = (await find(events, libchat.ConnectRequest)).client
            server.set_name(client, "ana")
            server.accept(client, **given)
            async with await connecting as peer:
                assert (await entered(peer, "tea"))[1] == texts
                await peer.send('{"text": "hi"}')
                said = await told(peer)
                assert (said["text"], said["name"], "claimed" in said) == ("hi", "ana", False)
                server.set_name(client, "")
                await peer.send('{"text": "hi"}')
                said = await told(peer)
                assert (said["text"], "name" in said) == ("hi", False)

    run(check())


def test_what_is_no_past_and_no_name_is_refused(start: Start) -> None:
    server = start()
    wrong: Any
    for wrong in (True, False, None, 1.0, "all"):
        with pytest.raises(TypeError, match=r"past: .* pass an int, or libchat\.ALL"):
            server.accept(1, past=wrong)
        with pytest.raises(TypeError, match=r"past: .* pass an int, or libchat\.ALL"):
            server.join(1, "tea", past=wrong)
    for number in (-1, -(2**64)):
        with pytest.raises(libchat.InvalidArgumentError, match=r"past: .* pass a number from 0"):
            server.accept(1, past=number)
    for position in (Position(-1, 1), Position(1, 2**64)):
        with pytest.raises(libchat.InvalidArgumentError, match="since: "):
            server.join(1, "tea", past=ALL, since=position)
    for name in ("x" * 129, "\N{EURO SIGN}" * 43, "a\nb", "\0", "\x7f", "\x85"):
        with pytest.raises(libchat.InvalidArgumentError):
            server.set_name(1, name)
    with pytest.raises(libchat.InvalidUtf8Error):
        server.set_name(1, "\ud800")
    for name in ("", "x" * 128, "\N{EURO SIGN}" * 42):
        with pytest.raises(libchat.NotFoundError):
            server.set_name(1, name)
    with pytest.raises(libchat.NotFoundError):
        server.join(1, "tea", past=ALL, since=Position(1, 1))

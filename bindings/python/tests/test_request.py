"""What a program reads of a request, and the subprotocol that it chooses."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from conftest import PATIENCE
from test_chat import Start, find, run
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

import libchat

CASES: dict[str, Any] = json.loads((Path(__file__).resolve().parents[3] / "tests/requests.json").read_text())


def request(name: str, lines: list[str]) -> libchat.Request:
    # Each character of the table is a byte.
    headers = [(name, line.encode("latin-1").decode("utf-8", "surrogateescape")) for line in lines]
    return libchat.Request("127.0.0.1:1", "/", "", dict(headers), tuple(headers))


def test_a_request_is_read_as_in_every_language() -> None:
    for query, name, value in CASES["queries"]:
        assert libchat.Request("127.0.0.1:1", "/", query).query_value(name) == value, (query, name)
    for lines, name, value in CASES["cookies"]:
        assert request("cookie", lines).cookie(name) == value, (lines, name)
    for lines, token in CASES["bearers"]:
        assert request("authorization", lines).bearer() == token, lines
    assert sum(map(len, CASES.values())) > 60


def test_the_answer_names_the_subprotocol_that_the_program_has_chosen(start: Start) -> None:
    server = start(admission_timeout=PATIENCE)

    async def check() -> None:
        events = server.events()
        offered = [Subprotocol("v2"), Subprotocol("v1")]
        headers = {"Authorization": "Bearer abc", "Cookie": "sid=7"}
        connecting = asyncio.ensure_future(
            connect(f"ws://{server.addr}/?token=a%2Bb", subprotocols=offered, additional_headers=headers).__aenter__()
        )
        asked = await find(events, libchat.ConnectRequest)
        found = asked.request.query_value("token"), asked.request.cookie("sid"), asked.request.bearer()
        assert found == ("a+b", "7", "abc")
        with pytest.raises(libchat.InvalidArgumentError, match="does not offer it"):
            server.set_subprotocol(asked.client, "v3")
        server.set_subprotocol(asked.client, "v1")
        server.accept(asked.client)
        with pytest.raises(libchat.NotFoundError):
            server.set_subprotocol(asked.client, "v1")
        peer = await asyncio.wait_for(connecting, PATIENCE)
        assert peer.subprotocol == "v1"
        await peer.close()

    run(check())

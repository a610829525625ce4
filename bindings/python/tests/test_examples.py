"""The examples do what they say."""

from __future__ import annotations

import asyncio
import json
import os
import re
import runpy
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import PATIENCE
from test_chat import run
from websockets.asyncio.client import connect

import libchat

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


@contextmanager
def example(name: str, *arguments: str) -> Iterator[str]:
    """Runs an example, and tells its first line."""
    environment = {**os.environ, "PYTHONPATH": str(Path(libchat.__file__).parents[1])}
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline()
        finally:
            process.terminate()


def address(line: str) -> str:
    found = re.search(r"ws://([\d.:]+)/", line)
    assert found, line
    return found[1]


def test_the_chat_greets_and_tells_the_time() -> None:
    async def talk(chat: str) -> None:
        async with connect(f"ws://{chat}/rooms/tea") as peer:
            assert await peer.recv() == "welcome to tea; ask me /time"
            await peer.send("/time")
            assert await peer.recv() == "/time"
            assert re.fullmatch(r"it is \d\d:\d\d:\d\d", str(await peer.recv()))

    with example("chat.py", "--listen", "127.0.0.1:0") as line:
        run(talk(address(line)))


class Gone:
    """A server of one client, which has left when it is answered."""

    async def events(self) -> AsyncIterator[libchat.Event]:
        request = libchat.Request("127.0.0.1:1", "/", "")
        yield libchat.Connected(1, "", "lobby", request)
        yield libchat.Message(1, "", "lobby", 1, "no JSON")

    def send(self, client: int, data: str) -> None:
        self.sent = data
        raise libchat.NotFoundError


@pytest.mark.parametrize("name", ["chat.py", "token_stream.py"])
def test_a_client_that_leaves_at_once_ends_no_example(name: str) -> None:
    server = Gone()
    asyncio.run(runpy.run_path(str(EXAMPLES / name))["host"](server))
    assert server.sent


def test_an_answer_is_streamed_and_whoever_comes_late_misses_no_token() -> None:
    async def listen(chat: str) -> str:
        text = ""
        async with connect(f"ws://{chat}/rooms/r?history=10000") as peer:
            while not text.endswith("\n"):
                message = json.loads(await asyncio.wait_for(peer.recv(), PATIENCE))
                text += message.get("token", "")
        return text

    async def ask(chat: str) -> None:
        async with connect(f"ws://{chat}/rooms/other?echo=false") as peer:
            await peer.send("no JSON")
            assert json.loads(await peer.recv()) == {"token": "ask with a question\n"}
        async with connect(f"ws://{chat}/rooms/r?history=10000&echo=false") as peer:
            await peer.send(json.dumps({"question": "why?"}))
            first = json.loads(await peer.recv())
            assert first == {"token": "You "}
            # One who comes in the middle of it.
            assert await listen(chat) == "You asked: why? That is a good question. \n"

    with example("token_stream.py", "--port", "0", "--chat", "127.0.0.1:0") as line:
        page = re.search(r"http://[\d.:]+/", line)
        assert page, line
        with urllib.request.urlopen(page[0], timeout=PATIENCE) as response:
            assert f"ws://{address(line)}/rooms/" in response.read().decode()
        run(ask(address(line)))

"""The examples do what they say."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import runpy
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from conftest import PATIENCE, Program, address
from test_chat import run
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as connect_in_thread

import libchat

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def example(name: str, *arguments: str, **variables: str) -> Program:
    """Runs an example."""
    return Program(str(EXAMPLES / name), *arguments, **variables)


def end(program: Program, number: signal.Signals = signal.SIGINT) -> None:
    """Ends an example as a Ctrl-C or a supervisor does, which leaves no complaint."""
    program.signal(number)
    status, _, complained = program.end()
    assert (status, complained) == (0, "")


def test_the_chat_greets_and_tells_the_time() -> None:
    async def talk(chat: str) -> None:
        async with connect(f"ws://{chat}/rooms/tea") as peer:
            assert await peer.recv() == "welcome to tea; ask me /time"
            await peer.send("/time")
            assert await peer.recv() == "/time"
            assert re.fullmatch(r"it is \d\d:\d\d:\d\d", str(await peer.recv()))

    with example("chat.py", "--listen", "127.0.0.1:0") as program:
        run(talk(address(program.line())))
        end(program, signal.SIGTERM)


class Gone:
    """A server of one client, which has left when it is answered."""

    async def events(self) -> AsyncIterator[libchat.Event]:
        request = libchat.Request("127.0.0.1:1", "/", "")
        yield libchat.Connected(1, "", "lobby", "plain", request)
        yield libchat.Message(1, "", "lobby", libchat.Position(7, 1), "no JSON")

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

    with example("token_stream.py", "--port", "0", "--chat", "127.0.0.1:0") as program:
        line = program.line()
        page = re.search(r"http://[\d.:]+/", line)
        assert page, line
        with urllib.request.urlopen(page[0], timeout=PATIENCE) as response:
            assert f"ws://{address(line)}/rooms/" in response.read().decode()
        run(ask(address(line)))
        end(program)


def test_an_answer_ends_when_somebody_in_its_conversation_stops_it() -> None:
    async def ask(chat: str) -> None:
        url = f"ws://{chat}/rooms/{{}}?history=10000&format=json"
        question = json.dumps({"text": json.dumps({"question": "why? " * 1000})})
        async with connect(url.format("r")) as ana, connect(url.format("other")) as ben:
            for peer in (ana, ben):
                await peer.send(question)

            async def token(peer: Any) -> str:
                while True:
                    said = json.loads(await asyncio.wait_for(peer.recv(), PATIENCE))
                    if said["type"] == "message" and "token" in said.get("text", ""):
                        return str(json.loads(said["text"])["token"])

            assert [await token(ana), await token(ben)] == ["You ", "You "]
            await ana.send(json.dumps({"type": "signal", "to": "host", "text": "stop"}))
            count = 0
            while await token(ana) != "\n":
                count += 1
            assert count < 500, "it was stopped"
            assert await token(ben) != "\n", "the other conversation goes on"

    with example("token_stream.py", "--port", "0", "--chat", "127.0.0.1:0") as program:
        run(ask(address(program.line())))
        end(program)


def test_curl_gets_every_token_as_an_event() -> None:
    line = "curl -N 'http://127.0.0.1:9001/rooms/NAME?format=events&history=10000'"
    assert line in (EXAMPLES / "token_stream.py").read_text(encoding="utf-8")

    async def ask(chat: str) -> None:
        async with connect(f"ws://{chat}/rooms/r?echo=false") as peer:
            await peer.send(json.dumps({"question": "why?"}))
            assert json.loads(await peer.recv()) == {"token": "You "}

    with example("token_stream.py", "--port", "0", "--chat", "127.0.0.1:0") as program:
        chat = address(program.line())
        run(ask(chat))
        url = f"http://{chat}/rooms/r?format=events&history=10000"
        curl = ["curl", "-sN", "--max-time", str(PATIENCE), url]
        text = ""
        with subprocess.Popen(curl, stdout=subprocess.PIPE, encoding="utf-8") as events:  # noqa: S603
            assert events.stdout
            while not text.endswith("\n"):
                field, _, value = events.stdout.readline().partition(": ")
                assert field, f"the stream ended after {text!r}"
                text += json.loads(value).get("token", "") if field == "data" else ""
            end(program)
        assert (text, events.returncode) == ("You asked: why? That is a good question. \n", 0)


def test_nothing_falls_between_a_page_and_what_it_subscribes_to() -> None:
    async def talk(chat: str) -> None:
        """Says the numbers, in order."""
        async with connect(f"ws://{chat}/?echo=false") as peer:
            for number in range(100_000):
                await peer.send(f"<{number}>")
                await asyncio.sleep(0.001)  # The page's client, which is slower, keeps up.

    def load(page: str) -> tuple[list[int], str]:
        with urllib.request.urlopen(page, timeout=PATIENCE) as response:
            text = response.read().decode()
        since = re.search(r'since = "([0-9a-z]+-\d+)"', text)
        assert since and "<script>" in text, text
        return [int(number) for number in re.findall(r"<li>&lt;(\d+)&gt;</li>", text)], since[1]

    async def check(page: str, chat: str) -> None:
        empty = load(page)
        assert empty[0] == []
        talking = asyncio.create_task(talk(chat))
        for wanted in [0, *[20] * 30]:
            shown, since = empty if wanted == 0 else await asyncio.to_thread(load, page)
            while len(shown) < wanted:  # The first pages come before there are enough messages.
                shown, since = await asyncio.to_thread(load, page)
            assert len(shown) == wanted
            async with connect(f"ws://{chat}/?format=json&since={since}") as peer:
                told = [json.loads(await asyncio.wait_for(peer.recv(), PATIENCE)) for _ in range(12)]
            assert told[1]["type"] == "entered" and told[1]["position"] == since and told[1]["recovered"] is True
            shown += [int(it["text"].strip("<>")) for it in told if it["type"] == "message"]
            assert shown == list(range(shown[0], shown[0] + len(shown)))
            assert len(shown) >= wanted + 9 and (wanted > 0 or shown[0] == 0)
        talking.cancel()

    with example("page.py", "--port", "0", "--chat", "127.0.0.1:0") as program:
        line = program.line()
        page = re.search(r"http://[\d.:]+/", line)
        assert page, line
        run(check(page[0], address(line)))
        program.signal(signal.SIGINT)
        assert program.end()[0] == 0


def sign_in(page: str, name: str) -> str:
    """Signs in as a browser does. Returns the cookie."""
    jar = CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    with browser.open(page, timeout=PATIENCE) as response:
        assert "Sign in" in response.read().decode()
    with browser.open(f"{page}sign-in", urlencode({"name": name}).encode(), timeout=PATIENCE) as response:
        assert "new WebSocket" in response.read().decode()
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in jar)


def refusal(url: str, headers: dict[str, str]) -> int:
    with pytest.raises(InvalidStatus) as refused, connect_in_thread(url, additional_headers=headers):
        pass
    return int(refused.value.response.status_code)


@contextlib.contextmanager
def fastapi_chat() -> Iterator[tuple[Program, str, str]]:
    """Runs the example. Gives its origin and the address of the room."""
    with example("fastapi_chat.py", "--port", "0", "--chat", "127.0.0.1:0") as program:
        yield program, *page_and_room(program.line())


def page_and_room(line: str) -> tuple[str, str]:
    found = re.search(r"open (http://[\d.:]+)/", line)
    assert found, line
    return found[1], f"ws://{address(line)}/rooms/tea?history=100"


def said(peer: ClientConnection) -> dict[str, Any]:
    message = json.loads(peer.recv(PATIENCE))
    assert isinstance(message, dict)
    return message


def test_fastapi_decides_by_its_cookie_and_streams_answers_that_are_kept() -> None:
    with fastapi_chat() as (program, origin, chat):
        headers = {"Origin": origin, "Cookie": sign_in(f"{origin}/", "ana&ben")}
        # Without a sign-in, with a cookie that nobody got, and from a page of elsewhere.
        assert refusal(chat, {"Origin": origin}) == 401
        assert refusal(chat, {**headers, "Cookie": 'session=other; "'}) == 401
        assert refusal(chat, {**headers, "Origin": "http://127.0.0.1:1"}) == 403
        conversation = [{"from": "ana&ben", "text": text} for text in ("salut", "why?")]
        tokens = ["You ", "asked: ", "why? ", "That ", "is ", "a ", "good ", "question. "]
        conversation += [{"from": "bot", "text": token, "answer": 1} for token in tokens]  # type: ignore[dict-item]
        with connect_in_thread(chat, additional_headers=headers) as peer:
            peer.send("salut")
            peer.send("why?")
            assert [said(peer) for _ in conversation] == conversation
        with connect_in_thread(chat, additional_headers=headers) as late:
            assert [said(late) for _ in conversation] == conversation
            program.signal(signal.SIGINT)
            with pytest.raises(ConnectionClosed):
                late.recv(PATIENCE)
            assert late.close_code == 1001
        status, _, complained = program.end()
        assert (status, complained) == (0, "")
        with pytest.raises(OSError):
            urllib.request.urlopen(origin, timeout=PATIENCE)


def test_no_message_ends_the_fastapi_chat_or_forges_an_author() -> None:
    with fastapi_chat() as (program, origin, chat):
        name = "\N{EURO SIGN}" * 21
        headers = {"Origin": origin, "Cookie": sign_in(f"{origin}/", name)}
        too_long = {"from": "", "text": "Not sent: a message is text of at most 4096 bytes."}
        with connect_in_thread(chat, additional_headers=headers) as peer:
            # The last is the longest that JSON can make of it.
            for text in ("hi\nbob: I resign", '", "from": "bob', "\x01" * 4096):
                peer.send(text)
                assert said(peer) == {"from": name, "text": text}
            for refused in ("x" * 4097, "\N{EURO SIGN}" * 2000, b"bytes"):
                peer.send(refused)
                assert said(peer) == too_long
            peer.send("x" * (1 << 20))
            with pytest.raises(ConnectionClosed):
                peer.recv(PATIENCE)
            assert peer.close_code == 1009
        with connect_in_thread(chat, additional_headers=headers) as later:
            assert said(later)["text"] == "hi\nbob: I resign"
        end(program)


def post(page: str, body: bytes, origin: str) -> int:
    """Signs in from a page of an origin. Returns the status."""
    request = urllib.request.Request(f"{page}/sign-in", body, {"Origin": origin} if origin else {})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_only_visible_names_sign_in_and_only_on_the_page_itself() -> None:
    with fastapi_chat() as (program, page, _):
        names = ["", "  ", "eve\nbob", "eve\u202ebob", "x" * 65, "\N{EURO SIGN}" * 22, "bot", "Bot "]
        bodies = [urlencode({"name": name}).encode() for name in names]
        for body in [*bodies, b"", b"name=%ff", b"name=\xff", b"&" * 1000]:
            assert post(page, body, page) == 400, body
        assert post(page, b"name=" + b"x" * (16 << 10), page) == 413
        elsewhere = page.replace("127.0.0.1", "localhost")
        for origin in ("http://elsewhere.example", "http://127.0.0.1:1", "null", elsewhere):
            assert post(page, b"name=ana", origin) == 403
        for origin in (page, ""):
            assert post(page, b"name=" + b"x" * 64, origin) == 200
        end(program)


def test_the_fastapi_chat_forgets_the_oldest_session_where_there_are_too_many() -> None:
    module = runpy.run_path(str(EXAMPLES / "fastapi_chat.py"))
    begun = [module["begin_session"]("ana") for _ in range(module["MAX_SESSIONS"] + 1)]
    assert list(module["sessions"]) == begun[1:]


@pytest.mark.parametrize("error", [libchat.NotFoundError, libchat.StoppedError, libchat.QueueFullError])
def test_no_client_that_leaves_and_no_full_queue_ends_the_fastapi_chat(error: type[libchat.Error]) -> None:
    class Busy:
        refused = 0

        async def events(self) -> AsyncIterator[libchat.Event]:
            for _ in range(2):
                yield libchat.MessageRequest(1, "ana", "tea", 1, b"bytes")

        def refuse(self, _decision: int) -> None:
            self.refused += 1
            raise error

        async def wait_async(self) -> None:
            pass

    server = Busy()
    asyncio.run(runpy.run_path(str(EXAMPLES / "fastapi_chat.py"))["host"](server))
    assert server.refused == 2


def test_the_fastapi_chat_ends_with_a_traceback_if_its_host_cannot_go_on() -> None:
    source = f"""
import runpy, sys
import libchat

def fail(*_):
    raise LookupError("planted")

libchat.Server.set_identity = fail
sys.argv = ["fastapi_chat.py", "--port", "0", "--chat", "127.0.0.1:0"]
runpy.run_path({str(EXAMPLES / "fastapi_chat.py")!r}, run_name="__main__")
"""
    with Program(source) as program:
        origin, chat = page_and_room(program.line())
        headers = {"Origin": origin, "Cookie": sign_in(f"{origin}/", "ana")}
        assert refusal(chat, headers) == 503
        status, _, complained = program.end()
        assert status != 0
        assert "Traceback" in complained and "LookupError: planted" in complained


def test_a_worker_that_is_killed_harms_no_other_and_is_replaced() -> None:
    with example("several_processes.py", "--listen", "127.0.0.1:0", "--workers", "2") as program:
        with connect_in_thread(f"ws://{address(program.line())}/") as peer:
            counts: dict[int, list[int]] = {}

            def hear(workers: int) -> None:
                """Hears messages until two have come from so many workers."""
                while sum(len(heard) >= 2 for heard in counts.values()) < workers:
                    found = re.fullmatch(r"worker (\d+): (\d+)", str(peer.recv(PATIENCE)))
                    assert found
                    counts.setdefault(int(found[1]), []).append(int(found[2]))

            hear(2)
            killed, other = counts
            os.kill(killed, signal.SIGKILL)
            hear(3)
            for heard in counts.values():
                assert heard == list(range(heard[0], heard[0] + len(heard)))
            assert len(counts[other]) > 2
        end(program)
    # The owner has ended its workers.
    for worker in counts:
        assert is_gone(worker)


BAD_DATAGRAMS = [
    b"",
    b"\xff",
    b"{}",
    b'"ab"',
    b'["lobby"]',
    b'["lobby", 1]',
    b'[["lobby"], "x"]',
    b'[null, "x"]',
    b'["lobby", "\\ud800"]',
    b'["..", "x"]',
    b"[" * 100_000,
    b"1" * 5_000,
]


def test_a_bad_datagram_is_reported_in_a_line_and_the_workers_publish_on(tmp_path: Path) -> None:
    arguments = ["--listen", "127.0.0.1:0", "--workers", "1"]
    with example("several_processes.py", *arguments, TMPDIR=str(tmp_path)) as program:
        chat = address(program.line())
        (path,) = tmp_path.glob("*/chat.sock")
        with connect_in_thread(f"ws://{chat}/") as peer, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as outbox:
            for datagram in BAD_DATAGRAMS:
                outbox.sendto(datagram, str(path))
                line = program.line()
                assert line.startswith("not published: ") and len(line) < 300, line
            outbox.sendto(b'["lobby", "after them"]', str(path))
            heard: list[str] = []
            while "after them" not in heard or len(heard) < 3:
                heard.append(str(peer.recv(PATIENCE)))
        end(program)


def test_an_owner_that_hears_no_worker_any_more_ends() -> None:
    class Broken:
        def recv(self, _length: int) -> bytes:
            raise OSError("no memory")

    with libchat.Server(listen="127.0.0.1:0") as server:
        with pytest.raises(OSError, match="no memory"):
            runpy.run_path(str(EXAMPLES / "several_processes.py"))["forward"](Broken(), server)
        server.wait(PATIENCE)


def test_workers_end_with_their_owner_even_if_that_is_killed() -> None:
    with example("several_processes.py", "--listen", "127.0.0.1:0", "--workers", "1") as program:
        peer = connect_in_thread(f"ws://{address(program.line())}/")
        with peer:
            found = re.match(r"worker (\d+)", str(peer.recv(PATIENCE)))
            program.signal(signal.SIGKILL)
    assert found and is_gone(int(found[1]))


def is_gone(process: int) -> bool:
    """Whether a process of another parent ends in time: there is no event to wait for. A zombie has ended."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.005)
    return False

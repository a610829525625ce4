"""The example presence.py does what it says."""

from __future__ import annotations

import contextlib
import json
import re
import urllib.request
from collections.abc import Iterator
from typing import Any, Callable

from conftest import PATIENCE, Program, address
from test_examples import EXAMPLES, end, example, refusal
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as connect_in_thread

Object = dict[str, Any]


class Visitor:
    """A visitor's page: all that it was told, and who is here by that."""

    def __init__(self, peer: ClientConnection) -> None:
        self._peer = peer
        self.seen: list[Object] = []
        self.here: dict[str, str] = {}

    def until(self, fits: Callable[[Object], bool]) -> Object:
        while True:
            told: Object = json.loads(self._peer.recv(PATIENCE))
            self.seen.append(told)
            if "list" in told:
                self.here.clear()
            for member in told.get("left", []):
                del self.here[member["client"]]
            for member in told.get("returned", []):
                del self.here[member["was"]]
            for change in ("list", "joined", "returned"):
                self.here.update((member["client"], member["name"]) for member in told.get(change, []))
            if fits(told):
                return told

    def sees(self, *names: str) -> None:
        """Reads until these are here."""
        self.until(lambda told: told["type"] == "members" and sorted(self.here.values()) == sorted(names))

    def types(self) -> None:
        self._peer.send(json.dumps({"type": "signal", "text": "typing"}))

    def says(self, text: str) -> None:
        self._peer.send(json.dumps({"text": text}))

    def hears(self, text: str) -> None:
        self.until(lambda told: told.get("text") == text)

    def types_seen(self) -> list[str]:
        return [told["name"] for told in self.seen if told["type"] == "signal"]


class Site:
    """The example."""

    def __init__(self, program: Program) -> None:
        self.program = program
        line = program.line()
        found = re.search(r"open (http://[\d.:]+)/", line)
        assert found, line
        self.origin, self.chat = found[1], address(line)

    def page(self, cookie: str = "") -> tuple[str, str]:
        """The page, and the cookie that comes with it."""
        request = urllib.request.Request(self.origin, headers={"Cookie": cookie} if cookie else {})
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            assert f"ws://{self.chat}/?format=json&members=true" in (text := response.read().decode())
            return text, response.headers.get("Set-Cookie", "")

    @contextlib.contextmanager
    def visit(self, cookie: str, name: str) -> Iterator[Visitor]:
        url = f"ws://{self.chat}/?format=json&members=true&name={name}"
        headers = {"Origin": self.origin, "Cookie": cookie}
        with connect_in_thread(url, additional_headers=headers) as peer:
            yield Visitor(peer)


@contextlib.contextmanager
def presence() -> Iterator[Site]:
    with example("presence.py", "--port", "0", "--chat", "127.0.0.1:0") as program:
        yield Site(program)


def test_it_is_short() -> None:
    assert len((EXAMPLES / "presence.py").read_text(encoding="utf-8").splitlines()) < 120


def test_the_page_comes_with_a_cookie_once_and_nobody_connects_without_it() -> None:
    with presence() as site:
        cookies = [site.page()[1] for _ in range(2)]
        assert cookies[0] != cookies[1]
        for cookie in cookies:
            assert re.fullmatch(r"visitor=[\w-]{43}; HttpOnly; SameSite=Lax", cookie)
            assert site.page(cookie.partition(";")[0])[1] == ""
        url = f"ws://{site.chat}/?format=json&members=true"
        assert refusal(url, {"Origin": site.origin}) == 401
        assert refusal(url, {"Origin": "http://127.0.0.1:1", "Cookie": "visitor=x"}) == 403
        with site.visit("visitor=x", "ana") as ana:
            ana.sees("ana")


def test_typing_is_seen_by_the_others_and_not_by_who_types_and_is_not_kept() -> None:
    with presence() as site, site.visit("visitor=a", "ana") as ana, site.visit("visitor=b", "ben") as ben:
        ana.sees("ana", "ben")
        ben.sees("ana", "ben")
        ana.types()
        typist = ben.until(lambda told: told["type"] == "signal")
        assert ben.here[typist["client"]] == typist["name"] == "ana"
        ana.says("salut")
        ana.hears("salut")
        ben.hears("salut")
        assert (ana.types_seen(), ben.types_seen()) == ([], ["ana"])
        with site.visit("visitor=d", "dan&history=100") as dan:
            dan.hears("salut")
            assert dan.types_seen() == []


def test_who_reloads_the_page_has_not_left_and_who_leaves_has_after_a_while() -> None:
    with presence() as site, site.visit("visitor=a", "ana") as ana:
        assert site.program.line() == "lobby: ana"
        with site.visit("visitor=b", "ben"):
            ana.sees("ana", "ben")
            assert site.program.line() == "lobby: ana, ben"
        with site.visit("visitor=b", "ben"):
            ana.until(lambda told: "returned" in told)
            assert sorted(ana.here.values()) == ["ana", "ben"]
            assert not any("left" in told for told in ana.seen)
        ana.sees("ana")
        assert [len(told["left"]) for told in ana.seen if "left" in told] == [1]
        assert site.program.line() == "lobby: ana"


def test_ctrl_c_ends_it() -> None:
    with presence() as site, site.visit("visitor=a", "ana") as ana:
        ana.sees("ana")
        end(site.program)

"""Publishing with a key, under a name, without history, to several rooms; refusing with a reason."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable

import pytest
from conftest import PATIENCE
from websockets.sync.client import ClientConnection, connect

import libchat

Start = Callable[..., libchat.Server]


def told(peer: ClientConnection, kind: str) -> dict[str, Any]:
    """The next object of a type; others are skipped."""
    while True:
        found: dict[str, Any] = json.loads(peer.recv(PATIENCE))
        if found["type"] == kind:
            return found


@contextlib.contextmanager
def enter(server: libchat.Server) -> Iterator[ClientConnection]:
    with connect(f"ws://{server.addr}/?format=json", proxy=None) as peer:
        told(peer, "live")
        yield peer


def test_a_key_twice_is_one_message_from_eight_threads_at_once(start: Start) -> None:
    server = start()

    def publish_all(_: int) -> list[libchat.Published]:
        return [server.publish("lobby", "x", key=str(number)) for number in range(50)]

    with ThreadPoolExecutor(8) as threads:
        published = [one for all_of_a_thread in threads.map(publish_all, range(8)) for one in all_of_a_thread]
    assert sum(not one.is_duplicate for one in published) == 50
    assert len(set(published)) == 50 == server.position("lobby").offset
    stats = server.stats()
    assert (stats.duplicates, stats.keys_evicted) == (350, 0)


def test_a_message_is_published_as_its_options_say(start: Start) -> None:
    server = start()
    with enter(server) as peer:
        one = server.publish("lobby", "hi", key="k", name="Support", identity="agent 7")
        message = told(peer, "message")
        assert (message["name"], message["key"], message["position"]) == ("Support", "k", str(one))
        assert "client" not in message and "agent" not in str(message)
        with pytest.raises(libchat.KeyReusedError, match="key: "):
            server.publish("lobby", "ho", key="k", identity="agent 7")
        assert not server.publish("lobby", "now", without_history=True)
        assert "position" not in told(peer, "message")
        assert server.publish("lobby", "after").offset == one.offset + 1
    published = server.publish_to(["a", "lobby", "b"], "hi", key="k", identity="agent 7")
    assert [it.is_duplicate for it in published] == [False, True, False]
    assert published[1] == one and published[0].offset == 1
    with pytest.raises(libchat.KeyReusedError) as failed:
        server.publish_to(["c", "lobby"], "ho", key="k", identity="agent 7")
    assert [it.offset for it in failed.value.positions] == [1]
    assert server.publish_to([], "x") == []


@pytest.mark.parametrize(
    ("options", "kind", "names"),
    [
        ({"key": ""}, libchat.InvalidArgumentError, "key: it is empty; use 1 to 64"),
        ({"key": "k" * 65}, libchat.InvalidArgumentError, "key: it is longer than 64"),
        ({"key": "\ud800"}, libchat.InvalidUtf8Error, "key: "),
        ({"key": 7}, TypeError, "key: 7 is not a str"),
        ({"name": ""}, libchat.InvalidArgumentError, "name: it is empty"),
        ({"identity": "i" * 257}, libchat.TooLargeError, "identity: 257"),
        ({"without_history": 1}, TypeError, "without_history: 1 is not True or False"),
    ],
)
def test_what_is_wrong_with_an_option_is_told(
    start: Start, options: dict[str, Any], kind: type[Exception], names: str
) -> None:
    server = start()
    with pytest.raises(kind, match=names):
        server.publish("lobby", "x", **options)
    with pytest.raises(kind, match=names):
        server.publish_to(["a", "b"], "x", **options)
    assert server.stats().messages_published == 0


def test_what_is_wrong_with_a_room_is_told(start: Start) -> None:
    server = start()
    with pytest.raises(libchat.InvalidArgumentError, match=r"rooms\[1\]: "):
        server.publish_to(["a", ".."], "x")
    with pytest.raises(TypeError, match="rooms: 'lobby' is not a list of names"):
        server.publish_to("lobby", "x")
    with pytest.raises(TypeError, match=r"rooms\[1\]: 7 is not a str"):
        server.publish_to(["a", 7], "x")  # type: ignore[list-item]
    assert server.stats().messages_published == 0


def test_a_refusal_has_the_programs_reason_and_frees_the_key(start: Start) -> None:
    server = start(review_timeout=PATIENCE)
    with enter(server) as peer:

        def request(number: int) -> int:
            peer.send(json.dumps({"id": number, "key": "k", "text": "hi"}))
            while True:
                for event in server.next_events(PATIENCE):
                    if isinstance(event, libchat.MessageRequest):
                        return event.decision

        decision = request(1)
        with pytest.raises(libchat.TooLargeError, match="reason: 257"):
            server.refuse(decision, reason="r" * 257)
        server.refuse(decision, reason="be polite")
        assert told(peer, "refused")["reason"] == "be polite"
        server.refuse(request(2))
        assert told(peer, "refused")["reason"] == "the host refused it"
        server.allow(request(3))
        assert "duplicate" not in told(peer, "sent")
        peer.send('{"id":4,"key":"k","text":"hi"}')
        assert told(peer, "sent")["duplicate"] is True

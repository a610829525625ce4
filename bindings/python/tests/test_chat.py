"""What a program and its clients see, with the websockets package as the client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable
from typing import Any, Callable, TypeVar

import pytest
from conftest import PATIENCE
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

import libchat

Start = Callable[..., libchat.Server]
T = TypeVar("T")


def run(test: Awaitable[T]) -> T:
    async def limited() -> T:
        return await asyncio.wait_for(test, PATIENCE * 3)

    return asyncio.run(limited())


async def find(events: AsyncIterator[libchat.Event], kind: type[T]) -> T:
    while True:
        event = await asyncio.wait_for(events.__anext__(), PATIENCE)
        if isinstance(event, kind):
            return event


def test_the_program_is_told_how_a_client_came(start: Start) -> None:
    server = start(admission_timeout=PATIENCE)

    async def come() -> None:
        events = server.events()
        for form, query in (("plain", ""), ("json", "?format=json")):
            connecting = asyncio.create_task(connect(f"ws://{server.addr}/rooms/tea{query}").__aenter__())
            asked = await find(events, libchat.ConnectRequest)
            server.accept(asked.client)
            peer = await connecting
            assert (asked.form, (await find(events, libchat.Connected)).form) == (form, form)
            await peer.close()
        for query in ("", "&format=json"):
            host, port = server.addr.rsplit(":", 1)
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(f"GET /rooms/tea?format=events{query} HTTP/1.0\r\n\r\n".encode())
            asked = await find(events, libchat.ConnectRequest)
            server.accept(asked.client)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            assert (asked.form, (await find(events, libchat.Connected)).form) == ("events", "events")
            with pytest.raises(libchat.TooManyRoomsError):
                server.join(asked.client, "another")
            writer.close()

    run(come())


def test_clients_of_a_room_hear_each_other_and_the_program(start: Start) -> None:
    server = start()

    async def talk() -> None:
        events = server.events()
        async with connect(f"ws://{server.addr}/rooms/tea") as ana, connect(f"ws://{server.addr}/rooms/tea") as ben:
            clients = [(await find(events, libchat.Connected)).client for _ in range(2)]
            await ana.send("salut")
            assert [await ana.recv(), await ben.recv()] == ["salut", "salut"]
            said = await find(events, libchat.Message)
            assert (said.client in clients, said.room, said.position.offset, said.data) == (True, "tea", 1, "salut")
            await ben.send(b"\0\xff")
            assert [await ana.recv(), await ben.recv()] == [b"\0\xff", b"\0\xff"]
            assert (await find(events, libchat.Message)).data == b"\0\xff"
            at = server.publish("tea", "from the program")
            assert at.offset == 3
            positions = server.publish_batch([("tea", "one"), ("elsewhere", "x"), ("tea", b"two")])
            assert [position.offset for position in positions] == [4, 1, 5]
            assert [position.epoch == at.epoch for position in positions] == [True, False, True]
            assert server.position("tea") == positions[2]
            server.broadcast("to all")
            expected = ["from the program", "one", b"two", "to all"]
            for peer in (ana, ben):
                assert [await peer.recv() for _ in expected] == expected
            server.send(clients[0], "to one")
            first = await asyncio.wait(
                [asyncio.create_task(ana.recv()), asyncio.create_task(ben.recv())],
                return_when=asyncio.FIRST_COMPLETED,
            )
            assert [task.result() for task in first[0]] == ["to one"]
            for task in first[1]:
                task.cancel()
            server.disconnect(clients[0], 4000, "enough")
            left = await find(events, libchat.Disconnected)
            assert (left.client, left.code, left.reason) == (clients[0], 4000, "enough")

    run(talk())


def test_clients_and_the_program_signal_to_each_other(start: Start) -> None:
    server = start(signal_rate=10)

    async def talk() -> None:
        events = server.events()

        async def enter() -> tuple[Any, int]:
            peer = await connect(f"ws://{server.addr}/rooms/a?format=json")
            while json.loads(await peer.recv())["type"] != "live":
                pass
            return peer, (await find(events, libchat.Connected)).client

        (ana, client), (ben, _) = await enter(), await enter()
        server.set_identity(client, "user 7")
        await ana.send('{"type":"signal","text":"typing"}')
        heard = json.loads(await ben.recv())
        assert (heard.pop("client") != "", heard) == (True, {"type": "signal", "room": "a", "text": "typing"})
        assert await find(events, libchat.Signal) == libchat.Signal(client, "user 7", "a", "typing")
        await ana.send('{"type":"signal","to":"host","base64":"AP8="}')
        assert await find(events, libchat.Signal) == libchat.Signal(client, "user 7", "a", b"\0\xff")
        server.signal("a", "all")
        server.signal_client(client, b"\0\xff")
        server.signal("nobody is here", "all")
        assert json.loads(await ana.recv()) == {"type": "signal", "room": "a", "text": "all"}
        assert json.loads(await ana.recv()) == {"type": "signal", "base64": "AP8="}
        await ana.close()
        await ben.close()

    run(talk())
    stats = server.stats()
    assert (stats.signals_received, stats.signals_dropped) == (2, 0)
    with pytest.raises(libchat.InvalidArgumentError, match="room"):
        server.signal("", "x")
    with pytest.raises(libchat.InvalidUtf8Error):
        server.signal("a", "\ud800")
    with pytest.raises(libchat.TooLargeError, match="4096"):
        server.signal("a", bytes(4097))
    with pytest.raises(libchat.NotFoundError):
        server.signal_client(1 << 60, "x")


def test_the_program_decides_on_clients_and_messages(start: Start) -> None:
    server = start(admission_timeout=PATIENCE, review_timeout=PATIENCE)

    async def decide() -> None:
        async for event in server.events():
            if isinstance(event, libchat.ConnectRequest):
                assert event.request.path == f"/rooms/{event.room}"
                if "token" not in event.request.query:
                    server.reject(event.client, 401, "sign in first")
                    continue
                server.set_identity(event.client, event.request.headers["x-name"])
                server.leave(event.client, event.room)
                server.join(event.client, "given")
                server.set_echo(event.client, True)
                server.accept(event.client)
            elif isinstance(event, libchat.MessageRequest):
                if event.data == "bad":
                    server.refuse(event.decision)
                elif event.data == "rude":
                    server.allow_changed(event.decision, f"{event.identity} is polite")
                else:
                    server.allow(event.decision)

    async def talk() -> None:
        deciding = asyncio.create_task(decide())
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://{server.addr}/rooms/tea")
        assert refused.value.response.status_code == 401
        async with connect(f"ws://{server.addr}/rooms/tea?token", additional_headers={"X-Name": "ana"}) as ana:
            for text in ("good", "bad", "rude"):
                await ana.send(text)
            assert [await ana.recv(), await ana.recv()] == ["good", "ana is polite"]
        assert server.stats().admissions_rejected == 1
        assert server.stats().messages_refused == 1
        server.stop(PATIENCE)
        await deciding

    run(talk())


def test_whoever_stops_waiting_for_an_event_has_taken_none(start: Start) -> None:
    server = start()

    async def impatient() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(server.events().__anext__(), 0.01)
        async with connect(f"ws://{server.addr}/"):
            async for event in server.events():
                assert isinstance(event, libchat.Connected)
                break
        async for event in server.events():
            assert isinstance(event, libchat.Disconnected)
            break

    run(impatient())
    with pytest.raises(libchat.TimedOutError):
        server.next_events(0.01)
    server.stop()
    assert server.next_events(PATIENCE) == [libchat.Stopped()]
    with pytest.raises(libchat.StoppedError):
        server.next_events(PATIENCE)


def test_waits_that_are_cancelled_do_not_end_the_events(start: Start) -> None:
    server = start()

    async def impatient() -> None:
        events = server.events()
        for _ in range(20):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(events.__anext__(), 0.001)
        async with connect(f"ws://{server.addr}/") as peer:
            assert isinstance(await events.__anext__(), libchat.Connected)
            await peer.send("salut")
            assert (await find(events, libchat.Message)).data == "salut"

    run(impatient())


def test_each_event_goes_to_one_of_those_who_wait(start: Start) -> None:
    server = start()

    async def take() -> list[int]:
        return [event.position.offset async for event in server.events() if isinstance(event, libchat.Message)]

    async def talk() -> None:
        taking = [asyncio.create_task(take()) for _ in range(3)]
        async with connect(f"ws://{server.addr}/?echo=false") as peer:
            for number in range(300):
                await peer.send(str(number))
        await asyncio.get_running_loop().run_in_executor(None, server.stop)
        taken = [offset for offsets in await asyncio.gather(*taking) for offset in offsets]
        assert sorted(taken) == list(range(1, 301))

    run(talk())


def test_the_program_is_told_of_the_rooms_that_it_gives_and_takes(start: Start) -> None:
    server = start()

    async def talk() -> None:
        events = server.events()
        async with connect(f"ws://{server.addr}/"):
            client = (await find(events, libchat.Connected)).client
            server.set_identity(client, "ana")
            server.join(client, "tea")
            server.leave(client, "lobby")
            assert await events.__anext__() == libchat.Joined(client, "ana", "tea")
            assert await events.__anext__() == libchat.Left(client, "ana", "lobby")

    run(talk())


def test_headers_that_come_twice_are_all_there(start: Start) -> None:
    server = start()

    async def talk() -> None:
        twice = [("X-Group", "tea"), ("X-Group", "coffee")]
        async with connect(f"ws://{server.addr}/", additional_headers=twice):
            request = (await find(server.events(), libchat.Connected)).request
            assert request.headers["x-group"] == "tea"
            assert [value for name, value in request.header_list if name == "x-group"] == ["tea", "coffee"]
            assert dict(request.header_list).keys() == request.headers.keys()

    run(talk())


def test_a_stop_delivers_what_was_published_and_closes_with_1001(start: Start) -> None:
    server = start()

    async def listen() -> None:
        async with connect(f"ws://{server.addr}/") as peer:
            await find(server.events(), libchat.Connected)
            for number in range(1000):
                server.publish("lobby", str(number))
            # The client answers the close frame when it has read what came before.
            stopped = asyncio.get_running_loop().run_in_executor(None, server.stop, PATIENCE)
            got: list[Any] = [message async for message in peer]
            await stopped
            assert got == [str(number) for number in range(1000)]
            assert peer.close_code == 1001

    run(listen())

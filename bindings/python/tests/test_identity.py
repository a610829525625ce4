"""What a program does by identity concerns all clients that have it, and says how many they are."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
from conftest import PATIENCE
from test_chat import Start, find, run
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

import libchat


def test_all_clients_of_an_identity_are_reached_and_no_others(start: Start) -> None:
    server = start(workers=2, max_rooms_per_client=2)

    async def check() -> None:
        events = server.events()
        async with AsyncExitStack() as stack:

            async def client() -> tuple[ClientConnection, int]:
                peer = await stack.enter_async_context(connect(f"ws://{server.addr}/"))
                return peer, (await find(events, libchat.Connected)).client

            # More than identity_clients has room for at first.
            family = [await client() for _ in range(20)]
            other, _ = await client()
            for _, number in family:
                server.set_identity(number, "ana")
            assert server.send_to_identity("ana", "to ana") == 20
            assert server.send_to_identity("", b"to nobody") == 0
            assert server.join_identity("ana", "tea") == 20
            with pytest.raises(libchat.TooManyRoomsError):
                server.join_identity("ana", "third")
            server.publish("tea", "tea")
            assert server.leave_identity("ana", "lobby") == 20
            server.publish("lobby", "lobby")
            assert sorted(server.identity_clients("ana")) == sorted(number for _, number in family)
            assert server.disconnect_identity("ana", 4000, "enough") == 20
            assert server.identity_clients("ana") == []
            for peer, _ in family:
                assert [await asyncio.wait_for(peer.recv(), PATIENCE) for _ in range(2)] == ["to ana", "tea"]
                with pytest.raises(ConnectionClosed) as closed:
                    await asyncio.wait_for(peer.recv(), PATIENCE)
                assert closed.value.rcvd is not None and closed.value.rcvd.code == 4000
            assert await asyncio.wait_for(other.recv(), PATIENCE) == "lobby"

    run(check())


def test_a_wrong_call_by_identity_says_what_is_wrong(start: Start) -> None:
    server = start()
    with pytest.raises(libchat.TooLargeError):
        server.send_to_identity("x" * 257, "")
    with pytest.raises(libchat.InvalidArgumentError):
        server.disconnect_identity("ana", 70_000)
    with pytest.raises(libchat.InvalidArgumentError):
        server.join_identity("ana", "")
    with pytest.raises(libchat.InvalidUtf8Error):
        server.leave_identity("\udc80", "tea")
    with pytest.raises(libchat.TooLargeError):
        server.identity_clients("x" * 257)
    server.close()
    with pytest.raises(libchat.StoppedError):
        server.identity_clients("ana")

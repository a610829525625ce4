"""Who is in a room, and who comes and goes."""

from __future__ import annotations

import asyncio
import json

import pytest
from conftest import PATIENCE
from test_chat import Start, find, run
from websockets.asyncio.client import connect

import libchat
from libchat import Member


def test_the_program_sees_who_is_in_a_room_and_is_told_who_comes_and_goes(start: Start) -> None:
    server = start(admission_timeout=PATIENCE, members="host", member_grace=0, occupancy=True)

    async def come() -> None:
        events = server.events()
        path = "/rooms/a?format=json&members=true&name=ana"
        connecting = asyncio.create_task(connect(f"ws://{server.addr}{path}").__aenter__())
        client = (await find(events, libchat.ConnectRequest)).client
        server.set_identity(client, "user 7")
        server.set_members(client, True)
        server.accept(client)
        peer = await connecting
        assert (await find(events, libchat.RoomOccupied)).room == "a"
        assert await find(events, libchat.MemberEntered) == libchat.MemberEntered(client, "user 7", "a")
        assert server.members("a") == [Member(client, "user 7", "ana", is_name_claimed=True, is_away=False)]
        assert (server.member_count("a"), server.member_count("b"), server.members("b")) == (1, 0, [])
        while (told := json.loads(await peer.recv()))["type"] != "members":
            pass
        assert (told["count"], told["list"][0]["name"]) == (1, "ana")
        await peer.close()
        assert await find(events, libchat.MemberLeft) == libchat.MemberLeft(client, "user 7", "a")
        assert (await find(events, libchat.RoomVacated)).room == "a"

    run(come())


def test_members_need_their_option(start: Start) -> None:
    server = start()
    for call in (lambda: server.members("a"), lambda: server.member_count("a"), lambda: server.set_members(1, True)):
        with pytest.raises(libchat.UnsupportedError, match="members"):
            call()
    with pytest.raises(libchat.InvalidArgumentError, match='members: it is "off" or "host" or "clients"'):
        start(members="all")

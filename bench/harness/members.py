"""Scenarios in which members are kept, against the same where they are not."""

from __future__ import annotations

from .scenario import EFFICIENCY, Arguments, Goal, Scenario

WATCHERS = 100
# 200 in a list, and 200 that have joined, 36 bytes each; then a count for each second.
TOLD_BYTES = 400 * 36 + 6 * 66
# In milliseconds: how long the host has places kept.
GRACE = 2000


def join(name: str, what: str, load: Arguments) -> Scenario:
    return Scenario(
        name,
        f"10,000 clients come to a room in 2 s, {WATCHERS} watch members; {what}, 32 B",
        {"mode": "join", "subscribers": 10000, "ramp": 2, "watchers": WATCHERS, **load},
        [Goal(EFFICIENCY, 0.9, of="itself"), Goal("told_bytes", TOLD_BYTES, False)],
        seconds=1,
        samples=3,
        only=["libchat"],
        flags={"members": "clients"},
        baseline={"watchers": 0, "members": "off"},
    )


def back(name: str, rooms: int, watchers: int) -> Scenario:
    where = "of a room" if rooms == 1 else f"of {rooms} rooms"
    return Scenario(
        name,
        f"10,000 clients {where}, each with an identity, are cut at once and come back at once",
        {
            "mode": "back", "subscribers": 10000, "cut": 10000, "rooms": rooms, "joins": 1, "watchers": watchers,
            "grace": GRACE, "members": "clients",
        },
        [Goal("whole_ms", 1000, False), Goal("whole_ms", 1.2, False, of="itself")],
        seconds=6,
        only=["libchat"],
        host="members",
        baseline={"members": "off"},
    )


SCENARIOS = [
    join("members-join", "15 messages a second", {"rate": 15}),
    join("members-join-w16", "16 in flight until the echo", {"window": 16}),
    back("members-back", 1, WATCHERS),
    back("members-back-rooms", 100, WATCHERS),
    Scenario(
        "members-held",
        "10,000 idle clients, each with an identity and in 5 rooms",
        {
            "mode": "back", "subscribers": 10000, "cut": 0, "rooms": 5, "joins": 5, "watchers": 0, "grace": GRACE,
            "members": "clients",
        },
        [Goal("bytes_per_connection", 5 * 120, False, minus="itself")],
        seconds=1,
        only=["libchat"],
        host="members",
        baseline={"members": "off"},
    ),
]

"""What is measured, and what libchat is to reach."""

from __future__ import annotations

from . import forms, members
from .scenario import ECHO, EFFICIENCY, SLOWEST, Arguments, Goal, Scenario

# What events may cost, and what a second worker may.
EVENTS, WORKERS = 0.95, 0.8
# Where every server does as many writes.
VARIANTS = [
    Goal(EFFICIENCY, EVENTS, of="libchat", server="libchat-events"),
    Goal(EFFICIENCY, WORKERS, of="libchat", server="libchat-2"),
]


def fan_out(subscribers: int, size: int, window: int, publishers: int = 1, by: str = SLOWEST) -> Scenario:
    one = 0.9 if by == SLOWEST else 0.95
    of, bound = {1: ("limit1", one), 16: ("limitB", 1.0), 64: ("limitB", 0.9)}[window]
    if publishers > 1:
        bound = 0.9
    name = f"{subscribers}-{size}-w{window}" + (f"-p{publishers}" if publishers > 1 else "")
    is_main = subscribers == 1000 and size == 32 and publishers == 1
    # How many messages go into a write depends on when the publisher sends the next: so these are held against
    # what libchat is to reach, not against what it happens to.
    variants = [
        Goal(EFFICIENCY, round(EVENTS * bound, 3), of=of, server="libchat-events"),
        Goal(EFFICIENCY, round(WORKERS * bound, 3), of=of, server="libchat-2"),
    ]
    who = "publisher" if publishers == 1 else "publishers"
    until = "" if by == SLOWEST else " until the echo"
    return Scenario(
        f"fan-{name}" if by == SLOWEST else f"fan-echo-{name}",
        f"{publishers} {who}, {subscribers} subscribers, {size} B, {window} in flight{until}",
        {"subscribers": subscribers, "publishers": publishers, "size": size, "window": window, "in-flight": by},
        [Goal(EFFICIENCY, bound, of=of), *(variants if is_main else [])],
        has_peers=is_main,
        is_short=is_main and (by == SLOWEST or window == 16),
    )


# What a small room may suffer from what happens beside it.
BESIDE = [Goal("p999_us", 2, False, of="itself"), Goal("max_us", 30_000, False)]


def fan_outs(by: str) -> list[Scenario]:
    return [
        *(fan_out(n, size, w, by=by) for n in (100, 1000, 5000) for size in (32, 512) for w in (64, 16, 1)),
        fan_out(1000, 4096, 16, by=by),
        fan_out(1000, 32, 16, publishers=8, by=by),
        fan_out(1000, 4096, 16, publishers=8, by=by),
    ]


def calls(mix: str, what: str, count: int = 10_000, size: int = 100) -> Scenario:
    room: Arguments = {"rooms": 1, "bridges": 0}
    alone: Arguments = {**room, "mix": "publish"}
    # Half of the readers in either room, so that there is as much to deliver; one of them is in both.
    rooms: Arguments = {"rooms": 2, "bridges": 1} if mix == "rooms" else room
    is_alone = mix == "publish"
    return Scenario(
        f"calls-{mix}" if size == 100 else f"calls-{mix}-{size}",
        f"host {what}, {count:,} times, {size:,} B, 200 readers",
        {"mode": "follow", "subscribers": 200, "joins": 1, "aside": 1, "size": size, **rooms},
        [*([] if is_alone else [Goal("seconds", 2, False, of="itself")]), Goal("max_us", 50_000, False)],
        is_short=mix == "send" and size == 100,
        only=["libchat"],
        baseline={} if is_alone else alone,
        host="calls",
        host_arguments={"calls": count, "mix": mix},
    )


def health(name: str, what: str, window: int) -> Scenario:
    return Scenario(
        name,
        f"GET /health on 64 connections that are kept, {what}",
        {"mode": "requests", "subscribers": 64, "window": window},
        [Goal(EFFICIENCY, 0.5, of="hyper")],
        only=["hyper", "libchat"],
    )


SCENARIOS: list[Scenario] = [
    *fan_outs(SLOWEST),
    *fan_outs(ECHO),
    *(forms.alone("json", window) for window in (64, 16, 1)),
    *(forms.mixed(window) for window in (64, 16, 1)),
    *(forms.alone("events", window) for window in (64, 16, 1)),
    *(forms.thirds(window) for window in (64, 16, 1)),
    Scenario(
        "talk",
        "200 clients all talking, 32 B, 4 in flight each",
        {"publishers": 200, "subscribers": 0, "size": 32, "window": 4},
        [Goal(EFFICIENCY, 0.8, of="limitB"), *VARIANTS],
        has_peers=True,
        is_short=True,
    ),
    Scenario(
        "paced",
        "1,000 subscribers, 100 messages a second, 32 B",
        {"subscribers": 1000, "rate": 100},
        [Goal(EFFICIENCY, 0.95, of="limit1"), Goal("p99_us", 1.1, False, "limit1"), *VARIANTS],
        has_peers=True,
        is_short=True,
    ),
    Scenario(
        "trip",
        "one client's round trip, 32 B",
        {"subscribers": 0},
        [
            Goal("p50_us", 1.05, False, "limit1"),
            # What looking before it sleeps saves does not hide what a message costs.
            Goal("p50_us", 1.15, False, "limit1", "libchat-0"),
        ],
        has_peers=True,
        is_short=True,
    ),
    Scenario(
        "brisk",
        "one client, 45,000 messages a second, 32 B",
        {"subscribers": 0, "rate": 45000},
        # The next message comes just before libchat would sleep: its looking takes a whole core, for which
        # there must be something.
        [Goal("p50_us", 0.9, False, "libchat-0")],
        has_peers=True,
        only=["limit1", "libchat", "libchat-0"],
    ),
    Scenario(
        "rooms",
        "1,000 rooms of 10 subscribers, one of them publishing, 32 B",
        {"rooms": 1000, "subscribers": 9, "publishers": 1},
        [Goal(EFFICIENCY, 0.85, of="limit1")],
        only=["limit1", "limitB", "libchat"],
        is_short=True,
    ),
    Scenario(
        "stalled",
        "5 of 205 readers never read, 4 KiB, 16 in flight",
        {"subscribers": 205, "stalled": 5, "size": 4096, "window": 16},
        [Goal(EFFICIENCY, 0.9, of="itself"), Goal("peak_mb", 4.2 + 5, False)],
        seconds=6,
        only=["libchat"],
        baseline={"stalled": 0, "subscribers": 200},
    ),
    Scenario(
        "idle",
        "10,000 idle connections",
        {"mode": "idle", "subscribers": 10000},
        [
            Goal("bytes_per_connection", 1126, False),
            Goal("cpu_share", 0.005, False),
        ],
        # Long enough for every client to be pinged.
        seconds=40,
        has_peers=True,
    ),
    forms.idle("json", 620),
    forms.idle("events", 700),
    Scenario(
        "held",
        "accepting 10,000 connections",
        {"mode": "accept", "subscribers": 10000},
        [Goal("cpu_us_per_connection", 1.25, False, "limit1"), Goal("bytes_per_connection", 1126, False)],
        seconds=0.5,
        samples=3,
        is_short=True,
        only=["limit1", "libchat"],
    ),
    Scenario(
        "churn",
        "connect, upgrade, close: 64 at a time",
        {"mode": "churn", "subscribers": 64},
        [Goal("connections_per_cpu_second", 0.8, of="limit1")],
        seconds=6,
        has_peers=True,
        is_short=True,
    ),
    health("health", "one in flight on each", 1),
    health("health-w16", "16 in flight on each", 16),
    Scenario(
        "beside-churn",
        "a small room's round trip beside 5,000 subscribers, 15 messages a second; 300 clients a second come and go",
        {"mode": "beside", "subscribers": 5000, "rate": 15, "churn": 300},
        BESIDE,
        seconds=10,
        is_short=True,
        only=["libchat"],
        baseline={"churn": 0},
    ),
    Scenario(
        "beside-host",
        "the same beside a host's 1,000 sends, 100 joins and 100 disconnects a second",
        {"mode": "beside", "subscribers": 5000, "rate": 15, "sends": 1000, "disconnects": 100},
        BESIDE,
        seconds=10,
        only=["libchat"],
        baseline={"sends": 0, "joins": 0, "disconnects": 0},
        host="beside",
        host_arguments={"joins": 100},
    ),
    forms.storm("storm", "clients", {}),
    forms.storm("storm-events", "clients of the events form", {"form": "events"}),
    *members.SCENARIOS,
    Scenario(
        "many-rooms",
        "1,000 clients, each in 5 of 100 rooms, 10 messages of 64 B to each room at a time",
        {"mode": "follow", "subscribers": 1000, "rooms": 100, "joins": 5, "bridges": 0, "size": 64, "batch": 1000},
        [Goal(EFFICIENCY, 2, of="itself"), Goal(EFFICIENCY, WORKERS, of="libchat", server="libchat-2")],
        is_short=True,
        only=["libchat", "libchat-2"],
        # Each in one room, with as many subscribers and as many messages at a time.
        baseline={"rooms": 20, "joins": 1, "batch": 200},
        host="batches",
    ),
    calls("publish", "publishes"),
    calls("broadcast", "publishes and broadcasts in turn"),
    calls("send", "publishes and sends to one reader in turn"),
    calls("echo", "publishes and sets the echo of one reader in turn"),
    calls("rooms", "publishes to two rooms in turn, one reader in both"),
    calls("publish", "publishes", 16_000, 1000),
    calls("send", "publishes and sends to one reader in turn", 16_000, 1000),
]

"""Scenarios in forms other than that of bare messages, against the same with those."""

from __future__ import annotations

from .scenario import EFFICIENCY, SLOWEST, Arguments, Goal, Scenario

# The payload of a plain message of which the frame is as long as a message of 32 bytes in another form, without its
# offset; and the digits of the offsets that a second reaches with so many in flight.
AS_LONG = {"json": 152, "events": 57}
DIGITS = {64: 5, 16: 4, 1: 3}
NAMES = {"json": "JSON", "events": "events"}


def alone(form: str, window: int) -> Scenario:
    return Scenario(
        f"fan-{form}-1000-32-w{window}",
        f"1,000 subscribers in the {NAMES[form]} form, 32 B, {window} in flight",
        {"subscribers": 1000, "size": 32, "window": window, "in-flight": SLOWEST, "form": form},
        [Goal(EFFICIENCY, 0.9, of="itself")],
        seconds=1,
        samples=3,
        only=["libchat"],
        baseline={"form": "plain", "size": AS_LONG[form] + DIGITS[window]},
        is_as_long=True,
    )


def together(name: str, subscribers: int, who: str, window: int) -> Scenario:
    return Scenario(
        f"fan-{name}-{subscribers}-32-w{window}",
        f"{who}, 32 B, {window} in flight",
        {"subscribers": subscribers, "size": 32, "window": window, "in-flight": SLOWEST, "form": name},
        [Goal(EFFICIENCY, 0.9, of="itself")],
        seconds=1,
        samples=3,
        only=["libchat"],
        baseline={"form": "plain"},
    )


def mixed(window: int) -> Scenario:
    return together("mixed", 1000, "500 plain subscribers and 500 in the JSON form", window)


def thirds(window: int) -> Scenario:
    return together("forms", 999, "333 plain subscribers, 333 in the JSON form and 333 in the events form", window)


def idle(form: str, bytes_at_most: float) -> Scenario:
    return Scenario(
        f"idle-{form}",
        f"10,000 idle connections in the {NAMES[form]} form",
        {"mode": "idle", "subscribers": 10000, "form": form},
        [Goal("bytes_per_connection", bytes_at_most, False)],
        # As long as idle: the server sends heartbeats and pings.
        seconds=40,
        only=["libchat"],
    )


def storm(name: str, who: str, changes: Arguments) -> Scenario:
    return Scenario(
        name,
        f"1,000 {who} are cut at once and come back at once, 100 messages of 100 B later",
        {"mode": "storm", "subscribers": 1000, "cut": 1000, "messages": 100, "size": 100, **changes},
        [Goal("whole_ms", 1000, False), Goal("peak_mb", 20, False), Goal("p99_us", 2, False, of="itself")],
        seconds=6,
        only=["libchat"],
        # The same messages reach the same clients live.
        baseline={"cut": 0},
    )

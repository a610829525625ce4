"""What a scenario is, and a goal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, Union

EFFICIENCY = "deliveries_per_cpu_second"

# What a publisher waits for before it sends the next message.
SLOWEST, ECHO = "all", "echo"

Arguments = Dict[str, Union[float, str]]


@dataclass(frozen=True)
class Goal:
    """A bound for a metric, as it is, or divided by another server's in the same round, or beyond it."""

    metric: str
    bound: float
    at_least: bool = True
    of: str | None = None
    server: str = "libchat"
    minus: str | None = None

    def is_met(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        of = f" of {self.of}" if self.of else f" more than {self.minus}" if self.minus else ""
        return f"{'≥' if self.at_least else '≤'} {self.bound:g}{of}"


@dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    arguments: Arguments
    goals: list[Goal]
    seconds: float = 3
    # How often it is run in a round, in turns with the others: what is over in half a second meets the machine
    # in one mood.
    samples: int = 1
    has_peers: bool = False
    is_short: bool = False
    # Servers that can do it; None: all.
    only: list[str] | None = None
    # libchat is measured under other arguments as well, for a comparison with itself.
    baseline: Arguments = field(default_factory=dict)
    # The frames of both must be equally long.
    is_as_long: bool = False
    # Flags of chat-server; a change of one is not for the load generator.
    flags: Arguments = field(default_factory=dict)
    # A program of bench/embed that libchat runs in. It gets the arguments, and these.
    host: str = ""
    host_arguments: Arguments = field(default_factory=dict)

    def compared(self) -> list[str]:
        """The servers that a goal is about, or compares with."""
        return [server for goal in self.goals for server in (goal.server, goal.of) if server is not None]

    def needs(self, server: str) -> bool:
        return server in self.compared()

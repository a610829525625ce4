"""Runs: one server, one load, on a core each; repeated if the machine was busy with something else."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import Any

from .hosts import hosted
from .scenario import Arguments, Scenario
from .servers import LOAD, Running, Server, flagged

Result = dict[str, Any]

# The share of the time in which the server wanted its core and another process had it.
DISTURBED = 0.05
# By how much the lengths of frames that should be equal may differ: offsets and numbers of clients grow, and an epoch
# has a digit less now and then. In a short frame these are more than the share.
AS_LONG_TO, DIGITS = 0.02, 3


@dataclass(frozen=True)
class Settings:
    pinned: bool
    seconds_factor: float
    repeats: int


def prefix(settings: Settings, core: int) -> list[str]:
    return ["taskset", "-c", str(core)] if settings.pinned else []


def once(server: Server, arguments: Arguments, seconds: float, settings: Settings) -> Result:
    """One run of a fresh server."""
    with Running(server, prefix(settings, 0)) as running:
        command = [*prefix(settings, 1), str(LOAD), "--pid", str(running.process.pid), "--port", str(running.port)]
        command += ["--protocol", server.protocol]
        for name, value in {**arguments, "seconds": seconds}.items():
            command += [f"--{name}", str(value)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 120)
        except subprocess.TimeoutExpired:
            return {"void": "the load generator did not end", "disturbed": 0.0}
    return finish(done)


def finish(done: "subprocess.CompletedProcess[str]") -> Result:
    """What the load generator found, and what follows from it."""
    if not done.stdout:
        return {"void": f"the load generator failed: {done.stderr.strip()}", "disturbed": 0.0}
    result: Result = json.loads(done.stdout)
    wanted = result["wait_share"] + result["cpu_share"]
    result["disturbed"] = result["wait_share"] / wanted if wanted > 0 else 0.0
    if result["mode"] == "accept":
        # What is measured is the time before.
        result["disturbed"] = result["connect_wait"]
    if result["cpu_us_per_connection"] > 0:
        result["connections_per_cpu_second"] = 1e6 / result["cpu_us_per_connection"]
    result["peak_mb"] = (result["rss_peak"] - result["rss_connected"]) / 1e6
    return result


def rank(result: Result) -> tuple[bool, float]:
    return bool(result["void"]), result["disturbed"]


def measure(server: Server, scenario: Scenario, changes: Arguments, seconds: float, settings: Settings) -> Result:
    """The least disturbed of a bounded number of runs; the first that was not disturbed ends it."""
    of_host, flags = scenario.host_arguments, scenario.flags
    of_load = {key: value for key, value in changes.items() if key not in of_host and key not in flags}
    arguments = scenario.arguments | of_load
    if scenario.host:
        server = hosted(server, scenario.host, {**arguments, **of_host, **changes, "seconds": seconds})
    if flags:
        server = flagged(server, flags | {key: value for key, value in changes.items() if key in flags})
    best: Result | None = None
    # libchat waits for its core while the host's own thread has it: to repeat that would not help.
    for attempt in range(1 + (0 if scenario.host else settings.repeats)):
        result = once(server, arguments, seconds, settings)
        result["attempts"] = attempt + 1
        if best is None or rank(result) < rank(best):
            best = result
        if best["disturbed"] <= DISTURBED and not best["void"]:
            break
        if best["void"] and server.is_peer:
            break
    assert best is not None
    return best


def compare_frames(itself: Result, result: Result) -> None:
    """Makes a figure void that stands beside frames of another length."""
    if itself["void"] or result["void"]:
        return
    ours, theirs = result["bytes_per_delivery"], itself["bytes_per_delivery"]
    if abs(ours - theirs) > max(AS_LONG_TO * theirs, DIGITS):
        result["void"] = f"its frames are {ours:.0f} bytes long, those beside it {theirs:.0f}"


def takes_part(server: Server, scenario: Scenario) -> bool:
    if scenario.only is not None:
        return server.name in scenario.only
    if not server.has_rooms:
        return False
    if (server.is_peer or server.is_variant) and not scenario.has_peers:
        return False
    return not server.is_variant or scenario.needs(server.name)


def rounds(
    scenarios: list[Scenario], servers: list[Server], count: int, settings: Settings, note: Any
) -> dict[str, dict[str, list[Result]]]:
    """Results by scenario and server. Rounds are interleaved: what changes on the machine meets all."""
    results: dict[str, dict[str, list[Result]]] = {}
    for number in range(count):
        for scenario in scenarios:
            of_scenario = results.setdefault(scenario.name, {})
            seconds = max(0.3, scenario.seconds * settings.seconds_factor)
            taking_part = [server for server in servers if takes_part(server, scenario)]
            for server in taking_part * scenario.samples:
                runs: dict[str, Arguments] = {server.name: {}}
                if scenario.baseline and server.name == "libchat":
                    runs = {"itself": scenario.baseline, **runs}
                found = {name: measure(server, scenario, changes, seconds, settings) for name, changes in runs.items()}
                if scenario.is_as_long and len(found) > 1:
                    compare_frames(found["itself"], found[server.name])
                for name, result in found.items():
                    of_scenario.setdefault(name, []).append(result)
                    note(number, scenario, name, result)
    return results

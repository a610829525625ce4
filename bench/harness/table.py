"""Results as a table: ratios first, then medians with their spread."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
from typing import Any

from .measure import DISTURBED, Result
from .scenario import EFFICIENCY, Goal, Scenario
from .servers import ROOT

Results = dict[str, dict[str, list[Result]]]


def values(results: list[Result], metric: str) -> list[float]:
    # 0 is a metric that the scenario does not have, except where it is the aim.
    found = [float(result[metric]) for result in results if not result["void"] and metric in result]
    return [value for value in found if value != 0 or metric == "allocations_per_message"]


def ratios(of_scenario: dict[str, list[Result]], server: str, goal: Goal) -> list[float]:
    """The metric, divided round by round by that of the server it is compared with."""
    mine = of_scenario.get(server, [])
    if goal.minus is not None:
        pairs = zip(mine, of_scenario.get(goal.minus, []))
        return [float(a[goal.metric]) - float(b[goal.metric]) for a, b in pairs if not a["void"] and not b["void"]]
    if goal.of is None:
        return values(mine, goal.metric)
    pairs = zip(mine, of_scenario.get(goal.of, []))
    return [
        float(a[goal.metric]) / float(b[goal.metric])
        for a, b in pairs
        if not a["void"] and not b["void"] and float(a.get(goal.metric, 0)) * float(b.get(goal.metric, 0)) > 0
    ]


def short(value: float) -> str:
    if value == 0:
        return "0"
    if value >= 1e6:
        return f"{value / 1e6:.2f}M"
    if value >= 1e4:
        return f"{value / 1e3:.1f}k"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def spread(found: list[float]) -> str:
    return f"{short(statistics.median(found))} ({short(min(found))}–{short(max(found))})" if found else "–"


def void(results: list[Result]) -> str:
    reasons = [result["void"] for result in results if result["void"]]
    return f"{len(reasons)} of {len(results)} void: {reasons[0]}" if reasons else ""


def goals(scenarios: list[Scenario], results: Results) -> list[str]:
    lines = ["| scenario | metric | libchat | goal | |", "|---|---|---|---|---|"]
    for scenario in scenarios:
        of_scenario = results.get(scenario.name, {})
        for goal in scenario.goals:
            mine = of_scenario.get(goal.server, [])
            if not mine:
                continue
            found = ratios(of_scenario, goal.server, goal)
            metric = goal.metric if goal.server == "libchat" else f"{goal.metric}, {goal.server}"
            verdict = void(mine)
            if found and not verdict:
                verdict = "yes" if goal.is_met(statistics.median(found)) else "**no**"
            lines.append(f"| {scenario.title} | {metric} | {spread(found)} | {goal} | {verdict} |")
    return lines


def medians(scenarios: list[Scenario], results: Results) -> list[str]:
    lines = [
        "| scenario | server | deliveries / CPU s | of limit1 | of limitB | p50, p99 µs | CPU µs / connection "
        "| B / connection | disturbed | |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for scenario in scenarios:
        for server, runs in results.get(scenario.name, {}).items():
            of_scenario = results[scenario.name]
            cells = [scenario.name, server, spread(values(runs, EFFICIENCY))]
            for limit in ("limit1", "limitB"):
                found = ratios(of_scenario, server, Goal(EFFICIENCY, 0, of=limit))
                cells.append(f"{statistics.median(found):.2f}" if found else "–")
            both = [values(runs, "p50_us"), values(runs, "p99_us")]
            cells.append(", ".join(short(statistics.median(found)) if found else "–" for found in both))
            cells.append(spread(values(runs, "cpu_us_per_connection")))
            memory = values(runs, "bytes_per_connection")
            cells.append(short(statistics.median(memory)) if memory else "–")
            disturbed = [result["disturbed"] for result in runs]
            mark = "~" if statistics.median(disturbed) > DISTURBED else ""
            cells.append(f"{mark}{100 * statistics.median(disturbed):.0f}%")
            cells.append(void(runs))
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def calls(scenarios: list[Scenario], results: Results) -> list[str]:
    """What a call of the host costs it."""
    lines = [
        "| scenario | through | CPU ns / call | ns / call, waiting included | allocations / call | |",
        "|---|---|---|---|---|---|",
    ]
    for scenario in scenarios:
        for host, runs in results.get(scenario.name, {}).items():
            cells = [scenario.title, host.removeprefix("embed-"), spread(values(runs, "cpu_ns_per_message"))]
            cells.append(spread(values(runs, "wall_ns_per_message")))
            allocations = [result["allocations_per_message"] for result in runs if not result["void"]]
            cells += [f"{statistics.median(allocations):.3f}" if allocations else "–", void(runs)]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, cwd=ROOT)
    except (OSError, subprocess.TimeoutExpired):
        return "none"
    return (done.stdout or done.stderr).strip().split("\n")[0]


def machine() -> dict[str, Any]:
    model = "unknown"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "load_average": os.getloadavg()[0],
        "libchat": first_line(["git", "describe", "--always", "--dirty"]),
        "rustc": first_line(["rustc", "--version"]),
        "cc": first_line(["cc", "--version"]),
        "go": first_line(["go", "version"]),
        "node": first_line(["node", "--version"]),
    }

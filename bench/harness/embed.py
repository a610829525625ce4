"""Publishing from inside the process: the host program is the server."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import time
from typing import Any

from .measure import Result, Settings, finish, prefix
from .scenario import Goal, Scenario
from .servers import ADDRESS, ARCHIVE, BENCH, CC, LOAD, OUT, ROOT, TARGET

SIZE = 32
GOALS = [
    Goal("cpu_ns_per_message", 200, False, server="embed-c"),
    Goal("cpu_ns_per_message", 300, False, server="embed-go"),
    Goal("allocations_per_message", 0.01, False, server="embed-go"),
]


BATCH_GOALS = [
    Goal("cpu_ns_per_message", 60, False, server="embed-c"),
    # Of 64 messages: one allocation, for their positions.
    Goal("allocations_per_message", 0.02, False, server="embed-go"),
]


# 100,000 keys are known all the time: each publication notes one and forgets one.
KEY_GOALS = [Goal("cpu_ns_per_message", 300, False, server="embed-c")]


def scenario(threads: int, subscribers: int, batch: int = 1, keys: bool = False) -> Scenario:
    goals = KEY_GOALS if keys else BATCH_GOALS if batch > 1 else GOALS
    name, what = ("", "") if batch == 1 else (f"-b{batch}", f", {batch} in a call")
    if keys:
        name, what = "-key", ", each with a key"
    return Scenario(
        f"publish-{threads}-{subscribers}{name}",
        f"host publishes from {threads} thread{'s' if threads > 1 else ''} to {subscribers} subscribers, {SIZE} B{what}",
        {"threads": threads, "subscribers": subscribers, "batch": batch, "keys": int(keys)},
        goals if threads == 1 and subscribers == 0 else [],
        is_short=threads == 1,
    )


SCENARIOS = [
    scenario(threads, subscribers, batch) for subscribers in (0, 1000) for threads in (1, 8) for batch in (1, 64)
] + [scenario(threads, 0, keys=True) for threads in (1, 8)]


def build() -> list[str]:
    """Builds the programs for which there are tools. Returns their names."""
    archive = TARGET / "release" / "libchat.a"
    program = [*CC, f"-I{ROOT / 'include'}", "-o", str(OUT / "embed-c"), str(BENCH / "embed/publish.c")]
    parts = [str(BENCH / "load" / name) for name in ("wire.c", "process.c")]
    subprocess.run([*program, *parts, *ARCHIVE], check=True, timeout=120)
    names = ["embed-c"]
    if shutil.which("go") and (ROOT / "bindings/go").is_dir():
        # Go does not notice that an archive has changed, but it does notice another folder.
        folder = OUT / f"archive-{archive.stat().st_mtime_ns}"
        for old in OUT.glob("archive-*"):
            shutil.rmtree(old)
        folder.mkdir()
        shutil.copy2(archive, folder)
        command = ["go", "build", "-o", str(OUT / "embed-go"), "./bench/embed/go"]
        environment = {**os.environ, "CGO_LDFLAGS": f"-L{folder}"}
        if subprocess.run(command, cwd=ROOT, env=environment, timeout=600).returncode == 0:
            names.append("embed-go")
    return names


def once(name: str, chosen: Scenario, factor: float, settings: Settings) -> Result:
    """One run of a host program, and of the load generator if it has subscribers."""
    threads, subscribers = int(chosen.arguments["threads"]), int(chosen.arguments["subscribers"])
    batch = int(chosen.arguments["batch"])
    messages = max(1024, int((2_000_000 if subscribers == 0 else 40_000) * factor) // threads) // batch * batch
    numbers = [str(number) for number in (threads, subscribers, messages, SIZE, batch, chosen.arguments["keys"])]
    # The host's threads and the server's share a core, as they do on a busy machine.
    host = subprocess.Popen([*prefix(settings, 0), str(OUT / name), *numbers], stdout=subprocess.PIPE)
    try:
        result = listen(host, threads, subscribers, messages, settings)
        output = host.communicate(timeout=90)[0].decode()
    except (subprocess.TimeoutExpired, RuntimeError) as error:
        return {"void": str(error), "disturbed": 0.0}
    finally:
        if host.poll() is None:
            host.kill()
            host.wait()
    lines = [line for line in output.splitlines() if line.startswith("{")]
    if host.returncode != 0 or not lines:
        return {"void": f"the host ended with status {host.returncode}", "disturbed": 0.0}
    measured: dict[str, Any] = json.loads(lines[-1])
    return {**result, **measured}


def listen(host: "subprocess.Popen[bytes]", threads: int, subscribers: int, messages: int, settings: Settings) -> Result:
    if subscribers == 0:
        return {"void": "", "disturbed": 0.0, "attempts": 1}
    assert host.stdout is not None
    deadline = time.monotonic() + 15
    text = b""
    while not (found := ADDRESS.search(text.decode(errors="replace"))):
        if time.monotonic() > deadline:
            raise RuntimeError("the host did not say where it listens")
        if select.select([host.stdout], [], [], 0.2)[0]:
            text += os.read(host.stdout.fileno(), 4096)
    command = [*prefix(settings, 1), str(LOAD), "--mode", "listen", "--pid", str(host.pid), "--port", found[1]]
    command += ["--publishers", str(threads), "--subscribers", str(subscribers), "--messages", str(messages)]
    done = subprocess.run([*command, "--size", str(SIZE), "--seconds", "60"], capture_output=True, text=True, timeout=90)
    return finish(done)


def rounds(scenarios: list[Scenario], names: list[str], count: int, settings: Settings, note: Any) -> Any:
    results: dict[str, dict[str, list[Result]]] = {}
    for number in range(count):
        for chosen in scenarios:
            for name in names:
                result = once(name, chosen, settings.seconds_factor, settings)
                results.setdefault(chosen.name, {}).setdefault(name, []).append(result)
                note(number, chosen, name, result)
    return results

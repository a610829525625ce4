"""Hosts that embed libchat and make calls while the load generator checks what comes of them."""

from __future__ import annotations

import dataclasses
import subprocess

from .scenario import Arguments
from .servers import ARCHIVE, BENCH, CC, OUT, ROOT, Server

# What each program in bench/embed is made of, besides what all of them share.
PROGRAMS: dict[str, list[str]] = {"beside": [], "batches": ["rooms.c"], "calls": ["rooms.c"], "members": []}
SHARED = [BENCH / "embed/host.c", *(BENCH / "load" / name for name in ("wire.c", "process.c", "agreed.c"))]


def build(names: set[str]) -> None:
    for name in sorted(names):
        sources = [BENCH / "embed" / f"{name}.c", *(BENCH / "embed" / part for part in PROGRAMS[name]), *SHARED]
        command = [*CC, f"-I{ROOT / 'include'}", "-o", str(OUT / f"host-{name}"), *map(str, sources), *ARCHIVE]
        subprocess.run(command, check=True, timeout=120)


def hosted(server: Server, host: str, arguments: Arguments) -> Server:
    """libchat in a host instead of the program that comes with it."""
    command = [str(OUT / f"host-{host}"), "--workers", str(server.workers)]
    for name, value in arguments.items():
        command += [f"--{name}", str(value)]
    return dataclasses.replace(server, command=command)

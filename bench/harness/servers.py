"""The servers that are measured: how each is built, started and ended."""

from __future__ import annotations

import dataclasses
import os
import re
import select
import shlex
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from .scenario import Arguments

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT / "bench"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
OUT = TARGET / "bench"

CC = [os.environ.get("CC", "cc"), "-O2", "-std=c11", "-Wall", "-Wextra"]
ADDRESS = re.compile(r"127\.0\.0\.1:(\d+)")


@dataclass(frozen=True)
class Server:
    """A program that prints the address it listens on, 127.0.0.1 and a port, in its first lines."""

    name: str
    command: list[str]
    build: list[list[str]] = field(default_factory=list)
    folder: Path = ROOT
    needs: str = "cc"
    is_peer: bool = False
    # libchat with an option that costs something: measured where peers are, if messages pass.
    is_variant: bool = False
    workers: int = 1
    # What the load generator speaks to it.
    protocol: str = "plain"
    # What serves pages alone takes part where it is named.
    has_rooms: bool = True


def c_program(name: str, sources: list[Path]) -> list[str]:
    return [*CC, "-o", str(OUT / name), *map(str, sources)]


def limit(name: str) -> Server:
    folder = BENCH / "limits"
    sources = [folder / f"{name}.c", folder / "server.c", folder / "accept_key.c"]
    return Server(name, [str(OUT / name)], [c_program(name, sources)])


def go_peer(name: str, protocol: str = "plain") -> Server:
    folder = BENCH / "peers" / name
    program = str(OUT / f"peer-{name}")
    build = [["go", "build", "-o", program, "."]]
    return Server(name, [program], build, folder, "go", True, protocol=protocol)


CARGO_BUILD = ["cargo", "build", "--release", "--locked", "--quiet", "--manifest-path", str(ROOT / "Cargo.toml")]
ARCHIVE = [str(TARGET / "release" / "libchat.a"), "-lm", "-ldl", "-lpthread"]


# One worker: a server that is pinned to one core has no use for more.
def libchat(name: str, *flags: str, workers: int = 1, is_variant: bool = False) -> Server:
    program = [str(TARGET / "release" / "chat-server"), "--listen", "127.0.0.1:0", "--log", "error"]
    return Server(
        name,
        [*program, "--workers", str(workers), *flags],
        [CARGO_BUILD],
        needs="cargo",
        is_variant=is_variant,
        workers=workers,
    )


def flagged(server: Server, flags: Arguments) -> Server:
    """The same with more flags."""
    more = [word for name, value in flags.items() for word in (f"--{name}", str(value))]
    return dataclasses.replace(server, command=[*server.command, *more])


def with_events() -> Server:
    program = [*c_program("libchat-events", [BENCH / "embed/serve.c"]), f"-I{ROOT / 'include'}", *ARCHIVE]
    return Server("libchat-events", [str(OUT / "libchat-events")], [CARGO_BUILD, program], is_variant=True)


def peers() -> list[Server]:
    paper = BENCH / "peers" / "paper"
    build = ["cargo", "build", "--release", "--quiet", "--target-dir", str(OUT / "peer-paper")]
    hyper = BENCH / "peers" / "hyper"
    build_hyper = ["cargo", "build", "--release", "--locked", "--quiet", "--target-dir", str(OUT / "peer-hyper")]
    node = BENCH / "peers" / "node-ws"
    found = [
        go_peer("gorilla"),
        go_peer("gws"),
        go_peer("centrifuge", "centrifuge"),
        Server("node-ws", ["node", str(node / "server.js")], [["npm", "ci", "--silent"]], node, "node", True),
        Server("paper", [str(OUT / "peer-paper/release/paper")], [build], paper, "cargo", True),
        Server(
            "hyper", [str(OUT / "peer-hyper/release/peer-hyper")], [build_hyper], hyper, "cargo", True, has_rooms=False
        ),
    ]
    return [peer for peer in found if peer.folder.is_dir()]


def of_the_user(text: str) -> Server:
    """A peer that is no part of the benchmark: its name, "=" and the command that starts it."""
    name, _, command = text.partition("=")
    words = shlex.split(command)
    if not name or not words:
        raise SystemExit(f"--peer {text}: a peer is NAME=COMMAND")
    return Server(name, words, needs=words[0], is_peer=True)


SERVERS: list[Server] = [
    limit("limit1"),
    limit("limitB"),
    libchat("libchat"),
    with_events(),
    libchat("libchat-0", "--busy-poll", "0s", is_variant=True),
    libchat("libchat-2", workers=2, is_variant=True),
    *peers(),
]

LOAD = OUT / "load"


def build(servers: list[Server]) -> list[Server]:
    """Builds the load generator and the servers. Returns those for which there are tools."""
    OUT.mkdir(parents=True, exist_ok=True)
    subprocess.run(c_program("load", sorted((BENCH / "load").glob("*.c"))), check=True, timeout=120)
    built = []
    for server in servers:
        if shutil.which(server.needs) is None:
            print(f"{server.name}: left out, there is no {server.needs}")
            continue
        for command in server.build:
            done = subprocess.run(command, cwd=server.folder, timeout=1200)
            if done.returncode != 0:
                if not server.is_peer:
                    raise SystemExit(f"{server.name} cannot be built")
                print(f"{server.name}: left out, it cannot be built")
                break
        else:
            built.append(server)
    return built


class Running:
    """A server that was started here, and is ended here."""

    def __init__(self, server: Server, prefix: list[str]) -> None:
        self.process = subprocess.Popen(
            [*prefix, *server.command],
            cwd=server.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PORT": "0"},
        )
        self.port = self._port()

    def _port(self) -> int:
        assert self.process.stdout is not None
        deadline = time.monotonic() + 15
        text = b""
        while time.monotonic() < deadline:
            if select.select([self.process.stdout], [], [], 0.2)[0]:
                chunk = os.read(self.process.stdout.fileno(), 4096)
                if not chunk:
                    break
                text += chunk
                if found := ADDRESS.search(text.decode(errors="replace")):
                    return int(found[1])
        self.end()
        raise RuntimeError(f"a server did not say where it listens: {text!r}")

    def end(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

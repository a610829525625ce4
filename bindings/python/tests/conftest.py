"""What the tests share: a server on a free port, a client that does nothing, programs of their own, and the
time that nothing takes longer than."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest

import libchat

PATIENCE = 10.0


@pytest.fixture
def start() -> Iterator[Callable[..., libchat.Server]]:
    """Starts servers, which end with the test."""
    servers: list[libchat.Server] = []

    def begin(**options: Any) -> libchat.Server:
        server = libchat.Server(**{"listen": "127.0.0.1:0", "event_queue": 1000, **options})
        servers.append(server)
        return server

    yield begin
    for server in servers:
        server.close()


def silent_client(addr: str) -> socket.socket:
    """A client that is connected and answers nothing, not even a close frame."""
    host, port = addr.rsplit(":", 1)
    peer = socket.create_connection((host, int(port)), PATIENCE)
    peer.sendall(
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        received = peer.recv(1)
        assert received, head
        head += received
    return peer


def environment(**variables: str) -> dict[str, str]:
    """The environment of a program that imports this package."""
    return {**os.environ, "PYTHONPATH": str(Path(libchat.__file__).parents[1]), **variables}


def run_program(source: str, **variables: str) -> tuple[int, str, str]:
    """Runs a Python program to its end. Tells its status, what it printed and what it complained of."""
    with Program(source, **variables) as program:
        return program.end(60)


class Program:
    """A Python program that runs beside the test, which is killed if the test fails."""

    def __init__(self, source: str, *arguments: str, **variables: str) -> None:
        command = [sys.executable, *(["-c", source] if "\n" in source else [source]), *arguments]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(**variables)
        )

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def line(self) -> str:
        """The next line that it prints."""
        watchdog = threading.Timer(PATIENCE * 2, self._process.kill)
        watchdog.start()
        try:
            assert self._process.stdout is not None
            line = self._process.stdout.readline()
        finally:
            watchdog.cancel()
        assert line, self.end()
        return line.rstrip("\n")

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def end(self, patience: float = PATIENCE) -> tuple[int, str, str]:
        """Waits for its end. Tells its status, what else it printed and what it complained of."""
        try:
            printed, complained = self._process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            # Where it hangs.
            self._process.kill()
            pytest.fail(f"does not end: {self._process.communicate()}")
        return self._process.returncode, printed, complained


def address(line: str) -> str:
    """The address of the server that a program tells."""
    found = re.search(r"ws://([\d.:]+)/", line)
    assert found, line
    return found[1]

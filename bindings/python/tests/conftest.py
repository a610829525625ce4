"""What the tests share: a server on a free port, a client that does nothing, programs of their own, and the
time that nothing takes longer than."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
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


def run_program(source: str, **variables: str) -> tuple[int, str, str]:
    """Runs a Python program to its end. Tells its status, what it printed and what it complained of."""
    environment = {**os.environ, "PYTHONPATH": str(Path(libchat.__file__).parents[1]), **variables}
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, timeout=60, env=environment
    )
    return done.returncode, done.stdout, done.stderr

"""What the tests share: a server on a free port, and the time that nothing takes longer than."""

from __future__ import annotations

from collections.abc import Iterator
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

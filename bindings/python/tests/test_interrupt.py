"""Ctrl-C is heard wherever a program waits, and cuts a drain short."""

from __future__ import annotations

import signal

import pytest
from conftest import Program, address, silent_client

# The client answers nothing, so a drain would end by itself only long after the test.
INTERRUPTED = """
import asyncio, threading
import libchat, libchat.server

libchat.server.DEFAULT_DRAIN = 3600
server = libchat.Server(listen="127.0.0.1:0", event_queue=10)
print(f"ws://{server.addr}/", flush=True)
server.next_events()

def serve():
    print("waiting", flush=True)
    ENDING

try:
    serve()
except KeyboardInterrupt:
    print("interrupted")
try:
    server.publish("lobby", "x")
    print("runs")
except libchat.StoppedError:
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith("libchat")]
    print("stopped", left, server.stats().connections)
server.close()
"""
GEVENT = "from gevent import monkey; monkey.patch_all()\n"

STOPS = {
    "stop": "server.stop(3600)",
    "with": """
    with server:
        pass""",
    "async with": """
    async def main():
        async with server:
            pass
    asyncio.run(main())""",
    "stop in gevent": "server.stop(3600)",
}
WAITS = {
    "wait": "server.wait()",
    "wait with a time": "server.wait(3600)",
    "next_events": "server.next_events()",
    "next_events in gevent": "server.next_events()",
}


def interrupt(kind: str, ending: str) -> list[str]:
    in_gevent = "gevent" in kind
    source = INTERRUPTED.replace("ENDING", ending)
    with Program(GEVENT + source if in_gevent else source) as program, silent_client(address(program.line())) as peer:
        assert program.line() == "waiting"
        if kind in STOPS:
            # The close frame: the drain has begun.
            assert peer.recv(1) == b"\x88"
        program.signal(signal.SIGINT)
        status, printed, complained = program.end()
        while peer.recv(100):
            pass
    # gevent's hub, in which the signal may come, writes the exception to stderr before it passes it on.
    assert (status, in_gevent or complained) == (0, in_gevent or "")
    return printed.splitlines()


@pytest.mark.parametrize("kind", list(STOPS))
def test_ctrl_c_cuts_a_drain_short(kind: str) -> None:
    assert interrupt(kind, STOPS[kind]) == ["interrupted", "stopped [] 0"]


@pytest.mark.parametrize("kind", list(WAITS))
def test_ctrl_c_ends_a_wait_and_the_server_runs_on(kind: str) -> None:
    assert interrupt(kind, WAITS[kind]) == ["interrupted", "runs"]

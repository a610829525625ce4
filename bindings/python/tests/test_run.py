"""`libchat.run` serves until a signal comes, and then ends cleanly."""

from __future__ import annotations

import signal
import threading
from typing import Any, Callable

import pytest
from conftest import PATIENCE, Program, address, silent_client
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

import libchat

Start = Callable[..., libchat.Server]

SERVE = """
import signal, threading, time
import libchat

handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
server = libchat.Server(listen="127.0.0.1:0", event_queue=1000)
print(f"ws://{server.addr}/", flush=True)

def on_event(event):
    print(type(event).__name__, flush=True)
    HANDLE

libchat.run(server, on_event, drain=DRAIN)
assert handlers == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
assert not [thread for thread in threading.enumerate() if thread.name.startswith("libchat")]
print("end")
"""


def serve(handle: str = "pass", drain: float = 60) -> Program:
    return Program(SERVE.replace("HANDLE", handle).replace("DRAIN", str(drain)))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_delivers_what_was_published_and_ends_the_call(number: signal.Signals) -> None:
    # Handled in the middle of the drain, when a call fails: that is no failure of the program.
    handle = 'server.publish("lobby", "one"); server.publish("lobby", "two")'
    with serve(handle) as program, connect(f"ws://{address(program.line())}/") as peer:
        assert program.line() == "Connected"
        assert [peer.recv(PATIENCE), peer.recv(PATIENCE)] == ["one", "two"]
        program.signal(number)
        with pytest.raises(ConnectionClosed):
            peer.recv(PATIENCE)
        assert peer.close_code == 1001
        assert program.end() == (0, "Disconnected\nStopped\nend\n", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("handle", ["pass", "if 'Conn' in type(event).__name__: threading.Event().wait()"])
def test_a_second_signal_stops_at_once_and_interrupts_the_handler(number: signal.Signals, handle: str) -> None:
    with serve(handle, drain=3600) as program, silent_client(address(program.line())) as peer:
        assert program.line() == "Connected"
        program.signal(number)
        # The close frame, to which there will be no answer: the drain has begun.
        assert peer.recv(1) == b"\x88"
        program.signal(number)
        status, printed, complained = program.end()
        assert (status, printed.splitlines()[-1], complained) == (0, "end", "")


@pytest.mark.parametrize("where", ["the handler", "the end of the call"])
def test_signals_after_the_second_are_ignored_until_the_call_has_returned(where: str) -> None:
    again = "[os.kill(os.getpid(), signal.SIGINT) for _ in range(3)]"
    source = f"""
import contextlib, os, signal, threading
import libchat

class Server(libchat.Server):
    def close(self):
        {again if where == "the end of the call" else "pass"}
        super().close()

def on_event(event):
    try:
        print(type(event).__name__, flush=True)
        threading.Event().wait()
    finally:
        {again if where == "the handler" else "pass"}
        print("cleaned", flush=True)

server = Server(listen="127.0.0.1:0", event_queue=1000)
print(f"ws://{{server.addr}}/", flush=True)
libchat.run(server, on_event, drain=3600)
print("end")
"""
    with Program(source) as program, silent_client(address(program.line())) as peer:
        assert program.line() == "Connected"
        program.signal(signal.SIGINT)
        assert peer.recv(1) == b"\x88"
        program.signal(signal.SIGINT)
        assert program.end() == (0, "cleaned\nend\n", "")


def test_a_handler_that_swallows_the_second_signal_does_not_keep_the_server() -> None:
    swallow = """
    if 'Conn' in type(event).__name__:
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("swallowed", flush=True)"""
    with serve(swallow, drain=3600) as program, silent_client(address(program.line())) as peer:
        assert program.line() == "Connected"
        program.signal(signal.SIGTERM)
        assert peer.recv(1) == b"\x88"
        program.signal(signal.SIGTERM)
        assert program.end() == (0, "swallowed\nDisconnected\nStopped\nend\n", "")


def test_the_drain_is_as_long_as_it_was_asked_for() -> None:
    with serve(drain=0.3) as program, silent_client(address(program.line())):
        assert program.line() == "Connected"
        program.signal(signal.SIGTERM)
        assert program.end() == (0, "Disconnected\nStopped\nend\n", "")


def test_an_exception_of_the_handler_stops_the_server_and_leaves_the_call() -> None:
    with serve("raise KeyError('mine')", drain=3600) as program, silent_client(address(program.line())) as peer:
        assert program.line() == "Connected"
        status, printed, complained = program.end()
        assert (status, printed) == (1, "") and "KeyError: 'mine'" in complained
        while peer.recv(100):
            pass


@pytest.mark.parametrize("on_event", [None, lambda event: None])
def test_a_stop_by_another_thread_ends_the_call(start: Start, on_event: Any) -> None:
    server = start()
    before = signal.getsignal(signal.SIGINT)
    stopping = threading.Timer(0.05, server.stop)
    stopping.start()
    libchat.run(server, on_event)
    stopping.join(PATIENCE)
    assert signal.getsignal(signal.SIGINT) is before
    libchat.run(server, on_event)


def test_what_cannot_be_run_is_refused_with_what_to_do(start: Start) -> None:
    async def on_event(event: libchat.Event) -> None:
        pass

    server = start(event_queue=0)
    with pytest.raises(TypeError, match="async for"):
        libchat.run(server, on_event)
    with pytest.raises(TypeError, match=r"libchat\.run\(libchat\.Server"):
        libchat.run("127.0.0.1:0")  # type: ignore[arg-type]
    told: list[BaseException] = []

    def on_another_thread() -> None:
        try:
            libchat.run(server)
        except RuntimeError as error:
            told.append(error)

    thread = threading.Thread(target=on_another_thread)
    thread.start()
    thread.join(PATIENCE)
    assert "main thread" in str(told[0]) and "server.wait()" in str(told[0])
    server.publish("lobby", "still there")
    with pytest.raises(libchat.UnsupportedError, match="event_queue"):
        libchat.run(server, print)

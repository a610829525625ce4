"""No thread of this package outlives its server or its interpreter."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import threading
import time
import weakref
from typing import Any, Callable

import pytest
from conftest import PATIENCE, run_program, silent_client

import libchat
from libchat._native import Thread
from libchat._queue import EventQueue

Start = Callable[..., libchat.Server]

# Ends an interpreter as programs do that have several: mod_wsgi, for example.
SUBINTERPRETER = """
typedef struct thread_state thread_state;
extern thread_state *PyThreadState_Swap(thread_state *), *Py_NewInterpreter(void);
extern void Py_EndInterpreter(thread_state *);
extern int PyRun_SimpleString(const char *);

int run(const char *source) {
  thread_state *before = PyThreadState_Swap(0);
  thread_state *interpreter = Py_NewInterpreter();
  int failed = PyRun_SimpleString(source);
  Py_EndInterpreter(interpreter);
  PyThreadState_Swap(before);
  return failed;
}
"""


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("libchat-python")}


def untaken(start: Start, clients: int = 3, **options: Any) -> libchat.Server:
    """A server with events that nobody has taken."""
    server = start(**options)
    for _ in range(clients):
        silent_client(server.addr).close()
    return server


@pytest.mark.parametrize("end", [libchat.Server.stop, libchat.Server.close, libchat.Server._leave])
def test_the_thread_ends_with_the_server_though_events_are_left(
    start: Start, end: Callable[[libchat.Server], None]
) -> None:
    server = untaken(start)
    assert threads()
    end(server)
    assert not threads()
    left = taken(server)
    assert [type(event) for event in left].count(libchat.Connected) == 3
    assert left[-1] == libchat.Stopped()


def test_a_stop_waits_for_the_thread_to_its_last_instruction(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    pull = EventQueue._pull

    def pull_and_dawdle(queue: EventQueue) -> None:
        pull(queue)
        time.sleep(0.05)
        ended.append(queue)

    ended: list[EventQueue] = []
    monkeypatch.setattr(EventQueue, "_pull", pull_and_dawdle)
    server = start()
    server.close()
    assert ended == [server._queue]


def test_a_drain_waits_for_the_thread_that_it_runs_on(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Thread._run

    def run_and_dawdle(thread: Thread) -> None:
        run(thread)
        time.sleep(0.05)
        ended.append(thread._body.__name__)

    ended: list[str] = []
    monkeypatch.setattr(Thread, "_run", run_and_dawdle)
    start(event_queue=0).stop(PATIENCE)
    # Threads that end servers which other tests have forgotten have another body.
    assert ended.count("drain") == 1


def taken(server: libchat.Server) -> list[libchat.Event]:
    """All events up to the last."""
    found: list[libchat.Event] = []
    with pytest.raises(libchat.StoppedError):
        while True:
            found += server.next_events(PATIENCE)
    return found


def test_more_events_than_one_call_takes_are_left_in_order(start: Start) -> None:
    server = start(event_queue=10_000, max_rooms_per_client=10_000)
    with silent_client(server.addr):
        client = next(event for event in server.next_events(PATIENCE) if isinstance(event, libchat.Connected)).client
        for number in range(5000):
            server.join(client, f"room {number}")
        server.close()
        # A stop at once does not wait until all of them are read.
        assert server._queue is not None and len(server._queue._events) <= 1024
    joined = [event.room for event in taken(server) if isinstance(event, libchat.Joined)]
    assert joined == [f"room {number}" for number in range(5000)]


def test_events_that_are_left_reach_a_loop_after_the_stop(start: Start) -> None:
    server = untaken(start)
    server.close()

    async def take() -> list[libchat.Event]:
        return [event async for event in server.events()]

    events = asyncio.run(asyncio.wait_for(take(), PATIENCE))
    assert events[-1] == libchat.Stopped() and len(events) == 7
    assert asyncio.run(asyncio.wait_for(take(), PATIENCE)) == []


def test_those_who_wait_during_a_stop_share_what_is_left(start: Start) -> None:
    server = start()
    got: list[libchat.Event] = []

    def take() -> None:
        got.extend(taken(server))

    waiting = [threading.Thread(target=take) for _ in range(4)]
    for thread in waiting:
        thread.start()
    for _ in range(20):
        silent_client(server.addr).close()
    server.close()
    for thread in waiting:
        thread.join(PATIENCE)
    kinds = [type(event) for event in got]
    assert (kinds.count(libchat.Connected), kinds.count(libchat.Disconnected)) == (20, 20)
    assert kinds.count(libchat.Stopped) == 1 and not threads()


def test_the_thread_ends_with_the_last_event_though_nobody_takes_it(start: Start) -> None:
    server = start()
    [thread] = [thread for thread in threading.enumerate() if thread.name == "libchat-python"]
    server.request_stop()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert taken(server) == [libchat.Stopped()]


def test_a_finalizer_on_the_thread_itself_may_stop_the_server(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    read = libchat.events.read

    def stop_and_read(event: Any) -> Any:
        server.close()
        return read(event)

    server = start()
    monkeypatch.setattr(libchat.events, "read", stop_and_read)
    silent_client(server.addr).close()
    assert taken(server)[-1] == libchat.Stopped()
    server.close()
    assert not threads()


async def first(server: libchat.Server) -> libchat.Event:
    return await server.events().__anext__()


def test_a_loop_that_is_closed_with_a_task_that_waits_takes_no_event_and_no_thread(start: Start) -> None:
    server = start()
    loop = asyncio.new_event_loop()
    waiting = loop.create_task(first(server))
    loop.call_later(0.01, loop.stop)
    loop.run_forever()
    assert not waiting.done()
    loop.close()
    for _ in range(2):
        with silent_client(server.addr):
            assert isinstance(server.next_events(PATIENCE)[0], libchat.Connected)
        assert isinstance(server.next_events(PATIENCE)[0], libchat.Disconnected)
    server.close()
    assert not threads()


def test_a_server_that_is_forgotten_with_events_left_leaves_no_thread(start: Start) -> None:
    server = libchat.Server(listen="127.0.0.1:0", event_queue=10)
    silent_client(server.addr).close()
    [thread] = [thread for thread in threading.enumerate() if thread.name == "libchat-python"]
    forgotten = weakref.ref(server)
    del server
    gc.collect()
    assert forgotten() is None
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_a_thread_that_runs_only_after_its_start_was_interrupted_does_nothing(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted: list[threading.Thread] = []

    def interrupt(thread: threading.Thread) -> None:
        interrupted.append(thread)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(threading.Thread, "start", interrupt)
        start()
    # No call is made with the server, which is freed.
    monkeypatch.setattr(libchat._queue, "lib", None)
    [thread] = interrupted
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_a_program_that_ends_starts_no_server_any_more() -> None:
    program = """
import atexit

def late():
    try:
        libchat.Server(listen="127.0.0.1:0", event_queue=10)
    except libchat.StoppedError as error:
        print(error)

atexit.register(late)  # It is called after what libchat registers.
import libchat
"""
    assert run_program(program) == (0, "the interpreter ends\n", "")


@pytest.fixture(scope="session")
def run_in_subinterpreter(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[int, str, str]]:
    """Runs a program in a further interpreter of a program, which ends before the first one."""
    folder = tmp_path_factory.mktemp("subinterpreter")
    source, library = folder / "run.c", folder / "run.so"
    source.write_text(SUBINTERPRETER)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)

    def run(program: str) -> tuple[int, str, str]:
        outer = "import ctypes\n"
        outer += f"assert ctypes.PyDLL({str(library)!r}).run({program.encode()!r}) == 0\n"
        return run_program(outer + "print('the first goes on')")

    return run


START = """
import socket
import libchat
server = libchat.Server(listen="127.0.0.1:0", event_queue=10)
host, port = server.addr.split(":")
with socket.create_connection((host, int(port)), 10) as peer:
    peer.sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\nSec-WebSocket-Version: 13\\r\\n\\r\\n")
    assert peer.recv(1)
many = [libchat.Server(listen="127.0.0.1:0", event_queue=10) for _ in range(20)]
"""


WAIT = """
try:
    server.wait(0.01)
except libchat.TimedOutError:
    pass
"""


@pytest.mark.parametrize(
    "end",
    ["", "server.close()", "server.request_stop()", "del server", "many.clear(); del server", WAIT],
    ids=["running", "closed", "stopping", "forgotten", "many forgotten", "waited for"],
)
def test_a_subinterpreter_ends_whatever_became_of_its_server(
    run_in_subinterpreter: Callable[[str], tuple[int, str, str]], end: str
) -> None:
    assert run_in_subinterpreter(START + end) == (0, "the first goes on\n", "")

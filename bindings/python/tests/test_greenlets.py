"""In a program that gevent or eventlet has patched, a server works, and other greenlets run while one waits for it."""

from __future__ import annotations

import signal

import pytest
from conftest import Program, address, run_program, silent_client

PATCH = {
    "gevent": "from gevent import monkey; monkey.patch_all()",
    "eventlet": "import warnings; warnings.simplefilter('ignore'); import eventlet; eventlet.monkey_patch()",
}

# The client is a greenlet of the same program, so each wait of the server that stopped the others would never end.
SERVE = """
PATCH_BEFORE_IMPORT
import logging, os, socket, threading, time
import libchat
PATCH_AFTER_IMPORT

def descriptors():
    return len(os.listdir("/proc/self/fd"))

def connect(addr):
    host, port = addr.split(":")
    peer = socket.create_connection((host, int(port)), 10)
    peer.sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\nSec-WebSocket-Version: 13\\r\\n\\r\\n")
    head = b""
    while not head.endswith(b"\\r\\n\\r\\n"):
        head += peer.recv(1)
    return peer

def take():
    try:
        while True:
            for event in server.next_events():
                taken.append(type(event).__name__)
                if isinstance(event, libchat.Connected):
                    connected.set()
                    server.publish(event.room, "salut")
    except libchat.StoppedError:
        taken.append("end")

def count():
    while not done:
        counted.append(None)
        time.sleep(0.001)

taken, counted, done, connected = [], [], [], threading.Event()
logger = logging.Logger("chat", logging.DEBUG)
logger.addHandler(logging.StreamHandler(open(os.devnull, "w")))
server = libchat.Server(listen="127.0.0.1:0", event_queue=10, logger=logger)
ordinary = [threading.Thread(target=take), threading.Thread(target=count)]
for thread in ordinary:
    thread.start()
peer = connect(server.addr)
assert peer.recv(7) == b"\\x81\\x05salut"
assert connected.wait(10)
before = descriptors()
for wait in (server.next_events, server.wait):
    begun = len(counted)
    try:
        wait(0.1)
    except libchat.TimedOutError:
        assert len(counted) > begun + 10, wait
        print("timed out")
begun = len(counted)
try:
    server.stop(0.2)  # The client does not answer.
except libchat.TimedOutError:
    assert len(counted) > begun + 20
    print("aborted")
ordinary[0].join()
server.wait()
print(*taken)
done.append(None)
ordinary[1].join()
assert descriptors() <= before, (descriptors(), before)
with libchat.Server(listen="127.0.0.1:0", event_queue=10) as second:
    connect(second.addr).close()
    assert isinstance(second.next_events(10)[0], libchat.Connected)
forgotten = libchat.Server(listen="127.0.0.1:0", event_queue=10)
del forgotten
running = libchat.Server(listen="127.0.0.1:0", event_queue=10)
print("end")
"""
TOLD = "timed out\ntimed out\naborted\nConnected Disconnected Stopped end\nend\n"


@pytest.mark.parametrize("when", ["BEFORE", "AFTER"])
@pytest.mark.parametrize("library", list(PATCH))
def test_a_server_of_a_patched_program_works(library: str, when: str) -> None:
    source = SERVE.replace(f"PATCH_{when}_IMPORT", PATCH[library])
    for other in ("PATCH_BEFORE_IMPORT", "PATCH_AFTER_IMPORT"):
        source = source.replace(other, "")
    assert run_program(source) == (0, TOLD, "")


@pytest.mark.parametrize("wait", ["next_events()", "wait()"])
@pytest.mark.parametrize("library", list(PATCH))
def test_a_program_that_is_patched_too_late_is_told_so(library: str, wait: str) -> None:
    source = f"""
import libchat
server = libchat.Server(listen="127.0.0.1:0", event_queue=10)
{PATCH[library]}
try:
    server.{wait}
except RuntimeError as error:
    print(error, flush=True)
server.close()
print("closed", flush=True)
"""
    with Program(source) as program:
        assert program.line() == "gevent or eventlet patched this program too late: patch before libchat.Server(…)"
        assert program.line() == "closed"


RUN = """
import signal, threading, time
import libchat

def count():
    while not done:
        counted.append(None)
        time.sleep(0.001)

done, counted = [], []
counting = threading.Thread(target=count)
counting.start()
server = libchat.Server(listen="127.0.0.1:0", event_queue=10)
print(f"ws://{server.addr}/", flush=True)
libchat.run(server, lambda event: print(type(event).__name__, len(counted) > 0, flush=True), drain=DRAIN)
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
done.append(None)
counting.join()
print("end")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("library", list(PATCH))
def test_a_patched_program_serves_until_a_signal(library: str, number: signal.Signals) -> None:
    source = f"{PATCH[library]}\n{RUN.replace('DRAIN', '0.2')}"
    with Program(source) as program, silent_client(address(program.line())):
        assert program.line() == "Connected True"
        program.signal(number)
        assert program.end() == (0, "Disconnected True\nStopped True\nend\n", "")


@pytest.mark.parametrize("library", list(PATCH))
def test_a_second_signal_stops_a_patched_program_at_once(library: str) -> None:
    source = f"{PATCH[library]}\n{RUN.replace('DRAIN', '3600')}"
    with Program(source) as program, silent_client(address(program.line())) as peer:
        assert program.line() == "Connected True"
        program.signal(signal.SIGINT)
        # The close frame: the drain has begun.
        assert peer.recv(1) == b"\x88"
        program.signal(signal.SIGINT)
        # gevent's hub, in which the signal may come, writes the exception to stderr before it passes it on.
        status, printed, _ = program.end()
        assert (status, printed.splitlines()[-1]) == (0, "end")


POOL = {
    "gevent": "import gevent; gevent.get_hub().threadpool.apply(libchat.run, (server,))",
    "eventlet": "import eventlet.tpool; eventlet.tpool.execute(libchat.run, server)",
}


@pytest.mark.parametrize("library", list(PATCH))
def test_another_thread_of_a_patched_program_cannot_run_a_server(library: str) -> None:
    source = f"""
{PATCH[library]}
import libchat
server = libchat.Server(listen="127.0.0.1:0")
try:
    {POOL[library]}
except RuntimeError as error:
    print(error)
server.publish("lobby", "still there")
"""
    status, printed, _ = run_program(source)  # gevent writes what its thread raises to stderr too.
    assert (status, printed) == (0, "run: only the main thread can handle signals; on this one call server.wait()\n")


# A lock of cffi that a patch has replaced belongs to greenlets: a thread of the package that needs it while another
# one has it would wait for ever.
WITHOUT_LOOKUPS = """
import asyncio, contextlib, logging, os, socket, threading
import libchat
from libchat import _abi

class Forbidden:
    def acquire(self, *_):
        os.write(2, b"cffi looks something up\\n")
    def release(self):
        pass
    def __enter__(self):
        self.acquire()
    def __exit__(self, *_):
        pass

_abi.ffi._lock = Forbidden()
handler = logging.StreamHandler(open(os.devnull, "w"))
logger = logging.Logger("chat", logging.DEBUG)
logger.addHandler(handler)
options = {"admission_timeout": 10, "review_timeout": 10, "overdue": "allow", "echo": True, "logger": logger}
server = libchat.Server(listen="127.0.0.1:0", origin="*", event_queue=10, **options)
host, port = server.addr.split(":")
peers = [socket.create_connection((host, int(port)), 10) for _ in range(2)]
for peer in peers:
    peer.sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\nSec-WebSocket-Version: 13\\r\\n\\r\\n")
requests = []
while len(requests) < 2:
    requests += server.next_events(10)
first, second = (request.client for request in requests)
server.reject(second, 401, "no", {"Retry-After": "5"})
server.set_identity(first, "ana")
server.set_echo(first, False)
server.join(first, "tea")
server.leave(first, "tea")
server.accept(first)
server.send(first, "x")
server.publish("lobby", b"x")
server.publish_batch([("lobby", "x"), ("lobby", b"y")])
server.broadcast("x")
for call in (server.allow, server.refuse, lambda decision: server.allow_changed(decision, "x")):
    with contextlib.suppress(libchat.NotFoundError):
        call(1)
with contextlib.suppress(libchat.TimedOutError):
    server.wait(0.01)
server.stats()
server.disconnect(first, 4000, "bye")
for peer in peers:
    peer.close()
threading.Timer(0.05, server.request_stop).start()
libchat.run(server, lambda event: None)
asyncio.run(server.wait_async())
with contextlib.suppress(libchat.AddressInUseError), socket.create_server(("127.0.0.1", 0)) as used:
    libchat.Server(listen="127.0.0.1:%d" % used.getsockname()[1])
with libchat.Server(listen="127.0.0.1:0"):
    pass
forgotten = libchat.Server(listen="127.0.0.1:0", event_queue=10)
del forgotten
libchat.Server(listen="127.0.0.1:0", event_queue=10)
"""


def test_no_call_needs_a_lock_of_cffi() -> None:
    assert run_program(WITHOUT_LOOKUPS) == (0, "", "")

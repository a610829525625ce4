"""Several processes and one chat: one process owns the server, and workers publish through it.

    python bindings/python/examples/several_processes.py --workers 3

A server belongs to one process: its port, its rooms and their order are there. The workers of gunicorn, of
`uvicorn --workers` or of Celery reach it through a Unix datagram socket, as these workers do, by `publish`. A datagram
comes whole or not at all, and no worker holds a lock, so one that is killed harms no other. A worker waits while the
socket is full, and gets an OSError when the owner has ended.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import socket
import tempfile
import threading
import time
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

import libchat

# A datagram cannot be longer than the socket's buffer: about 200 KB on Linux.
LONGEST = 1 << 18


def publish(path: str, room: str, text: str) -> None:
    """Publishes a message from any process of this machine that may write to the socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as outbox:
        outbox.sendto(json.dumps([room, text]).encode(), path)


def work(path: str) -> None:
    """What a worker does. A web request or a job would call `publish` here."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # A Ctrl-C in the terminal reaches all; the owner ends the workers.
    count = 0
    while True:
        count += 1
        try:
            publish(path, "lobby", f"worker {os.getpid()}: {count}")
        except OSError:
            return  # The owner has ended.
        time.sleep(0.5)


def parse(datagram: bytes) -> tuple[str, str]:
    """Returns the room and the text of a datagram. Raises ValueError if it has none."""
    try:
        message = json.loads(datagram)
    except RecursionError:
        message = None
    if not (isinstance(message, list) and len(message) == 2 and all(isinstance(part, str) for part in message)):
        raise ValueError("a datagram is a room and a text, in a list of JSON")
    return message[0], message[1]


def forward(inbox: socket.socket, server: libchat.Server) -> None:
    """Publishes what the workers send, in the order in which it comes."""
    try:
        while True:
            datagram = inbox.recv(LONGEST)
            try:
                server.publish(*parse(datagram))
            except libchat.StoppedError:
                return
            except (libchat.Error, ValueError) as error:
                # One bad datagram does not stop what the others send.
                print(f"not published: {datagram[:40]!r}: {error}", flush=True)
    finally:
        # The program ends already, or ends now: nobody else hears the workers.
        server.request_stop()


def keep(path: str, workers: int, ending: Connection) -> None:
    """Starts the workers, and another one for each that ends, until the other end of `ending` is closed."""
    # Not a fork: the parent's server and its threads are not in a fork.
    context = multiprocessing.get_context("spawn")
    running: list[BaseProcess] = []
    while True:
        while len(running) < workers:
            running.append(context.Process(target=work, args=[path]))
            running[-1].start()
        if ending in wait([ending, *(worker.sentinel for worker in running)]):
            break
        running = [worker for worker in running if worker.is_alive()]
    for worker in running:
        worker.terminate()
        worker.join()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--listen", default="127.0.0.1:9001")
    arguments.add_argument("--workers", type=int, default=3)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as inbox:
        path = os.path.join(folder, "chat.sock")
        inbox.bind(path)
        server = libchat.Server(listen=given.listen)
        print(f"chat at ws://{server.addr}/ - Ctrl-C stops it", flush=True)
        threading.Thread(target=forward, args=[inbox, server], daemon=True).start()
        ending, end = multiprocessing.Pipe(duplex=False)
        keeping = threading.Thread(target=keep, args=[path, given.workers, ending])
        keeping.start()
        try:
            libchat.run(server)
        finally:
            end.close()
            keeping.join()


if __name__ == "__main__":
    main()

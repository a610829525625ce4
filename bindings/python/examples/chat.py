"""A plain asyncio program with a chat inside: it greets each client, and answers questions.

    python bindings/python/examples/chat.py

Then connect with any WebSocket client, such as `python -m websockets ws://127.0.0.1:9001/`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime
import signal

import libchat


async def host(server: libchat.Server) -> None:
    """Handles events until the server has stopped."""
    async for event in server.events():
        # The client may have left, or the server stops.
        with contextlib.suppress(libchat.NotFoundError, libchat.StoppedError):
            if isinstance(event, libchat.Connected):
                server.send(event.client, f"welcome to {event.room}; ask me /time")
            elif isinstance(event, libchat.Message) and event.data == "/time":
                server.publish(event.room, f"it is {datetime.datetime.now():%H:%M:%S}")
            elif isinstance(event, libchat.Disconnected):
                print(f"client {event.client} has left: {event.code} {event.reason}")


async def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--listen", default="127.0.0.1:9001")
    async with libchat.Server(listen=arguments.parse_args().listen, event_queue=10_000) as server:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, server.request_stop)
        print(f"chat at ws://{server.addr}/ - Ctrl-C stops it", flush=True)
        await host(server)


if __name__ == "__main__":
    asyncio.run(main())

"""A client of an event stream in Python: prints what it is given, an object a line, until a message says "end".

events.py URL
"""

import json
import random
import sys
import time

import httpx
from httpx_sse import SSEError, connect_sse


def listen(client, url, last):
    """Yields the events of one connection. Silence for longer than the client's time-out ends it."""
    headers = {"Last-Event-ID": last} if last else {}
    with connect_sse(client, "GET", url, headers=headers) as source:
        yield from source.iter_sse()


def main(url):
    last = ""
    with httpx.Client(timeout=1) as client:
        while True:
            try:
                for event in listen(client, url, last):
                    last = event.id
                    if event.retry is not None or event.event == "ping":
                        continue
                    if event.data == "end":
                        print(json.dumps({"type": "end"}), flush=True)
                        return
                    print(json.dumps({"type": event.event, "id": event.id, "data": event.data}), flush=True)
            except (httpx.HTTPError, SSEError):  # SSEError: the head was cut
                pass
            time.sleep(random.uniform(0, 0.02))


main(sys.argv[1])

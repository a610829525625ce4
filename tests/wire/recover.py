"""A client that recovers, in Python: prints what it shows, a line each, until a message says "end".

recover.py URL
"""

import base64
import json
import random
import sys
import time
from urllib.parse import urlencode

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage
from websockets.sync.client import connect

positions = {}  # of each room: everything up to here has come


def listen(url):
    """Yields the objects of one connection. Silence for longer than the server's heartbeats ends it."""
    since = urlencode({f"since.{room}": position for room, position in positions.items()})
    silence = 1
    with connect(f"{url}&{since}", subprotocols=["libchat.json"], open_timeout=1, close_timeout=0) as socket:
        while True:
            thing = json.loads(socket.recv(timeout=silence))
            silence = 2 * thing["ping"] if thing["type"] == "welcome" else silence
            if thing.get("kind") == "text":
                thing["text"] = base64.b64decode(thing["base64"]).decode()
            yield thing
            if "position" in thing:
                positions[thing["room"]] = thing["position"]


def main(url):
    while True:
        try:
            for thing in listen(url):
                if thing.get("text") == "end":
                    return
                if thing["type"] == "message":
                    print("message", thing["room"], thing["text"].split(" ")[0], flush=True)
                elif thing["type"] == "dropped" or thing.get("recovered") is False:
                    print("missing", thing["room"], thing.get("reason", "dropped"), flush=True)
        except (ConnectionClosed, InvalidHandshake, InvalidMessage, OSError):  # OSError: also when it is silent
            time.sleep(random.uniform(0, 0.02))


main(sys.argv[1])

"""A client's first minute, with nothing but the package and the standard library: serve.py [FOLDER OF THE PACKAGE]"""

import socket
import sys

import libchat

folder = sys.argv[1] if len(sys.argv) > 1 else sys.prefix
assert libchat.__file__.startswith(folder), f"{libchat.__file__} is not in {folder}"
with libchat.Server(listen="127.0.0.1:0", event_queue=10) as server:
    host, port = server.addr.split(":")
    with socket.create_connection((host, int(port)), 10) as client:
        client.sendall(
            b"GET /rooms/tea HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        [connected] = server.next_events(10)
        assert isinstance(connected, libchat.Connected) and connected.room == "tea"
        server.publish("tea", "salut")
        answer = b""
        while not answer.endswith(b"\x81\x05salut"):
            received = client.recv(1000)
            assert received, answer
            answer += received
print(f"libchat {libchat.__version__} serves")

"""A page that shows a room's last messages as soon as it is loaded, and then all that follows.

    python bindings/python/examples/page.py

The page is rendered with the position of its last message, and connects with it: nothing falls between.
"""

import argparse
import html
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import libchat

PAGE = """<!doctype html><meta charset=utf-8><title>Chat</title><ul id=list>ITEMS</ul>
<form id=form><input id=text autofocus></form>
<script>
let since = "POSITION", chat;
(function connect() {
  chat = new WebSocket("ws://CHAT/?format=json&since=" + since)
  chat.onmessage = e => {
    const {type, position, recovered, text} = JSON.parse(e.data)
    if (recovered === false) return location.reload() // It was away for longer than the room keeps messages.
    if (position) since = position
    if (type === "message") list.append(Object.assign(document.createElement("li"), {textContent: text}))
  }
  chat.onclose = () => setTimeout(connect, 1000 + Math.random() * 2000)
})()
form.onsubmit = e => { e.preventDefault(); chat.send(JSON.stringify({text: text.value})); text.value = "" }
</script>"""


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        texts, position = shown  # A pair that is replaced as one: the position is that of the last text.
        items = "".join(f"<li>{html.escape(text)}</li>" for text in texts)
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        page = PAGE.replace("CHAT", server.addr).replace("POSITION", str(position)).replace("ITEMS", items)
        self.wfile.write(page.encode())


def on_event(event: libchat.Event) -> None:
    global shown
    if isinstance(event, libchat.Message) and event.room == "lobby":
        shown = [*shown[0], str(event.data)][-20:], event.position


arguments = argparse.ArgumentParser()
arguments.add_argument("--port", type=int, default=8080)
arguments.add_argument("--chat", default="127.0.0.1:9001")
pages = ThreadingHTTPServer(("127.0.0.1", arguments.parse_args().port), Page)
site = f"http://127.0.0.1:{pages.server_port}"
server = libchat.Server(listen=arguments.parse_args().chat, origin=site, event_queue=10_000)
shown: tuple[list[str], libchat.Position] = [], server.position("lobby")
threading.Thread(target=pages.serve_forever, daemon=True).start()
print(f"open {site}/ (chat at ws://{server.addr}/) - Ctrl-C stops it", flush=True)
libchat.run(server, on_event)

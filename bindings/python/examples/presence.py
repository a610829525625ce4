"""A page that shows who is here, who is typing, and what is said.

    python bindings/python/examples/presence.py

The page comes with a cookie, by which its visitor is known: one who reloads it has not left. Names are as the visitors
say; sign them in (fastapi_chat.py) if that is not enough.
"""

from __future__ import annotations

import argparse
import contextlib
import secrets
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import libchat

PAGE = """<!doctype html><meta charset=utf-8><title>Presence</title>
<p id=here></p><ul id=list></ul><form id=form><input id=text autofocus></form><p id=typing></p>
<script>
const people = new Map(), typists = new Map(), me = prompt("your name") || "somebody"
let chat, count = 0, told = 0

function show() {
  here.textContent = `${count} here: ` + [...people.values()].join(", ")
  for (const [client, until] of typists) if (until < Date.now() || !people.has(client)) typists.delete(client)
  typing.textContent = [...typists.keys()].map(client => people.get(client) + " is typing").join(", ")
}
setInterval(show, 1000);

(function connect() {
  chat = new WebSocket(`ws://CHAT/?format=json&members=true&name=${encodeURIComponent(me)}`)
  chat.onmessage = event => {
    const it = JSON.parse(event.data)
    if (it.type === "members") {
      count = it.count // Of many people it comes alone: then nobody's name is known.
      if (!it.joined && !it.left && !it.returned) people.clear() // Not a change, which builds on the list before.
      for (const {client} of it.left ?? []) people.delete(client)
      for (const {was} of it.returned ?? []) people.delete(was)
      for (const some of [it.list, it.joined, it.returned])
        for (const {client, name} of some ?? []) people.set(client, name)
    }
    if (it.type === "signal") typists.set(it.client, Date.now() + 3000)
    if (it.type === "message") {
      typists.delete(it.client)
      list.append(Object.assign(document.createElement("li"), {textContent: `${it.name}: ${it.text}`}))
    }
    show()
  }
  chat.onclose = () => setTimeout(connect, 1000 + Math.random() * 2000)
})()
text.oninput = () => {
  if (Date.now() < told + 1000 || chat.readyState !== WebSocket.OPEN) return
  told = Date.now()
  chat.send(JSON.stringify({type: "signal", text: "typing"}))
}
form.onsubmit = event => { event.preventDefault(); chat.send(JSON.stringify({text: text.value})); text.value = "" }
</script>"""


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        if "visitor=" not in self.headers.get("Cookie", ""):
            self.send_header("Set-Cookie", f"visitor={secrets.token_urlsafe()}; HttpOnly; SameSite=Lax")
        self.end_headers()
        self.wfile.write(PAGE.replace("CHAT", server.addr).encode())


def on_event(event: libchat.Event) -> None:
    # The client may have left, or the server stops.
    with contextlib.suppress(libchat.NotFoundError, libchat.StoppedError):
        if isinstance(event, libchat.ConnectRequest):
            if visitor := event.request.cookie("visitor"):
                server.set_identity(event.client, visitor)
                server.accept(event.client)
            else:
                server.reject(event.client, 401, "open the page first: it sets a cookie")
        elif isinstance(event, (libchat.MemberEntered, libchat.MemberLeft)):
            names = sorted({member.name or "somebody" for member in server.members(event.room)})
            print(f"{event.room}: {', '.join(names) or 'nobody'}", flush=True)


arguments = argparse.ArgumentParser()
arguments.add_argument("--port", type=int, default=8080)
arguments.add_argument("--chat", default="127.0.0.1:9001")
given = arguments.parse_args()
pages = ThreadingHTTPServer(("127.0.0.1", given.port), Page)
site = f"http://127.0.0.1:{pages.server_port}"
server = libchat.Server(
    listen=given.chat,
    origin=site,
    admission_timeout=5,
    event_queue=10_000,
    members="clients",  # Who asks for them, by ?members=true, is told who is here.
    member_grace=5,
    signal_rate=2,
)
threading.Thread(target=pages.serve_forever, daemon=True).start()
print(f"open {site}/ (chat at ws://{server.addr}/) - Ctrl-C stops it", flush=True)
libchat.run(server, on_event)

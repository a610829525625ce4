"""Token streaming to browsers: an answer arrives word by word, at every browser that shows it.

    python bindings/python/examples/token_stream.py

Each conversation is a room, and its history holds the conversation so far: a page that is opened late, or
again, misses no token. asyncio alone serves the pages; put your web framework in its place.

"Stop" ends the answer: it is a signal to the host alone, which nobody stores.

A program needs no page to watch one, and comes back with the last id that it got:

    curl -N 'http://127.0.0.1:9001/rooms/NAME?format=events&history=10000'
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal

import libchat

PAGE = """<!doctype html><meta charset=utf-8><title>Ask</title>
<form id=ask><input id=question size=60 autofocus placeholder="ask something">
<button id=stop type=button>Stop</button></form><pre id=answer></pre>
<script>
const room = location.hash.slice(1) || Math.random().toString(36).slice(2)
location.hash = room
const chat = new WebSocket("ws://CHAT/rooms/" + room + "?history=10000&echo=false", "libchat.json")
const say = object => chat.send(JSON.stringify(object))
const decode = base64 => new TextDecoder().decode(Uint8Array.from(atob(base64), c => c.charCodeAt(0)))
chat.onmessage = e => {
  const {type, text, base64} = JSON.parse(e.data)
  if (type !== "message" && type !== "direct") return
  const {question, token} = JSON.parse(text ?? decode(base64))
  answer.textContent += question ? "\\n> " + question + "\\n" : token
}
ask.onsubmit = e => { e.preventDefault(); say({text: JSON.stringify({question: question.value})}); question.value = "" }
stop.onclick = () => say({type: "signal", to: "host", text: "stop"})
</script>"""


async def tokens(question: str) -> list[str]:
    """Returns the tokens of an answer. A model would make them here."""
    return [f"{word} " for word in f"You asked: {question} That is a good question.".split()]


async def answer(server: libchat.Server, room: str, question: str) -> None:
    with contextlib.suppress(libchat.StoppedError):
        try:
            for token in await tokens(question):
                server.publish(room, json.dumps({"token": token}))
                await asyncio.sleep(0.02)
        finally:  # Also if somebody stops it.
            server.publish(room, json.dumps({"token": "\n"}))


async def host(server: libchat.Server) -> None:
    """Answers the questions of all conversations at once."""
    answering: set[asyncio.Task[None]] = set()
    async for event in server.events():
        if isinstance(event, libchat.Signal) and event.data == "stop":
            for task in answering:
                if task.get_name() == event.room:
                    task.cancel()
        if not isinstance(event, libchat.Message):
            continue
        try:
            question = json.loads(event.data)["question"]
        except (ValueError, KeyError, TypeError):
            # The client may have left, or the server stops.
            with contextlib.suppress(libchat.NotFoundError, libchat.StoppedError):
                server.send(event.client, json.dumps({"token": "ask with a question\n"}))
            continue
        task = asyncio.create_task(answer(server, event.room, str(question)), name=event.room)
        answering.add(task)
        task.add_done_callback(answering.discard)


async def serve_page(server: libchat.Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        body = PAGE.replace("CHAT", server.addr).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n")
        writer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
    except (asyncio.TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
        pass  # A browser that sends no request gets no page.
    finally:
        writer.close()


async def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--port", type=int, default=8080)
    arguments.add_argument("--chat", default="127.0.0.1:9001")
    given = arguments.parse_args()
    # The pages come from another port than the chat, so their origin is another one.
    pages = await asyncio.start_server(lambda r, w: serve_page(server, r, w), "127.0.0.1", given.port)
    port = pages.sockets[0].getsockname()[1]
    options: libchat.Options = {
        "listen": given.chat,
        "origin": [f"http://127.0.0.1:{port}", f"http://localhost:{port}"],
        "event_queue": 10_000,
        "history_messages": 10_000,
        "signal_rate": 2,
    }
    async with libchat.Server(**options) as server, pages:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, server.request_stop)
        print(f"open http://127.0.0.1:{port}/ (chat at ws://{server.addr}/) - Ctrl-C stops it", flush=True)
        await host(server)


if __name__ == "__main__":
    asyncio.run(main())

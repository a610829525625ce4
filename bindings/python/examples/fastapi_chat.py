"""A FastAPI program with a chat inside: sign-in by cookie, an answer that is streamed token by token, and history.

    pip install fastapi uvicorn
    python bindings/python/examples/fastapi_chat.py

FastAPI serves the page and signs people in; libchat serves the WebSockets on a port of its own. A cookie belongs to a
host and not to a port, so the browser sends it to both. The page's origin is another one, so it is let in by name.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import secrets
import signal
import socket
from collections.abc import AsyncIterator
from urllib.parse import parse_qs

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse

import libchat

MAX_NAME = 64  # Bytes.
MAX_TEXT = 4096  # Bytes.
MAX_FORM = 16 << 10  # Bytes.
MAX_SESSIONS = 10_000
MAX_ANSWERS = 100  # At once.
BOT = "bot"

SIGN_IN = "<!doctype html><form action=/sign-in method=post><input name=name placeholder=name><button>Sign in</button>"
# What people write goes in as text, never as markup.
PAGE = """<!doctype html><meta charset=utf-8><title>Chat</title>
<div id=log></div><form id=say><input id=text autofocus placeholder="say something, or ask with a ?"></form>
<script>
const chat = new WebSocket(`ws://${location.hostname}:CHAT_PORT/rooms/tea?history=100`)
function show({from, text, answer}) {
  let line = answer && document.getElementById(`answer${answer}`)
  if (!line) {
    line = document.createElement("p")
    if (answer) line.id = `answer${answer}`
    if (from) line.appendChild(document.createElement("b")).textContent = `${from}: `
    log.append(line)
    if (log.children.length > 1000) log.firstChild.remove()
  }
  line.append(text)
}
chat.onmessage = event => show(JSON.parse(event.data))
chat.onclose = event => show({text: `closed: ${event.code}`})
say.onsubmit = event => { event.preventDefault(); chat.send(text.value); text.value = "" }
</script>"""

sessions: dict[str, str] = {}  # The oldest first. A database would keep them.
numbers = itertools.count(1)


def begin_session(name: str) -> str:
    """Returns the cookie of a person. Forgets the oldest session where there would be too many."""
    if len(sessions) >= MAX_SESSIONS:
        del sessions[next(iter(sessions))]
    session = secrets.token_urlsafe()
    sessions[session] = name
    return session


def signed_in(request: libchat.Request) -> str:
    """Returns the name of the person who opens a WebSocket; nothing if nobody has signed in."""
    return sessions.get(request.cookie("session") or "", "")


def name_in(form: bytes) -> str:
    """Returns the name in a form. Raises ValueError if it is none that others may see."""
    name = parse_qs(form.decode(), errors="strict", max_num_fields=10).get("name", [""])[0].strip()
    # No line breaks, and nothing that changes the direction of text. The bot's name belongs to the bot.
    if not name or len(name.encode()) > MAX_NAME or not name.isprintable() or name.casefold() == BOT:
        raise ValueError
    return name


async def answer(server: libchat.Server, room: str, question: str) -> None:
    number = next(numbers)
    # A model would make these tokens.
    for token in f"You asked: {question} That is a good question.".split():
        message = json.dumps({"from": BOT, "text": f"{token} ", "answer": number})
        try:
            server.publish(room, message)
        except (libchat.StoppedError, libchat.QueueFullError):
            return  # Nobody hears the rest, or too much waits to be delivered.
        await asyncio.sleep(0.02)


def decide_message(server: libchat.Server, event: libchat.MessageRequest) -> None:
    """Publishes a message with the name of its author, in JSON: no text looks like the name of another one."""
    if isinstance(event.data, str) and len(event.data.encode()) <= MAX_TEXT:
        server.allow_changed(event.decision, json.dumps({"from": event.identity, "text": event.data}))
        return
    server.refuse(event.decision)
    notice = f"Not sent: a message is text of at most {MAX_TEXT} bytes."
    server.send(event.client, json.dumps({"from": "", "text": notice}))


async def host(server: libchat.Server) -> None:
    """Decides who is admitted, puts the author's name into each message, and answers questions."""
    answering: set[asyncio.Task[None]] = set()
    async for event in server.events():
        # The client may have left, the server may stop, or too much waits to be delivered.
        with contextlib.suppress(libchat.NotFoundError, libchat.StoppedError, libchat.QueueFullError):
            if isinstance(event, libchat.ConnectRequest):
                if name := signed_in(event.request):
                    server.set_identity(event.client, name)
                    server.accept(event.client)
                else:
                    server.reject(event.client, 401, "sign in first")
            elif isinstance(event, libchat.MessageRequest):
                decide_message(server, event)
            elif isinstance(event, libchat.Message):
                text = json.loads(event.data)["text"]
                if text.endswith("?") and len(answering) < MAX_ANSWERS:
                    task = asyncio.create_task(answer(server, event.room, text))
                    answering.add(task)
                    task.add_done_callback(answering.discard)
    for task in answering:
        task.cancel()
    await server.wait_async()  # Raises FailedError if the server has ended by itself.


def end_program(hosting: asyncio.Task[None]) -> None:
    """Ends the program if the host has failed: nobody would be admitted any more."""
    if not hosting.cancelled() and hosting.exception():
        signal.raise_signal(signal.SIGTERM)


def make_app(page_port: int, chat: str) -> FastAPI:
    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        options: libchat.Options = {
            "listen": chat,
            "origin": [f"http://127.0.0.1:{page_port}", f"http://localhost:{page_port}"],
            "admission_timeout": 5,
            "review_timeout": 5,
            "event_queue": 10_000,
            "max_message_size": 8 * MAX_TEXT,  # JSON may write a byte as six.
            "publish_timeout": 0,  # A call that waits would stop the loop.
        }
        async with libchat.Server(**options) as server:
            app.state.chat_port = server.addr.rpartition(":")[2]
            hosting = asyncio.create_task(host(server))
            hosting.add_done_callback(end_program)
            print(f"open http://127.0.0.1:{page_port}/ (chat at ws://{server.addr}/) - Ctrl-C stops both", flush=True)
            yield
        await hosting  # If it has failed, uvicorn prints why.

    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    async def page(request: Request) -> Response:
        is_known = request.cookies.get("session") in sessions
        return HTMLResponse(PAGE.replace("CHAT_PORT", app.state.chat_port) if is_known else SIGN_IN)

    @app.post("/sign-in")
    async def sign_in(request: Request) -> Response:
        # A page of another site must not sign anybody in.
        origin, own = request.headers.get("origin"), request.headers.get("host")
        if origin is not None and origin not in (f"http://{own}", f"https://{own}"):
            return PlainTextResponse("sign in on the page of this program", 403)
        form = b""
        async for part in request.stream():
            form += part
            if len(form) > MAX_FORM:
                return PlainTextResponse("the form is too long", 413)
        try:
            session = begin_session(name_in(form))
        except ValueError:
            return PlainTextResponse(f"a name has 1 to {MAX_NAME} bytes, all visible, and is not {BOT!r}", 400)
        answer = RedirectResponse("/", status_code=303)
        answer.set_cookie("session", session, httponly=True, samesite="lax")
        return answer

    return app


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--port", type=int, default=8000)
    arguments.add_argument("--chat", default="127.0.0.1:9001")
    given = arguments.parse_args()
    # Bound before the chat starts, which must know the origin of the page.
    pages = socket.create_server(("127.0.0.1", given.port))
    app = make_app(pages.getsockname()[1], given.chat)
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[pages])


if __name__ == "__main__":
    main()

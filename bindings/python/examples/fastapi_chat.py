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
import secrets
import socket
from collections.abc import AsyncIterator
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

import libchat

SIGN_IN = "<!doctype html><form action=/sign-in method=post><input name=name placeholder=name><button>Sign in</button>"
PAGE = """<!doctype html><meta charset=utf-8><title>Chat</title>
<pre id=log></pre><form id=say><input id=text autofocus placeholder="say something, or ask with a ?"></form>
<script>
const chat = new WebSocket(`ws://${location.hostname}:CHAT_PORT/rooms/tea?history=100`)
chat.onmessage = event => log.textContent += event.data
chat.onclose = event => log.textContent += `closed: ${event.code}\\n`
say.onsubmit = event => { event.preventDefault(); chat.send(text.value); text.value = "" }
</script>"""

sessions: dict[str, str] = {}  # A database would keep them.


def signed_in(request: libchat.Request) -> str:
    """Returns the name of the person who opens a WebSocket; nothing if nobody has signed in."""
    with contextlib.suppress(CookieError):
        if cookie := SimpleCookie(request.headers.get("cookie", "")).get("session"):
            return sessions.get(cookie.value, "")
    return ""


async def answer(server: libchat.Server, room: str, question: str) -> None:
    # A model would make these tokens.
    for token in f"bot: You asked: {question} That is a good question.".split():
        server.publish(room, f"{token} ")
        await asyncio.sleep(0.02)
    server.publish(room, "\n")


async def host(server: libchat.Server) -> None:
    """Decides who is admitted, puts the author's name before each message, and answers questions."""
    answering: set[asyncio.Task[None]] = set()
    async for event in server.events():
        # The client may have left, or the server stops.
        with contextlib.suppress(libchat.NotFoundError, libchat.StoppedError):
            if isinstance(event, libchat.ConnectRequest):
                if name := signed_in(event.request):
                    server.set_identity(event.client, name)
                    server.accept(event.client)
                else:
                    server.reject(event.client, 401, "sign in first")
            elif isinstance(event, libchat.MessageRequest):
                server.allow_changed(event.decision, f"{event.identity}: {event.data!s}\n")
            elif isinstance(event, libchat.Message) and str(event.data).endswith("?\n"):
                question = str(event.data).partition(": ")[2].strip()
                task = asyncio.create_task(answer(server, event.room, question))
                answering.add(task)
                task.add_done_callback(answering.discard)
    for task in answering:
        task.cancel()


def make_app(page_port: int, chat: str) -> FastAPI:
    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        options: libchat.Options = {
            "listen": chat,
            "origin": [f"http://127.0.0.1:{page_port}", f"http://localhost:{page_port}"],
            "admission_timeout": 5,
            "review_timeout": 5,
            "event_queue": 10_000,
        }
        async with libchat.Server(**options) as server:
            app.state.chat_port = server.addr.rpartition(":")[2]
            hosting = asyncio.create_task(host(server))
            print(f"open http://127.0.0.1:{page_port}/ (chat at ws://{server.addr}/) - Ctrl-C stops both", flush=True)
            yield
        await hosting

    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    def page(request: Request) -> Response:
        is_known = request.cookies.get("session") in sessions
        return HTMLResponse(PAGE.replace("CHAT_PORT", app.state.chat_port) if is_known else SIGN_IN)

    @app.post("/sign-in")
    async def sign_in(request: Request) -> Response:
        fields = parse_qs((await request.body()).decode(errors="replace"))
        session = secrets.token_urlsafe()
        sessions[session] = fields.get("name", ["nobody"])[0][:32]
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
